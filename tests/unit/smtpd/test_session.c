/* What a dialogue cannot show: time, the spool's answers, clients that vanish or do not read,
 * limits over sessions, stopping. */
#include "world.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
	struct world world;
	struct buf text;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	world_open(&f->world);
	buf_init(&f->text, 64u << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	world_close(&f->world);
	buf_done(&f->text);
	free(f);
	return 0;
}

static void expect(struct fixture *f, struct peer *peer, const char *replies)
{
	assert_string_equal(peer_replies(peer, &f->text), replies);
}

#define GREETING "220 gw.example.test ESMTP Postern\r\n"
#define TO_DATA	 "HELO c.example\r\nMAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n"
#define DATA_REPLIES                                              \
	"250 gw.example.test\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n" \
	"354 End data with <CR><LF>.<CR><LF>\r\n"
#define QUEUED_0 "250 2.0.0 Ok: queued as 6p000000g0000\r\n"
#define QUEUED_1 "250 2.0.0 Ok: queued as 6p000000g0001\r\n"

/* Greeted, with the body to come. */
static struct peer *connect_to_data(struct fixture *f)
{
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);

	assert_non_null(peer);
	peer_send_str(peer, TO_DATA);
	expect(f, peer, GREETING DATA_REPLIES);
	return peer;
}

static uint64_t refused(struct fixture *f, enum smtpd_refusal reason)
{
	struct smtpd_figures figures;

	smtpd_figures(f->world.smtpd, &figures);
	return figures.refused[reason];
}

static uint64_t sessions(struct fixture *f)
{
	struct smtpd_figures figures;

	smtpd_figures(f->world.smtpd, &figures);
	return figures.sessions_now;
}

/* ---- the promise ---------------------------------------------------------------------------- */

static void no_reply_before_the_message_is_durable(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.hold = true;
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, "text\r\n.\r\nNOOP\r\n");
	peer_send_str(peer, "QUIT\r\n");
	expect(f, peer, "");
	assert_int_equal(f->world.event_count, 0);
	world_commit(&f->world, 0);
	world_settle(&f->world);
	expect(f, peer, QUEUED_0 "250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n");
	assert_true(peer->closed);
	assert_int_equal(f->world.event_count, 1);
	assert_int_equal(f->world.events[0].kind, EVENT_RECEPTION);
	assert_int_equal(f->world.events[0].id, f->world.messages[0].envelope.id);
}

static void a_failed_commit_is_told_and_the_session_goes_on(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = connect_to_data(f);
	f->world.writer.outcome = ERR_NO_SPACE;
	peer_send_str(peer, ".\r\n");
	expect(f, peer, "452 4.3.1 Insufficient system storage; try later\r\n");
	f->world.writer.outcome = ERR_IO;
	peer_send_str(peer, TO_DATA ".\r\n");
	expect(f, peer, DATA_REPLIES "451 4.3.0 Mail storage failed; try later\r\n");
	f->world.writer.outcome = 0;
	f->world.writer.commit_err = ERR_IO;
	peer_send_str(peer, TO_DATA ".\r\n");
	expect(f, peer, DATA_REPLIES "451 4.3.0 Mail storage failed; try later\r\n");
	f->world.writer.commit_err = 0;
	f->world.writer.wrote_err = ERR_NO_SPACE;
	peer_send_str(peer, TO_DATA "text\r\n.\r\n");
	expect(f, peer, DATA_REPLIES "452 4.3.1 Insufficient system storage; try later\r\n");
	f->world.writer.wrote_err = 0;
	peer_send_str(peer, TO_DATA ".\r\n");
	expect(f, peer, DATA_REPLIES "250 2.0.0 Ok: queued as 6p000000g0002\r\n");
	assert_int_equal(refused(f, SMTPD_REFUSED_RESOURCES), 4);
}

static void no_draft_no_body(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	f->world.writer.new_err = ERR_NO_SPACE;
	peer_send_str(peer, TO_DATA);
	expect(f, peer,
		GREETING "250 gw.example.test\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"
			 "452 4.3.1 Insufficient system storage; try later\r\n");
	/* A chunk's octets come all the same. */
	peer_send_str(peer, "BDAT 6 LAST\r\nQUIT\r\n");
	expect(f, peer, "452 4.3.1 Insufficient system storage; try later\r\n");
	assert_false(peer->closed);
}

/* RFC 1047: whatever is said might be a lie. */
static void an_outcome_in_doubt_gets_no_reply(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = connect_to_data(f);
	f->world.writer.outcome = ERR_CLOSED;
	peer_send_str(peer, "text\r\n.\r\n");
	expect(f, peer, "");
	assert_true(peer->closed);
	assert_int_equal(sessions(f), 0);
}

static void a_client_that_vanishes_leaves_its_message(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.hold = true;
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, "text\r\n.\r\n");
	peer_eof(peer, ERR_CLOSED);
	assert_true(peer->closed);
	assert_int_equal(sessions(f), 1);
	world_commit(&f->world, 0);
	world_settle(&f->world);
	assert_int_equal(sessions(f), 0);
	/* Its story goes on in the trace. */
	assert_int_equal(f->world.events[0].kind, EVENT_RECEPTION);
	expect(f, peer, "");
}

static void a_client_that_only_shuts_its_side_gets_all_replies(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.hold = true;
	struct peer *peer = connect_to_data(f);
	peer->eof = true;
	peer_send_str(peer, "text\r\n.\r\nNOOP\r\n");
	expect(f, peer, "");
	assert_false(peer->closed);
	world_commit(&f->world, 0);
	world_settle(&f->world);
	expect(f, peer, QUEUED_0 "250 2.0.0 Ok\r\n");
	assert_true(peer->closed);
}

static void half_a_message_is_none(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, "text\r\n.\r");
	peer_eof(peer, 0);
	assert_true(peer->closed);
	assert_int_equal(f->world.message_count, 0);
	assert_int_equal(f->world.writer.open_drafts, 0);
}

static void the_end_of_the_server_in_the_middle(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.hold = true;
	struct peer *one = connect_to_data(f);
	struct peer *two = connect_to_data(f);
	peer_send_str(one, "text\r\n.\r\n");
	peer_send_str(two, "text\r\n");
	/* teardown frees it: nothing may be left, and nothing be called. */
	assert_int_equal(sessions(f), 2);
}

/* ---- time ----------------------------------------------------------------------------------- */

static void an_idle_client_is_sent_away(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	world_pass_ms(&f->world, 299000);
	peer_send_str(peer, "NOOP\r\n");
	world_pass_ms(&f->world, 299000);
	expect(f, peer, GREETING "250 2.0.0 Ok\r\n");
	/* Half a command is no command: a byte now and then wins no time. */
	peer_send_str(peer, "NO");
	world_pass_ms(&f->world, 999);
	assert_false(peer->closed);
	world_pass_ms(&f->world, 1);
	expect(f, peer, "421 4.4.2 gw.example.test Timeout\r\n");
	assert_true(peer->closed);
}

static void a_body_that_stalls_or_drips(void **state)
{
	struct fixture *f = *state;

	f->world.config.timeouts.transaction = 600000;
	world_start(&f->world);
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, "x");
	world_pass_ms(&f->world, 180000);
	expect(f, peer, "421 4.4.2 gw.example.test Timeout\r\n");
	assert_true(peer->closed);

	peer = connect_to_data(f);
	for (int i = 0; i < 5; i++) {
		peer_send_str(peer, "x");
		world_pass_ms(&f->world, 119999);
		assert_false(peer->closed);
	}
	world_pass_ms(&f->world, 5);
	expect(f, peer, "421 4.4.2 gw.example.test Timeout\r\n");
	assert_int_equal(f->world.writer.open_drafts, 0);
	assert_int_equal(refused(f, SMTPD_REFUSED_TIMEOUT), 2);
}

static void a_refused_chunk_has_no_endless_time(void **state)
{
	struct fixture *f = *state;

	f->world.config.timeouts.transaction = 600000;
	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	peer_send_str(peer, "EHLO c.example\r\nBDAT 18446744073709551615\r\n");
	for (int i = 0; i < 6; i++) {
		assert_false(peer->closed);
		peer_send_str(peer, "x");
		world_pass_ms(&f->world, 100000);
	}
	assert_true(peer->closed);
}

static void a_session_has_its_end(void **state)
{
	struct fixture *f = *state;

	f->world.config.timeouts.session = 1000000;
	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	for (int i = 0; i < 10; i++) {
		assert_false(peer->closed);
		peer_send_str(peer, "NOOP\r\n");
		world_pass_ms(&f->world, 100000);
	}
	assert_true(peer->closed);
}

/* The client waits for us: that costs it nothing. */
static void a_slow_commit_is_no_timeout(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.hold = true;
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, ".\r\n");
	world_pass_ms(&f->world, 10000000);
	assert_false(peer->closed);
	world_commit(&f->world, 0);
	world_pass_ms(&f->world, 299999);
	expect(f, peer, QUEUED_0);
	world_pass_ms(&f->world, 1);
	assert_true(peer->closed);
}

/* ---- memory, and clients that do not read ---------------------------------------------------- */

static void a_body_waits_for_memory_but_not_for_ever(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.starve = true;
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, "text\r\n.\r\nNOOP\r\n");
	assert_true(peer->paused);
	expect(f, peer, "");
	world_pass_ms(&f->world, 29999);
	f->world.writer.starve = false;
	world_settle(&f->world);
	expect(f, peer, QUEUED_0 "250 2.0.0 Ok\r\n");
	assert_false(peer->paused);

	f->world.writer.starve = true;
	peer_send_str(peer, TO_DATA "text\r\n.\r\nNOOP\r\n");
	expect(f, peer, DATA_REPLIES);
	world_pass_ms(&f->world, 30000);
	expect(f, peer, "452 4.3.1 Insufficient system storage; try later\r\n250 2.0.0 Ok\r\n");
	assert_int_equal(f->world.writer.open_drafts, 0);
}

static void a_client_that_does_not_read_is_not_listened_to(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.commands = 0;
	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	peer->reads = false;
	for (int i = 0; i < 100000; i++)
		buf_add_str(&peer->input, "NOOP\r\n");
	world_settle(&f->world);
	assert_true(peer->paused);
	assert_true(peer->unread < 128 * 1024);
	assert_true(peer->input.n > 0);
	size_t replies = 0;
	for (int i = 0; i < 1000 && (peer->input.n || peer->unread); i++)
		peer_read(peer);
	for (struct span left = buf_span(&peer->replies); left.n; replies++)
		left = span_skip(left, span_find(left, '\n') + 1);
	assert_int_equal(replies, 1 + 100000);
	assert_false(peer->paused);
}

static void many_recipients_stay_within_bounds(void **state)
{
	struct fixture *f = *state;
	char line[200];

	f->world.config.limits.recipients = 1000000;
	f->world.config.limits.commands = 0;
	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	peer_send_str(peer, "EHLO c.example\r\nMAIL FROM:<bob@b.example>\r\n");
	for (int i = 0; i < 60000; i++) {
		snprintf(line, sizeof(line), "RCPT TO:<%060d@a.example>\r\n", i);
		buf_add_str(&peer->input, line);
		if (i % 1000 == 0)
			world_settle(&f->world);
	}
	world_settle(&f->world);
	buf_clear(&peer->replies);
	peer_send_str(peer, "RCPT TO:<last@a.example>\r\n");
	assert_memory_equal(peer->replies.p, "452 4.3.1 ", 10);
	buf_clear(&peer->replies);
	peer_send_str(peer, "DATA\r\n.\r\n");
	expect(f, peer, "354 End data with <CR><LF>.<CR><LF>\r\n" QUEUED_0);
	assert_true(f->world.messages[0].envelope.rcpt_count > 1000);
	/* And all memory is back. */
	peer_send_str(peer, "MAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n.\r\n");
	expect(f, peer,
		"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n" QUEUED_1);
}

/* ---- limits over sessions
 * --------------------------------------------------------------------- */

static void connections_are_limited(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.connections = 3;
	f->world.config.limits.connections_per_client = 2;
	world_start(&f->world);
	struct peer *one = world_connect(&f->world, "192.0.2.7", NULL);
	assert_non_null(one);
	assert_non_null(world_connect(&f->world, "192.0.2.7", NULL));
	assert_null(world_connect(&f->world, "192.0.2.7", &f->text));
	assert_memory_equal(
		f->text.p, "421 4.7.0 gw.example.test Too many connections from your", 56);
	assert_non_null(world_connect(&f->world, "192.0.2.8", NULL));
	buf_clear(&f->text);
	assert_null(world_connect(&f->world, "192.0.2.9", &f->text));
	assert_memory_equal(f->text.p, "421 4.3.2 ", 10);
	assert_int_equal(refused(f, SMTPD_REFUSED_CONNECTION), 2);
	peer_send_str(one, "QUIT\r\n");
	assert_non_null(world_connect(&f->world, "192.0.2.7", NULL));
}

static void a_spool_that_is_not_well_takes_no_connections(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	f->world.writer.health = SPOOL_FULL;
	assert_null(world_connect(&f->world, "192.0.2.7", &f->text));
	assert_memory_equal(f->text.p, "421 4.3.1 ", 10);
	buf_clear(&f->text);
	f->world.writer.health = SPOOL_SICK;
	assert_null(world_connect(&f->world, "192.0.2.7", &f->text));
	assert_memory_equal(f->text.p, "421 4.3.0 ", 10);
	f->world.writer.health = SPOOL_WELL;
	assert_non_null(world_connect(&f->world, "192.0.2.7", NULL));
}

static void a_full_queue_takes_no_mail(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	smtpd_set_queue_full(f->world.smtpd, true);
	peer_send_str(peer, "HELO c.example\r\nMAIL FROM:<bob@b.example>\r\n");
	expect(f, peer, GREETING "250 gw.example.test\r\n452 4.3.1 Queue is full; try later\r\n");
	smtpd_set_queue_full(f->world.smtpd, false);
	peer_send_str(peer, "MAIL FROM:<bob@b.example>\r\n");
	expect(f, peer, "250 2.1.0 Ok\r\n");
}

/* ---- the directory
 * ---------------------------------------------------------------------------- */

static void a_transaction_keeps_its_generation(void **state)
{
	struct fixture *f = *state;
	const struct priority_rule rule = {.recipient = SPAN("@a.example")};
	struct snapshot *snapshot = world_snapshot_new();

	world_set_priority(snapshot, &rule);
	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	peer_send_str(peer, "HELO c.example\r\nMAIL FROM:<bob@b.example>\r\n");
	smtpd_set_snapshot(f->world.smtpd, snapshot);
	assert_int_equal(world_snapshot_refs(snapshot), 2);
	peer_send_str(peer, "RCPT TO:<x@a.example>\r\nDATA\r\n.\r\n");
	peer_send_str(peer, "MAIL FROM:<bob@b.example>\r\n");
	assert_int_equal(world_snapshot_refs(snapshot), 3);
	peer_send_str(peer, "RCPT TO:<ann@c.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n.\r\n");
	assert_int_equal(world_snapshot_refs(snapshot), 2);
	snapshot_release(&snapshot);
	assert_int_equal(f->world.message_count, 2);
	assert_false(f->world.messages[0].envelope.flags & ENVELOPE_PRIORITY);
	assert_true(f->world.messages[1].envelope.flags & ENVELOPE_PRIORITY);
}

static void the_envelope_says_all_that_was_said(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	peer_send_str(peer,
		"EHLO client.example\r\n"
		"MAIL FROM:<bob@b.example> RET=FULL ENVID=Q+2B1 BODY=8BITMIME SMTPUTF8\r\n"
		"RCPT TO:<x@a.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;y@a.example\r\n"
		"RCPT TO:<ann@c.example> NOTIFY=NEVER\r\nDATA\r\n"
		"Received: from there\r\nSubject: \xc3\xa9\r\n\r\n..\r\n.\r\n");
	const struct world_message *m = &f->world.messages[0];
	const struct envelope *e = &m->envelope;
	assert_int_equal(f->world.message_count, 1);
	assert_true(span_equal(e->sender, SPAN("bob@b.example")));
	assert_true(span_equal(e->envid, SPAN("Q+2B1")));
	assert_int_equal(e->ret, RETURN_FULL);
	assert_true(span_equal(e->helo, SPAN("client.example")));
	assert_true(span_equal(e->listener, SPAN("mx")));
	assert_true(span_equal(e->protocol, SPAN("UTF8SMTP")));
	assert_int_equal(e->rcpt_count, 2);
	assert_true(span_equal(e->rcpts[0].orcpt, SPAN("rfc822;y@a.example")));
	assert_int_equal(e->rcpts[0].notify, NOTIFY_SUCCESS | NOTIFY_FAILURE);
	assert_int_equal(e->rcpts[1].notify, NOTIFY_NEVER);
	assert_int_equal(e->hops, 1);
	assert_int_equal(e->flags, ENVELOPE_SMTPUTF8 | ENVELOPE_8BITMIME | ENVELOPE_BODY_8BIT |
					   ENVELOPE_HEADER_8BIT | ENVELOPE_BODY_STUFFED);
	assert_true(e->arrived_ms == f->world.io.wall_ms);
	assert_int_equal(e->client.ip[3], 7);
	assert_true(span_starts_nocase(e->prepend,
		SPAN("Received: from client.example ([192.0.2.7])\r\n\tby gw.example.test ")));
	/* Two recipients: neither is named. */
	assert_int_equal(span_find(e->prepend, '<'), e->prepend.n);
	assert_int_equal(m->body.n, e->body_bytes);
	assert_int_equal(e->header_bytes, m->body.n - 4);
}

/* RFC 5321 section 4.5.1: taken from anybody, for whoever the directory names. Notifications still
 * know the address that the sender wrote (RFC 3461 section 5.2.1). */
static void the_postmaster_s_mail_goes_to_whom_the_directory_names(void **state)
{
	struct fixture *f = *state;
	struct snapshot *snapshot = world_snapshot_new();

	world_set_postmaster(snapshot, "ops@far.example");
	world_start(&f->world);
	smtpd_set_snapshot(f->world.smtpd, snapshot);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	peer_send_str(peer,
		"EHLO client.example\r\nMAIL FROM:<bob@b.example>\r\n"
		"RCPT TO:<Postmaster> NOTIFY=NEVER\r\nRCPT TO:<postmaster@C.example>\r\n"
		"DATA\r\n.\r\n"
		"MAIL FROM:<bob@b.example>\r\n"
		"RCPT TO:<postmaster@c.example> ORCPT=rfc822;own@d.example\r\nDATA\r\n.\r\n"
		"MAIL FROM:<bob@b.example>\r\nRCPT TO:<ops@far.example>\r\n"
		"RCPT TO:<hostmaster@c.example>\r\n");
	assert_non_null(
		strstr(peer_replies(peer, &f->text), "250 2.1.0 Ok\r\n550 5.7.1 relaying denied"));
	assert_int_equal(f->world.message_count, 2);
	const struct envelope *e = &f->world.messages[0].envelope;
	assert_int_equal(e->rcpt_count, 1);
	assert_true(span_equal(e->rcpts[0].address, SPAN("ops@far.example")));
	assert_true(span_equal(e->rcpts[0].orcpt, SPAN("rfc822;postmaster@gw.example.test")));
	assert_int_equal(e->rcpts[0].notify, NOTIFY_NEVER);
	e = &f->world.messages[1].envelope;
	assert_true(span_equal(e->rcpts[0].address, SPAN("ops@far.example")));
	assert_true(span_equal(e->rcpts[0].orcpt, SPAN("rfc822;own@d.example")));
	snapshot_release(&snapshot);
}

/* ---- stopping
 * --------------------------------------------------------------------------------- */

static void count_drained(void *arg)
{
	++*(int *)arg;
}

static void stopping_lets_transactions_end(void **state)
{
	struct fixture *f = *state;
	int drained = 0;

	world_start(&f->world);
	struct peer *idle = world_connect(&f->world, "192.0.2.7", NULL);
	struct peer *busy = connect_to_data(f);
	struct peer *slow = connect_to_data(f);
	smtpd_drain(f->world.smtpd, 10000, count_drained, &drained);
	world_settle(&f->world);
	expect(f, idle, GREETING "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_true(idle->closed);
	assert_false(idle->lingers); /* it may never look */
	assert_null(world_connect(&f->world, "192.0.2.7", NULL));
	peer_send_str(busy, "text\r\n.\r\nNOOP\r\n");
	expect(f, busy, QUEUED_0 "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_true(busy->closed);
	assert_true(busy->lingers); /* so that its 250 is not lost */
	assert_int_equal(drained, 0);
	world_pass_ms(&f->world, 10000);
	expect(f, slow, "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_true(slow->closed);
	assert_false(slow->lingers);
	assert_int_equal(drained, 1);
}

static void stopping_waits_for_a_commit(void **state)
{
	struct fixture *f = *state;
	int drained = 0;

	world_start(&f->world);
	f->world.writer.hold = true;
	struct peer *peer = connect_to_data(f);
	peer_send_str(peer, "text\r\n.\r\n");
	smtpd_drain(f->world.smtpd, 1000, count_drained, &drained);
	world_pass_ms(&f->world, 5000);
	assert_false(peer->closed);
	assert_int_equal(drained, 0);
	world_commit(&f->world, 0);
	world_settle(&f->world);
	expect(f, peer, QUEUED_0 "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_int_equal(drained, 1);
}

static void stopping_with_nobody_there(void **state)
{
	struct fixture *f = *state;
	int drained = 0;

	world_start(&f->world);
	smtpd_drain(f->world.smtpd, 1000, count_drained, &drained);
	assert_int_equal(drained, 0);
	world_settle(&f->world);
	assert_int_equal(drained, 1);
	world_pass_ms(&f->world, 5000);
	assert_int_equal(drained, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_reply_before_the_message_is_durable),
		TEST(a_failed_commit_is_told_and_the_session_goes_on),
		TEST(no_draft_no_body),
		TEST(an_outcome_in_doubt_gets_no_reply),
		TEST(a_client_that_vanishes_leaves_its_message),
		TEST(a_client_that_only_shuts_its_side_gets_all_replies),
		TEST(half_a_message_is_none),
		TEST(the_end_of_the_server_in_the_middle),
		TEST(an_idle_client_is_sent_away),
		TEST(a_body_that_stalls_or_drips),
		TEST(a_refused_chunk_has_no_endless_time),
		TEST(a_session_has_its_end),
		TEST(a_slow_commit_is_no_timeout),
		TEST(a_body_waits_for_memory_but_not_for_ever),
		TEST(a_client_that_does_not_read_is_not_listened_to),
		TEST(many_recipients_stay_within_bounds),
		TEST(connections_are_limited),
		TEST(a_spool_that_is_not_well_takes_no_connections),
		TEST(a_full_queue_takes_no_mail),
		TEST(a_transaction_keeps_its_generation),
		TEST(the_envelope_says_all_that_was_said),
		TEST(the_postmaster_s_mail_goes_to_whom_the_directory_names),
		TEST(stopping_lets_transactions_end),
		TEST(stopping_waits_for_a_commit),
		TEST(stopping_with_nobody_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
