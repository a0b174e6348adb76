/*
 * Byte strings kept once, however many units share them: domains, names, last replies. Counted
 * references; number 0 is the empty string and needs none. The hash is seeded, as domains and
 * replies are chosen by strangers.
 */
#ifndef QUEUE_INTERN_H
#define QUEUE_INTERN_H

#include "base/span.h"
#include "queue/mem.h"

#include <stdint.h>

struct intern_entry;

struct intern {
	struct intern_entry **entries; /* by number - 1; NULL: free */
	uint32_t count, room;	       /* numbers handed out, allocated */
	uint32_t used;
	uint32_t free; /* a number that is free, or 0; chained in free_next */
	uint32_t *free_next;
	uint32_t *table; /* open addressing: number, 0 empty */
	uint32_t table_room;
	uint64_t seed;
	size_t text_bytes; /* of all strings */
};

/* The string's number with one more reference. False: no memory. */
bool intern_take(struct intern *intern, struct mem *mem, struct span text, uint32_t *out);
/* Its number without a reference; 0 where it is not there (or empty). */
uint32_t intern_find(const struct intern *intern, struct span text);
void intern_hold(struct intern *intern, uint32_t number);
/* Drops a reference. */
void intern_give(struct intern *intern, struct mem *mem, uint32_t number);
struct span intern_text(const struct intern *intern, uint32_t number);
uint32_t intern_refs(const struct intern *intern, uint32_t number);
/* A number that its user may tie to the string; 0 at first. Only for numbers over 0. */
uint32_t *intern_tag(const struct intern *intern, uint32_t number);
void intern_done(struct intern *intern, struct mem *mem);

#endif
