/* The life of a session: connect, greeting, EHLO, deadlines, loss, close. */
#include "client_fixture.h"

static void greets_and_learns_what_the_server_can(void **state)
{
	(void)state;
	struct scene *s = greeted("250-mx\r\n250-PIPELINING\r\n250-size 5000\r\n250-8BITMIME\r\n"
				  "250-LIMITS MAILMAX=7 RCPTMAX=20 X=1\r\n250-XFOO\r\n250 DSN\r\n");

	assert_int_equal(s->caps.can, CLIENT_ESMTP | CLIENT_PIPELINING | CLIENT_SIZE |
					      CLIENT_8BITMIME | CLIENT_LIMITS | CLIENT_DSN);
	assert_int_equal(s->caps.size_most, 5000);
	assert_int_equal(s->caps.rcpt_most, 20);
	assert_int_equal(s->caps.mail_most, 7);
	assert_true(client_idle(s->client));
	end(s);
}

static void binarymime_without_chunking_does_not_count(void **state)
{
	(void)state;
	struct scene *s = greeted("250-mx\r\n250 BINARYMIME\r\n");

	assert_false(s->caps.can & CLIENT_BINARYMIME);
	end(s);
}

static void replies_may_come_byte_by_byte(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->f.slice = 1;
	connects(s);
	says(&s->f, "220-mx.example\r\n220 ESMTP\r\n");
	expects(&s->f, "EHLO gw.example\r\n");
	says(&s->f, EHLO_ALL);
	assert_int_equal(s->ready, 1);
	end(s);
}

static void falls_back_to_helo(void **state)
{
	(void)state;
	struct scene *s = begin();

	connects(s);
	says(&s->f, "220 old\r\n");
	expects(&s->f, "EHLO gw.example\r\n");
	says(&s->f, "500 what?\r\n");
	expects(&s->f, "HELO gw.example\r\n");
	says(&s->f, "250 old SIZE 10\r\n");
	assert_int_equal(s->ready, 1);
	assert_int_equal(s->caps.can, 0);
	assert_int_equal(s->caps.size_most, 0);
	end(s);
}

static void refused_connection_names_the_peer(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->f.handler->connected(s->f.owner, ERR_REFUSED);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_CONNECT);
	assert_int_equal(s->verdict.kind, VERDICT_TEMPORARY);
	assert_int_equal(s->verdict.enhanced.subject, 4);
	assert_int_equal(s->verdict.enhanced.detail, 1);
	assert_false(s->verdict.remote);
	text_has(s->verdict, "mx.example 192.0.2.1:25");
	assert_false(s->f.open);
	end(s);
}

static void an_error_at_once_is_returned(void **state)
{
	(void)state;
	struct fake_io f;
	struct client *client = NULL;
	struct client_config config = {.helo = SPAN("gw"), .timeouts = &timeouts};

	fake_init(&f);
	f.refuse = ERR_LIMIT;
	assert_int_equal(client_new(&f.io, &config, &ops, NULL, &client), ERR_LIMIT);
	assert_null(client);
	config.helo = SPAN_NONE;
	assert_int_equal(client_new(&f.io, &config, &ops, NULL, &client), ERR_LIMIT);
	fake_done(&f);
}

static void a_refusing_greeting_is_temporary_in_the_servers_words(void **state)
{
	(void)state;
	struct scene *s = begin();

	connects(s);
	says(&s->f, "554 5.7.1 not you\r\n");
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_GREETING);
	assert_int_equal(s->verdict.kind, VERDICT_TEMPORARY);
	assert_int_equal(s->verdict.code, 554);
	assert_true(s->verdict.remote);
	text_has(s->verdict, "not you");
	end(s);
}

static void refused_ehlo_and_helo(void **state)
{
	(void)state;
	struct scene *s = begin();

	connects(s);
	says(&s->f, "220 mx\r\n");
	says(&s->f, "550 no\r\n");
	says(&s->f, "550 no again\r\n");
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_EHLO);
	end(s);

	s = begin();
	connects(s);
	says(&s->f, "220 mx\r\n");
	says(&s->f, "421 busy\r\n");
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->verdict.code, 421);
	end(s);
}

static void nonsense_is_a_temporary_failure(void **state)
{
	(void)state;
	const char *nonsense[] = {"HTTP/1.1 400 Bad Request\r\n", "\r\n", "2x0 hi\r\n",
		"\x16\x03\x01", "220-a\r\n250 b\r\n", "354 go\r\n",
		"220 mx\r\n250 unasked\r\n250 again\r\n", "220 mx\r\n250 unasked\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++) {
		struct scene *s = begin();
		connects(s);
		says(&s->f, nonsense[i]);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->ready, 0);
		assert_int_equal(s->verdict.kind, VERDICT_TEMPORARY);
		assert_false(s->f.open);
		end(s);
	}
}

static void an_endless_line_is_cut_off(void **state)
{
	(void)state;
	struct scene *s = begin();

	connects(s);
	says(&s->f, "220 ");
	for (int i = 0; i < 100 && !s->failed; i++)
		says(&s->f, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	assert_int_equal(s->failed, 1);
	end(s);
}

static void each_stage_has_its_deadline(void **state)
{
	(void)state;
	struct scene *s = begin();

	passes(&s->f, timeouts.connect - 1);
	assert_int_equal(s->failed, 0);
	passes(&s->f, 1);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_CONNECT);
	text_has(s->verdict, "timed out");
	end(s);

	s = begin();
	passes(&s->f, timeouts.connect - 1);
	connects(s);
	passes(&s->f, timeouts.greeting - 1);
	assert_int_equal(s->failed, 0);
	says(&s->f, "220-dripping"); /* no whole reply: the deadline stays */
	passes(&s->f, 1);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_GREETING);
	end(s);

	s = begin();
	connects(s);
	says(&s->f, "220 mx\r\n");
	passes(&s->f, timeouts.ehlo);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_EHLO);
	end(s);
}

static void an_idle_session_has_no_deadline_of_its_own(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	passes(&s->f, 24ull * 3600 * 1000);
	assert_int_equal(s->failed + s->gone, 0);
	assert_true(client_idle(s->client));
	end(s);
}

static void notices_that_an_idle_server_left(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	hangs_up(&s->f, 0);
	assert_int_equal(s->gone, 1);
	assert_int_equal(s->failed, 0);
	assert_false(client_idle(s->client));
	end(s);

	s = greeted(EHLO_ALL);
	says(&s->f, "421 timeout, closing\r\n");
	assert_int_equal(s->gone, 1);
	end(s);

	s = greeted(EHLO_ALL);
	says(&s->f, "nonsense");
	assert_int_equal(s->gone, 1);
	end(s);
}

static void a_lost_connection_before_ready(void **state)
{
	(void)state;
	struct scene *s = begin();

	connects(s);
	hangs_up(&s->f, 0);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_GREETING);
	assert_int_equal(s->verdict.enhanced.detail, 2);
	end(s);
}

static void quits_politely_only_when_idle(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_close(&s->client, true);
	expects(&s->f, "QUIT\r\n");
	assert_true(s->f.lingered);
	assert_null(s->client);
	end(s);

	s = greeted(EHLO_ALL);
	client_send(s->client, &s->job);
	says(&s->f, "");
	forget(&s->f);
	client_close(&s->client, true);
	expects(&s->f, "");
	assert_false(s->f.lingered);
	end(s);
}

static void may_be_closed_in_every_callback(void **state)
{
	(void)state;
	struct scene *s = begin();

	s->close_in_it = true;
	connects(s);
	says(&s->f, "220 mx\r\n");
	says(&s->f, EHLO_ALL);
	assert_int_equal(s->ready, 1);
	assert_null(s->client);
	end(s);

	s = begin();
	s->close_in_it = true;
	connects(s);
	says(&s->f, "521 no mail here\r\n");
	assert_int_equal(s->failed, 1);
	text_has(s->verdict, "no mail here");
	end(s);

	s = greeted(EHLO_ALL);
	s->close_in_it = true;
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n550 no\r\n554 none\r\n");
	assert_int_equal(s->done, 1);
	assert_null(s->client);
	end(s);

	s = greeted(EHLO_ALL);
	s->close_in_it = true;
	hangs_up(&s->f, ERR_CLOSED);
	assert_int_equal(s->gone, 1);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(greets_and_learns_what_the_server_can),
		cmocka_unit_test(binarymime_without_chunking_does_not_count),
		cmocka_unit_test(replies_may_come_byte_by_byte),
		cmocka_unit_test(falls_back_to_helo),
		cmocka_unit_test(refused_connection_names_the_peer),
		cmocka_unit_test(an_error_at_once_is_returned),
		cmocka_unit_test(a_refusing_greeting_is_temporary_in_the_servers_words),
		cmocka_unit_test(refused_ehlo_and_helo),
		cmocka_unit_test(nonsense_is_a_temporary_failure),
		cmocka_unit_test(an_endless_line_is_cut_off),
		cmocka_unit_test(each_stage_has_its_deadline),
		cmocka_unit_test(an_idle_session_has_no_deadline_of_its_own),
		cmocka_unit_test(notices_that_an_idle_server_left),
		cmocka_unit_test(a_lost_connection_before_ready),
		cmocka_unit_test(quits_politely_only_when_idle),
		cmocka_unit_test(may_be_closed_in_every_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
