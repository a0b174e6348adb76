/* A generation from the rows of the database. */
#include "base/err.h"
#include "directory/objects_inner.h"

#include <stdlib.h>

struct objects_builder {
	struct objects *objects;
	size_t room[OBJECT_KINDS];
};

int objects_builder_new(struct objects_builder **out)
{
	struct objects_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return ERR_NOMEM;
	int err = objects_new(&builder->objects);
	if (err < 0) {
		free(builder);
		return err;
	}
	*out = builder;
	return 0;
}

static int append(struct objects_builder *builder, struct object *object)
{
	struct object_set *set = &builder->objects->sets[object->kind];
	size_t *room = &builder->room[object->kind];

	if (set->count == *room) {
		size_t more = *room ? *room * 2 : 64;
		int err = object_set_room(set, more);
		if (err < 0)
			return err;
		*room = more;
	}
	set->items[set->count++] = object;
	return 0;
}

/* A name in the database is canonical, since it was when it was written. */
static int check_name(enum object_kind kind, struct span name, const void *fields,
	struct arena *arena, struct problems *problems)
{
	struct span canonical = name;
	int err = 0;

	if (kind == OBJECT_PRIORITY)
		err = object_priority_name(fields, arena, &canonical);
	else if (object_is_single(kind))
		canonical = SPAN("");
	else if (kind != OBJECT_PAUSE)
		err = object_name(kind, name, (struct place){0}, arena, problems, &canonical);
	if (err == 0 && !span_equal(canonical, name)) {
		problem_begin(problems, (struct place){0}, NULL);
		problem_quote(problems, name);
		problem_say(problems, " is not in canonical form");
		problem_end(problems);
		err = ERR_SYNTAX;
	}
	return err;
}

static int read_row(enum object_kind kind, struct span name, struct span json, struct arena *arena,
	struct problems *problems, void *fields)
{
	const struct schema *schema = object_schema(kind);
	struct path plural = {NULL, span_str(schema->kind)}, path = {&plural, name};
	struct node *node;

	int err = schema_defaults(schema, arena, fields);
	if (err == 0)
		err = node_read_json(json, arena, problems, &node);
	if (err == 0)
		err = schema_read(schema, node, SPAN_NONE, arena, &path, problems, fields);
	if (err == 0)
		err = schema_check_required(
			schema, fields, NULL, (struct place){0}, &path, problems);
	return err ? err : check_name(kind, name, fields, arena, problems);
}

int objects_builder_add(struct objects_builder *builder, enum object_kind kind, struct span name,
	struct span json, int64_t created_ms, int64_t changed_ms, struct problems *problems)
{
	union object_fields fields;
	struct object *object = NULL;
	struct arena arena;

	if (name.n > OBJECT_NAME_BYTES) {
		problem_line(problems, (struct place){0}, NULL, "a name is too long");
		return ERR_CORRUPT;
	}
	arena_init(&arena, FIELD_ARENA);
	int err = read_row(kind, name, json, &arena, problems, &fields);
	if (err == 0)
		err = object_new(kind, name, &fields, created_ms, changed_ms, &object);
	arena_reset(&arena);
	if (err == 0)
		err = append(builder, object);
	if (err < 0)
		object_release(&object);
	return err == 0 || err == ERR_NOMEM ? err : ERR_CORRUPT;
}

static int compare(const void *a, const void *b)
{
	const struct object *x = *(struct object *const *)a, *y = *(struct object *const *)b;
	return object_name_compare(x->name, y->name);
}

static int sort(struct object_set *set, struct problems *problems)
{
	if (set->count)
		qsort(set->items, set->count, sizeof(struct object *), compare);
	for (size_t i = 1; i < set->count; i++) {
		if (!span_equal(set->items[i - 1]->name, set->items[i]->name))
			continue;
		problem_begin(problems, (struct place){0}, NULL);
		problem_quote(problems, set->items[i]->name);
		problem_say(problems, " is there twice");
		problem_end(problems);
		return ERR_CORRUPT;
	}
	return 0;
}

int objects_builder_finish(
	struct objects_builder **builder, struct problems *problems, struct objects **out)
{
	struct objects *objects = (*builder)->objects;
	int err = 0;

	free(*builder);
	*builder = NULL;
	for (int kind = 0; kind < OBJECT_KINDS && err == 0; kind++)
		err = sort(&objects->sets[kind], problems);
	if (err == 0 && objects_validate(objects, NULL, problems) < 0)
		err = ERR_CORRUPT;
	if (err < 0) {
		objects_free(&objects);
		return err;
	}
	*out = objects;
	return 0;
}
