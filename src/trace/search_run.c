/*
 * The two passes over the trace files. Lines are first sifted with a plain search for the bytes of
 * one word, so that only likely ones are parsed as JSON.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "trace/search_impl.h"

#include <jansson.h>
#include <stdlib.h>

#define SEARCH_READ  (1u << 20) /* bytes read at a time */
#define SEARCH_LINE  (4u << 20) /* a longer line is passed over */
#define SEARCH_FILES 100000	/* trace files, all roles together */
#define PATH_BYTES   300

struct file_name {
	char path[PATH_BYTES];
	char begin[17];
};

struct pass {
	const struct search *search;
	struct disk *disk;
	struct file_name *files; /* oldest first */
	size_t file_count, file_room;
	char dir[PATH_BYTES];
	uint64_t *ids;		     /* sorted once the first pass is over */
	size_t id_count, ids_before; /* before: those of newer files */
	size_t id_room;		     /* more than are searched for: notifications about them */
	struct buf *out, *unread;
	uint32_t unread_files;
	struct {
		bool *files;	/* those that were told to be unread */
		uint64_t lines; /* of the present file, that are damaged */
	} bad;
	bool more;
	bool second;
	int err;
};

/* ---- files ---------------------------------------------------------------------------------- */

static int each_file(void *arg, const char *name)
{
	struct pass *p = arg;
	size_t n = strlen(name), d = strlen(p->dir);

	if (n != 22 || memcmp(name + 16, ".jsonl", 6) != 0 || d + 1 + n >= PATH_BYTES)
		return 0;
	if (p->file_count == SEARCH_FILES)
		return ERR_LIMIT;
	if (p->file_count == p->file_room) {
		size_t room = p->file_room ? p->file_room * 2 : 64;
		struct file_name *files = realloc(p->files, room * sizeof(*files));

		if (!files)
			return ERR_NOMEM;
		p->files = files;
		p->file_room = room;
	}
	struct file_name *file = &p->files[p->file_count++];

	memcpy(file->path, p->dir, d);
	file->path[d] = '/';
	memcpy(file->path + d + 1, name, n + 1);
	memcpy(file->begin, name, 16);
	file->begin[16] = '\0';
	return 0;
}

static int each_dir(void *arg, const char *name)
{
	struct pass *p = arg;
	size_t n = strlen(name);

	if (n >= PATH_BYTES / 2)
		return 0;
	memcpy(p->dir, name, n + 1);
	int err = disk_list(p->disk, p->dir, each_file, p);

	/* What is no directory, or went away meanwhile, is no trace. */
	return err == ERR_NOMEM || err == ERR_LIMIT ? err : 0;
}

static int by_begin(const void *a, const void *b)
{
	return strcmp(((const struct file_name *)a)->begin, ((const struct file_name *)b)->begin);
}

/* ---- lines -------------------------------------------------------------------------------- */

/* NULL, and counted: what the crash of a role, or worse, left in its file is no event. */
static json_t *parse_line(struct pass *p, struct span line)
{
	json_error_t error;
	json_t *object = json_loadb(line.p, line.n, 0, &error);

	if (search_is_event(object))
		return object;
	json_decref(object);
	p->bad.lines++;
	return NULL;
}

static bool line_matches(struct pass *p, struct span line, uint64_t *id)
{
	if (!search_may_match(p->search, line))
		return false;
	json_t *object = parse_line(p, line);

	if (!object)
		return false;
	bool matches = search_matches(p->search, object, line);

	if (matches && text_parse_id(json_text(object, "id"), id))
		*id = 0;
	json_decref(object);
	return matches;
}

/* ---- the passes ----------------------------------------------------------------------------- */

/* Files are read from the newest to the oldest, but lines within one from the oldest on: where
 * there are too many, those found first in this file make room. */
static void add_id(struct pass *p, uint64_t id)
{
	for (size_t i = 0; i < p->id_count; i++)
		if (p->ids[i] == id)
			return;
	if (p->id_count == p->search->most) {
		p->more = true;
		if (p->id_count == p->ids_before)
			return;
		p->id_count--;
		memmove(&p->ids[p->ids_before], &p->ids[p->ids_before + 1],
			(p->id_count - p->ids_before) * sizeof(*p->ids));
	}
	p->ids[p->id_count++] = id;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The id as the writer puts it: third member at the latest, never later than this. */
static bool line_id(struct span line, uint64_t *id)
{
	static const char key[] = ",\"id\":\"";
	const char *at = memmem(line.p, MIN(line.n, 100), key, sizeof(key) - 1);

	if (!at)
		return false;
	struct span rest = span_skip(line, (size_t)(at - line.p) + sizeof(key) - 1);

	return rest.n >= TEXT_ID_LENGTH && !text_parse_id(span_of(rest.p, TEXT_ID_LENGTH), id);
}

/* A story includes those of the notifications that were made about it: their Reception, which comes
 * before all else of them, says whom they are about. */
static bool is_about_known(struct pass *p, struct span line, uint64_t id)
{
	static const char key[] = ",\"about\":\"";
	uint64_t about;

	if (!span_starts_nocase(line, SPAN("{\"event\":\"Reception\"")))
		return false;
	const char *at = memmem(line.p, line.n, key, sizeof(key) - 1);
	if (!at || line.n - (size_t)(at - line.p) < sizeof(key) - 1 + TEXT_ID_LENGTH)
		return false;
	if (text_parse_id(span_of(at + sizeof(key) - 1, TEXT_ID_LENGTH), &about) ||
		!bsearch(&about, p->ids, p->id_count, sizeof(about), by_id))
		return false;
	if (p->id_count == p->id_room) {
		p->more = true;
		return false;
	}
	size_t place = p->id_count++;
	for (; place && p->ids[place - 1] > id; place--)
		p->ids[place] = p->ids[place - 1];
	p->ids[place] = id;
	return true;
}

static void keep_line(struct pass *p, struct span line)
{
	json_t *object = parse_line(p, line);

	if (!object)
		return;
	json_decref(object);
	if (p->out->n + line.n + 1 > SEARCH_RESULT) {
		p->more = true;
		return;
	}
	buf_add_span(p->out, line);
	buf_add_char(p->out, '\n');
	if (!buf_ok(p->out))
		p->err = ERR_NOMEM;
}

static void take_line(struct pass *p, struct span line)
{
	uint64_t id;

	if (p->second) {
		if (line_id(line, &id) && (bsearch(&id, p->ids, p->id_count, sizeof(id), by_id) ||
						  is_about_known(p, line, id)))
			keep_line(p, line);
	} else if (line_matches(p, line, &id)) {
		if (id)
			add_id(p, id);
		else
			keep_line(p, line);
	}
}

/* Whole lines; what is left of the last one moves to the front. Returns its length. */
static size_t take_lines(struct pass *p, char *memory, size_t have)
{
	size_t at = 0;

	for (;;) {
		const char *end = memchr(memory + at, '\n', have - at);

		if (!end)
			break;
		take_line(p, span_of(memory + at, (size_t)(end - memory) - at));
		at = (size_t)(end - memory) + 1;
	}
	have -= at;
	if (have > SEARCH_LINE) {
		p->bad.lines++;
		have = 0;
	}
	memmove(memory, memory + at, have);
	return have;
}

static int read_lines(struct pass *p, struct io_file *file, char *memory)
{
	uint64_t offset = 0;
	size_t have = 0;

	while (!p->err) {
		int64_t got = disk_read(file, memory + have, SEARCH_READ, offset);

		if (got <= 0)
			return (int)got;
		offset += (uint64_t)got;
		have = take_lines(p, memory, have + (size_t)got);
	}
	return 0;
}

/* Once for each file, though there are two passes. */
static void tell_unread(struct pass *p, size_t at, int err)
{
	const char *path = p->files[at].path;

	if ((!err && !p->bad.lines) || p->bad.files[at])
		return;
	p->bad.files[at] = true;
	if (p->unread_files++ >= SEARCH_UNREAD)
		return;
	if (err)
		buf_printf(p->unread, "%s: %s\n", path, err_text(err));
	else
		buf_printf(p->unread, "%s: %llu damaged line%s\n", path,
			(unsigned long long)p->bad.lines, p->bad.lines == 1 ? "" : "s");
}

static void scan_file(struct pass *p, size_t at, char *memory)
{
	struct io_file *file;
	int err = disk_open(p->disk, p->files[at].path, DISK_READ, &file);

	p->bad.lines = 0;
	if (!err) {
		err = read_lines(p, file, memory);
		disk_close(&file);
	} else if (err == ERR_NOT_FOUND) {
		err = 0; /* its role removed it meanwhile */
	}
	tell_unread(p, at, err);
}

/* An id alone needs no first pass. */
static bool only_id(struct pass *p)
{
	const struct search *s = p->search;

	if (s->count != 1 || s->words[0].kind != WORD_ID || s->since_ms || s->until_ms)
		return false;
	return !text_parse_id(s->words[0].value, &p->ids[p->id_count++]);
}

static int prepare(struct pass *p)
{
	p->id_room = p->search->most + SEARCH_MESSAGES;
	p->ids = calloc(p->id_room, sizeof(*p->ids));
	if (!p->ids)
		return ERR_NOMEM;
	int err = disk_list(p->disk, "", each_dir, p);

	if (err)
		return err;
	if (p->file_count)
		qsort(p->files, p->file_count, sizeof(*p->files), by_begin);
	p->bad.files = calloc(p->file_count + 1, sizeof(*p->bad.files));
	return p->bad.files ? 0 : ERR_NOMEM;
}

static void both_passes(struct pass *p, char *memory)
{
	if (!only_id(p))
		for (size_t i = p->file_count; !p->err && i-- && !p->more;) {
			p->ids_before = p->id_count;
			scan_file(p, i, memory);
		}
	if (p->err || !p->id_count)
		return;
	p->second = true;
	qsort(p->ids, p->id_count, sizeof(*p->ids), by_id);
	for (size_t i = 0; !p->err && i < p->file_count; i++)
		scan_file(p, i, memory);
}

int search_run(const struct search *search, struct disk *root, struct buf *out, struct buf *unread,
	bool *more)
{
	struct pass p = {.search = search, .disk = root, .out = out, .unread = unread};
	char *memory = malloc(SEARCH_READ + SEARCH_LINE);

	p.err = memory ? prepare(&p) : ERR_NOMEM;
	if (!p.err)
		both_passes(&p, memory);
	if (p.unread_files > SEARCH_UNREAD)
		buf_printf(unread, "and %u more files\n", p.unread_files - SEARCH_UNREAD);
	free(memory);
	free(p.files);
	free(p.bad.files);
	free(p.ids);
	if (!p.err)
		p.err = search_sort(out);
	*more = p.more;
	return p.err;
}
