/* Who was wrong about passwords, for administrators, and how that is forgotten. */
#include "base/check.h"
#include "keys/limits_table.h"

#include <string.h>

/* ---- seeing --------------------------------------------------------------------------------- */

static void see(const struct limits_table *table, const struct limit *e, enum limits_kind kind,
	uint64_t now_s, struct limits_seen *out)
{
	const uint64_t *failed_s = limits_table_ring(table, e);

	*out = (struct limits_seen){.kind = kind, .client = e->client};
	if (kind == LIMITS_OF_ACCOUNT)
		out->account = e->key;
	else if (kind == LIMITS_OF_PAIR)
		out->account = e->account;
	for (uint32_t i = 0; i < e->failures; i++) {
		if (now_s - failed_s[i] >= LIMITS_WINDOW_S)
			continue;
		out->since_s = out->failures ? MIN(out->since_s, failed_s[i]) : failed_s[i];
		out->last_s = MAX(out->last_s, failed_s[i]);
		out->failures++;
	}
	if (now_s < e->blocked_until_s)
		out->blocked_until_s = e->blocked_until_s;
}

void limits_see(struct limits *l, uint64_t now_s, bool blocked,
	void (*each)(void *context, const struct limits_seen *seen), void *context)
{
	struct limits_table *const tables[] = {[LIMITS_OF_ADDRESS] = &l->addresses,
		[LIMITS_OF_SITE] = &l->sites,
		[LIMITS_OF_ACCOUNT] = &l->accounts,
		[LIMITS_OF_PAIR] = &l->pairs};
	struct limits_seen seen;

	for (unsigned kind = 0; kind < ARRAY_SIZE(tables); kind++) {
		const struct limits_table *table = tables[kind];
		const struct limits_order *order = &table->orders[LIMITS_SOMEBODY];
		for (uint32_t at = order->newest, n = 0; n < order->count; n++) {
			const struct limit *e = &table->entries[at];
			at = e->older;
			see(table, e, (enum limits_kind)kind, now_s, &seen);
			bool is_blocked = seen.blocked_until_s != 0;
			if (is_blocked == blocked && (is_blocked || seen.failures))
				each(context, &seen);
		}
	}
}

uint32_t limits_see_nobodies(struct limits *l, uint64_t now_s)
{
	const struct limits_table *table = &l->accounts;
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->count; i++)
		count += table->entries[i].class == LIMITS_NOBODY &&
			 limits_recent(table, &table->entries[i], now_s) > 0;
	return count;
}

/* ---- lifting -------------------------------------------------------------------------------- */

/* Tries that have begun, and logins from there, stay. */
static uint32_t lift(const struct limits_table *table, struct limit *e, uint64_t now_s)
{
	bool had = limits_recent(table, e, now_s) || now_s < e->blocked_until_s;

	e->failures = e->at = e->blocks = 0;
	e->blocked_until_s = e->patience_s = 0;
	return had;
}

uint32_t limits_lift_account(struct limits *l, const uint8_t account[LIMITS_DIGEST], uint64_t now_s)
{
	uint32_t count = 0;

	for (unsigned class = 0; class < LIMITS_CLASSES; class ++) {
		struct limit *e =
			limits_table_find(&l->accounts, (enum limits_class) class, account);
		if (e)
			count += lift(&l->accounts, e, now_s);
	}
	for (uint32_t i = 0; i < l->pairs.count; i++) {
		struct limit *e = &l->pairs.entries[i];
		if (memcmp(e->account, account, LIMITS_DIGEST) == 0)
			count += lift(&l->pairs, e, now_s);
	}
	return count;
}

static uint32_t lift_in(
	struct limits_table *table, const struct netaddr *address, unsigned bits, uint64_t now_s)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->count; i++) {
		struct limit *e = &table->entries[i];
		if (e->client.family == address->family && e->client.bits >= bits &&
			memcmp(e->client.ip, address->ip, bits / 8) == 0)
			count += lift(table, e, now_s);
	}
	return count;
}

uint32_t limits_lift_address(
	struct limits *l, const struct netaddr *address, unsigned bits, uint64_t now_s)
{
	bool v6 = address->family == NETADDR_V6;
	unsigned most = v6 ? LIMITS_CLIENT_BITS : LIMITS_IPV4_BITS;
	unsigned of_clients = bits && bits < most ? LIMITS_SITE_BITS : most;
	uint32_t count = lift_in(&l->addresses, address, of_clients, now_s) +
			 lift_in(&l->pairs, address, of_clients, now_s);

	if (v6 && bits != LIMITS_CLIENT_BITS)
		count += lift_in(&l->sites, address, LIMITS_SITE_BITS, now_s);
	return count;
}
