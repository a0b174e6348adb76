/* STARTTLS (RFC 3207), TLS from the first byte (RFC 8314), REQUIRETLS (RFC 8689): what is offered
 * when, what is forgotten, and attacks on the moment between. */
#include "fixture.h"

#define GO_AHEAD "220 2.0.0 Go ahead\r\n"

static void start(struct fixture *f)
{
	f->listener->tls.certificate = SPAN("gw.crt");
	world_start(&f->world);
	world_give_tls(&f->world);
}

/* EHLO was said, and STARTTLS is offered. */
static struct peer *hello(struct fixture *f)
{
	struct peer *peer = greeted(f, "192.0.2.7");

	say(f, peer, EHLO, CAPS "250-STARTTLS\r\n" HELP);
	return peer;
}

static struct peer *protected(struct fixture *f)
{
	struct peer *peer = hello(f);

	say(f, peer, "STARTTLS\r\n", GO_AHEAD);
	assert_true(peer->shaking);
	peer_handshake(peer, 0);
	expect(f, peer, "");
	return peer;
}

static void after_the_handshake_nothing_of_before_is_known(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	say(f, peer, "MAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\n",
		"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	/* RFC 3207 lets it in, and what was begun is dropped. */
	say(f, peer, "STARTTLS\r\n", GO_AHEAD);
	peer_handshake(peer, 0);
	say(f, peer, "RCPT TO:<x@a.example>\r\n", "503 5.5.1 Say MAIL first\r\n");
	say(f, peer, "MAIL FROM:<bob@b.example>\r\n", "503 5.5.1 Say EHLO or HELO first\r\n");
	say(f, peer, EHLO,
		CAPS
		"250-REQUIRETLS\r\n250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" HELP);
	say(f, peer, "STARTTLS\r\n", "503 5.5.1 TLS is on already\r\n");
	assert_int_equal(figures(f).tls, 1);
	assert_int_equal(figures(f).tls_resumed, 0);
}

static void a_message_says_how_it_came(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = protected(f);
	peer_send_str(peer, EHLO "MAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n"
				 "Subject: x\r\n\r\n.\r\nQUIT\r\n");
	assert_true(peer->closed);
	assert_int_equal(f->world.message_count, 1);
	const struct envelope *e = &f->world.messages[0].envelope;
	assert_true(span_equal(e->protocol, SPAN("ESMTPS")));
	static const char how[] = "ESMTPS\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384)";
	assert_non_null(memmem(e->prepend.p, e->prepend.n, how, sizeof(how) - 1));
	assert_int_equal(e->user.n, 0);
	assert_string_equal(last_event(f)->tls, "TLSv1.3 TLS_AES_256_GCM_SHA384");
}

/* CVE-2011-0411 and its many relatives. */
static void bytes_behind_starttls_in_the_same_packet(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	say(f, peer, "STARTTLS\r\nMAIL FROM:<evil@b.example>\r\n", GO_AHEAD);
	assert_true(peer->closed);
	assert_false(peer->shaking);
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 1);
	assert_string_equal(last_event(f)->reason, "Bytes before the handshake");
	assert_int_equal(figures(f).sessions_now, 0);
}

static void bytes_behind_starttls_in_the_next_packet(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	/* They wait in the kernel when the 220 goes out: a read of just one line. */
	f->world.writer.hold = true;
	say(f, peer,
		"MAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n.\r\nSTARTTLS\r\n",
		"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n");
	peer->input.n = 0;
	buf_add_str(&peer->input, "NOOP\r\n");
	world_commit(&f->world, 0);
	io_turns_run(&f->world.io);
	assert_true(peer->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 1);
	expect(f, peer, "250 2.0.0 Ok: queued as 6p000000g0000\r\n" GO_AHEAD);
	/* Or they come when the handshake is under way: OpenSSL takes them for nonsense. */
	peer = hello(f);
	say(f, peer, "STARTTLS\r\n", GO_AHEAD);
	say(f, peer, "MAIL FROM:<evil@b.example>\r\n", "");
	assert_true(peer->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 2);
	assert_string_equal(
		last_event(f)->reason, "TLS handshake failed: no \\x22shared\\x22 cipher");
}

/* The first bytes of its handshake are there when the server looks again: they are no attack. */
static void a_client_that_answers_at_once(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	peer->quick = true;
	say(f, peer, "STARTTLS\r\n", GO_AHEAD);
	assert_true(peer->shaking);
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 0);
}

static void a_client_that_does_not_read_the_220(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	peer->reads = false;
	peer_send_str(peer, "STARTTLS\r\n");
	assert_false(peer->shaking);
	peer_read(peer);
	assert_true(peer->shaking);
	peer_handshake(peer, 0);
	/* What comes before it has read it came before the handshake. */
	peer = hello(f);
	peer->reads = false;
	peer_send_str(peer, "STARTTLS\r\n");
	peer_send_str(peer, "NOOP\r\n");
	peer_read(peer);
	assert_true(peer->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 1);
}

static void a_handshake_has_its_end(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	say(f, peer, "STARTTLS\r\n", GO_AHEAD);
	/* The io sees to it; should it not, the session does. */
	world_pass_ms(&f->world, 64999);
	assert_false(peer->closed);
	world_pass_ms(&f->world, 1);
	assert_true(peer->closed);
	expect(f, peer, "");
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 1);
	peer = hello(f);
	say(f, peer, "STARTTLS\r\n", GO_AHEAD);
	peer_handshake(peer, ERR_TIMEOUT);
	assert_true(peer->closed);
	expect(f, peer, "");
}

static void peers_that_go_away(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	peer_send_str(peer, "STARTTLS\r\n");
	peer_eof(peer, 0);
	assert_true(peer->closed);
	peer = hello(f);
	peer->reads = false;
	peer_send_str(peer, "STARTTLS\r\n");
	peer_eof(peer, ERR_CLOSED);
	assert_true(peer->closed);
	peer = hello(f);
	peer->reads = false;
	peer_send_str(peer, "STARTTLS\r\n");
	peer_eof(peer, 0);
	assert_true(peer->closed);
	peer = protected(f);
	peer_eof(peer, 0);
	assert_true(peer->closed);
	assert_int_equal(figures(f).sessions_now, 0);
}

static void where_it_cannot_be_said(void **state)
{
	struct fixture *f = *state;

	/* Nothing was configured. */
	world_start(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	say(f, peer, EHLO "STARTTLS\r\n", CAPS HELP "502 5.5.1 Not offered here\r\n");
	/* It was, and the files are bad. */
	f->listener->tls.certificate = SPAN("gw.crt");
	say(f, peer, EHLO "STARTTLS\r\n", CAPS HELP "454 4.7.0 TLS not available now\r\n");
	world_give_tls(&f->world);
	say(f, peer, "HELO c.example\r\nSTARTTLS\r\n",
		"250 gw.example.test\r\n503 5.5.1 Say EHLO first\r\n");
	say(f, peer, "STARTTLS now\r\n", "501 5.5.4 This command has no argument\r\n");
	smtpd_set_tls(f->world.smtpd, 0, NULL);
	say(f, peer, EHLO, CAPS HELP);
}

static void a_certificate_that_goes_in_between(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	peer->reads = false;
	peer_send_str(peer, "STARTTLS\r\n");
	smtpd_set_tls(f->world.smtpd, 0, NULL);
	peer_read(peer);
	assert_true(peer->closed);
}

/* ---- implicit TLS --------------------------------------------------------------------------- */

static void start_implicit(struct fixture *f)
{
	f->listener->tls.mode = CONFIG_TLS_IMPLICIT;
	start(f);
}

static void tls_from_the_first_byte(void **state)
{
	struct fixture *f = *state;

	start_implicit(f);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	assert_non_null(peer);
	expect(f, peer, "");
	assert_true(peer->shaking);
	peer_handshake(peer, 0);
	expect(f, peer, GREETING);
	say(f, peer, EHLO,
		CAPS
		"250-REQUIRETLS\r\n250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n" HELP);
}

static void who_speaks_plain_smtp_there_is_told_nothing(void **state)
{
	struct fixture *f = *state;

	start_implicit(f);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	say(f, peer, EHLO, "");
	assert_true(peer->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 1);
}

static void no_certificate_no_greeting(void **state)
{
	struct fixture *f = *state;

	f->listener->tls.mode = CONFIG_TLS_IMPLICIT;
	world_start(&f->world);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);
	assert_non_null(peer);
	assert_true(peer->closed);
	expect(f, peer, "");
	assert_int_equal(refused(f, SMTPD_REFUSED_TLS), 1);
}

static void who_is_turned_away_there_is_told_nothing(void **state)
{
	struct fixture *f = *state;
	struct buf text;

	f->world.config.limits.connections_per_client = 1;
	start_implicit(f);
	buf_init(&text, 1000);
	struct peer *peer = world_connect(&f->world, "192.0.2.7", &text);
	assert_non_null(peer);
	assert_null(world_connect(&f->world, "192.0.2.7", &text));
	assert_int_equal(text.n, 0);
	assert_int_equal(refused(f, SMTPD_REFUSED_CONNECTION), 1);
	buf_done(&text);
}

static void drained(void *arg)
{
	*(bool *)arg = true;
}

static void stopping_says_nothing_in_a_handshake(void **state)
{
	struct fixture *f = *state;
	bool over = false;

	start(f);
	struct peer *one = hello(f), *two = protected(f);
	say(f, one, "STARTTLS\r\n", GO_AHEAD);
	smtpd_drain(f->world.smtpd, 1000, drained, &over);
	world_settle(&f->world);
	expect(f, one, "");
	expect(f, two, "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_true(one->closed && two->closed && over);
}

/* ---- RFC 8689 ------------------------------------------------------------------------------- */

static uint32_t flags_of_message(struct fixture *f, struct peer *peer, const char *text)
{
	uint32_t at = f->world.message_count;

	peer_send_str(peer, text);
	assert_int_equal(f->world.message_count, at + 1);
	return f->world.messages[at].envelope.flags & (ENVELOPE_REQUIRETLS | ENVELOPE_TLS_OPTIONAL);
}

static void requiretls_and_the_opposite(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *clear = hello(f), *peer = protected(f);
	say(f, clear, "MAIL FROM:<bob@b.example> REQUIRETLS\r\n",
		"555 5.5.4 Unknown parameter\r\n");
	peer_send_str(peer, EHLO);
	assert_int_equal(flags_of_message(f, peer,
				 "MAIL FROM:<bob@b.example> REQUIRETLS\r\nRCPT TO:<x@a.example>\r\n"
				 "DATA\r\nTLS-Required: No\r\n\r\n.\r\n"),
		ENVELOPE_REQUIRETLS);
	assert_int_equal(flags_of_message(f, peer,
				 "MAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\n"
				 "DATA\r\ntls-required:\r\n no \r\n\r\n.\r\n"),
		ENVELOPE_TLS_OPTIONAL);
	assert_int_equal(flags_of_message(f, peer,
				 "MAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\n"
				 "DATA\r\nTLS-Required: Yes\r\n\r\nTLS-Required: No\r\n.\r\n"),
		0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(after_the_handshake_nothing_of_before_is_known),
		TEST(a_message_says_how_it_came),
		TEST(bytes_behind_starttls_in_the_same_packet),
		TEST(bytes_behind_starttls_in_the_next_packet),
		TEST(a_client_that_answers_at_once),
		TEST(a_client_that_does_not_read_the_220),
		TEST(a_handshake_has_its_end),
		TEST(peers_that_go_away),
		TEST(where_it_cannot_be_said),
		TEST(a_certificate_that_goes_in_between),
		TEST(tls_from_the_first_byte),
		TEST(who_speaks_plain_smtp_there_is_told_nothing),
		TEST(no_certificate_no_greeting),
		TEST(who_is_turned_away_there_is_told_nothing),
		TEST(stopping_says_nothing_in_a_handshake),
		TEST(requiretls_and_the_opposite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
