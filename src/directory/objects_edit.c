/* One object at a time: add, set, remove, pause, resume. */
#include "base/err.h"
#include "directory/objects_inner.h"

#include <string.h>

union any_fields {
	struct object_transport transport;
	struct object_domain domain;
	struct object_account account;
	struct object_priority priority;
	struct object_settings settings;
	struct object_pause pause;
};

/* Ends an edit: whatever failed is told in at least one line. */
static int finish(struct draft *draft, int err, struct plan **out)
{
	if (err == 0)
		err = draft_plan(draft, out);
	if (err < 0 && draft->problems.count == 0)
		problem_line(&draft->problems, (struct place){0}, NULL, err_text(err));
	draft_done(draft);
	return err;
}

static int read_settings(struct draft *draft, enum object_kind kind, struct span name,
	const struct span *settings, size_t count, void *fields)
{
	struct path path = {NULL, kind == OBJECT_SETTINGS ? SPAN_NONE : name};
	int worst = 0;

	for (size_t i = 0; i < count; i++) {
		size_t equals = span_find(settings[i], '=');
		int err = ERR_SYNTAX;
		if (equals == settings[i].n) {
			problem_begin(&draft->problems, (struct place){0}, &path);
			problem_quote(&draft->problems, settings[i]);
			problem_say(&draft->problems, " is no setting; give field=value");
			problem_end(&draft->problems);
		} else {
			err = schema_set(object_schema(kind), span_of(settings[i].p, equals),
				span_skip(settings[i], equals + 1), &draft->arena, &path,
				&draft->problems, fields);
		}
		if (err < 0)
			worst = err;
	}
	if (worst < 0)
		return worst;
	return schema_check_required(
		object_schema(kind), fields, NULL, (struct place){0}, &path, &draft->problems);
}

static int told(
	struct draft *draft, int err, enum object_kind kind, struct span name, const char *text)
{
	problem_begin(&draft->problems, (struct place){0}, NULL);
	buf_printf(draft->problems.out, "%s ", object_kind_name(kind));
	problem_quote(&draft->problems, name);
	problem_say(&draft->problems, text);
	problem_end(&draft->problems);
	return err;
}

/* How many there are and how to see them: the name may be just misspelt. */
static int not_there(struct draft *draft, enum object_kind kind, struct span name)
{
	const struct schema *schema = object_schema(kind);
	struct buf *out = draft->problems.out;
	size_t count = objects_count(draft->now, kind);

	problem_begin(&draft->problems, (struct place){0}, NULL);
	if (!schema->plural) {
		buf_printf(out, "there are no %s yet", schema->kind);
		problem_end(&draft->problems);
		return ERR_NOT_FOUND;
	}
	buf_printf(out, "there is no %s of that name: ", schema->kind);
	problem_quote(&draft->problems, name);
	if (count == 0)
		buf_printf(
			out, "; there is none yet, \"posternctl %s add\" makes one", schema->kind);
	else
		buf_printf(out, "; there %s %zu %s, \"posternctl %s list\" shows %s",
			count == 1 ? "is" : "are", count,
			count == 1 ? schema->kind : schema->plural, schema->kind,
			count == 1 ? "it" : "them");
	problem_end(&draft->problems);
	return ERR_NOT_FOUND;
}

static bool is_named(enum object_kind kind)
{
	return kind == OBJECT_TRANSPORT || kind == OBJECT_DOMAIN || kind == OBJECT_ACCOUNT;
}

static int canonical(struct draft *draft, enum object_kind kind, struct span in, struct span *out)
{
	if (is_named(kind))
		return object_name(
			kind, in, (struct place){0}, &draft->arena, &draft->problems, out);
	*out = in;
	return 0;
}

static int add(struct draft *draft, enum object_kind kind, struct span in,
	const struct span *settings, size_t count)
{
	union any_fields fields;
	struct span name;

	if (!is_named(kind) && kind != OBJECT_PRIORITY)
		return told(draft, ERR_UNSUPPORTED, kind, in, " cannot be added; set it");
	int err = canonical(draft, kind, in, &name);
	if (err == 0)
		err = schema_defaults(object_schema(kind), &draft->arena, &fields);
	if (err == 0)
		err = read_settings(draft, kind, name, settings, count, &fields);
	if (err == 0 && kind == OBJECT_PRIORITY)
		err = object_priority_name(&fields.priority, &draft->arena, &name);
	if (err == 0 && objects_find(draft->now, kind, name))
		err = told(draft, ERR_EXISTS, kind, name, " is there already");
	return err ? err : draft_put(draft, kind, name, &fields, NULL);
}

int objects_plan_add(const struct objects *now, enum object_kind kind, struct span name,
	const struct span *settings, size_t count, const struct plan_options *options,
	struct buf *problems, struct plan **out)
{
	struct draft draft;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	return finish(&draft, add(&draft, kind, name, settings, count), out);
}

static int set(struct draft *draft, enum object_kind kind, struct span in,
	const struct span *settings, size_t count)
{
	const struct schema *schema = object_schema(kind);
	union any_fields fields;
	struct span name;

	if (!is_named(kind) && kind != OBJECT_SETTINGS)
		return told(draft, ERR_UNSUPPORTED, kind, in,
			" cannot be changed; remove it and add another");
	int err = canonical(draft, kind, in, &name);
	if (err < 0)
		return err;
	const struct object *before = objects_find(draft->now, kind, name);
	if (before)
		memcpy(&fields, before->fields, schema->size);
	else if (kind == OBJECT_SETTINGS)
		err = schema_defaults(schema, &draft->arena, &fields);
	else
		err = not_there(draft, kind, name);
	if (err == 0)
		err = read_settings(draft, kind, name, settings, count, &fields);
	return err ? err : draft_put(draft, kind, name, &fields, NULL);
}

int objects_plan_set(const struct objects *now, enum object_kind kind, struct span name,
	const struct span *settings, size_t count, const struct plan_options *options,
	struct buf *problems, struct plan **out)
{
	struct draft draft;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	return finish(&draft, set(&draft, kind, name, settings, count), out);
}

static int remove_one(struct draft *draft, enum object_kind kind, struct span in)
{
	struct span name;

	if (!is_named(kind) && kind != OBJECT_PRIORITY)
		return told(draft, ERR_UNSUPPORTED, kind, in, " cannot be removed");
	int err = canonical(draft, kind, in, &name);
	if (err == 0 && !objects_find(draft->now, kind, name))
		err = not_there(draft, kind, name);
	return err ? err : draft_remove(draft, kind, name);
}

int objects_plan_remove(const struct objects *now, enum object_kind kind, struct span name,
	const struct plan_options *options, struct buf *problems, struct plan **out)
{
	struct draft draft;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	return finish(&draft, remove_one(&draft, kind, name), out);
}

int objects_look_up(const struct objects *objects, enum object_kind kind, struct span in,
	struct buf *problems, const struct object **out)
{
	static const struct plan_options options;
	const struct object *found = NULL;
	struct draft draft;
	struct span name;

	draft_init(&draft, objects, &options, SPAN_NONE, problems);
	int err = canonical(&draft, kind, in, &name);
	if (err == 0) {
		found = objects_find(objects, kind, name);
		if (!found)
			err = not_there(&draft, kind, in);
	}
	draft_done(&draft);
	if (err == 0)
		*out = found;
	return err;
}

/* ---- pauses --------------------------------------------------------------------------------- */

static const char *scope_name(enum pause_scope scope)
{
	return scope == PAUSE_ALL ? "all" : scope == PAUSE_TRANSPORT ? "transport/" : "domain/";
}

/* Into `text`, which has room for any name. */
static struct span pause_name(enum pause_scope scope, struct span name, struct buf *text)
{
	buf_add_str(text, scope_name(scope));
	if (scope != PAUSE_ALL)
		buf_add_span(text, name);
	return buf_span(text);
}

const struct object *objects_pause(
	const struct objects *now, enum pause_scope scope, struct span name)
{
	struct buf text;

	if (objects_count(now, OBJECT_PAUSE) == 0)
		return NULL;
	buf_init(&text, OBJECT_NAME_BYTES);
	const struct object *pause =
		objects_find(now, OBJECT_PAUSE, pause_name(scope, name, &text));
	if (!buf_ok(&text))
		pause = NULL;
	buf_done(&text);
	return pause;
}

static int pause_target(
	struct draft *draft, enum pause_scope scope, struct span in, struct span *out)
{
	enum object_kind kind = scope == PAUSE_DOMAIN ? OBJECT_DOMAIN : OBJECT_TRANSPORT;
	struct span name = SPAN_NONE;

	if (scope != PAUSE_ALL) {
		int err = canonical(draft, kind, in, &name);
		if (err < 0)
			return err;
		if (!objects_find(draft->now, kind, name))
			return not_there(draft, kind, name);
	}
	struct buf text;
	buf_init(&text, OBJECT_NAME_BYTES);
	*out = arena_copy(&draft->arena, pause_name(scope, name, &text));
	buf_done(&text);
	return out->p ? 0 : ERR_NOMEM;
}

static int pause_fields(
	struct draft *draft, struct span by, struct span reason, struct object_pause *out)
{
	const struct schema *schema = object_schema(OBJECT_PAUSE);

	int err = schema_defaults(schema, &draft->arena, out);
	if (err == 0)
		err = schema_set(
			schema, SPAN("by"), by, &draft->arena, NULL, &draft->problems, out);
	if (err == 0)
		err = schema_set(
			schema, SPAN("reason"), reason, &draft->arena, NULL, &draft->problems, out);
	out->since_ms = draft->options->now_ms;
	return err;
}

static bool changes_reason(const struct object_pause *pause, struct span reason)
{
	return reason.n && !span_equal(pause->reason, reason);
}

int objects_plan_pause(const struct objects *now, enum pause_scope scope, struct span name,
	struct span by, struct span reason, const struct plan_options *options,
	struct buf *problems, struct plan **out)
{
	struct draft draft;
	struct object_pause fields;
	struct span target;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	int err = pause_target(&draft, scope, name, &target);
	if (err == 0)
		err = pause_fields(&draft, by, reason, &fields);
	const struct object *before = err ? NULL : objects_find(now, OBJECT_PAUSE, target);

	/* As with messages that are held: another reason, which is also another's, is kept. */
	if (before)
		fields.since_ms = object_pause(before)->since_ms;
	if (err == 0 && (!before || changes_reason(object_pause(before), reason)))
		err = draft_put(&draft, OBJECT_PAUSE, target, &fields, NULL);
	return finish(&draft, err, out);
}

int objects_plan_resume(const struct objects *now, enum pause_scope scope, struct span name,
	const struct plan_options *options, struct buf *problems, struct plan **out)
{
	struct draft draft;
	struct span target;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	int err = pause_target(&draft, scope, name, &target);
	if (err == 0 && objects_find(now, OBJECT_PAUSE, target))
		err = draft_remove(&draft, OBJECT_PAUSE, target);
	return finish(&draft, err, out);
}
