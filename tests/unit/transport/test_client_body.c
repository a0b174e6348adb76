/* Bodies: in which form they go to which hop, and what comes out is what was put in. */
#include "client_fixture.h"

#define EHLO_DATA  "250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
#define EHLO_CHUNK "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
#define BINARY	   (ENVELOPE_BINARYMIME | ENVELOPE_BODY_BARE | ENVELOPE_BODY_DOTS)

/* Up to the point where the body was sent; what was sent before is dropped. */
static struct scene *sent(const char *ehlo, const char *stored, uint32_t flags)
{
	struct scene *s = greeted(ehlo);

	message(s, stored, flags);
	client_send(s->client, &s->job);
	for (int i = 0; i < 50; i++)
		passes(&s->f, 0);
	return s;
}

static void dot_stuffed_text_goes_as_it_is(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_CHUNK, "A: b\r\n\r\n..dot\r\n", ENVELOPE_BODY_STUFFED);

	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	expects(&s->f, "Received: by gw\r\nA: b\r\n\r\n..dot\r\n.\r\n");
	end(s);
}

static void unstuffed_dots_go_by_bdat(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_CHUNK);

	message(s, "A: b\r\n\r\n.dot\r\n", ENVELOPE_BODY_DOTS);
	s->job.prepend = SPAN("X-Add: 1\r\n");
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n");
	assert_int_equal(s->f.files, 1);
	expects(&s->f, "BDAT 41 LAST\r\nX-Add: 1\r\nReceived: by gw\r\nA: b\r\n\r\n.dot\r\n");
	says(&s->f, "250 taken\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	assert_true(s->job.usable);
	end(s);
}

static void with_bdat_nothing_is_sent_when_all_are_refused(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_CHUNK, "A: b\r\n\r\n.dot\r\n", ENVELOPE_BODY_DOTS);

	forget(&s->f);
	says(&s->f, "250 ok\r\n550 no\r\n");
	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 550);
	assert_true(s->job.usable);
	end(s);
}

static void unstuffed_dots_are_stuffed_for_data(void **state)
{
	(void)state;
	struct scene *s =
		sent(EHLO_DATA, ".A: b\r\n\r\n.\r\n..x\r\na.\r\n.\r\n", ENVELOPE_BODY_DOTS);

	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	assert_int_equal(s->f.files, 0);
	expects(&s->f, "Received: by gw\r\n..A: b\r\n\r\n..\r\n...x\r\na.\r\n..\r\n.\r\n");
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	assert_true(s->job.usable);
	end(s);
}

static void an_open_last_line_is_kept_by_bdat_and_closed_for_data(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_CHUNK, "A: b\r\n\r\nopen", ENVELOPE_BODY_OPEN_END);

	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n");
	expects(&s->f, "BDAT 29 LAST\r\nReceived: by gw\r\nA: b\r\n\r\nopen");
	end(s);

	s = sent(EHLO_DATA, "A: b\r\n\r\nopen", ENVELOPE_BODY_OPEN_END);
	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	expects(&s->f, "Received: by gw\r\nA: b\r\n\r\nopen\r\n.\r\n");
	end(s);
}

static void an_empty_body(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_DATA, "", 0);

	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	expects(&s->f, "Received: by gw\r\n.\r\n");
	end(s);

	s = sent(EHLO_CHUNK, "", ENVELOPE_BODY_OPEN_END);
	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n");
	expects(&s->f, "BDAT 17 LAST\r\nReceived: by gw\r\n");
	assert_int_equal(s->f.files, 0);
	end(s);
}

static void eight_bit_is_declared(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_DATA, "A: b\r\n\r\n\xe4\r\n", ENVELOPE_BODY_8BIT);

	expects(&s->f,
		"MAIL FROM:<a@a.example> BODY=8BITMIME\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	assert_false(s->job.converted);
	end(s);
}

static void eight_bit_is_converted_for_a_seven_bit_hop(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_PLAIN,
		"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
		"Content-Transfer-Encoding: 8bit\r\n\r\nK\xe4se\r\n..dot\r\n",
		ENVELOPE_BODY_8BIT | ENVELOPE_8BITMIME | ENVELOPE_BODY_STUFFED);

	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	expects(&s->f,
		"Received: by gw\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=iso-8859-1\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\nK=E4se\r\n..dot\r\n.\r\n");
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	assert_true(s->job.converted);
	end(s);
}

static void signed_eight_bit_bounces_before_anything_is_sent(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_PLAIN,
		"MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n"
		"\xe4\r\n--b--\r\n",
		ENVELOPE_BODY_8BIT);

	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_PERMANENT, 554);
	assert_int_equal(s->results[0].verdict.enhanced.subject, 6);
	assert_int_equal(s->results[0].verdict.enhanced.detail, 3);
	text_has(s->results[0].verdict, "signed");
	assert_true(s->job.usable);
	/* and the session goes on */
	message(s, "A: b\r\n\r\nplain\r\n", 0);
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	end(s);
}

static void binary_goes_by_bdat_only(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_ALL, "A: b\r\n\r\nx\ny\r\n.\r\n", BINARY);

	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=33 BODY=BINARYMIME\r\n"
		       "RCPT TO:<r0@b.example>\r\n");
	says(&s->f, "250 ok\r\n250 ok\r\n");
	expects(&s->f, "BDAT 33 LAST\r\nReceived: by gw\r\nA: b\r\n\r\nx\ny\r\n.\r\n");
	end(s);

	/* Stored stuffed, which must come off; the length is counted first. */
	s = sent(EHLO_ALL, "A: b\r\n\r\nx\ny\r\n..\r\n", BINARY | ENVELOPE_BODY_STUFFED);
	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n");
	expects(&s->f, "BDAT 33 LAST\r\nReceived: by gw\r\nA: b\r\n\r\nx\ny\r\n.\r\n");
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	end(s);
}

static void declared_binary_that_is_text_goes_by_data(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_DATA, "A: b\r\n\r\nx\r\n", ENVELOPE_BINARYMIME);

	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	end(s);
}

static void binary_becomes_base64_for_other_hops(void **state)
{
	(void)state;
	struct scene *s = sent(EHLO_CHUNK,
		"MIME-Version: 1.0\r\nContent-Type: image/x\r\n"
		"Content-Transfer-Encoding: binary\r\n\r\nx\ny",
		BINARY | ENVELOPE_BODY_OPEN_END);

	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	expects(&s->f, "Received: by gw\r\nMIME-Version: 1.0\r\nContent-Type: image/x\r\n"
		       "Content-Transfer-Encoding: base64\r\n\r\neAp5\r\n.\r\n");
	end(s);
}

/* A body of many pieces, with every kind of line around their borders. */
static char *long_body(size_t bytes)
{
	char *text = malloc(bytes + 64);
	size_t n = 0;

	assert_non_null(text);
	for (size_t i = 0; n < bytes; i++) {
		if (i % 3 == 0)
			n += (size_t)snprintf(text + n, 64, ".%zu\r\n", i);
		else
			n += (size_t)snprintf(text + n, 64, "line %zu.\r\n", i);
	}
	return text;
}

static void a_long_rewritten_body_waits_for_the_hop(void **state)
{
	(void)state;
	char *plain = long_body(200000);
	struct scene *s = sent(EHLO_DATA, plain, ENVELOPE_BODY_DOTS);
	size_t most = 0;

	forget(&s->f);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	for (int i = 0; i < 100; i++) {
		most = MAX(most, s->f.unsent);
		drains(&s->f);
	}
	assert_true(most < 100000); /* not all at once */
	assert_memory_equal(s->f.sent, "Received: by gw\r\n", 17);
	/* Undone again, it is what was stored. */
	size_t n = 0, m = 17;
	bool start = true;
	for (; m < s->f.sent_n - 3; m++) {
		if (start && s->f.sent[m] == '.')
			m++;
		assert_int_equal(s->f.sent[m], plain[n]);
		start = plain[n++] == '\n';
	}
	assert_int_equal(n, strlen(plain));
	assert_string_equal(s->f.sent + m, ".\r\n");
	s->f.stuck = false;
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	assert_true(s->job.usable);
	end(s);
	free(plain);
}

static void a_spool_that_cannot_be_read(void **state)
{
	(void)state;
	/* Before the transaction: a verdict, and the session goes on. */
	struct scene *s = greeted(EHLO_PLAIN);

	message(s, "A: b\r\n\r\n\xe4\r\n", ENVELOPE_BODY_8BIT);
	s->file.broken = true;
	client_send(s->client, &s->job);
	expects(&s->f, "");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 451);
	assert_true(s->job.usable);
	end(s);

	/* Within the body: the end of data must never be sent. */
	s = greeted(EHLO_DATA);
	message(s, "A: b\r\n\r\n.x\r\n", ENVELOPE_BODY_DOTS);
	client_send(s->client, &s->job);
	passes(&s->f, 0);
	s->file.broken = true;
	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	expects(&s->f, "Received: by gw\r\n");
	assert_int_equal(s->failed, 1);
	assert_false(s->f.open);
	verdict_is(s, 0, VERDICT_TEMPORARY, 421);
	end(s);
}

static void a_server_that_leaves_while_the_body_is_looked_at(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_PLAIN);

	message(s, "A: b\r\n\r\n\xe4\r\n", ENVELOPE_BODY_8BIT);
	client_send(s->client, &s->job);
	says(&s->f, "421 idle too long\r\n");
	assert_int_equal(s->failed, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 421);
	end(s);

	s = greeted(EHLO_PLAIN);
	message(s, "A: b\r\n\r\n\xe4\r\n", ENVELOPE_BODY_8BIT);
	client_send(s->client, &s->job);
	client_close(&s->client, true);
	passes(&s->f, 1000);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dot_stuffed_text_goes_as_it_is),
		cmocka_unit_test(unstuffed_dots_go_by_bdat),
		cmocka_unit_test(with_bdat_nothing_is_sent_when_all_are_refused),
		cmocka_unit_test(unstuffed_dots_are_stuffed_for_data),
		cmocka_unit_test(an_open_last_line_is_kept_by_bdat_and_closed_for_data),
		cmocka_unit_test(an_empty_body),
		cmocka_unit_test(eight_bit_is_declared),
		cmocka_unit_test(eight_bit_is_converted_for_a_seven_bit_hop),
		cmocka_unit_test(signed_eight_bit_bounces_before_anything_is_sent),
		cmocka_unit_test(binary_goes_by_bdat_only),
		cmocka_unit_test(declared_binary_that_is_text_goes_by_data),
		cmocka_unit_test(binary_becomes_base64_for_other_hops),
		cmocka_unit_test(a_long_rewritten_body_waits_for_the_hop),
		cmocka_unit_test(a_spool_that_cannot_be_read),
		cmocka_unit_test(a_server_that_leaves_while_the_body_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
