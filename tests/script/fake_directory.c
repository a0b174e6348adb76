/* The directory of the world: behind directory/snapshot.h, three domains, some aliases. */
#include "world.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct snapshot {
	uint32_t refs;
	const struct priority_rule *rule;
	struct span postmaster;
	struct relay relay;
	struct netaddr to;
	bool disabled;
	uint64_t logins_since;
};

struct snapshot *world_snapshot_new(void)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	CHECK(snapshot);
	snapshot->refs = 1;
	snapshot->relay.advertise_auth = true;
	snapshot->logins_since = 1;
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

void world_set_relay(struct snapshot *snapshot, const struct relay *relay, const char *to)
{
	snapshot->relay = *relay;
	snapshot->relay.to_count = to != NULL;
	if (to)
		CHECK(netaddr_parse_ip(span_str(to), &snapshot->to) == 0);
}

void world_disable_account(struct snapshot *snapshot)
{
	snapshot->disabled = true;
}

void world_change_password(struct snapshot *snapshot, uint64_t since)
{
	snapshot->logins_since = since;
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
	/* It points into the snapshot, not into the question. */
	if (span_equal(address, SPAN("ann@c.example")))
		*out = (struct account){.address = SPAN("ann@c.example"),
			.disabled = s->disabled,
			.logins_since = s->logins_since};
	else if (span_equal(address, SPAN("joe@c.example")))
		*out = (struct account){.address = SPAN("joe@c.example"), .logins_since = 1};
	else
		return ERR_NOT_FOUND;
	return 0;
}

static const struct alias {
	struct span address;
	struct span targets[4];
} aliases[] = {
	{{"nick@c.example", 14}, {{"ann@c.example", 13}}},
	{{"team@c.example", 14}, {{"ann@c.example", 13}, {"nick@c.example", 14},
					 {"x@a.example", 11}, {"far@b.example", 13}}},
	{{"half@c.example", 14}, {{"ann@c.example", 13}, {"nobody@c.example", 16}}},
	{{"circle@c.example", 16}, {{"ann@c.example", 13}, {"circle@c.example", 16}}},
};

int snapshot_alias(const struct snapshot *s, struct span address, uint32_t *index, uint32_t *count)
{
	(void)s;
	for (uint32_t i = 0; i < ARRAY_SIZE(aliases); i++) {
		if (!span_equal(aliases[i].address, address))
			continue;
		*index = i;
		for (*count = 0; *count < 4 && aliases[i].targets[*count].n;)
			++*count;
		return 0;
	}
	return ERR_NOT_FOUND;
}

int snapshot_alias_target(const struct snapshot *s, uint32_t index, uint32_t at, struct span *out)
{
	(void)s;
	if (index >= ARRAY_SIZE(aliases) || at >= 4 || !aliases[index].targets[at].n)
		return ERR_NOT_FOUND;
	*out = aliases[index].targets[at];
	return 0;
}

int snapshot_relay(const struct snapshot *s, struct span listener, struct relay *out)
{
	*out = s->relay;
	out->listener = listener;
	return 0;
}

int snapshot_relay_at(const struct snapshot *s, uint32_t at, struct relay *out)
{
	return at ? ERR_NOT_FOUND : snapshot_relay(s, SPAN("mx"), out);
}

static int one_address(
	const struct netaddr *one, const struct netaddr *address, struct address_range *out)
{
	if (one->family == NETADDR_NONE || !netaddr_same_ip(one, address))
		return ERR_NOT_FOUND;
	*out = (struct address_range){*one, *one};
	return 0;
}

int snapshot_relay_from(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out)
{
	(void)s;
	(void)relay;
	(void)address;
	(void)out;
	return ERR_NOT_FOUND;
}

int snapshot_relay_to(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out)
{
	(void)relay;
	return one_address(&s->to, address, out);
}

int snapshot_relay_range(const struct snapshot *s, const struct relay *relay, bool to, uint32_t at,
	struct address_range *out)
{
	(void)relay;
	if (!to || at > 0)
		return ERR_NOT_FOUND;
	return one_address(&s->to, &s->to, out);
}

int snapshot_accept_host(const struct snapshot *s, struct span domain)
{
	(void)s;
	(void)domain;
	return ERR_NOT_FOUND;
}

int snapshot_accept_user(const struct snapshot *s, struct span address)
{
	(void)s;
	(void)address;
	return ERR_NOT_FOUND;
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
