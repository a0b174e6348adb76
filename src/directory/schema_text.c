/* Objects as YAML, as JSON, and what changed in words. */
#include "base/text.h"
#include "directory/schema.h"
#include "directory/schema_value.h"

#define VALUE_BYTES   8192u
#define SUMMARY_ITEMS 10u /* of a list */

/* ---- values --------------------------------------------------------------------------------- */

/* The next element of a list, or of servers. */
static struct span next_of(const struct schema_field *field, struct span *rest)
{
	size_t comma = span_find(*rest, ',');

	if (field->type == SCHEMA_LIST)
		return schema_list_next(rest);
	struct span item = span_of(rest->p, comma);
	*rest = span_skip(*rest, comma + 1);
	return item;
}

/* How objects are written as YAML. */
struct yaml {
	struct buf *buf;
	struct span secret; /* of the object; empty: not shown */
	size_t items;	    /* of a list; more are counted */
};

static void add_yaml_list(
	const struct yaml *yaml, const struct schema_field *field, struct span list)
{
	size_t count = 0, more = 0;

	buf_add_char(yaml->buf, '[');
	while (list.n) {
		struct span item = next_of(field, &list);
		if (count == yaml->items) {
			more++;
			continue;
		}
		buf_add_str(yaml->buf, count++ ? ", " : " ");
		node_add_yaml_scalar(yaml->buf, item);
	}
	if (more)
		buf_printf(yaml->buf, " and %zu more", more);
	buf_add_str(yaml->buf, " ]");
}

static void add_yaml_fields(
	const struct yaml *yaml, const struct schema *schema, const void *object);

static void add_yaml_value(
	const struct yaml *yaml, const struct schema_field *field, const void *object)
{
	struct buf text;

	switch (field->type) {
	case SCHEMA_GROUP: add_yaml_fields(yaml, field->sub, object); return;
	case SCHEMA_SECRET: node_add_yaml_scalar(yaml->buf, yaml->secret); return;
	case SCHEMA_SERVERS:
	case SCHEMA_LIST:
		add_yaml_list(yaml, field, *(const struct span *)schema_at(field, object));
		return;
	case SCHEMA_BOOL:
	case SCHEMA_U32:
	case SCHEMA_U64: schema_add_value(yaml->buf, field, object); return;
	default: break;
	}
	buf_init(&text, VALUE_BYTES);
	schema_add_value(&text, field, object);
	node_add_yaml_scalar(yaml->buf, buf_span(&text));
	buf_done(&text);
}

/* A secret is in an object's text where it is given beside it, and nowhere else. */
static bool is_shown(const struct schema_field *field, const void *object, bool secret)
{
	if (field->type == SCHEMA_MAP)
		return false;
	if (field->type == SCHEMA_SECRET)
		return secret;
	if (field->type == SCHEMA_GROUP) {
		for (size_t i = 0; i < field->sub->count; i++)
			if (is_shown(&field->sub->fields[i], object, secret))
				return true;
		return false;
	}
	return !schema_is_default(field, object);
}

static void add_yaml_fields(
	const struct yaml *yaml, const struct schema *schema, const void *object)
{
	bool any = false;

	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		if (!is_shown(field, object, yaml->secret.n > 0))
			continue;
		buf_add_str(yaml->buf, any ? ", " : "{ ");
		buf_printf(yaml->buf, "%s: ", field->name);
		add_yaml_value(yaml, field, object);
		any = true;
	}
	buf_add_str(yaml->buf, any ? " }" : "{}");
}

static void add_yaml(const struct yaml *yaml, const struct schema *schema, const void *object)
{
	if (schema->sole)
		add_yaml_value(yaml, &schema->fields[0], object);
	else
		add_yaml_fields(yaml, schema, object);
}

void schema_add_yaml_secret(
	struct buf *buf, const struct schema *schema, const void *object, struct span secret)
{
	add_yaml(&(struct yaml){buf, secret, SIZE_MAX}, schema, object);
}

void schema_add_yaml(struct buf *buf, const struct schema *schema, const void *object)
{
	schema_add_yaml_secret(buf, schema, object, SPAN_NONE);
}

void schema_add_summary(struct buf *buf, const struct schema *schema, const void *object)
{
	add_yaml(&(struct yaml){buf, SPAN_NONE, SUMMARY_ITEMS}, schema, object);
}

/* ---- JSON ----------------------------------------------------------------------------------- */

static void add_json_list(
	struct json_write *json, const struct schema_field *field, struct span list)
{
	json_open_array(json, field->name);
	while (list.n)
		json_put_string(json, NULL, next_of(field, &list));
	json_close_array(json);
}

static void add_json_value(
	struct json_write *json, const struct schema_field *field, const void *object)
{
	const void *at = schema_at(field, object);
	struct buf text;

	switch (field->type) {
	case SCHEMA_BOOL: json_put_bool(json, field->name, *(const bool *)at); return;
	case SCHEMA_U32: json_put_u64(json, field->name, *(const uint32_t *)at); return;
	case SCHEMA_U64:
	case SCHEMA_SIZE: json_put_u64(json, field->name, *(const uint64_t *)at); return;
	case SCHEMA_SERVERS:
	case SCHEMA_LIST: add_json_list(json, field, *(const struct span *)at); return;
	default: break;
	}
	if (schema_value_is_empty(field, at)) {
		json_put_null(json, field->name);
		return;
	}
	buf_init(&text, VALUE_BYTES);
	schema_add_value(&text, field, object);
	json_put_string(json, field->name, buf_span(&text));
	buf_done(&text);
}

void schema_add_json(
	struct json_write *json, const struct schema *schema, const void *object, bool all)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		if (field->type == SCHEMA_MAP || (!all && !is_shown(field, object, false)))
			continue;
		if (field->type != SCHEMA_GROUP) {
			add_json_value(json, field, object);
			continue;
		}
		json_open_object(json, field->name);
		schema_add_json(json, field->sub, object, all);
		json_close_object(json);
	}
}
