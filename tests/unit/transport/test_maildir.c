#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "transport/maildir.h"

/* ---- a disk in memory, which notes what was made durable when -------------------------------- */

#define ENTRIES 64

struct entry {
	char path[512]; /* "" in the first place: free */
	bool dir;
	char *bytes;
	size_t n;
	bool synced;
	bool shared; /* a name in "new" stands for the same file: it must not be written to */
};

struct mem_disk {
	struct disk disk;
	struct entry entries[ENTRIES];
	char log[4096];	     /* "sync-file PATH\n", "rename TO\n", "sync-dir PATH\n", … */
	const char *fail_at; /* the operation that fails … */
	int fail;	     /* … with this … */
	int fail_nth;	     /* … at this call only, from 1; 0: at each */
};

struct mem_file {
	struct io_file file;
	struct entry *entry;
};

static struct mem_disk *mem_of(struct disk *disk)
{
	return CONTAINER_OF(disk, struct mem_disk, disk);
}

static int note(struct mem_disk *m, const char *what, const char *path)
{
	size_t n = strlen(m->log);

	snprintf(m->log + n, sizeof(m->log) - n, "%s %s\n", what, path);
	if (!m->fail_at || strcmp(m->fail_at, what) != 0)
		return 0;
	return m->fail_nth == 0 || m->fail_nth-- == 1 ? m->fail : 0;
}

static struct entry *find(struct mem_disk *m, const char *path)
{
	for (size_t i = 0; i < ENTRIES; i++)
		if (m->entries[i].path[0] && strcmp(m->entries[i].path, path) == 0)
			return &m->entries[i];
	return NULL;
}

/* Its directory is there? The root always is. */
static bool has_parent(struct mem_disk *m, const char *path)
{
	char parent[512];
	const char *slash = strrchr(path, '/');

	if (!slash)
		return true;
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	struct entry *entry = find(m, parent);
	return entry && entry->dir;
}

static struct entry *add(struct mem_disk *m, const char *path, bool dir)
{
	for (size_t i = 0; i < ENTRIES; i++) {
		struct entry *e = &m->entries[i];
		if (e->path[0])
			continue;
		*e = (struct entry){.dir = dir};
		snprintf(e->path, sizeof(e->path), "%s", path);
		return e;
	}
	fail_msg("the disk in memory is too small");
	return NULL;
}

static int mem_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	struct mem_disk *m = mem_of(disk);
	struct entry *entry = find(m, path);
	int err = note(m, "open", path);

	if (err)
		return err;
	if (!entry && (!(flags & DISK_CREATE) || !has_parent(m, path)))
		return ERR_NOT_FOUND;
	if (entry && flags & DISK_EXCLUSIVE)
		return ERR_EXISTS;
	struct mem_file *file = calloc(1, sizeof(*file));
	assert_non_null(file);
	file->file.disk = disk;
	file->entry = entry ? entry : add(m, path, false);
	*out = &file->file;
	return 0;
}

static int64_t mem_write(
	struct io_file *f, const struct iovec *parts, size_t count, uint64_t offset)
{
	struct mem_file *file = CONTAINER_OF(f, struct mem_file, file);
	struct entry *e = file->entry;
	int err = mem_of(f->disk)->fail_at && strcmp(mem_of(f->disk)->fail_at, "write") == 0
			  ? mem_of(f->disk)->fail
			  : 0;
	size_t n = parts[0].iov_len;

	assert_true(count >= 1 && n > 0);
	assert_false(e->shared);
	if (err)
		return err;
	n = MIN(n, 1000); /* short writes are normal */
	if (offset + n > e->n) {
		e->bytes = realloc(e->bytes, offset + n + 1);
		assert_non_null(e->bytes);
		e->n = offset + n;
		e->bytes[e->n] = '\0';
	}
	memcpy(e->bytes + offset, parts[0].iov_base, n);
	e->synced = false;
	return (int64_t)n;
}

static int64_t mem_read(struct io_file *f, void *to, size_t n, uint64_t offset)
{
	struct mem_file *file = CONTAINER_OF(f, struct mem_file, file);
	int err = mem_of(f->disk)->fail_at && strcmp(mem_of(f->disk)->fail_at, "read") == 0
			  ? mem_of(f->disk)->fail
			  : 0;

	if (err)
		return err;
	if (offset >= file->entry->n)
		return 0;
	n = MIN(n, file->entry->n - offset);
	memcpy(to, file->entry->bytes + offset, n);
	return (int64_t)n;
}

static int mem_sync(struct io_file *f)
{
	struct mem_file *file = CONTAINER_OF(f, struct mem_file, file);
	int err = note(mem_of(f->disk), "sync-file", file->entry->path);

	if (!err)
		file->entry->synced = true;
	return err;
}

static int mem_truncate(struct io_file *f, uint64_t length)
{
	struct mem_file *file = CONTAINER_OF(f, struct mem_file, file);

	assert_int_equal(length, 0);
	assert_false(file->entry->shared);
	file->entry->n = 0;
	return 0;
}

static void mem_close(struct io_file **f)
{
	free(CONTAINER_OF(*f, struct mem_file, file));
	*f = NULL;
}

static int mem_sync_dir(struct disk *disk, const char *path)
{
	return note(mem_of(disk), "sync-dir", path);
}

static int mem_make_dir(struct disk *disk, const char *path)
{
	struct mem_disk *m = mem_of(disk);
	int err = note(m, "make-dir", path);

	if (err)
		return err;
	if (find(m, path))
		return ERR_EXISTS;
	if (!has_parent(m, path))
		return ERR_NOT_FOUND;
	add(m, path, true);
	return 0;
}

static int mem_unlink(struct disk *disk, const char *path)
{
	struct entry *entry = find(mem_of(disk), path);

	if (!entry)
		return ERR_NOT_FOUND;
	free(entry->bytes);
	*entry = (struct entry){0};
	return 0;
}

static int mem_rename(struct disk *disk, const char *from, const char *to)
{
	struct mem_disk *m = mem_of(disk);
	struct entry *entry = find(m, from);
	int err = note(m, "rename", to);

	if (err)
		return err;
	assert_non_null(entry);
	assert_true(entry->synced); /* the bytes come before the name */
	if (!has_parent(m, to))
		return ERR_NOT_FOUND;
	(void)mem_unlink(disk, to);
	snprintf(entry->path, sizeof(entry->path), "%s", to);
	return 0;
}

static int mem_list(
	struct disk *disk, const char *path, int (*each)(void *, const char *), void *arg)
{
	struct mem_disk *m = mem_of(disk);
	size_t n = strlen(path);

	for (size_t i = 0; i < ENTRIES; i++) {
		const char *p = m->entries[i].path;
		if (strncmp(p, path, n) != 0 || p[n] != '/' || strchr(p + n + 1, '/'))
			continue;
		int result = each(arg, p + n + 1);
		if (result)
			return result;
	}
	return 0;
}

static const struct disk_ops mem_ops = {
	.open = mem_open,
	.write = mem_write,
	.read = mem_read,
	.sync = mem_sync,
	.truncate = mem_truncate,
	.close = mem_close,
	.sync_dir = mem_sync_dir,
	.make_dir = mem_make_dir,
	.unlink = mem_unlink,
	.rename = mem_rename,
	.list = mem_list,
};

/* ---- an io that runs jobs at once ------------------------------------------------------------ */

static int submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	(void)io;
	assert_int_equal(lane, IO_LANE_FILE);
	job->run(job);
	job->done(job);
	return 0;
}

static const struct io_ops io_ops = {.submit = submit};

struct scene {
	struct io io;
	struct mem_disk boxes, spool;
	struct envelope envelope;
	struct envelope_rcpt rcpts[2];
	struct maildir_delivery d;
	int done;
};

static void on_done(void *owner, struct maildir_delivery *delivery)
{
	struct scene *s = owner;

	assert_ptr_equal(delivery, &s->d);
	s->done++;
}

static void put(struct scene *s, const char *bytes, size_t n, uint64_t offset)
{
	struct iovec part = {(void *)(uintptr_t)bytes, n};

	assert_int_equal(disk_write_all(s->d.body.file, &part, 1, offset), 0);
}

static void message(struct scene *s, const char *stored, size_t n, uint32_t flags)
{
	s->envelope.flags = flags;
	if (s->d.body.file)
		disk_close(&s->d.body.file);
	(void)mem_unlink(&s->spool.disk, "log");
	assert_int_equal(disk_open(&s->spool.disk, "log", DISK_CREATE, &s->d.body.file), 0);
	put(s, "log:", 4, 0);
	put(s, stored, n, 4);
	put(s, ".\r\n", 3, 4 + n);
	s->d.body.offset = 4;
	s->d.body.bytes = n;
}

static struct scene *begin(void)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	io_init(&s->io, &io_ops);
	s->boxes.disk.ops = s->spool.disk.ops = &mem_ops;
	s->envelope = (struct envelope){.id = 0x1234,
		.arrived_ms = 1763763648123,
		.sender = SPAN("a@a.example"),
		.prepend = SPAN("Received: by gw\r\n"),
		.rcpts = s->rcpts,
		.rcpt_count = 2};
	s->rcpts[0].address = SPAN("ann@c.example");
	s->rcpts[1].address = SPAN("bob@c.example");
	s->d = (struct maildir_delivery){.disk = &s->boxes.disk,
		.hostname = SPAN("gw.example"),
		.envelope = &s->envelope,
		.owner = s,
		.done = on_done};
	message(s, "A: b\r\n\r\nhello\r\n", 15, 0);
	return s;
}

static void end(struct scene *s)
{
	disk_close(&s->d.body.file);
	for (size_t i = 0; i < ENTRIES; i++) {
		free(s->boxes.entries[i].bytes);
		free(s->spool.entries[i].bytes);
	}
	timers_done(&s->io.timers);
	free(s);
}

static void deliver(struct scene *s, enum verdict_kind kind, uint16_t code)
{
	int before = s->done;

	s->boxes.log[0] = '\0';
	assert_int_equal(maildir_deliver(&s->io, &s->d), 0);
	assert_int_equal(s->done, before + 1);
	assert_int_equal(s->d.verdict.kind, kind);
	assert_int_equal(s->d.verdict.code, code);
}

static const char *delivered(struct scene *s)
{
	struct entry *entry = find(&s->boxes, s->d.path);

	assert_non_null(entry);
	return entry->bytes;
}

static size_t files(struct scene *s)
{
	size_t n = 0;

	for (size_t i = 0; i < ENTRIES; i++)
		n += s->boxes.entries[i].path[0] && !s->boxes.entries[i].dir;
	return n;
}

#define NAME "c.example/ann/new/1763763648.P00000000004hmR0.gw.example"

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_message_is_durable_before_it_counts(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->d.prepend = SPAN("X-Add: 1\r\n");
	deliver(s, VERDICT_OK, 250);
	assert_string_equal(s->d.path, NAME);
	assert_string_equal(delivered(s),
		"Return-Path: <a@a.example>\nDelivered-To: ann@c.example\n"
		"X-Add: 1\nReceived: by gw\nA: b\n\nhello\n");
	const char *order[] = {
		"make-dir c.example\nsync-dir \nmake-dir c.example/ann\nsync-dir c.example\n",
		"make-dir c.example/ann/new\nsync-dir c.example/ann\n",
		"sync-file c.example/ann/tmp/", "rename " NAME "\nsync-dir c.example/ann/new\n"};
	const char *at = s->boxes.log;
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		at = strstr(at, order[i]);
		assert_non_null(at);
	}
	assert_int_equal(files(s), 1); /* nothing left in tmp */
	end(s);
}

static void the_second_message_makes_no_directories(void **state)
{
	(void)state;
	struct scene *s = begin();

	deliver(s, VERDICT_OK, 250);
	s->envelope.id++;
	deliver(s, VERDICT_OK, 250);
	assert_null(strstr(s->boxes.log, "make-dir"));
	assert_int_equal(files(s), 2);
	end(s);
}

static void recipients_of_one_message_do_not_collide(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->rcpts[1].address = s->rcpts[0].address;
	deliver(s, VERDICT_OK, 250);
	s->d.rcpt = 1;
	deliver(s, VERDICT_OK, 250);
	assert_int_equal(files(s), 2);
	end(s);
}

static void bodies_are_undone_from_wire_form(void **state)
{
	(void)state;
	static const struct {
		const char *stored;
		size_t n;
		uint32_t flags;
		const char *tail;
		size_t tail_n;
	} cases[] = {
		{"..a\r\n.\r\n..\r\n", 12, ENVELOPE_BODY_STUFFED, "gw\n.a\n\n.\n", 9},
		{"..a\r\n", 5, ENVELOPE_BODY_DOTS, "gw\n..a\n", 7},
		{"open", 4, ENVELOPE_BODY_OPEN_END, "gw\nopen", 7},
		{"x\r", 2, ENVELOPE_BODY_OPEN_END, "gw\nx\r", 5},
		{"a\r\nb\0c\r\n", 8, ENVELOPE_BODY_NUL, "gw\na\nb\0c\n", 9},
		{"a\r\nb\nc\rd\r\n", 10, ENVELOPE_BODY_BARE, "gw\r\na\r\nb\nc\rd\r\n", 14},
		{"", 0, 0, "gw\n", 3},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene *s = begin();
		if (cases[i].n)
			message(s, cases[i].stored, cases[i].n, cases[i].flags);
		else
			s->d.body.bytes = 0;
		deliver(s, VERDICT_OK, 250);
		struct entry *entry = find(&s->boxes, s->d.path);
		assert_true(entry->n > cases[i].tail_n);
		assert_memory_equal(
			entry->bytes + entry->n - cases[i].tail_n, cases[i].tail, cases[i].tail_n);
		end(s);
	}
}

static void line_ends_at_the_border_of_two_reads(void **state)
{
	(void)state;
	enum { N = (64 << 10) + 10 };
	static char body[N + 1];

	for (size_t at = N - 13; at < N - 7; at++) {
		struct scene *s = begin();
		memset(body, 'x', N);
		memcpy(body + at, "\r\n..y", 5);
		message(s, body, N, ENVELOPE_BODY_STUFFED | ENVELOPE_BODY_OPEN_END);
		deliver(s, VERDICT_OK, 250);
		struct entry *entry = find(&s->boxes, s->d.path);
		const char *found = memmem(entry->bytes, entry->n, "x\n.yx", 5);
		assert_true(found || at > N - 8);
		assert_null(memchr(entry->bytes, '\r', entry->n));
		end(s);
	}
}

static void a_repetition_delivers_once(void **state)
{
	(void)state;
	struct scene *s = begin();

	deliver(s, VERDICT_OK, 250);
	assert_false(s->d.was_there);
	/* even without looking */
	deliver(s, VERDICT_OK, 250);
	assert_int_equal(files(s), 1);
	s->d.repeat = true;
	deliver(s, VERDICT_OK, 250);
	assert_true(s->d.was_there);
	assert_null(strstr(s->boxes.log, "rename"));
	assert_non_null(
		strstr(s->boxes.log, "sync-dir c.example/ann/new\n")); /* its name may not be */
	/* a reader saw it in between */
	struct entry *entry = find(&s->boxes, NAME);
	snprintf(entry->path, sizeof(entry->path), "%s:2,S",
		"c.example/ann/cur/1763763648.P00000000004hmR0.gw.example");
	deliver(s, VERDICT_OK, 250);
	assert_true(s->d.was_there);
	assert_int_equal(files(s), 1);
	end(s);
}

static void what_an_earlier_attempt_left_in_tmp_is_overwritten(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->boxes.fail_at = "rename";
	s->boxes.fail = ERR_IO;
	deliver(s, VERDICT_TEMPORARY, 451);
	struct entry *left =
		add(&s->boxes, "c.example/ann/tmp/1763763648.P00000000004hmR0.gw.example", false);
	left->bytes =
		strdup("something that is much longer than the message that will be delivered; "
		       "something that is much longer than the message that will be delivered");
	left->n = strlen(left->bytes);
	s->boxes.fail_at = NULL;
	deliver(s, VERDICT_OK, 250);
	assert_null(strstr(delivered(s), "something"));
	assert_int_equal(files(s), 1);
	end(s);
}

/* A power cut may keep a rename's new name and the old one too. */
static void what_lies_in_new_already_is_not_emptied_through_its_name_in_tmp(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->boxes.fail_at = "rename";
	s->boxes.fail = ERR_IO;
	deliver(s, VERDICT_TEMPORARY, 451);
	struct entry *left =
		add(&s->boxes, "c.example/ann/tmp/1763763648.P00000000004hmR0.gw.example", false);
	left->bytes = strdup("the whole message");
	left->n = strlen(left->bytes);
	left->shared = true;
	s->boxes.fail_at = NULL;
	deliver(s, VERDICT_OK, 250);
	assert_null(strstr(delivered(s), "the whole message"));
	end(s);
}

static void failures_are_temporary_and_leave_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		int err;
		uint16_t code, detail;
	} cases[] = {
		{"write", ERR_NO_SPACE, 452, 1},
		{"make-dir", ERR_NO_SPACE, 452, 1},
		{"sync-file", ERR_IO, 451, 0},
		{"sync-dir", ERR_IO, 451, 0},
		{"rename", ERR_DENIED, 451, 0},
		{"open", ERR_LIMIT, 451, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene *s = begin();
		s->boxes.fail_at = cases[i].at;
		s->boxes.fail = cases[i].err;
		deliver(s, VERDICT_TEMPORARY, cases[i].code);
		assert_int_equal(s->d.verdict.enhanced.subject, 3);
		assert_int_equal(s->d.verdict.enhanced.detail, cases[i].detail);
		assert_string_equal(s->d.path, "");
		assert_int_equal(files(s), 0);
		end(s);
	}

	struct scene *s = begin();
	s->spool.fail_at = "read";
	s->spool.fail = ERR_IO;
	deliver(s, VERDICT_TEMPORARY, 451);
	assert_int_equal(files(s), 0);
	s->spool.fail_at = NULL;
	s->d.body.bytes += 1000; /* a file that ends too early */
	deliver(s, VERDICT_TEMPORARY, 451);
	assert_int_equal(files(s), 0);
	end(s);
}

/* Wherever the making of a mailbox broke off, the next attempt makes the rest of it. */
static void a_half_made_mailbox_is_completed(void **state)
{
	(void)state;
	static const char *const steps[] = {"make-dir", "sync-dir"};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		for (int nth = 1; nth <= 5; nth++) {
			struct scene *s = begin();
			s->boxes.fail_at = steps[i];
			s->boxes.fail = ERR_IO;
			s->boxes.fail_nth = nth;
			deliver(s, VERDICT_TEMPORARY, 451);
			s->boxes.fail_at = NULL;
			deliver(s, VERDICT_OK, 250);
			assert_string_equal(s->d.path, NAME);
			end(s);
		}
	}
}

static void path_is(const char *address, const char *expected)
{
	struct buf buf;

	buf_init(&buf, 4096);
	int err = maildir_path(&buf, span_str(address));
	if (!expected) {
		assert_int_not_equal(err, 0);
		assert_int_equal(buf.n, 0);
	} else {
		assert_int_equal(err, 0);
		if (!span_equal(buf_span(&buf), span_str(expected)))
			fail_msg("%.*s, not %s", (int)buf.n, buf.p, expected);
	}
	buf_done(&buf);
}

static void no_address_leads_out_of_the_mailboxes(void **state)
{
	(void)state;
	path_is("ann@c.example", "c.example/ann");
	path_is("a.b+tag_x=1-@c.example", "c.example/a.b+tag_x=1-");
	path_is("Ann@c.example", "c.example/%41nn");
	path_is("..@c.example", "c.example/%2E.");
	path_is("../../etc/passwd@c.example", "c.example/%2E.%2F..%2Fetc%2Fpasswd");
	path_is("\"a@b\"@c.example", "c.example/%22a%40b%22");
	path_is("a%2F@..", "%2E./a%252%46");
	path_is("\xc3\xa4@[192.0.2.1]", "%5B192.0.2.1%5D/%C3%A4");
	path_is("nobody", NULL);
	path_is("@c.example", NULL);
	path_is("x@", NULL);
	path_is("", NULL);

	char longer[400];
	memset(longer, '/', sizeof(longer));
	memcpy(longer + 86, "@c.example", 11);
	path_is(longer, NULL); /* 258 bytes once encoded */
	memcpy(longer + 85, "@c.example", 11);
	struct buf buf;
	buf_init(&buf, 4096);
	assert_int_equal(maildir_path(&buf, span_str(longer)), 0);
	buf_done(&buf);
}

static void an_address_without_a_path_bounces(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->rcpts[0].address = SPAN("nobody");
	deliver(s, VERDICT_PERMANENT, 553);
	assert_int_equal(files(s), 0);
	end(s);
}

static void a_long_host_name_is_cut(void **state)
{
	(void)state;
	struct scene *s = begin();
	char host[254];

	memset(host, 'h', sizeof(host));
	memcpy(host, "a/b:c", 5);
	s->d.hostname = span_of(host, sizeof(host));
	deliver(s, VERDICT_OK, 250);
	const char *name = strrchr(s->d.path, '/') + 1;
	assert_true(strlen(name) <= MAILDIR_NAME);
	assert_non_null(strstr(name, ".a\\057b\\072chhh"));
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_is_durable_before_it_counts),
		cmocka_unit_test(the_second_message_makes_no_directories),
		cmocka_unit_test(recipients_of_one_message_do_not_collide),
		cmocka_unit_test(bodies_are_undone_from_wire_form),
		cmocka_unit_test(line_ends_at_the_border_of_two_reads),
		cmocka_unit_test(a_repetition_delivers_once),
		cmocka_unit_test(what_an_earlier_attempt_left_in_tmp_is_overwritten),
		cmocka_unit_test(what_lies_in_new_already_is_not_emptied_through_its_name_in_tmp),
		cmocka_unit_test(failures_are_temporary_and_leave_nothing),
		cmocka_unit_test(a_half_made_mailbox_is_completed),
		cmocka_unit_test(no_address_leads_out_of_the_mailboxes),
		cmocka_unit_test(an_address_without_a_path_bounces),
		cmocka_unit_test(a_long_host_name_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
