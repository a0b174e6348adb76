#include "smtpd/session.h"

void cmd_starttls(struct session *s)
{
	if (s->tls) {
		reply_error(s, 503, "5.5.1", "TLS is on already");
	} else if (!session_listener(s)->tls.certificate.n && !secure_offered(s)) {
		reply_error(s, 502, "5.5.1", "Not offered here");
	} else if (!s->extended) {
		reply_error(s, 503, "5.5.1", "Say EHLO first");
	} else if (!secure_offered(s)) {
		/* There should be a certificate, but it cannot be used (RFC 3207 section 4). */
		refuse_simple(
			s, SMTPD_REFUSED_TLS, 454, "4.7.0", "TLS not available now", SPAN_NONE);
		reply(s, 454, "4.7.0", "TLS not available now");
	} else {
		transaction_reset(s);
		/* Afterwards it is too late: a client that is quick may have answered. */
		s->ahead = io_conn_arrived(s->conn);
		reply(s, 220, "2.0.0", "Go ahead");
		/* session_settle() begins, when the reply is out. */
		s->phase = PHASE_TLS;
		session_wait(s, SESSION_TLS_MS);
	}
}
