#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_write.h"

static struct buf buf;
static struct json_write json;

static int setup(void **state)
{
	(void)state;
	buf_init(&buf, 10000);
	json_write_init(&json, &buf);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_done(&buf);
	return 0;
}

static void expect(const char *text)
{
	buf_add_char(&buf, '\0');
	assert_true(buf_ok(&buf));
	assert_string_equal(buf.p, text);
}

static void an_event_is_one_object(void **state)
{
	(void)state;
	json_open_object(&json, NULL);
	json_put_str(&json, "type", "Delivery");
	json_put_id(&json, "id", 1);
	json_put_time(&json, "time", 1000);
	json_open_array(&json, "recipients");
	json_put_string(&json, NULL, SPAN("a@x"));
	json_put_string(&json, NULL, SPAN("b@x"));
	json_close_array(&json);
	json_open_array(&json, "none");
	json_close_array(&json);
	json_open_object(&json, "peer");
	json_put_u64(&json, "port", 25);
	json_close_object(&json);
	json_put_i64(&json, "least", INT64_MIN);
	json_put_i64(&json, "plus", 5);
	json_put_bool(&json, "tls", false);
	json_put_bool(&json, "dsn", true);
	json_put_str(&json, "reason", NULL);
	json_put_raw(&json, "raw", SPAN("[1,2]"));
	json_close_object(&json);
	expect("{\"type\":\"Delivery\",\"id\":\"0000000000001\",\"time\":\"1970-01-01T00:00:01."
	       "000Z\","
	       "\"recipients\":[\"a@x\",\"b@x\"],\"none\":[],\"peer\":{\"port\":25},"
	       "\"least\":-9223372036854775808,\"plus\":5,\"tls\":false,\"dsn\":true,"
	       "\"reason\":null,\"raw\":[1,2]}");
}

static void hostile_strings_stay_valid_json(void **state)
{
	(void)state;
	json_open_array(&json, NULL);
	json_put_string(&json, NULL, SPAN("\"\\\b\f\n\r\t\0\x1b\x7f/"));
	json_put_string(&json, NULL, SPAN("gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\xa7"));
	/* A stray continuation byte, a cut sequence, an overlong slash, a surrogate. */
	json_put_string(&json, NULL, SPAN("\x80|\xe2\x82|\xc0\xaf|\xed\xa0\x80|\xff"));
	json_put_string(&json, NULL, SPAN_NONE);
	json_close_array(&json);
	expect("[\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001b\\u007f/\","
	       "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x93\xa7\","
	       "\"\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd|"
	       "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\",\"\"]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_event_is_one_object, setup, teardown),
		cmocka_unit_test_setup_teardown(hostile_strings_stay_valid_json, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
