#include "codec/smtp_reply.h"

#include "base/err.h"

#include <stdio.h>

#define CODE_DIGITS 3

void smtp_reply_init(struct smtp_reply_parser *parser)
{
	parser->lines = 0;
	parser->line_n = 0;
	parser->code = 0;
	parser->value = 0;
	parser->cr = false;
	parser->last = false;
	parser->failed = 0;
	parser->text_n = 0;
}

bool smtp_reply_begun(const struct smtp_reply_parser *parser)
{
	return parser->lines || parser->line_n || parser->cr;
}

static int fail(struct smtp_reply_parser *parser, int err)
{
	parser->failed = err;
	return err;
}

static void keep(struct smtp_reply_parser *parser, const char *p, size_t n)
{
	size_t room = sizeof(parser->text) - parser->text_n;

	if (n > room)
		n = room;
	if (n)
		memcpy(parser->text + parser->text_n, p, n);
	parser->text_n += (uint32_t)n;
}

/* One of the first three bytes of a line: a digit of the code. */
static int code_byte(struct smtp_reply_parser *parser, char c)
{
	if (c < '0' || c > '9')
		return fail(parser, ERR_SYNTAX);
	parser->value = (uint16_t)(parser->value * 10 + (c - '0'));
	if (parser->line_n != CODE_DIGITS - 1)
		return 0;
	/* No reply begins with 1 (RFC 5321 section 4.2.1), and above 5 nothing is defined. */
	if (parser->value < 200 || parser->value > 599)
		return fail(parser, ERR_SYNTAX);
	if (parser->lines && parser->value != parser->code)
		return fail(parser, ERR_SYNTAX);
	parser->code = parser->value;
	parser->last = true;
	return 0;
}

static int line_end(struct smtp_reply_parser *parser)
{
	if (parser->line_n < CODE_DIGITS)
		return fail(parser, ERR_SYNTAX);
	if (++parser->lines > SMTP_REPLY_LINES)
		return fail(parser, ERR_LIMIT);
	parser->line_n = 0;
	parser->value = 0;
	parser->cr = false;
	return 0;
}

/* A run of text bytes, none of them CR or LF. */
static int text_bytes(struct smtp_reply_parser *parser, const char *p, size_t n)
{
	if (n > SMTP_REPLY_LINE - parser->line_n)
		return fail(parser, ERR_LIMIT);
	parser->line_n += (uint32_t)n;
	keep(parser, p, n);
	return 0;
}

/* The byte behind the code; a missing blank is forgiven, the byte is text then. */
static int separator(struct smtp_reply_parser *parser, char c)
{
	if (parser->lines)
		keep(parser, "\n", 1);
	if (c == '-')
		parser->last = false;
	if (c != '-' && c != ' ')
		return text_bytes(parser, &c, 1);
	parser->line_n++;
	return 0;
}

/* Takes at least one byte; how many, comes back in *took. */
static int step(struct smtp_reply_parser *parser, struct span in, size_t *took)
{
	char c = in.p[0];

	*took = 1;
	if (c == '\n')
		return line_end(parser);
	if (parser->cr) { /* a CR inside a line becomes a blank: it must not reach a log or a DSN */
		parser->cr = false;
		*took = 0;
		return parser->line_n < CODE_DIGITS ? fail(parser, ERR_SYNTAX)
						    : text_bytes(parser, " ", 1);
	}
	if (c == '\r') {
		parser->cr = true;
		return 0;
	}
	if (parser->line_n < CODE_DIGITS) {
		int err = code_byte(parser, c);
		parser->line_n++;
		return err;
	}
	if (parser->line_n == CODE_DIGITS)
		return separator(parser, c);
	size_t n = span_find(in, '\n');
	n = span_find(span_of(in.p, n), '\r');
	*took = n;
	return text_bytes(parser, in.p, n);
}

static void finish(struct smtp_reply_parser *parser, struct smtp_reply *out)
{
	size_t used;

	*out = (struct smtp_reply){
		.code = parser->code,
		.lines = parser->lines,
		.text = span_of(parser->text, parser->text_n),
	};
	if (smtp_reply_enhanced(out->text, &out->enhanced, &used) ||
		out->enhanced.class != out->code / 100)
		out->enhanced = (struct enhanced_code){0};
	smtp_reply_init(parser); /* leaves the bytes of the text alone */
}

int smtp_reply_feed(
	struct smtp_reply_parser *parser, struct span in, size_t *used, struct smtp_reply *out)
{
	*used = 0;
	if (parser->failed)
		return parser->failed;
	while (in.n) {
		size_t took;
		uint32_t lines = parser->lines;
		int err = step(parser, in, &took);

		in = span_skip(in, took);
		*used += took;
		if (err)
			return err;
		if (parser->lines != lines && parser->last) {
			finish(parser, out);
			return 0;
		}
	}
	return ERR_MORE;
}

/* Up to three digits (RFC 2034 section 4), then `end` or, where end is 0, a blank or nothing. */
static int code_part(struct span text, size_t *at, char end, uint16_t *out)
{
	size_t i = *at, digits = 0;
	uint16_t value = 0;

	for (; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && digits < 3; i++, digits++)
		value = (uint16_t)(value * 10 + (text.p[i] - '0'));
	if (!digits)
		return ERR_SYNTAX;
	if (end) {
		if (i >= text.n || text.p[i] != end)
			return ERR_SYNTAX;
		i++;
	} else if (i < text.n && text.p[i] != ' ' && text.p[i] != '\t' && text.p[i] != '\n') {
		return ERR_SYNTAX;
	}
	*at = i;
	*out = value;
	return 0;
}

int smtp_reply_enhanced(struct span text, struct enhanced_code *out, size_t *used)
{
	uint16_t class, subject, detail;
	size_t at = 0;

	if (code_part(text, &at, '.', &class) || code_part(text, &at, '.', &subject) ||
		code_part(text, &at, 0, &detail))
		return ERR_SYNTAX;
	if (class != 2 && class != 4 && class != 5)
		return ERR_SYNTAX;
	*out = (struct enhanced_code){(uint8_t) class, subject, detail};
	*used = at;
	return 0;
}

/* The lines joined by blanks, without the enhanced code that servers repeat on each of them. */
static struct span join_lines(const struct smtp_reply *reply, char *to, size_t room)
{
	struct span left = reply->text;
	size_t n = 0;

	while (left.n && n < room) {
		struct span line = span_of(left.p, span_find(left, '\n'));
		struct enhanced_code code;
		size_t used;

		left = span_skip(left, line.n + 1);
		if (reply->enhanced.class && smtp_reply_enhanced(line, &code, &used) == 0)
			line = span_skip(line, used);
		line = span_trim(line);
		if (!line.n)
			continue;
		if (n)
			to[n++] = ' ';
		size_t take = line.n < room - n ? line.n : room - n;
		memcpy(to + n, line.p, take);
		n += take;
	}
	return span_of(to, n);
}

void smtp_reply_verdict(const struct smtp_reply *reply, struct verdict *out)
{
	char text[VERDICT_TEXT];
	struct span joined = join_lines(reply, text, sizeof(text));

	switch (reply->code / 100) {
	case 2: verdict_set(out, VERDICT_OK, reply->code, reply->enhanced, true, joined); return;
	case 4:
		verdict_set(out, VERDICT_TEMPORARY, reply->code, reply->enhanced, true, joined);
		return;
	case 5:
		verdict_set(out, VERDICT_PERMANENT, reply->code, reply->enhanced, true, joined);
		return;
	default: break;
	}
	char ours[VERDICT_TEXT];
	int n = snprintf(ours, sizeof(ours),
		"protocol error: the server answered with code %u where a final reply is due",
		reply->code);
	verdict_set(out, VERDICT_TEMPORARY, 451, (struct enhanced_code){4, 5, 0}, false,
		span_of(ours, (size_t)n));
}
