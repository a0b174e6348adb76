#include "directory/snapshot.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const size_t record_bytes[SECTIONS] = {
	[SECTION_TRANSPORTS] = sizeof(struct snapshot_transport_record),
	[SECTION_DOMAINS] = sizeof(struct snapshot_domain_record),
	[SECTION_ACCOUNTS] = sizeof(struct snapshot_account_record),
	[SECTION_ALIASES] = sizeof(struct snapshot_alias_record),
	[SECTION_RELAYS] = sizeof(struct snapshot_relay_record),
	[SECTION_ACCEPT_HOSTS] = sizeof(struct snapshot_name_record),
	[SECTION_ACCEPT_USERS] = sizeof(struct snapshot_name_record),
	[SECTION_ALIAS_TARGETS] = sizeof(struct snapshot_name_record),
	[SECTION_PINS] = sizeof(struct snapshot_pin_record),
	[SECTION_RANGES] = sizeof(struct snapshot_range_record),
	[SECTION_PRIORITIES] = sizeof(struct snapshot_priority_record),
	[SECTION_PAUSES] = sizeof(struct snapshot_pause_record),
	[SECTION_PAUSED_DOMAINS] = sizeof(uint32_t),
	[SECTION_TRANSPORT_HASH... SECTION_ACCEPT_USER_HASH] = sizeof(uint32_t),
	[SECTION_TEXTS] = 1,
};

size_t snapshot_record_bytes(enum snapshot_section section)
{
	return record_bytes[section];
}

uint32_t snapshot_hash_slot(struct span name, uint32_t slots)
{
	return (uint32_t)XXH3_64bits(name.n ? name.p : "", name.n) & (slots - 1);
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool sections_fit(const struct snapshot_header *header)
{
	for (int i = 0; i < SECTIONS; i++) {
		const struct snapshot_range *range = &header->sections[i];
		uint64_t end = range->offset + (uint64_t)range->count * record_bytes[i];
		if (range->offset < sizeof(*header) || end > header->bytes)
			return false;
		bool hash = i >= SECTION_TRANSPORT_HASH && i <= SECTION_ACCEPT_USER_HASH;
		if (hash && (range->count == 0 || (range->count & (range->count - 1))))
			return false;
	}
	return true;
}

int snapshot_from_bytes(struct span bytes, struct snapshot **out)
{
	struct snapshot_header header;

	if (bytes.n < sizeof(header) || bytes.n > SNAPSHOT_BYTES)
		return ERR_CORRUPT;
	memcpy(&header, bytes.p, sizeof(header));
	if (header.magic != SNAPSHOT_MAGIC || header.version != SNAPSHOT_VERSION ||
		header.bytes != bytes.n || !sections_fit(&header))
		return ERR_CORRUPT;
	struct span checked = span_skip(bytes, SNAPSHOT_CHECKED_FROM);
	if (XXH3_64bits(checked.p, checked.n) != header.checksum)
		return ERR_CORRUPT;
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return ERR_NOMEM;
	snapshot->refs = 1;
	snapshot->bytes = bytes.p;
	snapshot->header = header;
	*out = snapshot;
	return 0;
}

struct snapshot *snapshot_hold(struct snapshot *snapshot)
{
	CHECK(snapshot->refs > 0 && snapshot->refs < UINT32_MAX);
	snapshot->refs++;
	return snapshot;
}

void snapshot_release(struct snapshot **snapshot)
{
	struct snapshot *s = *snapshot;

	*snapshot = NULL;
	if (!s || --s->refs > 0)
		return;
	if (s->unmap)
		s->unmap(span_of(s->bytes, s->header.bytes));
	free(s);
}

uint64_t snapshot_generation(const struct snapshot *snapshot)
{
	return snapshot->header.generation;
}

/* ---- records -------------------------------------------------------------------------------- */

static uint32_t count_of(const struct snapshot *s, enum snapshot_section section)
{
	return s->header.sections[section].count;
}

int snapshot_record(const struct snapshot *s, enum snapshot_section section, uint32_t at, void *out,
	size_t bytes)
{
	const struct snapshot_range *range = &s->header.sections[section];

	if (at >= range->count)
		return ERR_NOT_FOUND;
	memcpy(out, s->bytes + range->offset + (size_t)at * bytes, bytes);
	return 0;
}

struct span snapshot_text(const struct snapshot *s, struct snapshot_text at, bool *bad)
{
	const struct snapshot_range *texts = &s->header.sections[SECTION_TEXTS];

	if (at.offset > texts->count || at.length > texts->count - at.offset) {
		*bad = true;
		return SPAN_NONE;
	}
	return span_of(s->bytes + texts->offset + at.offset, at.length);
}

static void read_pause(const struct snapshot *s, uint32_t index1, struct pause *out, bool *bad)
{
	struct snapshot_pause_record r = {0};

	*out = (struct pause){0};
	if (index1 == 0)
		return;
	if (snapshot_record(s, SECTION_PAUSES, index1 - 1, &r, sizeof(r)) < 0) {
		*bad = true;
		return;
	}
	out->since_ms = (int64_t)((uint64_t)r.since_high << 32 | r.since_low);
	out->by = snapshot_text(s, r.by, bad);
	out->reason = snapshot_text(s, r.reason, bad);
}

static int read_transport(const struct snapshot *s, uint32_t at, struct transport *out)
{
	struct snapshot_transport_record r = {0};
	bool bad = false;

	int err = snapshot_record(s, SECTION_TRANSPORTS, at, &r, sizeof(r));
	if (err < 0)
		return err;
	struct transport t = {
		.index = at,
		.name = snapshot_text(s, r.name, &bad),
		.host = snapshot_text(s, r.host, &bad),
		.port = (uint16_t)r.port,
		.zone = snapshot_text(s, r.zone, &bad),
		.query = snapshot_text(s, r.query, &bad),
		.private_hosts = r.private_hosts != 0,
		.retry_text = snapshot_text(s, r.retry_text, &bad),
		.retry_steps = r.retry_steps,
		.retry_count = r.retry_count,
		.give_up = (enum give_up)r.give_up,
		.delay_warning_s = r.delay_warning_s,
		.tls = (enum tls_policy)r.tls,
		.tls_ca = snapshot_text(s, r.tls_ca, &bad),
		.tls_pin_count = r.pin_count,
		.sasl_user = snapshot_text(s, r.sasl_user, &bad),
		.source_v4 = snapshot_text(s, r.source_v4, &bad),
		.source_v6 = snapshot_text(s, r.source_v6, &bad),
		.helo = snapshot_text(s, r.helo, &bad),
		.connections = r.connections,
		.messages_per_connection = r.messages_per_connection,
		.rate_per_minute = r.rate_per_minute,
	};
	read_pause(s, r.pause, &t.pause, &bad);
	if (bad || r.retry_steps == 0 || r.retry_steps > RETRY_STEPS ||
		r.give_up > GIVE_UP_DISCARD || r.port == 0 || r.port > UINT16_MAX ||
		r.tls > TLS_MTA_STS || r.pin_count > TRANSPORT_PINS ||
		!snapshot_holds(s, SECTION_PINS, r.pins, r.pin_count))
		return ERR_CORRUPT;
	memcpy(t.retry, r.retry, sizeof(t.retry));
	for (uint32_t i = 0; i < r.pin_count; i++)
		snapshot_record(s, SECTION_PINS, r.pins + i, t.tls_pins[i], PIN_BYTES);
	*out = t;
	return 0;
}

static int read_domain(const struct snapshot *s, uint32_t at, struct domain *out)
{
	struct snapshot_domain_record r = {0};
	bool bad = false;

	int err = snapshot_record(s, SECTION_DOMAINS, at, &r, sizeof(r));
	if (err < 0)
		return err;
	struct domain d = {.name = snapshot_text(s, r.name, &bad),
		.kind = (enum domain_kind)r.kind,
		.transport = r.transport};
	read_pause(s, r.pause, &d.pause, &bad);
	if (r.alias_of) {
		struct snapshot_domain_record target = {0};
		int missing = snapshot_record(
			s, SECTION_DOMAINS, r.alias_of - 1, &target, sizeof(target));
		d.alias_of = snapshot_text(s, target.name, &bad);
		bad = bad || missing || d.alias_of.n == 0;
	}
	if (bad || r.kind > DOMAIN_MAILBOXES ||
		(r.kind == DOMAIN_TRANSPORT && r.transport >= count_of(s, SECTION_TRANSPORTS)))
		return ERR_CORRUPT;
	*out = d;
	return 0;
}

/* ---- looking up ----------------------------------------------------------------------------- */

int snapshot_find(
	const struct snapshot *s, enum snapshot_section section, struct span name, uint32_t *out)
{
	enum snapshot_section hash = snapshot_hash_of(section);
	uint32_t slots = count_of(s, hash);
	uint32_t slot = snapshot_hash_slot(name, slots);

	for (uint32_t tries = 0; tries < slots; tries++, slot = (slot + 1) & (slots - 1)) {
		struct snapshot_text at;
		uint32_t index1 = 0;
		bool bad = false;
		snapshot_record(s, hash, slot, &index1, sizeof(index1));
		if (index1 == 0)
			return ERR_NOT_FOUND;
		const struct snapshot_range *range = &s->header.sections[section];
		if (index1 > range->count)
			return ERR_CORRUPT;
		memcpy(&at, s->bytes + range->offset + (size_t)(index1 - 1) * record_bytes[section],
			sizeof(at));
		struct span here = snapshot_text(s, at, &bad);
		if (bad)
			return ERR_CORRUPT;
		if (span_equal(here, name)) {
			*out = index1 - 1;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

bool snapshot_holds(
	const struct snapshot *s, enum snapshot_section section, uint32_t first, uint32_t count)
{
	uint32_t all = count_of(s, section);

	return first <= all && count <= all - first;
}

int snapshot_domain(const struct snapshot *s, struct span name, struct domain *out)
{
	uint32_t at;
	int err = snapshot_find(s, SECTION_DOMAINS, name, &at);

	return err ? err : read_domain(s, at, out);
}

int snapshot_transport(const struct snapshot *s, uint32_t index, struct transport *out)
{
	return read_transport(s, index, out);
}

int snapshot_transport_by_name(const struct snapshot *s, struct span name, struct transport *out)
{
	uint32_t at;
	int err = snapshot_find(s, SECTION_TRANSPORTS, name, &at);

	return err ? err : read_transport(s, at, out);
}

int snapshot_default_transport(const struct snapshot *s, struct transport *out)
{
	if (s->header.default_transport == 0)
		return ERR_NOT_FOUND;
	int err = read_transport(s, s->header.default_transport - 1, out);
	return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

int snapshot_postmaster(const struct snapshot *s, struct span *out)
{
	bool bad = false;
	struct span address = snapshot_text(s, s->header.postmaster, &bad);

	if (bad)
		return ERR_CORRUPT;
	if (!address.n)
		return ERR_NOT_FOUND;
	*out = address;
	return 0;
}

uint32_t snapshot_transport_count(const struct snapshot *s)
{
	return count_of(s, SECTION_TRANSPORTS);
}

void snapshot_pause(const struct snapshot *s, struct pause *out)
{
	bool bad = false;
	read_pause(s, s->header.pause, out, &bad);
}

int snapshot_paused_domain(const struct snapshot *s, uint32_t at, struct domain *out)
{
	uint32_t index = 0;
	int err = snapshot_record(s, SECTION_PAUSED_DOMAINS, at, &index, sizeof(index));

	if (err < 0)
		return err;
	err = read_domain(s, index, out);
	return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

uint64_t snapshot_routes_hash(const struct snapshot *s)
{
	return s->header.routes_hash;
}

uint32_t snapshot_priority_count(const struct snapshot *s)
{
	return count_of(s, SECTION_PRIORITIES);
}

int snapshot_priority(const struct snapshot *s, uint32_t at, struct priority_rule *out)
{
	struct snapshot_priority_record r = {0};
	bool bad = false;

	int err = snapshot_record(s, SECTION_PRIORITIES, at, &r, sizeof(r));
	if (err < 0)
		return err;
	struct priority_rule rule = {snapshot_text(s, r.sender, &bad),
		snapshot_text(s, r.recipient, &bad), snapshot_text(s, r.domain, &bad),
		snapshot_text(s, r.transport, &bad), snapshot_text(s, r.client, &bad)};
	if (bad)
		return ERR_CORRUPT;
	*out = rule;
	return 0;
}
