#include "smtpd/session.h"

#include "base/check.h"
#include "base/err.h"

/* RFC 8689 section 5: the sender would rather have it delivered than protected. */
static void see_field(void *owner, struct span name, struct span value, bool cut)
{
	struct transaction *t = owner;

	if (!cut && span_equal_nocase(name, SPAN("TLS-Required")) &&
		span_equal_nocase(value, SPAN("No")))
		t->flags |= ENVELOPE_TLS_OPTIONAL;
}

void body_begin(struct session *s, bool chunked)
{
	const struct config_limits *limits = &s->smtpd->c.config->limits;
	struct transaction *t = s->transaction;
	const struct smtp_data_rules rules = {
		.chunked = chunked,
		.binary = (t->flags & ENVELOPE_BINARYMIME) != 0,
		.line = limits->line,
		.header_bytes = limits->header_bytes,
		.field = see_field,
		.owner = t,
	};

	smtp_data_init(&t->scan, &rules);
	t->failure = body_failure_of(spool_draft_new(s->smtpd->c.writer, &t->draft));
}

enum body_failure body_failure_of(int err)
{
	if (err == 0)
		return BODY_FINE;
	return err == ERR_NO_SPACE || err == ERR_NOMEM || err == ERR_LIMIT ? BODY_NO_SPACE
									   : BODY_IO;
}

/* Nothing of it will be kept: its memory is free for others while the rest is read. */
static void drop_body(struct session *s, enum body_failure failure)
{
	struct transaction *t = s->transaction;

	t->failure = failure;
	spool_draft_abort(&t->draft);
}

static void check_body(struct session *s, int err)
{
	struct transaction *t = s->transaction;

	if (err != 0)
		drop_body(s, body_failure_of(err));
	else if (t->scan.bytes > s->smtpd->c.config->limits.message_size)
		drop_body(s, BODY_TOO_BIG);
	else if (t->scan.faults)
		drop_body(s, BODY_FINE); /* the scanner knows what is wrong with it */
}

/* The spool has memory again; input is looked at when this turn ends, not inside the spool. */
static void room_again(void *owner)
{
	struct session *s = owner;

	s->wants_room = false;
	session_wait(s, s->smtpd->c.config->timeouts.data_block);
	smtpd_make_ready(s->smtpd, s);
}

static struct iovec next_room(struct session *s)
{
	struct iovec room = spool_draft_room(s->transaction->draft, room_again, s);

	if (!room.iov_len) {
		s->wants_room = true;
		session_wait(s, SESSION_ROOM_MS);
	}
	return room;
}

bool body_room(struct session *s, struct iovec *to)
{
	if (s->chunk_refusal || !s->transaction->draft)
		return false;
	struct iovec room = next_room(s);
	if (!room.iov_len)
		return false;
	/* Nothing behind a chunk, so that no command lands in the draft. */
	if (s->phase == PHASE_CHUNK)
		room.iov_len = MIN(room.iov_len, s->chunk_left);
	s->direct_at = room.iov_base;
	*to = room;
	return true;
}

void body_no_room(struct session *s)
{
	s->wants_room = false;
	session_wait(s, s->smtpd->c.config->timeouts.data_block);
	if (s->transaction->draft)
		drop_body(s, BODY_NO_SPACE);
}

void body_received(struct session *s, size_t n)
{
	struct transaction *t = s->transaction;
	struct smtp_data_step step;

	s->direct = false;
	session_wait(s, s->smtpd->c.config->timeouts.data_block);
	smtp_data_feed(&t->scan, s->direct_at, n, &step);
	/* What follows the end, or is in doubt, is taken out before the draft goes its way. */
	struct span rest = span_of(s->direct_at + step.consumed, n - step.consumed);
	buf_add_span(&s->held, rest);
	if (!buf_ok(&s->held)) {
		reply_goodbye(s, "4.3.2", "Out of memory");
		return;
	}
	check_body(s, step.stored ? spool_draft_wrote(t->draft, step.stored) : 0);
	if (s->phase == PHASE_CHUNK) {
		CHECK(!rest.n);
		s->chunk_left -= n;
		if (!s->chunk_left)
			body_chunk_done(s);
	} else if (step.end) {
		s->phase = PHASE_COMMAND;
		finish_body(s);
		session_take(s, SPAN_NONE);
	}
}

/* Stores what was scanned, as far as there is room. */
static size_t store(struct session *s, struct span in)
{
	struct transaction *t = s->transaction;
	size_t used = 0;

	while (t->copy_left && t->draft) {
		struct iovec room = next_room(s);
		if (!room.iov_len)
			return used;
		size_t n = MIN(room.iov_len, t->copy_left);
		memcpy(room.iov_base, in.p + used, n);
		used += n;
		t->copy_left -= n;
		check_body(s, spool_draft_wrote(t->draft, n));
	}
	used += t->copy_left + t->skip_left;
	t->copy_left = t->skip_left = 0;
	t->scanned = false;
	return used;
}

size_t body_copy(struct session *s, struct span in)
{
	struct transaction *t = s->transaction;
	bool chunk = s->phase == PHASE_CHUNK;
	size_t used;

	if (chunk)
		in.n = MIN(in.n, s->chunk_left);
	if (chunk && s->chunk_refusal) {
		used = in.n;
	} else {
		session_wait(s, s->smtpd->c.config->timeouts.data_block);
		if (!t->scanned) {
			struct smtp_data_step step;

			smtp_data_feed(&t->scan, in.p, in.n, &step);
			t->scanned = true;
			t->scanned_end = step.end;
			t->copy_left = step.stored;
			t->skip_left = step.consumed - step.stored;
			/* Faults and size show at once, also where nothing is stored. */
			if (t->draft)
				check_body(s, 0);
		}
		used = store(s, in);
	}
	if (chunk) {
		s->chunk_left -= used;
		if (!s->chunk_left)
			body_chunk_done(s);
	} else if (!t->scanned && t->scanned_end) {
		s->phase = PHASE_COMMAND;
		finish_body(s);
	}
	return used;
}

void body_chunk_done(struct session *s)
{
	const struct chunk_refusal *refusal = s->chunk_refusal;
	struct transaction *t = s->transaction;

	CHECK(s->phase == PHASE_CHUNK && s->chunk_left == 0);
	s->phase = PHASE_COMMAND;
	s->chunk_refusal = NULL;
	session_wait(s, s->smtpd->c.config->timeouts.command);
	if (refusal) {
		if (refusal->error)
			reply_error(s, refusal->code, refusal->enhanced, refusal->text);
		else
			reply(s, refusal->code, refusal->enhanced, refusal->text);
		if (s->chunk_last)
			transaction_reset(s);
	} else if (s->chunk_last) {
		smtp_data_end(&t->scan);
		finish_body(s);
	} else if (finish_refused(s)) {
		t->chunk_failed = true;
	} else {
		reply(s, 250, "2.0.0", "Chunk received");
	}
}
