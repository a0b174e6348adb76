#include "keys/limits.h"

#include "base/check.h"
#include "base/err.h"
#include "keys/limits_table.h"

#include <stdlib.h>
#include <string.h>

int limits_new(struct limits **out)
{
	struct limits *l = calloc(1, sizeof(*l));

	if (!l)
		return ERR_NOMEM;
	int err = limits_table_init(&l->addresses, 1, LIMITS_ADDRESS);
	if (err == 0)
		err = limits_table_init(&l->sites, 1, LIMITS_SITE);
	if (err == 0)
		err = limits_table_init(&l->accounts, LIMITS_CLASSES, LIMITS_ACCOUNT);
	if (err == 0)
		err = limits_table_init(&l->pairs, 1, LIMITS_ADDRESS);
	if (err)
		limits_free(&l);
	else
		*out = l;
	return err;
}

void limits_free(struct limits **at)
{
	struct limits *l = *at;

	if (!l)
		return;
	limits_table_done(&l->addresses);
	limits_table_done(&l->sites);
	limits_table_done(&l->accounts);
	limits_table_done(&l->pairs);
	free(l);
	*at = NULL;
}

static struct limits_prefix prefix_of(const struct netaddr *client, unsigned bits_of_v6)
{
	bool v6 = client->family == NETADDR_V6;
	struct limits_prefix out = {
		.family = client->family, .bits = (uint8_t)(v6 ? bits_of_v6 : LIMITS_IPV4_BITS)};

	memcpy(out.ip, client->ip, out.bits / 8);
	return out;
}

static void digest_prefix(
	struct keyed *keyed, const struct limits_prefix *prefix, uint8_t out[LIMITS_DIGEST])
{
	uint8_t text[1 + sizeof(prefix->ip)] = {prefix->family};

	memcpy(text + 1, prefix->ip, sizeof(prefix->ip));
	keyed_digest(keyed, prefix->bits == LIMITS_SITE_BITS ? 's' : 'a',
		span_of(text, sizeof(text)), out);
}

void limits_who(struct keyed *keyed, const struct netaddr *client,
	const uint8_t account[LIMITS_DIGEST], bool exists, struct limits_who *out)
{
	uint8_t both[2 * LIMITS_DIGEST];

	out->client = prefix_of(client, LIMITS_CLIENT_BITS);
	out->site_prefix = prefix_of(client, LIMITS_SITE_BITS);
	digest_prefix(keyed, &out->client, out->address);
	digest_prefix(keyed, &out->site_prefix, out->site);
	memcpy(out->account, account, LIMITS_DIGEST);
	memcpy(both, out->address, LIMITS_DIGEST);
	memcpy(both + LIMITS_DIGEST, out->account, LIMITS_DIGEST);
	keyed_digest(keyed, 'p', span_of(both, sizeof(both)), out->pair);
	out->nobody = !exists;
	out->loopback = netaddr_is_loopback(client);
	out->has_site = client->family == NETADDR_V6 && !out->loopback;
}

/* ---- one of them ---------------------------------------------------------------------------- */

uint32_t limits_recent(const struct limits_table *table, const struct limit *e, uint64_t now_s)
{
	const uint64_t *failed_s = limits_table_ring(table, e);
	uint32_t count = 0;

	for (uint32_t i = 0; i < e->failures; i++)
		count += now_s - failed_s[i] < LIMITS_WINDOW_S;
	return count;
}

static bool is_open(const struct limits_table *table, const struct limit *e, uint64_t now_s)
{
	if (!e)
		return true;
	if (now_s < e->blocked_until_s)
		return false;
	/* After a block, one at a time. */
	return !e->pending || limits_recent(table, e, now_s) + e->pending < table->most;
}

static void ended(struct limit *e)
{
	if (e && e->pending)
		e->pending--;
}

/* How many failures of the window there are now. */
static uint32_t failed(struct limits_table *table, struct limit *e, uint64_t now_s)
{
	ended(e);
	if (now_s - e->last_s >= LIMITS_FORGIVE_S)
		e->blocks = 0;
	e->last_s = now_s;
	limits_table_ring(table, e)[e->at] = now_s;
	e->at = (uint8_t)((e->at + 1u) % table->most);
	e->failures = (uint8_t)MIN(e->failures + 1u, table->most);
	uint32_t count = limits_recent(table, e, now_s);
	if (count >= table->most) {
		uint64_t s = (uint64_t)LIMITS_BLOCK_FIRST_S << e->blocks;
		if (s < LIMITS_BLOCK_MOST_S)
			e->blocks++;
		e->blocked_until_s = now_s + MIN(s, LIMITS_BLOCK_MOST_S);
		e->patience_s = now_s + LIMITS_PATIENCE_S;
	}
	return count;
}

/* Without a branch, which would take its time. */
static enum limits_class class_of(const struct limits_who *who)
{
	return (enum limits_class)who->nobody;
}

static struct limit *find_account(struct limits *l, const struct limits_who *who)
{
	return limits_table_find(&l->accounts, class_of(who), who->account);
}

/* Of these three, also one that had to make room meanwhile. */
static struct limit *take_account(struct limits *l, const struct limits_who *who)
{
	return limits_table_take(&l->accounts, class_of(who), who->account);
}

static struct limit *take_address(struct limits *l, const struct limits_who *who)
{
	struct limit *e = limits_table_take(&l->addresses, LIMITS_SOMEBODY, who->address);

	e->client = who->client;
	return e;
}

static struct limit *take_site(struct limits *l, const struct limits_who *who)
{
	struct limit *e = limits_table_take(&l->sites, LIMITS_SOMEBODY, who->site);

	e->client = who->site_prefix;
	return e;
}

/* ---- a try ---------------------------------------------------------------------------------- */

static struct limit *known_pair(struct limits *l, const struct limits_who *who, uint64_t now_s)
{
	struct limit *pair = limits_table_find(&l->pairs, LIMITS_SOMEBODY, who->pair);

	return pair && now_s < pair->known_until_s ? pair : NULL;
}

/* The account's pair with the oldest login, if it has as many as it may. Goes through all of them:
 * only a login from somewhere new asks, and that has cost more. */
static struct limit *pair_too_many(struct limits_table *pairs, const uint8_t account[LIMITS_DIGEST])
{
	struct limit *oldest = NULL;
	uint32_t count = 0;

	for (uint32_t i = 0; i < pairs->count; i++) {
		struct limit *e = &pairs->entries[i];

		if (memcmp(e->account, account, LIMITS_DIGEST) != 0)
			continue;
		count++;
		if (!oldest || e->known_until_s < oldest->known_until_s)
			oldest = e;
	}
	return count >= LIMITS_PAIRS ? oldest : NULL;
}

static struct limit *take_pair(struct limits *l, const struct limits_who *who)
{
	if (!limits_table_find(&l->pairs, LIMITS_SOMEBODY, who->pair)) {
		struct limit *old = pair_too_many(&l->pairs, who->account);
		if (old)
			limits_table_replace(&l->pairs, old, who->pair);
	}
	struct limit *pair = limits_table_take(&l->pairs, LIMITS_SOMEBODY, who->pair);
	memcpy(pair->account, who->account, LIMITS_DIGEST);
	pair->client = who->client;
	return pair;
}

/* Nothing was wrong from there for as long as failures count, and nothing is being tried. */
static bool is_clean(const struct limits_table *table, const struct limit *e, uint64_t now_s)
{
	return !e || (!e->pending && !limits_recent(table, e, now_s));
}

/* May the one try that a blocked account has in a while come from there? Clients of this machine
 * have no address of their own. Of a site one client is as clean as any other. */
static bool has_patience(
	struct limits *l, const struct limits_who *who, const struct limit *account, uint64_t now_s)
{
	return !who->loopback && now_s < account->blocked_until_s && now_s >= account->patience_s &&
	       is_clean(&l->addresses,
		       limits_table_find(&l->addresses, LIMITS_SOMEBODY, who->address), now_s);
}

enum way { WAY_NONE, WAY_PAIR, WAY_PATIENT, WAY_OPEN };

/* How a try would be counted. */
static enum way way_of(struct limits *l, const struct limits_who *who, uint64_t now_s)
{
	const struct limit *pair = known_pair(l, who, now_s);

	if (pair)
		return is_open(&l->pairs, pair, now_s) ? WAY_PAIR : WAY_NONE;
	const struct limit *account = find_account(l, who);
	const struct limit *address =
		who->loopback ? NULL
			      : limits_table_find(&l->addresses, LIMITS_SOMEBODY, who->address);
	const struct limit *site =
		who->has_site ? limits_table_find(&l->sites, LIMITS_SOMEBODY, who->site) : NULL;
	if (!is_open(&l->addresses, address, now_s) || !is_open(&l->sites, site, now_s))
		return WAY_NONE;
	if (is_open(&l->accounts, account, now_s))
		return WAY_OPEN;
	return has_patience(l, who, account, now_s) ? WAY_PATIENT : WAY_NONE;
}

bool limits_open(struct limits *l, const struct limits_who *who, uint64_t now_s)
{
	return way_of(l, who, now_s) != WAY_NONE;
}

bool limits_begin(struct limits *l, struct limits_who *who, uint64_t now_s)
{
	enum way way = way_of(l, who, now_s);

	who->by_pair = way == WAY_PAIR;
	who->patient = way == WAY_PATIENT;
	if (way == WAY_NONE)
		return false;
	if (who->by_pair) {
		limits_table_take(&l->pairs, LIMITS_SOMEBODY, who->pair)->pending++;
		return true;
	}
	struct limit *account = take_account(l, who);
	who->patience_s = account->patience_s;
	if (who->patient)
		account->patience_s = now_s + LIMITS_PATIENCE_S;
	else
		account->pending++;
	if (!who->loopback)
		take_address(l, who)->pending++;
	if (who->has_site)
		take_site(l, who)->pending++;
	return true;
}

static uint64_t delay_ms(uint32_t failures)
{
	uint64_t ms = LIMITS_DELAY_FIRST;

	while (--failures && ms < LIMITS_DELAY_MOST)
		ms *= 2;
	return MIN(ms, LIMITS_DELAY_MOST);
}

uint64_t limits_wrong(struct limits *l, const struct limits_who *who, uint64_t now_s)
{
	if (who->by_pair) {
		return delay_ms(failed(&l->pairs, take_pair(l, who), now_s));
	}
	struct limits_table *accounts = &l->accounts;
	struct limit *account = take_account(l, who);
	uint32_t of_account = who->patient ? MAX(1u, limits_recent(accounts, account, now_s))
					   : failed(accounts, account, now_s);
	uint32_t of_address =
		who->loopback ? 1 : failed(&l->addresses, take_address(l, who), now_s);
	uint32_t of_site = who->has_site ? failed(&l->sites, take_site(l, who), now_s) : 1;
	uint32_t as_client = (of_site + LIMITS_SITE_TIMES - 1) / LIMITS_SITE_TIMES;
	return delay_ms(MAX(of_account, MAX(of_address, as_client)));
}

static void end_try(struct limits *l, const struct limits_who *who)
{
	if (who->by_pair) {
		ended(limits_table_find(&l->pairs, LIMITS_SOMEBODY, who->pair));
		return;
	}
	if (!who->patient)
		ended(find_account(l, who));
	if (!who->loopback)
		ended(limits_table_find(&l->addresses, LIMITS_SOMEBODY, who->address));
	if (who->has_site)
		ended(limits_table_find(&l->sites, LIMITS_SOMEBODY, who->site));
}

void limits_void(struct limits *l, const struct limits_who *who)
{
	struct limit *account = who->patient ? find_account(l, who) : NULL;

	if (account)
		account->patience_s = who->patience_s;
	end_try(l, who);
}

void limits_right(struct limits *l, const struct limits_who *who, uint64_t now_s)
{
	end_try(l, who);
	/* What was wrong before stays counted: it may have been somebody else behind the same
	 * address. */
	take_pair(l, who)->known_until_s = now_s + LIMITS_KNOWN_S;
}
