#include "sim_dns.h"

#include "base/check.h"
#include "base/err.h"
#include "sim_trust.h"

#include <stdio.h>
#include <stdlib.h>

#define DNS_TIMEOUT (20 * NS_PER_S)

struct sim_dns {
	struct dns base; /* first */
	struct sim_process *process;
	struct sim_trust *trust;
	const struct sim_dns_record *records;
};

/* What an answer points to. */
struct answers {
	struct netaddr addresses[SIM_DNS_RECORDS];
	struct dns_mx mx[SIM_DNS_RECORDS];
	struct span rdata[SIM_DNS_RECORDS];
	uint8_t tlsa[TRUST_TLSA][3 + TLS_HASH_BYTES];
	char text[256];
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

/* One string of a TXT record as it lies in one. */
static struct span put_text(struct answers *a, const char *text)
{
	int n = snprintf(a->text, sizeof(a->text), "%c%s", (char)strlen(text), text);

	return span_of(a->text, (size_t)n);
}

static bool fill_tlsa(const struct question *q, struct dns_answer *answer, struct answers *a)
{
	int count = sim_trust_tlsa(q->dns->trust, q->name, a->tlsa);

	for (int i = 0; i < count; i++)
		a->rdata[answer->count++] = span_of((const char *)a->tlsa[i], sizeof(a->tlsa[i]));
	return count >= 0;
}

/* Does its domain say that it has a policy? */
static bool fill_policy(const struct question *q, struct dns_answer *answer, struct answers *a)
{
	static const char prefix[] = "_mta-sts.";
	size_t n = sizeof(prefix) - 1;
	char text[64];
	const struct sim_sts *sts = strncasecmp(q->name, prefix, n) == 0
					    ? sim_trust_sts(q->dns->trust, span_str(q->name + n))
					    : NULL;

	if (!sts || sts->mode == STS_ABSENT)
		return sts != NULL;
	snprintf(text, sizeof(text), "v=STSv1; id=%u;", sts->id);
	a->rdata[answer->count++] = put_text(a, text);
	return true;
}

/* Where somebody else answers: to himself, or that there is nothing. */
static void forge(const struct question *q, struct dns_answer *answer, struct answers *a)
{
	answer->status = DNS_OK;
	answer->count = 1;
	if (q->type == DNS_MX) {
		a->mx[0] = (struct dns_mx){1, SPAN(TRUST_EVIL_HOST)};
		answer->mx = a->mx;
	} else if (q->type == DNS_A) {
		CHECK(netaddr_parse_ip(SPAN(TRUST_EVIL_ADDRESS), &a->addresses[0]) == 0);
		answer->addresses = a->addresses;
	} else {
		answer->status = DNS_NXDOMAIN;
		answer->count = 0;
	}
}

static void fill(const struct question *q, struct dns_answer *answer, struct answers *a)
{
	bool exists = q->type == DNS_TLSA && fill_tlsa(q, answer, a);

	exists = exists || (q->type == DNS_TXT && fill_policy(q, answer, a));

	for (const struct sim_dns_record *r = q->dns->records; r->name; r++) {
		if (!is_named(r, q->name))
			continue;
		exists = true;
		if (r->type != q->type || answer->count == SIM_DNS_RECORDS)
			continue;
		if (r->type == DNS_MX)
			a->mx[answer->count] = (struct dns_mx){r->preference, span_str(r->value)};
		else if (q->type == DNS_TXT)
			a->rdata[answer->count] = put_text(a, r->value);
		else
			CHECK(netaddr_parse_ip(span_str(r->value), &a->addresses[answer->count]) ==
				0);
		answer->count++;
	}
	answer->status = answer->count ? DNS_OK : exists ? DNS_NODATA : DNS_NXDOMAIN;
	if (!answer->count)
		return;
	if (q->type == DNS_MX)
		answer->mx = a->mx;
	else if (q->type == DNS_TXT || q->type == DNS_TLSA)
		answer->rdata = a->rdata;
	else
		answer->addresses = a->addresses;
}

static bool is_blocked(const struct question *q)
{
	const struct sim_sts *sts = q->type == DNS_TXT && strncasecmp(q->name, "_mta-sts.", 9) == 0
					    ? sim_trust_sts(q->dns->trust, span_str(q->name + 9))
					    : NULL;

	return sts && sts->blocked;
}

static void answer(void *arg)
{
	struct question *q = arg;
	struct answers answers;
	struct dns_answer answer = {.ttl_s = 60, .secure = sim_trust_is_signed(q->name)};
	bool forged = !q->fails && sim_trust_forges(q->dns->trust, q->name);

	if (q->fails || is_blocked(q)) {
		answer.status = DNS_TEMPORARY;
		answer.reason = SPAN("simulated failure");
	} else if (forged && answer.secure) {
		answer.status = DNS_BOGUS;
		answer.reason = SPAN("simulated forgery");
	} else if (forged) {
		forge(q, &answer, &answers);
	} else {
		fill(q, &answer, &answers);
	}
	if (forged)
		sim_fault(q->dns->process->sim, FAULT_ATTACK);
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

struct dns *sim_dns_new(
	struct sim_process *process, struct sim_trust *trust, const struct sim_dns_record *records)
{
	struct sim_dns *d = calloc(1, sizeof(*d));

	CHECK(d);
	d->base.ops = &ops;
	d->process = process;
	d->records = records;
	d->trust = trust;
	return &d->base;
}
