#include "codec/mime_field.h"

#include "base/check.h"
#include "base/err.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 2045 section 5.1: tspecials end a token. */
static bool is_token(char c)
{
	return (unsigned char)c > ' ' && c != 0x7f && !memchr("()<>@,;:\\\"/[]?=", c, 15);
}

/* Skips blanks, folds and comments, which nest (RFC 5322 section 3.2.2). */
static struct span skip_blank(struct span in)
{
	size_t depth = 0;

	while (in.n) {
		char c = in.p[0];

		if (c == '(')
			depth++;
		else if (c == ')' && depth)
			depth--;
		else if (c == '\\' && depth)
			in = span_skip(in, 1);
		else if (!depth && !is_blank(c))
			break;
		in = span_skip(in, 1);
	}
	return in;
}

static struct span token(struct span *in)
{
	*in = skip_blank(*in);

	struct span out = {in->p, 0};
	while (out.n < in->n && is_token(in->p[out.n]))
		out.n++;
	*in = span_skip(*in, out.n);
	return out;
}

/* A token or a quoted string, unquoted into `to`. Its length, or SIZE_MAX where it does not fit or
 * does not end. */
static size_t value(struct span *in, char *to, size_t room)
{
	size_t n = 0;

	*in = skip_blank(*in);
	if (!in->n || in->p[0] != '"') {
		/* Boundaries with characters that would need quotes are common: up to the
		 * semicolon. */
		struct span raw = span_of(in->p, span_find(*in, ';'));
		*in = span_skip(*in, raw.n);
		while (n < raw.n && !is_blank(raw.p[n]) && raw.p[n] != '(')
			n++;
		if (n > room)
			return SIZE_MAX;
		memcpy(to, raw.p, n);
		return n;
	}
	for (*in = span_skip(*in, 1); in->n; *in = span_skip(*in, 1)) {
		char c = in->p[0];

		if (c == '"') {
			*in = span_skip(*in, 1);
			return n;
		}
		if (c == '\\' && in->n > 1) {
			*in = span_skip(*in, 1);
			c = in->p[0];
		} else if (c == '\r' || c == '\n') {
			continue; /* a fold */
		}
		if (n == room)
			return SIZE_MAX;
		to[n++] = c;
	}
	return SIZE_MAX;
}

static enum mime_kind message_kind(struct span subtype)
{
	if (span_equal_nocase(subtype, SPAN("rfc822")))
		return MIME_MESSAGE;
	/* RFC 6532 section 3.7: any encoding is permitted. */
	if (span_starts_nocase(subtype, SPAN("global")))
		return MIME_LEAF;
	return MIME_FIXED; /* RFC 2046 section 5.2 */
}

static enum mime_kind multipart_kind(struct span subtype)
{
	if (span_equal_nocase(subtype, SPAN("signed")) ||
		span_equal_nocase(subtype, SPAN("encrypted")))
		return MIME_SEALED;
	return span_equal_nocase(subtype, SPAN("digest")) ? MIME_DIGEST : MIME_MULTIPART;
}

static int find_boundary(struct span in, struct mime_type *out)
{
	char ignored[MIME_BOUNDARY] = "";

	while ((in = skip_blank(in)).n) {
		if (in.p[0] == ';') {
			in = span_skip(in, 1);
			continue;
		}
		struct span name = token(&in);
		in = skip_blank(in);
		if (!name.n || !in.n || in.p[0] != '=') { /* nonsense up to the next semicolon */
			in = span_skip(in, span_find(in, ';'));
			continue;
		}
		in = span_skip(in, 1);
		bool wanted = span_equal_nocase(name, SPAN("boundary"));
		size_t n = value(&in, wanted ? out->boundary : ignored, MIME_BOUNDARY);
		if (!wanted)
			continue;
		/* Blanks at its end would be lost on the way (RFC 2046 section 5.1.1). */
		while (n != SIZE_MAX && n && is_blank(out->boundary[n - 1]))
			n--;
		if (n == SIZE_MAX || n == 0)
			return ERR_SYNTAX;
		out->boundary_n = (uint16_t)n;
		return 0;
	}
	return ERR_SYNTAX;
}

int mime_type_parse(struct span in, struct mime_type *out)
{
	out->kind = MIME_LEAF;
	out->boundary_n = 0;
	if (!in.n)
		return 0;

	struct span type = token(&in);
	in = skip_blank(in);
	if (!in.n || in.p[0] != '/')
		return 0; /* not understood: text/plain (RFC 2045 section 5.2) */
	in = span_skip(in, 1);

	struct span subtype = token(&in);
	if (span_equal_nocase(type, SPAN("message"))) {
		out->kind = message_kind(subtype);
	} else if (span_equal_nocase(type, SPAN("multipart"))) {
		out->kind = multipart_kind(subtype);
		return find_boundary(in, out);
	}
	return 0;
}

enum mime_encoding mime_encoding_parse(struct span in)
{
	struct span name = in.n ? token(&in) : SPAN_NONE;

	if (span_equal_nocase(name, SPAN("7bit")) || !name.n)
		return ENCODING_7BIT;
	if (span_equal_nocase(name, SPAN("8bit")))
		return ENCODING_8BIT;
	return span_equal_nocase(name, SPAN("binary")) ? ENCODING_BINARY : ENCODING_OTHER;
}

struct span mime_field_value(struct span line, struct span name)
{
	if (!span_starts_nocase(line, name))
		return SPAN_NONE;
	line = span_skip(line, name.n);
	while (line.n && (line.p[0] == ' ' || line.p[0] == '\t'))
		line = span_skip(line, 1); /* RFC 5322 section 4.5: obsolete, and seen */
	return line.n && line.p[0] == ':' ? span_skip(line, 1) : SPAN_NONE;
}
