/* Refused clients: what the trace says of them, and how many refusals one may have. */
#include "world.h"

#include "base/err.h"
#include "smtpd/session.h"

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

/* Connected, and all that was said so far is forgotten. */
static struct peer *client(struct fixture *f, const char *address, const char *says)
{
	struct peer *peer = world_connect(&f->world, address, NULL);

	assert_non_null(peer);
	peer_send_str(peer, says);
	peer_replies(peer, &f->text);
	return peer;
}

static void expect(struct fixture *f, struct peer *peer, const char *replies)
{
	assert_string_equal(peer_replies(peer, &f->text), replies);
}

static void expect_code(struct fixture *f, struct peer *peer, const char *code)
{
	assert_memory_equal(peer_replies(peer, &f->text), code, strlen(code));
}

static const struct world_event *last_event(struct fixture *f)
{
	assert_true(f->world.event_count > 0);
	return &f->world.events[f->world.event_count - 1];
}

#define HELLO "EHLO c.example\r\n"
#define MAIL  "MAIL FROM:<bob@b.example>\r\n"

/* ---- what the trace says --------------------------------------------------------------------- */

static void a_refused_body_names_its_recipients(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = client(f, "192.0.2.7",
		HELLO MAIL "RCPT TO:<ann@c.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n");
	peer_send_str(peer, "bare\nline feed\r\n.\r\n");
	expect_code(f, peer, "550 5.6.0 ");
	const struct world_event *e = last_event(f);
	assert_int_equal(e->kind, EVENT_REJECTION);
	assert_int_equal(e->recipients, 2);
	assert_string_equal(e->recipient, "ann@c.example");
	assert_string_equal(e->sender, "bob@b.example");
	/* A refused recipient stands alone: the others were not refused. */
	peer_send_str(peer, MAIL "RCPT TO:<ann@c.example>\r\nRCPT TO:<no@c.example>\r\n");
	e = last_event(f);
	assert_int_equal(e->recipients, 1);
	assert_string_equal(e->recipient, "no@c.example");
}

static void a_message_that_never_came_names_its_recipients(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	client(f, "192.0.2.7", HELLO MAIL "RCPT TO:<ann@c.example>\r\nDATA\r\n");
	world_pass_ms(&f->world, 180000);
	assert_int_equal(last_event(f)->code, 421);
	assert_string_equal(last_event(f)->recipient, "ann@c.example");
}

static void very_many_recipients_are_not_all_named(void **state)
{
	struct fixture *f = *state;
	char line[100];

	f->world.config.limits.recipients = 5000;
	f->world.config.limits.commands = 0;
	world_start(&f->world);
	struct peer *peer = client(f, "192.0.2.7", HELLO MAIL);
	for (int i = 0; i < 3000; i++) {
		snprintf(line, sizeof(line), "RCPT TO:<r%d@a.example>\r\n", i);
		peer_send_str(peer, line);
	}
	peer_send_str(peer, "DATA\r\nbare\n\r\n.\r\n");
	assert_int_equal(last_event(f)->code, 550);
	assert_int_equal(last_event(f)->recipients, 1000);
}

static void a_refused_command_names_its_address(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *line, *sender, *recipient;
		uint16_t code;
	} cases[] = {
		/* no address: as it was given */
		{"RCPT TO:<x y@a.example>", "bob@b.example", "x y@a.example", 501},
		{"RCPT TO:<@>", "bob@b.example", "@", 501},
		{"RCPT TO:<\"x>y\" @a.example> NOTIFY=NEVER", "bob@b.example", "\"x>y\" @a.example",
			501},
		{"RCPT TO:x y@a.example", "bob@b.example", "x", 501},
		{"RCPT TO:<\x01@a.example>", "bob@b.example", "\x01@a.example", 500},
		{"RCPT TO:<\xff@a.example>", "bob@b.example", "\xff@a.example", 501},
		{"RCPT TO:<never ends", "bob@b.example", "never ends", 501},
		/* an address with parameters that nobody knows: as it is searched for */
		{"RCPT TO:<\"Ann\"@C.EXAMPLE> X=Y", "bob@b.example", "Ann@c.example", 555},
		{"RCPT TO:<Postmaster> X=Y", "bob@b.example", "postmaster", 555},
		{"RCPT TO:<ann@c.example> NOTIFY=SOMETIMES", "bob@b.example", "ann@c.example", 501},
	};
	static const struct {
		const char *line, *sender;
		uint16_t code;
	} mails[] = {
		{"MAIL FROM:<x y@a.example>", "x y@a.example", 501},
		{"MAIL FROM:<Ann@C.EXAMPLE> X=Y", "Ann@c.example", 555},
		{"MAIL FROM:<ann@c.example> SIZE=1x", "ann@c.example", 501},
		{"MAIL FROM:<ann@c.example> SIZE=99999999", "ann@c.example", 552},
		{"MAIL FROM:<ann@[127.0.0.1]>", "ann@[127.0.0.1]", 553},
		{"MAIL FROM:<> X=Y", "", 555},
	};

	world_start(&f->world);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct peer *peer = client(f, "192.0.2.7", HELLO MAIL);
		peer_send_str(peer, cases[i].line);
		peer_send_str(peer, "\r\n");
		const struct world_event *e = last_event(f);
		assert_int_equal(e->kind, EVENT_REJECTION);
		assert_int_equal(e->code, cases[i].code);
		assert_string_equal(e->recipient, cases[i].recipient);
		assert_string_equal(e->sender, cases[i].sender);
	}
	for (size_t i = 0; i < ARRAY_SIZE(mails); i++) {
		struct peer *peer = client(f, "192.0.2.7", HELLO);
		peer_send_str(peer, mails[i].line);
		peer_send_str(peer, "\r\n");
		const struct world_event *e = last_event(f);
		assert_int_equal(e->code, mails[i].code);
		assert_true(e->sender_known);
		assert_string_equal(e->sender, mails[i].sender);
		assert_int_equal(e->recipients, 0);
	}
	/* Where no mail can be taken at all, whose it was is known too. */
	smtpd_set_queue_full(f->world.smtpd, true);
	client(f, "192.0.2.7", HELLO MAIL);
	assert_int_equal(last_event(f)->code, 452);
	assert_string_equal(last_event(f)->sender, "bob@b.example");
}

static void what_is_said_of_an_address_is_bounded(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	struct peer *peer = client(f, "192.0.2.7", HELLO MAIL "RCPT TO:<");
	for (int i = 0; i < 190; i++)
		peer_send_str(peer, "0123456789");
	peer_send_str(peer, "@a.example>\r\n");
	assert_int_equal(last_event(f)->code, 501);
	assert_int_equal(strlen(last_event(f)->recipient), ADDRESS_MAILBOX_BYTES);
}

/* ---- senders that are address literals ------------------------------------------------------- */

static void a_private_sender_from_its_own_network(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *client, *sender, *code;
	} cases[] = {
		{"192.168.7.8", "192.168.7.1", "250"},
		{"192.168.7.8", "192.168.9.1", "250"},
		{"192.168.7.8", "10.0.0.1", "553"},
		{"192.168.7.8", "127.0.0.1", "553"},
		{"10.1.0.1", "10.1.200.7", "250"},
		{"10.1.0.1", "10.2.0.7", "553"},
		{"10.1.0.1", "0.0.0.0", "553"},
		{"fd00:1:2:3::4", "IPv6:fd00:1:2:9::9", "250"},
		{"fd00:1:2:3::4", "IPv6:fd00:1:3::9", "553"},
		{"fd00:1:2:3::4", "IPv6:::1", "553"},
		{"fd00:1:2:3::4", "10.0.0.1", "553"},
		{"127.0.0.1", "IPv6:fd00:1:3::9", "250"},
	};

	world_start(&f->world);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[100];
		struct peer *peer = client(f, cases[i].client, HELLO);

		snprintf(line, sizeof(line), "MAIL FROM:<x@[%s]>\r\n", cases[i].sender);
		peer_send_str(peer, line);
		expect_code(f, peer, cases[i].code);
	}
}

/* ---- how many ----------------------------------------------------------------------------------
 */

static uint64_t held(const struct fixture *f)
{
	const struct session *s = CONTAINER_OF(f->world.smtpd->sessions.next, struct session, node);

	return s->arena.used;
}

/* What was refused costs nothing any more; what was taken is counted. */
static void refused_recipients_hold_no_memory(void **state)
{
	struct fixture *f = *state;
	struct buf line;

	f->world.config.limits.commands = 0;
	world_start(&f->world);
	struct peer *peer = client(f, "192.0.2.7", HELLO MAIL "RCPT TO:<ann@c.example>\r\n");
	uint64_t before = held(f);

	buf_init(&line, 4096);
	buf_add_str(&line, "RCPT TO:<");
	for (int i = 0; i < 50; i++)
		buf_add_char(&line, 'x');
	buf_add_str(&line, "@c.example> ORCPT=rfc822;");
	for (int i = 0; i < 400; i++)
		buf_add_char(&line, 'y');
	buf_add_str(&line, "\r\n");
	for (int i = 0; i < 1000; i++)
		peer_send(peer, buf_span(&line));
	/* the same one again, another spelling */
	for (int i = 0; i < 1000; i++)
		peer_send_str(peer, "RCPT TO:<\"ann\"@C.example> ORCPT=rfc822;ann@c.example\r\n");
	for (int i = 0; i < 19; i++)
		peer_send_str(peer, "RCPT TO:<nonsense\r\n");
	assert_true(held(f) - before < 1024);
	assert_int_equal(f->world.smtpd->envelope_bytes, held(f));
	assert_int_equal(f->world.smtpd->parsed.used, 0);
	/* The message is as good as before. */
	buf_clear(&peer->replies);
	peer_send_str(peer, "DATA\r\n.\r\n");
	assert_int_equal(f->world.message_count, 1);
	assert_int_equal(f->world.messages[0].envelope.rcpt_count, 1);
	assert_true(span_equal(f->world.messages[0].envelope.sender, SPAN("bob@b.example")));
	assert_true(
		span_equal(f->world.messages[0].envelope.rcpts[0].address, SPAN("ann@c.example")));
	assert_int_equal(f->world.smtpd->envelope_bytes, 0);
	buf_done(&line);
}

#define REFUSE "RCPT TO:<no@c.example>\r\n"

static void refused_recipients_have_their_end(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.refused_recipients = 4;
	world_start(&f->world);
	struct peer *peer =
		client(f, "192.0.2.7", HELLO MAIL REFUSE REFUSE "RCPT TO:<ann@c.example>\r\n");
	/* What may pass is no guess. */
	for (int i = 0; i < 5; i++)
		peer_send_str(peer, "RCPT TO:<x@broken.example>\r\n");
	peer_replies(peer, &f->text);
	/* A message begins the count anew; a reset does not. */
	peer_send_str(peer, "DATA\r\n.\r\n" MAIL REFUSE "RSET\r\n" MAIL REFUSE);
	peer_replies(peer, &f->text);
	/* From half on, what follows waits for a second. */
	peer_send_str(peer, REFUSE "NOOP\r\nNOOP\r\n");
	expect_code(f, peer, "550 5.1.1 ");
	world_pass_ms(&f->world, 999);
	expect(f, peer, "");
	peer_send_str(peer, "NOOP\r\n");
	expect(f, peer, "");
	world_pass_ms(&f->world, 1);
	expect(f, peer, "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
	world_pass_ms(&f->world, 10000);
	assert_false(peer->closed);
	peer_send_str(peer, REFUSE "NOOP\r\n");
	const char *said = peer_replies(peer, &f->text);
	assert_memory_equal(said, "550 5.1.1 ", 10);
	assert_non_null(
		strstr(said, "\r\n421 4.7.0 gw.example.test Too many refused recipients\r\n"));
	assert_true(peer->closed);
	assert_int_equal(last_event(f)->code, 421);
}

static void no_limit_no_wait(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.refused_recipients = 0;
	f->world.config.limits.commands = 0;
	world_start(&f->world);
	struct peer *peer = client(f, "192.0.2.7", HELLO MAIL);
	for (int i = 0; i < 5000; i++)
		peer_send_str(peer, REFUSE);
	peer_replies(peer, &f->text);
	peer_send_str(peer, "NOOP\r\n");
	expect(f, peer, "250 2.0.0 Ok\r\n");
}

/* A client that waits and goes, or is cut off meanwhile. */
static void waiting_holds_nothing_up(void **state)
{
	struct fixture *f = *state;
	struct smtpd_figures figures;

	f->world.config.limits.refused_recipients = 4;
	world_start(&f->world);
	struct peer *gone = client(f, "192.0.2.7", HELLO MAIL REFUSE REFUSE REFUSE);
	peer_eof(gone, ERR_CLOSED);
	assert_true(gone->closed);
	/* What it sent before it shut its side is answered. */
	struct peer *half = client(f, "192.0.2.7", HELLO MAIL REFUSE REFUSE REFUSE);
	peer_send_str(half, "NOOP\r\n");
	peer_eof(half, 0);
	assert_false(half->closed);
	world_pass_ms(&f->world, 1000);
	expect(f, half, "250 2.0.0 Ok\r\n");
	assert_true(half->closed);
	/* Much input is not taken in meanwhile. */
	struct peer *flood = client(f, "192.0.2.7", HELLO MAIL REFUSE REFUSE REFUSE);
	for (int i = 0; i < 20000; i++)
		buf_add_str(&flood->input, "NOOP\r\n");
	world_settle(&f->world);
	assert_true(flood->paused);
	assert_true(flood->input.n > 100000);
	smtpd_figures(f->world.smtpd, &figures);
	assert_int_equal(figures.sessions_now, 1);
}

/* ---- lost connections ------------------------------------------------------------------------ */

static struct {
	int each;
	uint64_t more;
} heard;

static void hear(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	(void)log;
	(void)level;
	heard.each += strcmp(message, "connection lost in a transaction") == 0;
	if (strcmp(message, "more connections lost in a transaction") != 0)
		return;
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, "connections") == 0)
			heard.more += fields[i].u64;
}

static void lose_one(struct fixture *f, const char *address)
{
	struct peer *peer = client(f, address, HELLO MAIL);

	peer_eof(peer, 0);
	assert_true(peer->closed);
	/* The world has room for few. */
	assert_ptr_equal(f->world.peers[--f->world.peer_count], peer);
	buf_done(&peer->input);
	buf_done(&peer->replies);
	free(peer);
}

/* Who loses them as fast as it can fills no log; others are still told. */
static void lost_connections_are_summed_up(void **state)
{
	struct fixture *f = *state;

	world_start(&f->world);
	heard.each = 0;
	heard.more = 0;
	f->world.smtpd->c.log->write = hear;
	for (int i = 0; i < 1000; i++)
		lose_one(f, "192.0.2.7");
	assert_int_equal(heard.each, FLOOD_SHOWN);
	lose_one(f, "192.0.2.8");
	assert_int_equal(heard.each, FLOOD_SHOWN + 1);
	assert_int_equal(heard.more, 0);
	world_pass_ms(&f->world, FLOOD_MINUTE_MS);
	assert_int_equal(heard.more, 1000 - FLOOD_SHOWN);
	lose_one(f, "192.0.2.7");
	assert_int_equal(heard.each, FLOOD_SHOWN + 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_refused_body_names_its_recipients),
		TEST(a_message_that_never_came_names_its_recipients),
		TEST(very_many_recipients_are_not_all_named),
		TEST(a_refused_command_names_its_address),
		TEST(what_is_said_of_an_address_is_bounded),
		TEST(a_private_sender_from_its_own_network),
		TEST(refused_recipients_hold_no_memory),
		TEST(refused_recipients_have_their_end),
		TEST(no_limit_no_wait),
		TEST(waiting_holds_nothing_up),
		TEST(lost_connections_are_summed_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
