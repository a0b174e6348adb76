#include "base/check.h"
#include "codec/dsn_private.h"

#define ANY 0xffffu /* whatever the detail is */

/*
 * What a code of RFC 3463 means when it is we who gave it. The verdict's own text may name hosts,
 * addresses and settings that are nobody's business, so only people with access to log, trace and
 * queue read that. The first that fits counts.
 */
static const struct {
	uint16_t subject, detail;
	bool domain; /* the recipient's domain goes behind it */
	const char *text;
} meanings[] = {
	{1, 1, true, "there is no mailbox of this name at"},
	{1, 2, true, "there is no mail domain"},
	{1, 3, false, "the address is not a valid one"},
	{1, 7, false, "the sender's address is not a valid one"},
	{1, 10, true, "no mail is taken for"},
	{1, ANY, false, "no mail can be sent to the address"},
	{2, 2, false, "the mailbox is full"},
	{2, ANY, false, "the mailbox takes no mail"},
	{3, 4, false, "the message is too large"},
	{3, 5, false, "this mail gateway is not set up for the address"},
	{3, ANY, false, "this mail gateway has trouble of its own"},
	{4, 1, true, "no connection to a mail server for"},
	{4, 2, true, "the connection broke off to a mail server for"},
	{4, 3, true, "the DNS does not say where mail goes for"},
	{4, 4, true, "there is no usable mail server for"},
	{4, 5, true, "too much waits for the mail servers of"},
	{4, 6, true, "mail goes round in circles for"},
	{4, 7, true, "no mail server has answered yet for"},
	{4, ANY, true, "no mail server can be reached for"},
	{5, ANY, true, "the answers make no sense that come from a mail server for"},
	{6, ANY, false, "the recipient's server cannot take a message of this form"},
	{7, 0, false, "the administrators of this mail gateway have returned the message"},
	{7, ANY, false, "the rules of this mail gateway do not allow it"},
};

/* An address without one is that of our own postmaster. */
static struct span domain_of(const struct dsn *dsn, struct span address)
{
	for (size_t i = address.n; i > 0; i--)
		if (address.p[i - 1] == '@')
			return span_skip(address, i);
	return dsn->hostname;
}

void dsn_add_reason(struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt, bool utf8)
{
	const struct verdict *verdict = rcpt->verdict;
	const struct enhanced_code *code = &verdict->enhanced;

	if (verdict->remote || verdict->open) {
		dsn_add_safe(buf, verdict_text(verdict), utf8);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
		if (meanings[i].subject != code->subject ||
			(meanings[i].detail != ANY && meanings[i].detail != code->detail))
			continue;
		buf_add_str(buf, meanings[i].text);
		if (meanings[i].domain) {
			buf_add_char(buf, ' ');
			dsn_add_safe(buf, domain_of(dsn, rcpt->rcpt->address), utf8);
		}
		return;
	}
	buf_add_str(buf, "the message cannot be delivered");
}

static const char *advice_on_routes(const struct dsn_rcpt *rcpt, uint16_t detail)
{
	if (detail == 6)
		return "The recipient's mail goes round in circles. Only the administrators of the "
		       "domain can mend that; please let the recipient know.";
	if (rcpt->verdict->kind == VERDICT_PERMANENT)
		return "Please check the part of the address behind the @. If it is right, only "
		       "the administrators of that domain can mend this; please reach the "
		       "recipient in another way.";
	return "The recipient's server could not be reached in that time. Please check the part of "
	       "the address behind the @; if it is right, send again later.";
}

const char *dsn_advice(const struct dsn_rcpt *rcpt)
{
	struct enhanced_code code = dsn_status(rcpt);

	switch (code.subject) {
	case 1:
		return "Please check the address for typing mistakes, or ask the recipient for the "
		       "right one, and send the message again.";
	case 2:
		if (code.detail == 2)
			return "The mailbox is full. Please reach the recipient in another way, or "
			       "send again later.";
		return "The mailbox does not take mail at present. Please reach the recipient in "
		       "another way.";
	case 3:
		if (code.detail == 4)
			return "The message is too large for the recipient's server. Please send a "
			       "smaller one, or share large files in another way.";
		if (!rcpt->verdict->remote)
			return "Neither you nor the recipient can mend that. Please tell the "
			       "administrators of this mail gateway.";
		break;
	case 4: return advice_on_routes(rcpt, code.detail);
	case 6:
		return "The recipient's server cannot take a message of this form. Please send it "
		       "again as plain text, without special characters in addresses and subject.";
	case 7:
		if (!rcpt->verdict->remote)
			return "That was decided here. Please ask the administrators of this mail "
			       "gateway.";
		return "The recipient's server refuses the message by its own rules. Please ask "
		       "the recipient, or the administrators of that server, what to change.";
	default: break;
	}
	return "If the reason above does not help, please send it to the recipient's "
	       "administrators.";
}
