/* From objects to the bytes of a snapshot. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MS_PER_S 1000u

struct encoder {
	const struct objects *objects;
	struct buf *out;
	size_t start; /* where the snapshot begins in out */
	struct buf texts;
	struct buf paused_domains; /* u32 each, in the machine's order */
	uint32_t domains;
	struct snapshot_header header;
};

static struct snapshot_text add_text(struct encoder *e, struct span text)
{
	struct snapshot_text at = {(uint32_t)e->texts.n, (uint32_t)text.n};

	if (text.n == 0)
		return (struct snapshot_text){0, 0};
	buf_add_span(&e->texts, text);
	return at;
}

/* Order and lengths count, so that no two directories that differ look alike by accident. */
static void hash_text(struct encoder *e, struct span text)
{
	uint64_t length = text.n;

	e->header.routes_hash =
		XXH3_64bits_withSeed(&length, sizeof(length), e->header.routes_hash);
	e->header.routes_hash =
		XXH3_64bits_withSeed(text.n ? text.p : "", text.n, e->header.routes_hash);
}

static void begin(struct encoder *e, enum snapshot_section section, size_t count)
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
		.name = add_text(e, object->name),
		.host = add_text(e, t->server.host),
		.zone = add_text(e, t->server.zone),
		.query = add_text(e, t->server.query),
		.source_v4 = add_text(e, t->source_v4),
		.source_v6 = add_text(e, t->source_v6),
		.helo = add_text(e, t->helo),
		.retry_text = add_text(e, t->retry_delay.text),
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
	};

	memcpy(r.retry, t->retry_delay.steps, sizeof(r.retry));
	buf_add(e->out, &r, sizeof(r));
	hash_text(e, object->name);
	hash_text(e, t->server.host);
	hash_text(e, t->server.zone);
	hash_text(e, t->server.query);
	hash_text(e, t->source_v4);
	hash_text(e, t->source_v6);
	hash_text(e, span_of(&r.port, sizeof(r.port)));
	hash_text(e, span_of(&r.private_hosts, sizeof(r.private_hosts)));
}

static void add_domain(struct encoder *e, const struct object *object)
{
	const struct object_domain *d = object_domain(object);
	struct snapshot_domain_record r = {
		.name = add_text(e, object->name),
		.kind = d->mailboxes ? DOMAIN_MAILBOXES : DOMAIN_TRANSPORT,
		.transport = d->mailboxes ? 0 : transport_index(e, d->transport),
		.pause = pause_index(e, PAUSE_DOMAIN, object->name),
	};

	buf_add(e->out, &r, sizeof(r));
	hash_text(e, object->name);
	hash_text(e, d->mailboxes ? SPAN_NONE : d->transport);
	if (r.pause)
		buf_add(&e->paused_domains, &e->domains, sizeof(e->domains));
	e->domains++;
}

static void add_account(struct encoder *e, const struct object *object)
{
	struct snapshot_account_record r = {add_text(e, object->name)};

	buf_add(e->out, &r, sizeof(r));
	hash_text(e, object->name);
}

static void add_priority(struct encoder *e, const struct object *object)
{
	const struct object_priority *p = object_priority(object);
	struct snapshot_priority_record r = {add_text(e, p->sender), add_text(e, p->recipient),
		add_text(e, p->domain), add_text(e, p->transport), add_text(e, p->client)};

	buf_add(e->out, &r, sizeof(r));
}

static void add_pause(struct encoder *e, const struct object *object)
{
	const struct object_pause *p = object_pause(object);
	struct snapshot_pause_record r = {(uint32_t)((uint64_t)p->since_ms & UINT32_MAX),
		(uint32_t)((uint64_t)p->since_ms >> 32), add_text(e, p->by),
		add_text(e, p->reason)};

	buf_add(e->out, &r, sizeof(r));
}

static void add_records(struct encoder *e, enum snapshot_section section, enum object_kind kind,
	void (*add)(struct encoder *e, const struct object *object))
{
	const struct object_set *set = &e->objects->sets[kind];

	begin(e, section, set->count);
	for (size_t i = 0; i < set->count; i++)
		add(e, set->items[i]);
}

/* At most half full, so that a lookup ends after a probe or two. */
static int add_hash(struct encoder *e, enum snapshot_section section, enum object_kind kind)
{
	const struct object_set *set = &e->objects->sets[kind];
	size_t slots = 2;

	while (slots < set->count * 2)
		slots *= 2;
	uint32_t *table = calloc(slots, sizeof(*table));
	if (!table)
		return ERR_NOMEM;
	for (size_t i = 0; i < set->count; i++) {
		struct span name = set->items[i]->name;
		size_t slot = (uint32_t)XXH3_64bits(name.p, name.n) & (slots - 1);
		while (table[slot])
			slot = (slot + 1) & (slots - 1);
		table[slot] = (uint32_t)i + 1;
	}
	begin(e, section, slots);
	buf_add(e->out, table, slots * sizeof(*table));
	free(table);
	return 0;
}

static int encode(struct encoder *e, uint64_t generation)
{
	struct span default_transport = objects_default_transport(e->objects);

	buf_add(e->out, &e->header, sizeof(e->header));
	add_records(e, SECTION_TRANSPORTS, OBJECT_TRANSPORT, add_transport);
	add_records(e, SECTION_DOMAINS, OBJECT_DOMAIN, add_domain);
	add_records(e, SECTION_ACCOUNTS, OBJECT_ACCOUNT, add_account);
	add_records(e, SECTION_PRIORITIES, OBJECT_PRIORITY, add_priority);
	add_records(e, SECTION_PAUSES, OBJECT_PAUSE, add_pause);
	begin(e, SECTION_PAUSED_DOMAINS, e->paused_domains.n / sizeof(uint32_t));
	buf_add_span(e->out, buf_span(&e->paused_domains));
	hash_text(e, default_transport);
	int err = add_hash(e, SECTION_TRANSPORT_HASH, OBJECT_TRANSPORT);
	if (err == 0)
		err = add_hash(e, SECTION_DOMAIN_HASH, OBJECT_DOMAIN);
	if (err == 0)
		err = add_hash(e, SECTION_ACCOUNT_HASH, OBJECT_ACCOUNT);
	if (err < 0)
		return err;
	e->header.postmaster = add_text(e, objects_postmaster(e->objects));
	begin(e, SECTION_TEXTS, e->texts.n);
	buf_add_span(e->out, buf_span(&e->texts));
	if (!buf_ok(e->out) || !buf_ok(&e->texts) || !buf_ok(&e->paused_domains))
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
	buf_init(&encoder.paused_domains, SNAPSHOT_BYTES);
	int err = encode(&encoder, generation);
	buf_done(&encoder.texts);
	buf_done(&encoder.paused_domains);
	return err;
}
