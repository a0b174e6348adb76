#include "sim_fetch.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_MOST (30 * NS_PER_S)

struct sim_fetch {
	struct fetch base; /* first */
	struct sim_process *process;
	struct sim_trust *trust;
	struct ledger *ledger;
};

struct question {
	struct fetch_question base; /* first */
	struct sim_fetch *fetch;
	char url[FETCH_URL + 1];
	bool posts, evil;
	fetch_done *done;
	void *owner;
	struct timer timer;
	enum fetch_result result; /* of the network alone */
};

static void put_policy(const struct sim_sts *sts, struct buf *body)
{
	static const char *const modes[STS_MODES] = {"none", "none", "testing", "enforce"};

	buf_printf(body, "version: STSv1\r\nmode: %s\r\nmx: mx1.%s\r\n", modes[sts->mode],
		sts->domain);
	if (sts->all)
		buf_printf(body, "mx: *.%s\r\n", sts->domain);
	buf_printf(body, "max_age: %u\r\n", sts->max_age_s);
}

static void answer_policy(
	struct question *q, const struct sim_sts *sts, struct buf *body, struct fetch_answer *out)
{
	out->result = FETCH_OK;
	out->status = 200;
	out->content_type = SPAN("text/plain");
	switch (sts->web) {
	case WEB_DOWN: out->result = FETCH_UNREACHABLE; return;
	case WEB_CERTIFICATE: out->result = FETCH_TLS; return;
	case WEB_REDIRECT:
		out->result = FETCH_STATUS;
		out->status = 302;
		return;
	case WEB_NONSENSE: buf_add_str(body, "<html>\r\nmode: none\r\n"); return;
	case WEB_TYPE: out->content_type = SPAN("text/html"); break;
	default:
		if (sts->mode != STS_ABSENT)
			sim_trust_fetched(q->fetch->trust, sts);
	}
	if (sts->mode == STS_ABSENT) {
		out->result = FETCH_STATUS;
		out->status = 404;
		return;
	}
	put_policy(sts, body);
}

static void answer_in(void *arg)
{
	struct question *q = arg;
	static const char prefix[] = "https://mta-sts.";
	struct fetch_answer answer = {.result = q->result};
	struct buf body;
	struct span rest = span_str(q->url);
	const struct sim_sts *sts = NULL;

	buf_init(&body, 4096);
	if (!q->posts && span_starts_nocase(rest, SPAN(prefix))) {
		rest = span_skip(rest, sizeof(prefix) - 1);
		sts = sim_trust_sts(q->fetch->trust, span_of(rest.p, span_find(rest, '/')));
	}
	if (answer.result == FETCH_OK && q->evil) {
		answer.result = FETCH_TLS;
	} else if (answer.result == FETCH_OK && sts) {
		answer_policy(q, sts, &body, &answer);
	} else if (answer.result == FETCH_OK && q->posts) {
		answer.status = 201;
	} else if (answer.result == FETCH_OK) {
		answer.result = FETCH_STATUS;
		answer.status = 404;
	}
	answer.body = buf_span(&body);
	q->done(q->owner, &answer);
	buf_done(&body);
	free(q);
}

static void fired(struct timer *timer)
{
	struct question *q = CONTAINER_OF(timer, struct question, timer);

	process_enter(q->fetch->process, answer_in, q);
}

/* RFC 8460 section 3: gzip, and says so. */
static void check_report(struct ledger *l, const struct fetch_query *query)
{
	if (!span_equal(query->content_type, SPAN("application/tlsrpt+gzip")) ||
		query->body.n < 20 || memcmp(query->body.p, "\x1f\x8b", 2) != 0)
		ledger_violation(
			l, "what was sent to %.*s is no report", (int)query->url.n, query->url.p);
}

static int ask(struct fetch *fetch, const struct fetch_query *query, fetch_done *done, void *owner,
	struct fetch_question **out)
{
	struct sim_fetch *f = (struct sim_fetch *)(void *)fetch;
	struct sim *sim = f->process->sim;
	struct question *q = calloc(1, sizeof(*q));
	struct netaddr evil;

	CHECK(q && query->url.n <= FETCH_URL && query->address_count);
	CHECK(netaddr_parse_ip(SPAN(TRUST_EVIL_ADDRESS), &evil) == 0);
	q->base.fetch = fetch;
	q->fetch = f;
	memcpy(q->url, query->url.p, query->url.n);
	q->posts = query->content_type.n != 0;
	q->evil = netaddr_same_ip(&query->addresses[0], &evil);
	q->done = done;
	q->owner = owner;
	q->timer.fire = fired;
	if (q->posts)
		check_report(f->ledger, query);
	if (!sim->calm && sim_chance(sim, 100))
		q->result = (enum fetch_result)sim_between(sim, FETCH_UNREACHABLE, FETCH_BROKEN);
	sim_arm(sim, &q->timer,
		q->result ? sim_skewed(sim, FETCH_ASK_MS * NS_PER_MS)
			  : sim_skewed(sim, FETCH_MOST));
	*out = &q->base;
	return 0;
}

static void cancel(struct fetch_question **at)
{
	struct question *q = (struct question *)(void *)*at;

	*at = NULL;
	timers_disarm(&q->fetch->process->sim->events, &q->timer);
	free(q);
}

static const struct fetch_ops ops = {.ask = ask, .cancel = cancel};

struct fetch *sim_fetch_new(
	struct sim_process *process, struct sim_trust *trust, struct ledger *ledger)
{
	struct sim_fetch *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->base.ops = &ops;
	f->process = process;
	f->trust = trust;
	f->ledger = ledger;
	return &f->base;
}
