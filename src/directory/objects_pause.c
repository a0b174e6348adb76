/* Pause and resume. */
#include "base/err.h"
#include "directory/objects_inner.h"

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

/* Its mail goes by the domain that it means. */
static int is_alias(struct draft *draft, const struct object *object)
{
	problem_begin(&draft->problems, (struct place){0}, NULL);
	problem_quote(&draft->problems, object->name);
	problem_say(&draft->problems, " is another name of ");
	problem_quote(&draft->problems, object_domain(object)->alias_of);
	problem_say(&draft->problems, "; pause or resume that");
	problem_end(&draft->problems);
	return ERR_SYNTAX;
}

static int pause_target(
	struct draft *draft, enum pause_scope scope, struct span in, struct span *out)
{
	enum object_kind kind = scope == PAUSE_DOMAIN ? OBJECT_DOMAIN : OBJECT_TRANSPORT;
	struct span name = SPAN_NONE;

	if (scope != PAUSE_ALL) {
		int err = draft_name(draft, kind, in, &name);
		if (err < 0)
			return err;
		const struct object *object = objects_find(draft->now, kind, name);
		if (!object)
			return draft_not_there(draft, kind, name);
		if (kind == OBJECT_DOMAIN && object_domain(object)->alias_of.n)
			return is_alias(draft, object);
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
	struct object_pause fields = {0};
	struct span target = SPAN_NONE;

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
	return draft_finish(&draft, err, out);
}

int objects_plan_resume(const struct objects *now, enum pause_scope scope, struct span name,
	const struct plan_options *options, struct buf *problems, struct plan **out)
{
	struct draft draft;
	struct span target = SPAN_NONE;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	int err = pause_target(&draft, scope, name, &target);
	if (err == 0 && objects_find(now, OBJECT_PAUSE, target))
		err = draft_remove(&draft, OBJECT_PAUSE, target);
	return draft_finish(&draft, err, out);
}
