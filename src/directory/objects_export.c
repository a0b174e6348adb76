/* Objects as an objects file and as JSON. */
#include "directory/objects_inner.h"

#include <stdio.h>

static struct span secret_of(const struct object *object, const struct secret_source *source)
{
	if (!source || (object->kind != OBJECT_TRANSPORT && object->kind != OBJECT_ACCOUNT))
		return SPAN_NONE;
	return source->find(source->context, object_secret_kind(object->kind), object->name);
}

static void add_object(
	const struct object *object, const struct secret_source *source, struct buf *out)
{
	const struct schema *schema = object_schema(object->kind);

	if (object->kind == OBJECT_PRIORITY) {
		buf_add_str(out, "  - ");
	} else {
		buf_add_str(out, "  ");
		node_add_yaml_scalar(out, object->name);
		buf_add_str(out, ": ");
	}
	schema_add_yaml_secret(out, schema, object->fields, secret_of(object, source));
	buf_add_char(out, '\n');
}

/* accept: { hosts: [ branch.example ] } */
static void add_accept(const struct object *accept, struct buf *out)
{
	const struct schema *schema = object_schema(OBJECT_ACCEPT);

	if (schema_all_default(schema, accept->fields))
		return;
	buf_printf(out, "%s: ", schema->kind);
	schema_add_yaml(out, schema, accept->fields);
	buf_add_char(out, '\n');
}

static void add_settings(const struct object *settings, struct buf *out)
{
	const struct schema *schema = object_schema(OBJECT_SETTINGS);

	for (size_t i = 0; i < schema->count; i++) {
		struct buf value;
		if (schema_is_default(&schema->fields[i], settings->fields))
			continue;
		buf_printf(out, "%s: ", schema->fields[i].name);
		buf_init(&value, OBJECT_NAME_BYTES);
		schema_add_value(&value, &schema->fields[i], settings->fields);
		node_add_yaml_scalar(out, buf_span(&value));
		buf_done(&value);
		buf_add_char(out, '\n');
	}
}

static void export_all(
	const struct objects *objects, const struct secret_source *source, struct buf *out)
{
	size_t before = out->n;

	for (int kind = 0; kind <= OBJECT_PRIORITY; kind++) {
		const struct object_set *set = &objects->sets[kind];
		if (set->count == 0)
			continue;
		buf_printf(out, "%s:\n", object_schema((enum object_kind)kind)->plural);
		for (size_t i = 0; i < set->count; i++)
			add_object(set->items[i], source, out);
	}
	for (size_t i = 0; i < objects->sets[OBJECT_ACCEPT].count; i++)
		add_accept(objects->sets[OBJECT_ACCEPT].items[i], out);
	for (size_t i = 0; i < objects->sets[OBJECT_SETTINGS].count; i++)
		add_settings(objects->sets[OBJECT_SETTINGS].items[i], out);
	if (out->n == before)
		buf_add_str(out, "{}\n");
}

void objects_export(const struct objects *objects, struct buf *out)
{
	export_all(objects, NULL, out);
}

void objects_export_secrets(
	const struct objects *objects, const struct secret_source *source, struct buf *out)
{
	export_all(objects, source, out);
}

static void add_json_fields(const struct object *object, struct json_write *json)
{
	schema_add_json(json, object_schema(object->kind), object->fields, false);
}

void objects_export_json(const struct objects *objects, struct json_write *json)
{
	char name[OBJECT_NAME_BYTES];

	for (int kind = 0; kind < OBJECT_PRIORITY; kind++) {
		const struct object_set *set = &objects->sets[kind];

		json_open_object(json, object_schema((enum object_kind)kind)->plural);
		for (size_t i = 0; i < set->count; i++) {
			snprintf(name, sizeof(name), "%.*s", (int)set->items[i]->name.n,
				set->items[i]->name.p);
			json_open_object(json, name);
			add_json_fields(set->items[i], json);
			json_close_object(json);
		}
		json_close_object(json);
	}
	json_open_array(json, object_schema(OBJECT_PRIORITY)->plural);
	for (size_t i = 0; i < objects->sets[OBJECT_PRIORITY].count; i++) {
		json_open_object(json, NULL);
		add_json_fields(objects->sets[OBJECT_PRIORITY].items[i], json);
		json_close_object(json);
	}
	json_close_array(json);
	for (size_t i = 0; i < objects->sets[OBJECT_ACCEPT].count; i++) {
		json_open_object(json, object_kind_name(OBJECT_ACCEPT));
		add_json_fields(objects->sets[OBJECT_ACCEPT].items[i], json);
		json_close_object(json);
	}
	for (size_t i = 0; i < objects->sets[OBJECT_SETTINGS].count; i++)
		add_json_fields(objects->sets[OBJECT_SETTINGS].items[i], json);
}

void object_export(const struct object *object, struct buf *out)
{
	if (object->kind == OBJECT_SETTINGS) {
		add_settings(object, out);
		return;
	}
	if (object->kind == OBJECT_ACCEPT) {
		add_accept(object, out);
		return;
	}
	if (!object_schema(object->kind)->plural)
		return;
	buf_printf(out, "%s:\n", object_schema(object->kind)->plural);
	add_object(object, NULL, out);
}

static void add_pause(const struct object *pause, struct json_write *json)
{
	if (!pause) {
		json_put_null(json, "pause");
		return;
	}
	json_open_object(json, "pause");
	schema_add_json(json, object_schema(OBJECT_PAUSE), pause->fields, true);
	json_close_object(json);
}

void object_json(const struct objects *objects, const struct object *object, const char *key,
	struct json_write *json)
{
	json_open_object(json, key);
	json_put_string(json, "name", object->name);
	schema_add_json(json, object_schema(object->kind), object->fields, true);
	json_put_time(json, "created", object->created_ms);
	json_put_time(json, "changed", object->changed_ms);
	if (object->kind == OBJECT_TRANSPORT)
		add_pause(objects_pause(objects, PAUSE_TRANSPORT, object->name), json);
	else if (object->kind == OBJECT_DOMAIN)
		add_pause(objects_pause(objects, PAUSE_DOMAIN, object->name), json);
	json_close_object(json);
}
