/*
 * TLS on the server's side: STARTTLS (RFC 3207) and listeners that begin with it (RFC 8314). Who
 * said STARTTLS has forgotten nothing yet but says nothing more in clear: what came behind it was
 * put there by somebody in between, or by a client that would be deceived by such.
 */
#include "smtpd/session.h"

#include "base/check.h"
#include "base/err.h"
#include "io/tls.h"

#define WHY_BYTES 300 /* of a failure's sentence */

bool secure_offered(const struct session *s)
{
	return !s->tls && s->smtpd->tls[s->listener];
}

void secure_failed(struct session *s, const char *why, struct span detail)
{
	struct buf *work = &s->smtpd->work;
	struct verdict verdict;

	buf_clear(work);
	buf_add_str(work, why);
	if (detail.n) {
		buf_add_str(work, ": ");
		buf_add_escaped(work, detail, WHY_BYTES);
	}
	/* Nothing is said: the client would take it for a part of the handshake. What OpenSSL said
	 * (an alert) is to reach it. */
	verdict_set(&verdict, VERDICT_TEMPORARY, 421, (struct enhanced_code){4, 7, 0}, false,
		buf_span(work));
	refuse(s, SMTPD_REFUSED_TLS, &verdict, SPAN_NONE);
	s->ending = true;
}

/* As many ms as a client may take. */
static uint64_t handshake_ms(const struct session *s)
{
	return MIN(s->smtpd->c.config->timeouts.command, (uint64_t)SESSION_TLS_MS);
}

void secure_begin(struct session *s)
{
	struct tls_server *server = s->smtpd->tls[s->listener];

	CHECK(s->phase == PHASE_TLS && !s->handshake);
	/* RFC 3207 section 4.2, and what became of many servers that went on with them. */
	if (s->held.n || s->ahead) {
		secure_failed(s, "Bytes before the handshake", SPAN_NONE);
		return;
	}
	/* The 220 waits for a client that does not read: drained() comes here again. */
	if (io_conn_unsent(s->conn))
		return;
	if (!server) {
		secure_failed(s, "No certificate to show", SPAN_NONE);
		return;
	}
	if (s->paused) {
		io_conn_resume(s->conn);
		s->paused = false;
	}
	uint64_t ms = handshake_ms(s);
	int err = io_conn_secure_server(s->conn, server, ms);
	if (err != 0) {
		secure_failed(s, "Cannot begin a handshake", span_str(err_text(err)));
		return;
	}
	s->handshake = true;
	session_wait(s, ms + SESSION_LATE_MS);
}

void secure_done(void *owner, int err, const struct tls_info *info)
{
	struct session *s = owner;
	struct smtpd_figures *figures = &s->smtpd->figures;

	CHECK(s->phase == PHASE_TLS && s->handshake);
	if (err != 0) {
		secure_failed(s, "TLS handshake failed",
			info && info->detail.n ? info->detail : span_str(err_text(err)));
		session_settle(s);
		return;
	}
	figures->tls++;
	figures->tls_resumed += info && info->resumed;
	s->tls = true;
	s->phase = PHASE_COMMAND;
	session_wait(s, s->smtpd->c.config->timeouts.command);
	session_forget(s);
	if (session_first_phase(s) == PHASE_TLS)
		session_greet(s);
	session_settle(s);
}
