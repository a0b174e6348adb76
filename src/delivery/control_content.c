/*
 * What a queued message says, for administrators: in pieces, so that nothing here grows with it.
 * Each reading is told, as it is somebody's mail: every piece but one that goes on, for the same
 * reader, where the last one that was given out ended.
 *
 *   {"op":"content", "id":ID, "part":"header"|"body"|"message", "offset":N}
 *     {"id":ID, "part":…, "data":BASE64, "next":N}       without "next": that was the last piece
 */
#include "delivery/control.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_PIECE (96u << 10) /* stored bytes in a reply; base64 without padding in between */

struct content {
	uint64_t from, to; /* of prepend and stored body together */
	bool unstuff;
};

static bool choose(const struct envelope *e, struct span part, struct content *out)
{
	uint64_t added = e->prepend.n;

	*out = (struct content){.from = 0,
		.to = added + e->body_bytes,
		.unstuff = (e->flags & ENVELOPE_BODY_STUFFED) != 0};
	if (span_equal(part, SPAN("header")))
		out->to = added + MIN(e->header_bytes, e->body_bytes);
	else if (span_equal(part, SPAN("body")))
		out->from = added + MIN(e->header_bytes, e->body_bytes);
	else
		return span_equal(part, SPAN("message"));
	return true;
}

/* Without the dots that RFC 5321 section 4.5.2 put before lines that begin with one. `before`: how
 * many bytes of `in` only show what goes before. */
static void add_unstuffed(struct buf *out, struct span in, size_t before)
{
	for (size_t i = before; i < in.n; i++) {
		bool begins =
			i < 2 ? before == 0 && i == 0 : in.p[i - 2] == '\r' && in.p[i - 1] == '\n';

		if (begins && in.p[i] == '.')
			continue;
		buf_add_char(out, in.p[i]);
	}
}

/* Bytes [at, at + n) of the stored body. */
static int read_body(struct control *c, uint64_t id, const struct content *content, uint64_t at,
	size_t n, struct buf *out)
{
	struct delivery *d = c->d;
	struct spool_body body;
	size_t before = content->unstuff ? (size_t)MIN(at, (uint64_t)2) : 0;
	int err = spool_store_body(d->store, id, &body);

	if (err)
		return err;
	char *bytes = malloc(n + before);
	int64_t got = bytes && at + n <= body.bytes
			      ? disk_read(body.file, bytes, n + before, body.offset + at - before)
			      : -1;

	if (!bytes)
		err = ERR_NOMEM;
	else if (got != (int64_t)(n + before))
		err = ERR_IO;
	else if (content->unstuff)
		add_unstuffed(out, span_of(bytes, n + before), before);
	else
		buf_add(out, bytes, n);
	free(bytes);
	spool_store_body_done(d->store, &body);
	return err;
}

/* What begins there, of one of the two parts that make up the stream; *next: where it goes on. */
static int read_piece(struct control *c, uint64_t id, const struct content *content, uint64_t at,
	struct buf *out, uint64_t *next)
{
	struct span added = c->envelope.prepend;
	size_t n = (size_t)MIN(content->to - at, (uint64_t)CONTENT_PIECE);

	*next = at + n;
	if (at >= added.n)
		return read_body(c, id, content, at - added.n, n, out);
	n = MIN(n, added.n - (size_t)at);
	*next = at + n;
	buf_add(out, added.p + at, n);
	return 0;
}

static bool goes_on(const struct control *c, uint64_t id, struct span part, uint64_t offset)
{
	const struct delivery *d = c->d;

	return d->reading.id == id && d->reading.next == offset &&
	       span_equal(part, span_str(d->reading.part)) &&
	       span_equal(control_text(c, "by"), span_str(d->reading.by));
}

/* The next piece begins at `next`. */
static void note_reading(struct control *c, uint64_t id, struct span part, uint64_t next)
{
	struct delivery *d = c->d;
	struct span by = control_text(c, "by");

	d->reading.id = 0;
	if (by.n >= sizeof(d->reading.by) || part.n >= sizeof(d->reading.part) ||
		memchr(by.n ? by.p : "", '\0', by.n))
		return;
	d->reading.id = id;
	d->reading.next = next;
	snprintf(d->reading.by, sizeof(d->reading.by), "%.*s", (int)by.n, by.n ? by.p : "");
	snprintf(d->reading.part, sizeof(d->reading.part), "%.*s", (int)part.n, part.p);
}

/* Whose mail was read by whom is on record. */
static void tell_reading(struct control *c, uint64_t id, struct span part)
{
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.id = id,
		.wall_ms = delivery_now(c->d),
		.action = span_equal(part, SPAN("header")) ? SPAN("read-header")
			  : span_equal(part, SPAN("body")) ? SPAN("read-body")
							   : SPAN("read-message"),
		.actor = control_text(c, "by"),
		.sender = c->envelope.sender,
		.sender_known = true,
	};

	event_emit(c->d->config.events, &event);
}

static void put_piece(struct control *c, uint64_t id, struct span part, struct span bytes,
	uint64_t next, uint64_t end)
{
	struct buf data;

	buf_init(&data, (size_t)2 * CONTENT_PIECE);
	base64_add(&data, bytes);
	json_open_object(&c->json, NULL);
	json_put_id(&c->json, "id", id);
	json_put_string(&c->json, "part", part);
	json_put_string(&c->json, "data", buf_span(&data));
	if (next < end)
		json_put_u64(&c->json, "next", next);
	json_close_object(&c->json);
	buf_done(&data);
}

void control_content(struct control *c)
{
	struct span part = control_text(c, "part");
	json_int_t offset = json_integer_value(json_object_get(c->request, "offset"));
	struct content content;
	struct buf bytes;
	uint64_t id, next = 0;

	if (!control_queued(c, &id))
		return;
	int err = control_envelope(c, id);
	if (err) {
		control_refuse(c, "its envelope cannot be read from the spool");
		return;
	}
	if (!choose(&c->envelope, part, &content)) {
		control_refuse(c, "part: header, body or message");
		return;
	}
	if (offset < 0 || (uint64_t)offset > content.to) {
		control_refuse(c, "offset: beyond the end");
		return;
	}
	uint64_t at = MAX(content.from, (uint64_t)offset);
	if (!goes_on(c, id, part, (uint64_t)offset))
		tell_reading(c, id, part);
	buf_init(&bytes, CONTENT_PIECE);
	if (at < content.to)
		err = read_piece(c, id, &content, at, &bytes, &next);
	else
		next = content.to;
	if (err)
		control_refuse(c, err == ERR_CORRUPT ? "the stored message is damaged"
				  : err == ERR_AGAIN ? "its body is long and lay for a while; it "
						       "is being checked: ask again in a moment"
						     : "the stored message cannot be read");
	else
		put_piece(c, id, part, buf_span(&bytes), next, content.to);
	if (!err && next < content.to)
		note_reading(c, id, part, next);
	buf_done(&bytes);
}
