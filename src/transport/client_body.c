#include "base/err.h"
#include "io/disk.h"
#include "transport/client_private.h"

#include <stdio.h>

#define COMMAND_BYTES 64
#define LOCAL_ERROR   ((struct enhanced_code){4, 3, 0})
#define UNSOUND	      ((struct enhanced_code){5, 3, 0})
#define END_MARK      ".\r\n"

uint64_t client_prepend_bytes(const struct client *client)
{
	return client->job->prepend.n + client->job->envelope->prepend.n;
}

bool client_body_waits(const struct client *client)
{
	return client->body_left || (client->pump && client->pump->ready);
}

bool client_body_whole(const struct client *client)
{
	return !client_body_waits(client) && io_conn_unsent(client->conn) == 0;
}

void client_body_wait(struct client *client)
{
	if (client->broken)
		return;
	client->unsent_before = io_conn_unsent(client->conn);
	client_wait(client, client_body_whole(client) ? CLIENT_AT_END : CLIENT_AT_BODY);
}

/* ---- what ends it ---------------------------------------------------------------------------- */

/* Without the end mark, and with the connection closed, the hop has no message. */
void client_body_unsound(struct client *client)
{
	struct verdict verdict;

	verdict_set(&verdict, VERDICT_PERMANENT, 554, UNSOUND, false,
		SPAN("the stored message is damaged: it is not in the form that was put on "
		     "record, and cannot be sent"));
	client_settle_all(client, &verdict);
	client_finish(client, false);
}

void client_body_unreadable(struct client *client, int err)
{
	char text[VERDICT_TEXT];

	snprintf(text, sizeof(text), "the spool cannot be read (%s); connection closed to",
		err_text(err));
	client_fail(client, LOCAL_ERROR, text);
}

/* ---- parts ----------------------------------------------------------------------------------- */

struct parts {
	struct iovec part[4];
	size_t count;
};

static void add(struct parts *parts, struct span bytes)
{
	if (bytes.n)
		parts->part[parts->count++] = (struct iovec){(void *)(uintptr_t)bytes.p, bytes.n};
}

static void send_parts(struct client *client, const struct parts *parts, bool more)
{
	if (parts->count && !client->broken)
		client->broken = io_conn_send(client->conn, parts->part, parts->count, more);
	if (client->broken)
		client_soon(client);
}

static bool by_bdat(const struct client *client)
{
	return client->plan.form == FORM_BDAT_FILE || client->plan.form == FORM_BDAT_PUMP;
}

void client_body_front(struct client *client, bool more)
{
	struct parts parts = {0};
	char command[COMMAND_BYTES];

	if (by_bdat(client)) {
		int n = snprintf(command, sizeof(command), "BDAT %llu LAST\r\n",
			(unsigned long long)client->plan.size);
		add(&parts, span_of(command, (size_t)n));
	}
	add(&parts, client->job->prepend);
	add(&parts, client->job->envelope->prepend);
	send_parts(client, &parts, more);
}

/* ---- as it is stored ------------------------------------------------------------------------- */

/*
 * Through our memory and not by sendfile: only bytes that nobody else can change may be looked at
 * first and sent then. For bodies of the usual length that costs no more than sendfile does.
 */
static bool send_piece(struct client *client)
{
	const struct client_job *job = client->job;
	char piece[CLIENT_READ];
	size_t n = (size_t)MIN(job->body.bytes - client->body_at, sizeof(piece));
	int64_t got =
		n ? disk_read(job->body.file, piece, n, job->body.offset + client->body_at) : 0;
	struct parts parts = {0};

	if (got < 0 || (size_t)got != n) {
		client_body_unreadable(client, got < 0 ? (int)got : ERR_CORRUPT);
		return false;
	}
	if (!client->body_at) {
		add(&parts, job->prepend);
		add(&parts, job->envelope->prepend);
	}
	client->body_at += n;
	client->body_left = client->body_at < job->body.bytes;
	add(&parts, span_of(piece, n));
	if (!client_wire_feed(&client->wire, span_of(piece, n)) ||
		(!client->body_left && !client_wire_at_line(&client->wire))) {
		client_body_unsound(client);
		return false;
	}
	if (!client->body_left)
		add(&parts, SPAN(END_MARK));
	send_parts(client, &parts, client->body_left);
	return !client->broken;
}

static void send_pieces(struct client *client)
{
	uint64_t turn_ends = client->body_at + CLIENT_TURN;

	do {
		if (!send_piece(client))
			return;
	} while (client->body_left && client->body_at < turn_ends && !io_conn_unsent(client->conn));
	if (client->body_left && !io_conn_unsent(client->conn))
		client_soon(client);
	client_body_wait(client);
}

static void send_file(struct client *client)
{
	const struct spool_body *body = &client->job->body;

	client_body_front(client, body->bytes != 0);
	if (body->bytes && !client->broken)
		client->broken =
			io_conn_send_file(client->conn, body->file, body->offset, body->bytes);
	if (client->broken)
		client_soon(client);
	client_body_wait(client);
}

/* ---- all forms ------------------------------------------------------------------------------- */

void client_body_send(struct client *client)
{
	client->asked_now = true;
	client->body_until_ns = client->io->now_ns +
				CLIENT_WAITS * client->timeouts->body * NS_PER_MS +
				client->plan.size * (NS_PER_S / CLIENT_RATE);
	client_wire_init(&client->wire);
	client->body_at = 0;
	switch (client->plan.form) {
	case FORM_DATA_COPY: send_pieces(client); return;
	case FORM_BDAT_FILE: send_file(client); return;
	case FORM_DATA_PUMP:
	case FORM_BDAT_PUMP:
		client_body_front(client, true);
		client->pump->ready = true;
		client_soon(client);
		client_body_wait(client);
		return;
	}
}

void client_body_more(struct client *client)
{
	if (client->body_left)
		send_pieces(client);
	else
		client_pump_step(client);
}

void client_body_empty(struct client *client)
{
	client_send_bytes(client, SPAN(END_MARK), false);
	client_wait(client, CLIENT_AT_END);
}
