/* A report as a mail message (RFC 8460 sections 5.1 and 5.3). */
#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/address.h"
#include "codec/tls_rpt.h"

#include <inttypes.h>
#include <zlib.h>

#define GZIP_WINDOW  (15 + 16) /* the largest window; 16 more makes it gzip, not zlib */
#define GZIP_MEMORY  8	       /* zlib's default */
#define LINE_BYTES   57	       /* which are 76 characters of base64 (RFC 2045 section 6.8) */
#define REPORT_ID    255       /* bytes */
#define BOUNDARY     "=_tlsrpt_%016" PRIx64 /* "_" is no digit of base64 */
#define MS_IN_SECOND 1000

int tls_rpt_gzip(struct span in, struct buf *out)
{
	z_stream z = {.next_in = (unsigned char *)in.p};

	if (in.n > TLS_RPT_JSON)
		return ERR_LIMIT;
	z.avail_in = (unsigned)in.n;
	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		return ERR_NOMEM;
	/* In so much room one call does it all. */
	size_t room = deflateBound(&z, (uLong)in.n);
	char *to = buf_reserve(out, room);
	z.next_out = (unsigned char *)to;
	z.avail_out = (unsigned)room;
	bool done = to && deflate(&z, Z_FINISH) == Z_STREAM_END;
	if (done)
		buf_wrote(out, z.total_out);
	deflateEnd(&z);
	return done ? 0 : ERR_NOMEM;
}

/* Visible, and nothing that ends a field, an angle address, a quoted string or a parameter. */
static bool is_safe(struct span in, const char *forbidden)
{
	for (size_t i = 0; i < in.n; i++)
		if ((unsigned char)in.p[i] <= ' ' || in.p[i] == 0x7f || strchr(forbidden, in.p[i]))
			return false;
	return in.n > 0;
}

/* A domain name or an id: ASCII alone. */
static bool is_name(struct span in, const char *forbidden)
{
	for (size_t i = 0; i < in.n; i++)
		if ((unsigned char)in.p[i] > '~')
			return false;
	return is_safe(in, forbidden);
}

static int check(const struct tls_rpt_mail *mail)
{
	/* Quotes are an address's own affair: it was parsed, as its owner wrote it. */
	if (!is_safe(mail->from, "<>") || !is_safe(mail->to, "<>") || !text_is_utf8(mail->from) ||
		!text_is_utf8(mail->to))
		return ERR_SYNTAX;
	if (!is_name(mail->reported_domain, "\"\\/!<>;") || !is_name(mail->submitter, "\"\\/!<>;"))
		return ERR_SYNTAX;
	if (!is_name(mail->report_id, "\"\\<>;,()"))
		return ERR_SYNTAX;
	if (mail->from.n > ADDRESS_MAILBOX_BYTES || mail->to.n > ADDRESS_MAILBOX_BYTES ||
		mail->reported_domain.n > ADDRESS_DOMAIN_BYTES ||
		mail->submitter.n > ADDRESS_DOMAIN_BYTES || mail->report_id.n > REPORT_ID)
		return ERR_LIMIT;
	return 0;
}

static void add_field(struct buf *out, const char *name, struct span value)
{
	buf_add_str(out, name);
	buf_add_str(out, ": ");
	buf_add_span(out, value);
	buf_add_str(out, "\r\n");
}

static void add_address(struct buf *out, const char *name, struct span address)
{
	buf_add_str(out, name);
	buf_add_str(out, ": <");
	buf_add_span(out, address);
	buf_add_str(out, ">\r\n");
}

/* Its parts on lines of their own: each may have 255 bytes. */
static void add_subject(struct buf *out, const struct tls_rpt_mail *mail)
{
	buf_add_str(out, "Subject: Report Domain: ");
	buf_add_span(out, mail->reported_domain);
	buf_add_str(out, "\r\n Submitter: ");
	buf_add_span(out, mail->submitter);
	buf_add_str(out, "\r\n Report-ID: <");
	buf_add_span(out, mail->report_id);
	/* The grammar wants one of the kind of a Message-ID. */
	if (span_find(mail->report_id, '@') == mail->report_id.n) {
		buf_add_char(out, '@');
		buf_add_span(out, mail->submitter);
	}
	buf_add_str(out, ">\r\n");
}

static void add_header(struct buf *out, const struct tls_rpt_mail *mail)
{
	add_address(out, "From", mail->from);
	add_address(out, "To", mail->to);
	buf_add_str(out, "Date: ");
	text_add_date(out, mail->now_ms);
	buf_add_str(out, "\r\n");
	add_subject(out, mail);
	buf_printf(out, "Message-ID: <tlsrpt.%016" PRIx64 "@", mail->random);
	buf_add_span(out, mail->submitter);
	buf_add_str(out, ">\r\n");
	add_field(out, "TLS-Report-Domain", mail->reported_domain);
	add_field(out, "TLS-Report-Submitter", mail->submitter);
	/* A report about broken TLS must not fail for it (section 3; RFC 8689 section 3). */
	add_field(out, "TLS-Required", SPAN("No"));
	add_field(out, "Auto-Submitted", SPAN("auto-generated")); /* RFC 3834 */
	add_field(out, "MIME-Version", SPAN("1.0"));
	buf_printf(out,
		"Content-Type: multipart/report; report-type=tlsrpt;\r\n boundary=\"" BOUNDARY
		"\"\r\n\r\n",
		mail->random);
}

static void add_text(struct buf *out, const struct tls_rpt_mail *mail)
{
	buf_printf(out,
		"--" BOUNDARY "\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"Content-Transfer-Encoding: 7bit\r\n\r\n"
		"This is a report (RFC 8460) of how connections to\r\n\r\n    ",
		mail->random);
	buf_add_span(out, mail->reported_domain);
	buf_add_str(out, "\r\n\r\nwere protected by TLS, from\r\n\r\n    ");
	buf_add_span(out, mail->submitter);
	buf_add_str(out, "\r\n\r\nfrom ");
	text_add_date(out, mail->from_ms);
	buf_add_str(out, "\r\nuntil ");
	text_add_date(out, mail->to_ms);
	buf_add_str(out, ".\r\n\r\n");
}

/* Section 5.1: submitter!domain!begin!end!id.json.gz, in seconds since 1970. */
static void add_report_header(struct buf *out, const struct tls_rpt_mail *mail)
{
	buf_printf(out,
		"--" BOUNDARY "\r\n"
		"Content-Type: application/tlsrpt+gzip\r\n"
		"Content-Transfer-Encoding: base64\r\n"
		"Content-Disposition: attachment;\r\n filename=\"",
		mail->random);
	buf_add_span(out, mail->submitter);
	buf_add_char(out, '!');
	buf_add_span(out, mail->reported_domain);
	buf_printf(out, "!%" PRId64 "!%" PRId64 "!%016" PRIx64 ".json.gz\"\r\n\r\n",
		mail->from_ms / MS_IN_SECOND, mail->to_ms / MS_IN_SECOND, mail->random);
}

static void add_lines(struct buf *out, struct span bytes)
{
	while (bytes.n) {
		size_t n = MIN(bytes.n, (size_t)LINE_BYTES);
		base64_add(out, span_of(bytes.p, n));
		buf_add_str(out, "\r\n");
		bytes = span_skip(bytes, n);
	}
}

int tls_rpt_add_mail(struct buf *out, const struct tls_rpt_mail *mail)
{
	struct buf packed;
	size_t before = out->n;
	int err = check(mail);

	if (err)
		return err;
	buf_init(&packed, 2 * (size_t)TLS_RPT_JSON);
	err = tls_rpt_gzip(mail->json, &packed);
	if (!err) {
		add_header(out, mail);
		add_text(out, mail);
		add_report_header(out, mail);
		add_lines(out, buf_span(&packed));
		buf_printf(out, "--" BOUNDARY "--\r\n", mail->random);
		err = buf_ok(out) ? 0 : ERR_NOMEM;
	}
	buf_done(&packed);
	if (err)
		out->n = before;
	return err;
}
