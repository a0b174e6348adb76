#include "transport/maildir.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECE	   (64u << 10) /* bytes read from the spool at once */
#define HEAD_BYTES 4096	       /* Return-Path and Delivered-To */

/* What one run of the job works with. */
struct work {
	struct maildir_delivery *delivery;
	struct buf box;	     /* "<domain>/<local part>" */
	struct buf name;     /* unique, the same for every attempt */
	struct buf from, to; /* paths in tmp and new, with NUL */
	struct io_file *file;
	uint64_t at;	 /* bytes written */
	bool keep_bytes; /* no translation of line ends */
	bool unstuff;
	bool line_start, held_cr;
	struct buf out;
};

/* ---- names ----------------------------------------------------------------------------------- */

static struct span mailbox_of(const struct maildir_delivery *d)
{
	return d->account.n ? d->account : d->envelope->rcpts[d->rcpt].address;
}

static void add_path(struct buf *buf, const struct work *w, const char *folder, struct span name)
{
	buf_clear(buf);
	buf_add_span(buf, buf_span(&w->box));
	buf_add_str(buf, folder);
	buf_add_span(buf, name);
	buf_add_char(buf, '\0');
}

/* <seconds>.P<id>R<recipient>.<host>: nothing of it differs from attempt to attempt. In a host name
 * "/" and ":" have their customary escapes. */
static void add_unique(struct buf *buf, const struct maildir_delivery *d)
{
	buf_add_u64(
		buf, d->envelope->arrived_ms > 0 ? (uint64_t)d->envelope->arrived_ms / 1000 : 0);
	buf_add_str(buf, ".P");
	text_add_id(buf, d->envelope->id);
	buf_add_char(buf, 'R');
	buf_add_u64(buf, d->rcpt);
	buf_add_char(buf, '.');
	for (size_t i = 0; i < d->hostname.n && buf->n + 4 <= MAILDIR_NAME; i++) {
		char c = d->hostname.p[i];

		if (c == '/' || c == ':' || (unsigned char)c <= ' ' || (unsigned char)c >= 0x7f)
			buf_printf(buf, "\\%03o", (unsigned char)c);
		else
			buf_add_char(buf, c);
	}
}

static int make_names(struct work *w)
{
	add_unique(&w->name, w->delivery);
	add_path(&w->from, w, "/tmp/", buf_span(&w->name));
	add_path(&w->to, w, "/new/", buf_span(&w->name));
	return buf_ok(&w->name) && buf_ok(&w->from) && buf_ok(&w->to) ? 0 : ERR_NOMEM;
}

/* ---- directories ----------------------------------------------------------------------------- */

/* Makes it, and makes its name durable in the directory around it. One that is there may have been
 * made by an attempt that died before its sync, so that is synced too. */
static int make_dir(struct disk *disk, const char *path, const char *around)
{
	int err = disk_make_dir(disk, path);

	if (err && err != ERR_EXISTS)
		return err;
	return disk_sync_dir(disk, around);
}

/* "tmp" comes last: where it is there, all the others are, durably. */
static int make_dirs(struct work *w)
{
	static const char *const folders[] = {"/new", "/cur", "/tmp"};
	struct disk *disk = w->delivery->disk;
	char box[MAILDIR_PATH], domain[MAILDIR_PATH], path[MAILDIR_PATH];
	size_t n = span_find(buf_span(&w->box), '/');

	snprintf(box, sizeof(box), "%.*s", (int)w->box.n, w->box.p);
	snprintf(domain, sizeof(domain), "%.*s", (int)n, w->box.p);
	int err = make_dir(disk, domain, "");
	if (!err)
		err = make_dir(disk, box, domain);
	for (size_t i = 0; i < ARRAY_SIZE(folders) && !err; i++) {
		snprintf(path, sizeof(path), "%.*s%s", (int)w->box.n, w->box.p, folders[i]);
		err = make_dir(disk, path, box);
	}
	return err;
}

/* Always a file of its own: what an earlier attempt left under this name may be the message that
 * lies in "new" already, since a power cut can keep both names of a rename. */
static int open_tmp(struct work *w)
{
	struct disk *disk = w->delivery->disk;
	unsigned flags = DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE;
	int err = disk_open(disk, w->from.p, flags, &w->file);

	if (err == ERR_NOT_FOUND)
		err = make_dirs(w);
	else if (err == ERR_EXISTS)
		err = disk_unlink(disk, w->from.p);
	else
		return err;
	return err ? err : disk_open(disk, w->from.p, flags, &w->file);
}

/* ---- content --------------------------------------------------------------------------------- */

static int flush(struct work *w)
{
	struct iovec part = {w->out.p, w->out.n};
	int err = buf_ok(&w->out) ? disk_write_all(w->file, &part, 1, w->at) : ERR_NOMEM;

	w->at += w->out.n;
	buf_clear(&w->out);
	return err;
}

/* Field lines, which end with CRLF, with the line ends of the file. */
static void add_fields(struct work *w, struct span in)
{
	while (in.n) {
		size_t n = span_find(in, '\n');
		struct span line = span_of(in.p, n);

		in = span_skip(in, n + 1);
		if (!w->keep_bytes && line.n && line.p[line.n - 1] == '\r')
			line.n--;
		buf_add_span(&w->out, line);
		buf_add_char(&w->out, '\n');
	}
}

static void add_head(struct work *w)
{
	const struct maildir_delivery *d = w->delivery;
	const char *line_end = w->keep_bytes ? "\r\n" : "\n";

	buf_add_str(&w->out, "Return-Path: <");
	buf_add_span(&w->out, d->envelope->sender);
	buf_add_str(&w->out, ">");
	buf_add_str(&w->out, line_end);
	buf_add_str(&w->out, "Delivered-To: ");
	buf_add_span(&w->out, mailbox_of(d));
	buf_add_str(&w->out, line_end);
	add_fields(w, d->prepend);
	add_fields(w, d->envelope->prepend);
}

/* Takes the dots out that DATA put in, and the CR of each CRLF. */
static void add_body(struct work *w, struct span in)
{
	while (in.n) {
		if (w->held_cr) {
			bool line_end = in.p[0] == '\n';

			w->held_cr = false;
			if (!line_end || w->keep_bytes)
				buf_add_char(&w->out, '\r');
			w->line_start = line_end;
			if (line_end) {
				buf_add_char(&w->out, '\n');
				in = span_skip(in, 1);
				continue;
			}
		}
		bool dot = w->line_start && w->unstuff && in.p[0] == '.';

		w->line_start = false;
		in = span_skip(in, dot);
		struct span run = span_of(in.p, span_find(in, '\r'));
		buf_add_span(&w->out, run);
		w->held_cr = run.n < in.n;
		in = span_skip(in, run.n + w->held_cr);
	}
}

static int copy_body(struct work *w)
{
	const struct spool_body *body = &w->delivery->body;
	char *piece = malloc(PIECE);
	int err = piece ? 0 : ERR_NOMEM;

	for (uint64_t at = 0; !err && at < body->bytes;) {
		size_t n = (size_t)MIN(body->bytes - at, (uint64_t)PIECE);
		int64_t got = disk_read(body->file, piece, n, body->offset + at);

		if (got < 0 || (size_t)got != n) {
			err = got < 0 ? (int)got : ERR_CORRUPT;
			break;
		}
		at += n;
		add_body(w, span_of(piece, n));
		if (at == body->bytes && w->held_cr)
			buf_add_char(&w->out, '\r');
		err = flush(w);
	}
	free(piece);
	return err;
}

/* ---- delivery -------------------------------------------------------------------------------- */

static int find_name(void *arg, const char *name)
{
	const struct buf *wanted = arg;
	struct span is = span_str(name);

	/* In cur, flags may follow behind a colon. */
	if (is.n < wanted->n || memcmp(name, wanted->p, wanted->n) != 0)
		return 0;
	return is.n == wanted->n || name[wanted->n] == ':' ? 1 : 0;
}

/* Has an earlier attempt delivered it, and may a reader have moved it on? */
static bool was_delivered(struct work *w)
{
	static const char *const folders[] = {"/new", "/cur"};
	char path[MAILDIR_PATH];

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		snprintf(path, sizeof(path), "%.*s%s", (int)w->box.n, w->box.p, folders[i]);
		if (disk_list(w->delivery->disk, path, find_name, &w->name) == 1)
			return true;
	}
	return false;
}

static int sync_new(struct work *w)
{
	char path[MAILDIR_PATH];

	snprintf(path, sizeof(path), "%.*s/new", (int)w->box.n, w->box.p);
	return disk_sync_dir(w->delivery->disk, path);
}

static int write_file(struct work *w)
{
	int err = open_tmp(w);

	if (!err) {
		add_head(w);
		err = flush(w);
	}
	if (!err)
		err = copy_body(w);
	if (!err)
		err = disk_sync(w->file);
	disk_close(&w->file);
	if (!err)
		err = disk_rename(w->delivery->disk, w->from.p, w->to.p);
	if (err) /* space for others; what cannot be removed is overwritten next time */
		(void)disk_unlink(w->delivery->disk, w->from.p);
	return err;
}

static int deliver(struct work *w)
{
	int err = make_names(w);

	if (err)
		return err;
	if (w->delivery->repeat && was_delivered(w))
		w->delivery->was_there = true;
	else
		err = write_file(w);
	return err ? err : sync_new(w);
}

static void set_verdict(struct maildir_delivery *d, int err)
{
	char text[VERDICT_TEXT];
	int n = 0;

	d->error = err;
	switch (err) {
	case 0:
		verdict_set(&d->verdict, VERDICT_OK, 250, (struct enhanced_code){2, 0, 0}, false,
			d->was_there ? SPAN("delivered to the mailbox before")
				     : SPAN("delivered to the mailbox"));
		return;
	case ERR_NO_SPACE:
		verdict_set(&d->verdict, VERDICT_TEMPORARY, 452, (struct enhanced_code){4, 3, 1},
			false, SPAN("the disk of the mailboxes is full"));
		return;
	default:
		n = snprintf(
			text, sizeof(text), "the mailbox cannot be written: %s", err_text(err));
		verdict_set(&d->verdict, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, 3, 0},
			false, span_of(text, (size_t)n));
		return;
	}
}

static void work_init(struct work *w, struct maildir_delivery *d)
{
	uint32_t flags = d->envelope->flags;

	*w = (struct work){
		.delivery = d,
		.keep_bytes = flags & ENVELOPE_BODY_BARE,
		.unstuff = flags & ENVELOPE_BODY_STUFFED,
		.line_start = true,
	};
	buf_init(&w->box, MAILDIR_PATH);
	buf_init(&w->name, MAILDIR_NAME);
	buf_init(&w->from, MAILDIR_PATH);
	buf_init(&w->to, MAILDIR_PATH);
	buf_init(&w->out, HEAD_BYTES + d->prepend.n + d->envelope->prepend.n + (size_t)2 * PIECE);
}

static void work_done(struct work *w)
{
	buf_done(&w->box);
	buf_done(&w->name);
	buf_done(&w->from);
	buf_done(&w->to);
	buf_done(&w->out);
}

/* On the helper thread. */
static void run(struct io_job *job)
{
	struct maildir_delivery *d = CONTAINER_OF(job, struct maildir_delivery, job);
	struct work w;

	work_init(&w, d);
	d->was_there = false;
	d->path[0] = '\0';
	if (maildir_path(&w.box, mailbox_of(d))) {
		verdict_set(&d->verdict, VERDICT_PERMANENT, 553, (struct enhanced_code){5, 1, 3},
			false, SPAN("no mailbox can have this address"));
	} else {
		int err = deliver(&w);

		set_verdict(d, err);
		if (!err)
			memcpy(d->path, w.to.p, w.to.n);
	}
	work_done(&w);
}

static void finished(struct io_job *job)
{
	struct maildir_delivery *d = CONTAINER_OF(job, struct maildir_delivery, job);

	d->done(d->owner, d);
}

int maildir_deliver(struct io *io, struct maildir_delivery *delivery)
{
	CHECK(delivery->rcpt < delivery->envelope->rcpt_count);
	delivery->job = (struct io_job){.run = run, .done = finished};
	return io_submit(io, IO_LANE_FILE, &delivery->job);
}
