#include "codec/xclient.h"

#include "base/err.h"
#include "base/text.h"
#include "codec/escape.h"
#include "codec/scram.h"
#include "codec/smtp_command.h"

enum attribute {
	XCLIENT_NAME,
	XCLIENT_ADDR,
	XCLIENT_PORT,
	XCLIENT_PROTO,
	XCLIENT_HELO,
	XCLIENT_LOGIN,
	XCLIENT_DESTADDR,
	XCLIENT_DESTPORT,
	XCLIENT_COUNT
};

static const struct span names[XCLIENT_COUNT] = {
	{"NAME", 4},
	{"ADDR", 4},
	{"PORT", 4},
	{"PROTO", 5},
	{"HELO", 4},
	{"LOGIN", 5},
	{"DESTADDR", 8},
	{"DESTPORT", 8},
};

/* Of all attributes while they are read. */
struct reading {
	struct arena *arena;
	struct xclient *out;
	uint64_t port;
};

/* xtext, "+" and two hex digits for what it cannot hold; in either case, as Postfix reads it. */
static int decode(struct span in, struct arena *arena, struct span *out)
{
	for (size_t i = 0; i < in.n; i++)
		if (in.p[i] <= ' ' || in.p[i] > '~' || in.p[i] == '=')
			return ERR_SYNTAX;
	return in.n ? escape_decode(in, '+', arena, out) : ERR_SYNTAX;
}

/* Not known to the peer for good, or for now. */
static bool is_unavailable(struct span value)
{
	return span_equal_nocase(value, SPAN("[UNAVAILABLE]")) ||
	       span_equal_nocase(value, SPAN("[TEMPUNAVAIL]"));
}

/* The characters that HELO may have here: these names go where that one goes. */
static bool is_host(struct span value)
{
	for (size_t i = 0; i < value.n; i++) {
		char c = ascii_lower(value.p[i]);
		if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && !memchr(".-_:[]", c, 6))
			return false;
	}
	return value.n <= SMTP_HELO_BYTES;
}

static bool is_login(struct span value)
{
	for (size_t i = 0; i < value.n; i++)
		if (text_hidden_length(span_skip(value, i)))
			return false;
	return value.n <= SCRAM_USER && text_is_utf8(value);
}

static int take_ip(struct span value, struct netaddr *out)
{
	const struct span prefix = SPAN("IPV6:");
	bool v6 = span_starts_nocase(value, prefix);

	if (v6)
		value = span_skip(value, prefix.n);
	if (span_find(value, '%') < value.n || (v6 && span_find(value, ':') == value.n))
		return ERR_SYNTAX;
	return netaddr_parse_ip(value, out);
}

static int take_name(struct reading *r, struct span value)
{
	if (is_unavailable(value))
		return 0;
	if (!is_host(value))
		return ERR_SYNTAX;
	r->out->name = value;
	return 0;
}

static int take_address(struct reading *r, struct span value)
{
	if (is_unavailable(value))
		return 0;
	int err = take_ip(value, &r->out->address);
	r->out->has_address = !err;
	return err;
}

static int take_port(struct span value, uint64_t *port)
{
	if (is_unavailable(value))
		return 0;
	return text_parse_u64(value, UINT16_MAX, port) == 0 ? 0 : ERR_SYNTAX;
}

static int take_protocol(struct reading *r, struct span value)
{
	r->out->has_extended = true;
	r->out->extended = span_equal_nocase(value, SPAN("ESMTP"));
	return r->out->extended || span_equal_nocase(value, SPAN("SMTP")) ? 0 : ERR_SYNTAX;
}

static int take_helo(struct reading *r, struct span value)
{
	if (is_unavailable(value))
		return 0;
	if (!is_host(value))
		return ERR_SYNTAX;
	r->out->has_helo = true;
	r->out->helo = value;
	return 0;
}

static int take_login(struct reading *r, struct span value)
{
	r->out->has_login = true;
	if (is_unavailable(value))
		return 0;
	if (!is_login(value))
		return ERR_SYNTAX;
	r->out->login = value;
	return 0;
}

static int take(struct reading *r, unsigned which, struct span value)
{
	struct netaddr unused;
	uint64_t port;

	switch ((enum attribute)which) {
	case XCLIENT_NAME: return take_name(r, value);
	case XCLIENT_ADDR: return take_address(r, value);
	case XCLIENT_PORT: return take_port(value, &r->port);
	case XCLIENT_PROTO: return take_protocol(r, value);
	case XCLIENT_HELO: return take_helo(r, value);
	case XCLIENT_LOGIN: return take_login(r, value);
	/* Where the client connected to decides nothing here. */
	case XCLIENT_DESTADDR: return is_unavailable(value) ? 0 : take_ip(value, &unused);
	case XCLIENT_DESTPORT: return take_port(value, &port);
	case XCLIENT_COUNT: break;
	}
	return ERR_SYNTAX;
}

static int take_attribute(struct reading *r, struct span word, unsigned *seen)
{
	struct span name = span_of(word.p, span_find(word, '='));
	unsigned which = 0;
	struct span value;

	while (which < XCLIENT_COUNT && !span_equal_nocase(name, names[which]))
		which++;
	if (which == XCLIENT_COUNT || name.n == word.n || *seen & 1u << which)
		return ERR_SYNTAX;
	*seen |= 1u << which;
	int err = decode(span_skip(word, name.n + 1), r->arena, &value);
	return err ? err : take(r, which, value);
}

int xclient_parse(struct span argument, struct arena *arena, struct xclient *out)
{
	struct xclient parsed = {.has_address = false};
	struct reading r = {.arena = arena, .out = &parsed};
	unsigned seen = 0;

	argument = span_trim(argument);
	if (!argument.n)
		return ERR_SYNTAX;
	while (argument.n) {
		struct span word = span_of(argument.p, span_find(argument, ' '));
		int err = take_attribute(&r, word, &seen);
		if (err)
			return err;
		argument = span_skip(argument, word.n);
		while (argument.n && argument.p[0] == ' ')
			argument = span_skip(argument, 1);
	}
	if (parsed.has_address)
		parsed.address.port = (uint16_t)r.port;
	*out = parsed;
	return 0;
}
