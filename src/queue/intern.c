#include "queue/intern.h"

#include "base/check.h"

#include <xxhash.h>

#define INTERN_FIRST 16 /* slots of the first allocation; a power of two */
#define INTERN_MOST  (1u << 29)

struct intern_entry {
	uint32_t refs;
	uint32_t hash;
	uint32_t tag;
	uint32_t length;
	char text[];
};

static uint32_t hash_of(const struct intern *intern, struct span text)
{
	return (uint32_t)XXH3_64bits_withSeed(text.p, text.n, intern->seed);
}

static struct intern_entry *entry_of(const struct intern *intern, uint32_t number)
{
	CHECK(number && number <= intern->count && intern->entries[number - 1]);
	return intern->entries[number - 1];
}

uint32_t intern_find(const struct intern *intern, struct span text)
{
	if (!text.n || !intern->table_room)
		return 0;
	uint32_t hash = hash_of(intern, text), mask = intern->table_room - 1;
	for (uint32_t at = hash & mask; intern->table[at]; at = (at + 1) & mask) {
		const struct intern_entry *entry = intern->entries[intern->table[at] - 1];
		if (entry->hash == hash && span_equal(span_of(entry->text, entry->length), text))
			return intern->table[at];
	}
	return 0;
}

static void table_put(uint32_t *table, uint32_t room, uint32_t hash, uint32_t number)
{
	uint32_t at = hash & (room - 1);
	while (table[at])
		at = (at + 1) & (room - 1);
	table[at] = number;
}

static bool table_grow(struct intern *intern, struct mem *mem)
{
	if (intern->used + 1 <= intern->table_room / 2)
		return true;
	uint32_t room = intern->table_room ? intern->table_room * 2 : INTERN_FIRST * 2;
	uint32_t *table = mem_zero(mem, room * sizeof(uint32_t));
	if (!table)
		return false;
	for (uint32_t i = 0; i < intern->count; i++)
		if (intern->entries[i])
			table_put(table, room, intern->entries[i]->hash, i + 1);
	mem_free(mem, intern->table, intern->table_room * sizeof(uint32_t));
	intern->table = table;
	intern->table_room = room;
	return true;
}

static bool number_new(struct intern *intern, struct mem *mem, uint32_t *out)
{
	if (!intern->free && intern->count == intern->room) {
		uint32_t room = intern->room ? intern->room + intern->room / 2 : INTERN_FIRST;
		if (room > INTERN_MOST)
			return false;
		struct intern_entry **entries = mem_resize(mem, intern->entries,
			intern->room * sizeof(*entries), room * sizeof(*entries));
		if (!entries)
			return false;
		intern->entries = entries;
		uint32_t *next = mem_resize(
			mem, intern->free_next, intern->room * sizeof(*next), room * sizeof(*next));
		if (!next) {
			/* the accounts go by `room`, which stays */
			mem->bytes -= (room - intern->room) * sizeof(*entries);
			return false;
		}
		intern->free_next = next;
		intern->room = room;
	}
	if (intern->free) {
		*out = intern->free;
		intern->free = intern->free_next[*out - 1];
	} else {
		*out = ++intern->count;
	}
	return true;
}

bool intern_take(struct intern *intern, struct mem *mem, struct span text, uint32_t *out)
{
	uint32_t number = intern_find(intern, text);
	if (number || !text.n) {
		intern_hold(intern, number);
		*out = number;
		return true;
	}
	if (text.n > INTERN_MOST || !table_grow(intern, mem))
		return false;
	struct intern_entry *entry = mem_zero(mem, sizeof(*entry) + text.n);
	if (!entry)
		return false;
	if (!number_new(intern, mem, &number)) {
		mem_free(mem, entry, sizeof(*entry) + text.n);
		return false;
	}
	entry->refs = 1;
	entry->hash = hash_of(intern, text);
	entry->length = (uint32_t)text.n;
	memcpy(entry->text, text.p, text.n);
	intern->entries[number - 1] = entry;
	intern->text_bytes += text.n;
	intern->used++;
	table_put(intern->table, intern->table_room, entry->hash, number);
	*out = number;
	return true;
}

void intern_hold(struct intern *intern, uint32_t number)
{
	if (number)
		entry_of(intern, number)->refs++;
}

/* Open addressing without graves: what follows in the run closes the gap. */
static void table_remove(struct intern *intern, uint32_t number)
{
	uint32_t mask = intern->table_room - 1;
	uint32_t at = intern->entries[number - 1]->hash & mask;
	while (intern->table[at] != number)
		at = (at + 1) & mask;
	uint32_t gap = at;
	for (;;) {
		at = (at + 1) & mask;
		if (!intern->table[at])
			break;
		uint32_t home = intern->entries[intern->table[at] - 1]->hash & mask;
		if (((at - home) & mask) >= ((at - gap) & mask)) {
			intern->table[gap] = intern->table[at];
			gap = at;
		}
	}
	intern->table[gap] = 0;
}

void intern_give(struct intern *intern, struct mem *mem, uint32_t number)
{
	if (!number)
		return;
	struct intern_entry *entry = entry_of(intern, number);
	CHECK(entry->refs);
	if (--entry->refs)
		return;
	table_remove(intern, number);
	intern->text_bytes -= entry->length;
	intern->used--;
	intern->entries[number - 1] = NULL;
	mem_free(mem, entry, sizeof(*entry) + entry->length);
	intern->free_next[number - 1] = intern->free;
	intern->free = number;
}

struct span intern_text(const struct intern *intern, uint32_t number)
{
	if (!number)
		return span_of("", 0);
	const struct intern_entry *entry = entry_of(intern, number);
	return span_of(entry->text, entry->length);
}

uint32_t intern_refs(const struct intern *intern, uint32_t number)
{
	return number ? entry_of(intern, number)->refs : 0;
}

uint32_t *intern_tag(const struct intern *intern, uint32_t number)
{
	return &entry_of(intern, number)->tag;
}

void intern_done(struct intern *intern, struct mem *mem)
{
	for (uint32_t i = 0; i < intern->count; i++)
		if (intern->entries[i])
			mem_free(mem, intern->entries[i],
				sizeof(struct intern_entry) + intern->entries[i]->length);
	mem_free(mem, intern->entries, intern->room * sizeof(*intern->entries));
	mem_free(mem, intern->free_next, intern->room * sizeof(uint32_t));
	mem_free(mem, intern->table, intern->table_room * sizeof(uint32_t));
	*intern = (struct intern){0};
}
