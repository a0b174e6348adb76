#include "smtpd/session.h"

static void begin(struct session *s)
{
	body_begin(s, false);
	if (finish_refused(s))
		return;
	s->phase = PHASE_DATA;
	session_wait(s, s->smtpd->c.config->timeouts.data_block);
	reply(s, 354, NULL, "End data with <CR><LF>.<CR><LF>");
}

void cmd_data(struct session *s)
{
	struct transaction *t = s->transaction;

	if (!t) {
		reply_error(s, 503, "5.5.1", "Say MAIL first");
	} else if (t->chunked) {
		reply_error(s, 503, "5.5.1", "DATA does not go with BDAT");
	} else if (t->flags & ENVELOPE_BINARYMIME) {
		/* RFC 3030 section 3 */
		reply_error(s, 503, "5.5.1", "BINARYMIME needs BDAT");
	} else if (!t->rcpt_count) {
		/* Not the client's mistake: it may have pipelined before it saw its recipients
		 * refused. */
		reply(s, 554, "5.5.1", "No valid recipients");
	} else {
		begin(s);
	}
}
