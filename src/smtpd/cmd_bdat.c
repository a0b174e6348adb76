#include "smtpd/session.h"

static const struct chunk_refusal no_mail = {503, "5.5.1", "Say MAIL first", true};
static const struct chunk_refusal failed = {503, "5.5.1", "A chunk was refused: say RSET", true};
/* Not the client's mistake: it may have pipelined before it saw its recipients refused. */
static const struct chunk_refusal no_rcpt = {554, "5.5.1", "No valid recipients", false};

static const struct chunk_refusal *refusal_of(const struct session *s)
{
	const struct transaction *t = s->transaction;

	if (!t)
		return &no_mail;
	if (t->chunk_failed)
		return &failed;
	return t->rcpt_count ? NULL : &no_rcpt;
}

/* RFC 3030 section 2: the octets of a refused chunk come all the same, and are read and dropped
 * before the reply, within the time of a transaction. */
void cmd_bdat(struct session *s, const struct smtp_command *command)
{
	const struct config_timeouts *timeouts = &s->smtpd->c.config->timeouts;

	s->chunk_refusal = refusal_of(s);
	s->chunk_left = command->chunk_bytes;
	s->chunk_last = command->chunk_last;
	s->phase = PHASE_CHUNK;
	session_wait(s, s->chunk_refusal ? timeouts->transaction : timeouts->data_block);
	/* What brings a message on is no idle talk: message-size and the time of a transaction
	 * bound it. */
	if (!s->chunk_refusal && s->chunk_left && s->commands)
		s->commands--;
	if (!s->chunk_refusal && !s->transaction->chunked) {
		s->transaction->chunked = true;
		body_begin(s, true);
	}
	if (!s->chunk_left)
		body_chunk_done(s);
}
