/* Reading: a tree, or one setting, into an object. */
#include "base/err.h"
#include "directory/schema.h"
#include "directory/schema_value.h"

#include <string.h>

#define WHY_BYTES 512u

static const char *field_name(const void *context, size_t i)
{
	return ((const struct schema *)context)->fields[i].name;
}

struct read {
	struct span folder;
	struct arena *arena;
	struct problems *problems;
};

/* What is secret stands in a file only: of a command line it would be seen. */
static void add_names(struct problems *problems, const struct schema *schema, bool secrets)
{
	const char *before = "; it has: ";
	bool hidden = false;

	for (size_t i = 0; i < schema->count; i++) {
		if (schema->fields[i].type == SCHEMA_SECRET && !secrets) {
			hidden = true;
			continue;
		}
		buf_printf(problems->out, "%s%s", before, schema->fields[i].name);
		before = ", ";
	}
	if (hidden)
		problem_say(problems, "; secrets are asked for: see posternctl user password, and "
				      "--secret of posternctl transport");
}

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
		add_names(problems, schema, at.line != 0);
	}
	problem_end(problems);
	return ERR_SYNTAX;
}

static int bad_value(struct read *read, const struct schema_field *field, struct place at,
	const struct path *path, struct span text, struct span why)
{
	struct problems *problems = read->problems;

	problem_begin(problems, at, path);
	if (field->type == SCHEMA_SECRET)
		problem_say(problems, "the secret");
	else
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

/* What a value was refused for, or that there is no memory. */
static int told(struct read *read, int err, const struct schema_field *field, struct place at,
	const struct path *path, struct span text, const struct buf *why)
{
	if (err == ERR_SYNTAX)
		return bad_value(read, field, at, path, text, buf_span(why));
	if (err < 0)
		problem_line(read->problems, at, path, "out of memory");
	return err;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static int read_item(struct read *read, struct schema_list *list, struct span text, struct place at,
	const struct path *path)
{
	struct buf why;

	buf_init(&why, WHY_BYTES);
	int err = schema_list_add(list, text, &why);
	err = told(read, err, list->field->item, at, path, text, &why);
	buf_done(&why);
	return err;
}

/* All elements are looked at, so that all mistakes are told; but a full list is told once. */
static int read_items(struct read *read, struct schema_list *list, const struct node *node,
	const struct path *path)
{
	int worst = 0;

	for (const struct node *item = node->first; item; item = item->next) {
		int err = ERR_SYNTAX;
		if (item->kind == NODE_SCALAR)
			err = read_item(read, list, item->text, item->at, path);
		else
			problem_line(read->problems, item->at, path,
				"an empty or nested value is not allowed");
		if (err < 0)
			worst = err;
		if (err == ERR_NOMEM || (err < 0 && list->count == list->field->most))
			break;
	}
	return worst;
}

static int read_split(struct read *read, struct schema_list *list, struct span text,
	struct place at, const struct path *path)
{
	int err = 0;

	for (bool last = false; !last && err == 0;)
		err = read_item(read, list, schema_list_split(&text, &last), at, path);
	return err;
}

/* A sequence, or one text with commas; `node` is NULL for the latter. */
static int read_list(struct read *read, const struct schema_field *field, const struct node *node,
	struct span text, struct place at, const struct path *path, void *object)
{
	struct schema_list list;

	schema_list_begin(&list, field, read->folder, read->arena);
	int err = node ? read_items(read, &list, node, path)
		       : read_split(read, &list, text, at, path);
	return schema_list_end(&list, err, schema_at_mut(field, object));
}

/* ---- values --------------------------------------------------------------------------------- */

static int read_text(struct read *read, const struct schema_field *field, struct span text,
	struct place at, const struct path *path, void *object)
{
	struct buf why;

	if (field->type == SCHEMA_LIST)
		return read_list(read, field, NULL, text, at, path, object);
	buf_init(&why, WHY_BYTES);
	int err = schema_value_parse(
		field, text, read->folder, read->arena, schema_at_mut(field, object), &why);
	err = told(read, err, field, at, path, text, &why);
	buf_done(&why);
	return err;
}

/* In a sequence they become the comma list that their type reads. */
static int read_servers(struct read *read, const struct schema_field *field,
	const struct node *node, const struct path *path, void *object)
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
		return read_servers(read, field, node, path, object);
	if (field->type == SCHEMA_LIST && node->kind == NODE_LIST)
		return read_list(read, field, node, SPAN_NONE, node->at, path, object);
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
	if (schema->sole && map->kind != NODE_MAP)
		return read_field(read, &schema->fields[0], map, path, object);
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

/* ---- one field ------------------------------------------------------------------------------- */

/* What is wrong with setting this field in this way; NULL: nothing. */
static const char *set_refusal(const struct schema_field *field, struct span value, bool secret)
{
	if (field->type == SCHEMA_GROUP)
		return "is a group; give its fields, each by both names with a dot between";
	if (field->type == SCHEMA_SECRET && !secret)
		return "is a secret, which is never taken from a command line; give "
		       "--secret, which asks for it, or reads it from standard input";
	if (field->type != SCHEMA_SECRET && secret)
		return "is no secret; give it as field=value";
	if (secret && value.n == 0)
		return "is empty";
	return NULL;
}

static int set_field(struct read *read, const struct schema *schema, struct span name,
	struct span value, bool secret, const struct path *path, void *out)
{
	size_t dot = span_find(name, '.');
	struct path here = {path, span_of(name.p, dot)};
	const struct schema_field *field = schema_find(schema, here.name);

	if (field && field->type == SCHEMA_GROUP && dot < name.n)
		return set_field(
			read, field->sub, span_skip(name, dot + 1), value, secret, &here, out);
	if (!field || field->type == SCHEMA_MAP || dot < name.n)
		return unknown_field(read, schema, (struct place){0}, path, name);
	const char *refusal = set_refusal(field, value, secret);
	if (refusal) {
		problem_line(read->problems, (struct place){0}, &here, refusal);
		return ERR_SYNTAX;
	}
	if (value.n == 0)
		return schema_value_default(field, read->arena, schema_at_mut(field, out));
	return read_text(read, field, value, (struct place){0}, &here, out);
}

int schema_set(const struct schema *schema, struct span name, struct span value,
	struct arena *arena, const struct path *path, struct problems *problems, void *out)
{
	struct read read = {SPAN_NONE, arena, problems};
	return set_field(&read, schema, name, value, false, path, out);
}

int schema_set_secret(const struct schema *schema, struct span name, struct span value,
	struct arena *arena, const struct path *path, struct problems *problems, void *out)
{
	struct read read = {SPAN_NONE, arena, problems};
	return set_field(&read, schema, name, value, true, path, out);
}
