/*
 * A directory for the tests of route/, small enough to read: it stands in for directory/snapshot.c,
 * so that a rule's test does not depend on the snapshot's format.
 */
#ifndef TESTS_ROUTE_FAKE_SNAPSHOT_H
#define TESTS_ROUTE_FAKE_SNAPSHOT_H

#include "base/err.h"
#include "directory/snapshot.h"

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
};

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
			out->address = s->accounts[i];
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
