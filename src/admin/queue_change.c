/*
 * Changes of the queue. Delivery carries them out, a step at a time; admin asks for step after step
 * and puts one line into the audit for all of them: who, what, which messages, how many.
 *
 * By a filter, a reply comes after CHANGE_SLICE_MS at the latest: with "after", from where the same
 * request goes on, and, where delivery cannot go on at the moment, with "busy", its reason.
 */
#include "admin/core.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define CHANGE_SLICE_MS 5000
#define CHANGE_WORDS	4096 /* bytes of a line of the audit */
#define CHANGE_FILTER	1500 /* of its filter, and of its reason */
#define CHANGE_IDS	20   /* that it names */

struct queue_change {
	json_t *sum; /* the reply so far */
	uint64_t began_ns;
	bool by_filter, dry, audited;
	char after[TEXT_ID_LENGTH + 1];
};

static const char *const counted[] = {"messages", "units", "recipients", "other_recipients",
	"messages_with_others", "active", "paused", "held"};

bool queue_is_change(struct span op)
{
	static const char *const ops[] = {"retry", "hold", "release", "reroute", "bounce", "delete",
		"prioritise", "unprioritise", "probe"};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (span_equal(op, span_str(ops[i])))
			return true;
	return false;
}

/* ---- the audit ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void add_count(struct buf *words, json_int_t n, const char *what)
{
	buf_printf(words, "%lld %s%s", (long long)n, what, n == 1 ? "" : "s");
}

/* Which messages: a filter, ids, or what is probed. */
static void add_which(struct buf *words, const json_t *request)
{
	const json_t *ids = json_object_get(request, "ids");
	size_t count = json_array_size(ids);

	buf_printf(words, " %.*s", CHANGE_FILTER, text_of(request, "filter"));
	buf_add_str(words, text_of(request, "id"));
	buf_printf(words, "%.*s", CHANGE_FILTER, text_of(request, "destination"));
	for (size_t i = 0; i < count && i < CHANGE_IDS; i++) {
		const char *id = json_string_value(json_array_get(ids, i));

		buf_printf(words, "%s%.*s", i ? ", " : "", TEXT_ID_LENGTH, id ? id : "?");
	}
	if (count > CHANGE_IDS)
		buf_printf(words, " and %zu more", count - CHANGE_IDS);
}

/* "queue reroute domain=a.example to u: 3 messages, 4 recipients (they move)" */
static void add_words(struct buf *words, const json_t *request, const json_t *reply)
{
	const json_t *to = json_object_get(request, "transport");

	buf_printf(words, "queue %s", text_of(request, "op"));
	add_which(words, request);
	if (json_is_string(to))
		buf_printf(words, " to %s",
			*json_string_value(to) ? json_string_value(to) : "its own transport");
	buf_add_str(words, ": ");
	if (json_object_get(reply, "probed")) {
		add_count(words, number_of(reply, "probed"), "destination");
	} else {
		add_count(words, number_of(reply, "messages"), "message");
		buf_add_str(words, ", ");
		add_count(words, number_of(reply, "recipients"), "recipient");
	}
	if (*text_of(request, "reason"))
		buf_printf(words, " (%.*s)", CHANGE_FILTER, text_of(request, "reason"));
}

/* What was done, if anything was. What cannot be noted is told, as it was done all the same. */
static void audit(struct door *door)
{
	struct queue_change *change = door->change;
	struct admin *admin = door->admin;
	const json_t *request = json_object_get(door->request, "request");
	struct buf words, why;

	if (change->audited || change->dry ||
		!(number_of(change->sum, "messages") || number_of(change->sum, "probed")))
		return;
	change->audited = true;
	buf_init(&words, CHANGE_WORDS);
	buf_init(&why, CHANGE_WORDS);
	add_words(&words, request, change->sum);
	int err = store_note(directory_store(admin->directory), span_str(door->actor),
		admin->config.io->wall_ms, buf_span(&words), &why);
	if (err) {
		log_write(admin->config.log, LOG_ERROR, "the audit cannot be written",
			LOG_SPAN("change", buf_span(&words)), LOG_SPAN("why", buf_span(&why)));
		json_object_set_new(
			change->sum, "warnings", json_pack("[s%]", why.n ? why.p : "", why.n));
	}
	buf_done(&why);
	buf_done(&words);
}

void queue_change_forget(struct door *door)
{
	if (!door->change)
		return;
	audit(door);
	json_decref(door->change->sum);
	free(door->change);
	door->change = NULL;
}

/* ---- steps ---------------------------------------------------------------------------------- */

static void finish(struct door *door)
{
	struct queue_change *change = door->change;

	audit(door);
	if (change->by_filter && change->after[0])
		json_object_set_new(change->sum, "after", json_string(change->after));
	char *text = json_dumps(change->sum, JSON_COMPACT);

	if (text) {
		buf_clear(&door->out);
		buf_add_str(&door->out, text);
		free(text);
		door_reply(door);
	} else {
		door_refuse(door, err_text(ERR_NOMEM));
	}
}

/* Of the whole only when it is the beginning: what was done before is not to be forgotten. */
static void stop(struct door *door, const char *why)
{
	struct queue_change *change = door->change;

	if (!change->after[0]) {
		door_refuse(door, why);
		return;
	}
	json_object_set_new(change->sum, "busy", json_string(why));
	finish(door);
}

static void ask_step(struct door *door);

static void add_up(struct queue_change *change, const json_t *reply)
{
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		json_object_set_new(change->sum, counted[i],
			json_integer(
				number_of(change->sum, counted[i]) + number_of(reply, counted[i])));
	if (change->dry)
		json_object_set_new(change->sum, "dry_run", json_true());
	snprintf(change->after, sizeof(change->after), "%s", text_of(reply, "after"));
}

static void heard(struct door *door, const json_t *reply)
{
	struct queue_change *change = door->change;

	if (json_object_get(reply, "error")) {
		stop(door, text_of(reply, "error"));
	} else if (!change->by_filter) {
		json_decref(change->sum);
		change->sum = json_deep_copy(reply);
		finish(door);
	} else {
		add_up(change, reply);
		if (change->after[0] && !door->gone &&
			door->admin->config.io->now_ns - change->began_ns <
				CHANGE_SLICE_MS * NS_PER_MS)
			ask_step(door);
		else
			finish(door);
	}
}

static void answered(struct door *door, uint32_t party, struct span json)
{
	json_error_t error;
	json_t *reply = json.n ? json_loadb(json.p, json.n, 0, &error) : NULL;

	(void)party;
	if (reply)
		heard(door, reply);
	else
		stop(door, QUEUE_UNREADABLE);
	json_decref(reply);
}

static void late(struct door *door)
{
	stop(door, QUEUE_LATE);
}

static const struct asking steps = {answered, late};

static void ask_step(struct door *door)
{
	json_t *request = json_object_get(door->request, "request");

	if (door->change->after[0])
		json_object_set_new(request, "after", json_string(door->change->after));
	int err = queue_ask(door, request, &steps);

	if (err)
		stop(door, queue_why_not(err));
}

void queue_change_begin(struct door *door, const json_t *request)
{
	struct queue_change *change = calloc(1, sizeof(*change));

	door->change = change;
	if (change)
		change->sum = json_object();
	if (!change || !change->sum) {
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	change->began_ns = door->admin->config.io->now_ns;
	change->by_filter = json_is_string(json_object_get(request, "filter"));
	change->dry = json_is_true(json_object_get(request, "dry_run"));
	if (change->by_filter)
		snprintf(change->after, sizeof(change->after), "%s", text_of(request, "after"));
	ask_step(door);
}
