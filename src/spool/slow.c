/*
 * What takes long is read in pieces, beside the deliveries: a log with gigabytes to be looked
 * through, a batch of very many messages, what a dead writer left. One file at a time, of each
 * owner in its turn, so that nobody's files keep those of others waiting for more than one of them.
 */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

static bool wants_more(const struct segment *segment)
{
	/* What is damaged does not grow longer by reading it again. */
	return segment->orphan || segment->behind || segment->seal_waits ||
	       (segment->wanted > segment->end && !segment->damaged);
}

static bool is_due(const struct spool_store *store, const struct segment *segment)
{
	return wants_more(segment) && !segment->removing &&
	       store->io->now_ns >= segment->again_ns &&
	       (segment->seal_waits || !segment->closed ||
		       !index_awaits_seal(&store->index, segment));
}

bool slow_pending(const struct spool_store *store)
{
	for (size_t i = 0; i < store->index.count; i++)
		if (wants_more(store->index.segments[i]))
			return true;
	return false;
}

static struct segment *pick(struct spool_store *store)
{
	const struct spool_index *index = &store->index;

	for (uint32_t k = 1; k <= SPOOL_WORKERS_MOST; k++) {
		uint8_t owner = (uint8_t)((store->slow.owner + k) % SPOOL_WORKERS_MOST);
		size_t last = index_last(index, owner);
		for (size_t i = index_first(index, owner); i < last; i++)
			if (is_due(store, index->segments[i]))
				return index->segments[i];
	}
	return NULL;
}

static int begin(struct spool_store *store, struct segment *segment)
{
	struct reading *r = &store->slow.reading;
	bool rest = segment->orphan;

	store->slow.owner = segment->id.owner;
	segment->closed = segment->closed || rest;
	int err = reading_begin(store, r, segment, rest);
	if (err)
		return err;
	if (rest)
		r->walk->proven = MAX(r->walk->proven, segment->end);
	else
		r->walk->proven = r->walk->limit = segment->wanted;
	return 0;
}

static uint64_t later(const struct spool_store *store)
{
	return store->io->now_ns + STORE_CLEAN_MS * NS_PER_MS;
}

/* Is it tried again? */
static bool put_off(struct spool_store *store, struct segment *segment, int err)
{
	if (err != ERR_IO && err != ERR_NOMEM)
		return false;
	segment->again_ns = later(store);
	store->slow.err = err;
	clean_wake(store);
	return true;
}

/* A notice may have named more than there was; one that came meanwhile counts. */
static void settle_wanted(struct segment *segment, uint64_t limit)
{
	if (segment->wanted <= limit)
		segment->wanted = MIN(segment->wanted, segment->end);
}

/* `limit`: how far it was read. What was not read must not be removed: the next start looks at it
 * again. */
static void finish(
	struct spool_store *store, struct segment *segment, bool rest, uint64_t limit, int err)
{
	if (put_off(store, segment, err))
		return;
	if (err)
		store_report_file(
			store, segment->id.owner, segment->id.serial, "the file cannot be read");
	segment->damaged = segment->damaged || err;
	segment->loaded = true;
	segment->behind = false;
	if (rest)
		segment->orphan = false;
	else
		settle_wanted(segment, limit);
	clean_segment(store, segment);
}

enum step { STEP_NONE, STEP_PAUSED, STEP_ENDED };

/* A file of which no notice ever came may be its successor's already: nothing is said of its tail
 * for good. */
static bool is_own(const struct spool_store *store, const struct segment *segment)
{
	return store->newest[segment->id.owner] &&
	       !store_is_ahead(store, segment->id.owner, segment->id.serial);
}

/* What a file says of those before it, which could not be read when the queue was loaded; they wait
 * for it. */
static enum step find_seal(struct spool_store *store, struct segment *segment, int err)
{
	struct reading *r = &store->slow.reading;

	if (err == 0)
		err = index_find_seal(
			&store->index, r->walk, segment, index_seal_reach(segment->id.owner));
	if (err == ERR_AGAIN)
		return STEP_PAUSED;
	reading_end(store, r);
	segment->seal_waits = put_off(store, segment, err);
	return STEP_ENDED;
}

/* A piece of one file. */
static enum step step(struct spool_store *store)
{
	struct reading *r = &store->slow.reading;
	struct segment *segment = r->segment ? r->segment : pick(store);

	if (!segment || (r->segment && store->io->now_ns < r->again_ns))
		return STEP_NONE;
	int err = r->segment ? 0 : begin(store, segment);
	if (segment->seal_waits)
		return find_seal(store, segment, err);
	bool rest = err ? segment->orphan : r->rest;
	/* Its writer lives after all, and says how far it is. */
	bool live = rest && !segment->orphan;
	if (live)
		reading_give_up_state(store, r);
	if (err == 0 && !live)
		err = store_read(store, r, STORE_AT_ONCE);
	if (err == ERR_AGAIN)
		return STEP_PAUSED;
	if (err == ERR_IO && r->untold) {
		r->again_ns = later(store);
		clean_wake(store);
		return STEP_NONE;
	}
	if (rest && err == 0 && !live && is_own(store, segment))
		store_end_segment(store, r);
	uint64_t limit = r->segment ? r->walk->limit : 0;
	reading_end(store, r);
	if (!live)
		finish(store, segment, rest, limit, err);
	return STEP_ENDED;
}

static void fired(struct timer *timer)
{
	struct spool_store *store = CONTAINER_OF(timer, struct spool_store, slow.timer);

	if (step(store) != STEP_NONE)
		slow_wake(store);
}

void slow_wake(struct spool_store *store)
{
	/* Not in the same turn of the loop. */
	if (store->loader.phase == LOAD_DONE && !timer_armed(&store->slow.timer) &&
		io_timer_after(store->io, &store->slow.timer, 1) != 0)
		CHECK(!"a timer could be armed");
}

int slow_now(struct spool_store *store)
{
	uint32_t paused = 0;

	store->slow.err = 0;
	for (uint32_t files = 0; files < STORE_FILES_AT_ONCE && paused < STORE_SLICES; files++) {
		enum step result = step(store);
		paused += result == STEP_PAUSED;
		if (result == STEP_NONE)
			return store->slow.err;
	}
	slow_wake(store);
	return store->slow.err;
}

void slow_init(struct spool_store *store)
{
	walk_init(&store->slow.walk, store->config.disk);
	store->slow.reading.walk = &store->slow.walk;
	store->slow.timer.fire = fired;
	store->fast.walk = &store->index.walk;
}

void slow_done(struct spool_store *store)
{
	io_timer_stop(store->io, &store->slow.timer);
	reading_end(store, &store->slow.reading);
	reading_end(store, &store->fast);
	walk_done(&store->slow.walk);
}
