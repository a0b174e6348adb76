/*
 * The queue as a former life left it, and what is heard of writers: while loading that is kept, in
 * the order in which it came.
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

void delivery_start(struct delivery *d, const struct spool_notice *live, size_t live_count)
{
	CHECK(!d->loading && !d->loaded && live_count <= SPOOL_WORKERS_MOST);
	d->live = calloc(SPOOL_WORKERS_MOST, sizeof(*live));
	CHECK(d->live);
	if (live_count)
		memcpy(d->live, live, live_count * sizeof(*live));
	d->live_count = live_count;
	d->loading = true;
	load_step(&d->load_timer);
}

bool delivery_loaded(const struct delivery *d)
{
	return d->loaded;
}

static void writer_gone(struct delivery *d, uint8_t owner)
{
	int err = spool_store_writer_gone(d->store, owner);

	if (err)
		log_write(d->config.log, LOG_ERROR, "the log of a worker that died cannot be read",
			LOG_U64("worker", owner), LOG_STR("error", err_text(err)));
}

/* What came in while the queue was loading. */
static void take_held(struct delivery *d)
{
	for (size_t i = 0; i < d->held_count; i++) {
		const struct held *held = &d->held[i];

		if (held->gone)
			writer_gone(d, held->notice.owner);
		else
			intake_notice(d, &held->notice);
	}
	d->held_count = 0;
	intake_settle(d);
}

/* As long as no file was looked at, what is heard of the writers is where they stand. */
static void renew_live(struct delivery *d)
{
	for (size_t i = 0; i < d->held_count; i++) {
		const struct held *held = &d->held[i];
		size_t at = 0;

		while (at < d->live_count && d->live[at].owner != held->notice.owner)
			at++;
		if (held->gone) {
			if (at < d->live_count)
				d->live[at] = d->live[--d->live_count];
			continue;
		}
		if (at == SPOOL_WORKERS_MOST)
			continue;
		d->live_count = MAX(d->live_count, at + 1);
		d->live[at] = held->notice;
	}
	d->held_count = 0;
}

void load_step(struct timer *timer)
{
	struct delivery *d = CONTAINER_OF(timer, struct delivery, load_timer);

	if (!spool_store_scanned(d->store))
		renew_live(d);
	int err = spool_store_load(d->store, d->live, d->live_count);
	uint64_t again_ms = 1; /* not in the same turn: the loop has others to answer */

	intake_settle(d);
	delivery_wake(d);
	if (!err) {
		d->loading = false;
		d->loaded = true;
		take_held(d);
		log_write(d->config.log, LOG_INFO, "queue loaded",
			LOG_U64("messages", queue_messages(d->queue)));
		return;
	}
	if (err != ERR_AGAIN) {
		log_write(d->config.log, LOG_ERROR, "the spool cannot be read; trying again",
			LOG_STR("error", err_text(err)));
		again_ms = DELIVERY_LOAD_AGAIN_MS;
	}
	if (io_timer_after(d->io, &d->load_timer, again_ms))
		CHECK(!"a timer could be armed");
}

static void hold(struct delivery *d, const struct held *held)
{
	if (d->held_count == d->held_room) {
		size_t room = d->held_room ? d->held_room * 2 : 16;
		struct held *all = realloc(d->held, room * sizeof(*all));

		CHECK(all);
		d->held = all;
		d->held_room = room;
	}
	d->held[d->held_count++] = *held;
}

static void hold_notice(struct delivery *d, const struct spool_notice *notice)
{
	/* No two writers ever have a file of the same serial. */
	for (size_t i = 0; i < d->held_count; i++) {
		struct spool_notice *held = &d->held[i].notice;

		if (!d->held[i].gone && held->owner == notice->owner &&
			held->serial == notice->serial) {
			if (notice->durable > held->durable)
				held->durable = notice->durable;
			return;
		}
	}
	/* An honest writer fills a file or two in that time. What is not named is found when the
	 * writer names a later file, or is gone. */
	if (d->held_count >= DELIVERY_HELD_MOST) {
		if (!d->held_told)
			log_write(d->config.log, LOG_ERROR,
				"workers name more files than can be remembered while loading",
				LOG_U64("worker", notice->owner));
		d->held_told = true;
		return;
	}
	hold(d, &(struct held){.notice = *notice});
}

void delivery_notice(struct delivery *d, const struct spool_notice *notice)
{
	if (!d->loaded)
		hold_notice(d, notice);
	else
		intake_notice(d, notice);
}

void delivery_writer_gone(struct delivery *d, uint8_t owner)
{
	if (!d->loaded) {
		hold(d, &(struct held){.notice.owner = owner, .gone = true});
		return;
	}
	writer_gone(d, owner);
	intake_settle(d);
	delivery_wake(d);
}
