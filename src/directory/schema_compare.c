/* Objects of one schema beside each other, and objects that own their texts. */
#include "base/err.h"
#include "directory/schema.h"
#include "directory/schema_value.h"

#include <string.h>

#define VALUE_ARENA (64u << 10) /* for one default */

void schema_add_value(struct buf *buf, const struct schema_field *field, const void *object)
{
	schema_value_add(buf, field, schema_at(field, object));
}

bool schema_same_value(const struct schema_field *field, const void *a, const void *b)
{
	if (field->type == SCHEMA_GROUP)
		return schema_same(field->sub, a, b);
	return schema_value_same(field, schema_at(field, a), schema_at(field, b));
}

bool schema_same(const struct schema *schema, const void *a, const void *b)
{
	for (size_t i = 0; i < schema->count; i++)
		if (!schema_same_value(&schema->fields[i], a, b))
			return false;
	return true;
}

bool schema_is_default(const struct schema_field *field, const void *object)
{
	union schema_value value;
	struct arena arena;

	if (field->type == SCHEMA_GROUP)
		return schema_all_default(field->sub, object);
	if (!field->value && schema_value_is_span(field))
		return schema_value_is_empty(field, schema_at(field, object));
	arena_init(&arena, VALUE_ARENA);
	bool same = schema_value_default(field, &arena, &value) == 0 &&
		    schema_value_same(field, schema_at(field, object), &value);
	arena_reset(&arena);
	return same;
}

bool schema_all_default(const struct schema *schema, const void *object)
{
	for (size_t i = 0; i < schema->count; i++)
		if (!schema_is_default(&schema->fields[i], object))
			return false;
	return true;
}

/* ---- packing -------------------------------------------------------------------------------- */

size_t schema_packed_bytes(const struct schema *schema, const void *object)
{
	size_t bytes = schema->size;

	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		union schema_value copy;
		struct span *spans[SCHEMA_VALUE_SPANS];
		if (field->type == SCHEMA_GROUP) {
			bytes += schema_packed_bytes(field->sub, object) - field->sub->size;
			continue;
		}
		memcpy(&copy, schema_at(field, object), schema_value_bytes(field));
		size_t n =
			field->type == SCHEMA_SECRET ? 0 : schema_value_spans(field, &copy, spans);
		while (n--)
			bytes += spans[n]->n;
	}
	return bytes;
}

/* The texts of all fields go to `texts`; returns where they end. */
static char *pack_fields(const struct schema *schema, void *object, char *texts)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		struct span *spans[SCHEMA_VALUE_SPANS];
		if (field->type == SCHEMA_GROUP) {
			texts = pack_fields(field->sub, object, texts);
			continue;
		}
		size_t n = schema_value_spans(field, schema_at_mut(field, object), spans);
		if (field->type == SCHEMA_SECRET) {
			*spans[0] = spans[0]->n ? SCHEMA_SECRET_SET : SPAN_NONE;
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			if (spans[k]->n)
				memcpy(texts, spans[k]->p, spans[k]->n);
			spans[k]->p = texts;
			texts += spans[k]->n;
		}
	}
	return texts;
}

void schema_pack(const struct schema *schema, const void *object, void *to)
{
	memcpy(to, object, schema->size);
	(void)pack_fields(schema, to, (char *)to + schema->size);
}
