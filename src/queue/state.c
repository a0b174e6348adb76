/*
 * What the spool keeps of the queue: per unit its attempts, when it is tried next, who holds it,
 * where it was rerouted to, the last reply, and its recipients. Recipients that no unit has are
 * done.
 *
 *   state = version units *unit
 *   unit  = flags attempts read due correction [hold] [reroute] [reply] [rcpts]
 *
 * Numbers are variable-length, times are differences to the message's arrival on the wall clock.
 * `read` is when its clock was read, or stood still; what it was paused after that is known
 * elsewhere (past.c). `correction` is the time before that in which its clock stood still.
 */
#include "queue/internal.h"
#include "queue/varint.h"

#define SAVED_VERSION	 2
#define SAVED_UNREAD	 1    /* an older one: without `read` */
#define SAVED_REPLY_TEXT 120  /* bytes of a reply that are kept; the trace has it all */
#define SAVED_NOISE_MS	 1000 /* less of a correction is not worth keeping */

enum saved_flags {
	SAVED_WAITS = 1 << 0,
	SAVED_WARNED = 1 << 1,
	SAVED_PRIORITY_SET = 1 << 2,
	SAVED_PRIORITY = 1 << 3,
	SAVED_HOLD = 1 << 4,
	SAVED_REROUTE = 1 << 5,
	SAVED_REPLY = 1 << 6,
	SAVED_RCPTS = 1 << 7, /* not all of the envelope's */
	/* while active: what an administrator wants for what is left */
	SAVED_BOUNCE = 1 << 8,
	SAVED_DELETE = 1 << 9,
	SAVED_ALL = (1 << 10) - 1
};

/* ---- writing -------------------------------------------------------------------------------- */

static void put_reply(struct buf *out, const struct verdict *v)
{
	buf_put_u8(out, (uint8_t)((unsigned)v->kind << 1 | v->remote));
	put_number(out, v->code);
	buf_put_u8(out, v->enhanced.class);
	put_number(out, v->enhanced.subject);
	put_number(out, v->enhanced.detail);
	put_text(out, verdict_text(v), SAVED_REPLY_TEXT);
}

/* Each but the first as the distance to the one before. */
static void put_rcpts(struct buf *out, const uint32_t *rcpts, uint32_t count)
{
	put_number(out, count);
	for (uint32_t i = 0; i < count; i++)
		put_number(out, i ? rcpts[i] - rcpts[i - 1] - 1 : rcpts[0]);
}

static int64_t correction_of(const struct queue *q, const struct unit *u)
{
	int64_t lived = sub_clamped(unit_wall(q, u), message_at(q, u->message)->arrived);
	return MAX(0, lived - unit_age(q, u));
}

static uint32_t saved_flags_of(const struct queue *q, const struct unit *u)
{
	const struct message *m = message_at(q, u->message);
	uint32_t flags = 0;
	if (u->flags & UNIT_WAITS)
		flags |= SAVED_WAITS;
	if (u->flags & UNIT_WARNED)
		flags |= SAVED_WARNED;
	if (u->flags & UNIT_PRIORITY_SET)
		flags |= SAVED_PRIORITY_SET | (u->flags & UNIT_PRIORITY ? SAVED_PRIORITY : 0u);
	if (u->flags & UNIT_HOLD)
		flags |= SAVED_HOLD;
	if (u->flags & UNIT_BOUNCE)
		flags |= SAVED_BOUNCE;
	if (u->flags & UNIT_DELETE)
		flags |= SAVED_DELETE;
	if (u->extra && extra_at(q, u->extra)->reroute)
		flags |= SAVED_REROUTE;
	if (u->reply)
		flags |= SAVED_REPLY;
	if (u->rcpt_count != m->rcpt_count)
		flags |= SAVED_RCPTS;
	return flags;
}

static void put_unit(const struct queue *q, const struct unit *u, struct buf *out)
{
	const struct message *m = message_at(q, u->message);
	uint32_t flags = saved_flags_of(q, u);
	struct verdict verdict;

	put_number(out, flags);
	put_number(out, u->attempts);
	put_signed(out, sub_clamped(unit_wall(q, u), m->arrived));
	put_signed(out, sub_clamped(unit_wall(q, u) + unit_own_due_in(q, u), m->arrived));
	put_number(out, (uint64_t)correction_of(q, u));
	if (flags & SAVED_HOLD) {
		const struct extra *extra = extra_at(q, u->extra);
		put_signed(out, sub_clamped(extra->hold_since, m->arrived));
		put_text(out, intern_text(&q->names, extra->by), SAVED_TEXT);
		put_text(out, intern_text(&q->names, extra->reason), SAVED_TEXT);
	}
	if (flags & SAVED_REROUTE)
		put_text(out, intern_text(&q->names, extra_at(q, u->extra)->reroute), SAVED_TEXT);
	if (flags & SAVED_REPLY && last_reply_verdict(q, u->reply, &verdict))
		put_reply(out, &verdict);
	if (flags & SAVED_RCPTS)
		put_rcpts(out, unit_rcpts(u), u->rcpt_count);
}

/* Nothing that the envelope and the directory do not say. */
static bool is_new(const struct queue *q, const struct unit *u)
{
	return !u->attempts && (saved_flags_of(q, u) & (uint32_t)~SAVED_RCPTS) == 0 &&
	       correction_of(q, u) < SAVED_NOISE_MS;
}

bool queue_state_encode(const struct queue *q, uint64_t id, struct buf *out)
{
	uint32_t at = idtree_find(&q->ids, id);
	if (!at)
		return false;
	const struct message *m = message_at(q, at);
	uint32_t units = 0, rcpts = 0;
	bool new = true;
	for (uint32_t unit = m->first_unit; unit; unit = unit_at(q, unit)->next) {
		units++;
		rcpts += unit_at(q, unit)->rcpt_count;
		new = new &&is_new(q, unit_at(q, unit));
	}
	if (new &&rcpts == m->rcpt_count)
		return false;
	buf_put_u8(out, SAVED_VERSION);
	put_number(out, units);
	for (uint32_t unit = m->first_unit; unit; unit = unit_at(q, unit)->next)
		put_unit(q, unit_at(q, unit), out);
	return true;
}

/* ---- reading; the bytes may be damaged ------------------------------------------------------ */

/* Further than QUEUE_AGE_MOST_MS off is damage. */
static int64_t get_time(struct cursor *in, int64_t arrived)
{
	int64_t off = get_signed(in), out = 0;
	if (off > QUEUE_AGE_MOST_MS || off < -QUEUE_AGE_MOST_MS ||
		__builtin_add_overflow(arrived, off, &out))
		in->failed = true;
	return out;
}

static void get_reply(struct cursor *in, struct verdict *out)
{
	uint8_t first = cursor_u8(in);
	if (first >> 1 > VERDICT_PERMANENT)
		in->failed = true;
	*out = (struct verdict){.kind = (enum verdict_kind)(first >> 1), .remote = first & 1};
	out->code = (uint16_t)get_bounded(in, UINT16_MAX);
	out->enhanced.class = cursor_u8(in);
	out->enhanced.subject = (uint16_t)get_bounded(in, UINT16_MAX);
	out->enhanced.detail = (uint16_t)get_bounded(in, UINT16_MAX);
	struct span text = get_text(in, SAVED_REPLY_TEXT);
	if (text.n)
		memcpy(out->text, text.p, text.n);
	out->length = (uint16_t)text.n;
}

static void take_rcpt(struct saved *saved, uint64_t rcpt, struct unit_rcpt *out)
{
	if (rcpt >= saved->rcpt_count || saved->taken[rcpt / 8] & 1u << (rcpt % 8)) {
		saved->in.failed = true;
		return;
	}
	saved->taken[rcpt / 8] |= (uint8_t)(1u << (rcpt % 8));
	*out = (struct unit_rcpt){.rcpt = (uint32_t)rcpt};
}

static void get_rcpts(struct saved *saved, struct saved_unit *out, struct unit_rcpt *rcpts)
{
	bool all = !(out->flags & SAVED_RCPTS);
	out->count = saved->rcpt_count;
	if (!all)
		out->count = (uint32_t)get_bounded(&saved->in, saved->rcpt_count);
	if (!out->count)
		saved->in.failed = true;
	uint64_t rcpt = 0;
	for (uint32_t i = 0; i < out->count && !saved->in.failed; i++, rcpt++) {
		if (!all)
			rcpt += get_bounded(&saved->in, UINT32_MAX);
		take_rcpt(saved, rcpt, &rcpts[i]);
	}
}

static uint32_t unit_flags_of(uint32_t flags)
{
	return (flags & SAVED_WAITS ? UNIT_WAITS : 0u) | (flags & SAVED_WARNED ? UNIT_WARNED : 0u) |
	       (flags & SAVED_PRIORITY_SET ? UNIT_PRIORITY_SET : 0u) |
	       (flags & SAVED_PRIORITY ? UNIT_PRIORITY : 0u) |
	       (flags & SAVED_HOLD ? UNIT_HOLD : 0u) | (flags & SAVED_BOUNCE ? UNIT_BOUNCE : 0u) |
	       (flags & SAVED_DELETE ? UNIT_DELETE : 0u);
}

int saved_open(struct saved *saved, struct span state, const struct envelope *envelope)
{
	*saved = (struct saved){.in = cursor_of(state),
		.rcpt_count = envelope->rcpt_count,
		.arrived = envelope->arrived_ms};
	saved->version = cursor_u8(&saved->in);
	saved->units = get_bounded(&saved->in, saved->rcpt_count);
	if (!cursor_ok(&saved->in) ||
		(saved->version != SAVED_VERSION && saved->version != SAVED_UNREAD))
		return ERR_CORRUPT;
	saved->taken = calloc(1, saved->rcpt_count / 8 + 1);
	return saved->taken ? 0 : ERR_NOMEM;
}

int saved_next(struct saved *saved, struct saved_unit *out, struct unit_rcpt *rcpts)
{
	struct cursor *in = &saved->in;
	if (!saved->units)
		return cursor_ok(in) && !cursor_left(in) ? ERR_NOT_FOUND : ERR_CORRUPT;
	saved->units--;
	*out = (struct saved_unit){.flags = (uint32_t)get_bounded(in, SAVED_ALL)};
	out->attempts = (uint32_t)get_bounded(in, UINT32_MAX);
	out->read_wall = INT64_MAX;
	if (saved->version != SAVED_UNREAD)
		out->read_wall = get_time(in, saved->arrived);
	out->due_wall = get_time(in, saved->arrived);
	out->correction = (int64_t)get_bounded(in, QUEUE_AGE_MOST_MS);
	if (out->flags & SAVED_HOLD) {
		out->hold_since = get_time(in, saved->arrived);
		out->by = get_text(in, SAVED_TEXT);
		out->reason = get_text(in, SAVED_TEXT);
	}
	if (out->flags & SAVED_REROUTE)
		out->reroute = get_text(in, SAVED_TEXT);
	out->has_reply = (out->flags & SAVED_REPLY) != 0;
	if (out->has_reply)
		get_reply(in, &out->reply);
	get_rcpts(saved, out, rcpts);
	out->flags = unit_flags_of(out->flags);
	return cursor_ok(in) ? 0 : ERR_CORRUPT;
}

void saved_close(struct saved *saved)
{
	free(saved->taken);
	saved->taken = NULL;
}
