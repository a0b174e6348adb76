#include "base/json_write.h"

#include "base/check.h"
#include "base/text.h"

void json_write_init(struct json_write *json, struct buf *buf)
{
	*json = (struct json_write){.buf = buf};
}

/* What a byte becomes inside a string: 0 as it is, 'u' \u00XX, '!' looked at as UTF-8, otherwise
 * the letter after the backslash. */
static char escape_of(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\': return (char)c;
	case '\b': return 'b';
	case '\f': return 'f';
	case '\n': return 'n';
	case '\r': return 'r';
	case '\t': return 't';
	}
	/* DEL is legal JSON, but a terminal should not get it. */
	if (c < ' ' || c == 0x7f)
		return 'u';
	return c < 0x80 ? 0 : '!';
}

static void add_escape(struct buf *buf, unsigned char c, char escape)
{
	static const char hex[] = "0123456789abcdef";

	if (escape == 'u') {
		char out[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
		buf_add(buf, out, sizeof(out));
	} else {
		char out[2] = {'\\', escape};
		buf_add(buf, out, sizeof(out));
	}
}

static void add_quoted(struct buf *buf, struct span value)
{
	size_t plain = 0; /* start of the bytes that need no change */
	size_t at = 0;

	buf_add_char(buf, '"');
	while (at < value.n) {
		char escape = escape_of((unsigned char)value.p[at]);
		size_t n = escape == '!' ? text_utf8_length(span_skip(value, at)) : !escape;
		if (n) {
			at += n;
			continue;
		}
		buf_add(buf, value.p + plain, at - plain);
		if (escape == '!')
			buf_add_str(buf, "\xef\xbf\xbd"); /* U+FFFD */
		else
			add_escape(buf, (unsigned char)value.p[at], escape);
		plain = ++at;
	}
	buf_add(buf, value.p + plain, at - plain);
	buf_add_char(buf, '"');
}

/* All that goes before a value. */
static void begin(struct json_write *json, const char *key)
{
	if (json->comma)
		buf_add_char(json->buf, ',');
	json->comma = true;
	if (key) {
		add_quoted(json->buf, span_str(key));
		buf_add_char(json->buf, ':');
	}
}

static void open_level(struct json_write *json, const char *key, char bracket)
{
	CHECK(json->depth < JSON_DEPTH);
	begin(json, key);
	buf_add_char(json->buf, bracket);
	json->depth++;
	json->comma = false;
}

static void close_level(struct json_write *json, char bracket)
{
	CHECK(json->depth > 0);
	buf_add_char(json->buf, bracket);
	json->depth--;
	json->comma = true;
}

void json_open_object(struct json_write *json, const char *key)
{
	open_level(json, key, '{');
}

void json_close_object(struct json_write *json)
{
	close_level(json, '}');
}

void json_open_array(struct json_write *json, const char *key)
{
	open_level(json, key, '[');
}

void json_close_array(struct json_write *json)
{
	close_level(json, ']');
}

void json_put_string(struct json_write *json, const char *key, struct span value)
{
	begin(json, key);
	add_quoted(json->buf, value);
}

void json_put_str(struct json_write *json, const char *key, const char *value)
{
	if (value)
		json_put_string(json, key, span_str(value));
	else
		json_put_null(json, key);
}

void json_put_u64(struct json_write *json, const char *key, uint64_t value)
{
	begin(json, key);
	buf_add_u64(json->buf, value);
}

void json_put_i64(struct json_write *json, const char *key, int64_t value)
{
	begin(json, key);
	if (value < 0)
		buf_add_char(json->buf, '-');
	buf_add_u64(json->buf, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_put_bool(struct json_write *json, const char *key, bool value)
{
	begin(json, key);
	buf_add_str(json->buf, value ? "true" : "false");
}

void json_put_null(struct json_write *json, const char *key)
{
	begin(json, key);
	buf_add_str(json->buf, "null");
}

void json_put_id(struct json_write *json, const char *key, uint64_t id)
{
	begin(json, key);
	buf_add_char(json->buf, '"');
	text_add_id(json->buf, id);
	buf_add_char(json->buf, '"');
}

void json_put_time(struct json_write *json, const char *key, int64_t wall_ms)
{
	begin(json, key);
	buf_add_char(json->buf, '"');
	text_add_time(json->buf, wall_ms);
	buf_add_char(json->buf, '"');
}

void json_put_raw(struct json_write *json, const char *key, struct span value)
{
	begin(json, key);
	buf_add_span(json->buf, value);
}
