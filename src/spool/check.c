/*
 * Bodies that lay for a while are checked before they are sent: short ones at once, long ones in
 * jobs on the file lane, one small piece each, so that neither the loop nor the lane stands still.
 *
 * What is found damaged is looked at once more on the device, since memory errs as well; and again
 * whenever it is asked for later: a body that was misread once is not given up for ever.
 */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct body_check {
	struct io_job job;
	struct spool_store *store;
	struct segment *segment; /* NULL: it is over */
	uint64_t place_id;
	struct format_message message;
	struct walk_body body;
	bool twice; /* this is the second look */
	int err;
};

void check_report(struct spool_store *store, struct segment *segment, struct place *place,
	uint64_t id, const char *what)
{
	if (!(place->flags & PLACE_BAD))
		index_report(&store->index, segment, id, (uint64_t)place->at * INDEX_UNIT, what);
	place->flags |= PLACE_BAD;
}

static bool is_damage(int err)
{
	return err == ERR_CORRUPT || err == ERR_NOT_FOUND;
}

/* What was found is kept with the place. */
static int settle(
	struct spool_store *store, uint64_t place_id, const struct format_message *message, int err)
{
	struct segment *segment;
	struct place *place = index_place(&store->index, place_id, &segment);

	if (!place)
		return ERR_NOT_FOUND;
	if (err == 0)
		place->flags &= (uint8_t) ~(PLACE_CHECK | PLACE_BAD);
	if (is_damage(err))
		check_report(store, segment, place, message->id,
			err == ERR_CORRUPT ? "its body is damaged"
					   : "the file with its body is missing");
	return is_damage(err) ? ERR_CORRUPT : err;
}

/* ---- long ones --------------------------------------------------------------------------- */

static void run(struct io_job *job)
{
	struct body_check *check = CONTAINER_OF(job, struct body_check, job);

	check->err = walk_body_step(&check->body, STORE_CHECK_STEP);
	if (check->err == ERR_CORRUPT && !check->twice) {
		check->twice = true;
		walk_body_again(&check->body, &check->message);
		check->err = ERR_AGAIN;
	}
}

static void over(struct body_check *check)
{
	struct spool_store *store = check->store;
	uint64_t id = check->message.id;

	walk_body_end(&check->body);
	index_release(&store->index, check->segment);
	check->segment = NULL;
	check->err = settle(store, check->place_id, &check->message, check->err);
	clean_wake(store);
	if (store->config.handler->checked)
		store->config.handler->checked(store->config.context, id);
}

static void done(struct io_job *job)
{
	struct body_check *check = CONTAINER_OF(job, struct body_check, job);

	/* One that is done in the meantime needs no more looking at. */
	struct segment *segment;
	const struct place *place = index_place(&check->store->index, check->place_id, &segment);
	bool wanted = place && !(place->flags & (PLACE_FREE | PLACE_DONE));
	if (check->err == ERR_AGAIN && wanted &&
		io_submit(check->store->io, IO_LANE_FILE, &check->job) == 0)
		return;
	over(check);
}

static struct body_check **slot_of(struct spool_store *store, uint64_t place_id)
{
	struct body_check **free_slot = NULL;

	for (size_t i = 0; i < STORE_CHECKS; i++) {
		struct body_check **at = &store->checks[i];
		if (*at && (*at)->place_id == place_id)
			return at;
		/* An answer that nobody asked for again gives way to a new question. */
		if (!*at || (!(*at)->segment && (!free_slot || *free_slot)))
			free_slot = at;
	}
	return free_slot;
}

static int start(struct spool_store *store, struct body_check **slot, uint64_t place_id,
	const struct format_message *message)
{
	struct segment *segment;
	struct body_check *check = calloc(1, sizeof(*check));

	if (!check || !index_place(&store->index, place_id, &segment)) {
		free(check);
		return ERR_NOMEM;
	}
	*check = (struct body_check){
		.job = {.run = run, .done = done},
		.store = store,
		.segment = segment,
		.place_id = place_id,
		.message = *message,
	};
	check->message.envelope = SPAN_NONE;
	int err = index_hold(&store->index, segment);
	if (err == 0) {
		err = walk_body_begin(
			&check->body, store->config.disk, segment->io, message, false);
		if (err == 0)
			err = io_submit(store->io, IO_LANE_FILE, &check->job);
		if (err) {
			walk_body_end(&check->body);
			index_release(&store->index, segment);
		}
	}
	if (err) {
		free(check);
		return settle(store, place_id, message, err);
	}
	free(*slot);
	*slot = check;
	return ERR_AGAIN;
}

static int check_long(
	struct spool_store *store, uint64_t place_id, const struct format_message *message)
{
	struct body_check **slot = slot_of(store, place_id);

	/* Its turn comes: the queue asks again. */
	if (!slot)
		return ERR_NOMEM;
	if (!*slot || (*slot)->place_id != place_id)
		return start(store, slot, place_id, message);
	if ((*slot)->segment)
		return ERR_AGAIN;
	int err = (*slot)->err;
	free(*slot);
	*slot = NULL;
	return err;
}

/* ---- all --------------------------------------------------------------------------------- */

static int check_short(
	struct spool_store *store, uint64_t place_id, const struct format_message *message)
{
	struct segment *segment;
	struct walk_body body;

	if (!index_place(&store->index, place_id, &segment))
		return ERR_NOT_FOUND;
	int err = index_open(&store->index, segment);
	if (err)
		return err;
	err = walk_body_begin(&body, store->config.disk, segment->io, message, false);
	if (err == 0) {
		err = walk_body_step(&body, UINT64_MAX);
		if (err == ERR_CORRUPT) {
			walk_body_again(&body, message);
			err = walk_body_step(&body, UINT64_MAX);
		}
		walk_body_end(&body);
	}
	return settle(store, place_id, message, err);
}

int check_body(struct spool_store *store, uint64_t place_id, const struct format_message *message)
{
	struct segment *segment;
	const struct place *place = index_place(&store->index, place_id, &segment);

	if (!place)
		return ERR_NOT_FOUND;
	if (!(place->flags & (PLACE_CHECK | PLACE_BAD)))
		return 0;
	return message->body_bytes > STORE_CHECK_NOW ? check_long(store, place_id, message)
						     : check_short(store, place_id, message);
}

bool check_busy(const struct spool_store *store)
{
	for (size_t i = 0; i < STORE_CHECKS; i++)
		if (store->checks[i] && store->checks[i]->segment)
			return true;
	return false;
}

void check_done(struct spool_store *store)
{
	for (size_t i = 0; i < STORE_CHECKS; i++) {
		free(store->checks[i]);
		store->checks[i] = NULL;
	}
}
