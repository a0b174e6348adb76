/* STARTTLS, the handshake, and what may and may not happen without one. */
#include "client_fixture.h"

#define EHLO_TLS \
	"250-mx.example\r\n250-SIZE 5\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 STARTTLS\r\n"
#define EHLO_AFTER "250-mx.example\r\n250-DSN\r\n250-REQUIRETLS\r\n250 LIMITS RCPTMAX=7\r\n"

static const struct tls_client any = {.check = TLS_CHECK_NOTHING};
static const struct tls_client chain = {.check = TLS_CHECK_CHAIN};
static const struct tls_info fine = {
	.version = {"TLSv1.3", 7},
	.cipher = {"TLS_AES_256_GCM_SHA384", 22},
	.peer_certificate = true,
	.peer_verified = true,
};

static struct scene *tls_scene(enum client_tls tls, const struct tls_client *security)
{
	struct scene *s = begin_with((struct client_config){.tls = tls, .security = security});

	connects(s);
	says(&s->f, "220 mx.example ESMTP\r\n");
	expects(&s->f, "EHLO gw.example\r\n");
	return s;
}

/* As far as the handshake. */
static struct scene *securing(enum client_tls tls, const struct tls_client *security)
{
	struct scene *s = tls_scene(tls, security);

	says(&s->f, EHLO_TLS);
	expects(&s->f, "STARTTLS\r\n");
	assert_false(s->f.securing);
	says(&s->f, "220 go ahead\r\n");
	expects(&s->f, "");
	assert_true(s->f.securing);
	return s;
}

/* As far as ready(). */
static struct scene *protected_by(const struct tls_client *security, const char *ehlo)
{
	struct scene *s = securing(CLIENT_TLS_MUST, security);

	handshakes(&s->f, 0, &fine);
	expects(&s->f, "EHLO gw.example\r\n");
	says(&s->f, ehlo);
	assert_int_equal(s->ready, 1);
	return s;
}

static struct client_security security_of(const struct scene *s)
{
	struct client_security security;

	client_security(s->client, &security);
	return security;
}

static void assert_failed(const struct scene *s, enum client_stage stage, uint16_t detail)
{
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->ready, 0);
	assert_int_equal(s->stage, stage);
	assert_int_equal(s->verdict.kind, VERDICT_TEMPORARY);
	assert_int_equal(s->verdict.enhanced.class, 4);
	assert_int_equal(s->verdict.enhanced.subject, 7);
	assert_int_equal(s->verdict.enhanced.detail, detail);
	text_has(s->verdict, "mx.example 192.0.2.1:25");
	assert_false(s->f.open);
}

static void begins_anew_after_the_handshake(void **state)
{
	(void)state;
	struct scene *s = protected_by(&any, EHLO_AFTER);

	/* Nothing of what was said in clear is left. */
	assert_int_equal(
		s->caps.can, CLIENT_ESMTP | CLIENT_DSN | CLIENT_REQUIRETLS | CLIENT_LIMITS);
	assert_int_equal(s->caps.size_most, 0);
	assert_int_equal(s->caps.rcpt_most, 7);
	struct client_security security = security_of(s);
	assert_true(security.tls && security.offered);
	assert_false(security.authenticated);
	assert_memory_equal(security.info->version.p, "TLSv1.3", 7);
	assert_int_equal(security.info->cipher.n, 22);
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\n");
	end(s);
}

static void may_come_byte_by_byte(void **state)
{
	(void)state;
	struct scene *s =
		begin_with((struct client_config){.tls = CLIENT_TLS_MAY, .security = &any});

	s->f.slice = 1;
	connects(s);
	says(&s->f, "220 mx.example ESMTP\r\n");
	says(&s->f, EHLO_TLS);
	says(&s->f, "220-please\r\n220 go ahead\r\n");
	handshakes(&s->f, 0, &fine);
	says(&s->f, EHLO_AFTER);
	assert_int_equal(s->ready, 1);
	expects(&s->f, "EHLO gw.example\r\nSTARTTLS\r\nEHLO gw.example\r\n");
	end(s);
}

static void verified_is_only_what_was_checked(void **state)
{
	(void)state;
	static const enum tls_check checks[] = {
		TLS_CHECK_NOTHING, TLS_CHECK_CHAIN, TLS_CHECK_PINS, TLS_CHECK_DANE};

	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		struct tls_client security = {.check = checks[i]};
		struct scene *s = protected_by(&security, EHLO_AFTER);

		assert_int_equal(s->f.check, checks[i]);
		assert_true(security_of(s).tls);
		assert_int_equal(security_of(s).verified, checks[i] != TLS_CHECK_NOTHING);
		end(s);
	}
}

static void without_tls_it_is_not_asked_for(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_TLS);

	assert_true(security_of(s).offered);
	assert_false(security_of(s).tls);
	assert_null(security_of(s).info);
	end(s);
}

static void opportunistic_goes_on_in_clear(void **state)
{
	(void)state;
	static const char *const refusals[] = {
		"454 TLS not available\r\n", "502 what?\r\n", "530 no\r\n"};
	struct scene *s = tls_scene(CLIENT_TLS_MAY, &any);

	says(&s->f, EHLO_PLAIN);
	assert_int_equal(s->ready, 1);
	assert_false(security_of(s).offered);
	end(s);

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		s = tls_scene(CLIENT_TLS_MAY, &any);
		says(&s->f, EHLO_TLS);
		expects(&s->f, "STARTTLS\r\n");
		says(&s->f, refusals[i]);
		assert_int_equal(s->ready, 1);
		assert_true(security_of(s).offered);
		assert_false(security_of(s).tls);
		assert_int_equal(s->caps.size_most, 5);
		end(s);
	}
}

/* A stripped capability, or a refusal that somebody put in: no mail is named. */
static void required_never_goes_on_in_clear(void **state)
{
	(void)state;
	struct scene *s = tls_scene(CLIENT_TLS_MUST, &chain);

	says(&s->f, EHLO_PLAIN);
	expects(&s->f, "");
	assert_failed(s, CLIENT_AT_STARTTLS, 4);
	assert_int_equal(s->verdict.code, 451);
	text_has(s->verdict, "STARTTLS");
	assert_false(security_of(s).offered);
	end(s);

	s = tls_scene(CLIENT_TLS_MUST, &chain);
	says(&s->f, "500 what?\r\n");
	expects(&s->f, "HELO gw.example\r\n");
	says(&s->f, "250 old\r\n");
	expects(&s->f, "");
	assert_failed(s, CLIENT_AT_STARTTLS, 4);
	end(s);

	s = tls_scene(CLIENT_TLS_MUST, &chain);
	says(&s->f, EHLO_TLS);
	expects(&s->f, "STARTTLS\r\n");
	says(&s->f, "454 4.7.0 our key is gone\r\n");
	expects(&s->f, "");
	assert_failed(s, CLIENT_AT_STARTTLS, 5);
	assert_false(s->verdict.remote);
	text_has(s->verdict, "our key is gone");
	assert_true(security_of(s).offered);
	end(s);
}

static void a_server_that_leaves_is_no_refusal(void **state)
{
	(void)state;
	struct scene *s = tls_scene(CLIENT_TLS_MAY, &any);

	says(&s->f, EHLO_TLS);
	says(&s->f, "421 shutting down\r\n");
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_STARTTLS);
	assert_int_equal(s->verdict.code, 421);
	end(s);
}

static void nonsense_for_starttls(void **state)
{
	(void)state;
	static const char *const nonsense[] = {
		"250 ok\r\n", "334 \r\n", "220-go\r\n250 on\r\n", "\x16\x03\x01"};

	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		struct scene *s = tls_scene(CLIENT_TLS_MAY, &any);

		says(&s->f, EHLO_TLS);
		says(&s->f, nonsense[i]);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->ready, 0);
		assert_int_equal(s->stage, CLIENT_AT_STARTTLS);
		assert_false(s->f.securing);
		end(s);
	}
}

/* What somebody on the way puts behind the reply must not be taken for protected bytes. */
static void bytes_in_clear_before_the_handshake(void **state)
{
	(void)state;
	static const char *const injected[] = {"220 go\r\n250 mx\r\n", "220 go\r\n250-mx\r\n250 D",
		"220 go\r\n\x16", "220 go\r\n\r\n"};
	struct scene *s;

	for (size_t i = 0; i < ARRAY_SIZE(injected); i++) {
		s = tls_scene(CLIENT_TLS_MAY, &any);
		says(&s->f, EHLO_TLS);
		forget(&s->f);
		says(&s->f, injected[i]);
		expects(&s->f, "");
		assert_failed(s, CLIENT_AT_STARTTLS, 5);
		assert_false(s->f.securing);
		assert_false(security_of(s).tls);
		end(s);
	}
	/* They lie in the kernel still. */
	s = tls_scene(CLIENT_TLS_MAY, &any);
	says(&s->f, EHLO_TLS);
	s->f.arrived = true;
	says(&s->f, "220 go\r\n");
	assert_failed(s, CLIENT_AT_STARTTLS, 5);
	end(s);
	/* They answer what did not go out yet. */
	s = tls_scene(CLIENT_TLS_MAY, &any);
	s->f.stuck = true;
	says(&s->f, EHLO_TLS);
	says(&s->f, "220 go\r\n");
	assert_failed(s, CLIENT_AT_STARTTLS, 5);
	end(s);
}

/* An answer that comes in the same packet as what it would answer to is none. */
static void replies_before_the_command(void **state)
{
	(void)state;
	static const char *const early[] = {
		EHLO_TLS "220 go\r\n", EHLO_TLS "454 no\r\n", EHLO_TLS "500 no\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(early); i++) {
		struct scene *s = tls_scene(CLIENT_TLS_MAY, &any);

		says(&s->f, early[i]);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->ready, 0);
		assert_false(s->f.securing);
		end(s);
	}
}

static void a_failed_handshake_says_why(void **state)
{
	(void)state;
	static const enum tls_failure failures[] = {TLS_HANDSHAKE, TLS_EXPIRED, TLS_UNTRUSTED,
		TLS_NAME, TLS_PIN, TLS_TIMEOUT, TLS_NO_CERTIFICATE};

	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		struct scene *s = securing(CLIENT_TLS_MAY, &chain);
		char detail[] = "a detail";
		struct tls_info info = {.failure = failures[i], .detail = span_str(detail)};

		handshakes(&s->f, failures[i] == TLS_TIMEOUT ? ERR_TIMEOUT : ERR_DENIED, &info);
		memset(detail, 'x', sizeof(detail) - 1); /* it was the connection's */
		assert_failed(s, CLIENT_AT_TLS, 5);
		text_has(s->verdict, tls_failure_text(failures[i]));
		text_has(s->verdict, "a detail");
		assert_false(security_of(s).tls || security_of(s).verified);
		assert_int_equal(security_of(s).info->failure, failures[i]);
		assert_memory_equal(security_of(s).info->detail.p, "a detail", 8);
		expects(&s->f, "");
		end(s);
	}
}

/* A new key, or another server: who has to say so sees which key it was. */
static void a_key_that_is_not_pinned_is_shown(void **state)
{
	(void)state;
	struct scene *s = securing(CLIENT_TLS_MUST, &chain);
	struct tls_info info = {.failure = TLS_PIN, .peer_certificate = true};

	memset(info.peer_key_hash, 0xab, sizeof(info.peer_key_hash));
	handshakes(&s->f, ERR_DENIED, &info);
	text_has(s->verdict, "none of the pinned ones: the key that it shows is sha256:abababab");
	end(s);
}

/* An io that says "0" for a peer that is not the right one is not believed. */
static void a_success_with_a_failure_is_a_failure(void **state)
{
	(void)state;
	struct scene *s = securing(CLIENT_TLS_MUST, &chain);
	struct tls_info info = {.failure = TLS_NAME};

	handshakes(&s->f, 0, &info);
	assert_failed(s, CLIENT_AT_TLS, 5);
	end(s);
}

static void a_handshake_that_cannot_begin(void **state)
{
	(void)state;
	static const int errors[] = {ERR_NOMEM, ERR_UNSUPPORTED, ERR_CLOSED};

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		struct scene *s = tls_scene(CLIENT_TLS_MUST, &any);

		s->f.secure_error = errors[i];
		says(&s->f, EHLO_TLS);
		says(&s->f, "220 go\r\n");
		assert_failed(s, CLIENT_AT_TLS, 5);
		assert_int_equal(security_of(s).info->failure,
			errors[i] == ERR_CLOSED ? TLS_LOST : TLS_OURS);
		end(s);
	}
}

static void deadlines_and_losses(void **state)
{
	(void)state;
	struct scene *s = tls_scene(CLIENT_TLS_MAY, &any);

	says(&s->f, EHLO_TLS);
	passes(&s->f, timeouts.ehlo);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_STARTTLS);
	end(s);

	/* The io has its time, and is not waited for much longer. */
	s = securing(CLIENT_TLS_MAY, &any);
	assert_int_equal(s->f.secure_ms, timeouts.ehlo);
	passes(&s->f, timeouts.ehlo);
	assert_int_equal(s->failed, 0);
	passes(&s->f, 5000);
	assert_failed(s, CLIENT_AT_TLS, 5);
	assert_int_equal(security_of(s).info->failure, TLS_TIMEOUT);
	end(s);

	s = securing(CLIENT_TLS_MAY, &any);
	hangs_up(&s->f, 0);
	assert_failed(s, CLIENT_AT_TLS, 5);
	assert_int_equal(security_of(s).info->failure, TLS_LOST);
	end(s);

	s = securing(CLIENT_TLS_MAY, &any);
	handshakes(&s->f, 0, &fine);
	passes(&s->f, timeouts.ehlo);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_EHLO);
	assert_true(security_of(s).tls); /* also of a session that failed later */
	assert_memory_equal(security_of(s).info->version.p, "TLSv1.3", 7);
	end(s);
}

static void may_be_closed_in_the_callback(void **state)
{
	(void)state;
	struct scene *s = securing(CLIENT_TLS_MAY, &any);
	struct tls_info info = {.failure = TLS_HANDSHAKE};

	s->close_in_it = true;
	handshakes(&s->f, ERR_DENIED, &info);
	assert_int_equal(s->failed, 1);
	assert_null(s->client);
	end(s);

	s = securing(CLIENT_TLS_MAY, &any);
	client_close(&s->client, true);
	expects(&s->f, ""); /* no QUIT in the middle of it */
	end(s);
}

/* ---- REQUIRETLS ------------------------------------------------------------------------------ */

static void requiretls_goes_to_a_verified_hop_that_has_it(void **state)
{
	(void)state;
	struct scene *s = protected_by(&chain, EHLO_AFTER);

	s->envelope.flags |= ENVELOPE_REQUIRETLS;
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> REQUIRETLS\r\n");
	end(s);
}

static void requiretls_goes_nowhere_else(void **state)
{
	(void)state;
	struct scene *scenes[] = {
		protected_by(&any, EHLO_AFTER),		 /* anybody's certificate */
		protected_by(&chain, EHLO_PLAIN),	 /* no REQUIRETLS */
		greeted("250-mx\r\n250 REQUIRETLS\r\n"), /* no TLS */
	};

	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
		struct scene *s = scenes[i];

		s->envelope.flags |= ENVELOPE_REQUIRETLS;
		client_send(s->client, &s->job);
		expects(&s->f, "");
		assert_int_equal(s->done, 1);
		assert_true(s->job.usable);
		verdict_is(s, 0, VERDICT_PERMANENT, 550);
		assert_int_equal(s->results[0].verdict.enhanced.class, 5);
		assert_int_equal(s->results[0].verdict.enhanced.subject, 7);
		assert_int_equal(s->results[0].verdict.enhanced.detail, 30);
		assert_true(s->results[0].verdict.open);
		text_has(s->results[0].verdict, "REQUIRETLS");
		/* Other mail goes there. */
		s->envelope.flags = 0;
		client_send(s->client, &s->job);
		passes(&s->f, 0);
		assert_non_null(s->f.sent);
		assert_non_null(strstr(s->f.sent, "MAIL FROM:<a@a.example>\r\n"));
		end(s);
	}
}

/* Section 5: nobody would hear of it if it were not sent. To the right peer, over TLS, all the
 * same.
 */
static void requiretls_of_the_null_sender(void **state)
{
	(void)state;
	struct scene *scenes[] = {
		protected_by(&chain, EHLO_AFTER),
		protected_by(&chain, "250 mx.example\r\n"), /* no REQUIRETLS */
		protected_by(&any, EHLO_AFTER),		    /* anybody's certificate */
	};
	static const char *const goes[] = {"MAIL FROM:<> REQUIRETLS\r\n", "MAIL FROM:<>\r\n", ""};

	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
		struct scene *s = scenes[i];

		s->envelope.sender = SPAN_NONE;
		s->envelope.flags |= ENVELOPE_REQUIRETLS;
		client_send(s->client, &s->job);
		expects(&s->f, goes[i]);
		if (!*goes[i])
			verdict_is(s, 0, VERDICT_PERMANENT, 550);
		end(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(begins_anew_after_the_handshake),
		cmocka_unit_test(may_come_byte_by_byte),
		cmocka_unit_test(verified_is_only_what_was_checked),
		cmocka_unit_test(without_tls_it_is_not_asked_for),
		cmocka_unit_test(opportunistic_goes_on_in_clear),
		cmocka_unit_test(required_never_goes_on_in_clear),
		cmocka_unit_test(a_server_that_leaves_is_no_refusal),
		cmocka_unit_test(nonsense_for_starttls),
		cmocka_unit_test(bytes_in_clear_before_the_handshake),
		cmocka_unit_test(replies_before_the_command),
		cmocka_unit_test(a_failed_handshake_says_why),
		cmocka_unit_test(a_key_that_is_not_pinned_is_shown),
		cmocka_unit_test(a_success_with_a_failure_is_a_failure),
		cmocka_unit_test(a_handshake_that_cannot_begin),
		cmocka_unit_test(deadlines_and_losses),
		cmocka_unit_test(may_be_closed_in_the_callback),
		cmocka_unit_test(requiretls_goes_to_a_verified_hop_that_has_it),
		cmocka_unit_test(requiretls_goes_nowhere_else),
		cmocka_unit_test(requiretls_of_the_null_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
