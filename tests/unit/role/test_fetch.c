/* What delivery and role fetch tell each other arrives as it was said; what makes no sense is
 * refused. */
#include "base/err.h"
#include "role/fetch_link.h"
#include "role/fetch_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buf bytes;

static void an_answer_arrives_as_it_was_given(void **state)
{
	static const struct fetch_answer said = {.result = FETCH_STATUS,
		.status = 0x01020304,
		.content_type = SPAN("text/plain"),
		.detail = SPAN("why it is so"),
		.body = SPAN("version: STSv1\r\n")};
	struct fetch_answer heard;
	(void)state;

	buf_init(&bytes, 1000);
	fetch_put_answer(&bytes, &said);
	assert_int_equal(fetch_get_answer(buf_span(&bytes), &heard), 0);
	assert_int_equal(heard.result, said.result);
	assert_int_equal(heard.status, said.status);
	assert_true(span_equal(heard.content_type, said.content_type));
	assert_true(span_equal(heard.detail, said.detail));
	assert_true(span_equal(heard.body, said.body));
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(fetch_get_answer(span_of(bytes.p, n), &heard), ERR_CORRUPT);
	buf_add_char(&bytes, 'x');
	assert_int_equal(fetch_get_answer(buf_span(&bytes), &heard), ERR_CORRUPT);
	bytes.p[0] = FETCH_RESULTS;
	assert_int_equal(fetch_get_answer(span_of(bytes.p, bytes.n - 1), &heard), ERR_CORRUPT);
	buf_done(&bytes);
}

static void a_query_arrives_as_it_was_asked(void **state)
{
	struct netaddr addresses[2];
	struct fetch_request heard;
	struct fetch_query said = {.url = SPAN("https://reports.example/tls"),
		.addresses = addresses,
		.address_count = 2,
		.private_hosts = true,
		.content_type = SPAN("application/tlsrpt+gzip"),
		.body = SPAN("\x1f\x8b")};
	(void)state;

	assert_int_equal(netaddr_parse_ip(SPAN("192.0.2.1"), &addresses[0]), 0);
	assert_int_equal(netaddr_parse_ip(SPAN("2001:db8::1"), &addresses[1]), 0);
	buf_init(&bytes, 1000);
	fetch_put_query(&bytes, &said);
	assert_int_equal(fetch_get_query(buf_span(&bytes), &heard), 0);
	assert_true(span_equal(heard.query.url, said.url));
	assert_true(span_equal(heard.query.content_type, said.content_type));
	assert_true(span_equal(heard.query.body, said.body));
	assert_true(heard.query.private_hosts);
	assert_int_equal(heard.query.address_count, 2);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(netaddr_same_ip(&heard.query.addresses[i], &addresses[i]));
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(fetch_get_query(span_of(bytes.p, n), &heard), ERR_CORRUPT);
	buf_done(&bytes);
}

/* ---- questions on their way ------------------------------------------------------------------ */

static struct io io;
static uint32_t sent, last_request;
static struct fetch_answer told;
static uint32_t told_count;

static int send_it(void *context, uint32_t request, struct span query)
{
	(void)context;
	(void)query;
	sent++;
	last_request = request;
	return 0;
}

static void hear(void *owner, const struct fetch_answer *answer)
{
	*(uint32_t *)owner += 1;
	told = *answer;
	told_count++;
}

static void answers_find_their_questions(void **state)
{
	static const struct fetch_answer good = {.result = FETCH_OK, .status = 200};
	struct fetch_query query = {.url = SPAN("https://a.example/")};
	struct fetch_question *one = NULL, *other = NULL;
	uint32_t heard[2] = {0, 0};
	struct fetch_link link;
	(void)state;

	timers_init(&io.timers);
	fetch_link_init(&link, &io, NULL, send_it);
	assert_int_equal(fetch_ask(&link.base, &query, hear, &heard[0], &one), 0);
	uint32_t first = last_request;
	assert_int_equal(fetch_ask(&link.base, &query, hear, &heard[1], &other), 0);
	buf_init(&bytes, 1000);
	fetch_put_answer(&bytes, &good);
	fetch_link_answer(&link, first + 1000, buf_span(&bytes)); /* to nobody */
	assert_int_equal(told_count, 0);
	fetch_link_answer(&link, first, buf_span(&bytes));
	assert_int_equal(heard[0], 1);
	assert_int_equal(told.result, FETCH_OK);
	assert_int_equal(told.status, 200);
	fetch_link_answer(&link, first, buf_span(&bytes)); /* it had its answer */
	assert_int_equal(told_count, 1);
	fetch_link_lost(&link);
	assert_int_equal(heard[1], 1);
	assert_int_equal(told.result, FETCH_BROKEN);
	buf_done(&bytes);
	timers_done(&io.timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_arrives_as_it_was_given),
		cmocka_unit_test(a_query_arrives_as_it_was_asked),
		cmocka_unit_test(answers_find_their_questions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
