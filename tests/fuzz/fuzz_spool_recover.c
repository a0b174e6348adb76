/*
 * Whatever lies in the spool's directories, and whatever a worker says, recovery and verify end,
 * stay in their memory, and give out only messages that are whole.
 *
 * Input: pieces "u8 where, u16 length, bytes". `where` says which file a piece is appended to, and,
 * with its upper bits, how: as it is, or dressed up as a valid header, batch or record of that
 * file, since no fuzzer finds a checksum; or it is no piece of a file but a notice.
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
#define NOTICES	  16
#define HOLE_MOST (64u << 10)

enum dress { RAW, HEADER, BATCH, RECORD, MESSAGE, ALIGNED, HEADS, HOLE, NOTICE, DRESSES };

struct log {
	uint8_t owner;
	uint32_t serial;
	struct buf bytes;
	uint64_t batch; /* offset of the batch that is open */
	bool in_batch;
	uint32_t sequence, records, places;
};

/* A number of any size, from few bytes. */
static uint64_t big(struct cursor *c)
{
	uint64_t value = cursor_u16(c);
	uint8_t shift = cursor_u8(c);

	return shift < 128 ? value : value << (shift % 48);
}

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
	struct cursor claims = cursor_of(span_skip(tail, tail.n < 4 ? tail.n : 4));
	struct format_batch batch = {
		.kind = tail.n && tail.p[0] & 64 ? FORMAT_VOID : FORMAT_BATCH,
		.serial = log->serial,
		.owner = log->owner,
		.sequence = log->sequence,
		.offset = log->batch,
		.length = FORMAT_BATCH_HEADER + records.n + tail.n +
			  (tail.n > 5 && tail.p[3] & 1 ? big(&claims) : 0),
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
		/* Places may lie apart, and bodies be as long as they like. */
		log->places += type == 4 ? (uint32_t)big(&c) & (FORMAT_PLACES - 1) : 0;
		record.type = FORMAT_MESSAGE;
		record.id = SPOOL_ID(log->serial, log->owner, log->places++ & (FORMAT_PLACES - 1));
		struct format_message m = {
			.id = type ? record.id : place + 1u,
			.body_offset = type == 5 ? big(&c) : place,
			.body_bytes = type >= 5 ? big(&c) : owner * 64u,
			.body_hash = owner ? serial : format_hash(SPAN(""), 0),
			.body_serial = type == 3 || type == 6 ? 1 : 0,
			.body_owner = log->owner,
		};
		format_put_message(fixed, &m);
		record.payload = span_of(fixed, sizeof(fixed));
	}
	format_put_record(&log->bytes, &record, cursor_bytes(&c, cursor_left(&c)), SALT);
	log->records++;
}

/* What looks like the beginnings of records, as often as asked. */
static void add_heads(struct log *log, struct span in)
{
	struct cursor c = cursor_of(in);
	uint8_t count = cursor_u8(&c), place = cursor_u8(&c);
	uint32_t length = (uint32_t)big(&c) % (2 * FORMAT_RECORD_BYTES);
	struct format_record record = {.type = FORMAT_MESSAGE,
		.sequence = log->sequence,
		.id = SPOOL_ID(log->serial, log->owner, place)};
	struct buf head;

	buf_init(&head, 4096);
	format_put_record(&head, &record, SPAN_NONE, SALT);
	for (int i = 0; i < 4; i++)
		head.p[12 + i] = (char)(length >> (8 * i));
	for (unsigned i = 0; i < count * 8u; i++) {
		if (place & 1)
			pad(&log->bytes);
		buf_add_span(&log->bytes, buf_span(&head));
	}
	log->records += place & 2 ? 1 : 0;
	buf_done(&head);
}

static void add_hole(struct log *log, struct span in)
{
	struct cursor c = cursor_of(in);
	uint64_t n = big(&c) % HOLE_MOST;

	if (buf_reserve(&log->bytes, n)) {
		memset(log->bytes.p + log->bytes.n, 0, n);
		buf_wrote(&log->bytes, n);
	}
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
	case HEADS: add_heads(log, in); break;
	case HOLE: add_hole(log, in); break;
	case NOTICE:
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

static void read_body(struct spool_store *store, struct fake_io *io, uint64_t id)
{
	struct spool_body body;
	char piece[4096];

	int err = spool_store_body(store, id, &body);
	if (err == ERR_AGAIN) {
		fake_io_pass(io, 100);
		err = spool_store_body(store, id, &body);
	}
	if (err)
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

static void live(struct sim_disk *sim, const struct spool_notice *notices, size_t count)
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
	for (size_t i = 0; i < count && !err; i++) {
		if (notices[i].messages & 1)
			spool_store_notice(store, &notices[i]);
		else if (notices[i].messages & 2)
			spool_store_writer_gone(store, notices[i].owner);
		else
			fake_io_pass(&io, 3000);
	}
	for (size_t i = 0; i < seen.count && !err; i++) {
		read_body(store, &io, seen.ids[i]);
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
	struct spool_notice notices[NOTICES];
	size_t notice_count = 0;

	if (sim_disk_new(1, &sim) != 0)
		abort();
	for (size_t i = 0; i < FILES; i++)
		buf_init(&logs[i].bytes, FILE_MOST);
	for (int i = 0; i < PIECES && cursor_left(&c); i++) {
		uint8_t where = cursor_u8(&c);
		uint16_t length = cursor_u16(&c);
		size_t n = length < cursor_left(&c) ? length : cursor_left(&c);
		enum dress dress = (where >> 2) % DRESSES;
		struct span in = cursor_bytes(&c, n);
		struct cursor fields = cursor_of(in);
		add_piece(&logs[where % FILES], dress, in);
		if (dress == NOTICE && notice_count < NOTICES)
			notices[notice_count++] = (struct spool_notice){
				.owner = where % 2,
				.serial = cursor_u8(&fields) % 6,
				.messages = cursor_u16(&fields),
				.durable = big(&fields),
			};
	}
	for (size_t i = 0; i < FILES; i++) {
		char path[FORMAT_PATH];
		format_log_path(path, logs[i].owner, logs[i].serial);
		if (logs[i].bytes.n)
			sim_disk_plant(sim, path, 0, buf_span(&logs[i].bytes));
		buf_done(&logs[i].bytes);
	}
	sim_disk_plant(sim, "b0/00000001-0.body", 0, SPAN("hello\r\n.\r\n"));
	spool_verify(sim_disk_base(sim), NULL, NULL, &result);
	live(sim, notices, notice_count);
	live(sim, NULL, 0);
	spool_verify(sim_disk_base(sim), NULL, NULL, &result);
	sim_disk_free(&sim);
	return 0;
}
