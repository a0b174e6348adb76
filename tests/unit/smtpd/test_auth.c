/* AUTH (RFC 4954) and what follows from it: mechanisms, order, attacks on the exchange, submission
 * rules. Right are ann@c.example and joe@c.example with "secret". */
#include "fixture.h"

#include "base/base64.h"
#include "smtpd/session.h"

#define PLAIN_RIGHT  "AUTH PLAIN AGFubkBjLmV4YW1wbGUAc2VjcmV0\r\n" /* ann@c.example, secret */
#define PLAIN_WRONG  "AUTH PLAIN AGFubkBjLmV4YW1wbGUAc2VjcmV1\r\n" /* …, secreu */
#define PLAIN_WRONG2 "AUTH PLAIN AGFubkBjLmV4YW1wbGUAd3Jvbmcy\r\n" /* …, wrong2 */
#define WELCOME	     "235 2.7.0 Welcome\r\n"
#define WRONG	     "535 5.7.8 User and password do not match\r\n"
#define AUTH_CAPS    "250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"

static void start(struct fixture *f)
{
	f->listener->auth_without_tls = true;
	world_start(&f->world);
}

static struct peer *hello(struct fixture *f)
{
	struct peer *peer = greeted(f, "192.0.2.7");

	say(f, peer, EHLO, CAPS AUTH_CAPS HELP);
	return peer;
}

static struct peer *hello_tls(struct fixture *f)
{
	f->listener->tls.certificate = SPAN("gw.crt");
	if (!f->world.smtpd)
		world_start(&f->world);
	world_give_tls(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	peer_send_str(peer, EHLO "STARTTLS\r\n");
	peer_handshake(peer, 0);
	peer_send_str(peer, EHLO);
	buf_clear(&peer->replies);
	return peer;
}

/* Who types his password where his name belongs has it in no log. */
static void a_name_that_is_none_is_not_told(void **state)
{
	struct fixture *f = *state;

	start(f);
	say(f, hello(f), "AUTH PLAIN AGh1bnRlcjIAYW5uQGMuZXhhbXBsZQ==\r\n",
		WRONG); /* hunter2, ann@c.example */
	assert_int_equal(last_event(f)->code, 535);
	assert_string_equal(last_event(f)->user, "(no address)");
	assert_false(logged(f, "hunter2"));
}

/* ---- mechanisms ----------------------------------------------------------------------------- */

static void plain_and_login(void **state)
{
	struct fixture *f = *state;

	start(f);
	say(f, hello(f), PLAIN_RIGHT, WELCOME);
	say(f, hello(f), PLAIN_WRONG, WRONG);
	struct peer *peer = hello(f);
	say(f, peer, "auth plain\r\n", "334 \r\n");
	say(f, peer, "AGFubkBjLmV4YW1wbGUAc2VjcmV0\r\n", WELCOME);
	peer = hello(f);
	say(f, peer, "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n");
	say(f, peer, "YW5uQGMuZXhhbXBsZQ==\r\n", "334 UGFzc3dvcmQ6\r\n");
	say(f, peer, "c2VjcmV0\r\n", WELCOME);
	peer = hello(f);
	say(f, peer, "AUTH LOGIN YW5uQGMuZXhhbXBsZQ==\r\n", "334 UGFzc3dvcmQ6\r\n");
	say(f, peer, "d3Jvbmc=\r\n", WRONG);
	/* He acts for himself, or for nobody else. */
	say(f, hello(f), "AUTH PLAIN YW5uQGMuZXhhbXBsZQBhbm5AYy5leGFtcGxlAHNlY3JldA==\r\n",
		WELCOME);
	say(f, hello(f), "AUTH PLAIN am9lQGMuZXhhbXBsZQBhbm5AYy5leGFtcGxlAHNlY3JldA==\r\n", WRONG);
	assert_int_equal(figures(f).logins, 4);
	assert_int_equal(refused(f, SMTPD_REFUSED_AUTH), 3);
	assert_string_equal(last_event(f)->user, "ann@c.example");
	assert_int_equal(last_event(f)->code, 535);
	assert_string_equal(last_event(f)->auth, "PLAIN");
	assert_string_equal(last_event(f)->why, "auth");
	assert_true(logged(f, "logged in user=ann@c.example mechanism=LOGIN client=192.0.2.7"));
	assert_string_equal(f->world.auth.user, "ann@c.example");
	assert_true(span_equal(f->world.auth.listener, SPAN("mx")));
}

/* Reads "334 " and base64. */
static struct span challenge(struct fixture *f, struct peer *peer, struct buf *out)
{
	const char *text = peer_replies(peer, &f->text);
	size_t n = strlen(text);

	assert_true(n > 6 && strncmp(text, "334 ", 4) == 0 && strcmp(text + n - 2, "\r\n") == 0);
	buf_clear(out);
	assert_true(base64_decode(span_of(text + 4, n - 6), out));
	return buf_span(out);
}

static void send_base64(struct peer *peer, const char *before, struct span message)
{
	struct buf line;

	buf_init(&line, 8000);
	buf_add_str(&line, before);
	base64_add(&line, message);
	buf_add_str(&line, "\r\n");
	peer_send(peer, buf_span(&line));
	buf_done(&line);
}

struct scram_try {
	const char *user, *password;
	bool plus;
	const uint8_t *exporter; /* the client's: NULL: none */
};

/* Plays the client up to its last word; what the server then says is left in the replies. */
static void scram(struct fixture *f, struct peer *peer, const struct scram_try *how)
{
	static const uint8_t nonce[SCRAM_NONCE] = "a nonce of the client's";
	struct scram_client c = {0};
	struct arena arena;
	struct buf message, said;

	arena_init(&arena, 100000);
	buf_init(&message, SCRAM_MESSAGE);
	buf_init(&said, SCRAM_MESSAGE);
	assert_int_equal(scram_client_first(&c, span_str(how->user), how->exporter, how->plus,
				 nonce, &arena, &message),
		0);
	send_base64(peer, how->plus ? "AUTH SCRAM-SHA-256-PLUS " : "AUTH SCRAM-SHA-256 ",
		buf_span(&message));
	if (peer->replies.p[0] == '3') {
		struct span first = arena_copy(&arena, challenge(f, peer, &said));

		buf_clear(&message);
		assert_int_equal(
			scram_client_final(&c, span_str(how->password), first, &arena, &message),
			0);
		send_base64(peer, "", buf_span(&message));
	}
	if (peer->replies.p[0] == '3') {
		assert_int_equal(scram_client_verify(&c, challenge(f, peer, &said)), 0);
		peer_send_str(peer, "\r\n");
	}
	buf_done(&message);
	buf_done(&said);
	arena_reset(&arena);
}

static void scram_without_a_binding(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	scram(f, peer, &(struct scram_try){.user = "ann@c.example", .password = "secret"});
	expect(f, peer, WELCOME);
	peer = hello(f);
	scram(f, peer, &(struct scram_try){.user = "ann@c.example", .password = "wrong"});
	expect(f, peer, WRONG);
	/* Nobody learns who there is: a salt comes in any case. */
	scram(f, peer, &(struct scram_try){.user = "eve@c.example", .password = "secret"});
	expect(f, peer, WRONG);
	assert_int_equal(f->world.auth.asked, 6);
	assert_int_equal(figures(f).logins, 1);
	/* A binding where there is none. */
	say(f, peer, "AUTH SCRAM-SHA-256-PLUS\r\n",
		"504 5.5.4 Mechanism not known, or not possible here\r\n");
}

static void scram_bound_to_the_link(void **state)
{
	struct fixture *f = *state;
	const uint8_t *right = f->world.tls_info.binding;
	static const uint8_t wrong[SCRAM_HASH] = {9, 9, 9};

	struct peer *peer = hello_tls(f);
	scram(f, peer, &(struct scram_try){"ann@c.example", "secret", true, right});
	expect(f, peer, WELCOME);
	/* Somebody sits in between, with a link to each side. */
	peer = hello_tls(f);
	scram(f, peer, &(struct scram_try){"ann@c.example", "secret", true, wrong});
	expect(f, peer, WRONG);
	/* Somebody took -PLUS out of what we offered. */
	scram(f, peer, &(struct scram_try){"ann@c.example", "secret", false, right});
	expect(f, peer, WRONG);
	assert_int_equal(f->world.auth.asked, 3);
}

static void the_client_must_answer_the_last_word(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->world.auth.hold = true;
	struct peer *peer = hello(f);
	say(f, peer, "AUTH SCRAM-SHA-256\r\n", "334 \r\n");
	say(f, peer, "biwsbj1hbm4sbT1y\r\n", "501 5.5.2 No first message of SCRAM\r\n");
	say(f, peer, "AUTH SCRAM-SHA-256 biwsbj1hbm4scj1y\r\n", "");
	f->world.auth.hold = false;
	world_settle(&f->world);
	buf_clear(&peer->replies);
	say(f, peer, "Yz1iaXdzLHI9cix4PXk=\r\n", "501 5.5.2 No final message of SCRAM\r\n");
	say(f, peer, "NOOP\r\n", "250 2.0.0 Ok\r\n");
}

/* ---- when ----------------------------------------------------------------------------------- */

static void no_password_in_clear(void **state)
{
	struct fixture *f = *state;

	f->listener->tls.certificate = SPAN("gw.crt");
	world_start(&f->world);
	world_give_tls(&f->world);
	/* Nor from this host itself. */
	struct peer *peer = greeted(f, "127.0.0.1");
	say(f, peer, EHLO, CAPS "250-STARTTLS\r\n" HELP);
	say(f, peer, PLAIN_RIGHT,
		"538 5.7.11 Say STARTTLS first: no password in clear is taken\r\n");
	say(f, peer, "MAIL FROM:<bob@b.example> AUTH=<>\r\n", "555 5.5.4 Unknown parameter\r\n");
	assert_int_equal(f->world.auth.asked, 0);
	say(f, hello_tls(f), PLAIN_RIGHT, WELCOME);
}

static void hidden_but_there(void **state)
{
	struct fixture *f = *state;

	start(f);
	world_set_relay(new_snapshot(f), &(struct relay){.advertise_auth = false}, NULL);
	struct peer *peer = greeted(f, "192.0.2.7");
	say(f, peer, EHLO PLAIN_RIGHT, CAPS HELP WELCOME);
}

static void out_of_order(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = greeted(f, "192.0.2.7");
	say(f, peer, PLAIN_RIGHT, "503 5.5.1 Say EHLO first\r\n");
	say(f, peer, "HELO c.example\r\n" PLAIN_RIGHT,
		"250 gw.example.test\r\n503 5.5.1 Say EHLO first\r\n");
	peer = hello(f);
	say(f, peer, "MAIL FROM:<bob@b.example> AUTH=<>\r\n" PLAIN_RIGHT,
		"250 2.1.0 Ok\r\n503 5.5.1 Not in a transaction\r\n");
	say(f, peer, "RSET\r\n" PLAIN_RIGHT, "250 2.0.0 Ok\r\n" WELCOME);
	say(f, peer, PLAIN_RIGHT, "503 5.5.1 You are logged in already\r\n");
	say(f, peer, "AUTH CRAM-MD5\r\n", "503 5.5.1 You are logged in already\r\n");
	peer = hello(f);
	say(f, peer, "AUTH CRAM-MD5\r\n",
		"504 5.5.4 Mechanism not known, or not possible here\r\n");
	say(f, peer, "AUTH\r\n", "501 5.5.4 Syntax: AUTH mechanism [initial-response]\r\n");
}

static void starttls_forgets_who_it_was(void **state)
{
	struct fixture *f = *state;

	start(f);
	world_give_tls(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	peer_send_str(peer, EHLO PLAIN_RIGHT "STARTTLS\r\n");
	assert_int_equal(figures(f).logins, 1);
	peer_handshake(peer, 0);
	peer_send_str(
		peer, EHLO "MAIL FROM:<ann@c.example>\r\nRCPT TO:<far@b.example>\r\nRSET\r\n");
	buf_clear(&peer->replies);
	assert_int_equal(refused(f, SMTPD_REFUSED_RECIPIENT), 1);
	say(f, peer, PLAIN_RIGHT, WELCOME);
}

/* ---- attacks on the exchange ----------------------------------------------------------------- */

static void cancelled(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	say(f, peer, "AUTH LOGIN\r\n*\r\n", "334 VXNlcm5hbWU6\r\n501 5.0.0 Cancelled\r\n");
	say(f, peer, "AUTH LOGIN am9l\r\n*\r\nNOOP\r\n",
		"334 UGFzc3dvcmQ6\r\n501 5.0.0 Cancelled\r\n250 2.0.0 Ok\r\n");
	say(f, peer, "AUTH PLAIN *\r\n", "501 5.5.2 The initial response is no base64\r\n");
	assert_int_equal(f->world.auth.asked, 0);
	say(f, peer, PLAIN_RIGHT, WELCOME);
}

static void bad_lines(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = {
		"AGFu\nNOOP",	       /* bare LF */
		"AGF\ru",	       /* bare CR */
		"AGFubkBjLmV4YW1wbGU", /* no padding */
		"AGFu AGFu",
		"EHLO c.example",
		"MAIL FROM:<bob@b.example>",
		"====",
		"AG=F",
	};

	start(f);
	struct peer *peer = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		peer = hello(f);
		say(f, peer, "AUTH PLAIN\r\n", "334 \r\n");
		peer_send_str(peer, bad[i]);
		peer_send_str(peer, "\r\nNOOP\r\n");
		const char *said = peer_replies(peer, &f->text);
		assert_true(strncmp(said, "501 5.5.2 ", 10) == 0 ||
			    strncmp(said, "500 5.5.2 ", 10) == 0);
		assert_non_null(strstr(said, "\r\n250 2.0.0 Ok\r\n"));
		assert_int_equal(strlen(strchr(said, '\n') + 1), strlen("250 2.0.0 Ok\r\n"));
	}
	say(f, peer, "AUTH PLAIN AAA=\r\n", "501 5.5.2 No message of PLAIN\r\n");
	say(f, peer, "AUTH PLAIN =\r\n", "501 5.5.2 No message of PLAIN\r\n");
	say(f, peer, "AUTH LOGIN\r\n=\r\n",
		"334 VXNlcm5hbWU6\r\n501 5.5.2 Neither a name nor a password\r\n");
	assert_int_equal(f->world.auth.asked, 0);
}

static void over_long(void **state)
{
	struct fixture *f = *state;
	struct buf line;

	start(f);
	buf_init(&line, 100000);
	for (size_t i = 0; i < 20000; i++)
		buf_add_char(&line, 'A');
	buf_add_str(&line, "\r\nNOOP\r\n");
	struct peer *peer = hello(f);
	say(f, peer, "AUTH PLAIN\r\n", "334 \r\n");
	peer_send(peer, buf_span(&line));
	expect(f, peer, "500 5.5.6 Line too long\r\n250 2.0.0 Ok\r\n");
	/* A line that may be so long, but no password is. */
	say(f, peer, "AUTH PLAIN\r\n", "334 \r\n");
	peer_send(peer, span_skip(buf_span(&line), 20000 - 12288));
	expect(f, peer, "500 5.5.6 Authentication exchange line is too long\r\n250 2.0.0 Ok\r\n");
	buf_done(&line);
	assert_int_equal(f->world.auth.asked, 0);
}

static void no_password_is_ever_logged(void **state)
{
	struct fixture *f = *state;

	f->listener->tls.certificate = SPAN("gw.crt");
	world_start(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	peer_send_str(peer, EHLO "AUTH PLAIN c2VjcmV0?\r\nAUTH LOGIN\r\nam9l\r\nc2VjcmV0\r\n");
	peer_send_str(peer, "AUTH c2VjcmV0 c2VjcmV0 c2VjcmV0\r\nRCPT c2VjcmV0\r\n");
	assert_true(logged(f, "command refused"));
	assert_false(logged(f, "c2VjcmV0"));
	say(f, hello_tls(f), PLAIN_WRONG "*\r\n", WRONG "500 5.5.1 Command not known\r\n");
	assert_false(logged(f, "secre"));
	assert_false(logged(f, "c2Vjcm"));
}

/* ---- time ----------------------------------------------------------------------------------- */

static void what_is_pipelined_waits_for_the_answer(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->world.auth.hold = true;
	struct peer *peer = hello(f);
	say(f, peer, PLAIN_RIGHT "MAIL FROM:<ann@c.example>\r\nRCPT TO:<far@b.example>\r\n", "");
	peer_send_str(peer, "RSET\r\nNOOP\r\n");
	expect(f, peer, "");
	f->world.auth.hold = false;
	world_settle(&f->world);
	expect(f, peer, WELCOME "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
}

static void bad_news_take_their_time(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->world.auth.delay_ms = 4000;
	struct peer *peer = hello(f), *gone = hello(f), *rude = hello(f);
	say(f, peer, PLAIN_WRONG "NOOP\r\n", "");
	say(f, gone, PLAIN_WRONG, "");
	say(f, rude, PLAIN_WRONG, "");
	peer_eof(gone, 0);
	peer_eof(rude, ERR_CLOSED);
	assert_true(rude->closed);
	world_pass_ms(&f->world, 3999);
	expect(f, peer, "");
	world_pass_ms(&f->world, 1);
	expect(f, peer, WRONG "250 2.0.0 Ok\r\n");
	expect(f, gone, WRONG);
	assert_true(gone->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_AUTH), 2);
	/* No endless delay either. */
	f->world.auth.delay_ms = UINT64_MAX;
	say(f, peer, PLAIN_WRONG2, "");
	world_pass_ms(&f->world, 60000);
	expect(f, peer, WRONG);
}

/* As long as before, whichever the news were. */
static void after_the_news_the_client_has_time(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->world.auth.delay_ms = 4000;
	struct peer *wrong = hello(f), *right = hello(f);
	say(f, wrong, PLAIN_WRONG, "");
	say(f, right, PLAIN_RIGHT, WELCOME);
	world_pass_ms(&f->world, 4000);
	expect(f, wrong, WRONG);
	world_pass_ms(&f->world, 295999);
	say(f, wrong, "NOOP\r\n", "250 2.0.0 Ok\r\n");
	say(f, right, "NOOP\r\n", "250 2.0.0 Ok\r\n");
}

static void who_guesses_is_sent_away(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	say(f, peer,
		PLAIN_WRONG PLAIN_WRONG2 "AUTH PLAIN AGFubkBjLmV4YW1wbGUAd3Jvbmcz\r\n" PLAIN_RIGHT,
		WRONG WRONG WRONG "421 4.7.0 gw.example.test Too many failed logins\r\n");
	assert_true(peer->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_AUTH), 3);
	assert_int_equal(refused(f, SMTPD_REFUSED_ABUSE), 1);
	assert_int_equal(figures(f).logins, 0);
}

/* By PLAIN, then by LOGIN: as many programs do (smtplib's login() among them). */
#define LOGIN_WRONG "AUTH LOGIN YW5uQGMuZXhhbXBsZQ==\r\nc2VjcmV1\r\n"
#define PASSWORD    "334 UGFzc3dvcmQ6\r\n"

static void the_same_wrong_password_counts_once(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->world.auth.delay_ms = 4000;
	struct peer *peer = hello(f);
	say(f, peer, PLAIN_WRONG, "");
	world_pass_ms(&f->world, 4000);
	expect(f, peer, WRONG);
	/* At once, and nobody is asked. */
	say(f, peer, LOGIN_WRONG, PASSWORD WRONG);
	say(f, peer, PLAIN_WRONG LOGIN_WRONG, WRONG PASSWORD WRONG);
	assert_int_equal(f->world.auth.asked, 1);
	/* What is another one is asked about. */
	f->world.auth.delay_ms = 0;
	say(f, peer, "AUTH PLAIN AGpvZUBjLmV4YW1wbGUAc2VjcmV1\r\n", WRONG);
	assert_int_equal(f->world.auth.asked, 2);
	say(f, peer, PLAIN_RIGHT, WELCOME);
	assert_int_equal(refused(f, SMTPD_REFUSED_AUTH), 5);
}

/* Only the last one is known, of this connection, and not for ever. */
static void a_wrong_password_is_not_remembered_for_long(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	for (unsigned i = 0; i < 1 + SESSION_REPEATS; i++)
		say(f, peer, PLAIN_WRONG, WRONG);
	assert_int_equal(f->world.auth.asked, 1);
	say(f, peer, PLAIN_WRONG, WRONG);
	assert_int_equal(f->world.auth.asked, 2);
	say(f, peer, PLAIN_WRONG, WRONG "421 4.7.0 gw.example.test Too many failed logins\r\n");
	say(f, hello(f), PLAIN_WRONG, WRONG);
	assert_int_equal(f->world.auth.asked, 4);
	/* Where nobody could say, nothing is known. */
	peer = hello(f);
	f->world.auth.result = AUTH_LATER;
	say(f, peer, PLAIN_WRONG, "454 4.7.0 Too many failed logins; try later\r\n");
	f->world.auth.result = AUTH_YES;
	say(f, peer, PLAIN_WRONG, WRONG);
	assert_int_equal(f->world.auth.asked, 6);
}

static void what_starttls_forgets_is_asked_again(void **state)
{
	struct fixture *f = *state;

	start(f);
	world_give_tls(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	peer_send_str(peer, EHLO PLAIN_WRONG "STARTTLS\r\n");
	assert_int_equal(f->world.auth.asked, 1);
	peer_handshake(peer, 0);
	peer_send_str(peer, EHLO);
	buf_clear(&peer->replies);
	say(f, peer, PLAIN_WRONG, WRONG);
	assert_int_equal(f->world.auth.asked, 2);
}

static void who_is_asked_has_no_answer(void **state)
{
	struct fixture *f = *state;
	static const char busy[] = "454 4.7.0 Passwords cannot be checked now; try later\r\n";

	start(f);
	struct peer *peer = hello(f);
	f->world.auth.result = AUTH_LATER;
	say(f, peer, PLAIN_RIGHT, "454 4.7.0 Too many failed logins; try later\r\n");
	f->world.auth.result = AUTH_BROKEN;
	for (int i = 0; i < 5; i++)
		say(f, peer, PLAIN_RIGHT, busy);
	f->world.auth.err = ERR_LIMIT;
	say(f, peer, PLAIN_RIGHT, busy);
	f->world.auth.err = 0;
	f->world.auth.result = AUTH_YES;
	/* It promised an answer, and gives none. */
	f->world.auth.hold = true;
	say(f, peer, PLAIN_RIGHT "NOOP\r\n", "");
	world_pass_ms(&f->world, 34999);
	expect(f, peer, "");
	world_pass_ms(&f->world, 1);
	expect(f, peer, "454 4.7.0 Passwords cannot be checked now; try later\r\n250 2.0.0 Ok\r\n");
	f->world.auth.hold = false;
	say(f, peer, PLAIN_RIGHT, WELCOME);
	assert_int_equal(refused(f, SMTPD_REFUSED_RESOURCES), 7);
	assert_int_equal(refused(f, SMTPD_REFUSED_AUTH), 1);
}

static void peers_that_go_away(void **state)
{
	struct fixture *f = *state;

	start(f);
	f->world.auth.hold = true;
	struct peer *asks = hello(f), *waits = hello(f), *half = hello(f), *silent = hello(f);
	say(f, asks, PLAIN_RIGHT, "");
	say(f, waits, "AUTH LOGIN am9l\r\n", "334 UGFzc3dvcmQ6\r\n");
	say(f, half, "AUTH PLAIN\r\nAGFu", "334 \r\n");
	say(f, silent, "AUTH PLAIN\r\n", "334 \r\n");
	peer_eof(asks, ERR_CLOSED);
	peer_eof(waits, 0);
	peer_eof(half, 0);
	assert_true(asks->closed && waits->closed && half->closed);
	world_pass_ms(&f->world, 300000);
	expect(f, silent, "421 4.4.2 gw.example.test Timeout\r\n");
	assert_true(silent->closed);
	/* And one whose server goes away: teardown. */
	say(f, hello(f), PLAIN_RIGHT, "");
	assert_int_equal(figures(f).sessions_now, 1);
}

static void drained(void *arg)
{
	*(bool *)arg = true;
}

static void stopping(void **state)
{
	struct fixture *f = *state;
	bool over = false;

	start(f);
	f->world.auth.hold = true;
	struct peer *asks = hello(f), *waits = hello(f);
	say(f, asks, PLAIN_RIGHT, "");
	say(f, waits, "AUTH PLAIN\r\n", "334 \r\n");
	smtpd_drain(f->world.smtpd, 10000, drained, &over);
	world_settle(&f->world);
	expect(f, waits, "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_false(over);
	f->world.auth.hold = false;
	world_settle(&f->world);
	expect(f, asks, WELCOME "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_true(over);
}

/* Neither those that wait when the stop begins, nor those that come meanwhile. */
static void a_stop_waits_for_no_bad_news(void **state)
{
	struct fixture *f = *state;
	bool over = false;

	start(f);
	f->world.auth.delay_ms = 4000;
	struct peer *before = hello(f), *meanwhile = hello(f);
	say(f, before, PLAIN_WRONG, "");
	f->world.auth.hold = true;
	say(f, meanwhile, PLAIN_WRONG, "");
	smtpd_drain(f->world.smtpd, 10000, drained, &over);
	world_settle(&f->world);
	expect(f, before, "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	f->world.auth.hold = false;
	world_settle(&f->world);
	expect(f, meanwhile, "421 4.3.2 gw.example.test Service is stopping; try again\r\n");
	assert_true(over);
}

/* ---- what it is good for -------------------------------------------------------------------- */

static void who_logged_in_may_relay_as_himself(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	peer_send_str(peer, "MAIL FROM:<ann@c.example>\r\nRCPT TO:<far@b.example>\r\nRSET\r\n");
	assert_non_null(strstr(peer_replies(peer, &f->text), "\r\n550 5.7.1 "));
	say(f, peer, PLAIN_RIGHT, WELCOME);
	peer_send_str(peer, "MAIL FROM:<bob@b.example>\r\n");
	assert_memory_equal(peer_replies(peer, &f->text), "553 5.7.1 ", 10);
	assert_int_equal(refused(f, SMTPD_REFUSED_SENDER), 1);
	assert_string_equal(last_event(f)->user, "ann@c.example");
	peer_send_str(peer, "MAIL FROM:<ann@c.example> AUTH=<>\r\nRCPT TO:<far@b.example>\r\n"
			    "DATA\r\nSubject: x\r\n\r\n.\r\n");
	assert_int_equal(f->world.message_count, 1);
	const struct envelope *e = &f->world.messages[0].envelope;
	assert_true(span_equal(e->user, SPAN("ann@c.example")));
	assert_true(span_equal(e->protocol, SPAN("ESMTPA")));
	/* The next host need not know who it was. */
	assert_null(memmem(e->prepend.p, e->prepend.n, "ann@", 4));
	assert_string_equal(last_event(f)->user, "ann@c.example");
	assert_int_equal(last_event(f)->kind, EVENT_RECEPTION);
	assert_string_equal(last_event(f)->auth, "PLAIN");
	assert_string_equal(last_event(f)->relay, "login");
	/* Where nobody needs a right, none is told. */
	peer_send_str(peer, "MAIL FROM:<ann@c.example>\r\nRCPT TO:<x@a.example>\r\n"
			    "DATA\r\nSubject: x\r\n\r\n.\r\n");
	assert_int_equal(f->world.message_count, 2);
	assert_string_equal(last_event(f)->auth, "PLAIN");
	assert_string_equal(last_event(f)->relay, "");
}

/* The client hears no more than with a wrong password; whoever looks after the gateway does. */
static void a_disabled_account_is_told_to_the_administrator(void **state)
{
	struct fixture *f = *state;

	start(f);
	world_disable_account(new_snapshot(f));
	f->world.auth.result = AUTH_NO;
	say(f, hello(f), PLAIN_RIGHT, WRONG);
	assert_string_equal(last_event(f)->user, "ann@c.example");
	assert_string_equal(last_event(f)->why, "disabled");
	say(f, hello(f), "AUTH PLAIN AEFOTkBDLkVYQU1QTEUAc2VjcmV0\r\n", WRONG); /* ANN@C.EXAMPLE */
	assert_string_equal(last_event(f)->why, "disabled");
	say(f, hello(f), "AUTH PLAIN AGJvYkBiLmV4YW1wbGUAc2VjcmV0\r\n", WRONG); /* bob@b.example */
	assert_string_equal(last_event(f)->why, "auth");
}

static void an_account_that_is_closed_meanwhile(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = hello(f);
	say(f, peer, PLAIN_RIGHT "MAIL FROM:<ann@c.example>\r\nRCPT TO:<far@b.example>\r\n",
		WELCOME "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	world_disable_account(new_snapshot(f));
	/* What was begun goes on as it began. */
	say(f, peer, "RCPT TO:<else@b.example>\r\nRSET\r\n", "250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n");
	say(f, peer, "MAIL FROM:<ann@c.example>\r\n", "530 5.7.0 Your account is disabled\r\n");
}

#define CHANGED	 "530 5.7.0 Your password was changed: log in again\r\n"
#define MAIL_ANN "MAIL FROM:<ann@c.example>\r\n"
#define RCPT_FAR "RCPT TO:<far@b.example>\r\n"
#define NO_RIGHT "550 5.7.1 "

static void change_password(struct fixture *f, uint64_t since)
{
	struct snapshot *old = f->snapshot;

	f->snapshot = NULL;
	world_change_password(new_snapshot(f), since);
	if (old)
		snapshot_release(&old);
}

/* Somebody who had the old one may be at it still. */
static void another_password_ends_logins(void **state)
{
	struct fixture *f = *state;

	start(f);
	change_password(f, 7);
	struct peer *peer = hello(f), *joe = hello(f);
	say(f, peer, PLAIN_RIGHT MAIL_ANN RCPT_FAR, WELCOME "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	say(f, joe, "AUTH PLAIN AGpvZUBjLmV4YW1wbGUAc2VjcmV0\r\n", WELCOME);
	change_password(f, 8);
	/* What was begun goes on as it began; nothing after it. */
	say(f, peer, "RSET\r\n" MAIL_ANN RCPT_FAR,
		"250 2.0.0 Ok\r\n" CHANGED "503 5.5.1 Say MAIL first\r\n");
	assert_int_equal(refused(f, SMTPD_REFUSED_SENDER), 1);
	/* He is nobody now, until he logs in again. */
	peer_send_str(peer, MAIL_ANN RCPT_FAR "RSET\r\n");
	assert_non_null(strstr(peer_replies(peer, &f->text), "\r\n" NO_RIGHT));
	say(f, peer, PLAIN_RIGHT MAIL_ANN RCPT_FAR, WELCOME "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	/* Others' sessions go on. */
	say(f, joe, "MAIL FROM:<joe@c.example>\r\n" RCPT_FAR, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n");
	say(f, peer, "RSET\r\n", "250 2.0.0 Ok\r\n");
	change_password(f, 0); /* taken away */
	say(f, peer, MAIL_ANN, CHANGED);
}

/* The answer may be about the old one: nobody can tell, so it counts as that. */
static void another_password_while_one_is_checked(void **state)
{
	struct fixture *f = *state;

	start(f);
	change_password(f, 7);
	f->world.auth.hold = true;
	struct peer *peer = hello(f);
	say(f, peer, PLAIN_RIGHT, "");
	change_password(f, 8);
	f->world.auth.hold = false;
	world_settle(&f->world);
	expect(f, peer, WELCOME);
	say(f, peer, MAIL_ANN, CHANGED);
	say(f, peer, PLAIN_RIGHT MAIL_ANN, WELCOME "250 2.1.0 Ok\r\n");
}

static void a_session_stays_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct session) < 900);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(plain_and_login),
		TEST(a_name_that_is_none_is_not_told),
		TEST(scram_without_a_binding),
		TEST(scram_bound_to_the_link),
		TEST(the_client_must_answer_the_last_word),
		TEST(no_password_in_clear),
		TEST(hidden_but_there),
		TEST(out_of_order),
		TEST(starttls_forgets_who_it_was),
		TEST(cancelled),
		TEST(bad_lines),
		TEST(over_long),
		TEST(no_password_is_ever_logged),
		TEST(what_is_pipelined_waits_for_the_answer),
		TEST(bad_news_take_their_time),
		TEST(after_the_news_the_client_has_time),
		TEST(who_guesses_is_sent_away),
		TEST(the_same_wrong_password_counts_once),
		TEST(a_wrong_password_is_not_remembered_for_long),
		TEST(what_starttls_forgets_is_asked_again),
		TEST(who_is_asked_has_no_answer),
		TEST(peers_that_go_away),
		TEST(stopping),
		TEST(a_stop_waits_for_no_bad_news),
		TEST(who_logged_in_may_relay_as_himself),
		TEST(a_disabled_account_is_told_to_the_administrator),
		TEST(an_account_that_is_closed_meanwhile),
		TEST(another_password_ends_logins),
		TEST(another_password_while_one_is_checked),
		TEST(a_session_stays_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
