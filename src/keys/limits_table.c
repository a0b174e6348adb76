#include "keys/limits_table.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS ((size_t)2 * LIMITS_ENTRIES * LIMITS_CLASSES)
#define NONE	UINT32_MAX

int limits_table_init(struct limits_table *table, uint32_t classes, uint32_t most)
{
	const size_t entries = (size_t)LIMITS_ENTRIES * classes;

	CHECK(classes && classes <= LIMITS_CLASSES && most > 0 && most <= UINT8_MAX);
	*table = (struct limits_table){.most = most};
	for (uint32_t i = 0; i < LIMITS_CLASSES; i++)
		table->orders[i] = (struct limits_order){.oldest = NONE, .newest = NONE};
	table->buckets = malloc(BUCKETS * sizeof(*table->buckets));
	table->entries = calloc(entries, sizeof(*table->entries));
	table->rings = calloc(entries * most, sizeof(*table->rings));
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
	struct limits_order *order = &table->orders[e->class];

	if (e->older == NONE)
		order->oldest = e->newer;
	else
		table->entries[e->older].newer = e->newer;
	if (e->newer == NONE)
		order->newest = e->older;
	else
		table->entries[e->newer].older = e->older;
}

static void be_newest(struct limits_table *table, uint32_t at)
{
	struct limit *e = &table->entries[at];
	struct limits_order *order = &table->orders[e->class];

	e->newer = NONE;
	e->older = order->newest;
	if (order->newest == NONE)
		order->oldest = at;
	else
		table->entries[order->newest].newer = at;
	order->newest = at;
}

uint64_t *limits_table_ring(const struct limits_table *table, const struct limit *e)
{
	return table->rings + (size_t)(e - table->entries) * table->most;
}

struct limit *limits_table_find(
	struct limits_table *table, enum limits_class class, const uint8_t key[LIMITS_DIGEST])
{
	for (uint32_t at = *bucket_of(table, key); at != NONE; at = table->entries[at].next) {
		struct limit *e = &table->entries[at];
		if (e->class == class && memcmp(e->key, key, LIMITS_DIGEST) == 0)
			return e;
	}
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

static void make(struct limits_table *table, uint32_t at, enum limits_class class,
	const uint8_t key[LIMITS_DIGEST])
{
	struct limit *e = &table->entries[at];
	uint32_t *bucket = bucket_of(table, key);

	*e = (struct limit){.next = *bucket, .class = (uint8_t) class};
	memcpy(e->key, key, LIMITS_DIGEST);
	*bucket = at;
	be_newest(table, at);
}

struct limit *limits_table_take(
	struct limits_table *table, enum limits_class class, const uint8_t key[LIMITS_DIGEST])
{
	struct limit *e = limits_table_find(table, class, key);
	struct limits_order *order = &table->orders[class];
	uint32_t at;

	if (e) {
		at = (uint32_t)(e - table->entries);
		leave_order(table, at);
		be_newest(table, at);
		return e;
	}
	if (order->count < LIMITS_ENTRIES) {
		order->count++;
		at = table->count++;
	} else {
		at = order->oldest;
		forget(table, at);
	}
	make(table, at, class, key);
	return &table->entries[at];
}

void limits_table_replace(
	struct limits_table *table, struct limit *e, const uint8_t key[LIMITS_DIGEST])
{
	uint32_t at = (uint32_t)(e - table->entries);

	forget(table, at);
	make(table, at, e->class, key);
}
