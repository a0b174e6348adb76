/* Whoever knows passwords, and whoever knows next hops, in the world. */
#include "world.h"

#include "base/check.h"

#include <stdlib.h>

struct question {
	struct auth_question question; /* first */
	struct list node;
	struct world *world;
	auth_done *done;
	void *owner;
	enum auth_step step;
	char user[AUTH_USER], password[AUTH_PASSWORD];
	size_t user_bytes, password_bytes;
	char auth_message[3 * SCRAM_MESSAGE];
	size_t auth_message_bytes;
	uint8_t proof[SCRAM_HASH];
};

static const uint8_t salt[SCRAM_SALT] = "salt and pepper";

/* Of "secret": SCRAM_ITERATIONS_LEAST, and this salt. */
static void make_verifier(struct scram_verifier *out)
{
	CHECK(scram_verifier_make(
		      SPAN("secret"), salt, sizeof(salt), SCRAM_ITERATIONS_LEAST, out) == 0);
}

static int fake_ask(struct auth *auth, const struct auth_query *query, auth_done *done, void *owner,
	struct auth_question **out)
{
	struct world *world = CONTAINER_OF(auth, struct world, auth.auth);

	if (world->auth.err)
		return world->auth.err;
	struct question *q = calloc(1, sizeof(*q));
	CHECK(q && query->user.n && query->user.n <= AUTH_USER);
	CHECK(query->password.n <= AUTH_PASSWORD &&
		query->auth_message.n <= sizeof(q->auth_message));
	CHECK(query->listener.n);
	*q = (struct question){.question.auth = auth,
		.world = world,
		.done = done,
		.owner = owner,
		.step = query->step};
	q->user_bytes = query->user.n;
	memcpy(q->user, query->user.p, query->user.n);
	if (query->password.n)
		memcpy(q->password, query->password.p, query->password.n);
	q->password_bytes = query->password.n;
	if (query->auth_message.n)
		memcpy(q->auth_message, query->auth_message.p, query->auth_message.n);
	q->auth_message_bytes = query->auth_message.n;
	memcpy(q->proof, query->proof, sizeof(q->proof));
	list_push_back(&world->auth.questions, &q->node);
	world->auth.asked++;
	world->auth.client = query->client;
	world->auth.listener = query->listener;
	memcpy(world->auth.user, q->user, q->user_bytes);
	world->auth.user[q->user_bytes] = '\0';
	*out = &q->question;
	return 0;
}

static void fake_cancel(struct auth_question **question)
{
	struct question *q = (struct question *)(void *)*question;

	list_remove(&q->node);
	free(q);
	*question = NULL;
}

static const struct auth_ops auth_ops = {fake_ask, fake_cancel};

static bool is_known(struct span user)
{
	return span_equal(user, SPAN("ann@c.example")) || span_equal(user, SPAN("joe@c.example"));
}

static bool is_right(const struct question *q, struct auth_answer *answer)
{
	struct span user = span_of(q->user, q->user_bytes);
	struct scram_verifier verifier;

	switch (q->step) {
	case AUTH_BY_PASSWORD:
		return is_known(user) &&
		       span_equal(span_of(q->password, q->password_bytes), SPAN("secret"));
	case AUTH_SCRAM_SALT:
		answer->iterations = SCRAM_ITERATIONS_LEAST;
		answer->salt_bytes = sizeof(salt);
		memcpy(answer->salt, salt, sizeof(salt));
		return true;
	case AUTH_SCRAM_PROOF: break;
	}
	make_verifier(&verifier);
	return scram_server_check(&verifier, span_of(q->auth_message, q->auth_message_bytes),
		       q->proof, answer->signature) &&
	       is_known(user);
}

static void answer_one(struct world *world, struct question *q)
{
	struct auth_answer answer = {.result = world->auth.result};

	if (answer.result == AUTH_YES && !is_right(q, &answer))
		answer.result = AUTH_NO;
	if (answer.result == AUTH_YES)
		answer.account = span_of(q->user, q->user_bytes);
	if (answer.result == AUTH_NO)
		answer.delay_ms = world->auth.delay_ms;
	list_remove(&q->node);
	q->done(q->owner, &answer);
	free(q);
}

/* ---- next hops ------------------------------------------------------------------------------ */

struct asked_hops {
	struct hops_question question; /* first */
	struct list node;
	hops_done *done;
	void *owner;
};

static int fake_hops_ask(struct hops *hops, struct span transport, struct span domain,
	hops_done *done, void *owner, struct hops_question **out)
{
	struct world *world = CONTAINER_OF(hops, struct world, hops.hops);

	CHECK(transport.n && domain.n);
	if (world->hops.err)
		return world->hops.err;
	struct asked_hops *q = calloc(1, sizeof(*q));
	CHECK(q);
	*q = (struct asked_hops){.question.hops = hops, .done = done, .owner = owner};
	list_push_back(&world->hops.questions, &q->node);
	world->hops.asked++;
	*out = &q->question;
	return 0;
}

static void fake_hops_cancel(struct hops_question **question)
{
	struct asked_hops *q = (struct asked_hops *)(void *)*question;

	list_remove(&q->node);
	free(q);
	*question = NULL;
}

static const struct hops_ops hops_ops = {fake_hops_ask, fake_hops_cancel};

bool world_answer(struct world *world)
{
	const struct hops_answer hops = {world->hops.known, &world->hops.address, 1};
	bool asked = false;

	LIST_FOR_EACH(node, &world->auth.questions)
	{
		if (world->auth.hold)
			break;
		answer_one(world, CONTAINER_OF(node, struct question, node));
		asked = true;
	}
	LIST_FOR_EACH(node, &world->hops.questions)
	{
		struct asked_hops *q = CONTAINER_OF(node, struct asked_hops, node);

		if (world->hops.hold)
			break;
		list_remove(&q->node);
		q->done(q->owner, &hops);
		free(q);
		asked = true;
	}
	return asked;
}

void world_auth_init(struct world *world)
{
	world->auth.auth.ops = &auth_ops;
	world->hops.hops.ops = &hops_ops;
	list_init(&world->auth.questions);
	list_init(&world->hops.questions);
}
