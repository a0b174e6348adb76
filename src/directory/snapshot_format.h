/*
 * The bytes of a snapshot. Inner header of directory/snapshot*. Both sides are the same program on
 * the same machine, so numbers are in its own order; they are still copied out and checked, never
 * read in place, since the bytes may be anybody's.
 *
 *   header | transports | domains | accounts | priorities | pauses | paused domains | three hash
 *   tables | texts
 *
 * A hash table is a power of two of u32: 0, or an index plus 1; open addressing, linear probing,
 * XXH3 of the name.
 */
#ifndef DIRECTORY_SNAPSHOT_FORMAT_H
#define DIRECTORY_SNAPSHOT_FORMAT_H

#include "directory/snapshot.h"

#include <stddef.h>

#define SNAPSHOT_MAGIC	 0x3150414e53545350ull /* "PSTSNAP1" */
#define SNAPSHOT_VERSION 4u

enum snapshot_section {
	SECTION_TRANSPORTS,
	SECTION_DOMAINS,
	SECTION_ACCOUNTS,
	SECTION_PRIORITIES,
	SECTION_PAUSES,
	SECTION_PAUSED_DOMAINS, /* u32: index of a domain */
	SECTION_TRANSPORT_HASH,
	SECTION_DOMAIN_HASH,
	SECTION_ACCOUNT_HASH,
	SECTION_TEXTS,
	SECTIONS
};

struct snapshot_range {
	uint32_t offset, count; /* count: of records; of bytes for the texts */
};

struct snapshot_text {
	uint32_t offset, length; /* in the texts */
};

struct snapshot_header {
	uint64_t magic;
	uint64_t checksum; /* XXH3 of all that follows it */
	uint64_t bytes;	   /* of the whole */
	uint64_t generation;
	uint64_t routes_hash; /* of all that says where a recipient's mail goes */
	uint32_t version;
	uint32_t default_transport; /* index plus 1; 0: none */
	uint32_t pause;		    /* of everything: index plus 1; 0: none */
	uint32_t unused;
	struct snapshot_text postmaster;
	struct snapshot_range sections[SECTIONS];
};
#define SNAPSHOT_CHECKED_FROM 16u /* bytes before the checksum begins */

struct snapshot_pause_record {
	uint32_t since_low, since_high;
	struct snapshot_text by, reason;
};

struct snapshot_transport_record {
	struct snapshot_text name, host, zone, query, source_v4, source_v6, helo, retry_text;
	uint32_t port, retry_count, give_up, delay_warning_s;
	uint32_t connections, messages_per_connection, rate_per_minute;
	uint32_t pause; /* index plus 1 */
	uint32_t private_hosts;
	uint32_t retry_steps;
	struct retry_step retry[RETRY_STEPS];
};

struct snapshot_domain_record {
	struct snapshot_text name;
	uint32_t kind, transport;
	uint32_t pause; /* index plus 1 */
};

struct snapshot_account_record {
	struct snapshot_text name;
};

struct snapshot_priority_record {
	struct snapshot_text sender, recipient, domain, transport, client;
};

struct snapshot {
	uint32_t refs;
	const char *bytes;
	struct snapshot_header header;
	void (*unmap)(struct span bytes); /* NULL: the bytes are somebody else's */
};

#endif
