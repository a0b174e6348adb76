#include "sim_auth.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_auth {
	struct auth base; /* first */
	struct sim_process *process;
	struct sim_verifiers *verifiers;
};

struct question {
	struct auth_question base; /* first */
	struct sim_auth *auth;
	auth_done *done;
	void *owner;
	struct timer timer;
	struct auth_answer answer;
	char account[32];
};

static struct scram_verifier *verifier_of(struct sim_auth *a, int box)
{
	struct scram_verifier *v = &a->verifiers->scram[box];
	char password[32];
	uint8_t salt[SCRAM_SALT] = {(uint8_t)box, 1};
	int n = snprintf(password, sizeof(password), "secret of box%d", box);

	if (!v->iterations)
		CHECK(scram_verifier_make(span_of(password, (size_t)n), salt, SCRAM_SALT,
			      SCRAM_ITERATIONS_LEAST, v) == 0);
	return v;
}

/* -1: there is none of that name. */
static int box_of(struct span user)
{
	char name[32];

	for (int i = 0; i < AUTH_BOXES; i++) {
		snprintf(name, sizeof(name), "box%d@c.example", i);
		if (span_equal(user, span_str(name)))
			return i;
	}
	return -1;
}

static void set_salt(struct question *q, int box)
{
	const struct scram_verifier *v = verifier_of(q->auth, MAX(box, 0));

	q->answer.result = AUTH_YES;
	q->answer.iterations = v->iterations;
	q->answer.salt_bytes = v->salt_bytes;
	memcpy(q->answer.salt, v->salt, v->salt_bytes);
	if (box < 0)
		q->answer.salt[0] ^= 0x80;
}

static bool is_right(struct question *q, const struct auth_query *query, int box)
{
	char password[32];

	if (box < 0)
		return false;
	if (query->step == AUTH_SCRAM_PROOF)
		return scram_server_check(verifier_of(q->auth, box), query->auth_message,
			query->proof, q->answer.signature);
	snprintf(password, sizeof(password), "secret of box%d", box);
	return span_equal(query->password, span_str(password));
}

static void decide(struct question *q, const struct auth_query *query)
{
	struct sim *sim = q->auth->process->sim;
	int box = box_of(query->user);

	if (!sim->calm && sim_chance(sim, 30)) {
		q->answer.result = sim_chance(sim, 500) ? AUTH_BROKEN : AUTH_LATER;
	} else if (query->step == AUTH_SCRAM_SALT) {
		set_salt(q, box);
	} else if (is_right(q, query, box)) {
		q->answer.result = AUTH_YES;
		snprintf(q->account, sizeof(q->account), "box%d@c.example", box);
		q->answer.account = span_str(q->account);
	} else {
		q->answer.result = AUTH_NO;
		q->answer.delay_ms = sim_skewed(sim, 8000);
	}
}

static void answer(void *arg)
{
	struct question *q = arg;

	q->done(q->owner, &q->answer);
	free(q);
}

static void fired(struct timer *timer)
{
	struct question *q = CONTAINER_OF(timer, struct question, timer);

	process_enter(q->auth->process, answer, q);
}

static int ask(struct auth *auth, const struct auth_query *query, auth_done *done, void *owner,
	struct auth_question **out)
{
	struct sim_auth *a = (struct sim_auth *)(void *)auth;
	struct sim *sim = a->process->sim;

	if (!sim->calm && sim_chance(sim, 10))
		return sim_chance(sim, 500) ? ERR_CLOSED : ERR_LIMIT;
	struct question *q = calloc(1, sizeof(*q));

	CHECK(q);
	q->base.auth = auth;
	q->auth = a;
	q->done = done;
	q->owner = owner;
	q->timer.fire = fired;
	decide(q, query);
	if (!sim->calm && sim_chance(sim, 20)) {
		q->answer = (struct auth_answer){.result = AUTH_BROKEN};
		sim_arm(sim, &q->timer, AUTH_ASK_MS * NS_PER_MS);
	} else {
		sim_arm(sim, &q->timer, sim_skewed(sim, 2 * NS_PER_S));
	}
	*out = &q->base;
	return 0;
}

static void cancel(struct auth_question **at)
{
	struct question *q = (struct question *)(void *)*at;

	*at = NULL;
	timers_disarm(&q->auth->process->sim->events, &q->timer);
	free(q);
}

static const struct auth_ops ops = {.ask = ask, .cancel = cancel};

struct auth *sim_auth_new(struct sim_process *process, struct sim_verifiers *verifiers)
{
	struct sim_auth *a = calloc(1, sizeof(*a));

	CHECK(a);
	a->base.ops = &ops;
	a->process = process;
	a->verifiers = verifiers;
	return &a->base;
}
