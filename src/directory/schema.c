#include "directory/schema.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/schema_value.h"

#include <string.h>

#define VALUE_ARENA (16u << 10) /* for one default */
#define WHY_BYTES   512u

const struct schema_field *schema_find(const struct schema *schema, struct span name)
{
	for (size_t i = 0; i < schema->count; i++)
		if (span_equal(name, span_str(schema->fields[i].name)))
			return &schema->fields[i];
	return NULL;
}

static const char *field_name(const void *context, size_t i)
{
	return ((const struct schema *)context)->fields[i].name;
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

/* ---- reading -------------------------------------------------------------------------------- */

struct read {
	struct span folder;
	struct arena *arena;
	struct problems *problems;
};

static int unknown_field(struct read *read, const struct schema *schema, struct place at,
	const struct path *up, struct span name)
{
	struct problems *problems = read->problems;
	const char *meant = problem_suggest(name, field_name, schema, schema->count);

	problems->unknown++;
	problem_begin(problems, at, &(struct path){up, name});
	buf_printf(problems->out, "%s has no such field", schema->kind);
	if (meant) {
		buf_printf(problems->out, "; did you mean \"%s\"?", meant);
	} else if (schema->count == 0) {
		problem_say(problems, "; it has none");
	} else {
		problem_say(problems, "; it has: ");
		for (size_t i = 0; i < schema->count; i++)
			buf_printf(problems->out, "%s%s", i ? ", " : "", schema->fields[i].name);
	}
	problem_end(problems);
	return ERR_SYNTAX;
}

static int bad_value(struct read *read, const struct schema_field *field, struct place at,
	const struct path *path, struct span text, struct span why)
{
	struct problems *problems = read->problems;

	problem_begin(problems, at, path);
	problem_quote(problems, text);
	if (why.n) {
		problem_say(problems, " is refused: ");
		buf_add_span(problems->out, why);
	} else {
		problem_say(problems, " is not allowed; give ");
		schema_add_allowed(problems->out, field);
	}
	problem_end(problems);
	return ERR_SYNTAX;
}

static int read_text(struct read *read, const struct schema_field *field, struct span text,
	struct place at, const struct path *path, void *object)
{
	struct buf why;

	buf_init(&why, WHY_BYTES);
	int err = schema_value_parse(
		field, text, read->folder, read->arena, schema_at_mut(field, object), &why);
	if (err == ERR_SYNTAX)
		err = bad_value(read, field, at, path, text, buf_span(&why));
	else if (err < 0)
		problem_line(read->problems, at, path, "out of memory");
	buf_done(&why);
	return err;
}

/* A list of scalars becomes the comma list that its type reads. */
static int read_list(struct read *read, const struct schema_field *field, const struct node *node,
	const struct path *path, void *object)
{
	size_t bytes = 0;

	for (const struct node *item = node->first; item; item = item->next) {
		if (item->kind != NODE_SCALAR || item->text.n == 0) {
			problem_line(read->problems, item->at, path,
				"an empty or nested value is not allowed");
			return ERR_SYNTAX;
		}
		bytes += item->text.n + 1;
	}
	if (bytes == 0)
		return schema_value_default(field, read->arena, schema_at_mut(field, object));
	char *text = arena_alloc(read->arena, bytes);
	if (!text)
		return ERR_NOMEM;
	size_t n = 0;
	for (const struct node *item = node->first; item; item = item->next) {
		memcpy(text + n, item->text.p, item->text.n);
		n += item->text.n;
		text[n++] = ',';
	}
	return read_text(read, field, span_of(text, n - 1), node->at, path, object);
}

static int read_map(struct read *read, const struct schema *schema, const struct node *map,
	const struct path *path, void *object);

static int read_elements(struct read *read, const struct schema_field *field,
	const struct node *node, const struct path *path, void *object)
{
	const struct schema *sub = field->sub;
	uint32_t *count = (uint32_t *)(void *)((char *)object + field->count_offset);
	int worst = 0;

	*count = 0;
	for (const struct node *child = node->first; child; child = child->next) {
		struct path here = {path, child->key};
		if (*count == field->most) {
			problem_begin(read->problems, child->key_at, &here);
			buf_printf(read->problems->out, "too many; at most %u are allowed", *count);
			problem_end(read->problems);
			return ERR_SYNTAX;
		}
		char *element = (char *)schema_at_mut(field, object) + *count * sub->size;
		int err = schema_defaults(sub, read->arena, element);
		if (err < 0)
			return err;
		((struct span *)(void *)element)[0] = child->key;
		err = read_map(read, sub, child, &here, element);
		if (err == 0)
			err = schema_check_required(
				sub, element, child, child->key_at, &here, read->problems);
		if (err < 0)
			worst = err;
		++*count;
	}
	return worst;
}

static int read_field(struct read *read, const struct schema_field *field, const struct node *node,
	const struct path *path, void *object)
{
	bool empty = node->kind == NODE_NULL || (node->kind == NODE_SCALAR && node->text.n == 0);

	if (field->type == SCHEMA_GROUP)
		return read_map(read, field->sub, node, path, object);
	if (field->type == SCHEMA_MAP && (node->kind == NODE_MAP || node->kind == NODE_NULL))
		return read_elements(read, field, node, path, object);
	if (field->type == SCHEMA_SERVERS && node->kind == NODE_LIST)
		return read_list(read, field, node, path, object);
	if (node->kind == NODE_SCALAR && !empty)
		return read_text(read, field, node->text, node->at, path, object);
	if (empty && !field->value && !field->required &&
		(schema_value_is_span(field) || field->type == SCHEMA_SERVER))
		return schema_value_default(field, read->arena, schema_at_mut(field, object));
	problem_begin(read->problems, node->at, path);
	problem_say(read->problems, empty ? "is empty; give " : "is not one value; give ");
	schema_add_allowed(read->problems->out, field);
	problem_end(read->problems);
	return ERR_SYNTAX;
}

static int read_map(struct read *read, const struct schema *schema, const struct node *map,
	const struct path *path, void *object)
{
	int worst = 0;

	if (map->kind == NODE_NULL)
		return 0;
	if (map->kind != NODE_MAP) {
		problem_line(read->problems, map->at, path,
			"give fields in braces, as in { field: value }");
		return ERR_SYNTAX;
	}
	for (const struct node *node = map->first; node; node = node->next) {
		const struct schema_field *field = schema_find(schema, node->key);
		int err = field ? read_field(read, field, node, &(struct path){path, node->key},
					  object)
				: unknown_field(read, schema, node->key_at, path, node->key);
		if (err < 0 && worst != ERR_NOMEM)
			worst = err;
	}
	return worst;
}

int schema_read(const struct schema *schema, const struct node *map, struct span folder,
	struct arena *arena, const struct path *path, struct problems *problems, void *out)
{
	struct read read = {folder, arena, problems};
	return read_map(&read, schema, map, path, out);
}

int schema_set(const struct schema *schema, struct span name, struct span value,
	struct arena *arena, const struct path *path, struct problems *problems, void *out)
{
	struct read read = {SPAN_NONE, arena, problems};
	const struct schema_field *field = schema_find(schema, name);
	struct path here = {path, name};

	if (!field || field->type == SCHEMA_GROUP || field->type == SCHEMA_MAP)
		return unknown_field(&read, schema, (struct place){0}, path, name);
	if (value.n == 0)
		return schema_value_default(field, arena, schema_at_mut(field, out));
	return read_text(&read, field, value, (struct place){0}, &here, out);
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
		bool told = given && (field->type != SCHEMA_MAP || given->count);
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

/* ---- comparing and packing ------------------------------------------------------------------ */

void schema_add_value(struct buf *buf, const struct schema_field *field, const void *object)
{
	schema_value_add(buf, field, schema_at(field, object));
}

bool schema_same_value(const struct schema_field *field, const void *a, const void *b)
{
	return schema_value_same(field, schema_at(field, a), schema_at(field, b));
}

bool schema_is_default(const struct schema_field *field, const void *object)
{
	union schema_value value;
	struct arena arena;

	arena_init(&arena, VALUE_ARENA);
	bool same = schema_value_default(field, &arena, &value) == 0 &&
		    schema_value_same(field, schema_at(field, object), &value);
	arena_reset(&arena);
	return same;
}

size_t schema_packed_bytes(const struct schema *schema, const void *object)
{
	size_t bytes = schema->size;

	for (size_t i = 0; i < schema->count; i++) {
		union schema_value copy;
		struct span *spans[SCHEMA_VALUE_SPANS];
		memcpy(&copy, schema_at(&schema->fields[i], object),
			schema_value_bytes(&schema->fields[i]));
		size_t n = schema_value_spans(&schema->fields[i], &copy, spans);
		while (n--)
			bytes += spans[n]->n;
	}
	return bytes;
}

void schema_pack(const struct schema *schema, const void *object, void *to)
{
	char *texts = (char *)to + schema->size;

	memcpy(to, object, schema->size);
	for (size_t i = 0; i < schema->count; i++) {
		struct span *spans[SCHEMA_VALUE_SPANS];
		size_t n = schema_value_spans(
			&schema->fields[i], schema_at_mut(&schema->fields[i], to), spans);
		for (size_t k = 0; k < n; k++) {
			if (spans[k]->n)
				memcpy(texts, spans[k]->p, spans[k]->n);
			spans[k]->p = texts;
			texts += spans[k]->n;
		}
	}
}
