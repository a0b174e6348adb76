/* Who has an account, who may relay, who counts as local, and what aliases mean: read from a
 * snapshot. */
#include "base/err.h"
#include "directory/range.h"
#include "directory/snapshot_format.h"

#include <string.h>

/* ---- accounts -------------------------------------------------------------------------------- */

int snapshot_account(const struct snapshot *s, struct span address, struct account *out)
{
	struct snapshot_account_record r = {0};
	bool bad = false;
	uint32_t at;

	int err = snapshot_find(s, SECTION_ACCOUNTS, address, &at);
	if (err == 0)
		err = snapshot_record(s, SECTION_ACCOUNTS, at, &r, sizeof(r));
	if (err < 0)
		return err;
	struct account account = {.address = snapshot_text(s, r.name, &bad),
		.disabled = r.disabled != 0,
		.send_as = snapshot_text(s, r.send_as, &bad),
		.logins_since = (uint64_t)r.since_high << 32 | r.since_low};
	if (bad)
		return ERR_CORRUPT;
	*out = account;
	return 0;
}

/* ---- relay policies -------------------------------------------------------------------------- */

static int read_record(const struct snapshot *s, uint32_t at, struct snapshot_relay_record *r)
{
	int err = snapshot_record(s, SECTION_RELAYS, at, r, sizeof(*r));

	if (err < 0)
		return err;
	if (r->policy >= RELAY_POLICIES || r->senders > RELAY_SENDERS_ANY ||
		!snapshot_holds(s, SECTION_RANGES, r->from, r->from_count) ||
		!snapshot_holds(s, SECTION_RANGES, r->to, r->to_count))
		return ERR_CORRUPT;
	return 0;
}

int snapshot_relay_at(const struct snapshot *s, uint32_t at, struct relay *out)
{
	struct snapshot_relay_record r = {0};
	bool bad = false;

	int err = read_record(s, at, &r);
	if (err < 0)
		return err;
	struct relay relay = {
		.listener = snapshot_text(s, r.name, &bad),
		.policy = (enum relay_policy)r.policy,
		.index = at,
		.from_count = r.from_count,
		.to_count = r.to_count,
		.advertise_auth = r.advertise_auth != 0,
		.senders = (enum relay_senders)r.senders,
		.certificates = snapshot_text(s, r.certificates, &bad),
	};
	if (bad)
		return ERR_CORRUPT;
	*out = relay;
	return 0;
}

int snapshot_relay(const struct snapshot *s, struct span listener, struct relay *out)
{
	uint32_t at;
	int err = snapshot_find(s, SECTION_RELAYS, listener, &at);

	if (err == ERR_NOT_FOUND) {
		/* An index that is nobody's: no ranges. */
		*out = (struct relay){.listener = listener,
			.policy = RELAY_NONE,
			.index = UINT32_MAX,
			.advertise_auth = true,
			.senders = RELAY_SENDERS_OWN};
		return err;
	}
	return err ? err : snapshot_relay_at(s, at, out);
}

/* ---- ranges ---------------------------------------------------------------------------------- */

static bool read_address(uint8_t family, const uint8_t ip[16], struct netaddr *out)
{
	static const uint8_t zero[sizeof(out->ip)];
	size_t n = family == NETADDR_V4 ? 4 : sizeof(out->ip);

	*out = (struct netaddr){.family = family};
	memcpy(out->ip, ip, sizeof(out->ip));
	return (family == NETADDR_V4 || family == NETADDR_V6) &&
	       memcmp(out->ip + n, zero, sizeof(zero) - n) == 0;
}

static int read_range(const struct snapshot *s, uint32_t at, struct address_range *out)
{
	struct snapshot_range_record r;
	struct address_range range;

	int err = snapshot_record(s, SECTION_RANGES, at, &r, sizeof(r));
	if (err < 0)
		return err;
	if (!read_address(r.first.family, r.first.ip, &range.first) ||
		!read_address(r.last.family, r.last.ip, &range.last) ||
		range.first.family != range.last.family ||
		range_compare_address(&range.last, &range.first) < 0)
		return ERR_CORRUPT;
	*out = range;
	return 0;
}

/* In `count` ranges from `first` on, which are sorted and do not overlap. */
static int find_range(const struct snapshot *s, uint32_t first, uint32_t count,
	const struct netaddr *address, struct address_range *out)
{
	struct netaddr wanted = range_address(address);
	uint32_t low = 0, high = count;
	struct address_range range;

	/* All before `low` end before the address; all from `high` on begin behind it. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int err = read_range(s, first + middle, &range);
		if (err < 0)
			return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
		if (range_compare_address(&range.last, &wanted) < 0) {
			low = middle + 1;
		} else if (range_compare_address(&range.first, &wanted) > 0) {
			high = middle;
		} else {
			*out = range;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

int snapshot_relay_from(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out)
{
	struct snapshot_relay_record r;
	int err = read_record(s, relay->index, &r);

	return err ? err : find_range(s, r.from, r.from_count, address, out);
}

int snapshot_relay_to(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out)
{
	struct snapshot_relay_record r;
	int err = read_record(s, relay->index, &r);

	return err ? err : find_range(s, r.to, r.to_count, address, out);
}

int snapshot_relay_range(const struct snapshot *s, const struct relay *relay, bool to, uint32_t at,
	struct address_range *out)
{
	struct snapshot_relay_record r;
	int err = read_record(s, relay->index, &r);

	if (err < 0)
		return err;
	if (at >= (to ? r.to_count : r.from_count))
		return ERR_NOT_FOUND;
	return read_range(s, (to ? r.to : r.from) + at, out);
}

/* ---- the accept table ------------------------------------------------------------------------ */

int snapshot_accept_host(const struct snapshot *s, struct span domain)
{
	uint32_t at;

	return snapshot_find(s, SECTION_ACCEPT_HOSTS, domain, &at);
}

int snapshot_accept_user(const struct snapshot *s, struct span address)
{
	uint32_t at;

	return snapshot_find(s, SECTION_ACCEPT_USERS, address, &at);
}

/* ---- aliases --------------------------------------------------------------------------------- */

static int read_alias(const struct snapshot *s, uint32_t at, struct snapshot_alias_record *r)
{
	int err = snapshot_record(s, SECTION_ALIASES, at, r, sizeof(*r));

	if (err < 0)
		return err;
	return snapshot_holds(s, SECTION_ALIAS_TARGETS, r->targets, r->target_count) ? 0
										     : ERR_CORRUPT;
}

int snapshot_alias(const struct snapshot *s, struct span address, uint32_t *index, uint32_t *count)
{
	struct snapshot_alias_record r = {0};
	uint32_t at;

	int err = snapshot_find(s, SECTION_ALIASES, address, &at);
	if (err == 0)
		err = read_alias(s, at, &r);
	if (err < 0)
		return err;
	*index = at;
	*count = r.target_count;
	return 0;
}

int snapshot_alias_target(const struct snapshot *s, uint32_t index, uint32_t at, struct span *out)
{
	struct snapshot_alias_record r;
	struct snapshot_name_record target;
	bool bad = false;

	int err = read_alias(s, index, &r);
	if (err < 0)
		return err;
	if (at >= r.target_count)
		return ERR_NOT_FOUND;
	err = snapshot_record(s, SECTION_ALIAS_TARGETS, r.targets + at, &target, sizeof(target));
	if (err < 0)
		return ERR_CORRUPT;
	struct span text = snapshot_text(s, target.name, &bad);
	if (bad)
		return ERR_CORRUPT;
	*out = text;
	return 0;
}
