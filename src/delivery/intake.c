/*
 * What the store tells us: messages, damage, the journal's health.
 */
#include "delivery/attempt.h"

#include "base/err.h"

#include <stdio.h>

static uint8_t spool_owner(uint64_t id)
{
	return (uint8_t)(id >> 24);
}

static void on_message(void *context, const struct envelope *envelope, struct span state)
{
	struct delivery *d = context;

	/* While loading, what comes from the journal is from an earlier life. */
	if (d->loaded && spool_owner(envelope->id) == SPOOL_OWNER_DELIVERY)
		owed_made(d, envelope);
	int err = queue_add(d->queue, envelope, state, delivery_now(d));

	if (err == ERR_CORRUPT && state.n) {
		damaged_add(d, envelope->id, "", 0,
			"its kept state is damaged; all recipients are tried anew");
		err = queue_add(d->queue, envelope, SPAN_NONE, delivery_now(d));
	}
	if (err == ERR_NOT_FOUND) {
		/* All recipients were done when it was last kept. */
		note_finished(d, envelope->id);
	} else if (err) {
		/* Its envelope is whole but useless, or there is no memory for so many recipients:
		 * it stays in the spool, for a person to look at and for the next start. */
		char what[DELIVERY_DAMAGED_TEXT];

		snprintf(what, sizeof(what), "it cannot be queued: %s", err_text(err));
		damaged_add(d, envelope->id, "", 0, what);
	}
	delivery_wake(d);
}

static void on_damaged(
	void *context, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	damaged_add(context, id, path, offset, what);
}

static void on_durable(void *context, uint64_t mark)
{
	struct delivery *d = context;

	(void)mark;
	if (d->stopping)
		delivery_wake(d);
}

/* Also at the start, where it is not well then. */
static void on_health(void *context, enum spool_health health)
{
	static const char *const words[] = {"well",
		"full: nothing is delivered until there is space",
		"sick: nothing is delivered until a file can be written again"};
	struct delivery *d = context;

	log_write(d->config.log, health == SPOOL_WELL ? LOG_INFO : LOG_ERROR,
		"the health of the spool's journal changed", LOG_STR("journal", words[health]));

	if (d->journal == SPOOL_WELL)
		d->journal_since_ms = delivery_now(d);
	d->journal = health;
	if (d->snapshot && delivery_set_pauses(d))
		log_write(d->config.log, LOG_ERROR, "deliveries cannot be paused or resumed",
			LOG_STR("error", err_text(ERR_NOMEM)));
	kept_keep(&d->pauses);
	if (d->config.health)
		d->config.health(d->config.context, health);
	delivery_wake(d);
}

static void on_checked(void *context, uint64_t id)
{
	attempts_body_checked(context, id);
}

const struct spool_store_handler intake_store_handler = {
	.message = on_message,
	.damaged = on_damaged,
	.durable = on_durable,
	.health = on_health,
	.checked = on_checked,
};

void intake_notice(struct delivery *d, const struct spool_notice *notice)
{
	int err = spool_store_notice(d->store, notice);

	if (err)
		log_write(d->config.log, LOG_ERROR, "a worker's log cannot be read",
			LOG_U64("worker", notice->owner), LOG_U64("file", notice->serial),
			LOG_STR("error", err_text(err)));
	intake_settle(d);
	delivery_wake(d);
}
