/*
 * A directory for the tests of route/, small enough to read: it stands in for directory/snapshot.c,
 * so that a rule's test does not depend on the snapshot's format.
 */
#ifndef TESTS_ROUTE_FAKE_SNAPSHOT_H
#define TESTS_ROUTE_FAKE_SNAPSHOT_H

#include "base/err.h"
#include "directory/range.h"
#include "directory/snapshot.h"

/* A relay table: what an administrator wrote; ranges as text. */
struct fake_relay {
	struct relay relay;
	const char *from[4], *to[4];
};

struct fake_alias {
	struct span address;
	const struct span *targets;
	uint32_t count;
};

struct snapshot {
	const struct domain *domains;
	uint32_t domain_count;
	const struct span *accounts;
	uint32_t account_count;
	const struct transport *transports;
	uint32_t transport_count;
	int default_transport; /* index; -1: none */
	int broken;	       /* 0, or what every look-up returns */
	bool never_filled;     /* nothing was applied yet */
	const struct priority_rule *rules;
	uint32_t rule_count;
	struct span postmaster;
	const struct fake_relay *relays;
	uint32_t relay_count;
	const struct fake_alias *aliases;
	uint32_t alias_count;
	const struct span *accept_hosts;
	uint32_t accept_host_count;
	const struct span *accept_users;
	uint32_t accept_user_count;
	const struct span *disabled; /* accounts among those above */
	uint32_t disabled_count;
	struct span send_as; /* of the first account */
};

static bool fake_has(const struct span *list, uint32_t count, struct span name)
{
	for (uint32_t i = 0; i < count; i++)
		if (span_equal(list[i], name))
			return true;
	return false;
}

uint64_t snapshot_generation(const struct snapshot *s)
{
	return s->never_filled ? 0 : 1;
}

int snapshot_domain(const struct snapshot *s, struct span name, struct domain *out)
{
	if (s->broken)
		return s->broken;
	for (uint32_t i = 0; i < s->domain_count; i++)
		if (span_equal(s->domains[i].name, name)) {
			*out = s->domains[i];
			return 0;
		}
	return ERR_NOT_FOUND;
}

int snapshot_account(const struct snapshot *s, struct span address, struct account *out)
{
	if (s->broken)
		return s->broken;
	for (uint32_t i = 0; i < s->account_count; i++)
		if (span_equal(s->accounts[i], address)) {
			*out = (struct account){.address = s->accounts[i],
				.disabled = fake_has(s->disabled, s->disabled_count, address),
				.send_as = i == 0 ? s->send_as : SPAN_NONE};
			return 0;
		}
	return ERR_NOT_FOUND;
}

int snapshot_transport(const struct snapshot *s, uint32_t index, struct transport *out)
{
	if (s->broken)
		return s->broken;
	if (index >= s->transport_count)
		return ERR_CORRUPT;
	*out = s->transports[index];
	return 0;
}

int snapshot_transport_by_name(const struct snapshot *s, struct span name, struct transport *out)
{
	if (s->broken)
		return s->broken;
	for (uint32_t i = 0; i < s->transport_count; i++)
		if (span_equal(s->transports[i].name, name)) {
			*out = s->transports[i];
			return 0;
		}
	return ERR_NOT_FOUND;
}

int snapshot_default_transport(const struct snapshot *s, struct transport *out)
{
	if (s->broken)
		return s->broken;
	return s->default_transport < 0
		       ? ERR_NOT_FOUND
		       : snapshot_transport(s, (uint32_t)s->default_transport, out);
}

int snapshot_postmaster(const struct snapshot *s, struct span *out)
{
	if (s->broken)
		return s->broken;
	*out = s->postmaster;
	return s->postmaster.n ? 0 : ERR_NOT_FOUND;
}

int snapshot_relay_at(const struct snapshot *s, uint32_t at, struct relay *out)
{
	if (s->broken)
		return s->broken;
	if (at >= s->relay_count)
		return ERR_NOT_FOUND;
	*out = s->relays[at].relay;
	out->index = at;
	for (out->from_count = 0; s->relays[at].from[out->from_count];)
		out->from_count++;
	for (out->to_count = 0; s->relays[at].to[out->to_count];)
		out->to_count++;
	return 0;
}

int snapshot_relay(const struct snapshot *s, struct span listener, struct relay *out)
{
	if (s->broken)
		return s->broken;
	*out = (struct relay){.listener = listener, .advertise_auth = true};
	for (uint32_t i = 0; i < s->relay_count; i++)
		if (span_equal(s->relays[i].relay.listener, listener))
			return snapshot_relay_at(s, i, out);
	return ERR_NOT_FOUND;
}

int snapshot_relay_range(const struct snapshot *s, const struct relay *relay, bool to, uint32_t at,
	struct address_range *out)
{
	if (at >= (to ? relay->to_count : relay->from_count))
		return ERR_NOT_FOUND;
	const struct fake_relay *fake = &s->relays[relay->index];
	return range_parse(span_str(to ? fake->to[at] : fake->from[at]), out, NULL);
}

static int fake_find(const struct snapshot *s, const struct relay *relay, bool to,
	const struct netaddr *address, struct address_range *out)
{
	for (uint32_t i = 0; snapshot_relay_range(s, relay, to, i, out) == 0; i++)
		if (range_holds(out, address))
			return 0;
	return ERR_NOT_FOUND;
}

int snapshot_relay_from(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out)
{
	return fake_find(s, relay, false, address, out);
}

int snapshot_relay_to(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out)
{
	return fake_find(s, relay, true, address, out);
}

int snapshot_accept_host(const struct snapshot *s, struct span domain)
{
	return fake_has(s->accept_hosts, s->accept_host_count, domain) ? 0 : ERR_NOT_FOUND;
}

int snapshot_accept_user(const struct snapshot *s, struct span address)
{
	return fake_has(s->accept_users, s->accept_user_count, address) ? 0 : ERR_NOT_FOUND;
}

int snapshot_alias(const struct snapshot *s, struct span address, uint32_t *index, uint32_t *count)
{
	if (s->broken)
		return s->broken;
	for (uint32_t i = 0; i < s->alias_count; i++)
		if (span_equal(s->aliases[i].address, address)) {
			*index = i;
			*count = s->aliases[i].count;
			return 0;
		}
	return ERR_NOT_FOUND;
}

int snapshot_alias_target(const struct snapshot *s, uint32_t index, uint32_t at, struct span *out)
{
	if (index >= s->alias_count || at >= s->aliases[index].count)
		return ERR_NOT_FOUND;
	*out = s->aliases[index].targets[at];
	return 0;
}

uint32_t snapshot_priority_count(const struct snapshot *s)
{
	return s->rule_count;
}

int snapshot_priority(const struct snapshot *s, uint32_t at, struct priority_rule *out)
{
	if (at >= s->rule_count)
		return ERR_NOT_FOUND;
	*out = s->rules[at];
	return 0;
}

#endif
