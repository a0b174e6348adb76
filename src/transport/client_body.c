#include "base/err.h"
#include "io/disk.h"
#include "transport/client_private.h"

#include <stdio.h>
#include <stdlib.h>

#define END_OF_DATA	3 /* bytes of ".\r\n", which the spool keeps behind each body */
#define COMMAND_BYTES	64
#define LOCAL_ERROR	((struct enhanced_code){4, 3, 0})
#define NOT_CONVERTIBLE ((struct enhanced_code){5, 6, 3})

uint64_t client_prepend_bytes(const struct client *client)
{
	return client->job->prepend.n + client->job->envelope->prepend.n;
}

/* Is all of it with the kernel? Then the reply is waited for, else progress is. */
static void wait_for_body(struct client *client)
{
	if (client->broken)
		return;
	client->unsent_before = io_conn_unsent(client->conn);
	client_wait(client, client_body_whole(client) ? CLIENT_AT_END : CLIENT_AT_BODY);
}

bool client_body_whole(const struct client *client)
{
	return !(client->pump && client->pump->ready) && io_conn_unsent(client->conn) == 0;
}

static struct iovec part(struct span bytes)
{
	return (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
}

/* The command, if any, and all that goes before the stored body. */
static void send_front(struct client *client, struct span command, bool more)
{
	struct iovec parts[3];
	struct span fronts[] = {command, client->job->prepend, client->job->envelope->prepend};
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fronts); i++)
		if (fronts[i].n)
			parts[count++] = part(fronts[i]);
	if (count && !client->broken)
		client->broken = io_conn_send(client->conn, parts, count, more);
}

static void send_file(struct client *client, uint64_t bytes)
{
	const struct spool_body *body = &client->job->body;

	if (bytes && !client->broken)
		client->broken = io_conn_send_file(client->conn, body->file, body->offset, bytes);
}

void client_body_send(struct client *client)
{
	uint64_t bytes = client->job->body.bytes;
	char command[COMMAND_BYTES];
	int n = 0;

	client->asked_now = true;
	if (client->plan.form == FORM_BDAT_FILE || client->plan.form == FORM_BDAT_PUMP)
		n = snprintf(command, sizeof(command), "BDAT %llu LAST\r\n",
			(unsigned long long)client->plan.size);
	send_front(
		client, span_of(command, (size_t)n), client->plan.form != FORM_BDAT_FILE || bytes);
	if (client->plan.form == FORM_DATA_FILE)
		send_file(client, bytes + END_OF_DATA);
	else if (client->plan.form == FORM_BDAT_FILE)
		send_file(client, bytes);
	else
		client->pump->ready = true;
	if (client->broken || client->pump)
		client_soon(client);
	wait_for_body(client);
}

void client_body_empty(struct client *client)
{
	client_send_bytes(client, SPAN(".\r\n"), false);
	client_wait(client, CLIENT_AT_END);
}

/* ---- a body that is rewritten ---------------------------------------------------------------- */

/*
 * Read in pieces of CLIENT_PIECE, one a turn, so that one long body does not hold up all other
 * sessions; the next piece is read when the kernel has taken the last one.
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
	buf_init(&pump->stuffed, 2 * (pump->converted.bound + END_OF_DATA));
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
	snprintf(text, sizeof(text), "the spool cannot be read (%s); connection closed to",
		err_text(err));
	client_fail(client, LOCAL_ERROR, text);
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

static void pump_send(struct client *client, struct span in, bool end)
{
	struct client_pump *pump = client->pump;

	if (pump->downgrade) {
		buf_clear(&pump->converted);
		mime_downgrade_feed(pump->downgrade, in, &pump->converted);
		if (end)
			mime_downgrade_end(pump->downgrade, &pump->converted);
		CHECK(buf_ok(&pump->converted));
		in = buf_span(&pump->converted);
	}
	buf_clear(&pump->stuffed);
	if (pump->stuff) {
		stuff(pump, in);
		if (end)
			buf_add_str(&pump->stuffed, pump->out_start ? ".\r\n" : "\r\n.\r\n");
		CHECK(buf_ok(&pump->stuffed));
		in = buf_span(&pump->stuffed);
	}
	if (in.n)
		client_send_bytes(client, in, !end);
	pump->ready = !end;
	wait_for_body(client);
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
