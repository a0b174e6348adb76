/* What differs between two objects of one schema, in words. */
#include "directory/schema.h"
#include "directory/schema_value.h"

#include <stdio.h>

#define ITEMS_NAMED   5u       /* elements of a list; more are counted */
#define COMPARED_MOST 1000000u /* elements with elements, one by one */
#define NAME_BYTES    64u      /* of a field, with its groups */

struct words {
	struct buf *buf;
	bool any;
};

/* What an account's password is checked by is a password to whoever sets one. */
static const char *name_of(const struct schema_field *field)
{
	return field->type == SCHEMA_SECRET && strcmp(field->name, "verifiers") == 0 ? "password"
										     : field->name;
}

static void begin(struct words *w, const char *prefix, const struct schema_field *field)
{
	buf_printf(w->buf, "%s%s%s ", w->any ? ", " : "", prefix, name_of(field));
	w->any = true;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static bool holds(struct span list, struct span item)
{
	while (list.n)
		if (span_equal(schema_list_next(&list), item))
			return true;
	return false;
}

/* The elements of `list` that `other` has not, as "a, b and 3 more added". False: there is none. */
static bool add_missing(
	struct buf *buf, struct span list, struct span other, const char *before, const char *what)
{
	size_t count = 0;

	while (list.n) {
		struct span item = schema_list_next(&list);
		if (holds(other, item) || ++count > ITEMS_NAMED)
			continue;
		buf_add_str(buf, count > 1 ? ", " : before);
		buf_add_span(buf, item);
	}
	if (count > ITEMS_NAMED)
		buf_printf(buf, " and %zu more", count - ITEMS_NAMED);
	if (count)
		buf_add_str(buf, what);
	return count > 0;
}

static size_t count_of(struct span list)
{
	size_t count = 0;

	for (; list.n; count++)
		schema_list_next(&list);
	return count;
}

static void add_list(struct words *w, struct span before, struct span after)
{
	size_t old = count_of(before), new = count_of(after);

	if (old * new > COMPARED_MOST) {
		buf_printf(w->buf, "%zu elements → %zu, not all the same", old, new);
		return;
	}
	bool added = add_missing(w->buf, after, before, "", " added");
	bool removed = add_missing(w->buf, before, after, added ? ", " : "", " removed");

	if (!added && !removed)
		buf_add_str(w->buf, "in another order");
}

/* ---- fields --------------------------------------------------------------------------------- */

static void add_shown(struct buf *buf, const struct schema_field *field, const void *object)
{
	size_t before = buf->n;

	schema_add_value(buf, field, object);
	if (buf->n == before)
		buf_add_str(buf, "none");
}

static void add_secret(struct words *w, const struct schema_field *field, const void *after)
{
	buf_add_str(
		w->buf, schema_value_is_empty(field, schema_at(field, after)) ? "removed" : "set");
}

static void add_fields(struct words *w, const struct schema *schema, const char *prefix,
	const void *before, const void *after)
{
	for (size_t i = 0; i < schema->count; i++) {
		const struct schema_field *field = &schema->fields[i];
		char deeper[NAME_BYTES];
		if (schema_same_value(field, before, after))
			continue;
		if (field->type == SCHEMA_GROUP) {
			snprintf(deeper, sizeof(deeper), "%s%s.", prefix, field->name);
			add_fields(w, field->sub, deeper, before, after);
			continue;
		}
		begin(w, prefix, field);
		if (field->type == SCHEMA_LIST) {
			add_list(w, *(const struct span *)schema_at(field, before),
				*(const struct span *)schema_at(field, after));
		} else if (field->type == SCHEMA_SECRET) {
			add_secret(w, field, after);
		} else {
			add_shown(w->buf, field, before);
			buf_add_str(w->buf, " → ");
			add_shown(w->buf, field, after);
		}
	}
}

void schema_add_differences(
	struct buf *buf, const struct schema *schema, const void *before, const void *after)
{
	struct words w = {.buf = buf};

	add_fields(&w, schema, "", before, after);
}
