/*
 * Queue work for administrators: one JSON object in, one out. The same requests serve the command
 * line, and later the API and the console.
 *
 *   {"op":"list",    "filter":F, "after":ID, "limit":N}   messages with their units and why
 *   {"op":"show",    "id":ID}                              one message, all that is known
 *   {"op":"content", "id":ID, "part":P, "offset":N}        what it says (control_content.c)
 *   {"op":"summary", "by":"destination"|"transport", "after":N}
 *   {"op":"count",   "filter":F, "after":ID}               how many messages match
 *   {"op":"ages",    "after":ID}                           how old (control_ages.c)
 *   {"op":"probe",   "destination":NAME}                   asks what is down at once
 *   {"op":"tls-report"}                                    TLS reports are due now
 *   {"op":"status"}
 *   {"op":"retry"|"hold"|"release"|"reroute"|"bounce"|"delete"|"prioritise"|"unprioritise",
 *    "id":ID or "ids":[ID, …] or "filter":F, "after":ID, "by":TEXT, "reason":TEXT,
 *    "transport":NAME, "dry_run":true}                     a dry run only counts
 *
 * A reply that does not reach the end of the queue has "after": the same request with it goes on.
 * What cannot be done: {"error":TEXT}.
 */
#include "delivery/control.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "delivery/report.h"

#include <stdio.h>
#include <string.h>

void control_refuse(struct control *c, const char *text)
{
	buf_clear(c->reply);
	json_write_init(&c->json, c->reply);
	json_open_object(&c->json, NULL);
	json_put_str(&c->json, "error", text);
	json_close_object(&c->json);
}

struct span control_text(const struct control *c, const char *key)
{
	const json_t *value = json_object_get(c->request, key);
	size_t n = json_string_length(value);

	return n ? span_of(json_string_value(value), n) : SPAN_NONE;
}

/* What is no text, or too long for one, must not pass for one that is missing: a filter that is
 * missing means everything. A filter's own length is the parser's to judge. */
static bool texts_fit(struct control *c)
{
	static const char *const keys[] = {
		"op", "filter", "id", "by", "reason", "transport", "destination", "part"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const json_t *value = json_object_get(c->request, keys[i]);
		char problem[64];

		if (!value || json_is_null(value))
			continue;
		if (json_is_string(value) && (strcmp(keys[i], "filter") == 0 ||
						     json_string_length(value) <= CONTROL_TEXT))
			continue;
		snprintf(problem, sizeof(problem), "%s: %s", keys[i],
			json_is_string(value) ? "too long" : "a text belongs here");
		control_refuse(c, problem);
		return false;
	}
	return true;
}

int control_envelope(struct control *c, uint64_t id)
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

int control_load_subject(struct filter_subject *subject)
{
	struct control *c = subject->context;
	int err = control_envelope(c, subject->id);

	if (err)
		return err;
	subject->sender = c->envelope.sender;
	subject->client = c->envelope.client;
	subject->user = c->envelope.user;
	subject->all_rcpts = c->envelope.rcpts;
	return 0;
}

struct filter *control_filter(struct control *c)
{
	struct filter *filter = NULL;
	struct buf problem;

	buf_init(&problem, 4096);
	if (filter_parse(control_text(c, "filter"), &filter, &problem)) {
		struct buf text;

		buf_init(&text, 8192);
		buf_add_str(&text, "the filter cannot be read: ");
		while (problem.n && problem.p[problem.n - 1] == '\n')
			problem.n--;
		buf_add_span(&text, buf_span(&problem));
		buf_add_char(&text, '\0');
		control_refuse(c, buf_ok(&text) ? text.p : "the filter cannot be read");
		buf_done(&text);
		filter = NULL;
	}
	buf_done(&problem);
	return filter;
}

bool control_queued(struct control *c, uint64_t *id)
{
	if (text_parse_id(control_text(c, "id"), id))
		control_refuse(c, "id: a message's id is needed, 13 letters and digits");
	else if (queue_message_info(c->d->queue, *id, &(struct queue_message_info){0}))
		control_refuse(c,
			"no such message in the queue; posternctl trace tells what became of it");
	else
		return true;
	return false;
}

bool control_after(struct control *c, uint64_t *after)
{
	struct span text = control_text(c, "after");

	*after = 0;
	if (!text.n || !text_parse_id(text, after))
		return true;
	control_refuse(c, "after: not an id");
	return false;
}

void control_put_after(struct control *c, uint64_t cursor)
{
	if (cursor != UINT64_MAX)
		json_put_id(&c->json, "after", cursor);
}

static void control_tls_report(struct control *c)
{
	json_open_object(&c->json, NULL);
	json_put_u64(&c->json, "domains", report_send_now(c->d->report));
	json_close_object(&c->json);
}

/* Delivery alone can say what delivery can read. */
static void control_tls_ca(struct control *c)
{
	const json_t *files = json_object_get(c->request, "files");
	struct buf why;

	if (!json_is_array(files) || json_array_size(files) > CONTROL_CA_FILES) {
		control_refuse(c, "files: a list of a few paths is needed");
		return;
	}
	buf_init(&why, CONTROL_TEXT);
	json_open_object(&c->json, NULL);
	json_open_object(&c->json, "problems");
	for (size_t i = 0; i < json_array_size(files); i++) {
		const char *path = json_string_value(json_array_get(files, i));

		buf_clear(&why);
		if (path && c->d->config.check_ca &&
			c->d->config.check_ca(c->d->config.context, span_str(path), &why))
			json_put_string(&c->json, path, buf_span(&why));
	}
	json_close_object(&c->json);
	json_close_object(&c->json);
	buf_done(&why);
}

/* ---- the door ------------------------------------------------------------------------------- */

static bool is_change(struct span op)
{
	static const char *const changes[] = {"retry", "hold", "release", "reroute", "bounce",
		"delete", "prioritise", "unprioritise"};

	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (span_equal(op, span_str(changes[i])))
			return true;
	return false;
}

static void dispatch(struct control *c)
{
	static const struct {
		const char *op;
		void (*run)(struct control *c);
	} requests[] = {
		{"list", control_list},
		{"show", control_show},
		{"content", control_content},
		{"summary", control_summary},
		{"ages", control_ages},
		{"count", control_count},
		{"probe", control_probe},
		{"tls-report", control_tls_report},
		{"tls-ca", control_tls_ca},
	};
	struct span op = control_text(c, "op");

	if (!texts_fit(c))
		return;
	if (span_equal(op, SPAN("status"))) {
		control_status(c);
		return;
	}
	if (!c->d->snapshot) {
		control_refuse(c, "the directory has not been read yet; try again in a moment");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		if (span_equal(op, span_str(requests[i].op))) {
			requests[i].run(c);
			return;
		}
	}
	if (is_change(op))
		control_change(c, op);
	else
		control_refuse(c, "op: unknown");
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
		control_refuse(&c, "the request is not a JSON object");
	else
		dispatch(&c);
	if (!buf_ok(reply))
		control_refuse(&c, "the answer is too long; ask for fewer messages at a time");
	json_decref(c.request);
	arena_reset(&c.arena);
	buf_done(&c.bytes);
}
