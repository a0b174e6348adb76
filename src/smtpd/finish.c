#include "smtpd/session.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "io/tls.h"
#include "route/loop.h"
#include "smtpd/received.h"

/* What the scanner found; the same whatever the splits of the input were. */
static bool refused_content(struct session *s)
{
	unsigned faults = s->transaction->scan.faults;
	const char *text;

	if (!faults)
		return false;
	if (faults & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF))
		text = "Message holds a bare CR or LF: lines end with CR LF";
	else if (faults & SMTP_DATA_NUL)
		text = "Message holds a NUL byte and was not declared as BINARYMIME";
	else if (faults & SMTP_DATA_LONG_LINE)
		text = "Message has a line that is too long";
	else
		text = "Message header is too long";
	reply_refuse(s, SMTPD_REFUSED_CONTENT, 550, "5.6.0", text, SPAN_NONE);
	return true;
}

bool finish_refused(struct session *s)
{
	const struct transaction *t = s->transaction;

	if (refused_content(s))
		return true;
	switch (t->failure) {
	case BODY_FINE: return false;
	case BODY_TOO_BIG:
		reply_refuse(s, SMTPD_REFUSED_SIZE, 552, "5.3.4", "Message too big", SPAN_NONE);
		return true;
	case BODY_NO_SPACE:
		reply_refuse(s, SMTPD_REFUSED_RESOURCES, 452, "4.3.1",
			"Insufficient system storage; try later", SPAN_NONE);
		return true;
	case BODY_IO: break;
	}
	reply_refuse(s, SMTPD_REFUSED_RESOURCES, 451, "4.3.0", "Mail storage failed; try later",
		SPAN_NONE);
	return true;
}

/* RFC 5321 section 6.3: the client's server makes the bounce. */
static bool refused_loop(struct session *s)
{
	struct verdict verdict;

	if (!loop_hops(s->transaction->scan.hops, s->smtpd->c.config->limits.hops, &verdict))
		return false;
	refuse(s, SMTPD_REFUSED_LOOP, &verdict, SPAN_NONE);
	reply_verdict(s, &verdict);
	return true;
}

static struct span protocol_of(const struct session *s)
{
	return received_protocol(&(struct received_how){.extended = s->extended,
		.utf8 = s->transaction->flags & ENVELOPE_SMTPUTF8,
		.tls = s->tls,
		.user = s->user.n > 0});
}

static uint32_t flags_of(const struct transaction *t)
{
	uint32_t flags = t->flags | t->scan.flags;

	/* RFC 8689 section 5: the parameter goes before the header field. */
	return flags & ENVELOPE_REQUIRETLS ? flags & ~(uint32_t)ENVELOPE_TLS_OPTIONAL : flags;
}

/* How it is protected, while the client is there; in smtpd->work. */
static struct span link_of(const struct session *s)
{
	const struct tls_info *info = s->tls && s->conn ? io_conn_tls(s->conn) : NULL;
	struct buf *work = &s->smtpd->work;

	if (!info)
		return SPAN_NONE;
	buf_clear(work);
	buf_add_span(work, info->version);
	buf_add_char(work, ' ');
	buf_add_span(work, info->cipher);
	return buf_span(work);
}

static void report_reception(struct session *s)
{
	struct smtpd *smtpd = s->smtpd;
	const struct transaction *t = s->transaction;
	const struct event event = {
		.kind = EVENT_RECEPTION,
		.id = t->id,
		.wall_ms = t->body_end_ms,
		.sender = t->sender,
		.sender_known = true,
		.recipients = t->addresses,
		.recipient_count = t->rcpt_count,
		.client = s->client,
		.helo = s->helo,
		.listener = smtpd->c.config->listeners[s->listener].name,
		.protocol = protocol_of(s),
		.user = s->user,
		.auth = span_str(s->user.n && s->mechanism ? s->mechanism : ""),
		.relay = t->relay,
		.tls = link_of(s),
		.size = t->scan.bytes,
		.session_us = (smtpd->io->now_ns - s->started_ns) / 1000,
		.receive_us = (t->body_end_ns - t->begun_ns) / 1000,
		.commit_us = (smtpd->io->now_ns - t->body_end_ns) / 1000,
	};

	smtpd->figures.messages++;
	smtpd->figures.recipients += t->rcpt_count;
	smtpd->figures.bytes += t->scan.bytes;
	event_emit(smtpd->c.events, &event);
}

static void reply_queued(struct session *s)
{
	struct buf *work = &s->smtpd->work;

	buf_clear(work);
	buf_add_str(work, "Ok: queued as ");
	text_add_id(work, s->transaction->id);
	reply_text(s, 250, "2.0.0", buf_span(work));
}

/* The spool writer's answer: for the client, if it is still there, and for the trace in any
 * case. */
static void committed(void *owner, int err)
{
	struct session *s = owner;

	CHECK(s->phase == PHASE_COMMIT);
	s->transaction->draft = NULL;
	s->phase = PHASE_COMMAND;
	session_wait(s, s->smtpd->c.config->timeouts.command);
	if (err == 0) {
		report_reception(s);
		reply_queued(s);
		s->commands = 0;
		s->refused = 0;
	} else if (err == ERR_CLOSED) {
		/* Nobody knows whether the message is there: saying anything might lie (RFC
		 * 1047). */
		log_write(s->smtpd->c.log, LOG_ERROR,
			"a commit has no known outcome; the client gets no reply",
			LOG_ID("id", s->transaction->id),
			LOG_SPAN("sender", s->transaction->sender));
		s->ending = s->broken = true;
	} else {
		s->transaction->failure = body_failure_of(err);
		finish_refused(s);
	}
	transaction_reset(s);
	if (!s->conn)
		s->ending = true;
	session_answered(s);
}

static int commit(struct session *s)
{
	struct smtpd *smtpd = s->smtpd;
	struct transaction *t = s->transaction;
	struct envelope envelope = {
		.arrived_ms = t->body_end_ms,
		.client = s->client,
		.helo = s->helo,
		.listener = smtpd->c.config->listeners[s->listener].name,
		.protocol = protocol_of(s),
		.user = s->user,
		.sender = t->sender,
		.envid = t->envid,
		.ret = t->ret,
		.flags = flags_of(t),
		.hops = t->scan.hops,
		.header_bytes = t->scan.header_bytes,
		.rcpts = t->rcpts,
		.rcpt_count = t->rcpt_count,
	};

	t->id = spool_draft_id(t->draft);
	const struct received received = {
		.helo = s->helo,
		.client = s->client,
		.hostname = smtpd->c.config->hostname,
		.protocol = envelope.protocol,
		.tls = s->tls ? io_conn_tls(s->conn) : NULL,
		.id = t->id,
		.recipient = t->rcpt_count == 1 ? t->rcpts[0].address : SPAN_NONE,
		.wall_ms = t->body_end_ms,
	};
	buf_clear(&smtpd->work);
	received_add(&smtpd->work, &received);
	if (!buf_ok(&smtpd->work))
		return ERR_NOMEM;
	envelope.prepend = buf_span(&smtpd->work);
	return spool_draft_commit(t->draft, &envelope, committed, s);
}

void finish_body(struct session *s)
{
	struct transaction *t = s->transaction;

	t->body_end_ns = s->smtpd->io->now_ns;
	t->body_end_ms = s->smtpd->io->wall_ms;
	if (!finish_refused(s) && !refused_loop(s)) {
		int err = commit(s);

		if (err == 0) {
			s->phase = PHASE_COMMIT;
			return;
		}
		t->failure = body_failure_of(err);
		finish_refused(s);
	}
	/* RFC 5321 section 4.1.1.4: whatever became of it, the buffers are empty now. */
	transaction_reset(s);
	session_wait(s, s->smtpd->c.config->timeouts.command);
}
