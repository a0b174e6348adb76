#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "codec/dsn.h"

#define HEADER	 "From: a@a.example\r\nSubject: hello\r\n\r\n"
#define NOW	 1763763648000ll /* Fri, 21 Nov 2025 22:20:48 UTC */
#define BOUNDARY "=_dsn_00000000deadbeef"

struct scene {
	struct envelope original;
	struct envelope_rcpt rcpts[200];
	struct dsn_rcpt results[200];
	struct verdict verdict;
	struct dsn dsn;
	struct buf out;
	uint32_t flags;
	uint64_t header_bytes;
	char *text; /* the output, NUL behind it */
};

static void begin(struct scene *s)
{
	*s = (struct scene){
		.original = {.id = 1,
			.sender = SPAN("a@a.example"),
			.arrived_ms = NOW - 3600000,
			.header_bytes = sizeof(HEADER) - 1,
			.body_bytes = sizeof(HEADER "body\r\n") - 1},
		.dsn = {.hostname = SPAN("gw.example"),
			.id = 77,
			.boundary = 0xdeadbeef,
			.now_ms = NOW},
	};
	s->rcpts[0] = (struct envelope_rcpt){.address = SPAN("b@b.example")};
	verdict_set(&s->verdict, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 1, 1}, true,
		SPAN("no such user"));
	s->results[0] = (struct dsn_rcpt){.rcpt = &s->rcpts[0],
		.action = DSN_FAILED,
		.verdict = &s->verdict,
		.remote_mta = SPAN("mx.b.example"),
		.last_attempt_ms = NOW - 1000};
	s->dsn.original = &s->original;
	s->dsn.rcpts = s->results;
	s->dsn.rcpt_count = 1;
	s->dsn.content = SPAN(HEADER);
	buf_init(&s->out, 1u << 22);
}

static void build(struct scene *s)
{
	buf_clear(&s->out);
	assert_int_equal(dsn_build(&s->dsn, &s->out, &s->flags, &s->header_bytes), 0);
	free(s->text);
	s->text = calloc(1, s->out.n + 1);
	assert_non_null(s->text);
	memcpy(s->text, s->out.p, s->out.n);
	/* What holds for every message: CRLF only, lines not too long, no NUL. */
	size_t column = 0;
	for (size_t i = 0; i < s->out.n; i++) {
		assert_true(s->text[i] != '\0');
		assert_int_equal(s->text[i] == '\n', i && s->text[i - 1] == '\r');
		column = s->text[i] == '\n' ? 0 : column + 1;
		assert_true(column <= 999);
	}
	assert_memory_equal(s->text + s->header_bytes - 4, "\r\n\r\n", 4);
	assert_true(s->flags & ENVELOPE_DSN);
}

static void end(struct scene *s)
{
	free(s->text);
	buf_done(&s->out);
}

#define has(s, part)   assert_non_null(strstr((s)->text, (part)))
#define hasnt(s, part) assert_null(strstr((s)->text, (part)))

static void a_failure_in_full(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	s.original.envid = SPAN("QQ+2B7");
	s.original.helo = SPAN("client.example");
	assert_int_equal(netaddr_parse_ip(SPAN("192.0.2.9"), &s.original.client), 0);
	s.rcpts[0].orcpt = SPAN("rfc822;old+2Bname@c.example");
	build(&s);
	assert_string_equal(s.text,
		"Date: Fri, 21 Nov 2025 22:20:48 +0000\r\n"
		"From: Mail Delivery System <MAILER-DAEMON@gw.example>\r\n"
		"To: <a@a.example>\r\n"
		"Subject: Undelivered mail returned to sender\r\n"
		"Message-ID: <dsn.00001kam82xg0.000000000002d@gw.example>\r\n"
		"Auto-Submitted: auto-replied\r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status;\r\n"
		"\tboundary=\"" BOUNDARY "\"\r\n\r\n"
		"This is a MIME report about the delivery of a message.\r\n"
		"\r\n--" BOUNDARY "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
		"This is the mail system of gw.example.\r\n\r\n"
		"Your message could not be delivered to the recipients below, and will not be\r\n"
		"tried again for them.\r\n\r\n"
		"  <b@b.example>\r\n"
		"    The server mx.b.example said: 550 no such user\r\n"
		"    Please check the address for typing mistakes, or ask the recipient for\r\n"
		"    the right one, and send the message again.\r\n\r\n"
		"For help, write to postmaster@gw.example and attach this report.\r\n"
		"\r\n--" BOUNDARY "\r\nContent-Type: message/delivery-status\r\n\r\n"
		"Reporting-MTA: dns; gw.example\r\n"
		"Original-Envelope-Id: QQ+7\r\n"
		"Received-From-MTA: dns; client.example ([192.0.2.9])\r\n"
		"Arrival-Date: Fri, 21 Nov 2025 21:20:48 +0000\r\n\r\n"
		"Original-Recipient: rfc822;old+name@c.example\r\n"
		"Final-Recipient: rfc822; b@b.example\r\n"
		"Action: failed\r\n"
		"Status: 5.1.1\r\n"
		"Remote-MTA: dns; mx.b.example\r\n"
		"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
		"Last-Attempt-Date: Fri, 21 Nov 2025 22:20:47 +0000\r\n"
		"\r\n--" BOUNDARY "\r\nContent-Type: text/rfc822-headers\r\n\r\n" HEADER
		"\r\n--" BOUNDARY "--\r\n");
	assert_int_equal(s.flags, ENVELOPE_DSN);
	end(&s);
}

static void a_delay_says_until_when_it_is_tried(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	verdict_set(&s.verdict, VERDICT_TEMPORARY, 554, (struct enhanced_code){5, 7, 1}, true,
		SPAN("go away for now"));
	s.results[0].action = DSN_DELAYED;
	s.results[0].retry_until_ms = NOW + 86400000;
	s.dsn.content = SPAN(HEADER "body\r\n"); /* only failures return it whole */
	build(&s);
	has(&s, "Subject: Delayed mail: still being tried\r\n");
	has(&s, "Action: delayed\r\nStatus: 4.7.1\r\n");
	has(&s, "Will-Retry-Until: Sat, 22 Nov 2025 22:20:48 +0000\r\n");
	has(&s, "It is tried until Sat, 22 Nov 2025");
	hasnt(&s, "tried since");
	s.results[0].tried_since_ms = NOW - 3600000;
	build(&s);
	has(&s, "    It has been tried since Fri, 21 Nov 2025 21:20:48 +0000.\r\n"
		"    It is tried until Sat, 22 Nov 2025 22:20:48 +0000.\r\n");
	has(&s, "kept and will");
	hasnt(&s, "postmaster@");
	hasnt(&s, "body\r\n");
	end(&s);
}

static void success_relayed_and_delivered(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	verdict_set(&s.verdict, VERDICT_OK, 250, (struct enhanced_code){0}, true, SPAN("ok"));
	s.results[0].action = DSN_RELAYED;
	s.rcpts[1] = (struct envelope_rcpt){.address = SPAN("c@b.example")};
	s.results[1] = (struct dsn_rcpt){
		.rcpt = &s.rcpts[1], .action = DSN_DELIVERED, .verdict = &s.verdict};
	s.dsn.rcpt_count = 2;
	build(&s);
	has(&s, "Action: relayed\r\nStatus: 2.0.0\r\n");
	has(&s, "Action: delivered\r\nStatus: 2.0.0\r\n");
	has(&s, "does not confirm deliveries");
	end(&s);
}

/* What our own words say of hosts, addresses and settings is for the log: the sender of the message
 * may be anybody. The code stays. */
static void our_own_reason_tells_nothing_of_the_inside(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	verdict_set(&s.verdict, VERDICT_TEMPORARY, 421, (struct enhanced_code){4, 4, 1}, false,
		SPAN("no connection (connection refused) to 10.0.0.9:12690"));
	s.results[0].remote_mta = SPAN_NONE;
	s.results[0].last_attempt_ms = 0;
	s.results[0].tried_since_ms = NOW - 3600000;
	build(&s);
	has(&s, "Status: 4.4.1\r\n"
		"Diagnostic-Code: x-postern; no connection to a mail server for b.example\r\n");
	has(&s, "    Reason: no connection to a mail server for b.example\r\n"
		"    It had been tried since Fri, 21 Nov 2025 21:20:48 +0000.\r\n"
		"    The recipient's server could not be reached in that time.");
	hasnt(&s, "10.0.0.9");
	hasnt(&s, "Remote-MTA");
	hasnt(&s, "Last-Attempt-Date");
	end(&s);
}

static void what_will_not_change_is_not_to_be_sent_again(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	verdict_set(&s.verdict, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 4, 4}, false,
		SPAN("the mail host mx1 of b.example has the address 127.0.0.2, which is not a "
		     "public one; set private-hosts of the transport where that is meant"));
	build(&s);
	has(&s, "Status: 5.4.4\r\n");
	has(&s, "x-postern; there is no usable mail server for b.example\r\n");
	hasnt(&s, "127.0.0.2");
	hasnt(&s, "private-hosts");
	hasnt(&s, "send again later");
	hasnt(&s, "tried since");
	end(&s);
}

static void our_reasons_for_every_code_are_sentences(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	for (uint16_t subject = 0; subject <= 8; subject++)
		for (uint16_t detail = 0; detail <= 12; detail++)
			for (int kind = VERDICT_TEMPORARY; kind <= VERDICT_PERMANENT; kind++) {
				bool for_now = kind == VERDICT_TEMPORARY;

				verdict_set(&s.verdict, kind, for_now ? 451 : 550,
					(struct enhanced_code){for_now ? 4 : 5, subject, detail},
					false, SPAN("/var/spool/secret"));
				build(&s);
				hasnt(&s, "secret");
				hasnt(&s, "x-postern; \r\n");
				has(&s, "    Reason: ");
			}
	/* An address without a domain (RFC 5321 section 4.5.1). */
	s.rcpts[0].address = SPAN("postmaster");
	verdict_set(&s.verdict, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 1, 2}, false,
		SPAN("secret"));
	build(&s);
	has(&s, "x-postern; there is no mail domain gw.example\r\n");
	end(&s);
}

static void what_is_meant_for_the_sender_is_told(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	verdict_set(&s.verdict, VERDICT_PERMANENT, 554, (struct enhanced_code){5, 7, 0}, false,
		SPAN("please write to our new address"));
	s.verdict.open = true;
	build(&s);
	has(&s, "Diagnostic-Code: x-postern; please write to our new address\r\n");
	has(&s, "    Reason: please write to our new address\r\n");
	end(&s);
}

/* A mailbox of ours says nothing that is worth a field. */
static void a_delivery_has_no_diagnosis(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	verdict_set(&s.verdict, VERDICT_OK, 250, (struct enhanced_code){2, 0, 0}, false,
		SPAN("delivered to the mailbox"));
	s.results[0].action = DSN_DELIVERED;
	build(&s);
	has(&s, "Action: delivered\r\nStatus: 2.0.0\r\n");
	hasnt(&s, "Diagnostic-Code");
	end(&s);
}

/* What comes back is what was sent on: with the line that says how it came here. */
static void the_returned_message_has_our_received_field(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	s.original.prepend = SPAN("Received: from c.example ([192.0.2.9])\r\n\tby gw.example\r\n");
	s.original.flags = ENVELOPE_BODY_STUFFED;
	s.dsn.content = SPAN(HEADER "body\r\n");
	build(&s);
	has(&s, "message/rfc822\r\n\r\nReceived: from c.example ([192.0.2.9])\r\n"
		"\tby gw.example\r\n" HEADER "body\r\n\r\n--");
	s.dsn.content = SPAN(HEADER);
	build(&s);
	has(&s, "text/rfc822-headers\r\n\r\nReceived: from c.example ([192.0.2.9])\r\n"
		"\tby gw.example\r\n" HEADER "\r\n--");
	end(&s);
}

static void a_status_always_fits_its_action(void **state)
{
	(void)state;
	static const struct {
		enum dsn_action action;
		enum verdict_kind kind;
		struct enhanced_code code;
		const char *status;
	} cases[] = {
		{DSN_FAILED, VERDICT_PERMANENT, {0}, "Status: 5.0.0\r\n"},
		{DSN_FAILED, VERDICT_PERMANENT, {2, 1, 5}, "Status: 5.0.0\r\n"},
		{DSN_FAILED, VERDICT_TEMPORARY, {0}, "Status: 4.0.0\r\n"},
		{DSN_FAILED, VERDICT_TEMPORARY, {4, 2, 2}, "Status: 4.2.2\r\n"},
		{DSN_DELAYED, VERDICT_TEMPORARY, {0}, "Status: 4.0.0\r\n"},
		{DSN_DELIVERED, VERDICT_OK, {5, 1, 1}, "Status: 2.0.0\r\n"},
		{DSN_DELIVERED, VERDICT_OK, {2, 1, 5}, "Status: 2.1.5\r\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct scene s;

		begin(&s);
		verdict_set(&s.verdict, cases[i].kind, 0, cases[i].code, true, SPAN("x"));
		s.results[0].action = cases[i].action;
		build(&s);
		has(&s, cases[i].status);
		end(&s);
	}
}

static void the_whole_message_comes_back_where_it_should(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	s.original.flags = ENVELOPE_BODY_STUFFED;
	s.original.body_bytes = sizeof(HEADER "..dot\r\n") - 1;
	assert_true(dsn_wants_body(&s.original, DSN_FAILED, 1000));
	assert_false(dsn_wants_body(&s.original, DSN_FAILED, 10));
	assert_false(dsn_wants_body(&s.original, DSN_DELAYED, 1000));
	s.original.ret = RETURN_HEADERS;
	assert_false(dsn_wants_body(&s.original, DSN_FAILED, 1000));
	s.original.ret = RETURN_FULL;
	assert_true(dsn_wants_body(&s.original, DSN_FAILED, 1000));
	s.dsn.content = SPAN(HEADER "..dot\r\n");
	build(&s);
	has(&s, "Content-Type: message/rfc822\r\n\r\n" HEADER ".dot\r\n\r\n--" BOUNDARY "--\r\n");
	assert_true(s.flags & ENVELOPE_BODY_DOTS);
	end(&s);
}

static void a_body_that_no_message_can_hold_is_not_returned(void **state)
{
	(void)state;
	static const uint32_t flags[] = {ENVELOPE_BODY_NUL, ENVELOPE_BODY_BARE,
		ENVELOPE_BODY_LONG_LINES, ENVELOPE_HEADER_8BIT};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		struct scene s;

		begin(&s);
		s.original.flags = flags[i];
		assert_false(dsn_wants_body(&s.original, DSN_FAILED, 1000));
		s.dsn.content = SPAN(HEADER "body\r\n");
		build(&s);
		has(&s, "text/rfc822-headers\r\n\r\n" HEADER "\r\n--");
		end(&s);
	}
}

static void eight_bit_content_is_declared(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	s.original.flags = ENVELOPE_BODY_8BIT;
	s.dsn.content = SPAN(HEADER "K\xe4s\r\n");
	s.original.body_bytes = s.dsn.content.n;
	build(&s);
	has(&s, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" HEADER
		"K\xe4s\r\n");
	assert_true(s.flags & ENVELOPE_BODY_8BIT);
	assert_true(s.flags & ENVELOPE_8BITMIME);
	assert_false(s.flags & (ENVELOPE_HEADER_8BIT | ENVELOPE_SMTPUTF8));
	/* in the outer header too, where RFC 2045 section 6.4 asks for it */
	const char *declared = strstr(s.text, "Content-Transfer-Encoding: 8bit");
	assert_true(declared && (size_t)(declared - s.text) < s.header_bytes);
	end(&s);
}

static void utf8_addresses_make_a_utf8_report(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	s.original.sender = SPAN("j\xc3\xb6rg@a.example");
	s.original.flags = ENVELOPE_SMTPUTF8 | ENVELOPE_HEADER_8BIT | ENVELOPE_BODY_8BIT;
	s.rcpts[0].address = SPAN("\xc3\xa4@b.example");
	s.dsn.content = SPAN("Subject: \xc3\xbc\r\n\r\n");
	s.original.header_bytes = s.dsn.content.n;
	verdict_set(&s.verdict, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 1, 1}, true,
		SPAN("unbekannt: \xc3\xa4"));
	build(&s);
	has(&s, "To: <j\xc3\xb6rg@a.example>\r\n");
	has(&s, "text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n");
	has(&s, "message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n");
	has(&s, "Final-Recipient: utf-8; \xc3\xa4@b.example\r\n");
	has(&s, "unbekannt: \xc3\xa4\r\n");
	has(&s, "message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: "
		"\xc3\xbc\r\n");
	assert_true(s.flags & ENVELOPE_SMTPUTF8);
	assert_true(s.flags & ENVELOPE_HEADER_8BIT);
	end(&s);
}

static void peers_cannot_write_our_fields(void **state)
{
	(void)state;
	struct scene s;
	static char longer[3000];

	begin(&s);
	memset(longer, 'x', sizeof(longer));
	s.original.envid = SPAN("a+0D+0AX-Evil:+20b+00");
	s.rcpts[0].orcpt = SPAN("rfc822;a+0AX-Evil: 1+FF+4");
	s.rcpts[0].address = span_of(longer, sizeof(longer));
	s.results[0].remote_mta = SPAN("mx\r\nX-Evil: 2");
	verdict_set(&s.verdict, VERDICT_PERMANENT, 550, (struct enhanced_code){5, 1, 1}, true,
		SPAN("a\r\nX-Evil: \xff\x1b"));
	s.dsn.content = SPAN("Subject: a\nX: \r b\0c\r\n");
	build(&s); /* which looks for stray CR, LF, NUL */
	hasnt(&s, "\nX-Evil");
	has(&s, "Original-Envelope-Id: a??X-Evil: b?\r\n");
	has(&s, "Original-Recipient: rfc822;a?X-Evil: 1?+4\r\n");
	has(&s, "Subject: a?X: ? b?c\r\n");
	assert_false(s.flags & ENVELOPE_BODY_8BIT);
	end(&s);
}

static void a_long_or_cut_header_is_returned_as_far_as_it_goes(void **state)
{
	(void)state;
	struct scene s;
	static char longer[5000];

	begin(&s);
	memset(longer, 'y', sizeof(longer));
	s.dsn.content = span_of(longer, sizeof(longer));
	s.original.header_bytes = s.original.body_bytes = 1000000;
	build(&s);
	has(&s, "text/rfc822-headers\r\n\r\nyyy");
	s.dsn.content = SPAN_NONE;
	build(&s);
	has(&s, "text/rfc822-headers\r\n\r\n\r\n--" BOUNDARY "--\r\n");
	end(&s);
}

static void many_recipients_are_all_reported(void **state)
{
	(void)state;
	struct scene s;
	static char names[200][32];
	size_t listed = 0, named = 0;

	begin(&s);
	for (int i = 0; i < 200; i++) {
		snprintf(names[i], sizeof(names[i]), "r%d@b.example", i);
		s.rcpts[i].address = span_str(names[i]);
		s.results[i] = s.results[0];
		s.results[i].rcpt = &s.rcpts[i];
	}
	s.dsn.rcpt_count = 200;
	build(&s);
	for (char *p = s.text; (p = strstr(p, "\r\nFinal-Recipient: ")); p++)
		listed++;
	for (char *p = s.text; (p = strstr(p, "\r\n  <r")); p++)
		named++;
	assert_int_equal(listed, 200);
	assert_int_equal(named, DSN_TEXT_RCPTS);
	has(&s, "and 150 more");
	end(&s);
}

static void a_full_buffer_is_left_as_it_was(void **state)
{
	(void)state;
	struct scene s;

	begin(&s);
	for (size_t bound = 4; bound < 1200; bound += 97) {
		struct buf small;
		buf_init(&small, bound);
		buf_add_str(&small, "keep");
		assert_int_equal(dsn_build(&s.dsn, &small, &s.flags, &s.header_bytes), ERR_LIMIT);
		assert_true(span_equal(buf_span(&small), SPAN("keep")));
		assert_true(buf_ok(&small));
		buf_done(&small);
	}
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_in_full),
		cmocka_unit_test(a_delay_says_until_when_it_is_tried),
		cmocka_unit_test(success_relayed_and_delivered),
		cmocka_unit_test(our_own_reason_tells_nothing_of_the_inside),
		cmocka_unit_test(what_will_not_change_is_not_to_be_sent_again),
		cmocka_unit_test(our_reasons_for_every_code_are_sentences),
		cmocka_unit_test(what_is_meant_for_the_sender_is_told),
		cmocka_unit_test(a_delivery_has_no_diagnosis),
		cmocka_unit_test(the_returned_message_has_our_received_field),
		cmocka_unit_test(a_status_always_fits_its_action),
		cmocka_unit_test(the_whole_message_comes_back_where_it_should),
		cmocka_unit_test(a_body_that_no_message_can_hold_is_not_returned),
		cmocka_unit_test(eight_bit_content_is_declared),
		cmocka_unit_test(utf8_addresses_make_a_utf8_report),
		cmocka_unit_test(peers_cannot_write_our_fields),
		cmocka_unit_test(a_long_or_cut_header_is_returned_as_far_as_it_goes),
		cmocka_unit_test(many_recipients_are_all_reported),
		cmocka_unit_test(a_full_buffer_is_left_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
