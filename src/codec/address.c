#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/address_inner.h"

/* atext of RFC 5322 section 3.2.3; RFC 6531 adds UTF-8 to it. */
static bool is_atext(char c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
		return true;
	return c && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL;
}

static bool is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

static int add_local(struct address_scratch *out, const char *p, size_t n)
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
static int take_quoted(struct span in, struct address_scratch *out, size_t *used, bool *utf8)
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
static int requote(struct address_scratch *out)
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

static int take_local(struct span in, struct address_scratch *out, size_t *used, bool *utf8)
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

/* A-d-l ":" of RFC 5321: "@a.example,@b.example:". */
static int skip_route(struct span in, size_t *used)
{
	for (size_t at = 0; at < in.n && in.p[at] == '@';) {
		struct address_scratch ignored = {.n = 0};
		size_t n;
		bool ulabel;
		int err = address_take_domain(span_skip(in, ++at), &ignored, &ulabel, &n);
		if (err)
			return err;
		at += n;
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
static int keep(const struct address_scratch *from, size_t local_bytes, struct arena *arena,
	struct address *a)
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
	struct address_scratch out = {.n = 0};
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
	in = span_skip(in, at + 1);
	if (in.n && in.p[0] == '[') {
		a->literal = true;
		err = address_take_literal(in, &out, &domain_used);
	} else {
		err = address_take_domain(in, &out, &a->ulabel, &domain_used);
	}
	if (err)
		return err;
	if (out.n > ADDRESS_MAILBOX_BYTES)
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
	struct address_scratch text = {.n = 0};
	bool ulabel;
	size_t used;
	int err = address_take_domain(in, &text, &ulabel, &used);

	if (err)
		return err;
	if (used < in.n)
		return ERR_SYNTAX;
	struct span kept = arena_copy(arena, span_of(text.p, text.n));
	if (!kept.p)
		return ERR_NOMEM;
	*out = kept;
	return 0;
}

int address_add_domain(struct address *address, struct span domain, struct arena *arena)
{
	struct address_scratch text = {.n = address->local.n};

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
