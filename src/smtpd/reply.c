#include "smtpd/session.h"

#include "base/check.h"

#include <stdio.h>

static void reply_begin(struct buf *out, unsigned code, const char *enhanced)
{
	buf_add_u64(out, code);
	buf_add_char(out, ' ');
	if (enhanced) {
		buf_add_str(out, enhanced);
		buf_add_char(out, ' ');
	}
}

/* One send takes many replies, but a flood of commands does not gather without bound. */
static void reply_end(struct session *s)
{
	struct buf *out = &s->smtpd->out;

	buf_add_str(out, "\r\n");
	CHECK(buf_ok(out));
	if (out->n >= SESSION_REPLIES)
		reply_flush(s);
}

void reply(struct session *s, unsigned code, const char *enhanced, const char *text)
{
	reply_begin(&s->smtpd->out, code, enhanced);
	buf_add_str(&s->smtpd->out, text);
	reply_end(s);
}

void reply_text(struct session *s, unsigned code, const char *enhanced, struct span text)
{
	struct buf *out = &s->smtpd->out;
	size_t start = out->n;

	reply_begin(out, code, enhanced);
	size_t room = SESSION_REPLY - 2 - (out->n - start);
	for (size_t i = 0; i < text.n && i < room; i++) {
		char c = text.p[i];
		buf_add_char(out, c >= ' ' && c < 0x7f ? c : '?');
	}
	reply_end(s);
}

/* "5.1.1", or NULL where none is given. */
static const char *enhanced_text(struct enhanced_code code, char room[static 16])
{
	if (!code.class)
		return NULL;
	snprintf(room, 16, "%u.%u.%u", code.class, code.subject, code.detail);
	return room;
}

void reply_verdict(struct session *s, const struct verdict *verdict)
{
	char room[16];

	reply_text(s, verdict->code, enhanced_text(verdict->enhanced, room), verdict_text(verdict));
}

void reply_flush(struct session *s)
{
	struct buf *out = &s->smtpd->out;

	if (!out->n)
		return;
	if (s->conn) {
		struct iovec part = {out->p, out->n};

		/* A connection that failed, or whose client never reads, gets no more replies. */
		if (io_conn_send(s->conn, &part, 1, false) != 0)
			s->ending = s->broken = true;
		else if (io_conn_unsent(s->conn) > SESSION_UNSENT)
			s->choked = true;
	}
	buf_clear(out);
}

void reply_goodbye(struct session *s, const char *enhanced, const char *text)
{
	struct span host = s->smtpd->c.config->hostname;
	struct buf *out = &s->smtpd->out;

	if (s->ending)
		return;
	if (session_mute(s)) {
		s->ending = true;
		return;
	}
	reply_begin(out, 421, enhanced);
	buf_add_span(out, host);
	buf_add_char(out, ' ');
	buf_add_str(out, text);
	s->ending = true;
	reply_end(s);
}

void reply_error(struct session *s, unsigned code, const char *enhanced, const char *text)
{
	s->errors++;
	reply(s, code, enhanced, text);
	if (s->errors >= s->smtpd->c.config->limits.errors) {
		refuse_simple(s, SMTPD_REFUSED_ABUSE, 421, "4.7.0", "Too many errors", SPAN_NONE);
		reply_goodbye(s, "4.7.0", "Too many errors");
	}
}

void reply_syntax(struct session *s, const struct smtp_refusal *refusal)
{
	char room[16];
	const char *enhanced = enhanced_text(refusal->enhanced, room);

	/* 4xx is trouble of ours. */
	if (refusal->code < 500)
		reply(s, refusal->code, enhanced, refusal->text);
	else
		reply_error(s, refusal->code, enhanced, refusal->text);
}
