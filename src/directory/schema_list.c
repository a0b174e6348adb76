/* Lists: a text of elements in canonical form, one a line. */
#include "base/check.h"
#include "base/err.h"
#include "directory/schema_value.h"

#include <stdlib.h>
#include <xxhash.h>

#define ITEM_BYTES  4096u /* of one in canonical form */
#define SLOTS_FIRST 16u

struct span schema_list_next(struct span *list)
{
	size_t end = span_find(*list, '\n');
	struct span item = span_of(list->p, end);

	*list = span_skip(*list, end + 1);
	return item;
}

struct span schema_list_split(struct span *text, bool *last)
{
	bool quoted = false;
	size_t end = 0;

	for (; end < text->n && (quoted || text->p[end] != ','); end++) {
		if (text->p[end] == '"')
			quoted = !quoted;
		else if (quoted && text->p[end] == '\\')
			end++;
	}
	end = MIN(end, text->n);
	struct span item = span_trim(span_of(text->p, end));
	*last = end == text->n;
	*text = span_skip(*text, end + 1);
	return item;
}

void schema_list_begin(struct schema_list *list, const struct schema_field *field,
	struct span folder, struct arena *arena)
{
	*list = (struct schema_list){.field = field, .folder = folder, .arena = arena};
	buf_init(&list->text, SCHEMA_LIST_BYTES);
}

/* The slot of an element, or where it would go. */
static uint32_t *slot_of(const struct schema_list *list, struct span item)
{
	uint32_t mask = list->slot_count - 1;
	uint32_t at = (uint32_t)XXH3_64bits(item.p, item.n) & mask;

	for (;; at = (at + 1) & mask) {
		uint32_t *slot = &list->slots[at];
		if (*slot == 0)
			return slot;
		struct span rest = span_skip(buf_span(&list->text), *slot - 1);
		if (span_equal(schema_list_next(&rest), item))
			return slot;
	}
}

static int grow(struct schema_list *list)
{
	uint32_t count = list->slot_count ? list->slot_count * 2 : SLOTS_FIRST;
	struct span rest = buf_span(&list->text);

	if ((uint64_t)list->count * 2 < list->slot_count)
		return 0;
	uint32_t *slots = calloc(count, sizeof(*slots));
	if (!slots)
		return ERR_NOMEM;
	free(list->slots);
	list->slots = slots;
	list->slot_count = count;
	while (rest.n) {
		uint32_t at = (uint32_t)(rest.p - list->text.p);
		*slot_of(list, schema_list_next(&rest)) = at + 1;
	}
	return 0;
}

static int keep(struct schema_list *list, struct span item, struct buf *why)
{
	int err = grow(list);
	if (err < 0)
		return err;
	uint32_t *slot = slot_of(list, item);
	if (*slot)
		return 0;
	if (list->count == list->field->most) {
		if (why)
			buf_printf(why, "the list is full; at most %u are allowed",
				(unsigned)list->field->most);
		return ERR_SYNTAX;
	}
	if (list->count++)
		buf_add_char(&list->text, '\n');
	*slot = (uint32_t)list->text.n + 1;
	buf_add_span(&list->text, item);
	return buf_ok(&list->text) ? 0 : ERR_NOMEM;
}

int schema_list_add(struct schema_list *list, struct span item, struct buf *why)
{
	const struct schema_field *field = list->field->item;
	union schema_value value;
	struct buf text;

	if (item.n == 0) {
		if (why)
			buf_add_str(why, "an empty element is not allowed");
		return ERR_SYNTAX;
	}
	int err = schema_value_parse(field, item, list->folder, list->arena, &value, why);
	if (err < 0)
		return err;
	buf_init(&text, ITEM_BYTES);
	schema_value_add(&text, field, &value);
	err = buf_ok(&text) ? keep(list, buf_span(&text), why) : ERR_SYNTAX;
	buf_done(&text);
	return err;
}

int schema_list_end(struct schema_list *list, int err, struct span *out)
{
	if (err == 0) {
		struct span kept = arena_copy(list->arena, buf_span(&list->text));
		if (kept.p)
			*out = kept;
		else
			err = ERR_NOMEM;
	}
	buf_done(&list->text);
	free(list->slots);
	list->slots = NULL;
	return err;
}
