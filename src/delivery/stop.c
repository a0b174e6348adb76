/*
 * The end: nothing is started any more, what runs has its time, the journal is written.
 */
#include "delivery/attempt.h"

#include "base/check.h"
#include "delivery/report.h"
#include "delivery/sts.h"

static void tell_stopped(struct delivery *d)
{
	void (*stopped)(void *arg) = d->stopped;

	d->stopped = NULL;
	io_timer_stop(d->io, &d->timer);
	io_timer_stop(d->io, &d->stop_timer);
	if (stopped)
		stopped(d->stopped_arg);
}

static bool kept_files_busy(const struct delivery *d)
{
	return kept_busy(&d->pauses) || kept_busy(&d->dnssec) || sts_busy(d->sts) ||
	       report_busy(d->report);
}

/* First what runs is cut off; should that, too, have no end, nobody waits any longer. */
void stop_now(struct timer *timer)
{
	static const char *const unwritten[] = {
		"not written yet", "not written: full", "not written: sick"};
	struct delivery *d = CONTAINER_OF(timer, struct delivery, stop_timer);

	if (d->cut) {
		if (d->stopped)
			log_write(d->config.log, LOG_ERROR,
				"stopping although not all is recorded: after the next start, "
				"deliveries of the last moments are repeated",
				LOG_STR("journal", unwritten[d->journal]),
				LOG_STR("kept_files",
					kept_files_busy(d) ? "not written" : "written"));
		tell_stopped(d);
		return;
	}
	d->cut = true;
	if (io_timer_after(d->io, &d->stop_timer, DELIVERY_STOP_JOURNAL_MS))
		CHECK(!"a timer could be armed");
	LIST_FOR_EACH(node, &d->attempts)
	attempt_put_back(CONTAINER_OF(node, struct attempt, node));
	intake_settle(d);
	delivery_wake(d);
}

void stop_finish(struct delivery *d)
{
	if (!d->stopped || !list_empty(&d->attempts))
		return;
	if (!spool_store_busy(d->store) && !kept_files_busy(d))
		tell_stopped(d);
	else if (io_timer_after(d->io, &d->timer, DELIVERY_STOP_LOOK_MS))
		CHECK(!"a timer could be armed");
}

void delivery_stop(struct delivery *d, uint64_t ms, void (*stopped)(void *arg), void *arg)
{
	d->stopping = true;
	io_timer_stop(d->io, &d->guard_timer);
	d->stopped = stopped;
	d->stopped_arg = arg;
	io_timer_stop(d->io, &d->load_timer);
	/* What only waits for a session has not begun: it goes back at once. */
	LIST_FOR_EACH(node, &d->attempts)
	{
		struct attempt *attempt = CONTAINER_OF(node, struct attempt, node);

		if (attempt->link && !attempt->session)
			attempt_put_back(attempt);
	}
	intake_settle(d);
	sts_keep(d->sts);
	report_keep(d->report);
	if (io_timer_after(d->io, &d->stop_timer, ms))
		CHECK(!"a timer could be armed");
	delivery_wake(d);
}
