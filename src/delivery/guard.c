/*
 * The queue's own check, at run time: a slice now and then, as long as anything is queued. What it
 * finds is our mistake, is told, and was mended.
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/err.h"

#include <stdio.h>

#define GUARD_STEPS    1000  /* recipients and destinations in a slice: well under a millisecond */
#define GUARD_SLICE_MS 100   /* between two slices */
#define GUARD_REST_MS  60000 /* between two rounds through the queue */

static void arm(struct delivery *d, uint64_t ms)
{
	d->guarding = true;
	if (io_timer_after(d->io, &d->guard_timer, ms))
		CHECK(!"a timer could be armed");
}

static void tell(struct delivery *d, uint64_t id, const char *what)
{
	char reason[DELIVERY_DAMAGED_TEXT * 2];

	snprintf(reason, sizeof(reason), "the queue contradicted itself and was mended: %s", what);
	struct event event = {
		.kind = EVENT_DAMAGE,
		.id = id,
		.wall_ms = delivery_now(d),
		.reason = span_str(reason),
	};

	event_emit(d->config.events, &event);
	log_write(d->config.log, LOG_ERROR,
		"the queue contradicted itself and was mended; this is a mistake in the program",
		LOG_ID("id", id), LOG_STR("what", what));
}

void guard_step(struct timer *timer)
{
	struct delivery *d = CONTAINER_OF(timer, struct delivery, guard_timer);
	struct buf problem;
	uint64_t id;

	d->guarding = false;
	if (d->stopping)
		return;
	buf_init(&problem, 1000);
	int err = queue_guard(d->queue, GUARD_STEPS, delivery_now(d), &id, &problem);
	if (err == ERR_CORRUPT) {
		d->figures.mended++;
		buf_add_char(&problem, '\0');
		tell(d, id, buf_ok(&problem) ? problem.p : "?");
		intake_settle(d);
		delivery_wake(d);
	}
	buf_done(&problem);
	if (err)
		arm(d, GUARD_SLICE_MS);
	else
		guard_wake(d);
}

void guard_wake(struct delivery *d)
{
	if (!d->guarding && !d->stopping && queue_messages(d->queue))
		arm(d, GUARD_REST_MS);
}
