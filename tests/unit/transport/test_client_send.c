/* Transactions: what is sent, what replies mean for each recipient, what is left of the session. */
#include "client_fixture.h"

#define BODY_SENT "Received: by gw\r\nSubject: x\r\n\r\nhello\r\n.\r\n"

static void one_packet_out_one_body_out(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 2);
	client_send(s->client, &s->job);
	assert_int_equal(s->f.sends, 1);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r0@b.example>\r\n"
		       "RCPT TO:<r1@b.example>\r\nDATA\r\n");
	says(&s->f, "250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.1.5 ok\r\n354 go\r\n");
	assert_int_equal(s->f.sends + s->f.files, 2);
	expects(&s->f, BODY_SENT);
	says(&s->f, "250 2.0.0 queued as 77\r\n");
	assert_int_equal(s->done, 1);
	assert_true(s->job.usable);
	assert_true(s->job.dsn_passed);
	verdict_is(s, 0, VERDICT_OK, 250);
	verdict_is(s, 1, VERDICT_OK, 250);
	text_has(s->results[1].verdict, "queued as 77");
	assert_true(s->results[1].verdict.remote);
	end(s);
}

static void without_pipelining_one_command_at_a_time(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_SLOW);

	recipients(s, 2);
	s->f.slice = 1;
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\n");
	says(&s->f, "250 ok\r\n");
	expects(&s->f, "RCPT TO:<r0@b.example>\r\n");
	says(&s->f, "250 ok\r\n");
	expects(&s->f, "RCPT TO:<r1@b.example>\r\n");
	says(&s->f, "550 5.1.1 unknown\r\n");
	expects(&s->f, "DATA\r\n");
	says(&s->f, "354 go\r\n");
	expects(&s->f, BODY_SENT);
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	verdict_is(s, 1, VERDICT_PERMANENT, 550);
	assert_int_equal(s->results[1].verdict.enhanced.subject, 1);
	assert_false(s->job.dsn_passed);
	end(s);
}

static void an_early_second_reply_without_pipelining_is_a_protocol_error(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_SLOW);

	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 but nothing was asked\r\n");
	assert_int_equal(s->failed, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 451);
	end(s);
}

static void every_recipient_gets_its_own_reply(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 4);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n550 5.1.1 no\r\n250 ok\r\n451-4.7.1 grey\r\n451 4.7.1 list\r\n"
		    "251 forwarded\r\n354 go\r\n");
	says(&s->f, "250 taken\r\n");
	verdict_is(s, 0, VERDICT_PERMANENT, 550);
	verdict_is(s, 1, VERDICT_OK, 250);
	verdict_is(s, 2, VERDICT_TEMPORARY, 451);
	text_has(s->results[2].verdict, "grey list");
	verdict_is(s, 3, VERDICT_OK, 250);
	end(s);
}

static void the_last_reply_counts_for_all_that_were_accepted(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 2);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "554 5.7.1 spam\r\n");
	verdict_is(s, 0, VERDICT_PERMANENT, 550);
	verdict_is(s, 1, VERDICT_PERMANENT, 554);
	assert_true(s->job.usable);
	end(s);
}

static void a_refused_sender_is_everybodys_verdict(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 2);
	client_send(s->client, &s->job);
	says(&s->f, "550 5.1.8 bad sender\r\n503 need MAIL\r\n503 need MAIL\r\n503 need RCPT\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 550);
	verdict_is(s, 1, VERDICT_PERMANENT, 550);
	text_has(s->results[1].verdict, "bad sender");
	assert_true(s->job.usable);
	end(s);

	s = greeted(EHLO_SLOW);
	client_send(s->client, &s->job);
	says(&s->f, "451 later\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 451);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\n");
	end(s);
}

static void nobody_accepted_yet_354_sends_nothing(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	forget(&s->f);
	says(&s->f, "250 ok\r\n550 no\r\n354 go on\r\n");
	assert_int_equal(s->done, 0);
	expects(&s->f, ".\r\n"); /* no byte of the message may go */
	says(&s->f, "250 fine, thanks for nothing\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 550);
	assert_true(s->job.usable);
	end(s);
}

static void a_refused_transaction_is_reset_before_the_next(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	forget(&s->f);
	says(&s->f, "250 ok\r\n550 no\r\n554 no valid recipients\r\n");
	assert_int_equal(s->done, 1);
	client_send(s->client, &s->job);
	expects(&s->f,
		"RSET\r\nMAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	says(&s->f, "250 reset\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 2);
	verdict_is(s, 0, VERDICT_OK, 250);
	end(s);

	s = greeted(EHLO_SLOW);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n");
	says(&s->f, "450 no\r\n");
	assert_int_equal(s->done, 1);
	forget(&s->f);
	client_send(s->client, &s->job);
	expects(&s->f, "RSET\r\n");
	passes(&s->f, timeouts.rset - 1);
	says(&s->f, "250 ok\r\n");
	expects(&s->f, "MAIL FROM:<a@a.example>\r\n");
	end(s);
}

static void a_finished_transaction_needs_no_reset(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	s->send_again = true;
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	forget(&s->f);
	says(&s->f, "250 ok\r\n");
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 2);
	end(s);
}

/* What is said to MAIL, RCPT, DATA or the body, and whether all other mail would have heard it. */
static void a_reply_is_about_the_server_or_the_mail(void **state)
{
	(void)state;
	static const struct {
		const char *replies, *end;
		bool of_server;
	} cases[] = {
		{"452 4.3.1 out of space\r\n503 x\r\n503 x\r\n", NULL, true},
		{"451 later\r\n503 x\r\n503 x\r\n", NULL, true},
		{"450 4.7.1 too much from you\r\n503 x\r\n503 x\r\n", NULL, true},
		{"450 4.1.8 bad sender\r\n503 x\r\n503 x\r\n", NULL, false},
		{"250 ok\r\n452 4.2.2 full\r\n503 x\r\n", NULL, false},
		{"250 ok\r\n450 4.2.0 greylisted\r\n503 x\r\n", NULL, false},
		{"250 ok\r\n451 4.7.1 greylisted\r\n503 x\r\n", NULL, false},
		{"250 ok\r\n452 4.3.1 out of space\r\n503 x\r\n", NULL, false},
		{"250 ok\r\n451 later\r\n503 x\r\n", NULL, false},
		{"250 ok\r\n421 4.7.0 too many errors\r\n", NULL, true},
		{"250 ok\r\n250 ok\r\n451 4.3.0 later\r\n", NULL, true},
		{"250 ok\r\n250 ok\r\n451 4.7.1 greylisted\r\n", NULL, false},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "452 out of space\r\n", true},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "450 this mailbox\r\n", false},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "451 4.4.2 no connection behind\r\n", true},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "451 4.6.0 cannot read this\r\n", false},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "451 4.7.1 scanned later\r\n", false},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "452 4.2.2 full\r\n", false},
		{"250 ok\r\n250 ok\r\n354 go\r\n", "554 5.3.0 no\r\n", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene *s = greeted(EHLO_ALL);

		client_send(s->client, &s->job);
		says(&s->f, cases[i].replies);
		if (cases[i].end)
			says(&s->f, cases[i].end);
		assert_int_equal(s->done, 1);
		assert_int_equal(s->results[0].of_server, cases[i].of_server);
		end(s);
	}
}

/* A session that breaks off without a word says nothing about the server. */
static void a_lost_session_is_not_of_the_server(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	hangs_up(&s->f, 0);
	assert_int_equal(s->failed, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 421);
	assert_false(s->results[0].of_server);
	end(s);
}

static void a_421_ends_the_session_and_is_the_verdict(void **state)
{
	(void)state;
	const char *before[] = {"", "250 ok\r\n", "250 ok\r\n250 ok\r\n550 no\r\n",
		"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		struct scene *s = greeted(EHLO_ALL);
		recipients(s, 2);
		client_send(s->client, &s->job);
		says(&s->f, before[i]);
		says(&s->f, "421 4.3.2 shutting down\r\n");
		assert_int_equal(s->done, 1);
		assert_false(s->job.usable);
		verdict_is(s, 0, VERDICT_TEMPORARY, 421);
		verdict_is(
			s, 1, i == 2 ? VERDICT_PERMANENT : VERDICT_TEMPORARY, i == 2 ? 550 : 421);
		assert_false(s->f.open);
		end(s);
	}
}

static void a_lost_connection_is_temporary_at_each_stage(void **state)
{
	(void)state;
	static const struct {
		const char *before;
		enum client_stage stage;
	} cases[] = {
		{"", CLIENT_AT_MAIL},
		{"250 ok\r\n", CLIENT_AT_RCPT},
		{"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n", CLIENT_AT_DATA},
		{"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n", CLIENT_AT_END},
		{"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n250 half a rep", CLIENT_AT_END},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene *s = greeted(EHLO_ALL);
		recipients(s, 2);
		client_send(s->client, &s->job);
		says(&s->f, cases[i].before);
		hangs_up(&s->f, i & 1 ? 0 : ERR_CLOSED);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->done, 0);
		assert_int_equal(s->stage, cases[i].stage);
		assert_false(s->job.usable);
		verdict_is(s, 0, VERDICT_TEMPORARY, 421);
		if (i >= 2) /* refused is refused */
			verdict_is(s, 1, VERDICT_PERMANENT, 550);
		end(s);
	}
}

static void each_command_has_its_deadline(void **state)
{
	(void)state;
	static const struct {
		const char *before;
		uint64_t patience;
		enum client_stage stage;
	} cases[] = {
		{"", 61000, CLIENT_AT_MAIL},
		{"250 ok\r\n", 62000, CLIENT_AT_RCPT},
		{"250 ok\r\n250 ok\r\n", 63000, CLIENT_AT_DATA},
		{"250 ok\r\n250 ok\r\n354 go\r\n", 600000, CLIENT_AT_END},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scene *s = greeted(EHLO_ALL);
		client_send(s->client, &s->job);
		says(&s->f, cases[i].before);
		passes(&s->f, cases[i].patience - 1);
		assert_int_equal(s->failed, 0);
		says(&s->f, "250"); /* dripping buys no time */
		passes(&s->f, 1);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->stage, cases[i].stage);
		verdict_is(s, 0, VERDICT_TEMPORARY, 421);
		text_has(s->results[0].verdict, "timed out");
		end(s);
	}
}

static void a_body_may_take_long_while_it_moves(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	for (int i = 0; i < 5; i++) {
		s->f.unsent -= 5; /* the kernel took a little */
		passes(&s->f, timeouts.body);
		assert_int_equal(s->failed, 0);
	}
	passes(&s->f, timeouts.body - 1);
	assert_int_equal(s->failed, 0);
	passes(&s->f, 1); /* it took nothing */
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_BODY);
	end(s);

	s = greeted(EHLO_ALL);
	client_send(s->client, &s->job);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	passes(&s->f, timeouts.body - 1);
	drains(&s->f);
	passes(&s->f, timeouts.body_end - 1);
	assert_int_equal(s->failed, 0);
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 1);
	assert_true(s->job.usable);
	end(s);
}

/* A hop that takes a byte now and then, so that it never stalls, holds a session no longer than a
 * very slow line would: ten waits for a block, and a second for each KiB. */
static void a_dripping_hop_has_its_end(void **state)
{
	(void)state;
	enum { BYTES = 600000 };
	char *text = malloc(BYTES + 1);
	struct scene *s = greeted(EHLO_ALL);
	uint64_t most = 10 * timeouts.body + (BYTES + 17) * 1000ull / 1024;

	assert_non_null(text);
	for (size_t i = 0; i < BYTES; i += 60)
		memcpy(text + i, "0123456789012345678901234567890123456789012345678901234567\r\n",
			60);
	text[BYTES] = '\0';
	for (int chunk = 0; chunk < 2; chunk++) { /* by BDAT, and in pieces */
		message(s, text, 0);
		client_send(s->client, &s->job);
		s->f.stuck = true;
		says(&s->f, "250 ok\r\n250 ok\r\n");
		if (!chunk) {
			assert_int_equal(s->f.files, 1);
		} else {
			says(&s->f, "354 go\r\n");
		}
		uint64_t left = most;
		for (; left > timeouts.body / 2; left -= timeouts.body / 2) {
			passes(&s->f, timeouts.body / 2);
			assert_int_equal(s->failed, 0);
			s->f.unsent--;
		}
		passes(&s->f, left - 1);
		assert_int_equal(s->failed, 0);
		passes(&s->f, 2);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->stage, CLIENT_AT_BODY);
		verdict_is(s, 0, VERDICT_TEMPORARY, 421);
		text_has(s->results[0].verdict, "too slow");
		end(s);
		s = greeted("250-mx\r\n250 PIPELINING\r\n");
	}
	/* An honest line of 9,600 bit/s gets it through. */
	message(s, text, 0);
	client_send(s->client, &s->job);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	while (s->f.unsent) {
		passes(&s->f, 40000);
		if (s->f.unsent <= 900 * 40)
			drains(&s->f);
		else
			s->f.unsent -= 900 * 40;
		assert_int_equal(s->failed, 0);
	}
	passes(&s->f, timeouts.body_end - 1);
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_OK, 250);
	end(s);
	free(text);
}

static void a_reply_in_the_middle_of_the_body(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "552 5.3.4 too big\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 552);
	assert_false(s->job.usable);
	assert_false(s->f.open); /* the file is not needed any more */
	end(s);

	/* Taken over before it was sent: nobody can have done that. */
	s = greeted(EHLO_ALL);
	client_send(s->client, &s->job);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->failed, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 451);
	end(s);
}

static void codes_that_make_no_sense(void **state)
{
	(void)state;
	const char *dialogues[] = {"354 go\r\n", "250 ok\r\n354 go\r\n",
		"250 ok\r\n250 ok\r\n250 ok\r\n", "250 ok\r\n250 ok\r\n334 go\r\n",
		"250 ok\r\n250 ok\r\n354 go\r\n354 go on\r\n", "gibberish\r\n",
		"250 ok\r\n250-a\r\n550 b\r\n",
		/* taken before the body can have been there */
		"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"};

	for (size_t i = 0; i < ARRAY_SIZE(dialogues); i++) {
		struct scene *s = greeted(EHLO_ALL);
		client_send(s->client, &s->job);
		says(&s->f, dialogues[i]);
		assert_int_equal(s->failed, 1);
		assert_int_equal(s->results[0].verdict.kind, VERDICT_TEMPORARY);
		assert_false(s->results[0].verdict.remote);
		assert_false(s->f.open);
		end(s);
	}
}

/* It may have refused at once, whatever came of the body. */
static void a_refusal_with_the_354_counts(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n554 5.7.1 no\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 554);
	end(s);
}

static void more_replies_than_commands_make_the_session_unusable(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n250 one more\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_OK, 250);
	assert_false(s->job.usable);
	end(s);
}

/* What came between two transactions, and was not read yet, would be read as the answer to the next
 * MAIL: nothing is sent, and the session is over. */
static void a_late_reply_is_no_answer_to_the_next_command(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 1);
	assert_true(s->job.usable);
	passes(&s->f, 1000);
	forget(&s->f);
	s->f.arrived = true;
	client_send(s->client, &s->job);
	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	assert_int_equal(s->failed, 1);
	assert_int_equal(s->stage, CLIENT_AT_MAIL); /* nothing was taken: another session will do */
	verdict_is(s, 0, VERDICT_TEMPORARY, 421);
	assert_false(s->f.open);
	end(s);
}

/* One that is read while nothing was asked ends the session at once. */
static void a_reply_while_idle_ends_the_session(void **state)
{
	(void)state;
	static const char *const said[] = {
		"250 ok\r\n", "550 no\r\n", "421 bye\r\n", "250-ok\r\n", "x"};

	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		struct scene *s = greeted(EHLO_ALL);

		client_send(s->client, &s->job);
		says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
		says(&s->f, "250 ok\r\n");
		says(&s->f, said[i]);
		assert_int_equal(s->gone, 1);
		end(s);
	}
}

static void many_recipients_go_in_windows(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);
	size_t lines = 0;

	recipients(s, 250);
	client_send(s->client, &s->job);
	for (size_t i = 0; i < s->f.sent_n; i++)
		lines += s->f.sent[i] == '\n';
	assert_int_equal(lines, 1 + CLIENT_WINDOW); /* and no DATA yet */
	says(&s->f, "250 ok\r\n");
	for (int i = 0; i < 250; i++)
		says(&s->f, i % 5 ? "250 ok\r\n" : "550 no\r\n");
	lines = 0;
	for (size_t i = 0; i < s->f.sent_n; i++)
		lines += s->f.sent[i] == '\n';
	assert_int_equal(lines, 1 + 250 + 1);
	says(&s->f, "354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 1);
	for (uint32_t i = 0; i < 250; i++)
		verdict_is(s, i, i % 5 ? VERDICT_OK : VERDICT_PERMANENT, i % 5 ? 250 : 550);
	end(s);
}

static void recipients_beyond_rcptmax_are_not_tried(void **state)
{
	(void)state;
	struct scene *s = greeted("250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2\r\n");

	recipients(s, 5);
	client_send(s->client, &s->job);
	expects(&s->f,
		"MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\nRCPT TO:<r1@b.example>\r\n"
		"DATA\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 1, VERDICT_OK, 250);
	for (int i = 2; i < 5; i++)
		assert_true(s->results[i].not_tried);
	end(s);
}

static void too_many_recipients_are_told_from_a_full_mailbox(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 5);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n452 4.2.2 mailbox full\r\n452 4.5.3 too many\r\n"
		    "552 5.5.3 too many\r\n452 too many\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	verdict_is(s, 1, VERDICT_TEMPORARY, 452);
	assert_true(s->results[2].not_tried);
	assert_true(s->results[3].not_tried);
	assert_true(s->results[4].not_tried);
	end(s);

	/* The first one cannot be one too many: that would go round for ever. */
	s = greeted(EHLO_ALL);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n452 4.5.3 too many\r\n503 no\r\n");
	verdict_is(s, 0, VERDICT_TEMPORARY, 452);
	end(s);

	/* What was not even sent is not tried either. */
	s = greeted(EHLO_SLOW);
	recipients(s, 3);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n");
	says(&s->f, "250 ok\r\n");
	forget(&s->f);
	says(&s->f, "452 too many\r\n");
	expects(&s->f, "DATA\r\n");
	assert_true(s->results[1].not_tried && s->results[2].not_tried);
	end(s);
}

static void mailmax_ends_the_session_in_time(void **state)
{
	(void)state;
	struct scene *s = greeted("250-mx\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=1\r\n");

	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->done, 1);
	assert_false(s->job.usable);
	end(s);
}

static void dsn_parameters_are_passed_on(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 3);
	s->envelope.ret = RETURN_HEADERS;
	s->envelope.envid = SPAN("id+2B1");
	s->rcpts[0].notify = NOTIFY_NEVER;
	s->rcpts[1].notify = NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY;
	s->rcpts[1].orcpt = SPAN("rfc822;x+3Dy@z.example");
	s->rcpts[2].orcpt = SPAN("rfc822;evil\r\nRSET");
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38 RET=HDRS ENVID=id+2B1\r\n"
		       "RCPT TO:<r0@b.example> NOTIFY=NEVER\r\n"
		       "RCPT TO:<r1@b.example> NOTIFY=SUCCESS,FAILURE,DELAY "
		       "ORCPT=rfc822;x+3Dy@z.example\r\n"
		       "RCPT TO:<r2@b.example>\r\nDATA\r\n");
	end(s);

	s = greeted(EHLO_PLAIN);
	s->envelope.ret = RETURN_FULL;
	s->rcpts[0].notify = NOTIFY_SUCCESS;
	s->envelope.sender = SPAN_NONE;
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<>\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	assert_false(s->job.dsn_passed);
	end(s);
}

static void addresses_cannot_smuggle_commands(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	recipients(s, 2);
	s->rcpts[0].address = SPAN("x\r\nRSET@b.example");
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r1@b.example>\r\nDATA\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_PERMANENT, 553);
	verdict_is(s, 1, VERDICT_OK, 250);
	end(s);

	s = greeted(EHLO_ALL);
	s->envelope.sender = SPAN("a\n@b");
	client_send(s->client, &s->job);
	assert_int_equal(s->done, 0); /* never inside client_send() */
	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 553);
	assert_true(s->job.usable);
	end(s);
}

static void smtputf8_is_asked_for_only_where_needed(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	s->envelope.flags = ENVELOPE_SMTPUTF8; /* asked for, and not used */
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	end(s);

	s = greeted(EHLO_ALL);
	s->rcpts[0].address = SPAN("j\xc3\xb6rg@b.example");
	s->envelope.flags = ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT | ENVELOPE_BODY_8BIT;
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38 BODY=8BITMIME SMTPUTF8\r\n"
		       "RCPT TO:<j\xc3\xb6rg@b.example>\r\nDATA\r\n");
	end(s);
}

static void without_smtputf8_only_what_needs_it_bounces(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_PLAIN);

	recipients(s, 2);
	s->rcpts[0].address = SPAN("j\xc3\xb6rg@b.example");
	s->envelope.flags = ENVELOPE_SMTPUTF8;
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r1@b.example>\r\nDATA\r\n");
	verdict_is(s, 0, VERDICT_PERMANENT, 553);
	assert_int_equal(s->results[0].verdict.enhanced.subject, 6);
	assert_int_equal(s->results[0].verdict.enhanced.detail, 7);
	end(s);

	/* The Received field names it, too: the address is the reason that helps. */
	s = greeted(EHLO_PLAIN);
	s->rcpts[0].address = SPAN("j\xc3\xb6rg@b.example");
	s->envelope.flags = ENVELOPE_SMTPUTF8;
	s->envelope.prepend = SPAN("Received: by gw for <j\xc3\xb6rg@b.example>\r\n");
	client_send(s->client, &s->job);
	expects(&s->f, "");
	verdict_is(s, 0, VERDICT_PERMANENT, 553);
	assert_int_equal(s->results[0].verdict.enhanced.detail, 7);
	end(s);

	s = greeted(EHLO_PLAIN);
	s->envelope.flags = ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT | ENVELOPE_BODY_8BIT;
	client_send(s->client, &s->job);
	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 553);
	assert_int_equal(s->results[0].verdict.enhanced.detail, 9);
	assert_true(s->job.usable);
	end(s);
}

static void too_large_a_message_is_not_sent(void **state)
{
	(void)state;
	struct scene *s = greeted("250-mx\r\n250 SIZE 37\r\n");

	client_send(s->client, &s->job);
	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 552);
	assert_int_equal(s->results[0].verdict.enhanced.subject, 3);
	assert_int_equal(s->results[0].verdict.enhanced.detail, 4);
	assert_true(s->job.usable);
	end(s);
}

static void a_failing_send_fails_the_session_in_the_next_turn(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_ALL);

	s->f.send_error = ERR_CLOSED;
	client_send(s->client, &s->job);
	assert_int_equal(s->failed, 0);
	passes(&s->f, 0);
	assert_int_equal(s->failed, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 421);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_packet_out_one_body_out),
		cmocka_unit_test(without_pipelining_one_command_at_a_time),
		cmocka_unit_test(an_early_second_reply_without_pipelining_is_a_protocol_error),
		cmocka_unit_test(every_recipient_gets_its_own_reply),
		cmocka_unit_test(the_last_reply_counts_for_all_that_were_accepted),
		cmocka_unit_test(a_refused_sender_is_everybodys_verdict),
		cmocka_unit_test(nobody_accepted_yet_354_sends_nothing),
		cmocka_unit_test(a_refused_transaction_is_reset_before_the_next),
		cmocka_unit_test(a_finished_transaction_needs_no_reset),
		cmocka_unit_test(a_421_ends_the_session_and_is_the_verdict),
		cmocka_unit_test(a_reply_is_about_the_server_or_the_mail),
		cmocka_unit_test(a_lost_session_is_not_of_the_server),
		cmocka_unit_test(a_lost_connection_is_temporary_at_each_stage),
		cmocka_unit_test(each_command_has_its_deadline),
		cmocka_unit_test(a_body_may_take_long_while_it_moves),
		cmocka_unit_test(a_dripping_hop_has_its_end),
		cmocka_unit_test(a_reply_in_the_middle_of_the_body),
		cmocka_unit_test(codes_that_make_no_sense),
		cmocka_unit_test(a_refusal_with_the_354_counts),
		cmocka_unit_test(more_replies_than_commands_make_the_session_unusable),
		cmocka_unit_test(a_late_reply_is_no_answer_to_the_next_command),
		cmocka_unit_test(a_reply_while_idle_ends_the_session),
		cmocka_unit_test(many_recipients_go_in_windows),
		cmocka_unit_test(recipients_beyond_rcptmax_are_not_tried),
		cmocka_unit_test(too_many_recipients_are_told_from_a_full_mailbox),
		cmocka_unit_test(mailmax_ends_the_session_in_time),
		cmocka_unit_test(dsn_parameters_are_passed_on),
		cmocka_unit_test(addresses_cannot_smuggle_commands),
		cmocka_unit_test(smtputf8_is_asked_for_only_where_needed),
		cmocka_unit_test(without_smtputf8_only_what_needs_it_bounces),
		cmocka_unit_test(too_large_a_message_is_not_sent),
		cmocka_unit_test(a_failing_send_fails_the_session_in_the_next_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
