/*
 * Queue work for administrators: one JSON object in, one out. The same requests serve the command
 * line, and later the API and the console.
 *
 *   {"op":"list",    "filter":F, "after":ID, "limit":N}   messages with their units and why
 *   {"op":"show",    "id":ID}                              one message, all that is known
 *   {"op":"summary", "by":"destination"|"transport", "after":N}
 *   {"op":"status"}
 *   {"op":"retry"|"hold"|"release"|"reroute"|"bounce"|"delete"|"prioritise"|"unprioritise",
 *    "id":ID or "filter":F, "after":ID, "by":TEXT, "reason":TEXT, "transport":NAME}
 *
 * A reply that does not reach the end of the queue has "after": the same request with it goes on.
 * What cannot be done: {"error":TEXT}.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/json_write.h"
#include "base/text.h"
#include "delivery/core.h"
#include "delivery/why_text.h"
#include "queue/filter.h"

#include <jansson.h>
#include <stdlib.h>

#define CONTROL_HITS	  4096	     /* units that one call may find */
#define CONTROL_LIST_MOST 500	     /* messages in one listing */
#define CONTROL_LIST	  100	     /* … unless asked for otherwise */
#define CONTROL_LIST_STEP 20	     /* messages between two looks at how long the reply is */
#define CONTROL_RCPTS	  1000	     /* recipients shown of one unit in a listing */
#define CONTROL_TEXT	  1000	     /* bytes of a reason or a name of an administrator */
#define CONTROL_PAGE	  (8u << 20) /* bytes of a listing; then "after" says how to go on */

struct control {
	struct delivery *d;
	json_t *request;
	struct json_write json;
	struct buf *reply;
	struct buf bytes; /* of the envelope that was read last */
	struct arena arena;
	struct envelope envelope;
	uint64_t envelope_id;
};

static void refuse(struct control *c, const char *text)
{
	buf_clear(c->reply);
	json_write_init(&c->json, c->reply);
	json_open_object(&c->json, NULL);
	json_put_str(&c->json, "error", text);
	json_close_object(&c->json);
}

static struct span text_of(const struct control *c, const char *key)
{
	const json_t *value = json_object_get(c->request, key);
	size_t n = json_string_length(value);

	return n && n <= FILTER_BYTES ? span_of(json_string_value(value), n) : SPAN_NONE;
}

static int read_envelope(struct control *c, uint64_t id)
{
	if (c->envelope_id == id)
		return 0;
	c->envelope_id = 0;
	buf_clear(&c->bytes);
	arena_reset(&c->arena);
	int err = delivery_envelope(c->d, id, &c->bytes, &c->arena, &c->envelope);

	if (!err)
		c->envelope_id = id;
	return err;
}

static int load_subject(struct filter_subject *subject)
{
	struct control *c = subject->context;
	int err = read_envelope(c, subject->id);

	if (err)
		return err;
	subject->sender = c->envelope.sender;
	subject->client = c->envelope.client;
	subject->all_rcpts = c->envelope.rcpts;
	return 0;
}

/* ---- what a message looks like -------------------------------------------------------------- */

static void put_verdict(struct json_write *json, const char *key, const struct verdict *verdict)
{
	struct buf text;

	buf_init(&text, 4096);
	why_add_verdict(&text, verdict);
	json_put_string(json, key, buf_span(&text));
	buf_done(&text);
}

static void put_recipients(struct control *c, const struct queue_unit_info *unit, uint32_t most)
{
	json_open_array(&c->json, "recipients");
	for (uint32_t i = 0; i < unit->rcpt_count && i < most; i++)
		if (c->envelope_id == unit->id && unit->rcpts[i] < c->envelope.rcpt_count)
			json_put_string(&c->json, NULL, c->envelope.rcpts[unit->rcpts[i]].address);
	json_close_array(&c->json);
	json_put_u64(&c->json, "recipient_count", unit->rcpt_count);
}

static void put_why(struct control *c, const struct queue_unit_info *unit)
{
	struct queue_why why;
	struct buf text;

	if (queue_why(c->d->queue, unit->unit, delivery_now(c->d), &why))
		return;
	buf_init(&text, 8192);
	why_text(&why, unit->transport, unit->next_hop, &text);
	json_put_str(&c->json, "blocker", why_kind_name(why.kind));
	json_put_string(&c->json, "why", buf_span(&text));
	if (why.since_ms)
		json_put_time(&c->json, "since", why.since_ms);
	if (why.until_ms)
		json_put_time(&c->json, "until", why.until_ms);
	if (why.own_until_ms)
		json_put_time(&c->json, "own_retry", why.own_until_ms);
	if (why.behind)
		json_put_u64(&c->json, "behind", why.behind);
	if (why.has_verdict)
		put_verdict(&c->json, "last_reply", &why.verdict);
	buf_done(&text);
}

static void put_unit(struct control *c, const struct queue_unit_info *unit, uint32_t rcpts_most)
{
	json_open_object(&c->json, NULL);
	json_put_str(&c->json, "state", queue_state_name(unit->state));
	json_put_string(&c->json, "transport", unit->transport);
	if (unit->next_hop.n)
		json_put_string(&c->json, "next_hop", unit->next_hop);
	if (unit->reroute.n)
		json_put_string(&c->json, "rerouted_to", unit->reroute);
	put_recipients(c, unit, rcpts_most);
	json_put_u64(&c->json, "attempts", unit->attempts);
	json_put_bool(&c->json, "priority", unit->priority);
	if (unit->next_try_ms)
		json_put_time(&c->json, "next_try", unit->next_try_ms);
	put_why(c, unit);
	json_close_object(&c->json);
}

static void put_message_head(struct control *c, const struct queue_message_info *info)
{
	json_put_id(&c->json, "id", info->id);
	json_put_time(&c->json, "arrived", info->arrived_ms);
	json_put_u64(&c->json, "size", info->size);
	if (read_envelope(c, info->id)) {
		json_put_str(&c->json, "problem", "its envelope cannot be read from the spool");
		return;
	}
	json_put_string(&c->json, "sender", c->envelope.sender);
	if (c->envelope.client.family != NETADDR_NONE) {
		struct buf text;

		buf_init(&text, 128);
		netaddr_add_ip(&text, &c->envelope.client);
		json_put_string(&c->json, "client", buf_span(&text));
		buf_done(&text);
	}
}

/* ---- list and show -------------------------------------------------------------------------- */

static struct filter *parse_filter(struct control *c)
{
	struct filter *filter = NULL;
	struct buf problem;

	buf_init(&problem, 4096);
	if (filter_parse(text_of(c, "filter"), &filter, &problem)) {
		struct buf text;

		buf_init(&text, 8192);
		buf_add_str(&text, "the filter cannot be read: ");
		while (problem.n && problem.p[problem.n - 1] == '\n')
			problem.n--;
		buf_add_span(&text, buf_span(&problem));
		buf_add_char(&text, '\0');
		refuse(c, buf_ok(&text) ? text.p : "the filter cannot be read");
		buf_done(&text);
		filter = NULL;
	}
	buf_done(&problem);
	return filter;
}

static bool parse_after(struct control *c, uint64_t *after)
{
	struct span text = text_of(c, "after");

	*after = 0;
	if (!text.n || !text_parse_id(text, after))
		return true;
	refuse(c, "after: not an id");
	return false;
}

static void put_after(struct control *c, uint64_t cursor)
{
	if (cursor != UINT64_MAX)
		json_put_id(&c->json, "after", cursor);
}

static void op_list(struct control *c)
{
	struct delivery *d = c->d;
	json_int_t limit = json_integer_value(json_object_get(c->request, "limit"));
	uint64_t cursor;
	struct filter *filter = parse_filter(c);

	if (!filter)
		return;
	struct filter_hit *hits = calloc(CONTROL_HITS, sizeof(*hits));
	if (!hits || !parse_after(c, &cursor)) {
		if (!hits)
			refuse(c, "out of memory");
		free(hits);
		filter_free(&filter);
		return;
	}
	uint32_t most = limit > 0 && limit <= CONTROL_LIST_MOST ? (uint32_t)limit : CONTROL_LIST;
	uint64_t only = filter_single_id(filter);
	uint32_t shown = 0;

	if (only && cursor < only)
		cursor = only - 1;
	json_open_object(&c->json, NULL);
	json_open_array(&c->json, "messages");
	/* A small step each, so that the listing can end after `most` messages exactly. */
	for (uint32_t looked = 0; looked < DELIVERY_CONTROL_STEP && shown < most &&
				  c->reply->n < CONTROL_PAGE && cursor != UINT64_MAX;) {
		uint32_t step = MIN(most - shown, DELIVERY_CONTROL_STEP - looked);
		/* Messages that may have thousands of recipients come a few at a time. */
		step = MIN(step, CONTROL_LIST_STEP);
		size_t count = filter_select(filter, d->queue, delivery_now(d), &cursor, step,
			load_subject, c, hits, CONTROL_HITS);

		looked += step;
		for (size_t i = 0; i < count;) {
			struct queue_message_info info;
			uint64_t id = hits[i].id;

			CHECK(!queue_message_info(d->queue, id, &info));
			json_open_object(&c->json, NULL);
			put_message_head(c, &info);
			json_open_array(&c->json, "units");
			for (; i < count && hits[i].id == id; i++) {
				struct queue_unit_info unit;

				if (!queue_unit_info(
					    d->queue, hits[i].unit, delivery_now(d), &unit))
					put_unit(c, &unit, CONTROL_RCPTS);
			}
			json_close_array(&c->json);
			json_close_object(&c->json);
			shown++;
		}
		if (only && cursor >= only)
			cursor = UINT64_MAX;
	}
	json_close_array(&c->json);
	put_after(c, cursor);
	json_close_object(&c->json);
	free(hits);
	filter_free(&filter);
}

static void put_envelope(struct control *c)
{
	const struct envelope *e = &c->envelope;

	json_put_string(&c->json, "helo", e->helo);
	json_put_string(&c->json, "listener", e->listener);
	json_put_string(&c->json, "protocol", e->protocol);
	if (e->envid.n)
		json_put_string(&c->json, "envid", e->envid);
	json_put_u64(&c->json, "hops", e->hops);
	json_put_bool(&c->json, "notification", (e->flags & ENVELOPE_DSN) != 0);
	json_put_bool(&c->json, "smtputf8", (e->flags & ENVELOPE_SMTPUTF8) != 0);
	json_put_bool(&c->json, "8bit", (e->flags & ENVELOPE_BODY_8BIT) != 0);
	json_put_bool(&c->json, "binary", (e->flags & ENVELOPE_BINARYMIME) != 0);
	json_put_string(&c->json, "added_header", e->prepend);
	json_put_u64(&c->json, "header_bytes", e->header_bytes);
}

static void op_show(struct control *c)
{
	struct delivery *d = c->d;
	struct queue_message_info info;
	uint64_t id;

	if (text_parse_id(text_of(c, "id"), &id)) {
		refuse(c, "id: a message's id is needed, 13 letters and digits");
		return;
	}
	if (queue_message_info(d->queue, id, &info)) {
		refuse(c, "no such message in the queue; posternctl trace tells what became of it");
		return;
	}
	json_open_object(&c->json, NULL);
	put_message_head(c, &info);
	if (c->envelope_id == id)
		put_envelope(c);
	json_put_u64(&c->json, "recipients_at_first", info.rcpt_count);
	json_put_u64(&c->json, "recipients_waiting", info.waiting);
	json_open_array(&c->json, "units");
	for (uint32_t at = info.first_unit; at;) {
		struct queue_unit_info unit;

		if (queue_unit_info(d->queue, at, delivery_now(d), &unit))
			break;
		put_unit(c, &unit, UINT32_MAX);
		at = unit.next;
	}
	json_close_array(&c->json);
	json_close_object(&c->json);
}

/* ---- summaries ------------------------------------------------------------------------------ */

static void put_counts(struct json_write *json, const struct queue_counts *counts)
{
	for (int state = 0; state < QUEUE_STATES; state++)
		json_put_u64(json, queue_state_name((enum queue_state)state), counts->units[state]);
}

static void op_summary(struct control *c)
{
	struct delivery *d = c->d;
	struct span by = text_of(c, "by");
	uint32_t at = (uint32_t)json_integer_value(json_object_get(c->request, "after"));
	uint32_t left = CONTROL_LIST_MOST;
	bool more = false;

	json_open_object(&c->json, NULL);
	json_open_array(&c->json, "groups");
	if (span_equal(by, SPAN("transport"))) {
		struct queue_transport_info info;

		while (!(more = left-- == 0) && !queue_transport_info(d->queue, at, &info)) {
			json_open_object(&c->json, NULL);
			json_put_string(&c->json, "transport", info.name);
			json_put_u64(&c->json, "destinations", info.destinations);
			json_put_u64(&c->json, "destinations_down", info.down);
			put_counts(&c->json, &info.counts);
			json_close_object(&c->json);
			at++;
		}
	} else {
		struct queue_destination_info info;

		while (!(more = left-- == 0) && !queue_destination_next(d->queue, at, &info)) {
			json_open_object(&c->json, NULL);
			json_put_string(&c->json, "transport", info.transport);
			if (info.next_hop.n)
				json_put_string(&c->json, "next_hop", info.next_hop);
			put_counts(&c->json, &info.counts);
			json_put_bool(&c->json, "is_down", info.down);
			if (info.down_since_ms)
				json_put_time(&c->json, "down_since", info.down_since_ms);
			if (info.down && info.next_probe_ms)
				json_put_time(&c->json, "next_probe", info.next_probe_ms);
			if (info.has_verdict)
				put_verdict(&c->json, "last_failure", &info.verdict);
			json_put_u64(&c->json, "limit", info.limit);
			json_close_object(&c->json);
			at = info.destination;
		}
	}
	json_close_array(&c->json);
	if (more)
		json_put_u64(&c->json, "after", at);
	json_close_object(&c->json);
}

static void op_status(struct control *c)
{
	struct delivery *d = c->d;
	static const char *const health[] = {"well", "full", "sick"};
	struct delivery_figures figures;
	struct spool_figures spool;
	struct queue_counts counts;

	delivery_figures(d, &figures);
	spool_store_figures(d->store, &spool);
	queue_totals(d->queue, &counts);
	json_open_object(&c->json, NULL);
	json_put_bool(&c->json, "loaded", d->loaded);
	json_put_str(&c->json, "journal", health[d->journal]);
	json_open_object(&c->json, "queue");
	json_put_u64(&c->json, "messages", counts.messages);
	put_counts(&c->json, &counts);
	json_put_u64(&c->json, "memory_bytes", figures.queue_bytes);
	json_close_object(&c->json);
	json_open_object(&c->json, "delivery");
	json_put_u64(&c->json, "attempts", figures.attempts);
	json_put_u64(&c->json, "delivered", figures.delivered);
	json_put_u64(&c->json, "deferred", figures.deferred);
	json_put_u64(&c->json, "failed", figures.failed);
	json_put_u64(&c->json, "expired", figures.expired);
	json_put_u64(&c->json, "discarded", figures.discarded);
	json_put_u64(&c->json, "notifications", figures.notifications);
	json_put_u64(&c->json, "connections", figures.connections);
	json_put_u64(&c->json, "sessions_now", figures.sessions_now);
	json_close_object(&c->json);
	json_open_object(&c->json, "spool");
	json_put_u64(&c->json, "files", spool.files);
	json_put_u64(&c->json, "file_bytes", spool.file_bytes);
	json_put_u64(&c->json, "live_bytes", spool.live_bytes);
	json_put_u64(&c->json, "journal_syncs", spool.syncs);
	json_put_u64(&c->json, "journal_bytes", spool.bytes_written);
	json_close_object(&c->json);
	json_close_object(&c->json);
}

/* ---- changes -------------------------------------------------------------------------------- */

static int change_one(struct control *c, struct span op, uint64_t id, uint32_t unit)
{
	struct delivery *d = c->d;
	struct queue *queue = d->queue;
	struct span by = text_of(c, "by"), reason = text_of(c, "reason");
	int64_t now = delivery_now(d);
	struct verdict verdict;

	by.n = MIN(by.n, CONTROL_TEXT);
	reason.n = MIN(reason.n, CONTROL_TEXT);
	if (span_equal(op, SPAN("retry")))
		return queue_retry(queue, id, unit, now);
	if (span_equal(op, SPAN("hold")))
		return queue_hold(queue, id, unit, by, reason, now);
	if (span_equal(op, SPAN("release")))
		return queue_release(queue, id, unit, now);
	if (span_equal(op, SPAN("delete")))
		return queue_delete(queue, id, unit, now);
	if (span_equal(op, SPAN("prioritise")))
		return queue_prioritise(queue, id, unit, true, now);
	if (span_equal(op, SPAN("unprioritise")))
		return queue_prioritise(queue, id, unit, false, now);
	if (span_equal(op, SPAN("bounce"))) {
		verdict_set(&verdict, VERDICT_PERMANENT, 554, (struct enhanced_code){5, 7, 0},
			false,
			reason.n ? reason
				 : SPAN("returned by the administrator of the mail gateway"));
		return queue_bounce(queue, id, unit, &verdict, now);
	}
	int err = read_envelope(c, id);

	return err ? err : queue_reroute(queue, &c->envelope, unit, text_of(c, "transport"), now);
}

/* Before what follows from it is told. Its envelope was read before, as it may be gone now. */
static void tell_action(struct control *c, struct span op, uint64_t id)
{
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.id = id,
		.wall_ms = delivery_now(c->d),
		.action = op,
		.actor = text_of(c, "by"),
		.reason = text_of(c, "reason"),
		.transport = text_of(c, "transport"),
	};

	if (c->envelope_id == id) {
		event.sender = c->envelope.sender;
		event.sender_known = true;
	}
	event_emit(c->d->config.events, &event);
}

static void refuse_change(struct control *c, struct span op, int err)
{
	if (err == ERR_NOT_FOUND && span_equal(op, SPAN("release")))
		refuse(c, "nothing of that message is held");
	else if (err == ERR_CORRUPT)
		refuse(c, "the message's envelope cannot be read; see posternctl spool verify");
	else
		refuse(c, err_text(err));
}

static void change_by_id(struct control *c, struct span op)
{
	uint64_t id;

	if (text_parse_id(text_of(c, "id"), &id)) {
		refuse(c, "id: a message's id is needed, 13 letters and digits");
		return;
	}
	if (queue_message_info(c->d->queue, id, &(struct queue_message_info){0})) {
		refuse(c, "no such message in the queue; posternctl trace tells what became of it");
		return;
	}
	(void)read_envelope(c, id);
	int err = change_one(c, op, id, QUEUE_ALL_UNITS);
	if (!err)
		tell_action(c, op, id);
	intake_settle(c->d);
	if (err) {
		refuse_change(c, op, err);
		return;
	}
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "messages", 1);
	json_close_object(&c->json);
}

/* Changes what was found; stops, and moves the cursor back, where notifications pile up. */
static size_t change_hits(struct control *c, struct span op, const struct filter_hit *hits,
	size_t count, uint64_t *cursor, uint64_t *messages)
{
	uint64_t last = 0, told = 0;
	size_t units = 0;

	for (size_t i = 0; i < count; i++) {
		if (hits[i].id != last && owed_too_much(c->d)) {
			*cursor = last ? last : hits[i].id - 1;
			break;
		}
		last = hits[i].id;
		(void)read_envelope(c, last);
		if (change_one(c, op, last, hits[i].unit))
			continue;
		if (told != last) {
			tell_action(c, op, last);
			++*messages;
		}
		told = last;
		units++;
		/* Each message by itself, so that its notification counts for the next. */
		if (i + 1 == count || hits[i + 1].id != last)
			intake_settle(c->d);
	}
	intake_settle(c->d);
	return units;
}

static void change_by_filter(struct control *c, struct span op)
{
	struct delivery *d = c->d;
	struct filter_hit *hits;
	struct filter *filter;
	uint64_t cursor, messages = 0;

	if (!text_of(c, "filter").n) {
		refuse(c, "an id or a filter is needed; to mean everything, say age>=0s");
		return;
	}
	if (owed_too_much(d)) {
		refuse(c, "too many notifications wait to be written to the spool; go on in a "
			  "moment");
		return;
	}
	filter = parse_filter(c);
	if (!filter)
		return;
	hits = calloc(CONTROL_HITS, sizeof(*hits));
	if (!hits || !parse_after(c, &cursor)) {
		if (!hits)
			refuse(c, "out of memory");
		free(hits);
		filter_free(&filter);
		return;
	}
	size_t count = filter_select(filter, d->queue, delivery_now(d), &cursor,
		DELIVERY_CONTROL_STEP, load_subject, c, hits, CONTROL_HITS);
	size_t units = change_hits(c, op, hits, count, &cursor, &messages);
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "messages", messages);
	json_put_u64(&c->json, "units", units);
	put_after(c, cursor);
	json_close_object(&c->json);
	free(hits);
	filter_free(&filter);
}

static void op_change(struct control *c, struct span op)
{
	struct transport transport;
	struct span name = text_of(c, "transport");

	if (span_equal(op, SPAN("reroute")) && name.n &&
		delivery_transport(c->d, name, &transport)) {
		refuse(c, "transport: there is none of that name; see posternctl transport list");
		return;
	}
	if (text_of(c, "id").n)
		change_by_id(c, op);
	else
		change_by_filter(c, op);
	delivery_wake(c->d);
}

/* ---- the door ------------------------------------------------------------------------------- */

static void dispatch(struct control *c)
{
	static const char *const changes[] = {"retry", "hold", "release", "reroute", "bounce",
		"delete", "prioritise", "unprioritise"};
	struct span op = text_of(c, "op");

	if (span_equal(op, SPAN("status"))) {
		op_status(c);
		return;
	}
	if (!c->d->snapshot) {
		refuse(c, "the directory has not been read yet; try again in a moment");
		return;
	}
	if (span_equal(op, SPAN("list"))) {
		op_list(c);
		return;
	}
	if (span_equal(op, SPAN("show"))) {
		op_show(c);
		return;
	}
	if (span_equal(op, SPAN("summary"))) {
		op_summary(c);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
		if (span_equal(op, span_str(changes[i]))) {
			op_change(c, op);
			return;
		}
	}
	refuse(c, "op: unknown");
}

void delivery_control(struct delivery *d, struct span request, struct buf *reply)
{
	struct control c = {.d = d, .reply = reply};
	json_error_t error;

	json_write_init(&c.json, reply);
	buf_init(&c.bytes, DELIVERY_ENVELOPE);
	arena_init(&c.arena, DELIVERY_ARENA);
	c.request = json_loadb(request.p, request.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(c.request))
		refuse(&c, "the request is not a JSON object");
	else
		dispatch(&c);
	if (!buf_ok(reply))
		refuse(&c, "the answer is too long; ask for fewer messages at a time");
	json_decref(c.request);
	arena_reset(&c.arena);
	buf_done(&c.bytes);
}
