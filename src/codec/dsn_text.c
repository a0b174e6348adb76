#include "base/text.h"
#include "codec/dsn_private.h"

#define WIDTH 76 /* columns of the text */

/* Words, broken into lines where a blank allows it; `indent` goes before each line. */
static void add_wrapped(struct buf *buf, const char *indent, struct span text)
{
	size_t column = 0;

	while ((text = span_trim(text)).n) {
		struct span word = span_of(text.p, span_find(text, ' '));

		text = span_skip(text, word.n);
		if (column && column + 1 + word.n > WIDTH) {
			buf_add_str(buf, "\r\n");
			column = 0;
		}
		if (column)
			buf_add_char(buf, ' ');
		else
			buf_add_str(buf, indent);
		column += (column ? 1 : strlen(indent)) + word.n;
		buf_add_span(buf, word);
	}
	if (column)
		buf_add_str(buf, "\r\n");
}

static void add_paragraph(struct buf *buf, const char *text)
{
	add_wrapped(buf, "", span_str(text));
	buf_add_str(buf, "\r\n");
}

static void add_reason(
	struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt, bool utf8)
{
	const struct verdict *verdict = rcpt->verdict;
	struct buf line;

	buf_init(&line, (size_t)4 * DSN_VALUE);
	if (verdict->remote) {
		buf_add_str(&line, "The server ");
		dsn_add_safe(&line, rcpt->remote_mta, utf8);
		buf_printf(&line, "%ssaid: %u ", rcpt->remote_mta.n ? " " : "", verdict->code);
	} else {
		buf_add_str(&line, "Reason: ");
	}
	dsn_add_reason(&line, dsn, rcpt, utf8);
	add_wrapped(buf, "    ", buf_span(&line));
	buf_done(&line);
}

static void add_date(struct buf *buf, const char *before, int64_t wall_ms)
{
	if (!wall_ms)
		return;
	buf_add_str(buf, before);
	text_add_date(buf, wall_ms);
	buf_add_str(buf, ".\r\n");
}

static void add_rcpt(struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt, bool utf8)
{
	buf_add_str(buf, "  <");
	dsn_add_safe(buf, rcpt->rcpt->address, utf8);
	buf_add_str(buf, ">\r\n");
	if (rcpt->action == DSN_RELAYED)
		add_wrapped(buf, "    ",
			SPAN("was handed on to a server that does not confirm deliveries. You will "
			     "hear of it again only if something goes wrong there."));
	else if (rcpt->action == DSN_EXPANDED)
		add_wrapped(buf, "    ", SPAN("was handed on to the members of a list."));
	else if (rcpt->action != DSN_DELIVERED)
		add_reason(buf, dsn, rcpt, utf8);
	if (rcpt->action == DSN_FAILED) {
		add_date(buf, "    It had been tried since ", rcpt->tried_since_ms);
		add_wrapped(buf, "    ", span_str(dsn_advice(rcpt)));
	} else if (rcpt->action == DSN_DELAYED) {
		add_date(buf, "    It has been tried since ", rcpt->tried_since_ms);
		add_date(buf, "    It is tried until ", rcpt->retry_until_ms);
	}
	buf_add_str(buf, "\r\n");
}

static const char *opening(enum dsn_action action)
{
	switch (action) {
	case DSN_FAILED:
		return "Your message could not be delivered to the recipients below, and will not "
		       "be tried "
		       "again for them.";
	case DSN_DELAYED:
		return "Your message could not be delivered yet to the recipients below. You need "
		       "not do "
		       "anything: it is kept and will be tried again.";
	case DSN_DELIVERED:
	case DSN_RELAYED:
	case DSN_EXPANDED: break;
	}
	return "As you asked to be told: your message has reached the recipients below.";
}

void dsn_add_text(struct buf *buf, const struct dsn *dsn, bool utf8)
{
	uint32_t shown = dsn->rcpt_count < DSN_TEXT_RCPTS ? dsn->rcpt_count : DSN_TEXT_RCPTS;

	buf_add_str(buf, "This is the mail system of ");
	dsn_add_safe(buf, dsn->hostname, utf8);
	buf_add_str(buf, ".\r\n\r\n");
	add_paragraph(buf, opening(dsn->rcpts[0].action));
	for (uint32_t i = 0; i < shown; i++)
		add_rcpt(buf, dsn, &dsn->rcpts[i], utf8);
	if (shown < dsn->rcpt_count)
		buf_printf(buf, "  and %u more, who are named in the attached report.\r\n\r\n",
			dsn->rcpt_count - shown);
	if (dsn->rcpts[0].action == DSN_FAILED) {
		buf_add_str(buf, "For help, write to postmaster@");
		dsn_add_safe(buf, dsn->hostname, utf8);
		buf_add_str(buf, " and attach this report.\r\n");
	}
}
