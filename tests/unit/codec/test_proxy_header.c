#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "codec/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_PAIR \
	"\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x00\x19" /* 192.0.2.1:12345 198.51.100.2:25 */

static void expect_address(const struct netaddr *a, const char *text)
{
	struct buf buf;
	buf_init(&buf, 100);
	netaddr_add(&buf, a);
	assert_true(span_equal(buf_span(&buf), span_str(text)));
	buf_done(&buf);
}

/* A whole header, and every beginning of it wants more. */
static void expect_header(struct span header, const char *client, const char *server)
{
	char bytes[PROXY_HEADER_MOST + 10];
	struct proxy_header out;
	size_t used = 0;
	for (size_t n = 0; n < header.n; n++)
		assert_int_equal(proxy_header_parse(span_of(header.p, n), &out, &used), ERR_MORE);
	memcpy(bytes, header.p, header.n);
	memcpy(bytes + header.n, "EHLO me\r\n", 9);
	assert_int_equal(proxy_header_parse(span_of(bytes, header.n + 9), &out, &used), 0);
	assert_int_equal(used, header.n);
	assert_int_equal(out.local, client == NULL);
	expect_address(&out.client, client ? client : "");
	expect_address(&out.server, server ? server : "");
}

static void lines_of_version_1_are_read(void **state)
{
	(void)state;
	expect_header(SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\n"), "192.0.2.1:12345",
		"198.51.100.2:25");
	expect_header(SPAN("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"),
		"255.255.255.255:65535", "255.255.255.255:65535");
	expect_header(SPAN("PROXY TCP6 2001:db8::1 2001:DB8:0:0::2 1 25\r\n"), "[2001:db8::1]:1",
		"[2001:db8::2]:25");
	expect_header(SPAN("PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 9 25\r\n"), "192.0.2.1:9",
		"[2001:db8::2]:25");
	expect_header(
		SPAN("PROXY TCP4 192.0.2.1 198.51.100.2 0 25\r\n"), "192.0.2.1", "198.51.100.2:25");
	expect_header(SPAN("PROXY UNKNOWN\r\n"), NULL, NULL);
	/* The longest one that the specification can think of: 107 bytes. */
	expect_header(SPAN("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
			   "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
		NULL, NULL);
}

static void bad_lines_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"EHLO me\r\n",
		"\r\nEHLO me\r\n",
		"proxy TCP4 192.0.2.1 198.51.100.2 12345 25\r\n",
		"PROXY\r\n",
		"PROXY \r\n",
		"PROXY TCP\r\n",
		"PROXY UNKNOWNX\r\n",
		"PROXY TCP4\r\n",
		"PROXY TCP4 192.0.2.1\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25 \r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25 7\r\n",
		"PROXY TCP4  192.0.2.1 198.51.100.2 12345 25\r\n",
		"PROXY TCP4 192.0.2.1\t198.51.100.2 12345 25\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 012 25\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 -1 25\r\n",
		"PROXY TCP4 192.0.2.256 198.51.100.2 1 25\r\n",
		"PROXY TCP4 192.0.2 198.51.100.2 1 25\r\n",
		"PROXY TCP4 2001:db8::1 198.51.100.2 1 25\r\n",
		"PROXY TCP6 192.0.2.1 2001:db8::2 1 25\r\n",
		"PROXY TCP6 fe80::1%2 2001:db8::2 1 25\r\n",
		"PROXY TCP4 client.example 198.51.100.2 1 25\r\n",
		"PROXY UDP4 192.0.2.1 198.51.100.2 12345 25\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\n",
		"PROXY UNKNOWN\n",
		"PROXY UNKNOWN \n\r\n",
		"PROXY UNKNOWN \rx\r\n",
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345 25\r\r\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct proxy_header out = {.local = true};
		size_t used = 77;
		assert_int_equal(proxy_header_parse(span_str(bad[i]), &out, &used), ERR_SYNTAX);
		assert_int_equal(used, 77);
		assert_true(out.local);
	}
}

static void a_line_has_107_bytes_at_most(void **state)
{
	(void)state;
	char line[PROXY_V1_BYTES + 1];
	struct proxy_header out;
	size_t used;
	memset(line, 'x', sizeof(line));
	memcpy(line, "PROXY UNKNOWN ", 14);
	assert_int_equal(
		proxy_header_parse(span_of(line, PROXY_V1_BYTES - 1), &out, &used), ERR_MORE);
	assert_int_equal(proxy_header_parse(span_of(line, PROXY_V1_BYTES), &out, &used), ERR_LIMIT);
	memcpy(line + PROXY_V1_BYTES - 1, "\r\n", 2);
	assert_int_equal(proxy_header_parse(span_of(line, sizeof(line)), &out, &used), ERR_LIMIT);
	memcpy(line + PROXY_V1_BYTES - 2, "\r\n", 2);
	assert_int_equal(proxy_header_parse(span_of(line, sizeof(line)), &out, &used), 0);
	assert_int_equal(used, PROXY_V1_BYTES);
}

static void headers_of_version_2_are_read(void **state)
{
	(void)state;
	expect_header(
		SPAN(SIGNATURE "\x21\x11\x00\x0c" V4_PAIR), "192.0.2.1:12345", "198.51.100.2:25");
	expect_header(SPAN(SIGNATURE "\x21\x21\x00\x24"
				     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
				     "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\x00\x02\x07"
				     "\x00\x01\x02\x4b"),
		"[2001:db8::1]:1", "192.0.2.7:587");
	/* Extensions: of a kind that nobody knows, ALPN, one without a value. */
	expect_header(SPAN(SIGNATURE "\x21\x11\x00\x18" V4_PAIR "\xee\x00\x01z"
				     "\x01\x00\x02h2"
				     "\x04\x00\x00"),
		"192.0.2.1:12345", "198.51.100.2:25");
	/* The proxy itself, to see whether we live; whatever it adds. */
	expect_header(SPAN(SIGNATURE "\x20\x00\x00\x00"), NULL, NULL);
	expect_header(SPAN(SIGNATURE "\x20\x11\x00\x0c" V4_PAIR), NULL, NULL);
	expect_header(SPAN(SIGNATURE "\x20\x77\x00\x02xx"), NULL, NULL);
	/* For somebody that it does not name. */
	expect_header(SPAN(SIGNATURE "\x21\x00\x00\x00"), NULL, NULL);
}

static void the_checksum_is_checked(void **state)
{
	(void)state;
	char header[] = SIGNATURE "\x21\x11\x00\x13" V4_PAIR "\x03\x00\x04\x97\x8b\x0b\x4c";
	struct span in = span_of(header, sizeof(header) - 1);
	struct proxy_header out;
	size_t used;
	expect_header(in, "192.0.2.1:12345", "198.51.100.2:25");
	for (size_t at = 16; at < 28; at++) {
		header[at] ^= 0x10;
		assert_int_equal(proxy_header_parse(in, &out, &used), ERR_CORRUPT);
		header[at] ^= 0x10;
	}
	header[in.n - 1] ^= 1;
	assert_int_equal(proxy_header_parse(in, &out, &used), ERR_CORRUPT);
}

static void bad_headers_of_version_2_are_refused(void **state)
{
	(void)state;
	static const struct {
		struct span in;
		int err;
	} cases[] = {
#define CASE(text, err) {{text, sizeof(text) - 1}, err}
		CASE("\r\n\r\nX", ERR_SYNTAX),
		CASE("\r\n\r\n\0\r\nQUIT\r", ERR_SYNTAX),
		CASE(SIGNATURE "\x11", ERR_UNSUPPORTED), /* a version that is not 2 */
		CASE(SIGNATURE "\x31\x11\x00\x0c" V4_PAIR, ERR_UNSUPPORTED),
		CASE(SIGNATURE "\x22\x11\x00\x0c" V4_PAIR, ERR_UNSUPPORTED), /* a command */
		CASE(SIGNATURE "\x21\x12\x00\x0c" V4_PAIR, ERR_UNSUPPORTED), /* UDP */
		CASE(SIGNATURE "\x21\x10\x00\x0c" V4_PAIR, ERR_UNSUPPORTED),
		CASE(SIGNATURE "\x21\x31\x00\x00", ERR_UNSUPPORTED), /* a Unix socket */
		CASE(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x00",
			ERR_SYNTAX),
		CASE(SIGNATURE "\x21\x21\x00\x0c" V4_PAIR, ERR_SYNTAX),
		CASE(SIGNATURE "\x21\x11\x00\x00", ERR_SYNTAX),
		/* extensions: cut off in their head, and in their value */
		CASE(SIGNATURE "\x21\x11\x00\x0e" V4_PAIR "\x04\x00", ERR_SYNTAX),
		CASE(SIGNATURE "\x21\x11\x00\x10" V4_PAIR "\x04\x00\x02z", ERR_SYNTAX),
		CASE(SIGNATURE "\x21\x11\x00\x11" V4_PAIR "\x03\x00\x02zz", ERR_SYNTAX),
		CASE(SIGNATURE "\x21\x11\x00\x1a" V4_PAIR "\x03\x00\x04zzzz\x03\x00\x04zzzz",
			ERR_SYNTAX),
		CASE(SIGNATURE "\x21\x00\x00\x07\x03\x00\x04zzzz", ERR_CORRUPT),
		CASE(SIGNATURE "\x21\x11\x08\x01",
			ERR_LIMIT), /* 2065 bytes in all: known at once */
		CASE(SIGNATURE "\x20\x00\xff\xff", ERR_LIMIT),
		CASE(SIGNATURE "\x21\x11\x08\x00", ERR_MORE),
#undef CASE
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proxy_header out;
		size_t used;
		assert_int_equal(proxy_header_parse(cases[i].in, &out, &used), cases[i].err);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_version_1_are_read),
		cmocka_unit_test(bad_lines_are_refused),
		cmocka_unit_test(a_line_has_107_bytes_at_most),
		cmocka_unit_test(headers_of_version_2_are_read),
		cmocka_unit_test(the_checksum_is_checked),
		cmocka_unit_test(bad_headers_of_version_2_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
