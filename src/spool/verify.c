/*
 * Reads all logs as recovery would, and every body, and changes nothing. Beside a running server
 * the end of a log may be in motion, and messages may be done and go while they are looked at:
 * neither is damage.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "spool/index.h"

#include <stdlib.h>

#define VERIFY_LINE 512

struct missing {
	uint64_t place_id;
	uint64_t offset;
};

struct verify {
	struct disk *disk;
	struct spool_index index;
	void (*report)(void *arg, const char *line);
	void *arg;
	struct spool_verify_result result;
	uint64_t hashed;	 /* bytes of bodies in the file that is looked at */
	struct idmap bodies;	 /* body files that a message has */
	bool quiet;		 /* a second look, at the journal only */
	uint8_t owner;		 /* of the directory that is listed */
	struct missing *missing; /* bodies whose file was not there, of messages not done */
	size_t missing_count, missing_room;
	int err;
};

static void say(struct verify *v, const char *path, uint64_t offset, uint64_t id, const char *what)
{
	struct buf line;

	buf_init(&line, VERIFY_LINE);
	buf_add_str(&line, path);
	buf_add_str(&line, ": at ");
	buf_add_u64(&line, offset);
	buf_add_str(&line, ": ");
	buf_add_str(&line, what);
	if (id) {
		buf_add_str(&line, " (message ");
		text_add_id(&line, id);
		buf_add_char(&line, ')');
	}
	buf_add_char(&line, '\0');
	if (v->report)
		v->report(v->arg, buf_ok(&line) ? line.p : what);
	buf_done(&line);
}

static void on_damage(void *arg, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	struct verify *v = arg;

	if (v->quiet)
		return;
	v->result.damaged++;
	say(v, path, offset, id, what);
}

/* ---- what there is ---------------------------------------------------------------------- */

static int on_name(void *arg, const char *name)
{
	struct verify *v = arg;
	struct format_file id;
	struct io_file *io;
	struct segment *segment;
	uint32_t serial, number;
	char path[FORMAT_PATH];

	if (format_parse_name(name, &serial, &number) != FORMAT_NAME_LOG)
		return 0;
	format_log_path(path, v->owner, serial);
	int err = disk_open(v->disk, path, DISK_READ, &io);
	if (err == ERR_NOT_FOUND)
		return 0;
	if (err == 0) {
		/* A file that is being made has no header yet. */
		int64_t size = disk_size(io);
		err = walk_page(io, v->owner, serial, &id);
		disk_close(&io);
		if (err == ERR_CORRUPT && size <= FORMAT_PAGE)
			return 0;
	}
	if (err == ERR_NOMEM)
		return err;
	if (err) {
		on_damage(v, 0, path, 0,
			err == ERR_CORRUPT ? "the file's header is damaged"
					   : "the file cannot be read");
		return 0;
	}
	err = index_add_segment(&v->index, &id, &segment);
	v->result.files += err == 0;
	if (err == ERR_LIMIT)
		on_damage(v, 0, path, 0, "this log has too many files; it is left out");
	return err == ERR_LIMIT || err == ERR_EXISTS ? 0 : err;
}

static int on_dir(void *arg, const char *name)
{
	struct verify *v = arg;

	if (format_parse_dir(name, &v->owner) != FORMAT_DIR_LOGS)
		return 0;
	return disk_list(v->disk, name, on_name, v);
}

/* ---- messages --------------------------------------------------------------------------- */

static int note_missing(struct verify *v, uint64_t place_id, uint64_t offset)
{
	if (v->missing_count == v->missing_room) {
		size_t room = v->missing_room ? v->missing_room * 2 : 64;
		struct missing *missing = realloc(v->missing, room * sizeof(*missing));
		if (!missing)
			return ERR_NOMEM;
		v->missing = missing;
		v->missing_room = room;
	}
	v->missing[v->missing_count++] = (struct missing){place_id, offset};
	return 0;
}

/*
 * Bodies do not lie over each other, and each body file is of one message: so what is hashed is no
 * more than what is there, whatever the records say.
 */
static bool body_is_others(
	struct verify *v, const struct format_file *file, const struct format_message *message)
{
	uint64_t key = (uint64_t)message->body_owner << 56 | (uint64_t)message->body_serial << 24 |
		       message->body_number,
		 of;

	if (!message->body_serial) {
		v->hashed += message->body_bytes;
		return file->owner != SPOOL_OWNER_DELIVERY && v->hashed > v->index.walk.size;
	}
	if (idmap_get(&v->bodies, key, &of) && of != message->id)
		return true;
	(void)idmap_put(&v->bodies, key, message->id);
	return false;
}

static int check_message(struct verify *v, struct segment *segment,
	const struct format_record *record, uint64_t offset)
{
	struct format_message message;
	struct envelope envelope;
	struct segment *found;

	if (format_get_message(record->payload, &message) != 0)
		return 0; /* index_apply() said so */
	const struct place *place = index_place(&v->index, record->id, &found);
	bool is_free = place && (place->flags & PLACE_FREE);
	if (is_free && message.body_serial)
		return 0;
	int err = body_is_others(v, &segment->id, &message)
			  ? ERR_CORRUPT
			  : walk_check_body(v->disk, segment->io, &message, false);
	if (err == ERR_NOMEM)
		return err;
	if (err == ERR_NOT_FOUND)
		return note_missing(v, record->id, offset);
	if (err)
		index_report(&v->index, segment, message.id, offset,
			err == ERR_CORRUPT ? "its body is damaged" : "its body cannot be read");
	arena_reset(&v->index.arena);
	if (index_envelope(&message, &v->index.arena, &envelope) != 0)
		index_report(&v->index, segment, message.id, offset, "its envelope is damaged");
	return 0;
}

static int check_batch(struct verify *v, struct segment *segment, const struct walk_batch *batch)
{
	struct walk_cursor at = walk_records(batch);
	struct format_record record;
	uint64_t offset;
	int err = 0;

	while (!err && walk_record(&v->index.walk, batch, &at, &record, &offset)) {
		struct place *place;
		err = index_apply(&v->index, segment, &record, offset, &place);
		if (err)
			break;
		if (record.type == FORMAT_MESSAGE && !v->quiet)
			err = check_message(v, segment, &record, offset);
	}
	return err;
}

static int check_segment(struct verify *v, struct segment *segment)
{
	struct walk_batch batch;
	char path[FORMAT_PATH];

	format_log_path(path, segment->id.owner, segment->id.serial);
	v->hashed = 0;
	int err = index_walk(&v->index, &v->index.walk, segment, 0);
	if (err == ERR_NOT_FOUND) {
		v->result.files--; /* removed in the meantime */
		return 0;
	}
	if (err) {
		on_damage(v, 0, path, 0, "the file cannot be read");
		return err == ERR_NOMEM ? err : 0;
	}
	while (err == 0 && (err = walk_next(&v->index.walk, &batch)) == 0)
		err = check_batch(v, segment, &batch);
	if (v->index.walk.torn && !v->quiet) {
		v->result.torn_tails++;
		say(v, path, v->index.walk.end, 0,
			"what follows was never finished: a torn tail, no damage");
	}
	index_walk_end(&v->index, &v->index.walk, segment);
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int check_logs(struct verify *v, bool journal)
{
	int err = 0;

	for (size_t i = 0; i < v->index.count && !err; i++)
		if ((v->index.segments[i]->id.owner == SPOOL_OWNER_DELIVERY) == journal)
			err = check_segment(v, v->index.segments[i]);
	return err;
}

/* ---- a second look ---------------------------------------------------------------------- */

/* Messages whose body file is missing may have been done since the journal was read. */
static int look_again(struct verify *v)
{
	if (!v->missing_count)
		return 0;
	v->quiet = true;
	index_done(&v->index);
	index_init(&v->index, v->disk, on_damage, v);
	uint64_t files = v->result.files;
	int err = disk_list(v->disk, "", on_dir, v);
	if (err == 0)
		err = index_take_seals(&v->index, 0, v->index.count);
	if (err == 0)
		err = check_logs(v, true);
	v->quiet = false;
	v->result.files = files;
	for (size_t i = 0; i < v->missing_count && !err; i++) {
		uint64_t place_id = v->missing[i].place_id;
		struct segment *segment = index_find(
			&v->index, format_id_owner(place_id), format_id_serial(place_id));
		const struct place *place = index_place(&v->index, place_id, &segment);
		if (!segment || (place && (place->flags & PLACE_FREE)))
			continue;
		index_report(&v->index, segment, place_id, v->missing[i].offset,
			"the file with its body is missing");
	}
	return err;
}

static void count(struct verify *v)
{
	for (size_t i = 0; i < v->index.count; i++) {
		const struct segment *segment = v->index.segments[i];
		for (uint32_t j = 0; j < segment->place_count; j++) {
			uint8_t flags = segment->places[j].flags;
			if (!(flags & PLACE_USED))
				continue;
			v->result.messages++;
			if (flags & PLACE_FREE)
				v->result.done++;
			else
				v->result.live++;
		}
	}
}

int spool_verify(struct disk *disk, void (*report)(void *arg, const char *line), void *arg,
	struct spool_verify_result *out)
{
	struct verify v = {.disk = disk, .report = report, .arg = arg};

	index_init(&v.index, disk, on_damage, &v);
	int err = disk_list(disk, "", on_dir, &v);
	if (err == 0)
		err = index_take_seals(&v.index, 0, v.index.count);
	if (err == 0)
		err = check_logs(&v, true);
	if (err == 0)
		err = check_logs(&v, false);
	if (err == 0) {
		count(&v);
		err = look_again(&v);
	}
	index_done(&v.index);
	idmap_done(&v.bodies);
	free(v.missing);
	if (err == 0)
		*out = v.result;
	return err;
}
