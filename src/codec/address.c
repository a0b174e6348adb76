#include "codec/address.h"

#include "base/check.h"
#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"

#include <idn2.h>

/* The canonical form while it grows. */
struct scratch {
	char p[ADDRESS_DOMAIN_BYTES + ADDRESS_LOCAL_BYTES + 2];
	size_t n;
};

/* atext of RFC 5322 section 3.2.3; RFC 6531 adds UTF-8 to it. */
static bool is_atext(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

static bool is_let_dig(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

static int add_local(struct scratch *out, const char *p, size_t n)
{
	if (n > ADDRESS_LOCAL_BYTES - out->n)
		return ERR_LIMIT;
	memcpy(out->p + out->n, p, n);
	out->n += n;
	return 0;
}

/* Dot-string: atoms between dots. Returns how long the longest one at the start of `in` is, or a
 * negative error. */
static int take_dot_string(struct span in, bool *utf8)
{
	size_t at = 0;
	bool atom = false;

	for (; at < in.n && at < ADDRESS_INPUT_BYTES; at++) {
		char c = in.p[at];
		if (c == '.') {
			if (!atom)
				return ERR_SYNTAX;
			atom = false;
		} else if (is_high(c)) {
			size_t n = text_utf8_length(span_skip(in, at));
			if (!n)
				return ERR_SYNTAX;
			at += n - 1;
			atom = *utf8 = true;
		} else if (is_atext(c)) {
			atom = true;
		} else {
			break;
		}
	}
	return atom ? (int)at : ERR_SYNTAX;
}

/* Quoted-string of RFC 5321: what it means goes to `out`, without quotes and backslashes. */
static int take_quoted(struct span in, struct scratch *out, size_t *used, bool *utf8)
{
	for (size_t at = 1; at < in.n; at++) {
		size_t n = 1;
		if (in.p[at] == '"') {
			*used = at + 1;
			return 0;
		}
		if (in.p[at] == '\\' && (++at == in.n || is_high(in.p[at])))
			return ERR_SYNTAX;
		if (is_high(in.p[at])) {
			n = text_utf8_length(span_skip(in, at));
			if (!n)
				return ERR_SYNTAX;
			*utf8 = true;
		} else if (in.p[at] < ' ' || in.p[at] == 0x7f) {
			return ERR_SYNTAX;
		}
		int err = add_local(out, in.p + at, n);
		if (err)
			return err;
		at += n - 1;
	}
	return ERR_SYNTAX;
}

/* Quotes the local part in `out` again where it cannot go without. */
static int requote(struct scratch *out)
{
	char plain[ADDRESS_LOCAL_BYTES];
	size_t n = out->n;
	bool utf8;
	int err;

	if (take_dot_string(span_of(out->p, n), &utf8) == (int)n)
		return 0;
	memcpy(plain, out->p, n);
	out->n = 0;
	err = add_local(out, "\"", 1);
	for (size_t i = 0; i < n && !err; i++) {
		if (plain[i] == '"' || plain[i] == '\\')
			err = add_local(out, "\\", 1);
		if (!err)
			err = add_local(out, &plain[i], 1);
	}
	return err ? err : add_local(out, "\"", 1);
}

static int take_local(struct span in, struct scratch *out, size_t *used, bool *utf8)
{
	int n;

	if (in.n && in.p[0] == '"') {
		int err = take_quoted(in, out, used, utf8);
		return err ? err : requote(out);
	}
	n = take_dot_string(in, utf8);
	if (n < 0)
		return n;
	*used = (size_t)n;
	return add_local(out, in.p, (size_t)n);
}

/* Domain of RFC 5321 section 4.1.2 in ASCII: appended in lower case. */
static int add_ascii_domain(struct scratch *out, struct span in)
{
	size_t label = 0;

	if (in.n > ADDRESS_DOMAIN_BYTES)
		return ERR_LIMIT;
	for (size_t i = 0; i <= in.n; i++) {
		char c = i < in.n ? in.p[i] : '.';
		if (c == '.') {
			/* An empty label, a trailing dot, or a hyphen before a dot. */
			if (!label || in.p[i - 1] == '-')
				return ERR_SYNTAX;
			label = 0;
			continue;
		}
		if (!is_let_dig(c) && (c != '-' || !label))
			return ERR_SYNTAX;
		if (++label > ADDRESS_LABEL_BYTES)
			return ERR_LIMIT;
	}
	for (size_t i = 0; i < in.n; i++)
		out->p[out->n++] = ascii_lower(in.p[i]);
	return 0;
}

/* U-labels to A-labels. UTS #46 maps many characters, even to dots and "@": the result is checked
 * like any domain. IDN2_USE_STD3_ASCII_RULES must stay off: it drops such characters and goes on,
 * where another domain than the sender meant comes out. */
static int add_unicode_domain(struct scratch *out, struct span in)
{
	const int how = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
	char text[ADDRESS_INPUT_BYTES + 1];
	char *ascii = NULL;
	int err;

	if (in.n > ADDRESS_INPUT_BYTES)
		return ERR_LIMIT;
	if (!text_is_utf8(in) || span_find(in, '\0') < in.n)
		return ERR_SYNTAX;
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	switch (idn2_to_ascii_8z(text, &ascii, how)) {
	case IDN2_OK: break;
	case IDN2_MALLOC: return ERR_NOMEM;
	case IDN2_TOO_BIG_LABEL:
	case IDN2_TOO_BIG_DOMAIN: return ERR_LIMIT;
	default: return ERR_SYNTAX;
	}
	err = add_ascii_domain(out, span_str(ascii));
	idn2_free(ascii);
	return err;
}

/* Address literal, `in` is what stands in the brackets. RFC 5321 section 4.1.3. */
static int add_literal(struct scratch *out, struct span in)
{
	const struct span v6 = SPAN("IPv6:");
	bool is_v6 = span_starts_nocase(in, v6);
	size_t colon = span_find(in, ':');
	struct netaddr ip;
	struct buf text;

	struct span host = is_v6 ? span_skip(in, v6.n) : in;
	if (netaddr_parse_ip(host, &ip) != 0 || (span_find(host, ':') < host.n) != is_v6 ||
		span_find(host, '%') < host.n) {
		/* General-address-literal: a tag that nobody has registered since. */
		if (is_v6 || !colon || colon + 1 >= in.n)
			return ERR_SYNTAX;
		for (size_t i = 0; i < colon; i++)
			if (!is_let_dig(in.p[i]) && in.p[i] != '-')
				return ERR_SYNTAX;
		return is_let_dig(in.p[colon - 1]) ? ERR_UNSUPPORTED : ERR_SYNTAX;
	}
	buf_init(&text, sizeof(out->p) - out->n);
	netaddr_add_literal(&text, &ip);
	int err = buf_ok(&text) ? 0 : ERR_NOMEM;
	if (!err) {
		memcpy(out->p + out->n, text.p, text.n);
		out->n += text.n;
	}
	buf_done(&text);
	return err;
}

/* The bytes of a domain name at the start of `in`, whatever they are worth. */
static size_t domain_length(struct span in, bool *high)
{
	size_t n = 0;

	*high = false;
	while (n < in.n && n < ADDRESS_INPUT_BYTES &&
		(is_let_dig(in.p[n]) || in.p[n] == '-' || in.p[n] == '.' || is_high(in.p[n])))
		*high |= is_high(in.p[n++]);
	return n;
}

static int take_domain(struct span in, struct scratch *out, struct address *a, size_t *used)
{
	if (in.n && in.p[0] == '[') {
		size_t end = span_find(in, ']');
		if (end == in.n)
			return ERR_SYNTAX;
		*used = end + 1;
		a->literal = true;
		return add_literal(out, span_of(in.p + 1, end - 1));
	}
	*used = domain_length(in, &a->ulabel);
	struct span name = span_of(in.p, *used);
	return a->ulabel ? add_unicode_domain(out, name) : add_ascii_domain(out, name);
}

/* A-d-l ":" of RFC 5321: "@a.example,@b.example:". */
static int skip_route(struct span in, size_t *used)
{
	for (size_t at = 0; at < in.n && in.p[at] == '@';) {
		struct scratch ignored = {.n = 0};
		bool high;
		struct span name = span_skip(in, ++at);
		name.n = domain_length(name, &high);
		int err = high ? add_unicode_domain(&ignored, name)
			       : add_ascii_domain(&ignored, name);
		if (err)
			return err;
		at += name.n;
		if (at < in.n && in.p[at] == ':') {
			*used = at + 1;
			return 0;
		}
		if (at == in.n || in.p[at++] != ',')
			break;
	}
	return ERR_SYNTAX;
}

/* The scratch becomes the mailbox; the first local_bytes of it are the local part. */
static int keep(
	const struct scratch *from, size_t local_bytes, struct arena *arena, struct address *a)
{
	struct span mailbox = arena_copy(arena, span_of(from->p, from->n));

	if (!mailbox.p)
		return ERR_NOMEM;
	a->mailbox = mailbox;
	a->local = span_of(mailbox.p, local_bytes);
	a->domain = span_skip(mailbox, local_bytes + 1);
	return 0;
}

static int take_mailbox(
	struct span in, unsigned flags, struct arena *arena, struct address *a, size_t *used)
{
	struct scratch out = {.n = 0};
	size_t at, domain_used, local_bytes;
	int err = take_local(in, &out, &at, &a->utf8);

	if (err)
		return err;
	local_bytes = out.n;
	if (at == in.n || in.p[at] != '@') {
		const struct span postmaster = SPAN("postmaster");
		if (!(flags & ADDRESS_POSTMASTER_ALLOWED) ||
			!span_equal_nocase(span_of(in.p, at), postmaster))
			return ERR_SYNTAX;
		memcpy(out.p, postmaster.p, postmaster.n);
		a->postmaster = true;
		*used = at;
		err = keep(&out, local_bytes, arena, a);
		a->domain = SPAN_NONE;
		return err;
	}
	out.p[out.n++] = '@';
	err = take_domain(span_skip(in, at + 1), &out, a, &domain_used);
	if (err)
		return err;
	if (out.n - local_bytes - 1 > ADDRESS_DOMAIN_BYTES || out.n > ADDRESS_MAILBOX_BYTES)
		return ERR_LIMIT;
	*used = at + 1 + domain_used;
	return keep(&out, local_bytes, arena, a);
}

/* What stands in the angle brackets. */
static int take_path(
	struct span in, unsigned flags, struct arena *arena, struct address *a, size_t *used)
{
	size_t route = 0, rest;
	int err;

	if (in.n && in.p[0] == '@') {
		err = skip_route(in, &route);
		if (err)
			return err;
		/* "<@a.example:Postmaster>" is none. */
		flags &= ~(unsigned)ADDRESS_POSTMASTER_ALLOWED;
	}
	err = take_mailbox(span_skip(in, route), flags, arena, a, &rest);
	if (!err)
		*used = route + rest;
	return err;
}

int address_parse_path(
	struct span in, unsigned flags, struct arena *arena, struct address *out, size_t *used)
{
	struct address a = {0};
	size_t at = 0, path;
	bool bracket;
	int err;

	while ((flags & ADDRESS_LENIENT) && at < in.n && (in.p[at] == ' ' || in.p[at] == '\t'))
		at++;
	bracket = at < in.n && in.p[at] == '<';
	if (!bracket && !(flags & ADDRESS_LENIENT))
		return ERR_SYNTAX;
	at += bracket;
	if (bracket && at < in.n && in.p[at] == '>') {
		if (!(flags & ADDRESS_NULL_ALLOWED))
			return ERR_SYNTAX;
		a.null = true;
		*out = a;
		*used = at + 1;
		return 0;
	}
	err = take_path(span_skip(in, at), flags, arena, &a, &path);
	if (err)
		return err;
	at += path;
	if (bracket && (at == in.n || in.p[at++] != '>'))
		return ERR_SYNTAX;
	*out = a;
	*used = at;
	return 0;
}

int address_parse_mailbox(struct span in, struct arena *arena, struct address *out)
{
	struct address a = {0};
	size_t used;
	int err = take_mailbox(in, 0, arena, &a, &used);

	if (err)
		return err;
	if (used < in.n)
		return ERR_SYNTAX;
	*out = a;
	return 0;
}

int address_parse_domain(struct span in, struct arena *arena, struct span *out)
{
	struct scratch text = {.n = 0};
	bool high;
	int err;

	if (domain_length(in, &high) < in.n)
		return in.n > ADDRESS_INPUT_BYTES ? ERR_LIMIT : ERR_SYNTAX;
	err = high ? add_unicode_domain(&text, in) : add_ascii_domain(&text, in);
	if (err)
		return err;
	if (text.n > ADDRESS_DOMAIN_BYTES)
		return ERR_LIMIT;
	struct span kept = arena_copy(arena, span_of(text.p, text.n));
	if (!kept.p)
		return ERR_NOMEM;
	*out = kept;
	return 0;
}

int address_add_domain(struct address *address, struct span domain, struct arena *arena)
{
	struct scratch text = {.n = address->local.n};

	CHECK(address->postmaster && !address->domain.n);
	if (domain.n > ADDRESS_DOMAIN_BYTES || text.n + 1 + domain.n > ADDRESS_MAILBOX_BYTES)
		return ERR_LIMIT;
	memcpy(text.p, address->local.p, text.n);
	text.p[text.n++] = '@';
	if (domain.n)
		memcpy(text.p + text.n, domain.p, domain.n);
	text.n += domain.n;
	return keep(&text, address->local.n, arena, address);
}
