/* The journal of a new life: where the old one ended, and the file to begin with. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

/*
 * The empty file that an earlier life set aside as its next one: with it, completions go through
 * even when the disk is full at the start. It gets a new salt, so that nothing older can be in it.
 */
static int adopt(struct spool_store *store, struct segment *segment, struct commit_file *out)
{
	struct disk *disk = store->config.disk;
	struct commit_file made = {.id = segment->id, .step = COMMIT_FILE_MADE};
	char path[FORMAT_PATH], dir[FORMAT_PATH], page[FORMAT_PAGE];
	struct iovec part = {page, sizeof(page)};

	made.id.salt = io_random(store->io);
	format_log_path(path, made.id.owner, made.id.serial);
	format_dir(dir, made.id.owner);
	format_put_page(page, &made.id);
	int err = disk_open(disk, path, DISK_READ | DISK_WRITE, &made.io);
	if (err)
		return err;
	/* It has what it was given then; more is welcome. */
	disk_allocate(made.io, store->config.segment_bytes);
	err = disk_write_all(made.io, &part, 1, 0);
	if (err == 0)
		err = disk_sync(made.io);
	if (err == 0)
		err = disk_sync_dir(disk, dir);
	if (err) {
		disk_close(&made.io);
		return err;
	}
	*out = made;
	return 0;
}

static bool is_empty(struct spool_store *store, struct segment *segment)
{
	return segment->end == FORMAT_PAGE && !segment->damaged && !segment->removing &&
	       index_open(&store->index, segment) == 0 && disk_size(segment->io) == FORMAT_PAGE;
}

int journal_open(struct spool_store *store)
{
	struct journal *journal = &store->journal;
	struct spool_index *index = &store->index;
	struct commit_file first = {0};
	uint32_t least = 1;

	/* Where an old file could not be read, it may yet hold messages. */
	bool hidden = store->loader.damaged[SPOOL_OWNER_DELIVERY];
	for (size_t i = index_first(index, SPOOL_OWNER_DELIVERY); i < index->count; i++) {
		const struct segment *segment = index->segments[i];
		least = segment->id.serial + 1;
		hidden = hidden || segment->hidden;
		if (segment->end > FORMAT_PAGE) {
			/* The new file says for good that the old ones end where they were read to.
			 */
			journal->log.valid_serial = segment->id.serial;
			journal->log.valid_end = segment->end;
		}
	}
	if (hidden)
		journal->log.valid_serial = 0;
	journal->unproven = journal->log.valid_serial != 0;
	struct segment *last = index_find(index, SPOOL_OWNER_DELIVERY, least - 1);
	if (last && is_empty(store, last) && adopt(store, last, &first) == 0)
		index_drop_segment(index, last);
	/* Nobody else makes names in this folder: they are believed as they are. */
	log_number(&journal->log, &(struct spool_serials){.least = least, .base = least});
	int err = log_open(&journal->log, &first);
	if (err)
		return err;
	journal->open = true;
	if (journal_lacks_proof(journal))
		journal_stir(store);
	if (journal->log.health != SPOOL_WELL && store->config.handler->health)
		store->config.handler->health(store->config.context, journal->log.health);
	return 0;
}
