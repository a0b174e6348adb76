/* The tables of limits.h: who was wrong when. For the limits*.c files alone. */
#ifndef KEYS_LIMITS_TABLE_H
#define KEYS_LIMITS_TABLE_H

#include "keys/limits.h"

struct limit {
	uint8_t key[LIMITS_DIGEST];
	uint8_t account[LIMITS_DIGEST]; /* of a pair: whose */
	struct limits_prefix client;	/* of an address, a site, a pair: for people */
	uint32_t next;			/* of the same bucket */
	uint32_t older, newer;		/* of its class, by the last use */
	uint8_t class;			/* enum limits_class */
	uint8_t failures, at; /* how many of its ring hold something; where the next goes */
	uint8_t blocks;
	uint32_t pending; /* tries that have begun */
	uint64_t last_s;  /* failure */
	uint64_t blocked_until_s;
	uint64_t known_until_s;
	uint64_t patience_s; /* of an account: when the next try may be made during a block */
};

/* What is in one table and makes no room for the other. They share all memory, so that who lies
 * where, and how soon it is found, says nothing of its kind. */
enum limits_class { LIMITS_SOMEBODY, LIMITS_NOBODY, LIMITS_CLASSES };

struct limits_order {
	uint32_t count, oldest, newest; /* by the last use */
};

struct limits_table {
	uint32_t most; /* failures in the window */
	uint32_t count;
	struct limits_order orders[LIMITS_CLASSES]; /* LIMITS_ENTRIES of each */
	uint32_t *buckets;
	struct limit *entries;
	uint64_t *rings; /* of each entry, when the last `most` failures were */
};

struct limits {
	struct limits_table addresses, sites, pairs;
	struct limits_table accounts; /* those that there are, and names of nobody */
};

/* Failures that count now. */
uint32_t limits_recent(const struct limits_table *table, const struct limit *e, uint64_t now_s);

/* `classes`: LIMITS_CLASSES, or 1, where all are LIMITS_SOMEBODY. ERR_NOMEM. */
int limits_table_init(struct limits_table *table, uint32_t classes, uint32_t most);
void limits_table_done(struct limits_table *table);

/* `most` places. */
uint64_t *limits_table_ring(const struct limits_table *table, const struct limit *e);
/* NULL: it was never heard of, or is forgotten. */
struct limit *limits_table_find(
	struct limits_table *table, enum limits_class class, const uint8_t key[LIMITS_DIGEST]);
/* The same, made where it is missing; it was used now. */
struct limit *limits_table_take(
	struct limits_table *table, enum limits_class class, const uint8_t key[LIMITS_DIGEST]);
/* The same for one that is missing, in the place of `e`, which is forgotten. */
void limits_table_replace(
	struct limits_table *table, struct limit *e, const uint8_t key[LIMITS_DIGEST]);

#endif
