/* The two passes over the trace files. */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "trace/search_pass.h"

#include <stdlib.h>

#define SEARCH_READ (1u << 20) /* bytes read at a time */
#define SEARCH_LINE (4u << 20) /* a longer line is passed over */

/* Whole lines; what is left of the last one moves to the front. Returns its length. */
static size_t take_lines(struct pass *p, char *memory, size_t have)
{
	size_t at = 0;

	for (;;) {
		const char *end = memchr(memory + at, '\n', have - at);

		if (!end)
			break;
		search_take_line(p, span_of(memory + at, (size_t)(end - memory) - at));
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

static void both_passes(struct pass *p, char *memory)
{
	if (!only_id(p)) {
		for (size_t i = p->files.count; !p->err && i-- && !p->more;) {
			p->found_before = p->found_count;
			scan_file(p, i, memory);
		}
		found_sort(p);
	}
	if (p->err || !p->id_count)
		return;
	p->second = true;
	for (size_t i = 0; !p->err && i < p->files.count; i++)
		scan_file(p, i, memory);
}

static void pass_done(struct pass *p)
{
	found_done(p);
	free(p->files.list);
	free(p->bad.files);
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
