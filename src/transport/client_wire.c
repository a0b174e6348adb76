/*
 * What may go out between DATA and the end mark (RFC 5321 section 4.5.2). The spool says much about
 * a body, but who took over an SMTP server could have written that, or could change the body while
 * it is sent; so each byte is looked at on its way out, in the memory that it is sent from.
 *
 * Looked for is whatever some server might take for the end: a lone dot in a line, but also bare CR
 * and LF, which lenient servers take for line ends, and NUL, which some leave out.
 */
#include "codec/header_scan.h"
#include "transport/client_private.h"

typedef unsigned char lanes __attribute__((vector_size(16)));

void client_wire_init(struct client_wire *wire)
{
	*wire = (struct client_wire){'\r', '\n'};
}

bool client_wire_at_line(const struct client_wire *wire)
{
	return wire->last == '\n';
}

/* c, coming after a and b, is not what it may be. */
static bool is_odd(char a, char b, char c)
{
	return (b == '\r') != (c == '\n') || !c || (a == '\n' && b == '.' && c == '\r');
}

static lanes lanes_at(const char *p)
{
	lanes v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* The same for many at once: `odd` gets what is not 0 where one is. */
static void look_at_lanes(const char *c, lanes *odd)
{
	lanes at = lanes_at(c), before = lanes_at(c - 1), first = lanes_at(c - 2);

	*odd |= (lanes)(before == '\r') ^ (lanes)(at == '\n');
	*odd |= (lanes)(at == 0);
	*odd |= (lanes)(first == '\n') & (lanes)(before == '.') & (lanes)(at == '\r');
}

bool client_wire_feed(struct client_wire *wire, struct span in)
{
	const char *p = in.p, *end = in.n ? p + in.n : p;
	bool odd = false;
	lanes some = {0};

	/* The first two bytes have neighbours in what went before. */
	for (; p < end && p - in.p < 2; p++) {
		odd |= is_odd(wire->before, wire->last, *p);
		wire->before = wire->last;
		wire->last = *p;
	}
	for (; (size_t)(end - p) >= sizeof(lanes); p += sizeof(lanes))
		look_at_lanes(p, &some);
	for (; p < end; p++)
		odd |= is_odd(p[-2], p[-1], *p);
	for (size_t i = 0; i < sizeof(lanes); i++)
		odd |= some[i] != 0;
	if (in.n > 2) {
		wire->before = end[-2];
		wire->last = end[-1];
	}
	return !odd;
}

bool client_prepend_valid(struct span prepend)
{
	struct client_wire wire;
	struct header_scan fields;
	struct header_field field;
	size_t n = 0;

	client_wire_init(&wire);
	if (prepend.n > CLIENT_PREPEND || !client_wire_feed(&wire, prepend) ||
		!client_wire_at_line(&wire))
		return false;
	header_scan_init(&fields, prepend);
	while (header_scan_next(&fields, &field)) {
		if (!field.name.n || field.name.p[0] == '.')
			return false;
		n += field.raw.n;
	}
	return n == prepend.n; /* it ends at an empty line */
}
