/* One object at a time: add, set, remove. */
#include "base/err.h"
#include "directory/config.h"
#include "directory/objects_inner.h"

#include <string.h>

int draft_finish(struct draft *draft, int err, struct plan **out)
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
	const struct plan_options *options = draft->options;
	struct path path = {NULL, object_is_single(kind) ? SPAN_NONE : name};
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
	for (size_t i = 0; i < options->secret_count; i++) {
		int err = schema_set_secret(object_schema(kind), options->secrets[i].field,
			options->secrets[i].value, &draft->arena, &path, &draft->problems, fields);
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

/* A name that is no listener's is a mistake; a listener without a policy is none. */
static void no_policy(struct draft *draft, struct span name)
{
	const struct config *start = draft->options->start;

	problem_quote(&draft->problems, name);
	if (start && !config_find_listener(start, name)) {
		problem_say(&draft->problems, ": ");
		config_say_no_listener(start, draft->problems.out);
	} else {
		problem_say(
			&draft->problems, " has no relay policy of its own: it has the defaults");
	}
}

int draft_not_there(struct draft *draft, enum object_kind kind, struct span name)
{
	const struct schema *schema = object_schema(kind);
	struct buf *out = draft->problems.out;
	size_t count = objects_count(draft->now, kind);

	problem_begin(&draft->problems, (struct place){0}, NULL);
	if (kind == OBJECT_RELAY) {
		no_policy(draft, name);
		problem_end(&draft->problems);
		return ERR_NOT_FOUND;
	}
	if (!schema->plural) {
		buf_add_str(out, kind == OBJECT_ACCEPT ? "the accept table is empty"
						       : "there are no settings yet");
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

int draft_name(struct draft *draft, enum object_kind kind, struct span in, struct span *out)
{
	if (object_is_named(kind))
		return object_name(
			kind, in, (struct place){0}, &draft->arena, &draft->problems, out);
	*out = in;
	return 0;
}

static int add(struct draft *draft, enum object_kind kind, struct span in,
	const struct span *settings, size_t count)
{
	union object_fields fields;
	struct span name;

	if (!object_is_named(kind) && kind != OBJECT_PRIORITY)
		return told(draft, ERR_UNSUPPORTED, kind, in, " cannot be added; set it");
	int err = draft_name(draft, kind, in, &name);
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
	return draft_finish(&draft, add(&draft, kind, name, settings, count), out);
}

/* That there is a secret is no secret of a new object: one that is given now is. */
static void fields_of(const struct object *object, union object_fields *out)
{
	memcpy(out, object->fields, object_schema(object->kind)->size);
	struct span *secret = object_secret(object->kind, out);
	if (secret)
		*secret = SPAN_NONE;
}

/* A listener has its relay policy without an object; setting a field makes one. */
static int set(struct draft *draft, enum object_kind kind, struct span in,
	const struct span *settings, size_t count)
{
	const struct schema *schema = object_schema(kind);
	union object_fields fields;
	struct span name;

	if (!object_is_named(kind) && !object_is_single(kind))
		return told(draft, ERR_UNSUPPORTED, kind, in,
			" cannot be changed; remove it and add another");
	int err = draft_name(draft, kind, in, &name);
	if (err < 0)
		return err;
	const struct object *before = objects_find(draft->now, kind, name);
	if (before)
		fields_of(before, &fields);
	else if (object_is_single(kind) || kind == OBJECT_RELAY)
		err = schema_defaults(schema, &draft->arena, &fields);
	else
		err = draft_not_there(draft, kind, name);
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
	return draft_finish(&draft, set(&draft, kind, name, settings, count), out);
}

static int remove_one(struct draft *draft, enum object_kind kind, struct span in)
{
	struct span name;

	if (!object_is_named(kind) && kind != OBJECT_PRIORITY)
		return told(draft, ERR_UNSUPPORTED, kind, in, " cannot be removed");
	int err = draft_name(draft, kind, in, &name);
	if (err == 0 && !objects_find(draft->now, kind, name))
		err = draft_not_there(draft, kind, name);
	return err ? err : draft_remove(draft, kind, name);
}

int objects_plan_remove(const struct objects *now, enum object_kind kind, struct span name,
	const struct plan_options *options, struct buf *problems, struct plan **out)
{
	struct draft draft;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	return draft_finish(&draft, remove_one(&draft, kind, name), out);
}

int objects_plan_secret(const struct objects *now, enum secret_kind secret_kind, struct span in,
	struct span value, const struct plan_options *options, struct buf *problems,
	struct plan **out)
{
	enum object_kind kind = secret_kind == SECRET_ACCOUNT ? OBJECT_ACCOUNT : OBJECT_TRANSPORT;
	union object_fields fields;
	struct draft draft;
	struct span name;

	draft_init(&draft, now, options, SPAN_NONE, problems);
	int err = draft_name(&draft, kind, in, &name);
	const struct object *object = err ? NULL : objects_find(now, kind, name);
	if (err == 0 && !object)
		err = draft_not_there(&draft, kind, name);
	if (err == 0)
		err = draft_secret(&draft, kind, name, value, NULL);
	if (err == 0) {
		fields_of(object, &fields);
		if (value.n)
			*object_secret(kind, &fields) = SCHEMA_SECRET_SET;
		err = draft_put_packed(&draft, kind, name, &fields, NULL);
	}
	return draft_finish(&draft, err, out);
}

int objects_look_up(const struct objects *objects, enum object_kind kind, struct span in,
	struct buf *problems, const struct object **out)
{
	static const struct plan_options options;
	const struct object *found = NULL;
	struct draft draft;
	struct span name;

	draft_init(&draft, objects, &options, SPAN_NONE, problems);
	int err = draft_name(&draft, kind, in, &name);
	if (err == 0) {
		found = objects_find(objects, kind, name);
		if (!found)
			err = draft_not_there(&draft, kind, in);
	}
	draft_done(&draft);
	if (err == 0)
		*out = found;
	return err;
}
