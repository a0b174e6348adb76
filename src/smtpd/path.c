#include "codec/address.h"
#include "smtpd/session.h"

/* What stands behind "FROM:" or "TO:", or behind the verb where even that is missing. */
static struct span argument_of(struct span line)
{
	size_t colon = span_find(line, ':');

	return span_trim(span_skip(line, (colon < line.n ? colon : span_find(line, ' ')) + 1));
}

/* Up to the bracket that closes the path; one inside quotes does not. */
static struct span inside_brackets(struct span in)
{
	bool quoted = false;
	size_t n = 0;

	for (; n < in.n && (quoted || in.p[n] != '>'); n++) {
		if (quoted && in.p[n] == '\\' && n + 1 < in.n)
			n++;
		else if (in.p[n] == '"')
			quoted = !quoted;
	}
	return span_of(in.p, n);
}

struct span path_given(struct span line, struct arena *arena)
{
	struct span argument = argument_of(line);
	struct address address;
	size_t used;

	if (address_parse_path(argument,
		    ADDRESS_NULL_ALLOWED | ADDRESS_POSTMASTER_ALLOWED | ADDRESS_LENIENT, arena,
		    &address, &used) == 0)
		return address.mailbox;
	if (argument.n && argument.p[0] == '<')
		argument = inside_brackets(span_skip(argument, 1));
	else
		argument = span_of(argument.p, span_find(argument, ' '));
	argument.n = MIN(argument.n, ADDRESS_MAILBOX_BYTES);
	return argument;
}

/* RFC 6533 section 3: what xtext would encode is written as a character's number. */
static void add_utf8_address(struct buf *out, struct span address)
{
	for (size_t i = 0; i < address.n; i++) {
		unsigned char c = (unsigned char)address.p[i];

		if (c <= ' ' || c == 0x7f || c == '+' || c == '=' || c == '\\')
			buf_printf(out, "\\x{%02X}", c);
		else
			buf_add_char(out, (char)c);
	}
}

static bool is_ascii(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] > 0x7f)
			return false;
	return true;
}

struct span path_original(struct span address, struct buf *work)
{
	buf_clear(work);
	if (is_ascii(address)) {
		buf_add_str(work, "rfc822;");
		smtp_xtext_encode(work, address);
	} else {
		buf_add_str(work, "utf-8;");
		add_utf8_address(work, address);
	}
	return buf_ok(work) && work->n <= SMTP_ORCPT_BYTES ? buf_span(work) : SPAN_NONE;
}
