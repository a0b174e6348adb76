/*
 * A spool that lies: whoever took over an SMTP server may write any envelope and any body, also
 * while they are read. Between DATA and the end mark goes one message or nothing, so that no reply
 * is ever taken for the reply to somebody else's message.
 */
#include "client_fixture.h"

#define EHLO_DATA  "250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
#define EHLO_CHUNK "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
#define SMUGGLED                                                                         \
	"MAIL FROM:<ceo@bank.example>\r\nRCPT TO:<victim@elsewhere.example>\r\nDATA\r\n" \
	"Subject: smuggled\r\n\r\nx\r\n"
#define PIECE_MOST (256u << 10) /* more than is read at once */

/* ---- what goes before the body ----------------------------------------------------------------
 */

static void only_header_fields_go_before_a_body(void **state)
{
	(void)state;
	static const struct span bad[] = {
		SPAN("Received: x\r\n\r\nfirst\r\n.\r\n" SMUGGLED),
		SPAN("\r\n"),
		SPAN(".\r\n"),
		SPAN(".\r\n" SMUGGLED),
		SPAN(".X: y\r\n"),
		SPAN("X: y\r\n.\r\n"),
		SPAN("X: y\r\n\r\n"),
		SPAN("X: y"),
		SPAN("X: y\r"),
		SPAN("X: y\n"),
		SPAN("X: y\n.\nZ: z\r\n"),
		SPAN("X: y\r.\rZ: z\r\n"),
		SPAN("X: y\0z\r\n"),
		SPAN("X: y\r\n\0.\r\n"),
		SPAN("no field\r\n"),
		SPAN("X: y\r\nno field\r\n"),
		SPAN(": y\r\n"),
		SPAN(" folded: from nothing\r\n"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct scene *s = greeted(EHLO_ALL);

		s->envelope.prepend = bad[i];
		client_send(s->client, &s->job);
		expects(&s->f, "");
		assert_int_equal(s->done, 1);
		verdict_is(s, 0, VERDICT_PERMANENT, 554);
		text_has(s->results[0].verdict, "damaged");
		/* The connection is as good as before. */
		assert_true(s->job.usable);
		s->envelope.prepend = SPAN("X: y\r\n");
		client_send(s->client, &s->job);
		passes(&s->f, 0);
		assert_memory_equal(s->f.sent, "MAIL FROM:<a@a.example>", 23);
		end(s);

		s = greeted(EHLO_ALL);
		s->job.prepend = bad[i];
		client_send(s->client, &s->job);
		expects(&s->f, "");
		verdict_is(s, 0, VERDICT_PERMANENT, 554);
		end(s);
	}
}

static void fields_before_a_body_are_bounded(void **state)
{
	(void)state;
	static char most[64 * 1024 + 1];
	struct scene *s = greeted(EHLO_ALL);

	memset(most, 'x', sizeof(most));
	most[1] = ':';
	memcpy(most + sizeof(most) - 2, "\r\n", 2);
	s->envelope.prepend = span_of(most, sizeof(most));
	client_send(s->client, &s->job);
	expects(&s->f, "");
	verdict_is(s, 0, VERDICT_PERMANENT, 554);
	end(s);
}

static void any_honest_fields_pass(void **state)
{
	(void)state;
	static const struct span good[] = {
		SPAN(""),
		SPAN("X: y\r\n"),
		SPAN("X:\r\n"),
		SPAN("Received: from a ([192.0.2.1])\r\n\tby b\r\n . with dots\r\nX-Y: z\r\n"),
		SPAN("X: \xc3\xa4\r\n"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct scene *s = greeted(EHLO_ALL);

		s->envelope.prepend = good[i];
		client_send(s->client, &s->job);
		passes(&s->f, 0);
		forget(&s->f);
		says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
		assert_memory_equal(s->f.sent, good[i].p, good[i].n);
		assert_string_equal(s->f.sent + good[i].n, "Subject: x\r\n\r\nhello\r\n.\r\n");
		says(&s->f, "250 ok\r\n");
		verdict_is(s, 0, VERDICT_OK, 250);
		end(s);
	}
}

/* ---- bodies ------------------------------------------------------------------------------------
 */

/* As message(), of any bytes. */
static void stored(struct scene *s, const char *p, size_t n, uint32_t flags)
{
	char *bytes = malloc(n + 8);

	CHECK(bytes);
	memcpy(bytes, "log:", 4);
	if (n)
		memcpy(bytes + 4, p, n);
	memcpy(bytes + 4 + n, ".\r\n", 3);
	free((void *)(uintptr_t)s->file.bytes);
	fake_file_init(&s->file, bytes, n + 7);
	s->envelope.flags = flags;
	s->envelope.body_bytes = n;
	s->job.body = (struct spool_body){.file = &s->file.file, .offset = 4, .bytes = n};
}

/* No end mark, nor what a careless server might take for one, is in what was sent so far. */
static void is_one_message_so_far(const struct fake_io *f)
{
	for (size_t i = 0; i + 1 < f->sent_n; i++) {
		bool pair = f->sent[i] == '\r' && f->sent[i + 1] == '\n';

		assert_int_equal(f->sent[i] == '\r', pair);
		assert_false(f->sent[i + 1] == '\n' && !pair);
		assert_true(f->sent[i] != '\0');
		if (i + 3 < f->sent_n)
			assert_false(pair && f->sent[i + 2] == '.' && f->sent[i + 3] == '\r');
	}
}

/* The hop gets no end of data, the recipients a permanent verdict, and the connection is closed, so
 * that the hop forgets what it has. */
static void is_not_sent(const char *ehlo, const char *p, size_t n, uint32_t flags)
{
	struct scene *s = greeted(ehlo);

	stored(s, p, n, flags);
	client_send(s->client, &s->job);
	for (int i = 0; i < 50; i++)
		passes(&s->f, 0);
	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	for (int i = 0; i < 50; i++)
		passes(&s->f, 0);
	is_one_message_so_far(&s->f);
	assert_int_equal(s->f.files, 0);
	assert_int_equal(s->done, 1);
	assert_false(s->job.usable);
	assert_false(s->f.open);
	verdict_is(s, 0, VERDICT_PERMANENT, 554);
	assert_int_equal(s->results[0].verdict.enhanced.subject, 3);
	end(s);
}

static const struct span lies[] = {
	SPAN("Subject: x\r\n\r\nhi\r\n.\r\n" SMUGGLED),
	SPAN(".\r\n" SMUGGLED),
	SPAN("x\r\n.\r\n"),
	SPAN("x\n.\r\n" SMUGGLED),
	SPAN("x\r\n.\n" SMUGGLED),
	SPAN("x\n.\n" SMUGGLED),
	SPAN("x\r.\r" SMUGGLED),
	SPAN("x\r\r\n.\r\n" SMUGGLED),
	SPAN("x\r\n.\r\r\n" SMUGGLED),
	SPAN("x\r\n\0.\r\n" SMUGGLED),
	SPAN("x\0y\r\n"),
	SPAN("\n"),
	SPAN("\r"),
	SPAN("x\ny\r\n"),
};

static void no_flag_makes_a_lie_true(void **state)
{
	(void)state;
	static const uint32_t flags[] = {0, ENVELOPE_BODY_STUFFED,
		ENVELOPE_BODY_STUFFED | ENVELOPE_BODY_DOTS, ENVELOPE_SMTPUTF8,
		ENVELOPE_8BITMIME | ENVELOPE_BODY_8BIT, ENVELOPE_BINARYMIME, ENVELOPE_DSN};

	for (size_t i = 0; i < ARRAY_SIZE(lies); i++)
		for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
			is_not_sent(EHLO_DATA, lies[i].p, lies[i].n, flags[k]);
}

/* The end mark must not become part of a line that is open in truth. */
static void an_open_end_that_is_denied(void **state)
{
	(void)state;
	static const struct span open[] = {
		SPAN("x"), SPAN("x\r\n."), SPAN("x\r"), SPAN("x\r\n.\r")};

	for (size_t i = 0; i < ARRAY_SIZE(open); i++)
		is_not_sent(EHLO_DATA, open[i].p, open[i].n, 0);
}

/* What stands for transparency is looked at where it is put in: bare line ends are left. */
static void a_rewritten_body_is_looked_at_too(void **state)
{
	(void)state;
	static const uint32_t flags[] = {
		ENVELOPE_BODY_DOTS,
		ENVELOPE_BODY_OPEN_END,
		ENVELOPE_BODY_OPEN_END | ENVELOPE_BODY_STUFFED,
	};
	static const struct span bare[] = {
		SPAN("x\n.\n" SMUGGLED),
		SPAN("x\n.\r\n" SMUGGLED),
		SPAN("x\r.\r" SMUGGLED),
		SPAN("x\r\n\0.\r\n" SMUGGLED),
		SPAN("x\r"),
	};

	for (size_t i = 0; i < ARRAY_SIZE(bare); i++)
		for (size_t k = 0; k < ARRAY_SIZE(flags); k++)
			is_not_sent(EHLO_DATA, bare[i].p, bare[i].n, flags[k]);
	/* also where it is converted, and nothing was said of bare line ends */
	for (size_t i = 0; i < ARRAY_SIZE(bare); i++) {
		struct scene *s = greeted(EHLO_PLAIN);

		stored(s, bare[i].p, bare[i].n, ENVELOPE_BODY_8BIT);
		client_send(s->client, &s->job);
		for (int k = 0; k < 50; k++)
			passes(&s->f, 0);
		forget(&s->f);
		if (!s->done)
			says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
		for (int k = 0; k < 50; k++)
			passes(&s->f, 0);
		size_t n = s->f.sent_n; /* turned into base64 it may go, with its true end mark */
		if (n >= 3 && !memcmp(s->f.sent + n - 3, ".\r\n", 3))
			s->f.sent_n -= 3;
		is_one_message_so_far(&s->f);
		end(s);
	}
}

/* A body of so many bytes, lines of all lengths. */
static char *lines(size_t n)
{
	char *text = malloc(n + 1);
	size_t at = 0;

	assert_non_null(text);
	memset(text, 'x', n);
	text[n] = '\0';
	for (size_t length = 2; at < n; length = length % 70 + 2) {
		at += length;
		if (at + 70 > n)
			at = n;
		memcpy(text + at - 2, "\r\n", 2);
	}
	return text;
}

/* Wherever in a long body a false end stands, over every border of what is read and looked at
 * together. */
static void a_false_end_anywhere_is_found(void **state)
{
	(void)state;
	static const char *const ends[] = {"\r\n.\r\n", "\n.\r\n", "\r.", "\n"};

	for (size_t base = 0; base <= PIECE_MOST; base = base ? 4 * base : 1024) {
		for (size_t at = base ? base - 40 : 1; at < base + 40; at++) {
			const char *false_end = ends[at % ARRAY_SIZE(ends)];
			size_t n = at + 5000;
			char *text = lines(n);

			memset(text + at - 1, 'y', 8);
			memcpy(text + at, false_end, strlen(false_end));
			is_not_sent(EHLO_DATA, text, n, 0);
			free(text);
		}
	}
}

static void a_long_body_goes_whole_and_unchanged(void **state)
{
	(void)state;
	for (size_t n = 65536 - 2; n < 500000; n += n < 65540 ? 1 : 99991) {
		char *text = lines(n);
		struct scene *s = greeted(EHLO_DATA);

		stored(s, text, n, 0);
		client_send(s->client, &s->job);
		passes(&s->f, 0);
		forget(&s->f);
		says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
		for (int i = 0; i < 10; i++)
			passes(&s->f, 0);
		assert_int_equal(s->f.sent_n, 17 + n + 3);
		assert_memory_equal(s->f.sent + 17, text, n);
		assert_memory_equal(s->f.sent + 17 + n, ".\r\n", 3);
		assert_int_equal(s->done, 0);
		says(&s->f, "250 ok\r\n");
		verdict_is(s, 0, VERDICT_OK, 250);
		assert_true(s->job.usable);
		end(s);
		free(text);
	}
}

/* What waits in the connection stays bounded, and a reply before all was sent is believed only
 * where it refuses. */
static void a_long_body_waits_for_the_hop(void **state)
{
	(void)state;
	char *text = lines(1000000);
	struct scene *s = greeted(EHLO_DATA);
	size_t most = 0;

	stored(s, text, 1000000, 0);
	client_send(s->client, &s->job);
	passes(&s->f, 0);
	forget(&s->f);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	for (int i = 0; i < 100; i++) {
		most = MAX(most, s->f.unsent);
		drains(&s->f);
	}
	assert_true(most <= 100000);
	assert_int_equal(s->f.sent_n, 17 + 1000000 + 3);
	assert_memory_equal(s->f.sent + 17, text, 1000000);
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	end(s);

	s = greeted(EHLO_DATA);
	stored(s, text, 1000000, 0);
	client_send(s->client, &s->job);
	passes(&s->f, 0);
	s->f.stuck = true;
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 ok\r\n");
	assert_int_equal(s->failed, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 451);
	end(s);
	free(text);
}

/* With a length before it, no content can end a message: the file goes as it is. */
static void a_long_body_goes_by_bdat_unread(void **state)
{
	(void)state;
	char *text = lines(1000000);
	struct scene *s = greeted(EHLO_CHUNK);

	memcpy(text + 700000, "\r\n.\r\n", 5);
	stored(s, text, 1000000, 0);
	client_send(s->client, &s->job);
	passes(&s->f, 0);
	forget(&s->f);
	says(&s->f, "250 ok\r\n250 ok\r\n");
	assert_int_equal(s->f.files, 1);
	assert_int_equal(s->f.sent_n, strlen("BDAT 1000017 LAST\r\n") + 17 + 1000000);
	assert_memory_equal(s->f.sent, "BDAT 1000017 LAST\r\nReceived: by gw\r\n", 36);
	says(&s->f, "250 ok\r\n");
	verdict_is(s, 0, VERDICT_OK, 250);
	end(s);
	/* A stuffed one cannot: its dots would stay. */
	s = greeted(EHLO_CHUNK);
	memcpy(text + 700000, "\r\n..\r", 5);
	text[700005] = '\n';
	stored(s, text, 1000000, ENVELOPE_BODY_STUFFED);
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example>\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	end(s);
	free(text);
}

/* Announced by the first look, sent by the second. */
static void a_body_that_changes_between_two_looks(void **state)
{
	(void)state;
	static const char *const second[] = {
		"A: b\r\n\r\nx\ny\r\nab\r\n", "A: b\r\n\r\n..\r\n..\r\nx"};

	for (size_t i = 0; i < ARRAY_SIZE(second); i++) {
		struct scene *s = greeted(EHLO_ALL);

		stored(s, "A: b\r\n\r\nx\ny\r\n..\r\n", 17,
			ENVELOPE_BINARYMIME | ENVELOPE_BODY_BARE | ENVELOPE_BODY_STUFFED);
		client_send(s->client, &s->job);
		for (int k = 0; k < 5; k++)
			passes(&s->f, 0);
		forget(&s->f);
		assert_int_equal(strlen(second[i]), 17);
		memcpy((char *)(uintptr_t)s->file.bytes + 4, second[i], 17);
		says(&s->f, "250 ok\r\n250 ok\r\n");
		for (int k = 0; k < 5; k++)
			passes(&s->f, 0);
		/* never more than was announced, and never a session that would take what follows
		 * for the rest */
		assert_memory_equal(s->f.sent, "BDAT 33 LAST\r\n", 14);
		assert_true(s->f.sent_n <= 14 + 33);
		assert_int_equal(s->done, 1);
		assert_false(s->f.open);
		verdict_is(s, 0, VERDICT_PERMANENT, 554);
		end(s);
	}
}

/* What is long is cut by servers in their own ways, with a reply for each piece. */
static void an_address_that_no_server_would_have_taken(void **state)
{
	(void)state;
	static char long_one[300];
	struct scene *s = greeted(EHLO_ALL);

	memset(long_one, 'x', sizeof(long_one));
	memcpy(long_one + 250, "@b.example", 10);
	recipients(s, 2);
	s->rcpts[0].address = span_of(long_one, 260);
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r1@b.example>\r\nDATA\r\n");
	verdict_is(s, 0, VERDICT_PERMANENT, 553);
	end(s);

	s = greeted(EHLO_ALL);
	s->envelope.envid = span_of(long_one, 101);
	s->rcpts[0].orcpt = SPAN("rfc822;x\x80y");
	client_send(s->client, &s->job);
	expects(&s->f, "MAIL FROM:<a@a.example> SIZE=38\r\nRCPT TO:<r0@b.example>\r\nDATA\r\n");
	end(s);
}

/* ---- replies ------------------------------------------------------------------------------------
 */

/* An honest message after one that lied: whatever the hop still says to the first, the second one's
 * verdict is its own. */
static void no_reply_is_credited_to_the_next_message(void **state)
{
	(void)state;
	struct scene *s = greeted(EHLO_DATA);

	stored(s, lies[0].p, lies[0].n, 0);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	assert_false(s->job.usable);
	/* It can only go by another connection. */
	assert_false(client_idle(s->client));
	assert_false(s->f.open);
	end(s);
}

static void replies_nobody_asked_for_end_the_session(void **state)
{
	(void)state;
	/* with the last reply */
	struct scene *s = greeted(EHLO_DATA);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 taken\r\n250 more\r\n");
	assert_int_equal(s->done, 1);
	verdict_is(s, 0, VERDICT_OK, 250);
	assert_false(s->job.usable);
	end(s);
	/* and after it */
	s = greeted(EHLO_DATA);
	client_send(s->client, &s->job);
	says(&s->f, "250 ok\r\n250 ok\r\n354 go\r\n");
	says(&s->f, "250 taken\r\n");
	assert_true(s->job.usable);
	says(&s->f, "250 more\r\n");
	assert_int_equal(s->gone, 1);
	assert_false(s->f.open);
	end(s);
	/* before anything of a transaction was sent: its first look at the body is under way */
	s = greeted(EHLO_PLAIN);
	message(s, "A: b\r\n\r\n\xe4\r\n", ENVELOPE_BODY_8BIT);
	client_send(s->client, &s->job);
	s->f.handler->buffer(s->f.owner);
	says(&s->f, "250 more\r\n250 more\r\n354 more\r\n");
	assert_int_equal(s->failed + s->done, 1);
	verdict_is(s, 0, VERDICT_TEMPORARY, 451);
	assert_false(s->f.open);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_header_fields_go_before_a_body),
		cmocka_unit_test(fields_before_a_body_are_bounded),
		cmocka_unit_test(any_honest_fields_pass),
		cmocka_unit_test(no_flag_makes_a_lie_true),
		cmocka_unit_test(an_open_end_that_is_denied),
		cmocka_unit_test(a_rewritten_body_is_looked_at_too),
		cmocka_unit_test(a_false_end_anywhere_is_found),
		cmocka_unit_test(a_long_body_goes_whole_and_unchanged),
		cmocka_unit_test(a_long_body_waits_for_the_hop),
		cmocka_unit_test(a_long_body_goes_by_bdat_unread),
		cmocka_unit_test(a_body_that_changes_between_two_looks),
		cmocka_unit_test(an_address_that_no_server_would_have_taken),
		cmocka_unit_test(no_reply_is_credited_to_the_next_message),
		cmocka_unit_test(replies_nobody_asked_for_end_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
