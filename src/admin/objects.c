/* Requests that change the directory: apply, single objects, pauses. */
#include "admin/core.h"

#include "base/check.h"
#include "base/err.h"

#define OBJECT_SETTINGS_MOST 64 /* of one add or set */

int apply_plan(struct door *door, struct buf *problems, struct plan **out)
{
	struct secret_source present = directory_secrets(door->admin->directory);
	struct plan_options options = plan_options_of(door);
	struct span file = request_text(door, "file");
	char name[256];

	size_t n = MIN(file.n, sizeof(name) - 1);
	memcpy(name, n ? file.p : "", n);
	name[n] = '\0';
	options.present = &present;
	return objects_plan_apply(directory_objects(door->admin->directory), n ? name : "objects",
		request_text(door, "text"), &options, problems, out);
}

void cmd_apply(struct door *door)
{
	struct plan *plan = NULL;
	struct buf problems;

	buf_init(&problems, 1u << 20);
	int err = apply_plan(door, &problems, &plan);
	plan_finish_present(door, err, plan, &problems);
}

/* ---- single objects ------------------------------------------------------------------------- */

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

static int plan_object(struct door *door, struct span op, enum object_kind kind,
	const struct span *settings, size_t count, const struct plan_options *options,
	struct buf *problems, struct plan **plan)
{
	const struct objects *objects = directory_objects(door->admin->directory);
	struct span name = request_text(door, "name");

	if (span_equal(op, SPAN("add")))
		return objects_plan_add(
			objects, kind, name, settings, count, options, problems, plan);
	if (span_equal(op, SPAN("set")))
		return objects_plan_set(
			objects, kind, name, settings, count, options, problems, plan);
	if (span_equal(op, SPAN("remove")))
		return objects_plan_remove(objects, kind, name, options, problems, plan);
	/* Without one it is taken away. */
	if (span_equal(op, SPAN("password")) && kind == OBJECT_ACCOUNT)
		return objects_plan_secret(objects, SECRET_ACCOUNT, name,
			buf_span(&door->verifiers), options, problems, plan);
	buf_add_str(problems, "op: unknown");
	return ERR_SYNTAX;
}

static void change_object(struct door *door, struct span op, enum object_kind kind,
	const struct span *settings, size_t count)
{
	struct secret_source present = directory_secrets(door->admin->directory);
	struct plan_options options = plan_options_of(door);
	struct plan_secret_input secret;
	struct plan *plan = NULL;
	struct buf problems;

	if (secret_first(door, kind))
		return;
	options.present = &present;
	options.secrets = &secret;
	options.secret_count = secret_of_request(door, kind, &secret);
	buf_init(&problems, 1u << 20);
	int err = plan_object(door, op, kind, settings, count, &options, &problems, &plan);
	plan_finish_present(door, err, plan, &problems);
}

void cmd_object(struct door *door)
{
	struct span op = request_text(door, "op"), name = request_text(door, "name");
	struct span settings[OBJECT_SETTINGS_MOST];
	size_t count = 0;
	enum object_kind kind;

	if (settings_of(door, settings, &count))
		door_refuse(door, "settings: a list of at most 64 texts, each field=value");
	else if (object_kind_parse(request_text(door, "kind"), &kind))
		door_refuse(door, "kind: unknown");
	else if (span_equal(op, SPAN("list")))
		objects_reply_list(door, kind);
	else if (span_equal(op, SPAN("show")))
		objects_reply_one(door, kind, name);
	else
		change_object(door, op, kind, settings, count);
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

static void change_pause(struct door *door, bool pause)
{
	struct plan_options options = plan_options_of(door);
	const struct objects *objects = directory_objects(door->admin->directory);
	struct span name = request_text(door, "name");
	struct plan *plan = NULL;
	struct buf problems;
	enum pause_scope scope;
	int err;

	if (!scope_of(door, &scope)) {
		door_refuse(door, "scope: one of all, transport, domain");
		return;
	}
	buf_init(&problems, 1u << 20);
	if (pause)
		err = objects_plan_pause(objects, scope, name, span_str(door->actor),
			request_text(door, "reason"), &options, &problems, &plan);
	else
		err = objects_plan_resume(objects, scope, name, &options, &problems, &plan);
	plan_finish(door, err, plan, &problems);
}

void cmd_pause(struct door *door)
{
	change_pause(door, true);
}

void cmd_resume(struct door *door)
{
	change_pause(door, false);
}
