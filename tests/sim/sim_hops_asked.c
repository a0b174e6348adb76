/* Where mail for a domain goes, asked by a worker: delivery's answer, or none. */
#include "sim_auth.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct sim_hops_asked {
	struct hops base; /* first */
	struct sim_process *process;
};

struct question {
	struct hops_question base; /* first */
	struct sim_hops_asked *hops;
	char domain[64];
	bool known;
	hops_done *done;
	void *owner;
	struct timer timer;
};

static void answer(void *arg)
{
	struct question *q = arg;
	struct netaddr address;
	struct hops_answer answer = {.known = q->known, .addresses = &address};
	const char *text = strcmp(q->domain, "z.example") == 0	 ? "192.0.2.80"
			   : strcmp(q->domain, "y.example") == 0 ? "192.0.2.81"
								 : NULL;

	if (q->known && text) {
		CHECK(netaddr_parse_ip(span_str(text), &address) == 0);
		answer.count = 1;
	}
	q->done(q->owner, &answer);
	free(q);
}

static void fired(struct timer *timer)
{
	struct question *q = CONTAINER_OF(timer, struct question, timer);

	process_enter(q->hops->process, answer, q);
}

static int ask(struct hops *hops, struct span transport, struct span domain, hops_done *done,
	void *owner, struct hops_question **out)
{
	struct sim_hops_asked *h = (struct sim_hops_asked *)(void *)hops;
	struct sim *sim = h->process->sim;
	(void)transport;

	if (!sim->calm && sim_chance(sim, 20))
		return sim_chance(sim, 500) ? ERR_CLOSED : ERR_LIMIT;
	struct question *q = calloc(1, sizeof(*q));

	CHECK(q);
	q->base.hops = hops;
	q->hops = h;
	memcpy(q->domain, domain.p, MIN(domain.n, sizeof(q->domain) - 1));
	q->known = sim->calm || !sim_chance(sim, 200);
	q->done = done;
	q->owner = owner;
	q->timer.fire = fired;
	sim_arm(sim, &q->timer, sim_skewed(sim, HOPS_ASK_MS * NS_PER_MS));
	*out = &q->base;
	return 0;
}

static void cancel(struct hops_question **at)
{
	struct question *q = (struct question *)(void *)*at;

	*at = NULL;
	timers_disarm(&q->hops->process->sim->events, &q->timer);
	free(q);
}

static const struct hops_ops ops = {.ask = ask, .cancel = cancel};

struct hops *sim_hops_asked_new(struct sim_process *process)
{
	struct sim_hops_asked *h = calloc(1, sizeof(*h));

	CHECK(h);
	h->base.ops = &ops;
	h->process = process;
	return &h->base;
}
