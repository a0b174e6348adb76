/*
 * One value of a schema: from text and to text. Inner header of directory/schema*.
 */
#ifndef DIRECTORY_SCHEMA_VALUE_H
#define DIRECTORY_SCHEMA_VALUE_H

#include "base/netaddr.h"
#include "directory/retry_text.h"
#include "directory/schema.h"
#include "directory/server_syntax.h"

/* Room for a value of any type but group and map. */
union schema_value {
	bool truth;
	uint32_t u32;
	uint64_t u64;
	int64_t time;
	int choice;
	struct span span;
	struct netaddr address;
	struct server server;
	struct retry_list retry;
};

/* Text, not empty, to the value at `at`. ERR_SYNTAX: `why` (may be NULL) may hold a part of a
 * sentence; where it does not, schema_add_allowed() says it all. */
int schema_value_parse(const struct schema_field *field, struct span text, struct span folder,
	struct arena *arena, void *at, struct buf *why);
/* Its part for mailboxes, accounts, senders, ranges and pins. */
int schema_value_parse_who(const struct schema_field *field, struct span text, struct arena *arena,
	struct span *out, struct buf *why);
/* The default: of its text, or empty. */
int schema_value_default(const struct schema_field *field, struct arena *arena, void *at);

/* A list while it is read. */
#define SCHEMA_LIST_BYTES (4u << 20)

struct schema_list {
	const struct schema_field *field;
	struct span folder;
	struct arena *arena;
	struct buf text;
	uint32_t count;
	/* Which elements there are: where each begins in the text, plus 1; 0: nothing. A power of
	 * two of them, at most half full, by their hash. */
	uint32_t *slots, slot_count;
};

void schema_list_begin(struct schema_list *list, const struct schema_field *field,
	struct span folder, struct arena *arena);
/* One that is in it already is dropped. As schema_value_parse(), for the element. */
int schema_list_add(struct schema_list *list, struct span item, struct buf *why);
/* Whatever came before; err is its own, and then *out is left alone. */
int schema_list_end(struct schema_list *list, int err, struct span *out);
/* The first element of "a, b", trimmed; *text goes on behind it. A comma between double quotes is
 * part of an element. */
struct span schema_list_split(struct span *text, bool *last);

bool schema_value_same(const struct schema_field *field, const void *a, const void *b);
bool schema_value_is_empty(const struct schema_field *field, const void *at);
void schema_value_add(struct buf *buf, const struct schema_field *field, const void *at);

/* The texts of a value: their places, at most SCHEMA_VALUE_SPANS. */
#define SCHEMA_VALUE_SPANS 4
size_t schema_value_spans(
	const struct schema_field *field, void *at, struct span *out[SCHEMA_VALUE_SPANS]);

size_t schema_value_bytes(const struct schema_field *field);
bool schema_value_is_span(const struct schema_field *field);

static inline const void *schema_at(const struct schema_field *field, const void *object)
{
	return (const char *)object + field->offset;
}

static inline void *schema_at_mut(const struct schema_field *field, void *object)
{
	return (char *)object + field->offset;
}

#endif
