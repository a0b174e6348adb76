#include "codec/dsn.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/dsn_private.h"

#define LINE 998 /* RFC 5322 section 2.1.1 */

/* A message with these cannot be inside another one that goes by DATA. */
#define NOT_TO_RETURN (ENVELOPE_BODY_NUL | ENVELOPE_BODY_BARE | ENVELOPE_BODY_LONG_LINES)

bool dsn_has_8bit(struct span bytes)
{
	unsigned char any = 0;

	for (size_t i = 0; i < bytes.n; i++)
		any |= (unsigned char)bytes.p[i];
	return any & 0x80;
}

void dsn_add_safe(struct buf *buf, struct span value, bool utf8)
{
	bool cut = value.n > DSN_VALUE;

	if (cut)
		value.n = DSN_VALUE;
	/* Never half a character at the cut. */
	while (cut && utf8 && value.n && ((unsigned char)value.p[value.n] & 0xc0) == 0x80)
		value.n--;
	bool keep_8bit = utf8 && text_is_utf8(value);
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];
		bool safe = c == '\t' || (c >= ' ' && c < 0x7f) || (c > 0x7f && keep_8bit);
		buf_add_char(buf, safe ? (char)c : '?');
	}
	if (cut)
		buf_add_str(buf, "...");
}

bool dsn_is_utf8(const struct dsn *dsn)
{
	if (dsn_has_8bit(dsn->original->sender))
		return true;
	for (uint32_t i = 0; i < dsn->rcpt_count; i++)
		if (dsn_has_8bit(dsn->rcpts[i].rcpt->address))
			return true;
	return false;
}

/* A header with bytes over 0x7f that is no UTF-8 message's could not be converted for a hop without
 * 8BITMIME; as text/rfc822-headers it can. */
static bool returnable(const struct envelope *original)
{
	if (original->flags & NOT_TO_RETURN)
		return false;
	return !(original->flags & ENVELOPE_HEADER_8BIT) || (original->flags & ENVELOPE_SMTPUTF8);
}

bool dsn_wants_body(const struct envelope *original, enum dsn_action action, uint64_t most)
{
	/* RFC 8689 section 5: what wanted TLS all the way is not returned by a way that may not. */
	return action == DSN_FAILED && original->ret != RETURN_HEADERS &&
	       !(original->flags & ENVELOPE_REQUIRETLS) && original->body_bytes <= most &&
	       returnable(original);
}

/* ---- the message ----------------------------------------------------------------------------- */

static const char *subject(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED: return "Undelivered mail returned to sender";
	case DSN_DELAYED: return "Delayed mail: still being tried";
	case DSN_DELIVERED: return "Successful mail delivery";
	case DSN_RELAYED: return "Mail handed on";
	case DSN_EXPANDED: return "Mail handed on to a list";
	}
	return "Mail delivery status";
}

struct layout {
	bool utf8;	    /* RFC 6533 forms of the parts */
	bool whole;	    /* the whole original is returned */
	struct span header; /* of the original, as stored */
	bool content_8bit;
};

static struct layout lay_out(const struct dsn *dsn)
{
	const struct envelope *original = dsn->original;
	struct layout l = {.utf8 = dsn_is_utf8(dsn), .header = dsn->content};

	l.whole = dsn->content.n == original->body_bytes &&
		  original->header_bytes < original->body_bytes && returnable(original) &&
		  dsn->rcpts[0].action == DSN_FAILED;
	if (!l.whole && original->header_bytes < l.header.n)
		l.header.n = (size_t)original->header_bytes;
	l.content_8bit = dsn_has_8bit(l.header) || dsn_has_8bit(original->prepend);
	return l;
}

static void add_boundary(struct buf *buf, const struct dsn *dsn)
{
	buf_printf(buf, "=_dsn_%016llx", (unsigned long long)dsn->boundary);
}

static void add_delimiter(struct buf *buf, const struct dsn *dsn, const char *after)
{
	buf_add_str(buf, "\r\n--");
	add_boundary(buf, dsn);
	buf_add_str(buf, after);
}

static void add_header(struct buf *buf, const struct dsn *dsn, const struct layout *l)
{
	buf_add_str(buf, "Date: ");
	text_add_date(buf, dsn->now_ms);
	buf_add_str(buf, "\r\nFrom: Mail Delivery System <MAILER-DAEMON@");
	dsn_add_safe(buf, dsn->hostname, l->utf8);
	buf_add_str(buf, ">\r\nTo: <");
	dsn_add_safe(buf, dsn->original->sender, l->utf8);
	buf_add_str(buf, ">\r\nSubject: ");
	buf_add_str(buf, subject(dsn->rcpts[0].action));
	buf_add_str(buf, "\r\nMessage-ID: <dsn.");
	text_add_id(buf, (uint64_t)dsn->now_ms);
	buf_add_char(buf, '.');
	text_add_id(buf, dsn->id);
	buf_add_char(buf, '@');
	dsn_add_safe(buf, dsn->hostname, l->utf8);
	buf_add_str(buf,
		">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
		"Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
	add_boundary(buf, dsn);
	buf_add_str(buf, "\"\r\n");
	if (l->utf8 || l->content_8bit)
		buf_add_str(buf, "Content-Transfer-Encoding: 8bit\r\n");
	buf_add_str(buf, "\r\nThis is a MIME report about the delivery of a message.\r\n");
}

static void add_part(struct buf *buf, const struct dsn *dsn, const char *type, bool eight)
{
	add_delimiter(buf, dsn, "\r\nContent-Type: ");
	buf_add_str(buf, type);
	buf_add_str(buf, eight ? "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" : "\r\n\r\n");
}

/* ---- the original ---------------------------------------------------------------------------- */

/* One line of it, without its CRLF: harmless, and not too long. */
static void add_original_line(struct buf *buf, struct span line, bool stuffed)
{
	if (stuffed && line.n && line.p[0] == '.')
		line = span_skip(line, 1);
	if (line.n > LINE)
		line.n = LINE;
	for (size_t i = 0; i < line.n; i++) {
		char c = line.p[i];
		buf_add_char(buf, c == '\0' || c == '\r' || c == '\n' ? '?' : c);
	}
	buf_add_str(buf, "\r\n");
}

static void add_original(struct buf *buf, struct span in, bool stuffed)
{
	while (in.n) {
		const char *end = memmem(in.p, in.n, "\r\n", 2);
		struct span line = span_of(in.p, end ? (size_t)(end - in.p) : in.n);

		in = span_skip(in, line.n + 2);
		add_original_line(buf, line, stuffed);
	}
}

static const char *content_type(const struct dsn *dsn, const struct layout *l)
{
	bool global = (dsn->original->flags & ENVELOPE_SMTPUTF8) && l->content_8bit;

	if (l->whole)
		return global ? "message/global" : "message/rfc822";
	if (global && text_is_utf8(l->header))
		return "message/global-headers";
	return "text/rfc822-headers";
}

/* ---- what is known about it ------------------------------------------------------------------ */

static void describe(struct span message, uint64_t header_bytes, uint32_t *flags)
{
	bool header_8bit = dsn_has_8bit(span_of(message.p, (size_t)header_bytes));

	*flags = ENVELOPE_DSN;
	if (header_8bit)
		*flags |= ENVELOPE_HEADER_8BIT | ENVELOPE_SMTPUTF8;
	if (dsn_has_8bit(message))
		*flags |= ENVELOPE_BODY_8BIT | ENVELOPE_8BITMIME;
	if (memmem(message.p, message.n, "\r\n.", 3))
		*flags |= ENVELOPE_BODY_DOTS;
}

int dsn_build(const struct dsn *dsn, struct buf *out, uint32_t *flags, uint64_t *header_bytes)
{
	struct layout l = lay_out(dsn);
	size_t start = out->n;

	CHECK(dsn->rcpt_count > 0);
	if (!buf_ok(out))
		return ERR_LIMIT;
	add_header(out, dsn, &l);
	add_part(out, dsn, l.utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii",
		l.utf8);
	dsn_add_text(out, dsn, l.utf8);
	add_part(out, dsn, l.utf8 ? "message/global-delivery-status" : "message/delivery-status",
		l.utf8);
	dsn_add_status(out, dsn, l.utf8);
	add_part(out, dsn, content_type(dsn, &l), l.content_8bit);
	if (l.header.n)
		add_original(out, dsn->original->prepend, false);
	add_original(out, l.header, dsn->original->flags & ENVELOPE_BODY_STUFFED);
	add_delimiter(out, dsn, "--\r\n");
	if (!buf_ok(out)) {
		out->n = start;
		out->overflow = false;
		return ERR_LIMIT;
	}
	struct span message = span_of(out->p + start, out->n - start);
	const char *empty = memmem(message.p, message.n, "\r\n\r\n", 4);
	*header_bytes = (uint64_t)(empty - message.p) + 4;
	describe(message, *header_bytes, flags);
	return 0;
}
