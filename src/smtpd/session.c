#include "smtpd/session.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define SESSION_MAGIC 0x73657373u

static void deadline_fired(struct timer *timer);

int session_new(struct smtpd *smtpd, struct io_conn *conn, const struct netaddr *client,
	uint32_t listener, struct session **out)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->magic = SESSION_MAGIC;
	s->smtpd = smtpd;
	s->conn = conn;
	s->client = *client;
	s->listener = listener;
	s->started_ns = smtpd->io->now_ns;
	s->timer.fire = deadline_fired;
	list_init(&s->ready);
	buf_init(&s->held, SESSION_HELD);
	arena_init(&s->arena, SESSION_ENVELOPE);
	list_push_back(&smtpd->sessions, &s->node);
	smtpd->session_count++;
	*out = s;
	return 0;
}

void session_free(struct session **pointer, bool linger)
{
	struct session *s = *pointer;
	struct smtpd *smtpd = s->smtpd;

	CHECK_MAGIC(s, SESSION_MAGIC);
	auth_forget(s);
	rcpt_forget(s);
	session_forget(s);
	io_conn_close(&s->conn, linger);
	io_timer_stop(smtpd->io, &s->timer);
	list_remove(&s->node);
	list_remove(&s->ready);
	CHECK(smtpd->session_count > 0);
	smtpd->session_count--;
	smtpd_forget_client(s);
	buf_done(&s->held);
	s->magic = 0;
	free(s);
	*pointer = NULL;
	/* Somebody waits for the last one to go. */
	if (smtpd->draining && smtpd->session_count == 0)
		io_turn_end(smtpd->io, &smtpd->turn);
}

void session_log_out(struct session *s)
{
	free((char *)s->user.p);
	s->user = SPAN_NONE;
	s->user_told = false;
	s->mechanism = NULL;
}

void session_forget(struct session *s)
{
	transaction_reset(s);
	session_log_out(s);
	free((char *)s->helo.p);
	s->helo = SPAN_NONE;
	s->greeted = s->extended = s->plus_offered = s->has_wrong = false;
}

void session_greet(struct session *s)
{
	struct buf *out = &s->smtpd->out;

	buf_add_str(out, "220 ");
	buf_add_span(out, s->smtpd->c.config->hostname);
	buf_add_str(out, " ESMTP Postern\r\n");
}

void session_open(struct session *s)
{
	session_wait(s, s->smtpd->c.config->timeouts.command);
	s->phase = session_first_phase(s);
	if (s->phase == PHASE_COMMAND)
		session_greet(s);
}

/* ---- deadlines ------------------------------------------------------------------------------ */

static uint64_t deadline_of(const struct session *s)
{
	const struct config_timeouts *timeouts = &s->smtpd->c.config->timeouts;
	uint64_t at = s->wait_ns;

	/* The client waits for us, not we for it. */
	if (s->phase == PHASE_COMMIT)
		return TIMERS_NEVER;
	if (s->slowed)
		at = MIN(at, s->slow_ns);
	if (s->transaction)
		at = MIN(at, s->transaction->begun_ns + timeouts->transaction * NS_PER_MS);
	if (timeouts->session)
		at = MIN(at, s->started_ns + timeouts->session * NS_PER_MS);
	return at;
}

/* The timer may fire too early and look again, but never too late; so most commands leave it. */
int session_watch(struct session *s)
{
	uint64_t at = deadline_of(s);

	if (at == TIMERS_NEVER || (timer_armed(&s->timer) && s->timer.at_ns <= at))
		return 0;
	return timers_arm(&s->smtpd->io->timers, &s->timer, at);
}

/* An idle client that goes away in the end is no news; a message that does not come is. */
static void time_out(struct session *s)
{
	if (s->phase == PHASE_TLS) {
		secure_failed(s, "Handshake not done in time", SPAN_NONE);
		return;
	}
	if (s->phase == PHASE_PROXY) {
		proxy_failed(s, "No PROXY header in time");
		return;
	}
	if (s->transaction)
		refuse_simple(s, SMTPD_REFUSED_TIMEOUT, 421, "4.4.2", "Timeout", SPAN_NONE);
	else
		s->smtpd->figures.refused[SMTPD_REFUSED_TIMEOUT]++;
	reply_goodbye(s, "4.4.2", "Timeout");
}

static void deadline_fired(struct timer *timer)
{
	struct session *s = CONTAINER_OF(timer, struct session, timer);

	CHECK_MAGIC(s, SESSION_MAGIC);
	if (deadline_of(s) <= s->smtpd->io->now_ns) {
		if (s->slowed && s->slow_ns <= s->smtpd->io->now_ns) {
			s->slowed = false;
			session_wait(s, s->smtpd->c.config->timeouts.command);
			session_resume(s);
			return;
		}
		if (s->wants_room && s->wait_ns <= s->smtpd->io->now_ns) {
			body_no_room(s);
			session_resume(s);
			return;
		}
		if (s->phase == PHASE_ASK && s->wait_ns <= s->smtpd->io->now_ns) {
			if (s->exchange)
				auth_due(s);
			else
				rcpt_late(s);
			return;
		}
		time_out(s);
	}
	session_settle(s);
}

/* ---- input ---------------------------------------------------------------------------------- */

static struct iovec session_buffer(void *owner)
{
	struct session *s = owner;
	struct iovec to = {s->smtpd->scratch, SESSION_SCRATCH};

	CHECK_MAGIC(s, SESSION_MAGIC);
	s->direct = false;
	if (session_in_body(s) && !session_blocked(s) && !s->held.n && body_room(s, &to))
		s->direct = true;
	if (s->phase == PHASE_PROXY)
		to.iov_len = proxy_wants(s);
	/* It may be read, but must wait: not much of it. */
	if (session_blocked(s))
		to.iov_len = SESSION_AHEAD;
	return to;
}

static void run_held(struct session *s)
{
	size_t used = input_run(s, buf_span(&s->held));

	buf_drop(&s->held, used);
	if (!s->held.n) {
		buf_done(&s->held);
		buf_init(&s->held, SESSION_HELD);
	}
}

void session_take(struct session *s, struct span in)
{
	bool waiting = s->held.n > 0;

	if (s->ending)
		return;
	if (!waiting)
		in = span_skip(in, input_run(s, in));
	if (in.n) {
		buf_add_span(&s->held, in);
		/* A part of a password, perhaps. */
		if (s->phase == PHASE_AUTH)
			explicit_bzero((char *)in.p, in.n);
	}
	if (!buf_ok(&s->held)) {
		buf_clear(&s->held);
		reply_goodbye(s, "4.3.2", "Out of memory");
	} else if (waiting) {
		run_held(s);
	}
}

static void session_received(void *owner, size_t n)
{
	struct session *s = owner;

	CHECK_MAGIC(s, SESSION_MAGIC);
	if (s->direct)
		body_received(s, n);
	else
		session_take(s, span_of(s->smtpd->scratch, n));
	session_settle(s);
}

void session_resume(struct session *s)
{
	CHECK_MAGIC(s, SESSION_MAGIC);
	if (s->held.n && !session_blocked(s))
		run_held(s);
	session_settle(s);
}

/* ---- the connection ------------------------------------------------------------------------- */

static void session_drained(void *owner)
{
	struct session *s = owner;

	CHECK_MAGIC(s, SESSION_MAGIC);
	s->choked = false;
	session_resume(s);
}

/* A client may shut its side down after its last command and still read: what it sent is done and
 * answered first. */
static void session_closed(void *owner, int err)
{
	struct session *s = owner;

	CHECK_MAGIC(s, SESSION_MAGIC);
	s->eof = true;
	if (err != 0)
		s->ending = s->broken = true;
	session_settle(s);
}

const struct io_conn_handler session_handler = {
	.buffer = session_buffer,
	.received = session_received,
	.drained = session_drained,
	.closed = session_closed,
	.secured = secure_done,
};

void session_slow(struct session *s)
{
	s->slowed = true;
	s->slow_ns = s->smtpd->io->now_ns + SESSION_SLOW_MS * NS_PER_MS;
}

void session_answered(struct session *s)
{
	if (s->held.n)
		smtpd_make_ready(s->smtpd, s);
	session_settle(s);
}

void session_stop(struct session *s, const char *enhanced, const char *text)
{
	reply_goodbye(s, enhanced, text);
	session_settle(s);
}

/* What is left to do before the loop goes on. */
static bool is_over(const struct session *s)
{
	if (s->phase == PHASE_COMMIT)
		return false;
	if (s->ending)
		return true;
	if (s->eof && s->phase == PHASE_TLS)
		return true;
	/* Input that waits still counts. */
	return s->eof && !session_blocked(s) && list_empty(&s->ready);
}

void session_settle(struct session *s)
{
	/* Bad news about a login may be long in coming, and nobody waits for it at the end. */
	if (s->smtpd->draining && !s->transaction &&
		(s->phase == PHASE_COMMAND || s->phase == PHASE_AUTH || auth_is_refused(s)))
		reply_goodbye(s, "4.3.2", "Service is stopping; try again");
	reply_flush(s);
	if (s->phase == PHASE_TLS && !s->handshake && !s->ending && !s->eof)
		secure_begin(s);
	if (s->broken && s->conn)
		io_conn_close(&s->conn, false);
	if (is_over(s)) {
		if (s->eof && s->transaction)
			lost_connection(s);
		/* After QUIT nothing comes (RFC 5321 section 4.1.1.10) that could reset the
		 * connection before the client has read the reply, so it is closed without watching
		 * over it. A client that was idle when we stop, or has had all the time there was,
		 * may never look at its connection again: that must not hold up our own end. */
		bool done = (s->quit || s->let_go) && s->conn && io_conn_unsent(s->conn) == 0;
		session_free(&s, !done);
		return;
	}
	/* A session that nothing would end must not stay. */
	if (session_watch(s) != 0) {
		session_free(&s, false);
		return;
	}
	if (!s->conn)
		return;
	bool pause = s->choked || s->wants_room || s->held.n >= SESSION_AHEAD;
	if (pause && session_blocked(s) && !s->paused)
		io_conn_pause(s->conn);
	else if (!session_blocked(s) && s->paused)
		io_conn_resume(s->conn);
	else
		return;
	s->paused = !s->paused;
}
