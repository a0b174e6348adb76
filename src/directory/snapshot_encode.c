/* From objects to the bytes of a snapshot. */
#include "base/check.h"
#include "base/err.h"
#include "directory/snapshot_encoder.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MS_PER_S 1000u

struct snapshot_text encoder_text(struct encoder *e, struct span text)
{
	struct snapshot_text at = {(uint32_t)e->texts.n, (uint32_t)text.n};

	if (text.n == 0)
		return (struct snapshot_text){0, 0};
	buf_add_span(&e->texts, text);
	return at;
}

/* Order, lengths and kinds count, so that no two directories that differ look alike by accident. */
void encoder_hash_as(struct encoder *e, enum object_kind kind, struct span text)
{
	uint64_t length = ((uint64_t)kind + 1) << 32 | text.n;

	e->header.routes_hash =
		XXH3_64bits_withSeed(&length, sizeof(length), e->header.routes_hash);
	e->header.routes_hash =
		XXH3_64bits_withSeed(text.n ? text.p : "", text.n, e->header.routes_hash);
}

void encoder_hash(struct encoder *e, struct span text)
{
	encoder_hash_as(e, OBJECT_TRANSPORT, text);
}

void encoder_begin(struct encoder *e, enum snapshot_section section, size_t count)
{
	e->header.sections[section] =
		(struct snapshot_range){(uint32_t)(e->out->n - e->start), (uint32_t)count};
}

/* Index plus 1 of a pause, 0 where there is none. */
static uint32_t pause_index(const struct encoder *e, enum pause_scope scope, struct span name)
{
	const struct object *pause = objects_pause(e->objects, scope, name);
	bool found = false;

	if (!pause)
		return 0;
	size_t at = object_set_place(&e->objects->sets[OBJECT_PAUSE], pause->name, &found);
	return (uint32_t)at + 1;
}

static uint32_t transport_index(const struct encoder *e, struct span name)
{
	bool found;
	size_t at = object_set_place(&e->objects->sets[OBJECT_TRANSPORT], name, &found);

	CHECK(found); /* objects_validate() saw to it */
	return (uint32_t)at;
}

static void add_transport(struct encoder *e, const struct object *object)
{
	const struct object_transport *t = object_transport(object);
	struct snapshot_transport_record r = {
		.name = encoder_text(e, object->name),
		.host = encoder_text(e, t->server.host),
		.zone = encoder_text(e, t->server.zone),
		.query = encoder_text(e, t->server.query),
		.source_v4 = encoder_text(e, t->source_v4),
		.source_v6 = encoder_text(e, t->source_v6),
		.helo = encoder_text(e, t->helo),
		.retry_text = encoder_text(e, t->retry_delay.text),
		.port = t->server.port,
		.private_hosts = t->private_hosts,
		.retry_count = t->retry_count,
		.give_up = (uint32_t)t->give_up,
		.delay_warning_s = (uint32_t)(t->delay_warning_ms / MS_PER_S),
		.connections = t->connections,
		.messages_per_connection = t->messages_per_connection,
		.rate_per_minute = t->rate_per_minute,
		.pause = pause_index(e, PAUSE_TRANSPORT, object->name),
		.retry_steps = t->retry_delay.count,
		.tls = (uint32_t)t->tls,
		.tls_ca = encoder_text(e, t->tls_ca),
		.sasl_user = encoder_text(e, t->sasl_user),
	};

	encoder_pins(e, t->tls_pin, &r.pins, &r.pin_count);
	memcpy(r.retry, t->retry_delay.steps, sizeof(r.retry));
	buf_add(e->out, &r, sizeof(r));
	encoder_hash(e, object->name);
	encoder_hash(e, t->server.host);
	encoder_hash(e, t->server.zone);
	encoder_hash(e, t->server.query);
	encoder_hash(e, t->source_v4);
	encoder_hash(e, t->source_v6);
	encoder_hash(e, span_of(&r.port, sizeof(r.port)));
	encoder_hash(e, span_of(&r.private_hosts, sizeof(r.private_hosts)));
}

static uint32_t domain_index(const struct encoder *e, struct span name)
{
	bool found;
	size_t at = object_set_place(&e->objects->sets[OBJECT_DOMAIN], name, &found);

	CHECK(found); /* objects_validate() saw to it, and that it is no alias itself */
	return (uint32_t)at;
}

/* What stands with an alias is what its domain has, so that a lookup is one step. */
static void add_domain(struct encoder *e, const struct object *object)
{
	const struct object_domain *d = object_domain(object);
	struct snapshot_domain_record r = {
		.name = encoder_text(e, object->name),
		.pause = pause_index(e, PAUSE_DOMAIN, object->name),
	};

	encoder_hash(e, object->name);
	if (d->alias_of.n) {
		encoder_hash_as(e, OBJECT_ALIAS, d->alias_of);
		r.alias_of = domain_index(e, d->alias_of) + 1;
		if (!r.pause)
			r.pause = pause_index(e, PAUSE_DOMAIN, d->alias_of);
		d = object_domain(e->objects->sets[OBJECT_DOMAIN].items[r.alias_of - 1]);
	} else {
		encoder_hash(e, d->mailboxes ? SPAN_NONE : d->transport);
	}
	r.kind = d->mailboxes ? DOMAIN_MAILBOXES : DOMAIN_TRANSPORT;
	r.transport = d->mailboxes ? 0 : transport_index(e, d->transport);
	buf_add(e->out, &r, sizeof(r));
	if (r.pause)
		buf_add(&e->gathered[GATHER_PAUSED_DOMAINS], &e->domains, sizeof(e->domains));
	e->domains++;
}

static void add_account(struct encoder *e, const struct object *object)
{
	const struct object_account *a = object_account(object);
	struct snapshot_account_record r = {
		.name = encoder_text(e, object->name),
		.send_as = encoder_text(e, a->send_as),
		.disabled = a->disabled,
		.since_low = (uint32_t)(object->logins_since & UINT32_MAX),
		.since_high = (uint32_t)(object->logins_since >> 32),
	};

	buf_add(e->out, &r, sizeof(r));
	encoder_hash_as(e, OBJECT_ACCOUNT, object->name);
}

static void add_priority(struct encoder *e, const struct object *object)
{
	const struct object_priority *p = object_priority(object);
	struct snapshot_priority_record r = {encoder_text(e, p->sender),
		encoder_text(e, p->recipient), encoder_text(e, p->domain),
		encoder_text(e, p->transport), encoder_text(e, p->client)};

	buf_add(e->out, &r, sizeof(r));
}

static void add_pause(struct encoder *e, const struct object *object)
{
	const struct object_pause *p = object_pause(object);
	struct snapshot_pause_record r = {(uint32_t)((uint64_t)p->since_ms & UINT32_MAX),
		(uint32_t)((uint64_t)p->since_ms >> 32), encoder_text(e, p->by),
		encoder_text(e, p->reason)};

	buf_add(e->out, &r, sizeof(r));
}

void encoder_records(struct encoder *e, enum snapshot_section section, enum object_kind kind,
	void (*add)(struct encoder *e, const struct object *object))
{
	const struct object_set *set = &e->objects->sets[kind];

	encoder_begin(e, section, set->count);
	for (size_t i = 0; i < set->count; i++)
		add(e, set->items[i]);
}

static const enum snapshot_section gathered_section[GATHERED] = {
	[GATHER_PAUSED_DOMAINS] = SECTION_PAUSED_DOMAINS,
	[GATHER_ALIAS_TARGETS] = SECTION_ALIAS_TARGETS,
	[GATHER_PINS] = SECTION_PINS,
	[GATHER_RANGES] = SECTION_RANGES,
};

/* What is gathered while other records are written. */
static void add_gathered(struct encoder *e, enum snapshot_section section, const struct buf *from)
{
	encoder_begin(e, section, from->n / snapshot_record_bytes(section));
	buf_add_span(e->out, buf_span(from));
}

/* The name that a record begins with, read back. */
static struct span name_at(const struct encoder *e, enum snapshot_section section, uint32_t at)
{
	struct snapshot_text name;

	memcpy(&name,
		e->out->p + e->start + e->header.sections[section].offset +
			at * snapshot_record_bytes(section),
		sizeof(name));
	return name.length ? span_of(e->texts.p + name.offset, name.length) : SPAN_NONE;
}

/* At most half full, so that a lookup ends after a probe or two. */
static int add_hash(struct encoder *e, enum snapshot_section section)
{
	uint32_t count = e->header.sections[section].count, slots = 2;

	while (slots < count * 2)
		slots *= 2;
	uint32_t *table = calloc(slots, sizeof(*table));
	if (!table)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t slot = snapshot_hash_slot(name_at(e, section, i), slots);
		while (table[slot])
			slot = (slot + 1) & (slots - 1);
		table[slot] = i + 1;
	}
	encoder_begin(e, snapshot_hash_of(section), slots);
	buf_add(e->out, table, slots * sizeof(*table));
	free(table);
	return 0;
}

static bool fits(const struct encoder *e)
{
	bool ok = buf_ok(e->out) && buf_ok(&e->texts);

	for (size_t i = 0; i < ARRAY_SIZE(e->gathered); i++)
		ok = ok && buf_ok(&e->gathered[i]);
	return ok;
}

static int encode_sections(struct encoder *e)
{
	int err = 0;

	encoder_records(e, SECTION_TRANSPORTS, OBJECT_TRANSPORT, add_transport);
	encoder_records(e, SECTION_DOMAINS, OBJECT_DOMAIN, add_domain);
	encoder_records(e, SECTION_ACCOUNTS, OBJECT_ACCOUNT, add_account);
	encoder_who(e);
	encoder_records(e, SECTION_PRIORITIES, OBJECT_PRIORITY, add_priority);
	encoder_records(e, SECTION_PAUSES, OBJECT_PAUSE, add_pause);
	for (size_t i = 0; i < ARRAY_SIZE(e->gathered); i++)
		add_gathered(e, gathered_section[i], &e->gathered[i]);
	if (!fits(e))
		return ERR_LIMIT; /* and what was written cannot be read back */
	for (int i = SECTION_TRANSPORTS; i <= SECTION_ACCEPT_USERS && err == 0; i++)
		err = add_hash(e, (enum snapshot_section)i);
	return err;
}

static int encode(struct encoder *e, uint64_t generation)
{
	struct span default_transport = objects_default_transport(e->objects);

	buf_add(e->out, &e->header, sizeof(e->header));
	int err = encode_sections(e);
	if (err < 0)
		return err;
	encoder_hash(e, default_transport);
	e->header.postmaster = encoder_text(e, objects_postmaster(e->objects));
	encoder_begin(e, SECTION_TEXTS, e->texts.n);
	buf_add_span(e->out, buf_span(&e->texts));
	if (!fits(e))
		return ERR_LIMIT;
	e->header.magic = SNAPSHOT_MAGIC;
	e->header.version = SNAPSHOT_VERSION;
	e->header.bytes = e->out->n - e->start;
	e->header.generation = generation;
	e->header.pause = pause_index(e, PAUSE_ALL, SPAN_NONE);
	if (default_transport.n)
		e->header.default_transport = transport_index(e, default_transport) + 1;
	char *at = e->out->p + e->start;
	memcpy(at, &e->header, sizeof(e->header));
	e->header.checksum =
		XXH3_64bits(at + SNAPSHOT_CHECKED_FROM, e->header.bytes - SNAPSHOT_CHECKED_FROM);
	memcpy(at, &e->header, sizeof(e->header));
	return 0;
}

int snapshot_encode(const struct objects *objects, uint64_t generation, struct buf *out)
{
	struct encoder encoder = {.objects = objects, .out = out, .start = out->n};

	buf_init(&encoder.texts, SNAPSHOT_BYTES);
	for (size_t i = 0; i < ARRAY_SIZE(encoder.gathered); i++)
		buf_init(&encoder.gathered[i], SNAPSHOT_BYTES);
	int err = encode(&encoder, generation);
	buf_done(&encoder.texts);
	for (size_t i = 0; i < ARRAY_SIZE(encoder.gathered); i++)
		buf_done(&encoder.gathered[i]);
	return err;
}
