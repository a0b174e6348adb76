/* The start file, field by field: to see whether that on disk is the one that runs. */
#include "directory/config.h"
#include "directory/schema.h"
#include "directory/schema_value.h"

#define NAME_BYTES  512u /* "listeners.LISTENER.tls.names.DOMAIN.certificate" */
#define VALUE_BYTES 8192u

struct walk {
	void (*each)(void *context, struct span name, struct span value);
	void *context;
	struct buf name, value;
};

static void walk_fields(struct walk *w, const struct schema *schema, const void *object);

static void walk_entries(struct walk *w, const struct schema_field *field, const void *object)
{
	uint32_t count = *(const uint32_t *)((const char *)object + field->count_offset);
	const char *entry = schema_at(field, object);
	size_t before = w->name.n;

	for (uint32_t i = 0; i < count; i++, entry += field->sub->size) {
		/* Each begins with its name. */
		buf_add_span(&w->name, *(const struct span *)(const void *)entry);
		buf_add_char(&w->name, '.');
		walk_fields(w, field->sub, entry);
		w->name.n = before;
	}
}

static void walk_field(struct walk *w, const struct schema_field *field, const void *object)
{
	buf_add_str(&w->name, field->name);
	if (field->type == SCHEMA_GROUP || field->type == SCHEMA_MAP) {
		buf_add_char(&w->name, '.');
		if (field->type == SCHEMA_MAP)
			walk_entries(w, field, object);
		else
			walk_fields(w, field->sub, object);
		return;
	}
	buf_clear(&w->value);
	schema_add_value(&w->value, field, object);
	if (buf_ok(&w->name) && buf_ok(&w->value))
		w->each(w->context, buf_span(&w->name), buf_span(&w->value));
}

static void walk_fields(struct walk *w, const struct schema *schema, const void *object)
{
	size_t before = w->name.n;

	for (size_t i = 0; i < schema->count; i++) {
		walk_field(w, &schema->fields[i], object);
		w->name.n = before;
	}
}

void config_each_field(const struct config *config,
	void (*each)(void *context, struct span name, struct span value), void *context)
{
	struct walk w = {.each = each, .context = context};

	buf_init(&w.name, NAME_BYTES);
	buf_init(&w.value, VALUE_BYTES);
	walk_fields(&w, config_schema(), config);
	buf_done(&w.value);
	buf_done(&w.name);
}

static void put_field(void *context, struct span name, struct span value)
{
	char key[NAME_BYTES + 1];

	memcpy(key, name.p, name.n);
	key[name.n] = 0;
	json_put_string(context, key, value);
}

void config_add_json(struct json_write *json, const char *key, const struct config *config)
{
	json_open_object(json, key);
	config_each_field(config, put_field, json);
	json_close_object(json);
}
