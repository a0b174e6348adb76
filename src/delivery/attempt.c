/*
 * One unit being tried: its recipients' results, its transactions, and all ways in which it ends.
 */
#include "delivery/link.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- memory --------------------------------------------------------------------------------- */

struct attempt *attempt_new(struct delivery *d)
{
	struct attempt *attempt = LIST_FIRST(&d->spare, struct attempt, node);

	if (attempt) {
		list_remove(&attempt->node);
		d->spare_count--;
		return attempt;
	}
	attempt = calloc(1, sizeof(*attempt));
	if (!attempt)
		return NULL;
	attempt->delivery = d;
	list_init(&attempt->node);
	list_init(&attempt->waiting);
	buf_init(&attempt->bytes, DELIVERY_ENVELOPE);
	arena_init(&attempt->arena, DELIVERY_ARENA);
	return attempt;
}

void attempt_end(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;

	if (attempt->link)
		link_forget(attempt->link, attempt);
	if (attempt->body_open)
		spool_store_body_done(d->store, &attempt->body);
	list_remove(&attempt->node);
	arena_reset(&attempt->arena);
	struct buf bytes = attempt->bytes;
	struct arena arena = attempt->arena;

	buf_clear(&bytes);
	if (d->spare_count >= DELIVERY_ATTEMPTS_KEPT || bytes.room > DELIVERY_ATTEMPT_BYTES_KEPT) {
		buf_done(&bytes);
		free(attempt);
		return;
	}
	*attempt = (struct attempt){.delivery = d, .bytes = bytes, .arena = arena};
	list_init(&attempt->waiting);
	list_push_front(&d->spare, &attempt->node);
	d->spare_count++;
}

void attempt_verdict(struct verdict *verdict, enum verdict_kind kind, uint16_t code,
	uint8_t subject, uint8_t detail, const char *text)
{
	verdict_set(verdict, kind, code,
		(struct enhanced_code){kind == VERDICT_PERMANENT ? 5 : 4, subject, detail}, false,
		span_str(text));
}

/* Some recipients have their result: it must not be lost, or they get the message again. */
static bool partly_done(const struct attempt *attempt)
{
	for (uint32_t i = 0; i < attempt->pick_count; i++)
		if (!attempt->results[i].not_tried)
			return true;
	return false;
}

void attempt_stopped(struct attempt *attempt)
{
	struct verdict verdict;

	attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 2,
		"the mail gateway was stopped before this recipient's turn");
	attempt_finish_all(attempt, &verdict);
}

void attempt_put_back(struct attempt *attempt)
{
	struct delivery *d = attempt->delivery;

	if (attempt->maildir_runs) {
		/* A helper thread has it: its result is taken when it comes, if anybody still
		 * listens. */
		CHECK(!attempt->session);
		return;
	}
	if (attempt->link)
		attempt_job_undone(attempt);
	if (attempt->session)
		link_drop_session(attempt->session);
	if (partly_done(attempt)) {
		attempt_stopped(attempt);
		return;
	}
	queue_unit_put_back(d->queue, attempt->unit, delivery_now(d));
	attempt_end(attempt);
}

void attempt_drop(struct attempt *attempt)
{
	CHECK(!attempt->maildir_runs); /* delivery_free() comes when no helper thread is at work */
	if (attempt->session)
		link_drop_session(attempt->session);
	attempt_end(attempt);
}

/* ---- its ends ------------------------------------------------------------------------------- */

void attempt_finish_all(struct attempt *attempt, const struct verdict *verdict)
{
	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		if (!attempt->results[i].not_tried)
			continue;
		attempt->results[i].not_tried = false;
		attempt->results[i].of_server = false;
		attempt->results[i].verdict = *verdict;
	}
	outcome(attempt);
}

void attempt_destination_failed(struct attempt *attempt, const struct verdict *verdict)
{
	if (partly_done(attempt))
		attempt_finish_all(attempt, verdict);
	else
		outcome_unreachable(attempt, verdict);
}

void attempt_queue_short(struct delivery *d, uint32_t unit, const struct verdict *verdict)
{
	if (!d->short_said_ns ||
		d->io->now_ns - d->short_said_ns >= DELIVERY_SHORT_SAID_MS * NS_PER_MS) {
		d->short_said_ns = d->io->now_ns;
		log_write(d->config.log, LOG_ERROR, "deliveries wait for resources of this machine",
			LOG_SPAN("short", verdict_text(verdict)));
	}
	queue_unit_short(d->queue, unit, verdict, delivery_now(d));
}

void attempt_short(struct attempt *attempt, const struct verdict *verdict)
{
	if (partly_done(attempt)) {
		attempt_finish_all(attempt, verdict);
		return;
	}
	attempt_queue_short(attempt->delivery, attempt->unit, verdict);
	attempt_end(attempt);
}

void attempt_busy(struct attempt *attempt, uint32_t limit)
{
	struct delivery *d = attempt->delivery;
	struct verdict verdict;

	if (partly_done(attempt)) {
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 4, 5,
			"the destination's hosts have as many sessions as one host may have");
		attempt_finish_all(attempt, &verdict);
		return;
	}
	queue_unit_busy(d->queue, attempt->unit, limit, delivery_now(d));
	attempt_end(attempt);
}

/* ---- through a session ---------------------------------------------------------------------- */

void attempt_send(struct attempt *attempt)
{
	struct arena *arena = &attempt->arena;
	uint32_t n = 0;

	if (!attempt->job_again) {
		/* The ordinary case needs no copies: all recipients, in their order. */
		attempt->job = (struct client_job){
			.envelope = &attempt->envelope,
			.picks = attempt->picks,
			.pick_count = attempt->pick_count,
			.body = attempt->body,
			.results = attempt->results,
		};
		client_send(attempt->session->client, &attempt->job);
		return;
	}
	if (!attempt->job_picks) {
		attempt->job_picks = arena_alloc(arena, attempt->pick_count * sizeof(uint32_t));
		attempt->job_places = arena_alloc(arena, attempt->pick_count * sizeof(uint32_t));
		attempt->job_results =
			arena_alloc(arena, attempt->pick_count * sizeof(*attempt->job_results));
	}
	if (arena->overflow) {
		struct verdict verdict;

		link_drop_session(attempt->session);
		attempt_verdict(&verdict, VERDICT_TEMPORARY, 451, 3, 0,
			"no memory for another transaction");
		attempt_finish_all(attempt, &verdict);
		return;
	}
	for (uint32_t i = 0; i < attempt->pick_count; i++) {
		if (!attempt->results[i].not_tried)
			continue;
		attempt->job_picks[n] = attempt->picks[i];
		attempt->job_places[n] = i;
		attempt->job_results[n] = (struct client_result){0};
		n++;
	}
	attempt->job = (struct client_job){
		.envelope = &attempt->envelope,
		.picks = attempt->job_picks,
		.pick_count = n,
		.body = attempt->body,
		.results = attempt->job_results,
	};
	client_send(attempt->session->client, &attempt->job);
}

void attempt_job_undone(struct attempt *attempt)
{
	/* Later transactions have results of their own, which come here when they are done. */
	for (uint32_t i = 0; !attempt->job_again && i < attempt->pick_count; i++)
		attempt->results[i].not_tried = true;
}

bool attempt_job_done(struct attempt *attempt, struct client_job *job)
{
	bool left = false;

	CHECK(job == &attempt->job);
	if (attempt->job_again)
		for (uint32_t i = 0; i < job->pick_count; i++)
			attempt->results[attempt->job_places[i]] = attempt->job_results[i];
	for (uint32_t i = 0; !left && i < attempt->pick_count; i++)
		left = attempt->results[i].not_tried;
	attempt->dsn_passed = job->dsn_passed;
	attempt->job_again = true;
	if (left)
		outcome_so_far(attempt);
	return left;
}
