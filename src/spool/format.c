#include "spool/format.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"
#include "spool/spool.h"

#include <xxhash.h>

/* Every checksummed piece begins with its checksum, which covers all that follows it. */
#define HASH_BYTES   8
#define PAGE_MAGIC   0x4c535450u /* "PTSL" */
#define BATCH_MAGIC  0x42535450u /* "PTSB" */
#define RECORD_MAGIC 0x52535450u /* "PTSR" */
#define VERSION	     1
#define PAGE_SEED    0x706f737465726e31ull /* of the file header, which holds the salt itself */
#define SALT_AT	     72			   /* in a batch header */

uint64_t format_hash(struct span bytes, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes.p, bytes.n, seed);
}

static void put32(char *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (char)(value >> (8 * i));
}

static void put64(char *to, uint64_t value)
{
	put32(to, (uint32_t)value);
	put32(to + 4, (uint32_t)(value >> 32));
}

static void put_hash(char *piece, size_t n, uint64_t seed)
{
	put64(piece, format_hash(span_of(piece + HASH_BYTES, n - HASH_BYTES), seed));
}

/* Is the checksum at the front of the n bytes right? */
static bool hash_right(const char *piece, size_t n, uint64_t seed)
{
	struct cursor c = cursor_of(span_of(piece, HASH_BYTES));

	return cursor_u64(&c) == format_hash(span_of(piece + HASH_BYTES, n - HASH_BYTES), seed);
}

/* ---- file header ------------------------------------------------------------------------ */

static void put_file(char *to, const struct format_file *file)
{
	memset(to, 0, FORMAT_FILE_HEADER);
	put32(to + 8, PAGE_MAGIC);
	put32(to + 12, VERSION);
	put32(to + 16, file->serial);
	put32(to + 20, file->owner);
	put64(to + 24, file->salt);
	put_hash(to, FORMAT_FILE_HEADER, PAGE_SEED);
}

void format_put_page(char page[FORMAT_PAGE], const struct format_file *file)
{
	memset(page, 0, FORMAT_PAGE);
	put_file(page, file);
	put_file(page + FORMAT_PAGE_COPY, file);
}

static int get_file(const char *at, struct format_file *out)
{
	struct cursor c = cursor_of(span_of(at + HASH_BYTES, FORMAT_FILE_HEADER - HASH_BYTES));

	if (cursor_u32(&c) != PAGE_MAGIC || cursor_u32(&c) != VERSION ||
		!hash_right(at, FORMAT_FILE_HEADER, PAGE_SEED))
		return ERR_CORRUPT;
	struct format_file file = {.serial = cursor_u32(&c)};
	uint32_t owner = cursor_u32(&c);
	file.owner = (uint8_t)owner;
	file.salt = cursor_u64(&c);
	if (owner > UINT8_MAX)
		return ERR_CORRUPT;
	*out = file;
	return 0;
}

int format_get_page(struct span page, struct format_file *out)
{
	if (page.n < FORMAT_PAGE)
		return ERR_CORRUPT;
	return get_file(page.p, out) == 0 ? 0 : get_file(page.p + FORMAT_PAGE_COPY, out);
}

/* ---- batch header ----------------------------------------------------------------------- */

void format_put_batch(
	char header[FORMAT_BATCH_HEADER], const struct format_batch *batch, uint64_t salt)
{
	memset(header, 0, FORMAT_BATCH_HEADER);
	put32(header + 8, BATCH_MAGIC);
	put32(header + 12, (uint32_t)batch->kind | (uint32_t)batch->owner << 8);
	put32(header + 16, batch->serial);
	put32(header + 20, batch->sequence);
	put64(header + 24, batch->offset);
	put64(header + 32, batch->length);
	put32(header + 40, batch->records_bytes);
	put32(header + 44, batch->record_count);
	put32(header + 48, batch->message_count);
	put32(header + 52, batch->before_serial);
	put64(header + 56, batch->records_hash);
	put64(header + 64, batch->before_end);
	put64(header + SALT_AT, salt);
	put_hash(header, FORMAT_BATCH_HEADER, salt);
}

int format_get_batch(struct span header, uint64_t salt, struct format_batch *out)
{
	if (header.n < FORMAT_BATCH_HEADER)
		return ERR_CORRUPT;
	struct cursor c =
		cursor_of(span_of(header.p + HASH_BYTES, FORMAT_BATCH_HEADER - HASH_BYTES));
	if (cursor_u32(&c) != BATCH_MAGIC || !hash_right(header.p, FORMAT_BATCH_HEADER, salt))
		return ERR_CORRUPT;
	struct format_batch batch = {.kind = cursor_u8(&c), .owner = cursor_u8(&c)};
	cursor_u16(&c);
	batch.serial = cursor_u32(&c);
	batch.sequence = cursor_u32(&c);
	batch.offset = cursor_u64(&c);
	batch.length = cursor_u64(&c);
	batch.records_bytes = cursor_u32(&c);
	batch.record_count = cursor_u32(&c);
	batch.message_count = cursor_u32(&c);
	batch.before_serial = cursor_u32(&c);
	batch.records_hash = cursor_u64(&c);
	batch.before_end = cursor_u64(&c);
	*out = batch;
	return 0;
}

int format_get_first(struct span header, struct format_file *out)
{
	struct format_batch batch;

	if (header.n < FORMAT_BATCH_HEADER)
		return ERR_CORRUPT;
	struct cursor c = cursor_of(span_skip(header, SALT_AT));
	struct format_file file = {.salt = cursor_u64(&c)};
	if (format_get_batch(header, file.salt, &batch) != 0)
		return ERR_CORRUPT;
	file.serial = batch.serial;
	file.owner = batch.owner;
	if (!format_batch_fits(&batch, &file, FORMAT_PAGE))
		return ERR_CORRUPT;
	*out = file;
	return 0;
}

bool format_batch_fits(
	const struct format_batch *batch, const struct format_file *file, uint64_t offset)
{
	bool journal = file->owner == SPOOL_OWNER_DELIVERY;

	return (batch->kind == FORMAT_BATCH || batch->kind == FORMAT_VOID) &&
	       (journal || (batch->records_bytes <= FORMAT_WORKER_RECORDS &&
				   batch->length <= FORMAT_BATCH_BYTES)) &&
	       batch->serial == file->serial && batch->owner == file->owner &&
	       batch->offset == offset && offset <= INT64_MAX - FORMAT_ALIGN &&
	       batch->records_bytes <= FORMAT_BATCH_RECORDS &&
	       batch->record_count <= batch->records_bytes / FORMAT_RECORD &&
	       batch->length >= (uint64_t)FORMAT_BATCH_HEADER + batch->records_bytes &&
	       batch->length <= INT64_MAX - FORMAT_ALIGN - offset &&
	       (batch->before_serial == 0 || batch->before_serial < batch->serial) &&
	       batch->before_end <= INT64_MAX;
}

/* ---- records ---------------------------------------------------------------------------- */

void format_put_record(
	struct buf *buf, const struct format_record *record, struct span more, uint64_t salt)
{
	size_t length = record->payload.n + more.n;
	CHECK(length <= FORMAT_RECORD_BYTES);
	size_t whole = (size_t)format_record_bytes(length);
	char *to = buf_reserve(buf, whole);

	if (!to)
		return;
	put32(to + 8, RECORD_MAGIC);
	put32(to + 12, (uint32_t)length);
	put32(to + 16, record->type);
	put32(to + 20, record->sequence);
	put64(to + 24, record->id);
	if (record->payload.n)
		memcpy(to + FORMAT_RECORD, record->payload.p, record->payload.n);
	if (more.n)
		memcpy(to + FORMAT_RECORD + record->payload.n, more.p, more.n);
	memset(to + FORMAT_RECORD + length, 0, whole - FORMAT_RECORD - length);
	put_hash(to, FORMAT_RECORD + length, salt);
	buf_wrote(buf, whole);
}

size_t format_record_claims(struct span in)
{
	struct cursor c = cursor_of(span_skip(in, HASH_BYTES));
	uint32_t magic = cursor_u32(&c);
	uint32_t length = cursor_u32(&c);

	if (!cursor_ok(&c) || in.n < FORMAT_RECORD || magic != RECORD_MAGIC ||
		length > FORMAT_RECORD_BYTES)
		return 0;
	return (size_t)format_record_bytes(length);
}

int format_get_head(struct span in, struct format_record *out)
{
	struct cursor c = cursor_of(span_skip(in, HASH_BYTES + 2 * sizeof(uint32_t)));
	uint32_t type = cursor_u32(&c);
	uint32_t sequence = cursor_u32(&c);
	uint64_t id = cursor_u64(&c);

	if (in.n < FORMAT_RECORD || !cursor_ok(&c))
		return ERR_CORRUPT;
	*out = (struct format_record){
		.type = type > UINT8_MAX ? 0 : (uint8_t)type, .sequence = sequence, .id = id};
	return 0;
}

int format_get_record(struct span in, uint64_t salt, struct format_record *out, size_t *out_bytes)
{
	size_t whole = format_record_claims(in);

	if (!whole || whole > in.n)
		return ERR_CORRUPT;
	struct cursor c = cursor_of(span_skip(in, HASH_BYTES + sizeof(uint32_t)));
	uint32_t length = cursor_u32(&c);
	uint32_t type = cursor_u32(&c);
	uint32_t sequence = cursor_u32(&c);
	uint64_t id = cursor_u64(&c);
	if (type > UINT8_MAX || !hash_right(in.p, FORMAT_RECORD + length, salt))
		return ERR_CORRUPT;
	*out = (struct format_record){
		.type = (uint8_t)type,
		.sequence = sequence,
		.id = id,
		.payload = span_of(in.p + FORMAT_RECORD, length),
	};
	*out_bytes = whole;
	return 0;
}

void format_put_message(char fixed[FORMAT_MESSAGE_FIXED], const struct format_message *message)
{
	memset(fixed, 0, FORMAT_MESSAGE_FIXED);
	put64(fixed, message->id);
	put64(fixed + 8, message->body_offset);
	put64(fixed + 16, message->body_bytes);
	put64(fixed + 24, message->body_hash);
	put32(fixed + 32, message->body_serial);
	put32(fixed + 36, message->body_number);
	put32(fixed + 40, message->body_owner);
}

int format_get_message(struct span payload, struct format_message *out)
{
	struct cursor c = cursor_of(payload);
	struct format_message message = {.id = cursor_u64(&c)};

	message.body_offset = cursor_u64(&c);
	message.body_bytes = cursor_u64(&c);
	message.body_hash = cursor_u64(&c);
	message.body_serial = cursor_u32(&c);
	message.body_number = cursor_u32(&c);
	uint32_t owner = cursor_u32(&c);
	message.body_owner = (uint8_t)owner;
	cursor_u32(&c);
	if (!cursor_ok(&c) || owner > UINT8_MAX || message.id == 0 ||
		message.body_bytes > (uint64_t)INT64_MAX / 4 ||
		message.body_offset > (uint64_t)INT64_MAX / 4)
		return ERR_CORRUPT;
	message.envelope = cursor_bytes(&c, cursor_left(&c));
	*out = message;
	return 0;
}

void format_put_extent(char bytes[FORMAT_EXTENT_BYTES], const struct format_extent *extent)
{
	put64(bytes, extent->end);
	put64(bytes + 8, extent->final);
}

int format_get_extent(struct span payload, struct format_extent *out)
{
	struct cursor c = cursor_of(payload);
	uint64_t end = cursor_u64(&c);
	uint64_t final = cursor_u64(&c);

	if (!cursor_ok(&c) || cursor_left(&c) || final > 1 || end > INT64_MAX)
		return ERR_CORRUPT;
	*out = (struct format_extent){.end = end, .final = final};
	return 0;
}
