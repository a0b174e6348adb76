/* The directory of the world: behind directory/snapshot.h, three domains. */
#include "world.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct snapshot {
	uint32_t refs;
	const struct priority_rule *rule;
	struct span postmaster;
};

struct snapshot *world_snapshot_new(void)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	CHECK(snapshot);
	snapshot->refs = 1;
	return snapshot;
}

uint32_t world_snapshot_refs(const struct snapshot *snapshot)
{
	return snapshot->refs;
}

void world_set_priority(struct snapshot *snapshot, const struct priority_rule *rule)
{
	snapshot->rule = rule;
}

void world_set_postmaster(struct snapshot *snapshot, const char *address)
{
	snapshot->postmaster = span_str(address);
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
	snapshot->refs++;
	return snapshot;
}

void snapshot_release(struct snapshot **snapshot)
{
	CHECK((*snapshot)->refs > 0);
	if (--(*snapshot)->refs == 0)
		free(*snapshot);
	*snapshot = NULL;
}

int snapshot_domain(const struct snapshot *s, struct span name, struct domain *out)
{
	(void)s;
	if (span_equal(name, SPAN("a.example")))
		*out = (struct domain){.name = name, .kind = DOMAIN_TRANSPORT, .transport = 0};
	else if (span_equal(name, SPAN("c.example")))
		*out = (struct domain){.name = name, .kind = DOMAIN_MAILBOXES};
	else if (span_equal(name, SPAN("broken.example")))
		return ERR_CORRUPT;
	else
		return ERR_NOT_FOUND;
	return 0;
}

int snapshot_account(const struct snapshot *s, struct span address, struct account *out)
{
	(void)s;
	if (!span_equal(address, SPAN("ann@c.example")))
		return ERR_NOT_FOUND;
	*out = (struct account){.address = address};
	return 0;
}

int snapshot_transport(const struct snapshot *s, uint32_t index, struct transport *out)
{
	(void)s;
	if (index > 1)
		return ERR_NOT_FOUND;
	*out = (struct transport){
		.index = index, .name = index ? SPAN("outbound") : SPAN("site-a"), .port = 25};
	return 0;
}

int snapshot_transport_by_name(const struct snapshot *s, struct span name, struct transport *out)
{
	return snapshot_transport(s, span_equal(name, SPAN("outbound")) ? 1 : 0, out);
}

uint64_t snapshot_generation(const struct snapshot *s)
{
	(void)s;
	return 1;
}

int snapshot_default_transport(const struct snapshot *s, struct transport *out)
{
	return snapshot_transport(s, 1, out);
}

int snapshot_postmaster(const struct snapshot *s, struct span *out)
{
	*out = s->postmaster;
	return s->postmaster.n ? 0 : ERR_NOT_FOUND;
}

uint32_t snapshot_transport_count(const struct snapshot *s)
{
	(void)s;
	return 2;
}

uint32_t snapshot_priority_count(const struct snapshot *s)
{
	return s->rule ? 1 : 0;
}

int snapshot_priority(const struct snapshot *s, uint32_t at, struct priority_rule *out)
{
	if (at > 0 || !s->rule)
		return ERR_NOT_FOUND;
	*out = *s->rule;
	return 0;
}
