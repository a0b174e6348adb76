#include "keys/limits_table.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS ((size_t)2 * LIMITS_ENTRIES)
#define NONE	UINT32_MAX

int limits_table_init(struct limits_table *table, uint32_t most)
{
	CHECK(most > 0 && most <= UINT8_MAX);
	*table = (struct limits_table){.most = most, .oldest = NONE, .newest = NONE};
	table->buckets = malloc(BUCKETS * sizeof(*table->buckets));
	table->entries = calloc(LIMITS_ENTRIES, sizeof(*table->entries));
	table->rings = calloc((size_t)LIMITS_ENTRIES * most, sizeof(*table->rings));
	if (!table->buckets || !table->entries || !table->rings) {
		limits_table_done(table);
		return ERR_NOMEM;
	}
	memset(table->buckets, 0xff, BUCKETS * sizeof(*table->buckets));
	return 0;
}

void limits_table_done(struct limits_table *table)
{
	free(table->buckets);
	free(table->entries);
	free(table->rings);
	*table = (struct limits_table){0};
}

/* The keys are digests: any of their bytes will do. */
static uint32_t *bucket_of(struct limits_table *table, const uint8_t key[LIMITS_DIGEST])
{
	uint32_t hash;

	memcpy(&hash, key, sizeof(hash));
	return &table->buckets[hash % BUCKETS];
}

static void leave_order(struct limits_table *table, uint32_t at)
{
	struct limit *e = &table->entries[at];

	if (e->older == NONE)
		table->oldest = e->newer;
	else
		table->entries[e->older].newer = e->newer;
	if (e->newer == NONE)
		table->newest = e->older;
	else
		table->entries[e->newer].older = e->older;
}

static void be_newest(struct limits_table *table, uint32_t at)
{
	struct limit *e = &table->entries[at];

	e->newer = NONE;
	e->older = table->newest;
	if (table->newest == NONE)
		table->oldest = at;
	else
		table->entries[table->newest].newer = at;
	table->newest = at;
}

uint64_t *limits_table_ring(const struct limits_table *table, const struct limit *e)
{
	return table->rings + (size_t)(e - table->entries) * table->most;
}

struct limit *limits_table_find(struct limits_table *table, const uint8_t key[LIMITS_DIGEST])
{
	for (uint32_t at = *bucket_of(table, key); at != NONE; at = table->entries[at].next)
		if (memcmp(table->entries[at].key, key, LIMITS_DIGEST) == 0)
			return &table->entries[at];
	return NULL;
}

static void forget(struct limits_table *table, uint32_t at)
{
	uint32_t *link = bucket_of(table, table->entries[at].key);

	while (*link != at)
		link = &table->entries[*link].next;
	*link = table->entries[at].next;
	leave_order(table, at);
}

static void make(struct limits_table *table, uint32_t at, const uint8_t key[LIMITS_DIGEST])
{
	struct limit *e = &table->entries[at];
	uint32_t *bucket = bucket_of(table, key);

	*e = (struct limit){.next = *bucket};
	memcpy(e->key, key, LIMITS_DIGEST);
	*bucket = at;
	be_newest(table, at);
}

struct limit *limits_table_take(struct limits_table *table, const uint8_t key[LIMITS_DIGEST])
{
	struct limit *e = limits_table_find(table, key);
	uint32_t at;

	if (e) {
		at = (uint32_t)(e - table->entries);
		leave_order(table, at);
		be_newest(table, at);
		return e;
	}
	if (table->count < LIMITS_ENTRIES) {
		at = table->count++;
	} else {
		at = table->oldest;
		forget(table, at);
	}
	make(table, at, key);
	return &table->entries[at];
}

void limits_table_replace(
	struct limits_table *table, struct limit *e, const uint8_t key[LIMITS_DIGEST])
{
	uint32_t at = (uint32_t)(e - table->entries);

	forget(table, at);
	make(table, at, key);
}
