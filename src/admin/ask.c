/*
 * Questions to the other roles. A question has a ticket that cannot be guessed, it is remembered
 * who was asked, and each gives one answer: a worker that was taken over answers for itself at
 * most.
 */
#include "admin/core.h"

#include "base/err.h"

#define TLS_ANSWER     (1u << 20) /* bytes of what the supervisor says of its files */
#define LOCKS_QUESTION 1024

static bool is_taken(struct admin *admin, uint32_t ticket)
{
	LIST_FOR_EACH(node, &admin->doors)
	if (CONTAINER_OF(node, struct door, node)->ticket == ticket)
		return true;
	return false;
}

void ask_begin(struct door *door, const struct asking *asking)
{
	struct admin *admin = door->admin;
	uint32_t ticket;

	do
		ticket = (uint32_t)io_random(admin->config.io) & ADMIN_TICKET;
	while (!ticket || is_taken(admin, ticket));
	door->ticket = ticket;
	door->asking = asking;
	door->awaited = 0;
	memset(door->asked, 0, sizeof(door->asked));
}

int ask_party(struct door *door, uint32_t party, enum admin_question question, struct span request)
{
	const struct admin_config *config = &door->admin->config;
	int err = config->ask(config->context, party, question, door->ticket, request);

	if (err)
		return err;
	door->asked[party] = true;
	door->awaited++;
	return 0;
}

int ask_tls_reload(struct door *door)
{
	const struct admin_config *config = &door->admin->config;
	int err = config->reload_tls ? config->reload_tls(config->context, door->ticket)
				     : ERR_UNSUPPORTED;

	if (err)
		return err;
	door->asked[ADMIN_SUPERVISOR] = true;
	door->awaited++;
	return 0;
}

static void late(struct timer *timer)
{
	struct door *door = CONTAINER_OF(timer, struct door, timer);

	door->awaited = 0;
	door->asking->late(door);
}

void ask_wait(struct door *door, uint64_t ms)
{
	door->timer.fire = late;
	if (!io_timer_after(door->admin->config.io, &door->timer, ms))
		return;
	door->awaited = 0;
	door_refuse(door, "out of memory");
}

/* What a role says goes into the reply as it is: it must be one JSON value. A worker talks to
 * strangers all day and is not believed. */
static bool is_json_object(struct span text)
{
	json_error_t error;

	if (!json_depth_fits(text))
		return false;
	json_t *value = json_loadb(text.n ? text.p : "", text.n, 0, &error);
	bool is = json_is_object(value);

	json_decref(value);
	return is && span_find(text, '\n') == text.n;
}

void admin_answer(struct admin *admin, uint32_t party, uint32_t ticket, struct span json)
{
	LIST_FOR_EACH(node, &admin->doors)
	{
		struct door *door = CONTAINER_OF(node, struct door, node);

		if (!door->busy || !door->awaited || door->ticket != ticket ||
			party >= ADMIN_PARTIES || !door->asked[party])
			continue;
		door->asked[party] = false;
		if (!--door->awaited)
			io_timer_stop(admin->config.io, &door->timer);
		door->asking->answered(door, party, is_json_object(json) ? json : SPAN_NONE);
		return;
	}
}

void admin_tls_reloaded(struct admin *admin, uint32_t ticket, bool done, struct span text)
{
	struct json_write json;
	struct buf answer;
	size_t line = span_find(text, '\n');

	buf_init(&answer, TLS_ANSWER);
	json_write_init(&json, &answer);
	json_open_object(&json, NULL);
	json_put_bool(&json, "done", done);
	json_put_string(&json, "text", span_of(text.p, line));
	put_lines(&json, "warnings", span_skip(text, MIN(line + 1, text.n)));
	json_close_object(&json);
	admin_answer(
		admin, ADMIN_SUPERVISOR, ticket, buf_ok(&answer) ? buf_span(&answer) : SPAN_NONE);
	buf_done(&answer);
}

/* ---- one question to one role, that a command asks by the way -------------------------------- */

static void hear(struct door *door, struct span json)
{
	void (*heard)(struct door *, struct span) = door->heard;

	door->heard = NULL;
	heard(door, json);
}

static void one_answered(struct door *door, uint32_t party, struct span json)
{
	(void)party;
	hear(door, json);
}

static void one_late(struct door *door)
{
	hear(door, SPAN_NONE);
}

static const struct asking by_the_way = {one_answered, one_late};

static void ask_one(struct door *door, uint32_t party, enum admin_question question,
	struct span request, void (*heard)(struct door *door, struct span json))
{
	ask_begin(door, &by_the_way);
	door->heard = heard;
	if (ask_party(door, party, question, request))
		hear(door, SPAN_NONE);
	else
		ask_wait(door, ADMIN_ANSWER_MS);
}

void door_ask(
	struct door *door, struct span request, void (*heard)(struct door *door, struct span json))
{
	ask_one(door, ADMIN_DELIVERY, ADMIN_ASK_QUEUE, request, heard);
}

void door_ask_locks(struct door *door, const struct keys_locks *question,
	void (*heard)(struct door *door, struct span json))
{
	struct buf request;

	buf_init(&request, LOCKS_QUESTION);
	keys_put_locks(&request, question);
	if (buf_ok(&request))
		ask_one(door, ADMIN_KEYS, ADMIN_ASK_LOCKS, buf_span(&request), heard);
	else
		door_refuse(door, err_text(ERR_NOMEM));
	buf_done(&request);
}

/* Its answer has a ticket that nobody waits for. Where keys does not run, nothing is counted. */
void admin_lift(struct admin *admin, struct span account)
{
	const struct keys_locks question = {.op = KEYS_LOCKS_LIFT, .account = account};
	const uint32_t nobody = 0;
	struct buf request;

	buf_init(&request, LOCKS_QUESTION);
	keys_put_locks(&request, &question);
	if (buf_ok(&request))
		(void)admin->config.ask(admin->config.context, ADMIN_KEYS, ADMIN_ASK_LOCKS, nobody,
			buf_span(&request));
	buf_done(&request);
}
