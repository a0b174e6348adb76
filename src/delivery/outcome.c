/*
 * What became of an attempt: events, notifications, and the queue's reckoning. Everything that one
 * call here changes is in one record of the journal.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- events --------------------------------------------------------------------------------- */

static bool same_verdict(const struct verdict *a, const struct verdict *b)
{
	return a->kind == b->kind && a->code == b->code && a->enhanced.class == b->enhanced.class &&
	       a->enhanced.subject == b->enhanced.subject &&
	       a->enhanced.detail == b->enhanced.detail &&
	       span_equal(verdict_text(a), verdict_text(b));
}

static struct event attempt_event(const struct attempt *attempt, enum event_kind kind)
{
	const struct delivery *d = attempt->delivery;
	const struct session *session = attempt->session;
	int64_t began_ms =
		delivery_now(d) - (int64_t)((d->io->now_ns - attempt->began_ns) / NS_PER_MS);
	struct event event = {
		.kind = kind,
		.id = attempt->id,
		.wall_ms = delivery_now(d),
		.sender = attempt->envelope.sender,
		.sender_known = true,
		.size = attempt->envelope.body_bytes,
		.transport = attempt->transport,
		.attempt = attempt->attempts + 1,
		.attempt_us = (d->io->now_ns - attempt->began_ns) / 1000,
		.queued_us = began_ms > attempt->envelope.arrived_ms
				     ? (uint64_t)(began_ms - attempt->envelope.arrived_ms) * 1000
				     : 0,
	};

	if (session) {
		event.destination = span_str(session->host);
		event.peer = session->peer;
		event.tls = span_str(session->tls);
	} else if (attempt->maildir.path[0]) {
		event.destination = span_str(attempt->maildir.path);
	}
	return event;
}

static bool is_of(const struct attempt *attempt, uint32_t pick, enum verdict_kind kind)
{
	const struct client_result *result = &attempt->results[pick];

	return !result->not_tried && result->verdict.kind == kind;
}

/* One event for all picks of a kind that got the same answer, at most DELIVERY_EVENT_RCPTS in
 * one. */
static void emit_results(const struct attempt *attempt, enum verdict_kind kind, struct event *event,
	struct owed *owed)
{
	struct delivery *d = attempt->delivery;
	uint32_t count = attempt->pick_count;
	struct span one[1];
	struct span *names =
		count <= 1 ? one : calloc(MIN(count, DELIVERY_EVENT_RCPTS), sizeof(*names));
	bool *said = attempt->telling.said;

	CHECK(names);
	memset(said, 0, count * sizeof(*said));
	for (uint32_t i = 0; i < count; i++) {
		const struct verdict *verdict = &attempt->results[i].verdict;
		uint32_t n = 0;

		if (said[i] || !is_of(attempt, i, kind))
			continue;
		for (uint32_t j = i; j < count && n < DELIVERY_EVENT_RCPTS; j++) {
			if (said[j] || !is_of(attempt, j, kind) ||
				!same_verdict(verdict, &attempt->results[j].verdict))
				continue;
			said[j] = true;
			names[n++] = attempt->envelope.rcpt_count
					     ? attempt->envelope.rcpts[attempt->picks[j]].address
					     : SPAN_NONE;
		}
		event->recipients = names;
		event->recipient_count = n;
		event->verdict = verdict;
		owed_tell(d, owed, event);
	}
	if (names != one)
		free(names);
}

/* ---- notifications about an attempt --------------------------------------------------------- */

/* Who said so, where that is for everybody to know: a mail exchanger by the public DNS. Fixed
 * servers, zones and DNS servers of one's own are matters of the inside. */
static struct span remote_mta(const struct attempt *attempt)
{
	struct transport transport;

	if (!attempt->session ||
		delivery_transport(attempt->delivery, attempt->transport, &transport) ||
		transport.host.n || transport.zone.n || transport.query.n)
		return SPAN_NONE;
	return span_str(attempt->session->host);
}

static struct owed *notify_results(
	const struct attempt *attempt, enum verdict_kind kind, enum notify_kind what)
{
	struct notify_rcpt *rcpts = attempt->telling.notified;
	struct owed *owed = NULL;
	uint32_t n = 0;

	for (uint32_t i = 0; i < attempt->pick_count; i++)
		if (is_of(attempt, i, kind))
			rcpts[n++] = (struct notify_rcpt){
				attempt->picks[i], &attempt->results[i].verdict};
	if (n)
		owed = notify(attempt->delivery, &attempt->envelope, what, rcpts, n,
			remote_mta(attempt), 0);
	return owed;
}

void outcome_in_mailbox(const struct attempt *attempt, uint32_t pick)
{
	struct event event = attempt_event(attempt, EVENT_DELIVERY);

	event.recipients = &attempt->envelope.rcpts[attempt->picks[pick]].address;
	event.recipient_count = 1;
	event.verdict = &attempt->results[pick].verdict;
	event_emit(attempt->delivery->config.events, &event);
}

static void tell_delivered(const struct attempt *attempt)
{
	struct event event = attempt_event(attempt, EVENT_DELIVERY);

	/* Mailboxes were told of one by one, each with its own path. */
	if (attempt->link)
		emit_results(attempt, VERDICT_OK, &event, NULL);
	if (attempt->dsn_passed)
		return; /* the next hop's business now (RFC 3461 section 5.2.1) */
	struct owed *owed = notify_results(
		attempt, VERDICT_OK, attempt->link ? NOTIFY_OF_RELAY : NOTIFY_OF_DELIVERY);

	if (owed && attempt->link) {
		event.kind = EVENT_RELAYED;
		emit_results(attempt, VERDICT_OK, &event, owed);
	}
}

static void tell_failed(const struct attempt *attempt)
{
	struct event event = attempt_event(
		attempt, attempt->give_up == GIVE_UP_DISCARD ? EVENT_DISCARD : EVENT_BOUNCE);
	struct owed *owed = NULL;

	if (attempt->give_up != GIVE_UP_DISCARD)
		owed = notify_results(attempt, VERDICT_PERMANENT, NOTIFY_OF_FAILURE);
	emit_results(attempt, VERDICT_PERMANENT, &event, owed);
}

static void tell_deferred(const struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	struct event event = attempt_event(attempt, EVENT_TRANSIENT_FAILURE);
	struct queue_unit_info info;

	if (!queue_unit_info(d->queue, attempt->unit, delivery_now(d), &info) &&
		info.id == attempt->id)
		event.next_try_ms = info.next_try_ms;
	emit_results(attempt, VERDICT_TEMPORARY, &event, NULL);
}

/* ---- the ends of an attempt ----------------------------------------------------------------- */

/* What every recipient got; one without an answer yet is one that stays. */
struct tally {
	enum verdict_kind *kinds;
	uint32_t counts[3];
	const struct verdict *stays;
	enum queue_answer answer; /* whom what they were told speaks of */
};

/* `strict`: the destination is there, and this mail wants more. */
static void count_stay(struct tally *tally, const struct client_result *result, bool strict)
{
	enum queue_answer answer = result->of_server		      ? QUEUE_ANSWER_SERVER
				   : result->verdict.remote || strict ? QUEUE_ANSWER_MAIL
								      : QUEUE_ANSWER_NONE;

	/* What the server said of itself is why it goes on as it does. */
	if (!tally->stays || answer >= tally->answer)
		tally->stays = &result->verdict;
	tally->answer = MAX(tally->answer, answer);
}

static void count_results(const struct attempt *attempt, struct tally *tally)
{
	*tally = (struct tally){.kinds = attempt->telling.kinds};
	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		const struct client_result *result = &attempt->results[i];

		tally->kinds[i] = VERDICT_TEMPORARY;
		if (result->not_tried)
			continue;
		tally->kinds[i] = result->verdict.kind;
		tally->counts[result->verdict.kind]++;
		if (result->verdict.kind == VERDICT_TEMPORARY)
			count_stay(tally, result, attempt->strict);
	}
}

/* Those that leave the queue. */
static void tell_decided(const struct attempt *attempt, const struct tally *tally)
{
	struct delivery *d = attempt->delivery;

	d->figures.delivered += tally->counts[VERDICT_OK];
	d->figures.failed += tally->counts[VERDICT_PERMANENT];
	if (tally->counts[VERDICT_OK])
		tell_delivered(attempt);
	if (tally->counts[VERDICT_PERMANENT])
		tell_failed(attempt);
}

void outcome_so_far(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	struct tally tally;
	uint32_t kept = 0;

	count_results(attempt, &tally);
	if (tally.counts[VERDICT_OK] || tally.counts[VERDICT_PERMANENT]) {
		tell_decided(attempt, &tally);
		queue_unit_partly(d->queue, attempt->unit, tally.kinds, delivery_now(d));
	}
	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		if (tally.kinds[i] != VERDICT_TEMPORARY)
			continue;
		attempt->picks[kept] = attempt->picks[i];
		attempt->results[kept++] = attempt->results[i];
	}
	attempt->pick_count = kept;
}

void outcome(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	struct tally tally;

	count_results(attempt, &tally);
	for (uint32_t i = 0; i < attempt->pick_count; i++)
		CHECK(!attempt->results[i].not_tried);
	d->figures.deferred += tally.counts[VERDICT_TEMPORARY];
	tell_decided(attempt, &tally);
	queue_unit_result(
		d->queue, attempt->unit, tally.kinds, tally.answer, tally.stays, delivery_now(d));
	if (tally.counts[VERDICT_TEMPORARY])
		tell_deferred(attempt);
	attempt->session = NULL;
	attempt_end(attempt);
}

void outcome_unreachable(struct attempt *attempt, const struct verdict *verdict)
{
	struct delivery *d = attempt->delivery;

	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		attempt->results[i].not_tried = false;
		attempt->results[i].verdict = *verdict;
		attempt->results[i].verdict.kind = VERDICT_TEMPORARY;
	}
	d->figures.deferred += attempt->pick_count;
	queue_destination_failed(d->queue, attempt->unit, verdict, delivery_now(d));
	tell_deferred(attempt);
	attempt_end(attempt);
}

void outcome_postponed(struct attempt *attempt, const struct verdict *verdict)
{
	struct delivery *d = attempt->delivery;

	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		attempt->results[i].not_tried = false;
		attempt->results[i].verdict = *verdict;
	}
	d->figures.deferred += attempt->pick_count;
	queue_unit_postpone(d->queue, attempt->unit, verdict, delivery_now(d));
	tell_deferred(attempt);
	attempt_end(attempt);
}
