/*
 * How an attempt begins: its envelope and its body from the spool, and the way that it goes; and
 * what becomes of it where these cannot be had.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"

static bool copy_start(struct attempt *attempt, const struct queue_start *start)
{
	struct arena *arena = &attempt->arena;

	attempt->unit = start->unit;
	attempt->id = start->id;
	attempt->attempts = start->attempts;
	attempt->ready_ms = start->ready_ms;
	attempt->began_ns = attempt->delivery->io->now_ns;
	attempt->pick_count = start->rcpt_count;
	attempt->transport = arena_copy(arena, start->transport);
	attempt->next_hop = arena_copy(arena, start->next_hop);
	attempt->destination = start->destination;
	attempt->picks = arena_alloc(arena, start->rcpt_count * sizeof(*attempt->picks));
	attempt->results = arena_alloc(arena, start->rcpt_count * sizeof(*attempt->results));
	attempt->telling.kinds = arena_alloc(arena, start->rcpt_count * sizeof(enum verdict_kind));
	attempt->telling.said = arena_alloc(arena, start->rcpt_count * sizeof(bool));
	attempt->telling.notified =
		arena_alloc(arena, start->rcpt_count * sizeof(struct notify_rcpt));
	if (arena->overflow)
		return false;
	memcpy(attempt->picks, start->rcpts, start->rcpt_count * sizeof(*attempt->picks));
	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		attempt->results[i].not_tried = true;
		attempt->results[i].of_server = false;
	}
	return true;
}

/* What has no route: ask again, since the directory may have changed; else it fails with the
 * reason. */
static void start_nowhere(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	struct route_decision decision;
	struct verdict verdict;

	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		struct span address = attempt->envelope.rcpts[attempt->picks[i]].address;

		route_for_delivery(d->snapshot, d->config.route, address, SPAN_NONE, &decision);
		if (decision.kind == ROUTE_REFUSED)
			verdict = decision.verdict;
		else
			attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 5,
				"the directory has changed; the message is routed anew");
		attempt->results[i].not_tried = false;
		attempt->results[i].verdict = verdict;
	}
	outcome(attempt);
}

static bool all_picks_exist(const struct attempt *attempt)
{
	for (uint32_t i = 0; i < attempt->pick_count; i++)
		if (attempt->picks[i] >= attempt->envelope.rcpt_count)
			return false;
	return true;
}

/* Damage does not pass: a person has to decide. A disk that cannot be read at the moment may be
 * read later, and what it costs counts for nothing, as nobody could be told of an end. */
static void envelope_unreadable(struct attempt *attempt, int err)
{
	struct delivery *d = attempt->delivery;
	struct verdict verdict;

	attempt->envelope = (struct envelope){0};
	if (err == ERR_NOMEM) {
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"no memory or descriptor to read a stored envelope");
		attempt_short(attempt, &verdict);
		return;
	}
	if (err == ERR_IO || err == ERR_LIMIT) {
		log_write(d->config.log, LOG_ERROR,
			"the envelope of a queued message cannot be read",
			LOG_ID("id", attempt->id), LOG_STR("error", err_text(err)));
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"the stored envelope cannot be read at the moment");
		outcome_postponed(attempt, &verdict);
		return;
	}
	damaged_add(d, attempt->id, "", 0, "its envelope is damaged");
	if (queue_hold(d->queue, attempt->id, attempt->unit, SPAN(QUEUE_SELF),
		    SPAN(DELIVERY_UNREADABLE), delivery_now(d))) {
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"the stored envelope is damaged; see posternctl spool verify");
		attempt_finish_all(attempt, &verdict);
		return;
	}
	queue_unit_put_back(d->queue, attempt->unit, delivery_now(d));
	attempt_end(attempt);
}

static void body_unreadable(struct attempt *attempt, int err)
{
	struct verdict verdict;

	if (err == ERR_NOMEM) {
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"no memory or descriptor to read a stored message");
		attempt_short(attempt, &verdict);
		return;
	}
	if (err == ERR_CORRUPT)
		attempt_verdict(&verdict, VERDICT_PERMANENT, 554, 3, 0,
			"the stored message is damaged and cannot be delivered");
	else
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"the stored message cannot be read at the moment");
	attempt_finish_all(attempt, &verdict);
}

/* With its body, if that can be had now. */
static void start_with_body(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;
	struct verdict verdict;

	int err = spool_store_body(d->store, attempt->id, &attempt->body);
	attempt->body_check = err == ERR_AGAIN ? BODY_AWAITED : BODY_NOT_AWAITED;
	if (err == ERR_AGAIN)
		return; /* attempts_body_checked() comes */
	if (err) {
		body_unreadable(attempt, err);
		return;
	}
	attempt->body_open = true;
	if (span_equal(attempt->transport, SPAN(DELIVERY_MAILBOXES))) {
		mailbox_deliver(attempt);
		return;
	}
	err = link_get(
		d, attempt->destination, attempt->transport, attempt->next_hop, &attempt->link);
	if (err) {
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"out of memory for the destination");
		attempt_short(attempt, &verdict);
		return;
	}
	link_run(attempt->link, attempt);
}

static struct attempt *find_looked_at(struct delivery *d)
{
	LIST_FOR_EACH(node, &d->attempts)
	{
		struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);

		if (attempt->body_check == BODY_LOOKED_AT)
			return attempt;
	}
	return NULL;
}

void attempts_body_checked(struct delivery *d, uint64_t id)
{
	struct attempt *attempt;

	LIST_FOR_EACH(node, &d->attempts)
	{
		attempt = CONTAINER_OF(node, struct attempt, node);
		if (attempt->id == id && attempt->body_check == BODY_AWAITED)
			attempt->body_check = BODY_LOOKED_AT;
	}
	/* What one does may end others. */
	while ((attempt = find_looked_at(d))) {
		attempt->body_check = BODY_NOT_AWAITED;
		if (d->stopping)
			attempt_put_back(attempt);
		else
			start_with_body(attempt);
	}
	intake_settle(d);
	delivery_wake(d);
}

void attempt_start(struct delivery *d, const struct queue_start *start)
{
	struct attempt *attempt = attempt_new(d);
	struct transport transport;
	struct verdict verdict;

	if (!attempt || !copy_start(attempt, start)) {
		attempt_verdict(
			&verdict, VERDICT_TEMPORARY, 451, 3, 0, "out of memory for the attempt");
		attempt_queue_short(d, start->unit, &verdict);
		if (attempt)
			attempt_end(attempt);
		return;
	}
	list_push_back(&d->attempts, &attempt->node);
	d->figures.attempts++;

	int err = delivery_envelope(
		d, start->id, &attempt->bytes, &attempt->arena, &attempt->envelope);
	if (err || !all_picks_exist(attempt)) {
		envelope_unreadable(attempt, err ? err : ERR_CORRUPT);
		return;
	}
	if (!delivery_transport(d, attempt->transport, &transport))
		attempt->give_up = transport.give_up;
	if (span_equal(attempt->transport, SPAN(DELIVERY_NOWHERE))) {
		start_nowhere(attempt);
		return;
	}
	start_with_body(attempt);
}
