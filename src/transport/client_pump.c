#include "base/err.h"
#include "io/disk.h"
#include "transport/client_private.h"

#include <stdio.h>
#include <stdlib.h>

#define END_BYTES	5 /* the CRLF of an open line, and the end mark */
#define LOCAL_ERROR	((struct enhanced_code){4, 3, 0})
#define NOT_CONVERTIBLE ((struct enhanced_code){5, 6, 3})

/*
 * A body that is rewritten is read in pieces of CLIENT_PIECE, one a turn, so that one long body
 * does not hold up all other sessions; the next piece is read when the kernel has taken the last
 * one.
 */
static void rewind_pump(struct client_pump *pump)
{
	pump->at = 0;
	pump->in_start = pump->out_start = true;
	pump->in_cr = pump->out_cr = false;
}

int client_pump_start(struct client *client)
{
	struct client_pump *pump = calloc(1, sizeof(*pump));

	if (!pump)
		return ERR_NOMEM;
	client->pump = pump;
	buf_init(&pump->plain, CLIENT_PIECE);
	buf_init(&pump->converted, (size_t)MIME_GROWTH * CLIENT_PIECE + MIME_EXTRA);
	buf_init(&pump->stuffed, 2 * pump->converted.bound + END_BYTES);
	pump->unstuff = client->job->envelope->flags & ENVELOPE_BODY_STUFFED;
	pump->stuff = client->plan.form == FORM_DATA_PUMP;
	pump->counting = client->plan.convert || client->plan.form == FORM_BDAT_PUMP;
	pump->ready = true;
	rewind_pump(pump);
	return client->plan.convert ? mime_downgrade_new(client->plan.target, &pump->downgrade) : 0;
}

void client_pump_free(struct client *client)
{
	struct client_pump *pump = client->pump;

	if (!pump)
		return;
	mime_downgrade_free(&pump->downgrade);
	buf_done(&pump->plain);
	buf_done(&pump->converted);
	buf_done(&pump->stuffed);
	free(pump);
	client->pump = NULL;
}

/* RFC 5321 section 4.5.2, backwards. */
static struct span unstuff(struct client_pump *pump, struct span in)
{
	buf_clear(&pump->plain);
	while (in.n) {
		if (pump->in_start && in.p[0] == '.')
			in = span_skip(in, 1);
		size_t n = span_find(in, '\n');
		bool line = n < in.n;
		struct span run = span_of(in.p, n + line);

		pump->in_start = line && (n ? in.p[n - 1] == '\r' : pump->in_cr);
		if (run.n)
			pump->in_cr = run.p[run.n - 1] == '\r';
		buf_add_span(&pump->plain, run);
		in = span_skip(in, run.n);
	}
	return buf_span(&pump->plain);
}

/* Into pump->stuffed, which keeps what it has. */
static void stuff(struct client_pump *pump, struct span in)
{
	while (in.n) {
		if (pump->out_start && in.p[0] == '.')
			buf_add_char(&pump->stuffed, '.');
		size_t n = span_find(in, '\n');
		bool line = n < in.n;
		struct span run = span_of(in.p, n + line);

		pump->out_start = line && (n ? in.p[n - 1] == '\r' : pump->out_cr);
		pump->out_cr = run.p[run.n - 1] == '\r';
		buf_add_span(&pump->stuffed, run);
		in = span_skip(in, run.n);
	}
}

/* The spool could not be read: before the body that is a verdict, within it only the end of the
 * connection keeps the hop from taking half a message for a whole one. */
static void pump_unreadable(struct client *client, int err)
{
	char text[VERDICT_TEXT];
	struct verdict verdict;

	if (client->pump->counting) {
		int n = snprintf(text, sizeof(text), "the spool cannot be read: %s", err_text(err));
		verdict_set(&verdict, VERDICT_TEMPORARY, 451, LOCAL_ERROR, false,
			span_of(text, (size_t)n));
		client_settle_all(client, &verdict);
		client_finish(client, true);
		return;
	}
	client_body_unreadable(client, err);
}

/* Everything was read for the first time: can it be sent, and how long is it? */
static void pump_counted(struct client *client)
{
	struct client_pump *pump = client->pump;

	if (pump->downgrade && mime_downgrade_scan_end(pump->downgrade, &client->job->converted)) {
		char text[VERDICT_TEXT];
		struct verdict verdict;
		int n = snprintf(text, sizeof(text),
			"the next server cannot take this message as it is, and it cannot be "
			"converted: %s",
			mime_reason_text(mime_downgrade_reason(pump->downgrade)));
		verdict_set(&verdict, VERDICT_PERMANENT, 554, NOT_CONVERTIBLE, false,
			span_of(text, (size_t)n));
		verdict.open = true;
		client_settle_all(client, &verdict);
		client_finish(client, true);
		return;
	}
	/* What conversion makes of the size is not known; an estimate will do (RFC 1870 section
	 * 5). */
	if (!pump->downgrade)
		client->plan.size = client_prepend_bytes(client) + pump->counted;
	pump->counting = false;
	pump->ready = false;
	rewind_pump(pump);
	client_transaction_begin(client);
}

/* After DATA: stuffed, whole at its end, and looked at. False: it must not go out. */
static bool make_data(struct client *client, struct span in, bool end)
{
	struct client_pump *pump = client->pump;

	stuff(pump, in);
	if (end && !pump->out_start)
		buf_add_str(&pump->stuffed, "\r\n");
	if (!client_wire_feed(&client->wire, buf_span(&pump->stuffed)) ||
		(end && !client_wire_at_line(&client->wire)))
		return false;
	if (end)
		buf_add_str(&pump->stuffed, ".\r\n");
	CHECK(buf_ok(&pump->stuffed));
	return true;
}

/* After BDAT: as much as was announced. A body that the first pass saw differently would else end
 * in the middle of our next command, or begin it. */
static bool is_announced(struct client_pump *pump, size_t n, bool end)
{
	pump->sent += n;
	return end ? pump->sent == pump->counted : pump->sent <= pump->counted;
}

static void pump_send(struct client *client, struct span in, bool end)
{
	struct client_pump *pump = client->pump;

	if (pump->downgrade) {
		buf_clear(&pump->converted);
		mime_downgrade_feed(pump->downgrade, in, &pump->converted);
		if (end)
			mime_downgrade_end(pump->downgrade, &pump->converted);
		/* It has room for all that the first pass promised. */
		if (!buf_ok(&pump->converted)) {
			client_body_unsound(client);
			return;
		}
		in = buf_span(&pump->converted);
	}
	buf_clear(&pump->stuffed);
	if (pump->stuff ? !make_data(client, in, end) : !is_announced(pump, in.n, end)) {
		client_body_unsound(client);
		return;
	}
	if (pump->stuff)
		in = buf_span(&pump->stuffed);
	if (in.n)
		client_send_bytes(client, in, !end);
	pump->ready = !end;
	client_body_wait(client);
	if (pump->ready && !io_conn_unsent(client->conn))
		client_soon(client);
}

void client_pump_step(struct client *client)
{
	struct client_pump *pump = client->pump;
	const struct spool_body *body = &client->job->body;
	size_t n = (size_t)MIN(body->bytes - pump->at, (uint64_t)CLIENT_PIECE);

	if (!pump->counting && client->due != DUE_END) { /* there was no first pass */
		pump->ready = false;
		client_transaction_begin(client);
		return;
	}
	int64_t got = n ? disk_read(body->file, pump->piece, n, body->offset + pump->at) : 0;
	if (got < 0 || (size_t)got != n) {
		pump_unreadable(client, got < 0 ? (int)got : ERR_CORRUPT);
		return;
	}
	pump->at += n;

	struct span in = span_of(pump->piece, n);
	bool end = pump->at == body->bytes;
	if (pump->unstuff)
		in = unstuff(pump, in);
	if (!pump->counting) {
		pump_send(client, in, end);
		return;
	}
	pump->counted += in.n;
	if (pump->downgrade)
		mime_downgrade_scan(pump->downgrade, in);
	if (end)
		pump_counted(client);
	else
		client_soon(client);
}
