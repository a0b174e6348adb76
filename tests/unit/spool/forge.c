#include "forge.h"

#include "base/check.h"
#include "codec/envelope.h"
#include "spool/spool.h"

#include <stdlib.h>

#define SALT 77

void forge_begin(struct forge *f, struct sim_disk *disk, uint8_t owner, uint32_t serial)
{
	char page[FORMAT_PAGE];

	*f = (struct forge){.disk = disk, .owner = owner, .serial = serial, .at = FORMAT_PAGE};
	buf_init(&f->records, SIZE_MAX);
	buf_init(&f->bodies, SIZE_MAX);
	format_log_path(f->path, owner, serial);
	format_put_page(
		page, &(struct format_file){.serial = serial, .owner = owner, .salt = SALT});
	sim_disk_plant(disk, f->path, 0, span_of(page, sizeof(page)));
}

void forge_end(struct forge *f)
{
	buf_done(&f->records);
	buf_done(&f->bodies);
}

static void put_record(
	struct forge *f, uint64_t id, const struct format_message *message, const char *sender)
{
	struct envelope_rcpt rcpt = {.address = SPAN("y@b.example")};
	struct envelope envelope = {
		.arrived_ms = 1000,
		.body_bytes = message->body_bytes,
		.sender = span_str(sender),
		.rcpts = &rcpt,
		.rcpt_count = 1,
	};
	char fixed[FORMAT_MESSAGE_FIXED];
	struct buf encoded;

	buf_init(&encoded, ENVELOPE_BYTES);
	envelope_encode(&encoded, &envelope);
	format_put_message(fixed, message);
	const struct format_record record = {
		.type = FORMAT_MESSAGE,
		.sequence = f->sequence,
		.id = id,
		.payload = span_of(fixed, sizeof(fixed)),
	};
	format_put_record(&f->records, &record, buf_span(&encoded), SALT);
	f->count++;
	buf_done(&encoded);
}

/* Where its body lies depends on how long its record is, which is measured first. */
uint64_t forge_message(struct forge *f, uint32_t place, const char *sender, uint32_t body)
{
	char *bytes = malloc(body ? body : 1);
	size_t before = f->records.n;
	struct format_message message = {
		.id = SPOOL_ID(f->serial, f->owner, place), .body_bytes = body};

	CHECK(bytes);
	memset(bytes, 'b', body);
	put_record(f, message.id, &message, sender);
	message.body_offset = forge_bodies_at(f) + f->bodies.n;
	message.body_hash = format_hash(span_of(bytes, body), 0);
	f->records.n = before;
	f->count--;
	put_record(f, message.id, &message, sender);
	buf_add(&f->bodies, bytes, body);
	buf_add_str(&f->bodies, FORMAT_END);
	free(bytes);
	return message.id;
}

void forge_record(struct forge *f, uint64_t id, const struct format_message *message)
{
	put_record(f, id, message, "x@a.example");
}

void forge_raw(struct forge *f, struct span bytes)
{
	buf_add_span(&f->records, bytes);
}

void forge_head(char head[FORMAT_RECORD], uint64_t id, uint32_t sequence, uint32_t length)
{
	const struct format_record record = {
		.type = FORMAT_MESSAGE, .sequence = sequence, .id = id};
	struct buf whole;

	buf_init(&whole, SIZE_MAX);
	format_put_record(&whole, &record, SPAN_NONE, SALT);
	memcpy(head, whole.p, FORMAT_RECORD);
	for (int i = 0; i < 4; i++)
		head[12 + i] = (char)(length >> (8 * i));
	buf_done(&whole);
}

uint64_t forge_bodies_at(const struct forge *f)
{
	return f->at + FORMAT_BATCH_HEADER + f->records.n;
}

void forge_batch(struct forge *f, uint64_t length)
{
	char header[FORMAT_BATCH_HEADER];
	uint64_t whole = FORMAT_BATCH_HEADER + f->records.n + f->bodies.n;
	const struct format_batch batch = {
		.kind = FORMAT_BATCH,
		.serial = f->serial,
		.owner = f->owner,
		.sequence = f->sequence++,
		.offset = f->at,
		.length = length ? length : whole,
		.records_bytes = (uint32_t)f->records.n,
		.record_count = f->count,
		.message_count = f->count,
		.records_hash = format_hash(buf_span(&f->records), SALT),
	};

	format_put_batch(header, &batch, SALT);
	sim_disk_plant(f->disk, f->path, f->at, span_of(header, sizeof(header)));
	sim_disk_plant(f->disk, f->path, f->at + sizeof(header), buf_span(&f->records));
	sim_disk_plant(f->disk, f->path, forge_bodies_at(f), buf_span(&f->bodies));
	f->at = format_align(f->at + batch.length);
	f->count = 0;
	buf_clear(&f->records);
	buf_clear(&f->bodies);
}
