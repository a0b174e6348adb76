/*
 * The two passes over the trace files. Lines are first sifted with a plain search for the bytes of
 * one word, so that only likely ones are parsed as JSON.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"
#include "trace/search.h"

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
	struct buf *out;
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

/* ---- does a line match? --------------------------------------------------------------------- */

static bool contains_nocase(struct span in, struct span what)
{
	if (!what.n || what.n > in.n)
		return !what.n;
	char low = ascii_lower(what.p[0]);
	char high = low >= 'a' && low <= 'z' ? (char)(low - 32) : low;
	const char *end = in.p + in.n - what.n + 1;

	for (const char *p = in.p; p < end; p++) {
		const char *a = memchr(p, low, (size_t)(end - p));
		const char *b = high == low ? NULL : memchr(p, high, (size_t)((a ? a : end) - p));

		p = b ? b : a;
		if (!p)
			return false;
		if (span_equal_nocase(span_of(p, what.n), what))
			return true;
	}
	return false;
}

/* RFC 5321 section 2.4: the local part's case is the receiver's; people do not care. */
static bool address_matches(struct span address, struct span wanted)
{
	if (span_equal(wanted, SPAN("<>")))
		return address.n == 0;
	if (wanted.n && wanted.p[0] == '@')
		return span_ends_nocase(address, wanted);
	return span_equal_nocase(address, wanted);
}

static struct span member(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return span_of(json_string_value(value), json_string_length(value));
}

static bool any_recipient(const json_t *object, struct span wanted)
{
	const json_t *list = json_object_get(object, "recipients");

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (address_matches(
			    span_of(json_string_value(one), json_string_length(one)), wanted))
			return true;
	}
	return false;
}

static bool sender_matches(const json_t *object, struct span wanted)
{
	return json_object_get(object, "sender") &&
	       address_matches(member(object, "sender"), wanted);
}

static bool ip_matches(struct span text, struct span wanted)
{
	struct netaddr a, b;

	return text.n && !netaddr_parse(text, 0, &a) && !netaddr_parse_ip(wanted, &b) &&
	       netaddr_same_ip(&a, &b);
}

static bool word_matches(const struct search_word *word, const json_t *object, struct span line)
{
	struct span value = word->value;
	uint64_t a, b;

	switch (word->kind) {
	case WORD_ID:
		return !text_parse_id(member(object, "id"), &a) && !text_parse_id(value, &b) &&
		       a == b;
	case WORD_SENDER: return sender_matches(object, value);
	case WORD_RECIPIENT: return any_recipient(object, value);
	case WORD_ADDRESS: return sender_matches(object, value) || any_recipient(object, value);
	case WORD_CLIENT: return ip_matches(member(object, "client"), value);
	case WORD_IP:
		return ip_matches(member(object, "client"), value) ||
		       ip_matches(member(object, "peer"), value);
	case WORD_EVENT: return span_equal_nocase(member(object, "event"), value);
	case WORD_TRANSPORT: return span_equal_nocase(member(object, "transport"), value);
	case WORD_DESTINATION: return span_equal_nocase(member(object, "destination"), value);
	case WORD_TEXT: return contains_nocase(line, value);
	}
	return false;
}

/* Bytes that a matching line must hold, to sift before parsing. */
static bool may_match(const struct search *s, struct span line)
{
	for (uint32_t i = 0; i < s->count; i++) {
		const struct search_word *word = &s->words[i];

		/* Addresses of hosts have several spellings, and the null sender has none. */
		if (word->kind == WORD_CLIENT || word->kind == WORD_IP || word->kind == WORD_ID ||
			span_equal(word->value, SPAN("<>")))
			continue;
		/* A quote or a backslash is written otherwise in JSON. */
		if (span_find(word->value, '"') < word->value.n ||
			span_find(word->value, '\\') < word->value.n)
			continue;
		if (!contains_nocase(line, word->value))
			return false;
	}
	return true;
}

static bool line_matches(const struct search *s, struct span line, uint64_t *id)
{
	json_error_t error;
	int64_t when;
	bool matches;

	if (!may_match(s, line))
		return false;
	json_t *object = json_loadb(line.p, line.n, 0, &error);

	matches = json_is_object(object);
	for (uint32_t i = 0; matches && i < s->count; i++)
		matches = word_matches(&s->words[i], object, line);
	if (matches && (s->since_ms || s->until_ms))
		matches = !text_parse_time(member(object, "time"), &when) && when >= s->since_ms &&
			  (!s->until_ms || when <= s->until_ms);
	if (matches && text_parse_id(member(object, "id"), id))
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

/* What the crash of a role, or worse, left in its file is not handed on as an event. */
static bool is_event(struct span line)
{
	json_error_t error;
	json_t *object = json_loadb(line.p, line.n, 0, &error);
	bool is = json_is_object(object);

	json_decref(object);
	return is;
}

static void keep_line(struct pass *p, struct span line)
{
	if (!is_event(line))
		return;
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
	} else if (line_matches(p->search, line, &id)) {
		if (id)
			add_id(p, id);
		else
			keep_line(p, line);
	}
}

static int scan_file(struct pass *p, const char *path, char *memory)
{
	struct io_file *file;
	uint64_t offset = 0;
	size_t have = 0;
	int err = disk_open(p->disk, path, DISK_READ, &file);

	if (err)
		return err == ERR_NOT_FOUND ? 0 : err; /* its role removed it meanwhile */
	for (;;) {
		int64_t got = disk_read(file, memory + have, SEARCH_READ, offset);

		if (got < 0)
			err = (int)got;
		if (got <= 0)
			break;
		offset += (uint64_t)got;
		have += (size_t)got;
		size_t at = 0;
		for (;;) {
			const char *end = memchr(memory + at, '\n', have - at);

			if (!end)
				break;
			take_line(p, span_of(memory + at, (size_t)(end - memory) - at));
			at = (size_t)(end - memory) + 1;
		}
		have -= at;
		if (have > SEARCH_LINE)
			have = 0;
		memmove(memory, memory + at, have);
	}
	disk_close(&file);
	return err;
}

/* ---- order ---------------------------------------------------------------------------------- */

struct sort_line {
	struct span line, time;
	size_t place;
	bool begins; /* a message's first event */
};

/* Roles write to files of their own: within a millisecond only the events themselves say which
 * came first. */
static int by_time(const void *a, const void *b)
{
	const struct sort_line *x = a, *y = b;
	size_t n = MIN(x->time.n, y->time.n);
	int order = n ? memcmp(x->time.p, y->time.p, n) : 0;

	if (!order && x->begins != y->begins)
		order = x->begins ? -1 : 1;
	return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

static int sort_lines(struct buf *out)
{
	static const char key[] = "\"time\":\"";
	struct buf sorted;
	size_t count = 0, n = 0;

	for (size_t i = 0; i < out->n; i++)
		count += out->p[i] == '\n';
	struct sort_line *lines = calloc(count + 1, sizeof(*lines));

	if (!lines)
		return ERR_NOMEM;
	for (struct span rest = buf_span(out); rest.n;) {
		size_t end = span_find(rest, '\n');
		struct span line = span_of(rest.p, end);
		const char *at = memmem(line.p, MIN(line.n, 100), key, sizeof(key) - 1);

		lines[n] = (struct sort_line){.line = line,
			.place = n,
			.begins = span_starts_nocase(line, SPAN("{\"event\":\"Reception\""))};
		if (at)
			lines[n].time = span_of(at + sizeof(key) - 1,
				MIN((size_t)24,
					line.n - (size_t)(at - line.p) - (sizeof(key) - 1)));
		n++;
		rest = span_skip(rest, end + 1);
	}
	qsort(lines, n, sizeof(*lines), by_time);
	buf_init(&sorted, out->bound);
	for (size_t i = 0; i < n; i++) {
		buf_add_span(&sorted, lines[i].line);
		buf_add_char(&sorted, '\n');
	}
	free(lines);
	if (!buf_ok(&sorted)) {
		buf_done(&sorted);
		return ERR_NOMEM;
	}
	buf_done(out);
	*out = sorted;
	return 0;
}

/* An id alone needs no first pass. */
static bool only_id(struct pass *p)
{
	const struct search *s = p->search;

	if (s->count != 1 || s->words[0].kind != WORD_ID || s->since_ms || s->until_ms)
		return false;
	return !text_parse_id(s->words[0].value, &p->ids[p->id_count++]);
}

int search_run(const struct search *search, struct disk *root, struct buf *out, bool *more)
{
	struct pass p = {.search = search, .disk = root, .out = out};
	char *memory = malloc(SEARCH_READ + SEARCH_LINE);

	p.id_room = search->most + SEARCH_MESSAGES;
	p.ids = calloc(p.id_room, sizeof(*p.ids));
	if (!memory || !p.ids)
		p.err = ERR_NOMEM;
	if (!p.err)
		p.err = disk_list(root, "", each_dir, &p);
	if (p.file_count)
		qsort(p.files, p.file_count, sizeof(*p.files), by_begin);
	if (!p.err && !only_id(&p))
		for (size_t i = p.file_count; !p.err && i-- && !p.more;) {
			p.ids_before = p.id_count;
			p.err = scan_file(&p, p.files[i].path, memory);
		}
	if (!p.err && p.id_count) {
		p.second = true;
		qsort(p.ids, p.id_count, sizeof(*p.ids), by_id);
		for (size_t i = 0; !p.err && i < p.file_count; i++)
			p.err = scan_file(&p, p.files[i].path, memory);
	}
	free(memory);
	free(p.files);
	free(p.ids);
	if (!p.err)
		p.err = sort_lines(out);
	*more = p.more;
	return p.err;
}
