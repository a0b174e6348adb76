/*
 * Files go when nothing in them is needed: a log when all its messages are done, durably; a body
 * file when its message is. What the journal says about a file may be forgotten only once the
 * file's name is gone for good, so the directory is synced in between, and the journal loses its
 * oldest file first.
 *
 * What made a file free may be in the journal's last batch: a copy of its last message, or the
 * bounce of that. Should a bit flip there and the power fail, the batch passes for a torn tail, and
 * the file is needed after all. So it goes once the next batch vouches for that one, which is there
 * after STORE_REST_MS at the latest.
 */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- removing --------------------------------------------------------------------------- */

static void run(struct io_job *job)
{
	struct cleaner *cleaner = CONTAINER_OF(job, struct cleaner, job);
	struct removal *removal = cleaner->removing;
	struct disk *disk = CONTAINER_OF(cleaner, struct spool_store, cleaner)->config.disk;

	cleaner->err = disk_unlink(disk, removal->path);
	if (cleaner->err == ERR_NOT_FOUND)
		cleaner->err = 0;
	cleaner->gone = cleaner->err == 0;
	if (cleaner->gone && removal->serial)
		cleaner->err = disk_sync_dir(disk, removal->dir);
}

/* A journal that is not well vouches for nothing, and needs the space. */
static bool is_vouched_for(const struct journal *journal, const struct removal *removal)
{
	return !journal->unproven || journal->log.figures.batches > removal->batches ||
	       journal->log.health != SPOOL_WELL;
}

static void start(struct spool_store *store)
{
	struct cleaner *cleaner = &store->cleaner;
	struct removal *removal = LIST_FIRST(&cleaner->removals, struct removal, node);

	if (cleaner->removing || !removal || !is_vouched_for(&store->journal, removal))
		return;
	cleaner->removing = removal;
	list_remove(&removal->node);
	if (io_submit(store->io, IO_LANE_FILE, &cleaner->job) != 0) {
		cleaner->job.run(&cleaner->job);
		cleaner->job.done(&cleaner->job);
	}
}

static void look_after(struct spool_store *store, uint64_t ms)
{
	if (io_timer_after(store->io, &store->cleaner.timer, ms) != 0)
		CHECK(!"a timer could be armed");
}

static void done(struct io_job *job)
{
	struct cleaner *cleaner = CONTAINER_OF(job, struct cleaner, job);
	struct spool_store *store = CONTAINER_OF(cleaner, struct spool_store, cleaner);
	struct removal *removal = cleaner->removing;

	cleaner->removing = NULL;
	struct segment *segment =
		removal->serial ? index_find(&store->index, removal->owner, removal->serial) : NULL;
	/* A name that may come back keeps its entry, so that it keeps its marks in the journal. */
	if (segment && !cleaner->err)
		index_drop_segment(&store->index, segment);
	else if (segment && !cleaner->gone)
		segment->removing = false; /* tried again */
	/* Behind the oldest journal file the next one may be due as well. */
	bool again = removal->serial && removal->owner == SPOOL_OWNER_DELIVERY && !cleaner->err;
	free(removal);
	start(store);
	if (again)
		look_after(store, STORE_RELOCATE_MS);
	else
		clean_wake(store);
}

static int remove_later(struct spool_store *store, const struct removal *what)
{
	struct removal *removal = malloc(sizeof(*removal));

	if (!removal)
		return ERR_NOMEM;
	*removal = *what;
	removal->batches = store->journal.log.figures.batches;
	list_init(&removal->node);
	list_push_back(&store->cleaner.removals, &removal->node);
	start(store);
	return 0;
}

void clean_go_on(struct spool_store *store)
{
	start(store);
}

void clean_body_file(struct spool_store *store, uint8_t owner, uint32_t serial, uint32_t number)
{
	struct removal removal = {.owner = owner};

	/* No sync: should the name come back, it is an orphan at the next start. */
	format_body_path(removal.path, owner, serial, number);
	remove_later(store, &removal);
}

/*
 * The greatest serial of an owner, or the journal's, shows which ones were given (spool_serials()),
 * so one of these files stays: were its name given again, marks about the old one would be taken
 * for marks about the new.
 */
static bool is_latest(const struct spool_store *store, uint8_t owner, uint32_t serial)
{
	const struct spool_log *log = &store->journal.log;

	if ((log->file.made.io && log->file.made.id.serial > serial) ||
		(log->next.made.io && log->next.made.id.serial > serial))
		return false;
	/* One that is too far ahead to be believed shows nothing. */
	uint32_t most = serial_most(store->io->wall_ms, log->serial);
	if (serial > most)
		return false;
	for (size_t i = index_last(&store->index, owner); i > index_first(&store->index, owner);
		i--) {
		const struct segment *segment = store->index.segments[i - 1];
		if (segment->id.serial <= serial)
			break;
		if (segment->id.serial <= most && !segment->removing)
			return false;
	}
	return true;
}

void clean_log_file(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	struct removal removal = {.owner = owner};

	if (is_latest(store, owner, serial))
		return;
	format_log_path(removal.path, owner, serial);
	remove_later(store, &removal);
}

static bool is_free(struct spool_store *store, const struct segment *segment)
{
	if (store->loader.phase != LOAD_DONE || !segment->closed || !segment->loaded ||
		segment->damaged || segment->orphan || segment->removing || segment->live ||
		segment->refs || segment->wanted > segment->end)
		return false;
	if (segment->id.owner == SPOOL_OWNER_DELIVERY)
		return relocate_oldest_is_free(store, segment);
	return !store_is_ahead(store, segment->id.owner, segment->id.serial);
}

/*
 * A file may hold the seal on the one before it (spool/format.h): a batch whose sync failed and
 * that was refused, yet reached the disk. Before the seal goes, the journal says where that file
 * ends.
 */
static bool is_seal_needed(struct spool_store *store, const struct segment *segment)
{
	struct spool_index *index = &store->index;
	struct segment *before = index_before(index, segment);

	if (!before || (before->cut_kept && !before->damaged))
		return false;
	/* Where a file ends that is damaged, or not read to its end, is not known well enough. */
	if (before->damaged || before->marks_asked || !before->loaded || before->orphan ||
		before->wanted > before->end)
		return true;
	struct change *change =
		change_new(CHANGE_CHECKPOINT, SPOOL_ID(before->id.serial, before->id.owner, 0), 0);
	if (!change)
		return true;
	if (!before->cut) {
		before->cut = true;
		before->cut_at = before->end;
	}
	before->marks_asked = true;
	if (journal_add(store, change) != 0) {
		before->marks_asked = false;
		change_free(change);
	}
	return true;
}

void clean_segment(struct spool_store *store, struct segment *segment)
{
	struct removal removal = {.owner = segment->id.owner, .serial = segment->id.serial};

	if (!is_free(store, segment) || is_latest(store, segment->id.owner, segment->id.serial) ||
		is_seal_needed(store, segment))
		return;
	format_log_path(removal.path, removal.owner, removal.serial);
	format_dir(removal.dir, removal.owner);
	segment->removing = true;
	if (remove_later(store, &removal) != 0)
		segment->removing = false;
}

/* ---- looking around --------------------------------------------------------------------- */

/* Almost empty for a while: what is left will not go by itself soon. */
static bool is_stuck(struct spool_store *store, struct segment *segment)
{
	uint64_t now = store->io->now_ns + 1;
	bool sparse = segment->closed && segment->loaded && !segment->damaged && segment->live &&
		      segment->id.owner != SPOOL_OWNER_DELIVERY &&
		      segment->live_bytes * STORE_SPARSE < segment->end;

	if (!sparse)
		segment->sparse_ns = 0;
	else if (!segment->sparse_ns)
		segment->sparse_ns = now;
	return sparse && now - segment->sparse_ns >= STORE_CLEAN_MS * NS_PER_MS;
}

static void look(struct timer *timer)
{
	struct cleaner *cleaner = CONTAINER_OF(timer, struct cleaner, timer);
	struct spool_store *store = CONTAINER_OF(cleaner, struct spool_store, cleaner);
	bool again;

	if (store->loader.phase != LOAD_DONE)
		return;
	again = intake_again(store);
	for (size_t i = 0; i < store->index.count; i++) {
		struct segment *segment = store->index.segments[i];
		clean_segment(store, segment);
		if (is_stuck(store, segment))
			move_start(store, segment);
		again = again || segment->sparse_ns || (segment->live && segment->move_fails);
	}
	bool relocating = relocate_step(store);
	if (again || relocating)
		look_after(store, relocating ? STORE_RELOCATE_MS : STORE_CLEAN_MS);
}

void clean_wake(struct spool_store *store)
{
	if (store->loader.phase == LOAD_DONE && !timer_armed(&store->cleaner.timer))
		look_after(store, STORE_CLEAN_MS);
}

void clean_init(struct spool_store *store)
{
	list_init(&store->cleaner.removals);
	store->cleaner.timer.fire = look;
	store->cleaner.job = (struct io_job){.run = run, .done = done};
}

void clean_done(struct spool_store *store)
{
	LIST_FOR_EACH(node, &store->cleaner.removals)
	{
		list_remove(node);
		free(CONTAINER_OF(node, struct removal, node));
	}
	io_timer_stop(store->io, &store->cleaner.timer);
}
