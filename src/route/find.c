#include "route/find.h"

#include "base/err.h"

#define FIND_ADDRESS 512 /* bytes of local@domain; no account or alias is longer */

/* One of the tables, and where the answer goes. */
struct table {
	const struct snapshot *snapshot;
	int (*look)(const struct table *table, struct span address);
	struct account *account;
	uint32_t *index, *count;
};

size_t find_at(struct span address)
{
	for (size_t i = address.n; i > 0; i--)
		if (address.p[i - 1] == '@')
			return i - 1;
	return address.n;
}

static int look_both(const struct table *table, struct span local, struct span domain)
{
	char address[FIND_ADDRESS];
	size_t n = local.n + 1 + domain.n;
	bool changed = false;

	if (n > sizeof(address) || !domain.n)
		return ERR_NOT_FOUND;
	if (local.n)
		memcpy(address, local.p, local.n);
	address[local.n] = '@';
	memcpy(address + local.n + 1, domain.p, domain.n);
	int err = table->look(table, span_of(address, n));
	if (err != ERR_NOT_FOUND)
		return err;
	for (size_t i = 0; i < local.n; i++) {
		char lower = ascii_lower(address[i]);
		changed |= lower != address[i];
		address[i] = lower;
	}
	return changed ? table->look(table, span_of(address, n)) : err;
}

static int look_account(const struct table *table, struct span address)
{
	return snapshot_account(table->snapshot, address, table->account);
}

int find_account(
	const struct snapshot *snapshot, struct span local, struct span domain, struct account *out)
{
	const struct table table = {snapshot, look_account, out, NULL, NULL};

	return look_both(&table, local, domain);
}

static int look_alias(const struct table *table, struct span address)
{
	return snapshot_alias(table->snapshot, address, table->index, table->count);
}

int find_alias(const struct snapshot *snapshot, struct span local, struct span domain,
	uint32_t *index, uint32_t *count)
{
	const struct table table = {snapshot, look_alias, NULL, index, count};

	return look_both(&table, local, domain);
}

static int look_accepted(const struct table *table, struct span address)
{
	return snapshot_accept_user(table->snapshot, address);
}

int find_accepted(const struct snapshot *snapshot, struct span local, struct span domain)
{
	const struct table table = {snapshot, look_accepted, NULL, NULL, NULL};

	return look_both(&table, local, domain);
}
