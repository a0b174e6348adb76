#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

static void on_damage(void *arg, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	struct spool_store *store = arg;

	store->config.handler->damaged(store->config.context, id, path, offset, what);
}

int spool_store_new(const struct spool_store_config *config, struct spool_store **out)
{
	struct spool_store *store = calloc(1, sizeof(*store));

	if (!store)
		return ERR_NOMEM;
	store->magic = STORE_MAGIC;
	store->config = *config;
	store->io = config->io;
	index_init(&store->index, config->disk, on_damage, store);
	store->index.patience = STORE_READ_TRIES;
	store->trusted_ns = store->io->now_ns;
	journal_init(store);
	clean_init(store);
	intake_init(store);
	slow_init(store);
	*out = store;
	return 0;
}

void spool_store_free(struct spool_store **at)
{
	struct spool_store *store = *at;

	*at = NULL;
	if (!store)
		return;
	CHECK_MAGIC(store, STORE_MAGIC);
	CHECK(!log_busy(&store->journal.log) && !store->cleaner.removing && !store->copy &&
		!check_busy(store));
	clean_done(store);
	journal_done(store);
	intake_done(store);
	slow_done(store);
	check_done(store);
	index_done(&store->index);
	free(store->loader.orphans);
	store->magic = 0;
	free(store);
}

bool spool_store_busy(const struct spool_store *store)
{
	return log_busy(&store->journal.log) || store->cleaner.removing || store->copy ||
	       check_busy(store) || !journal_rests(store);
}

/* ---- reading a message ------------------------------------------------------------------ */

/* Finds a message and reads its record. */
static int find(struct spool_store *store, uint64_t id, struct segment **segment,
	struct place **place, struct format_record *record, struct format_message *message)
{
	uint64_t place_id;

	*place = index_message(&store->index, id, &place_id, segment);
	if (!*place)
		return ERR_NOT_FOUND;
	int err = index_read(&store->index, *segment, *place, record, message);
	if (err == ERR_CORRUPT || err == ERR_NOT_FOUND) {
		check_report(store, *segment, *place, id, "its record is damaged");
		return ERR_CORRUPT;
	}
	if (err == 0 && !store->index.fresh) {
		store->index.read_last = place_id;
		io_turn_end(store->io, &store->intake.turn);
	}
	return err;
}

int spool_store_envelope(struct spool_store *store, uint64_t id, struct buf *buf,
	struct arena *arena, struct envelope *out)
{
	struct segment *segment;
	struct place *place;
	struct format_record record;
	struct format_message message;

	int err = find(store, id, &segment, &place, &record, &message);
	if (err)
		return err;
	buf_clear(buf);
	buf_add_span(buf, message.envelope);
	if (!buf_ok(buf))
		return ERR_NOMEM;
	message.envelope = buf_span(buf);
	return index_envelope(&message, arena, out);
}

/*
 * Disks forget while nobody looks. So a body is checked before it is sent, unless it came in, or
 * was checked, lately: then it is in memory, and the message that is delivered at once pays
 * nothing. Those that were trusted when the last period began are not any more.
 */
static void end_trust(struct spool_store *store)
{
	uint64_t now = store->io->now_ns;

	if (now - store->trusted_ns < STORE_TRUST_MS * NS_PER_MS)
		return;
	store->trusted_ns = now;
	for (size_t i = 0; i < store->index.count; i++) {
		struct segment *segment = store->index.segments[i];
		for (uint32_t k = 0; segment->live && k < segment->place_count; k++)
			if (segment->places[k].flags & PLACE_USED)
				segment->places[k].flags |= PLACE_CHECK;
	}
}

static int open_body(struct spool_store *store, struct segment *segment,
	const struct format_message *message, struct io_file **out)
{
	char path[FORMAT_PATH];

	*out = segment->io;
	if (!message->body_serial)
		return 0;
	format_body_path(path, message->body_owner, message->body_serial, message->body_number);
	return disk_open(store->config.disk, path, DISK_READ, out);
}

int spool_store_body(struct spool_store *store, uint64_t id, struct spool_body *out)
{
	struct segment *segment;
	struct place *place;
	struct format_record record;
	struct format_message message;
	struct io_file *file;
	uint64_t place_id = id;

	end_trust(store);
	int err = find(store, id, &segment, &place, &record, &message);
	if (err)
		return err;
	idmap_get(&store->index.moved, id, &place_id);
	err = check_body(store, place_id, &message);
	if (err == 0)
		err = index_hold(&store->index, segment);
	if (err)
		return err;
	err = open_body(store, segment, &message, &file);
	if (err) {
		index_release(&store->index, segment);
		if (err != ERR_NOT_FOUND)
			return err;
		check_report(store, segment, place, id, "the file with its body is missing");
		return ERR_CORRUPT;
	}
	*out = (struct spool_body){
		.file = file,
		.offset = message.body_offset,
		.bytes = message.body_bytes,
		.segment = segment,
	};
	return 0;
}

int64_t spool_store_peek(struct spool_store *store, uint64_t id, char *to, size_t n)
{
	struct segment *segment;
	struct place *place;
	struct format_record record;
	struct format_message message;
	struct io_file *file;

	int64_t got = find(store, id, &segment, &place, &record, &message);
	if (got == 0 && place->flags & PLACE_BAD)
		got = ERR_CORRUPT;
	if (got == 0)
		got = index_open(&store->index, segment);
	if (got == 0)
		got = open_body(store, segment, &message, &file);
	if (got)
		return got;
	got = walk_read(file, to, MIN(n, message.body_bytes), message.body_offset);
	if (file != segment->io)
		disk_close(&file);
	return got;
}

void spool_store_body_done(struct spool_store *store, struct spool_body *body)
{
	struct segment *segment = body->segment;

	if (!segment)
		return;
	if (body->file != segment->io)
		disk_close(&body->file);
	index_release(&store->index, segment);
	clean_segment(store, segment);
	*body = (struct spool_body){0};
}

/* ---- figures ---------------------------------------------------------------------------- */

void spool_store_figures(const struct spool_store *store, struct spool_figures *out)
{
	*out = store->journal.log.figures;
	for (size_t i = 0; i < store->index.count; i++) {
		const struct segment *segment = store->index.segments[i];
		out->files++;
		out->file_bytes += segment->end;
		out->live_bytes += segment->live_bytes;
		out->live_messages += segment->live;
	}
}
