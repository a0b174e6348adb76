/*
 * Whatever lies in the spool's directories, recovery and verify end, stay in their memory, and give
 * out only messages that are whole.
 *
 * Input: pieces "u8 where, u16 length, bytes". `where` says which file a piece is appended to, and,
 * with its upper bits, how: as it is, or dressed up as a valid header, batch or record of that
 * file, since no fuzzer finds a checksum.
 */
#include "base/cursor.h"
#include "base/err.h"
#include "fake_io.h"
#include "sim_disk.h"
#include "spool/format.h"
#include "spool/spool.h"

#include <stdlib.h>

#define FILES	  4
#define SALT	  7
#define PIECES	  64
#define FILE_MOST (256u << 10)

enum dress { RAW, HEADER, BATCH, RECORD, MESSAGE, ALIGNED, DRESSES };

struct log {
	uint8_t owner;
	uint32_t serial;
	struct buf bytes;
	uint64_t batch; /* offset of the batch that is open */
	bool in_batch;
	uint32_t sequence, records, places;
};

static void pad(struct buf *buf)
{
	static const char zeros[FORMAT_ALIGN];

	buf_add(buf, zeros, (size_t)(format_align(buf->n) - buf->n));
}

static void end_batch(struct log *log, struct span tail)
{
	if (!log->in_batch || !buf_ok(&log->bytes))
		return;
	struct span records =
		span_skip(buf_span(&log->bytes), (size_t)log->batch + FORMAT_BATCH_HEADER);
	struct format_batch batch = {
		.kind = tail.n && tail.p[0] & 64 ? FORMAT_VOID : FORMAT_BATCH,
		.serial = log->serial,
		.owner = log->owner,
		.sequence = log->sequence,
		.offset = log->batch,
		.length = FORMAT_BATCH_HEADER + records.n + tail.n,
		.records_bytes = (uint32_t)records.n,
		.record_count = log->records,
		.message_count = log->records,
		.records_hash = format_hash(records, SALT),
		.before_serial = tail.n > 1 && tail.p[1] & 1 ? log->serial - 1 : 0,
		.before_end = tail.n > 2 ? FORMAT_ALIGN * (unsigned char)tail.p[2] : 0,
	};
	format_put_batch(log->bytes.p + log->batch, &batch, SALT);
	buf_add_span(&log->bytes, tail);
	log->in_batch = false;
}

static void begin_batch(struct log *log)
{
	if (log->in_batch)
		return;
	pad(&log->bytes);
	log->batch = log->bytes.n;
	log->in_batch = true;
	log->sequence++;
	log->records = 0;
	if (buf_reserve(&log->bytes, FORMAT_BATCH_HEADER)) {
		memset(log->bytes.p + log->bytes.n, 0, FORMAT_BATCH_HEADER);
		buf_wrote(&log->bytes, FORMAT_BATCH_HEADER);
	}
}

static void add_record(struct log *log, struct span in, bool message)
{
	struct cursor c = cursor_of(in);
	uint8_t type = cursor_u8(&c) % 8;
	uint8_t owner = cursor_u8(&c);
	uint8_t serial = cursor_u8(&c);
	uint16_t place = cursor_u16(&c);
	char fixed[FORMAT_MESSAGE_FIXED];

	begin_batch(log);
	struct format_record record = {.type = type, .sequence = log->sequence};
	record.id = SPOOL_ID(serial % 6, owner, place);
	if (message) {
		record.type = FORMAT_MESSAGE;
		record.id = SPOOL_ID(log->serial, log->owner, log->places++);
		struct format_message m = {
			.id = type ? record.id : place + 1u,
			.body_offset = place,
			.body_bytes = owner * 64u,
			.body_hash = owner ? serial : format_hash(SPAN(""), 0),
			.body_serial = type == 3 ? 1 : 0,
			.body_owner = log->owner,
		};
		format_put_message(fixed, &m);
		record.payload = span_of(fixed, sizeof(fixed));
	}
	format_put_record(&log->bytes, &record, cursor_bytes(&c, cursor_left(&c)), SALT);
	log->records++;
}

static void add_piece(struct log *log, enum dress dress, struct span in)
{
	char page[FORMAT_PAGE];

	switch (dress) {
	case RAW: buf_add_span(&log->bytes, in); break;
	case ALIGNED:
		pad(&log->bytes);
		buf_add_span(&log->bytes, in);
		break;
	case HEADER:
		format_put_page(
			page, &(struct format_file){
				      .serial = log->serial, .owner = log->owner, .salt = SALT});
		if (!log->bytes.n)
			buf_add(&log->bytes, page, sizeof(page));
		break;
	case RECORD: add_record(log, in, false); break;
	case MESSAGE: add_record(log, in, true); break;
	case BATCH: end_batch(log, in); break;
	case DRESSES: break;
	}
}

/* ---- the store -------------------------------------------------------------------------- */

#define IDS 64

struct seen {
	uint64_t ids[IDS];
	size_t count;
};

static void on_message(void *context, const struct envelope *envelope, struct span state)
{
	struct seen *seen = context;

	(void)state;
	if (!envelope->id)
		abort();
	if (seen->count < IDS)
		seen->ids[seen->count++] = envelope->id;
}

static void on_damaged(
	void *context, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	(void)context, (void)id, (void)offset;
	if (!path[0] || !what[0])
		abort();
}

static void on_durable(void *context, uint64_t mark)
{
	(void)context, (void)mark;
}

static const struct spool_store_handler handler = {
	.message = on_message, .damaged = on_damaged, .durable = on_durable};

static void read_body(struct spool_store *store, uint64_t id)
{
	struct spool_body body;
	char piece[4096];

	if (spool_store_body(store, id, &body) != 0)
		return;
	uint64_t hash_bytes = 0;
	while (hash_bytes < body.bytes) {
		size_t want = body.bytes - hash_bytes < sizeof(piece)
				      ? (size_t)(body.bytes - hash_bytes)
				      : sizeof(piece);
		if (disk_read(body.file, piece, want, body.offset + hash_bytes) != (int64_t)want)
			abort(); /* it was said to be whole */
		hash_bytes += want;
	}
	spool_store_body_done(store, &body);
}

static void live(struct sim_disk *sim)
{
	struct fake_io io;
	struct seen seen = {0};
	struct spool_store *store = NULL;
	struct spool_store_config config = {
		.io = &io.io,
		.disk = sim_disk_base(sim),
		.segment_bytes = 64 << 10,
		.sync_ms = 5,
		.handler = &handler,
		.context = &seen,
	};
	int err;

	fake_io_init(&io, 1, 5000);
	if (spool_store_new(&config, &store) != 0)
		abort();
	while ((err = spool_store_load(store, NULL, 0)) == ERR_AGAIN)
		;
	for (size_t i = 0; i < seen.count && !err; i++) {
		read_body(store, seen.ids[i]);
		if (i % 2)
			spool_store_done(store, seen.ids[i]);
		else
			spool_store_state(store, seen.ids[i], SPAN("again"));
	}
	fake_io_pass(&io, 5000);
	spool_store_free(&store);
	fake_io_done(&io);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log logs[FILES] = {{.owner = 0, .serial = 1}, {.owner = 0, .serial = 2},
		{.owner = SPOOL_OWNER_DELIVERY, .serial = 3},
		{.owner = SPOOL_OWNER_DELIVERY, .serial = 4}};
	struct cursor c = cursor_of(span_of(data, size));
	struct spool_verify_result result;
	struct sim_disk *sim = NULL;

	if (sim_disk_new(1, &sim) != 0)
		abort();
	for (size_t i = 0; i < FILES; i++)
		buf_init(&logs[i].bytes, FILE_MOST);
	for (int i = 0; i < PIECES && cursor_left(&c); i++) {
		uint8_t where = cursor_u8(&c);
		uint16_t length = cursor_u16(&c);
		size_t n = length < cursor_left(&c) ? length : cursor_left(&c);
		add_piece(&logs[where % FILES], (where >> 2) % DRESSES, cursor_bytes(&c, n));
	}
	for (size_t i = 0; i < FILES; i++) {
		char path[FORMAT_PATH];
		format_log_path(path, logs[i].owner, logs[i].serial);
		if (logs[i].bytes.n)
			sim_disk_plant(sim, path, 0, buf_span(&logs[i].bytes));
		buf_done(&logs[i].bytes);
	}
	sim_disk_plant(sim, "w0/00000001-0.body", 0, SPAN("hello\r\n.\r\n"));
	spool_verify(sim_disk_base(sim), NULL, NULL, &result);
	live(sim);
	live(sim);
	spool_verify(sim_disk_base(sim), NULL, NULL, &result);
	sim_disk_free(&sim);
	return 0;
}
