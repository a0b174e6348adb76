/*
 * How often somebody may be wrong about a password: failures counted by client address (IPv6: by
 * /64, and by /48) and by account, over all workers. Pure; time comes in.
 *
 * A try is counted while it lasts, so that many at once are no way around. After a failure the bad
 * news waits: LIMITS_DELAY_FIRST, twice that, … LIMITS_DELAY_MOST, by the failures of the last
 * LIMITS_WINDOW. After LIMITS_ADDRESS of them (of an account: LIMITS_ACCOUNT) no try is made at all
 * for LIMITS_BLOCK_FIRST, after the next failure for twice that, …; a day without failure forgives.
 *
 * A customer can have a /48 of IPv6, and 65,536 clients in it: all of them have LIMITS_SITE_TIMES
 * the tries of one, and as many failures more until each delay. That is less than the strangers
 * who may wait for one worker (KEYS_STRANGERS), so one site cannot take all their places.
 *
 * Strangers must not lock an account's owner out, nor one forgotten telephone its whole office: an
 * address from which the account was logged in to within LIMITS_KNOWN counts by itself, beside the
 * other tables. An account has LIMITS_PAIRS such addresses, those of its last logins, so that one
 * owner does not make those of all others unknown. Loopback clients (a webmail) are counted by
 * account alone. An account that does not exist is counted like any other, in the same table, and
 * makes room for its kind only: names can be made up without end, by a worker that was taken over
 * with any client's address, and must not push an account's failures out.
 *
 * Nor from everywhere else: while an account is blocked, an address without a failure of its own
 * within the window may still try, but of all such addresses together one in LIMITS_PATIENCE_S, the
 * first so long after the block began. So an owner somewhere new gets in by trying again, and who
 * guesses from ever new addresses has 3600 / LIMITS_PATIENCE_S guesses an hour more, however many
 * these are. Such a failure counts for its address, and makes the account's block no longer.
 *
 * Bounds: LIMITS_ENTRIES of each of these (addresses, sites, pairs, accounts, names of nobody); who
 * was not heard of for the longest time makes room.
 */
#ifndef KEYS_LIMITS_H
#define KEYS_LIMITS_H

#include "base/netaddr.h"
#include "keys/keyed.h"

#include <stdbool.h>
#include <stdint.h>

#define LIMITS_WINDOW_S	     3600u
#define LIMITS_FORGIVE_S     (24ull * 3600)
#define LIMITS_KNOWN_S	     (30ull * 24 * 3600)
#define LIMITS_ADDRESS	     10
#define LIMITS_SITE_TIMES    4
#define LIMITS_SITE	     (LIMITS_SITE_TIMES * LIMITS_ADDRESS)
#define LIMITS_ACCOUNT	     16
#define LIMITS_PAIRS	     64	   /* (address, account) that are known, of an account */
#define LIMITS_DELAY_FIRST   1000u /* ms */
#define LIMITS_DELAY_MOST    30000u
#define LIMITS_BLOCK_FIRST_S 60u
#define LIMITS_BLOCK_MOST_S  3600u
#define LIMITS_PATIENCE_S    60u
#define LIMITS_ENTRIES	     16384u

struct limits;

/* What of an address counts as one. */
#define LIMITS_IPV4_BITS   32
#define LIMITS_CLIENT_BITS 64 /* of IPv6 */
#define LIMITS_SITE_BITS   48
struct limits_prefix {
	uint8_t family, bits; /* NETADDR_NONE: none */
	uint8_t ip[16];	      /* zeros behind the bits */
};

/* Who tries what: made once for a try. */
#define LIMITS_DIGEST KEYED_DIGEST
struct limits_who {
	struct limits_prefix client, site_prefix;
	uint8_t address[LIMITS_DIGEST], site[LIMITS_DIGEST];
	uint8_t account[LIMITS_DIGEST], pair[LIMITS_DIGEST];
	bool nobody; /* there is no such account */
	bool loopback;
	bool has_site;
	bool by_pair; /* set by limits_begin(): counted there */
	bool patient; /* likewise: the account is blocked, and this is the try of the minute … */
	uint64_t patience_s; /* … the next of which could be made then, before it */
};

int limits_new(struct limits **out);
void limits_free(struct limits **limits);

/* `account`: a digest of its name, in the one form that all spellings of it share. */
void limits_who(struct keyed *keyed, const struct netaddr *client,
	const uint8_t account[LIMITS_DIGEST], bool exists, struct limits_who *out);

/* May a try be made at all? */
bool limits_open(struct limits *limits, const struct limits_who *who, uint64_t now_s);
/* The same, and it has begun: one of the three below ends it. */
bool limits_begin(struct limits *limits, struct limits_who *who, uint64_t now_s);
/* How long the bad news is to wait, in ms. */
uint64_t limits_wrong(struct limits *limits, const struct limits_who *who, uint64_t now_s);
void limits_right(struct limits *limits, const struct limits_who *who, uint64_t now_s);
/* It did not come to an end. */
void limits_void(struct limits *limits, const struct limits_who *who);

/* ---- for administrators (limits_view.c) ----------------------------------------------------- */

/* In this order they are seen: many strangers' addresses must not hide who cannot log in. */
enum limits_kind { LIMITS_OF_ACCOUNT, LIMITS_OF_PAIR, LIMITS_OF_ADDRESS, LIMITS_OF_SITE };

struct limits_seen {
	enum limits_kind kind;
	struct limits_prefix client; /* not of an account */
	const uint8_t *account;	     /* digest; of an account and a pair, else NULL */
	uint32_t failures;	     /* that count now */
	uint64_t since_s, last_s;    /* the first and the last of them; 0: none counts */
	uint64_t blocked_until_s;    /* 0: not blocked */
};

/* Each that is blocked now, or, unless `blocked`, each other one with failures that count; the
 * latest first within its kind. Names of nobody are left out. */
void limits_see(struct limits *limits, uint64_t now_s, bool blocked,
	void (*each)(void *context, const struct limits_seen *seen), void *context);
/* How many names of nobody have failures that count. */
uint32_t limits_see_nobodies(struct limits *limits, uint64_t now_s);
/* Failures of an account, by itself and from the addresses that are known, are forgotten. How many
 * had any. */
uint32_t limits_lift_account(
	struct limits *limits, const uint8_t account[LIMITS_DIGEST], uint64_t now_s);
/* Those of an address: bits 0 means of its client and of the site that this is in; else of the
 * client or site of so many bits, and of all clients in it. */
uint32_t limits_lift_address(
	struct limits *limits, const struct netaddr *address, unsigned bits, uint64_t now_s);

#endif
