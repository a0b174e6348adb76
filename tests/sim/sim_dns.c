#include "sim_dns.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define DNS_TIMEOUT (20 * NS_PER_S)

struct sim_dns {
	struct dns base; /* first */
	struct sim_process *process;
	const struct sim_dns_record *records;
};

struct question {
	struct dns_question base; /* first */
	struct sim_dns *dns;
	char name[DNS_NAME + 2];
	enum dns_type type;
	dns_done *done;
	void *owner;
	bool fails;
	struct timer timer;
};

static bool is_named(const struct sim_dns_record *record, const char *name)
{
	return span_equal_nocase(span_str(record->name), span_str(name));
}

static void fill(const struct question *q, struct dns_answer *answer, struct netaddr *addresses,
	struct dns_mx *mx)
{
	bool exists = false;

	for (const struct sim_dns_record *r = q->dns->records; r->name; r++) {
		if (!is_named(r, q->name))
			continue;
		exists = true;
		if (r->type != q->type || answer->count == SIM_DNS_RECORDS)
			continue;
		if (r->type == DNS_MX)
			mx[answer->count] = (struct dns_mx){r->preference, span_str(r->value)};
		else
			CHECK(netaddr_parse_ip(span_str(r->value), &addresses[answer->count]) == 0);
		answer->count++;
	}
	answer->status = answer->count ? DNS_OK : exists ? DNS_NODATA : DNS_NXDOMAIN;
	if (!answer->count)
		return;
	if (q->type == DNS_MX)
		answer->mx = mx;
	else
		answer->addresses = addresses;
}

static void answer(void *arg)
{
	struct question *q = arg;
	struct netaddr addresses[SIM_DNS_RECORDS];
	struct dns_mx mx[SIM_DNS_RECORDS];
	struct dns_answer answer = {.ttl_s = 60};

	if (q->fails) {
		answer.status = DNS_TEMPORARY;
		answer.reason = SPAN("simulated failure");
	} else {
		fill(q, &answer, addresses, mx);
	}
	q->done(q->owner, &answer);
	free(q);
}

static void answer_fired(struct timer *timer)
{
	struct question *q = CONTAINER_OF(timer, struct question, timer);

	process_enter(q->dns->process, answer, q);
}

static int ask(struct dns *dns, struct span servers, struct span name, enum dns_type type,
	dns_done *done, void *owner, struct dns_question **out)
{
	struct sim_dns *d = (struct sim_dns *)(void *)dns;
	struct sim *sim = d->process->sim;
	struct question *q = calloc(1, sizeof(*q));
	(void)servers;

	CHECK(q && name.n <= DNS_NAME + 1);
	q->base.dns = dns;
	q->dns = d;
	memcpy(q->name, name.p, name.n);
	if (name.n && q->name[name.n - 1] == '.')
		q->name[name.n - 1] = '\0';
	q->type = type;
	q->done = done;
	q->owner = owner;
	q->timer.fire = answer_fired;
	q->fails = !sim->calm && sim_chance(sim, 30);
	if (q->fails)
		sim_fault(sim, FAULT_DNS);
	sim_arm(sim, &q->timer,
		q->fails ? sim_skewed(sim, DNS_TIMEOUT) : sim_skewed(sim, NS_PER_S));
	*out = &q->base;
	return 0;
}

static void cancel(struct dns_question **at)
{
	struct question *q = (struct question *)(void *)*at;

	*at = NULL;
	timers_disarm(&q->dns->process->sim->events, &q->timer);
	free(q);
}

static const struct dns_ops ops = {.ask = ask, .cancel = cancel};

struct dns *sim_dns_new(struct sim_process *process, const struct sim_dns_record *records)
{
	struct sim_dns *d = calloc(1, sizeof(*d));

	CHECK(d);
	d->base.ops = &ops;
	d->process = process;
	d->records = records;
	return &d->base;
}
