/*
 * The bytes of a snapshot. Inner header of directory/snapshot*. Both sides are the same program on
 * the same machine, so numbers are in its own order; they are still copied out and checked, never
 * read in place, since the bytes may be anybody's.
 *
 *   header | sections in the order of enum snapshot_section, the texts last
 *
 * A hash table is a power of two of u32: 0, or an index plus 1; open addressing, linear probing,
 * XXH3 of the name, with which every record begins that can be looked up so.
 */
#ifndef DIRECTORY_SNAPSHOT_FORMAT_H
#define DIRECTORY_SNAPSHOT_FORMAT_H

#include "codec/pin.h"
#include "directory/snapshot.h"

#include <stddef.h>

#define SNAPSHOT_MAGIC	 0x3150414e53545350ull /* "PSTSNAP1" */
#define SNAPSHOT_VERSION 6u

enum snapshot_section {
	SECTION_TRANSPORTS,
	SECTION_DOMAINS,
	SECTION_ACCOUNTS,
	SECTION_ALIASES,
	SECTION_RELAYS,
	SECTION_ACCEPT_HOSTS,
	SECTION_ACCEPT_USERS,
	SECTION_ALIAS_TARGETS, /* of one alias together */
	SECTION_PINS,	       /* of one transport together */
	SECTION_RANGES,	       /* of one list together, sorted, apart from each other */
	SECTION_PRIORITIES,
	SECTION_PAUSES,
	SECTION_PAUSED_DOMAINS, /* u32: index of a domain */
	SECTION_TRANSPORT_HASH, /* hash tables in the order of what they are for, from 0 on */
	SECTION_DOMAIN_HASH,
	SECTION_ACCOUNT_HASH,
	SECTION_ALIAS_HASH,
	SECTION_RELAY_HASH,
	SECTION_ACCEPT_HOST_HASH,
	SECTION_ACCEPT_USER_HASH,
	SECTION_TEXTS,
	SECTIONS
};

/* The hash table of a section that has one. */
static inline enum snapshot_section snapshot_hash_of(enum snapshot_section section)
{
	return SECTION_TRANSPORT_HASH + (section - SECTION_TRANSPORTS);
}
_Static_assert(SECTION_ACCEPT_USER_HASH - SECTION_TRANSPORT_HASH ==
		       SECTION_ACCEPT_USERS - SECTION_TRANSPORTS,
	"a hash table for each");

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
	uint32_t tls;
	uint32_t pins, pin_count; /* in the pins */
	struct snapshot_text tls_ca, sasl_user;
};

struct snapshot_pin_record {
	uint8_t hash[PIN_BYTES];
};

struct snapshot_domain_record {
	struct snapshot_text name;
	uint32_t kind, transport;
	uint32_t pause;	   /* index plus 1 */
	uint32_t alias_of; /* index plus 1 of a domain, whose kind, transport and pause stand here
			    */
};

struct snapshot_account_record {
	struct snapshot_text name, send_as;
	uint32_t disabled;
	uint32_t since_low, since_high;
};

struct snapshot_alias_record {
	struct snapshot_text name;
	uint32_t targets, target_count; /* in the alias targets */
};

/* Of the accept table, and of the targets of aliases. */
struct snapshot_name_record {
	struct snapshot_text name;
};

struct snapshot_relay_record {
	struct snapshot_text name, certificates;
	uint32_t policy, advertise_auth, senders;
	uint32_t from, from_count, to, to_count; /* in the ranges */
};

/* Addresses as they are compared: the family, then the bytes. */
struct snapshot_range_record {
	struct {
		uint8_t family;
		uint8_t ip[16];
	} first, last;
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

/* Bytes of one record of a section. */
size_t snapshot_record_bytes(enum snapshot_section section);
uint32_t snapshot_hash_slot(struct span name, uint32_t slots);

/* ---- reading, for the files of snapshot ------------------------------------------------------ */

/* ERR_NOT_FOUND behind the last one. `bytes` is what snapshot_record_bytes() says. */
int snapshot_record(const struct snapshot *s, enum snapshot_section section, uint32_t at, void *out,
	size_t bytes);
/* A text that lies outside is the empty one, and *bad becomes true. */
struct span snapshot_text(const struct snapshot *s, struct snapshot_text at, bool *bad);
/* The index of a name, in a section with a hash table. ERR_NOT_FOUND, ERR_CORRUPT. */
int snapshot_find(
	const struct snapshot *s, enum snapshot_section section, struct span name, uint32_t *out);
/* Do `count` records from `first` on lie in the section? */
bool snapshot_holds(
	const struct snapshot *s, enum snapshot_section section, uint32_t first, uint32_t count);

#endif
