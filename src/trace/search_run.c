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

#define SEARCH_READ (1u << 20) /* bytes read at a time */
#define SEARCH_LINE (4u << 20) /* a longer line is passed over */

/* The first event of a message that matches; or an event without a message, which is kept whole. */
struct found {
	uint64_t id; /* 0: `line` */
	char *line;
	size_t n;
};

struct pass {
	const struct search *search;
	struct disk *disk;
	struct search_files files;
	const struct search_file *file; /* the present one */
	struct found *found;
	size_t found_count, found_before; /* before: those of newer files */
	size_t found_bytes;		  /* of lines */
	uint64_t *ids;			  /* of the second pass, sorted */
	size_t id_count;
	size_t id_room; /* more than are searched for: notifications about them */
	struct buf *out, *unread;
	uint32_t unread_files;
	struct {
		bool *files;	 /* those that were told to be unread */
		uint64_t lines;	 /* of the present file, that are damaged … */
		uint64_t forged; /* … or not for its role to write */
	} bad;
	bool more;
	bool second;
	int err;
};

/* ---- lines -------------------------------------------------------------------------------- */

/* NULL, and counted: what the crash of a role, or worse, left in its file is no event. */
static json_t *parse_line(struct pass *p, struct span line)
{
	json_error_t error;
	json_t *object = json_loadb(line.p, line.n, 0, &error);
	bool event = search_is_event(object);

	if (event && search_role_may_tell(&p->file->role, object))
		return object;
	json_decref(object);
	p->bad.forged += event;
	p->bad.lines += !event;
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
static bool make_room(struct pass *p)
{
	if (p->found_count < p->search->most)
		return true;
	p->more = true;
	if (p->found_count == p->found_before)
		return false;
	struct found *oldest = &p->found[p->found_before];

	p->found_bytes -= oldest->n;
	free(oldest->line);
	p->found_count--;
	memmove(oldest, oldest + 1, (p->found_count - p->found_before) * sizeof(*oldest));
	return true;
}

static void add_id(struct pass *p, uint64_t id)
{
	for (size_t i = 0; i < p->found_count; i++)
		if (p->found[i].id == id)
			return;
	if (make_room(p))
		p->found[p->found_count++] = (struct found){.id = id};
}

static void add_line(struct pass *p, struct span line)
{
	if (p->found_bytes + line.n + 1 > SEARCH_RESULT) {
		p->more = true;
		return;
	}
	if (!make_room(p))
		return;
	char *copy = malloc(line.n);

	if (!copy) {
		p->err = ERR_NOMEM;
		return;
	}
	memcpy(copy, line.p, line.n);
	p->found_bytes += line.n + 1;
	p->found[p->found_count++] = (struct found){.line = copy, .n = line.n + 1};
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

	if (p->file->role.owner >= 0 || !span_starts_nocase(line, SPAN("{\"event\":\"Reception\"")))
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

static void put_line(struct pass *p, struct span line)
{
	if (p->out->n + line.n + 1 > SEARCH_RESULT) {
		p->more = true;
		return;
	}
	buf_add_span(p->out, line);
	buf_add_char(p->out, '\n');
	if (!buf_ok(p->out))
		p->err = ERR_NOMEM;
}

static void keep_line(struct pass *p, struct span line)
{
	json_t *object = parse_line(p, line);

	if (object)
		put_line(p, line);
	json_decref(object);
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
			add_line(p, line);
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
	const char *path = p->files.list[at].path;

	if ((!err && !p->bad.lines && !p->bad.forged) || p->bad.files[at])
		return;
	p->bad.files[at] = true;
	if (p->unread_files++ >= SEARCH_UNREAD)
		return;
	if (err)
		buf_printf(p->unread, "%s: %s\n", path, err_text(err));
	else if (p->bad.lines)
		buf_printf(p->unread, "%s: %llu damaged line%s\n", path,
			(unsigned long long)p->bad.lines, p->bad.lines == 1 ? "" : "s");
	else
		buf_printf(p->unread,
			"%s: %llu line%s of what this role cannot know: was it broken into?\n",
			path, (unsigned long long)p->bad.forged, p->bad.forged == 1 ? "" : "s");
}

static void scan_file(struct pass *p, size_t at, char *memory)
{
	struct io_file *file;
	int err = disk_open(p->disk, p->files.list[at].path, DISK_READ, &file);

	p->file = &p->files.list[at];
	p->bad.lines = p->bad.forged = 0;
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
	p->found = calloc(p->search->most, sizeof(*p->found));
	if (!p->ids || !p->found)
		return ERR_NOMEM;
	int err = search_files_find(&p->files, p->disk);

	if (err)
		return err;
	p->bad.files = calloc(p->files.count + 1, sizeof(*p->bad.files));
	return p->bad.files ? 0 : ERR_NOMEM;
}

/* What was found for itself is done; messages' stories are the second pass'. */
static void sort_found(struct pass *p)
{
	for (size_t i = 0; i < p->found_count && !p->err; i++) {
		if (p->found[i].id)
			p->ids[p->id_count++] = p->found[i].id;
		else
			put_line(p, span_of(p->found[i].line, p->found[i].n - 1));
	}
}

static void both_passes(struct pass *p, char *memory)
{
	if (!only_id(p)) {
		for (size_t i = p->files.count; !p->err && i-- && !p->more;) {
			p->found_before = p->found_count;
			scan_file(p, i, memory);
		}
		sort_found(p);
	}
	if (p->err || !p->id_count)
		return;
	p->second = true;
	qsort(p->ids, p->id_count, sizeof(*p->ids), by_id);
	for (size_t i = 0; !p->err && i < p->files.count; i++)
		scan_file(p, i, memory);
}

static void pass_done(struct pass *p)
{
	for (size_t i = 0; i < p->found_count; i++)
		free(p->found[i].line);
	free(p->found);
	free(p->files.list);
	free(p->bad.files);
	free(p->ids);
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
	if (p.files.cut)
		buf_add_str(
			unread, "a role has more files than it may: the oldest were left out\n");
	free(memory);
	pass_done(&p);
	if (!p.err)
		p.err = search_sort(out);
	*more = p.more;
	return p.err;
}
