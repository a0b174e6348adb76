#include "base/text.h"
#include "codec/dsn_private.h"
#include "codec/smtp_command.h"

static const char *action_name(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED: return "failed";
	case DSN_DELAYED: return "delayed";
	case DSN_DELIVERED: return "delivered";
	case DSN_RELAYED: return "relayed";
	case DSN_EXPANDED: return "expanded";
	}
	return "failed";
}

struct enhanced_code dsn_status(const struct dsn_rcpt *rcpt)
{
	struct enhanced_code code = rcpt->verdict->enhanced;
	bool failed = rcpt->action == DSN_FAILED;
	uint8_t class = 2;

	if (failed)
		class = rcpt->verdict->kind == VERDICT_TEMPORARY
				? 4
				: 5; /* 4: given up (RFC 3464 2.3.4) */
	else if (rcpt->action == DSN_DELAYED)
		class = 4;
	/* A session that was refused with 5xx is a delay, and says so; but a success that is
	 * reported as failed, or the other way round, has no code that fits. */
	if (!code.class || (code.class == 2) != (class == 2))
		return (struct enhanced_code){class, 0, 0};
	code.class = class;
	return code;
}

static void add_decoded(struct buf *buf, struct span xtext, bool utf8)
{
	struct buf plain;

	buf_init(&plain, ENVELOPE_BYTES);
	smtp_xtext_decode(&plain, xtext);
	dsn_add_safe(buf, buf_span(&plain), utf8);
	buf_done(&plain);
}

static void add_date(struct buf *buf, const char *name, int64_t wall_ms)
{
	if (!wall_ms)
		return;
	buf_add_str(buf, name);
	text_add_date(buf, wall_ms);
	buf_add_str(buf, "\r\n");
}

/* RFC 3464 section 2.2 */
static void add_message_fields(struct buf *buf, const struct dsn *dsn, bool utf8)
{
	const struct envelope *original = dsn->original;

	buf_add_str(buf, "Reporting-MTA: dns; ");
	dsn_add_safe(buf, dsn->hostname, utf8);
	buf_add_str(buf, "\r\n");
	if (original->envid.n) {
		buf_add_str(buf, "Original-Envelope-Id: ");
		add_decoded(buf, original->envid, utf8);
		buf_add_str(buf, "\r\n");
	}
	if (original->helo.n && original->client.family != NETADDR_NONE) {
		buf_add_str(buf, "Received-From-MTA: dns; ");
		dsn_add_safe(buf, original->helo, utf8);
		buf_add_str(buf, " (");
		netaddr_add_literal(buf, &original->client);
		buf_add_str(buf, ")\r\n");
	}
	add_date(buf, "Arrival-Date: ", original->arrived_ms);
}

static void add_original_recipient(struct buf *buf, struct span orcpt, bool utf8)
{
	size_t at = span_find(orcpt, ';');

	if (at == orcpt.n)
		return;
	buf_add_str(buf, "Original-Recipient: ");
	dsn_add_safe(buf, span_of(orcpt.p, at), false);
	buf_add_char(buf, ';');
	add_decoded(buf, span_skip(orcpt, at + 1), utf8);
	buf_add_str(buf, "\r\n");
}

static void add_diagnostic(
	struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt, bool utf8)
{
	const struct verdict *verdict = rcpt->verdict;
	struct enhanced_code code = verdict->enhanced;

	if (verdict->kind == VERDICT_OK && !verdict->remote)
		return;
	if (verdict->remote) {
		buf_printf(buf, "Diagnostic-Code: smtp; %u ", verdict->code);
		if (code.class)
			buf_printf(buf, "%u.%u.%u ", code.class, code.subject, code.detail);
	} else {
		buf_add_str(buf, "Diagnostic-Code: x-postern; ");
	}
	dsn_add_reason(buf, dsn, rcpt, utf8);
	buf_add_str(buf, "\r\n");
}

/* RFC 3464 section 2.3 */
static void add_rcpt_fields(
	struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt, bool utf8)
{
	struct enhanced_code status = dsn_status(rcpt);

	buf_add_str(buf, "\r\n");
	if (rcpt->rcpt->orcpt.n)
		add_original_recipient(buf, rcpt->rcpt->orcpt, utf8);
	buf_add_str(buf, "Final-Recipient: ");
	buf_add_str(buf, utf8 && dsn_has_8bit(rcpt->rcpt->address) ? "utf-8; " : "rfc822; ");
	dsn_add_safe(buf, rcpt->rcpt->address, utf8);
	buf_printf(buf, "\r\nAction: %s\r\nStatus: %u.%u.%u\r\n", action_name(rcpt->action),
		status.class, status.subject, status.detail);
	if (rcpt->remote_mta.n) {
		buf_add_str(buf, "Remote-MTA: dns; ");
		dsn_add_safe(buf, rcpt->remote_mta, utf8);
		buf_add_str(buf, "\r\n");
	}
	add_diagnostic(buf, dsn, rcpt, utf8);
	add_date(buf, "Last-Attempt-Date: ", rcpt->last_attempt_ms);
	if (rcpt->action == DSN_DELAYED)
		add_date(buf, "Will-Retry-Until: ", rcpt->retry_until_ms);
}

void dsn_add_status(struct buf *buf, const struct dsn *dsn, bool utf8)
{
	add_message_fields(buf, dsn, utf8);
	for (uint32_t i = 0; i < dsn->rcpt_count; i++)
		add_rcpt_fields(buf, dsn, &dsn->rcpts[i], utf8);
}
