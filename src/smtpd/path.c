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
