/*
 * The bytes of secrets in memory. Inner header of directory/secrets*. Both sides are the same
 * program on the same machine, so numbers are in its own order; they are copied out and checked,
 * never read in place.
 *
 *   header | records, by name | hash table | texts
 *
 * The hash table is a power of two of u32: 0, or the index of a record plus 1; open addressing,
 * linear probing, XXH3 of the name.
 */
#ifndef DIRECTORY_SECRETS_INNER_H
#define DIRECTORY_SECRETS_INNER_H

#include "directory/secrets.h"

#include <stddef.h>

#define SECRETS_MAGIC	     0x3154524353545350ull /* "PSTSCRT1" */
#define SECRETS_VERSION	     1u
#define SECRETS_MOST	     4000000u	/* as many as there may be accounts */
#define SECRETS_BYTES	     (2u << 30) /* of the whole */
#define SECRETS_NAME	     320u	/* bytes of a name */
#define SECRETS_CHECKED_FROM 16u	/* bytes before the checksum begins */

struct secrets_header {
	uint64_t magic;
	uint64_t checksum; /* XXH3 of all that follows it */
	uint64_t bytes;	   /* of the whole */
	uint32_t version;
	uint32_t count; /* records, which follow the header */
	uint32_t slots; /* of the hash table, which follows them */
	uint32_t texts; /* bytes, which end the whole */
};

struct secrets_record {
	uint32_t name, name_bytes; /* in the texts */
	uint32_t value, value_bytes;
};

struct secrets {
	const char *bytes;
	struct secrets_header header;
	void (*unmap)(struct span bytes); /* NULL: the bytes are somebody else's */
};

/* For tests, too: the bytes stay the caller's until secrets_free(). */
int secrets_from_bytes(struct span bytes, struct secrets **out);

#endif
