#include "directory/schema.h"

#include "base/err.h"
#include "directory/schema_value.h"

#include <string.h>

const struct schema_field *schema_find(const struct schema *schema, struct span name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (span_equal(name, span_str(schema->fields[i].name)))
			return &schema->fields[i];
	return NULL;
}

static int set_defaults(const struct schema *schema, struct arena *arena, void *out)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		int err = 0;
		if (field->type == SCHEMA_GROUP)
			err = set_defaults(field->sub, arena, out);
		else if (field->type != SCHEMA_MAP)
			err = schema_value_default(field, arena, schema_at_mut(field, out));
		if (err < 0)
			return err;
	}
	return 0;
}

int schema_defaults(const struct schema *schema, struct arena *arena, void *out)
{
	memset(out, 0, schema->size);
	return set_defaults(schema, arena, out);
}

int schema_check_required(const struct schema *schema, const void *object, const struct node *map,
	struct place at, const struct path *path, struct problems *problems)
{
	int worst = 0;

	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		if (field->type == SCHEMA_GROUP) {
			struct path here = {path, span_str(field->name)};
			const struct node *group = node_get(map, field->name);
			if (schema_check_required(field->sub, object, group, at, &here, problems) <
				0)
				worst = ERR_SYNTAX;
			continue;
		}
		bool missing = field->type == SCHEMA_MAP
				       ? *(const uint32_t *)(const void *)((const char *)object +
									   field->count_offset) == 0
				       : schema_value_is_empty(field, schema_at(field, object));
		const struct node *given = node_get(map, field->name);
		bool told = given && ((field->type != SCHEMA_MAP && given->kind != NODE_LIST) ||
					     given->count);
		if (!field->required || !missing || told)
			continue;
		problem_begin(problems, at, &(struct path){path, span_str(field->name)});
		problem_say(problems, "is missing; give ");
		schema_add_allowed(problems->out, field);
		problem_end(problems);
		worst = ERR_SYNTAX;
	}
	return worst;
}
