/* Changes in plain words. */
#include "directory/objects_inner.h"

static void add_shown(struct buf *out, const struct schema_field *field, const void *object)
{
	size_t before = out->n;

	schema_add_value(out, field, object);
	if (out->n == before)
		buf_add_str(out, "none");
}

static void add_differences(
	struct buf *out, const struct schema *schema, const void *before, const void *after)
{
	bool any = false;

	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		if (schema_same_value(field, before, after))
			continue;
		buf_printf(out, "%s%s ", any ? ", " : "", field->name);
		add_shown(out, field, before);
		buf_add_str(out, " → ");
		add_shown(out, field, after);
		any = true;
	}
}

static void add_settings_words(const struct change *change, struct buf *out)
{
	static const struct object_settings none = {0};

	add_differences(out, object_schema(OBJECT_SETTINGS),
		change->before ? object_settings(change->before) : &none,
		change->after ? object_settings(change->after) : &none);
}

static void add_pause_words(const struct change *change, struct buf *out)
{
	const struct object *pause = change->after ? change->after : change->before;
	struct span name = pause->name;
	size_t slash = span_find(name, '/');

	if (slash == name.n) {
		buf_add_str(out, "everything");
	} else {
		buf_add(out, name.p, slash);
		buf_add_char(out, ' ');
		buf_add_span(out, span_skip(name, slash + 1));
	}
	if (!change->after) {
		buf_add_str(out, ": resumed");
		return;
	}
	buf_add_str(out, ": paused");
	if (object_pause(pause)->by.n) {
		buf_add_str(out, " by ");
		buf_add_span(out, object_pause(pause)->by);
	}
	if (object_pause(pause)->reason.n) {
		buf_add_str(out, ", ");
		buf_add_span(out, object_pause(pause)->reason);
	}
}

void change_add_words(const struct change *change, struct buf *out)
{
	const struct object *object = change->after ? change->after : change->before;
	const struct schema *schema = object_schema(change->kind);

	if (change->kind == OBJECT_SETTINGS) {
		add_settings_words(change, out);
		return;
	}
	if (change->kind == OBJECT_PAUSE) {
		add_pause_words(change, out);
		return;
	}
	buf_printf(out, "%s ", schema->kind);
	buf_add_span(out, object->name);
	if (!change->after) {
		buf_add_str(out, ": removed");
	} else if (!change->before) {
		buf_add_str(out, ": added");
		if (change->kind != OBJECT_PRIORITY && schema->count) {
			buf_add_char(out, ' ');
			schema_add_yaml(out, schema, change->after->fields);
		}
	} else {
		buf_add_str(out, ": ");
		add_differences(out, schema, change->before->fields, change->after->fields);
	}
}

void plan_add_words(const struct plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->count; i++) {
		change_add_words(&plan->changes[i], out);
		buf_add_char(out, '\n');
	}
}
