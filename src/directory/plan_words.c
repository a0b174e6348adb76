/* Changes in plain words. */
#include "directory/objects_inner.h"

#include <string.h>

/* What there is one of has no name, and may be there without an object. */
static void add_single_words(const struct change *change, struct buf *out)
{
	static const union object_fields none;

	if (change->kind != OBJECT_SETTINGS)
		buf_printf(out, "%s: ", object_kind_name(change->kind));
	schema_add_differences(out, object_schema(change->kind),
		change->before ? (const void *)change->before->fields : &none,
		change->after ? (const void *)change->after->fields : &none);
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

/* A new object: its fields, and that it has a password. */
static void add_new(const struct change *change, struct buf *out)
{
	const struct schema *schema = object_schema(change->kind);
	union object_fields fields;
	bool has_secret = false;

	buf_add_str(out, ": added");
	if (change->kind == OBJECT_PRIORITY)
		return;
	memcpy(&fields, change->after->fields, schema->size);
	struct span *secret = object_secret(change->kind, &fields);
	if (secret) {
		has_secret = secret->n > 0;
		*secret = SPAN_NONE;
	}
	if (!schema_all_default(schema, &fields)) {
		buf_add_char(out, ' ');
		schema_add_summary(out, schema, &fields);
	}
	/* A transport's user says so of its. */
	if (has_secret && change->kind == OBJECT_ACCOUNT)
		buf_add_str(out, " with a password");
}

void change_add_words(const struct change *change, struct buf *out)
{
	const struct object *object = change->after ? change->after : change->before;
	const struct schema *schema = object_schema(change->kind);

	if (object_is_single(change->kind)) {
		add_single_words(change, out);
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
		add_new(change, out);
	} else {
		buf_add_str(out, ": ");
		schema_add_differences(out, schema, change->before->fields, change->after->fields);
	}
}

void secret_change_add_words(const struct secret_change *change, struct buf *out)
{
	if (change->told)
		return;
	buf_add_str(out, change->kind == SECRET_ACCOUNT ? "account " : "transport ");
	buf_add_span(out, change->name);
	buf_add_str(out,
		change->kind == SECRET_ACCOUNT ? ": password changed" : ": sasl.secret changed");
}

void plan_add_words(const struct plan *plan, struct buf *out)
{
	for (size_t i = 0; i < plan->count; i++) {
		change_add_words(&plan->changes[i], out);
		buf_add_char(out, '\n');
	}
	for (size_t i = 0; i < plan->secret_count; i++) {
		size_t before = out->n;
		secret_change_add_words(&plan->secrets[i], out);
		if (out->n > before)
			buf_add_char(out, '\n');
	}
}
