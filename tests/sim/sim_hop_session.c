#include "sim_hop_inner.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

bool sim_hop_trouble(struct session *s, unsigned parts)
{
	return !s->hop->sim->calm && sim_chance(s->hop->sim, s->hop->kind->trouble / parts);
}

/* ---- the connection ------------------------------------------------------------------------- */

void sim_hop_end(struct session *s, bool reset)
{
	timers_disarm(&s->hop->sim->events, &s->timer);
	if (reset)
		sim_end_reset(&s->end);
	else
		sim_end_close(&s->end);
	buf_done(&s->in);
	buf_done(&s->out);
	buf_done(&s->body);
	buf_done(&s->wire);
	sim_hop_tls_done(s);
	sim_hop_auth_done(s);
	free(s);
}

/* False: the session is gone. */
bool sim_hop_flush(struct session *s)
{
	sim_hop_wrap(s);
	while (s->wire.n) {
		int64_t n = sim_end_write(s->end, s->wire.p, s->wire.n);

		if (n < 0) {
			sim_hop_end(s, false);
			return false;
		}
		if (n == 0)
			return true;
		buf_drop(&s->wire, (size_t)n);
	}
	if (s->ending) {
		sim_hop_end(s, false);
		return false;
	}
	return true;
}

void sim_hop_say(struct session *s, const char *code, const char *enhanced, const char *text)
{
	buf_add_str(&s->out, code);
	buf_add_char(&s->out, ' ');
	if (s->hop->kind->extensions & HOP_ENHANCED) {
		buf_add_str(&s->out, enhanced);
		buf_add_char(&s->out, ' ');
	}
	buf_add_str(&s->out, text);
	buf_add_str(&s->out, "\r\n");
}

static void on_readable(void *owner)
{
	struct session *s = owner;
	char bytes[4096];
	int64_t n;

	while ((n = sim_end_read(s->end, bytes, sizeof(bytes))) > 0)
		if (!sim_hop_take(s, bytes, (size_t)n))
			return;
	if (n < 0) {
		/* What was said before the end still counts. */
		if (n == ERR_MORE && !s->deaf)
			s->ending = true;
		else
			s->in.n = 0;
		if (n != ERR_MORE || s->deaf) {
			sim_hop_end(s, false);
			return;
		}
	}
	if (!s->deaf)
		sim_hop_go_on(s);
}

static void on_writable(void *owner)
{
	sim_hop_flush(owner);
}

const struct sim_end_calls sim_hop_session_calls = {NULL, on_readable, on_writable};

void sim_hop_awake(struct timer *timer)
{
	struct session *s = CONTAINER_OF(timer, struct session, timer);

	s->deaf = false;
	sim_hop_go_on(s);
}

void sim_hop_fall_silent(struct session *s)
{
	struct sim *sim = s->hop->sim;

	sim_fault(sim, FAULT_STALL);
	s->deaf = true;
	sim_arm(sim, &s->timer,
		sim_chance(sim, 500) ? sim_skewed(sim, 30 * NS_PER_S)
				     : sim_between(sim, SIM_MINUTE, 30 * SIM_MINUTE));
}

/* ---- messages ------------------------------------------------------------------------------- */

void sim_hop_reset_mail(struct session *s)
{
	s->in_mail = s->in_data = s->chunked = s->chunk_bad = false;
	s->rcpt_count = 0;
	buf_clear(&s->body);
}

static void record(struct session *s, bool replied)
{
	const struct sim_hop_kind *kind = s->hop->kind;
	struct sim_link link;

	sim_hop_link(s, &link);
	sim_hop_wrap(s);
	const struct ledger_arrival arrival = {
		.hop = kind->name,
		.at_ns = sim_end_sent_ns(s->end),
		.way = s->chunked ? WAY_BDAT : WAY_DATA,
		.seven_bit = !(kind->extensions & HOP_8BITMIME),
		.no_binary =
			!(kind->extensions & HOP_BINARYMIME) || !(kind->extensions & HOP_CHUNKING),
		.require_tls = s->require_tls,
		.offers_require_tls =
			s->extended && s->secured && (kind->extensions & HOP_REQUIRETLS),
		.sender = span_str(s->sender),
		.rcpts = (const char(*)[LEDGER_ADDRESS])s->rcpts,
		.rcpt_count = s->rcpt_count,
		.bytes = buf_span(&s->body),
		.has_dsn = s->extended && (kind->extensions & HOP_DSN),
		.reply = replied ? sim_end_mark(s->end, s->wire.n) : NULL,
		.link = &link,
	};

	ledger_arrived(s->hop->ledger, &arrival);
}

static void refuse_all(struct session *s)
{
	for (size_t i = 0; i < s->rcpt_count; i++) {
		struct ledger_rcpt *rcpt = ledger_rcpt_find(s->hop->ledger, s->rcpts[i]);

		if (rcpt)
			rcpt->refused = true;
	}
}

/* The end of a message. False: the session is gone. */
static bool finish(struct session *s)
{
	struct sim *sim = s->hop->sim;

	if (sim_hop_trouble(s, 1)) {
		sim_fault(sim, FAULT_PEER_DROP);
		if (sim_chance(sim, 500))
			record(s, false); /* taken over, but nobody ever hears of it */
		sim_hop_end(s, sim_chance(sim, 500));
		return false;
	}
	if (sim_hop_trouble(s, 2)) {
		sim_fault(sim, FAULT_PEER_NONSENSE);
		if (sim_chance(sim, 500))
			record(s, false);
		buf_add_str(&s->out, sim_chance(sim, 500) ? "ok then\r\n" : "999 \xff\xfe\r\n");
	} else if (sim_hop_trouble(s, 1)) {
		sim_hop_say(s, "451", "4.3.0", "later");
	} else if (!sim->calm && sim_chance(sim, s->hop->kind->refuses / 2)) {
		refuse_all(s);
		sim_hop_say(s, "554", "5.6.0", "not this");
	} else {
		sim_hop_say(s, "250", "2.0.0", "taken");
		record(s, true);
		if (sim_hop_trouble(s, 1)) {
			if (sim_chance(sim, 500) && !sim_hop_flush(s))
				return false;
			sim_fault(sim, FAULT_PEER_DROP);
			sim_hop_end(s, sim_chance(sim, 500));
			return false;
		}
	}
	sim_hop_reset_mail(s);
	return true;
}

/* Takes body lines up to the final dot. False: the session is gone. */
bool sim_hop_take_data(struct session *s, bool *more)
{
	for (;;) {
		const char *at = s->in.n ? memchr(s->in.p, '\n', s->in.n) : NULL;

		*more = false;
		if (!at)
			return true;
		size_t n = (size_t)(at - s->in.p) + 1;
		if (n < 2 || s->in.p[n - 2] != '\r')
			ledger_violation(
				s->hop->ledger, "%s: a bare LF in DATA", s->hop->kind->name);
		if (n == 3 && s->in.p[0] == '.') {
			buf_drop(&s->in, n);
			s->in_data = false;
			*more = true;
			return finish(s);
		}
		size_t skip = s->in.p[0] == '.';
		buf_add(&s->body, s->in.p + skip, n - skip);
		buf_drop(&s->in, n);
	}
}

bool sim_hop_take_chunk(struct session *s, bool *more)
{
	size_t n = MIN(s->in.n, s->chunk_left);

	buf_add(&s->body, s->in.p, n);
	buf_drop(&s->in, n);
	s->chunk_left -= n;
	*more = false;
	if (s->chunk_left)
		return true;
	*more = true;
	if (s->chunk_bad) {
		sim_hop_say(s, "503", "5.5.1", "no recipients");
		return true;
	}
	if (!s->chunk_last) {
		sim_hop_say(s, "250", "2.0.0", "more");
		return true;
	}
	return finish(s);
}
