/*
 * Changes of the directory. Each is planned whole, committed in one transaction, and given to all
 * roles; the reply lists what changed in plain words.
 */
#include "admin/core.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>

#define OBJECT_SETTINGS_MOST 64 /* of one add or set */
#define WARNING_BYTES	     (16u << 10)
#define CHANGES_TOLD	     100  /* in the trace and the log, of one command */
#define CHANGE_BYTES	     2000 /* of the words of one */

static struct plan_options options_of(const struct door *door)
{
	return (struct plan_options){
		.now_ms = door->admin->config.io->wall_ms,
		.prune = request_flag(door, "prune"),
	};
}

static void tell_one(struct door *door, struct span words)
{
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.wall_ms = door->admin->config.io->wall_ms,
		.action = SPAN("directory"),
		.actor = span_str(door->actor),
		.reason = words,
	};

	event_emit(door->admin->config.events, &event);
}

/* An event for each change; of very many, how many more: the audit has all. */
static void tell(struct door *door, struct span words)
{
	char text[64];
	size_t told = 0, more = 0;

	while (words.n) {
		size_t end = span_find(words, '\n');

		if (end && told++ < CHANGES_TOLD)
			tell_one(door, span_of(words.p, MIN(end, (size_t)CHANGE_BYTES)));
		else
			more += end > 0;
		words = span_skip(words, end + 1);
	}
	if (!more)
		return;
	snprintf(text, sizeof(text), "and %zu more changes; see posternctl audit", more);
	tell_one(door, span_str(text));
}

void refuse_lines(struct door *door, int err, struct buf *problems)
{
	while (problems->n && problems->p[problems->n - 1] == '\n')
		problems->n--;
	if (problems->n)
		door_refuse_span(door, buf_span(problems));
	else
		door_refuse(door, err_text(err));
}

/* One object is taken away by its name: that has to be meant. */
static bool is_removal(const struct door *door)
{
	return span_equal(request_text(door, "cmd"), SPAN("object")) &&
	       span_equal(request_text(door, "op"), SPAN("remove"));
}

/* Commits the plan, and frees it. A line in `problems` where that fails. */
static int commit(struct door *door, struct plan *plan, struct span words, struct buf *problems)
{
	struct admin *admin = door->admin;

	int err = directory_commit(admin->directory, &plan, span_str(door->actor),
		admin->config.io->wall_ms, problems);
	if (err)
		return err;
	tell(door, words);
	err = admin_publish(admin);
	if (err)
		buf_printf(problems,
			"the change is stored, but the other roles could not be told (%s); they "
			"will be with the next change",
			err_text(err));
	return err;
}

static void reply_changes(struct door *door, struct span words, struct span warning)
{
	json_open_object(&door->json, NULL);
	put_lines(&door->json, "changes", words);
	put_lines(&door->json, "warnings", warning);
	json_put_u64(&door->json, "generation", directory_generation(door->admin->directory));
	json_put_bool(&door->json, "dry_run", request_flag(door, "dry_run"));
	json_close_object(&door->json);
	door_reply(door);
}

/* The plan was made: carries it out, if it may be, and replies. */
static void carry_out(struct door *door, struct plan *plan, struct buf *problems)
{
	struct buf words, warning;
	bool dry = request_flag(door, "dry_run");
	int err = 0;

	buf_init(&words, ADMIN_REPLY / 2);
	buf_init(&warning, WARNING_BYTES);
	plan_add_words(plan, &words);
	bool warned = depends_add_words(door, &warning);
	if (!buf_ok(&words)) {
		buf_add_str(problems, "too many changes to be listed at once; nothing was changed: "
				      "apply them in parts");
		err = ERR_LIMIT;
	} else if (warned && is_removal(door) && !dry) {
		buf_add_span(problems, buf_span(&warning));
		buf_add_str(problems, "; --force removes it all the same");
		err = ERR_BUSY;
	}
	if (err || dry || !plan_count(plan))
		plan_free(&plan);
	else
		err = commit(door, plan, buf_span(&words), problems);
	if (err)
		refuse_lines(door, err, problems);
	else
		reply_changes(door, buf_span(&words), buf_span(&warning));
	buf_done(&words);
	buf_done(&warning);
}

/* The plan was made, or not. Frees it, and `problems`. */
static void finish(struct door *door, int err, struct plan *plan, struct buf *problems)
{
	if (err)
		refuse_lines(door, err, problems);
	else if (!request_flag(door, "force") && depends_first(door, plan))
		plan_free(&plan);
	else
		carry_out(door, plan, problems);
	buf_done(problems);
}

void cmd_apply(struct door *door)
{
	struct plan_options options = options_of(door);
	struct span file = request_text(door, "file");
	struct plan *plan = NULL;
	struct buf problems;
	char name[256];

	size_t n = MIN(file.n, sizeof(name) - 1);
	memcpy(name, n ? file.p : "", n);
	name[n] = '\0';
	buf_init(&problems, 1u << 20);
	int err = objects_plan_apply(directory_objects(door->admin->directory),
		n ? name : "objects", request_text(door, "text"), &options, &problems, &plan);
	finish(door, err, plan, &problems);
}

void cmd_export(struct door *door)
{
	struct buf text;

	buf_init(&text, ADMIN_REPLY / 2);
	objects_export(directory_objects(door->admin->directory), &text);
	/* Half a directory might be applied one day. */
	if (!buf_ok(&text)) {
		buf_done(&text);
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "text", buf_span(&text));
	json_close_object(&door->json);
	buf_done(&text);
	door_reply(door);
}

/* ---- single objects ------------------------------------------------------------------------- */

static void list_objects(struct door *door, enum object_kind kind)
{
	const struct objects *objects = directory_objects(door->admin->directory);

	json_open_object(&door->json, NULL);
	json_open_array(&door->json, "objects");
	for (size_t i = 0; i < objects_count(objects, kind); i++)
		object_json(objects, objects_at(objects, kind, i), NULL, &door->json);
	json_close_array(&door->json);
	json_close_object(&door->json);
	door_reply(door);
}

/* The retry calculator, as the seed's table has it: count, delays, example, sum, total. */
static void put_retry(struct json_write *json, const struct object *object)
{
	const struct object_transport *transport = object_transport(object);
	const struct retry_list *list = &transport->retry_delay;
	struct buf text;

	buf_init(&text, 4096);
	json_open_object(json, "retry");
	json_put_u64(json, "count", transport->retry_count);
	retry_add(&text, list->steps, list->count);
	json_put_string(json, "delay", buf_span(&text));
	buf_clear(&text);
	retry_add_example(&text, list->steps, list->count, transport->retry_count);
	json_put_string(json, "example", buf_span(&text));
	buf_clear(&text);
	retry_add_sum(&text, list->steps, list->count, transport->retry_count);
	json_put_string(json, "sum", buf_span(&text));
	buf_clear(&text);
	retry_add_total(&text, list->steps, list->count, transport->retry_count);
	json_put_string(json, "total", buf_span(&text));
	json_put_u64(json, "total_seconds",
		retry_total_s(list->steps, list->count, transport->retry_count));
	json_close_object(json);
	buf_done(&text);
}

static void show_object(struct door *door, enum object_kind kind, struct span name)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	const struct object *object = NULL;
	struct buf problems;

	/* Settings are there always, if only by their defaults. */
	if (kind == OBJECT_SETTINGS && !objects_count(objects, kind)) {
		json_open_object(&door->json, NULL);
		json_put_str(&door->json, "text", "");
		json_close_object(&door->json);
		door_reply(door);
		return;
	}
	buf_init(&problems, WARNING_BYTES);
	int err = objects_look_up(objects, kind, name, &problems, &object);
	if (err)
		refuse_lines(door, err, &problems);
	buf_done(&problems);
	if (err)
		return;
	struct buf text;
	buf_init(&text, 1u << 20);
	object_export(object, &text);
	if (!buf_ok(&text)) {
		buf_done(&text);
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	json_open_object(&door->json, NULL);
	object_json(objects, object, "object", &door->json);
	json_put_string(&door->json, "text", buf_span(&text));
	if (kind == OBJECT_TRANSPORT)
		put_retry(&door->json, object);
	json_close_object(&door->json);
	buf_done(&text);
	door_reply(door);
}

/* What is not understood must not be left out silently. */
static int settings_of(const struct door *door, struct span *settings, size_t *count)
{
	const json_t *list = json_object_get(door->request, "settings");
	size_t n = json_array_size(list);

	if (n > OBJECT_SETTINGS_MOST || (list && !json_is_array(list)))
		return ERR_LIMIT;
	for (size_t i = 0; i < n; i++) {
		const json_t *one = json_array_get(list, i);

		if (!json_is_string(one))
			return ERR_SYNTAX;
		settings[i] = span_of(json_string_value(one), json_string_length(one));
	}
	*count = n;
	return 0;
}

void cmd_object(struct door *door)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	struct plan_options options = options_of(door);
	struct span op = request_text(door, "op"), name = request_text(door, "name");
	struct span settings[OBJECT_SETTINGS_MOST];
	size_t count = 0;
	enum object_kind kind;
	struct plan *plan = NULL;
	struct buf problems;
	int err;

	if (settings_of(door, settings, &count)) {
		door_refuse(door, "settings: a list of at most 64 texts, each field=value");
		return;
	}
	if (object_kind_parse(request_text(door, "kind"), &kind)) {
		door_refuse(door, "kind: unknown");
		return;
	}
	if (span_equal(op, SPAN("list"))) {
		list_objects(door, kind);
		return;
	}
	if (span_equal(op, SPAN("show"))) {
		show_object(door, kind, name);
		return;
	}
	buf_init(&problems, 1u << 20);
	if (span_equal(op, SPAN("add"))) {
		err = objects_plan_add(
			objects, kind, name, settings, count, &options, &problems, &plan);
	} else if (span_equal(op, SPAN("set"))) {
		err = objects_plan_set(
			objects, kind, name, settings, count, &options, &problems, &plan);
	} else if (span_equal(op, SPAN("remove"))) {
		err = objects_plan_remove(objects, kind, name, &options, &problems, &plan);
	} else {
		buf_add_str(&problems, "op: unknown");
		err = ERR_SYNTAX;
	}
	finish(door, err, plan, &problems);
}

/* ---- pauses --------------------------------------------------------------------------------- */

static bool scope_of(struct door *door, enum pause_scope *scope)
{
	struct span text = request_text(door, "scope");

	if (span_equal(text, SPAN("all")))
		*scope = PAUSE_ALL;
	else if (span_equal(text, SPAN("transport")))
		*scope = PAUSE_TRANSPORT;
	else if (span_equal(text, SPAN("domain")))
		*scope = PAUSE_DOMAIN;
	else
		return false;
	return true;
}

void cmd_pause(struct door *door)
{
	struct plan_options options = options_of(door);
	struct plan *plan = NULL;
	struct buf problems;
	enum pause_scope scope;

	if (!scope_of(door, &scope)) {
		door_refuse(door, "scope: one of all, transport, domain");
		return;
	}
	buf_init(&problems, 1u << 20);
	int err = objects_plan_pause(directory_objects(door->admin->directory), scope,
		request_text(door, "name"), span_str(door->actor), request_text(door, "reason"),
		&options, &problems, &plan);
	finish(door, err, plan, &problems);
}

void cmd_resume(struct door *door)
{
	struct plan_options options = options_of(door);
	struct plan *plan = NULL;
	struct buf problems;
	enum pause_scope scope;

	if (!scope_of(door, &scope)) {
		door_refuse(door, "scope: one of all, transport, domain");
		return;
	}
	buf_init(&problems, 1u << 20);
	int err = objects_plan_resume(directory_objects(door->admin->directory), scope,
		request_text(door, "name"), &options, &problems, &plan);
	finish(door, err, plan, &problems);
}
