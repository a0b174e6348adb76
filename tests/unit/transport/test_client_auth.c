/* AUTH: which mechanism, what goes over the wire, and what a server cannot make us do. */
#include "client_fixture.h"

#include "base/arena.h"
#include "base/base64.h"
#include "codec/sasl.h"
#include "codec/scram.h"

#define SECRET "pencil"

static const struct tls_client any = {.check = TLS_CHECK_NOTHING};
static const struct tls_info plain_link = {.version = {"TLSv1.2", 7}};
static const struct tls_info bound_link = {
	.version = {"TLSv1.3", 7}, .has_binding = true, .binding = {1, 2, 3, 4}};

static struct client_config with_sasl(void)
{
	return (struct client_config){.tls = CLIENT_TLS_MAY,
		.security = &any,
		.sasl_user = SPAN("gw"),
		.sasl_secret = SPAN(SECRET)};
}

/* As far as the EHLO reply over TLS, which offers `auth`. */
static struct scene *secured_with(
	struct client_config config, const struct tls_info *info, const char *auth)
{
	struct scene *s = begin_with(config);
	char ehlo[200];

	connects(s);
	says(&s->f, "220 mx.example ESMTP\r\n");
	says(&s->f, "250-mx.example\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n");
	says(&s->f, "220 go\r\n");
	handshakes(&s->f, 0, info);
	expects(&s->f, "EHLO gw.example\r\nSTARTTLS\r\nEHLO gw.example\r\n");
	snprintf(ehlo, sizeof(ehlo), "250-mx.example\r\n250-%s\r\n250 DSN\r\n", auth);
	says(&s->f, ehlo);
	return s;
}

static struct scene *secured(const struct tls_info *info, const char *auth)
{
	return secured_with(with_sasl(), info, auth);
}

static bool authenticated(const struct scene *s)
{
	struct client_security security;

	client_security(s->client, &security);
	return security.authenticated;
}

static void is_ready(const struct scene *s)
{
	assert_int_equal(s->ready, 1);
	assert_int_equal(s->failed, 0);
	assert_true(authenticated(s));
}

#define failed_with(s, detail_, words)                                                  \
	do {                                                                            \
		assert_int_equal((s)->failed, 1);                                       \
		assert_int_equal((s)->ready, 0);                                        \
		assert_int_equal((s)->stage, CLIENT_AT_AUTH);                           \
		assert_int_equal((s)->verdict.kind, VERDICT_TEMPORARY);                 \
		assert_int_equal((s)->verdict.code, 454);                               \
		assert_int_equal((s)->verdict.enhanced.class, 4);                       \
		assert_int_equal((s)->verdict.enhanced.subject, 7);                     \
		assert_int_equal((s)->verdict.enhanced.detail, (detail_));              \
		text_has((s)->verdict, (words));                                        \
		assert_null(memmem((s)->verdict.text, (s)->verdict.length, SECRET, 6)); \
		assert_false(authenticated(s));                                         \
	} while (0)

/* ---- PLAIN, LOGIN ---------------------------------------------------------------------------- */

static void plain(void **state)
{
	(void)state;
	struct scene *s = secured(&plain_link, "AUTH PLAIN LOGIN");

	expects(&s->f, "AUTH PLAIN AGd3AHBlbmNpbA==\r\n"); /* \0gw\0pencil */
	assert_int_equal(s->ready, 0);
	says(&s->f, "235 2.7.0 welcome\r\n");
	is_ready(s);
	assert_true(s->caps.can & CLIENT_AUTH);
	assert_int_equal(s->caps.mechanisms, SASL_PLAIN | SASL_LOGIN);
	/* RFC 4954 section 5: AUTH= is of those who relay for others' submissions. */
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\n");
	end(s);
}

static void login(void **state)
{
	(void)state;
	struct scene *s = secured(&plain_link, "AUTH LOGIN");

	expects(&s->f, "AUTH LOGIN\r\n");
	says(&s->f, "334 VXNlcm5hbWU6\r\n");
	expects(&s->f, "Z3c=\r\n");
	says(&s->f, "334 whatever it says here\r\n");
	expects(&s->f, "cGVuY2ls\r\n");
	says(&s->f, "235 fine\r\n");
	is_ready(s);
	end(s);
}

static void the_old_form_of_the_offer(void **state)
{
	(void)state;
	struct scene *s = secured(&plain_link, "AUTH=LOGIN X-FOO PLAIN");

	expects(&s->f, "AUTH PLAIN AGd3AHBlbmNpbA==\r\n");
	end(s);
}

static void not_asked_for_where_no_user_is_set(void **state)
{
	(void)state;
	struct client_config config = {.tls = CLIENT_TLS_MAY, .security = &any};
	struct scene *s = secured_with(config, &plain_link, "AUTH PLAIN");

	expects(&s->f, "");
	assert_int_equal(s->ready, 1);
	assert_false(authenticated(s));
	end(s);
}

/* ---- never in clear -------------------------------------------------------------------------- */

static void never_in_clear(void **state)
{
	(void)state;
	static const char offer[] = "250-mx.example\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n";
	static const enum client_tls kinds[] = {CLIENT_TLS_NONE, CLIENT_TLS_MAY};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct client_config config = with_sasl();

		config.tls = kinds[i];
		struct scene *s = begin_with(config);
		connects(s);
		says(&s->f, "220 mx\r\n");
		forget(&s->f);
		says(&s->f, offer);
		expects(&s->f, "");
		failed_with(s, 11, "never sent in clear");
		end(s);
	}
	/* Nor where STARTTLS is offered and refused. */
	struct scene *s = begin_with(with_sasl());
	connects(s);
	says(&s->f, "220 mx\r\n");
	says(&s->f, "250-mx.example\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n");
	forget(&s->f);
	says(&s->f, "454 not now\r\n");
	expects(&s->f, "");
	failed_with(s, 11, "never sent in clear");
	end(s);
}

static void an_offer_in_clear_is_forgotten(void **state)
{
	(void)state;
	static const char *const offers[] = {"SIZE", "AUTH", "AUTH GSSAPI XOAUTH2", "AUTHX PLAIN",
		"AUTH SCRAM-SHA-256-PLUS" /* without a binding */};

	for (size_t i = 0; i < ARRAY_SIZE(offers); i++) {
		struct scene *s = secured(&plain_link, offers[i]);

		expects(&s->f, "");
		failed_with(s, 4, "offers no AUTH");
		end(s);
	}
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_refusal_is_temporary_and_names_the_setting(void **state)
{
	(void)state;
	static const char *const refusals[] = {"535 5.7.8 bad credentials\r\n",
		"454 4.7.0 try later\r\n", "504 not that one\r\n", "530 5.7.0 no\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct scene *s = secured(&plain_link, "AUTH PLAIN");

		says(&s->f, refusals[i]);
		failed_with(s, 8, "as gw at mx.example 192.0.2.1:25");
		text_has(s->verdict, "sasl");
		assert_false(s->verdict.open); /* no business of senders */
		end(s);
	}
	struct scene *s = secured(&plain_link, "AUTH PLAIN");
	says(&s->f, "535 5.7.8 bad credentials\r\n");
	text_has(s->verdict, "535");
	text_has(s->verdict, "bad credentials");
	end(s);

	s = secured(&plain_link, "AUTH PLAIN");
	says(&s->f, "421 leaving\r\n");
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->verdict.code, 421);
	assert_int_equal(s->stage, CLIENT_AT_AUTH);
	end(s);
}

static void unexpected_challenges_are_cancelled(void **state)
{
	(void)state;
	struct scene *s = secured(&plain_link, "AUTH PLAIN");

	forget(&s->f);
	says(&s->f, "334 more\r\n");
	expects(&s->f, "*\r\n");
	assert_int_equal(s->failed, 0);
	says(&s->f, "501 cancelled\r\n");
	failed_with(s, 8, "wants more");
	end(s);

	s = secured(&plain_link, "AUTH LOGIN");
	says(&s->f, "334 \r\n");
	says(&s->f, "334 \r\n");
	forget(&s->f);
	says(&s->f, "334 \r\n");
	expects(&s->f, "*\r\n");
	says(&s->f, "334 never enough\r\n");
	failed_with(s, 8, "wants more");
	end(s);

	/* The reason is not lost with the connection, and no server turns it into a success. */
	s = secured(&plain_link, "AUTH PLAIN");
	says(&s->f, "334 more\r\n");
	hangs_up(&s->f, 0);
	failed_with(s, 8, "wants more");
	end(s);
	s = secured(&plain_link, "AUTH PLAIN");
	says(&s->f, "334 more\r\n");
	says(&s->f, "235 ok then\r\n");
	failed_with(s, 8, "wants more");
	end(s);
	s = secured(&plain_link, "AUTH PLAIN");
	says(&s->f, "334 more\r\n");
	passes(&s->f, timeouts.ehlo);
	failed_with(s, 8, "wants more");
	end(s);
}

static void a_success_too_early(void **state)
{
	(void)state;
	struct scene *s = secured(&plain_link, "AUTH LOGIN");

	says(&s->f, "235 come in\r\n");
	failed_with(s, 8, "before it");
	end(s);

	s = secured(&plain_link, "AUTH SCRAM-SHA-256");
	says(&s->f, "235 come in\r\n");
	failed_with(s, 8, "before it proved");
	end(s);
}

static void nonsense(void **state)
{
	(void)state;
	static const char *const replies[] = {
		"250 ok\r\n", "354 go\r\n", "HTTP\r\n", "220 hello\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct scene *s = secured(&plain_link, "AUTH PLAIN");

		says(&s->f, replies[i]);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->stage, CLIENT_AT_AUTH);
		end(s);
	}
	/* Two replies at once: the second answers nothing that was said. */
	struct scene *s = secured(&plain_link, "AUTH LOGIN");
	says(&s->f, "334 \r\n334 \r\n");
	assert_int_equal(s->failed, 1);
	end(s);
	s = secured(&plain_link, "AUTH PLAIN");
	passes(&s->f, timeouts.ehlo);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_AUTH);
	text_has(s->verdict, "timed out");
	end(s);
}

static void settings_that_cannot_be_used(void **state)
{
	(void)state;
	char longer[2000];
	struct client_config config = with_sasl();

	memset(longer, 'x', sizeof(longer));
	config.sasl_secret = span_of(longer, sizeof(longer));
	struct scene *s = secured_with(config, &plain_link, "AUTH PLAIN");
	failed_with(s, 8, "too long");
	end(s);

	config.sasl_secret = SPAN_NONE;
	s = secured_with(config, &plain_link, "AUTH PLAIN");
	failed_with(s, 8, "no secret");
	end(s);

	config = with_sasl();
	config.sasl_user = SPAN("a\x01z"); /* not in SCRAM's alphabet */
	s = secured_with(config, &plain_link, "AUTH SCRAM-SHA-256");
	expects(&s->f, "");
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_AUTH);
	end(s);

	/* As long as may be, the line is whole. */
	config = with_sasl();
	config.sasl_user = config.sasl_secret = span_of(longer, SCRAM_PREPARE);
	s = secured_with(config, &plain_link, "AUTH PLAIN");
	assert_true(s->f.sent_n > 2700 && s->f.sent_n < SASL_RESPONSE);
	says(&s->f, "235 ok\r\n");
	is_ready(s);
	end(s);
}

/* ---- SCRAM ----------------------------------------------------------------------------------- */

/* A server that knows the password. */
struct peer {
	struct scram_server scram;
	struct scram_verifier verifier;
	struct arena arena;
	uint8_t signature[SCRAM_HASH];
};

/* What was sent last, out of its base64, behind the command. */
static struct span heard(struct scene *s, struct peer *peer, const char *command)
{
	struct span line = span_of(s->f.sent, s->f.sent_n), out;

	assert_true(span_ends_nocase(line, SPAN("\r\n")));
	line.n -= 2;
	assert_true(line.n >= strlen(command));
	assert_memory_equal(line.p, command, strlen(command));
	line = span_skip(line, strlen(command));
	assert_int_equal(sasl_decode(line, SCRAM_MESSAGE, &peer->arena, &out), 0);
	forget(&s->f);
	return out;
}

static void challenges(struct scene *s, struct span message)
{
	struct buf line;

	buf_init(&line, 4096);
	buf_add_str(&line, "334 ");
	base64_add(&line, message);
	buf_add_str(&line, "\r\n");
	says_n(&s->f, line.p, line.n);
	buf_done(&line);
}

static void peer_init(struct peer *peer, const char *password)
{
	memset(peer, 0, sizeof(*peer));
	arena_init(&peer->arena, 100000);
	assert_int_equal(
		scram_verifier_make(span_str(password), (const uint8_t *)"0123456789abcdef", 16,
			SCRAM_ITERATIONS_LEAST, &peer->verifier),
		0);
}

static void peer_challenges(struct scene *s, struct peer *peer, bool plus)
{
	static const uint8_t nonce[SCRAM_NONCE] = {9, 8, 7};
	struct buf message;

	assert_int_equal(
		scram_server_first(&peer->scram,
			heard(s, peer, plus ? "AUTH SCRAM-SHA-256-PLUS " : "AUTH SCRAM-SHA-256 "),
			plus, &peer->arena),
		0);
	buf_init(&message, SCRAM_MESSAGE);
	assert_int_equal(scram_server_challenge(&peer->scram, nonce, peer->verifier.salt,
				 peer->verifier.salt_bytes, peer->verifier.iterations, &peer->arena,
				 &message),
		0);
	challenges(s, buf_span(&message));
	buf_done(&message);
}

/* Is the proof right? */
static bool peer_checks(struct scene *s, struct peer *peer, const uint8_t *exporter)
{
	uint8_t proof[SCRAM_HASH];
	struct span auth_message;

	assert_int_equal(scram_server_final(&peer->scram, heard(s, peer, ""), exporter,
				 &peer->arena, &auth_message, proof),
		0);
	return scram_server_check(&peer->verifier, auth_message, proof, peer->signature);
}

static void peer_proves(struct scene *s, const struct peer *peer)
{
	struct buf message;

	buf_init(&message, SCRAM_MESSAGE);
	scram_server_success(peer->signature, &message);
	challenges(s, buf_span(&message));
	buf_done(&message);
}

/* To where our proof is being made. */
static struct scene *scram_scene(struct peer *peer, const char *password)
{
	struct scene *s = secured(&plain_link, "AUTH LOGIN PLAIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS");

	peer_init(peer, password);
	peer_challenges(s, peer, false);
	expects(&s->f, "");
	assert_non_null(s->f.job); /* not on the loop */
	return s;
}

static void scram(void **state)
{
	(void)state;
	struct peer peer;
	struct scene *s = scram_scene(&peer, SECRET);

	assert_int_equal(peer.scram.binding, SCRAM_UNBOUND);
	assert_memory_equal(peer.scram.user.p, "gw", 2);
	works(&s->f);
	assert_true(peer_checks(s, &peer, NULL));
	peer_proves(s, &peer);
	expects(&s->f, "\r\n");
	assert_int_equal(s->ready, 0);
	says(&s->f, "235 2.7.0 welcome\r\n");
	is_ready(s);
	arena_reset(&peer.arena);
	end(s);
}

static void scram_binds_to_the_link(void **state)
{
	(void)state;
	struct scene *s = secured(&bound_link, "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN");
	struct peer peer;

	peer_init(&peer, SECRET);
	peer_challenges(s, &peer, true);
	assert_int_equal(peer.scram.binding, SCRAM_BOUND);
	works(&s->f);
	assert_true(peer_checks(s, &peer, bound_link.binding));
	peer_proves(s, &peer);
	says(&s->f, "235 welcome\r\n");
	is_ready(s);
	arena_reset(&peer.arena);
	end(s);
}

/* Who took -PLUS out of the offer is found out by the server. */
static void scram_says_that_it_could_bind(void **state)
{
	(void)state;
	struct scene *s = secured(&bound_link, "AUTH SCRAM-SHA-256 PLAIN");
	struct peer peer;

	peer_init(&peer, SECRET);
	peer_challenges(s, &peer, false);
	assert_int_equal(peer.scram.binding, SCRAM_NOT_OFFERED);
	arena_reset(&peer.arena);
	works(&s->f);
	end(s);
}

static void scram_with_another_password(void **state)
{
	(void)state;
	struct peer peer;
	struct scene *s = scram_scene(&peer, "another");

	works(&s->f);
	assert_false(peer_checks(s, &peer, NULL));
	says(&s->f, "535 5.7.8 no\r\n");
	failed_with(s, 8, "SCRAM-SHA-256");
	arena_reset(&peer.arena);
	end(s);
}

/* A server that does not know the password gets neither it nor our mail. */
static void scram_server_that_proves_nothing(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct peer peer;
		struct scene *s = scram_scene(&peer, "a guess");

		works(&s->f);
		peer_checks(s, &peer, NULL);
		if (how == 0) {
			peer_proves(s, &peer);
			expects(&s->f, "*\r\n");
			says(&s->f, "501 cancelled\r\n");
		} else if (how == 1) {
			challenges(s, SPAN("e=invalid-proof"));
			expects(&s->f, "*\r\n");
			says(&s->f, "535 no\r\n");
		} else if (how == 2) {
			says(&s->f, "334 !!!\r\n");
			expects(&s->f, "*\r\n");
			says(&s->f, "501 no\r\n");
		} else {
			says(&s->f, "235 welcome\r\n");
		}
		failed_with(s, 8, how == 2 ? "base64" : how == 3 ? "proved" : "prove");
		arena_reset(&peer.arena);
		end(s);
	}
}

static void scram_challenges_that_make_no_sense(void **state)
{
	(void)state;
	static const char *const challenges_[] = {
		"", "r=x,s=YWJj,i=4096", "hello", "r=x,s=YWJj,i=999999999", "r=x,s=YWJj,i=1"};

	for (size_t i = 0; i < ARRAY_SIZE(challenges_); i++) {
		struct scene *s = secured(&plain_link, "AUTH SCRAM-SHA-256");

		challenges(s, span_str(challenges_[i]));
		forget(&s->f);
		works(&s->f);
		expects(&s->f, "*\r\n");
		says(&s->f, "501 ok\r\n");
		failed_with(s, 8, "SCRAM");
		end(s);
	}
	/* Its own nonce, but with iterations to keep us busy. */
	struct scene *s = secured(&plain_link, "AUTH SCRAM-SHA-256");
	struct peer peer;
	peer_init(&peer, SECRET);
	peer.verifier.iterations = 2000000000;
	peer_challenges(s, &peer, false);
	works(&s->f);
	expects(&s->f, "*\r\n");
	says(&s->f, "501 ok\r\n");
	failed_with(s, 8, "iterations");
	arena_reset(&peer.arena);
	end(s);
}

static void the_session_may_end_while_the_helper_works(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++) {
		struct peer peer;
		struct scene *s = scram_scene(&peer, SECRET);

		if (how == 0)
			client_close(&s->client, false);
		else if (how == 1)
			hangs_up(&s->f, 0);
		else if (how == 2)
			says(&s->f, "334 \r\n"); /* out of step */
		else
			passes(&s->f, timeouts.ehlo);
		assert_int_equal(s->failed, how != 0);
		works(&s->f);
		assert_int_equal(s->failed, how != 0);
		assert_int_equal(s->ready, 0);
		arena_reset(&peer.arena);
		end(s);
	}
	/* And it may leave with the reason. */
	struct peer peer;
	struct scene *s = scram_scene(&peer, SECRET);
	says(&s->f, "421 shutting down\r\n");
	assert_int_equal(s->verdict.code, 421);
	s->close_in_it = true;
	works(&s->f);
	arena_reset(&peer.arena);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(login),
		cmocka_unit_test(the_old_form_of_the_offer),
		cmocka_unit_test(not_asked_for_where_no_user_is_set),
		cmocka_unit_test(never_in_clear),
		cmocka_unit_test(an_offer_in_clear_is_forgotten),
		cmocka_unit_test(a_refusal_is_temporary_and_names_the_setting),
		cmocka_unit_test(unexpected_challenges_are_cancelled),
		cmocka_unit_test(a_success_too_early),
		cmocka_unit_test(nonsense),
		cmocka_unit_test(settings_that_cannot_be_used),
		cmocka_unit_test(scram),
		cmocka_unit_test(scram_binds_to_the_link),
		cmocka_unit_test(scram_says_that_it_could_bind),
		cmocka_unit_test(scram_with_another_password),
		cmocka_unit_test(scram_server_that_proves_nothing),
		cmocka_unit_test(scram_challenges_that_make_no_sense),
		cmocka_unit_test(the_session_may_end_while_the_helper_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
