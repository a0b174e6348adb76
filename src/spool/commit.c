#include "spool/commit.h"

#include "base/err.h"
#include "spool/spool.h"

#include <limits.h>

#define CREATE_TRIES 4096 /* serials that may be taken already */

/* ---- files ------------------------------------------------------------------------------ */

int commit_make_dir(struct disk *disk, uint8_t owner)
{
	char logs[FORMAT_PATH], bodies[FORMAT_PATH];

	format_dir(logs, owner);
	format_body_dir(bodies, owner);
	int made = disk_make_dir(disk, logs);
	if (made != 0 && made != ERR_EXISTS)
		return made;
	int made_too = strcmp(logs, bodies) == 0 ? ERR_EXISTS : disk_make_dir(disk, bodies);
	if (made_too != 0 && made_too != ERR_EXISTS)
		return made_too;
	int err = disk_sync_dir(disk, "");
	/* A worker may be kept from the spool's root; whoever made the directories has synced them
	 * then. */
	bool were_there = made == ERR_EXISTS && made_too == ERR_EXISTS;
	return were_there && err == ERR_DENIED ? 0 : err;
}

/* Who writes a log needs not read it: a worker may not. */
static int open_new(struct disk *disk, struct commit_file *file)
{
	unsigned flags = DISK_WRITE | DISK_CREATE | DISK_EXCLUSIVE;
	char path[FORMAT_PATH];

	for (int tries = 0; tries < CREATE_TRIES && file->id.serial; tries++) {
		format_log_path(path, file->id.owner, file->id.serial);
		int err = disk_open(disk, path, flags, &file->io);
		if (err == 0)
			file->step = COMMIT_FILE_OPEN;
		if (err != ERR_EXISTS)
			return err;
		if (file->id.serial == UINT32_MAX)
			return ERR_LIMIT;
		file->id.serial++;
	}
	return ERR_LIMIT;
}

static int make_durable(struct disk *disk, const struct commit_file *file)
{
	char dir[FORMAT_PATH];

	format_dir(dir, file->id.owner);
	int err = disk_sync(file->io);
	return err ? err : disk_sync_dir(disk, dir);
}

/* What a failed sync has left in it nobody knows. */
static void give_up(struct disk *disk, struct commit_file *file)
{
	char path[FORMAT_PATH];

	disk_close(&file->io);
	file->step = COMMIT_FILE_NONE;
	format_log_path(path, file->id.owner, file->id.serial);
	if (file->id.owner == SPOOL_OWNER_DELIVERY)
		disk_unlink(disk, path);
}

static int name_it(struct disk *disk, struct commit_file *file)
{
	char page[FORMAT_PAGE];
	struct iovec part = {page, sizeof(page)};

	format_put_page(page, &file->id);
	int err = disk_write_all(file->io, &part, 1, 0);
	if (err == ERR_NO_SPACE)
		return err;
	if (err == 0)
		err = make_durable(disk, file);
	if (err)
		give_up(disk, file);
	else
		file->step = COMMIT_FILE_NAMED;
	return err;
}

int commit_create(struct disk *disk, uint64_t allocate, struct commit_file *file)
{
	int err = 0;

	if (file->step == COMMIT_FILE_NONE)
		err = open_new(disk, file);
	if (err == 0 && file->step == COMMIT_FILE_OPEN)
		err = name_it(disk, file);
	if (err == 0 && file->step == COMMIT_FILE_NAMED) {
		/* A file system that cannot set space aside still makes a log; it only has no
		 * reserve. */
		err = disk_allocate(file->io, allocate);
		err = err == ERR_UNSUPPORTED ? 0 : err;
		file->step = err ? COMMIT_FILE_NAMED : COMMIT_FILE_MADE;
	}
	return err;
}

/* ---- failure ---------------------------------------------------------------------------- */

/*
 * Makes what was written unfindable: its header is overwritten, durably. Where not even the header
 * page could be written (no block for it), there is nothing to be found either.
 */
static int make_void(struct commit *c, bool wrote_any)
{
	char header[FORMAT_BATCH_HEADER];
	struct iovec part = {header, sizeof(header)};
	struct format_batch none = c->batch;

	none.kind = FORMAT_VOID;
	none.length = FORMAT_BATCH_HEADER;
	none.records_bytes = none.record_count = none.message_count = 0;
	none.records_hash = 0;
	format_put_batch(header, &none, c->id.salt);
	int err = disk_write_all(c->file, &part, 1, c->batch.offset);
	if (err == ERR_NO_SPACE && !wrote_any)
		return 0;
	if (err)
		return err;
	c->syncs++;
	return disk_sync(c->file);
}

/* A batch of no records in another file: its header says where the log ended before it. */
static int seal(struct commit *c)
{
	char header[FORMAT_BATCH_HEADER];
	struct iovec part = {header, sizeof(header)};

	if (c->spare.step != COMMIT_FILE_MADE) {
		int err = commit_create(c->disk, c->allocate, &c->spare);
		if (err)
			return err;
		c->syncs++;
	}
	struct format_batch batch = {
		.kind = FORMAT_BATCH,
		.serial = c->spare.id.serial,
		.owner = c->spare.id.owner,
		.offset = FORMAT_PAGE,
		.length = FORMAT_BATCH_HEADER,
		.records_hash = format_hash(SPAN(""), c->spare.id.salt),
		.before_serial = c->valid_serial,
		.before_end = c->valid_end,
	};
	format_put_batch(header, &batch, c->spare.id.salt);
	int err = disk_write_all(c->spare.io, &part, 1, FORMAT_PAGE);
	c->syncs++;
	if (err == 0)
		err = disk_sync(c->spare.io);
	if (err) {
		disk_close(&c->spare.io);
		c->spare.step = COMMIT_FILE_NONE;
	}
	return err;
}

/* ---- the batch -------------------------------------------------------------------------- */

/* Like disk_write_all(), and says whether any byte went out. */
static int write_batch(struct commit *c, bool *wrote_any)
{
	struct iovec *part = c->parts;
	size_t left = c->part_count;
	uint64_t offset = c->batch.offset;

	*wrote_any = false;
	while (left) {
		if (!part->iov_len) {
			part++;
			left--;
			continue;
		}
		int64_t n = disk_write(c->file, part, left, offset);
		if (n <= 0)
			return n < 0 ? (int)n : ERR_IO;
		*wrote_any = true;
		offset += (uint64_t)n;
		for (; left && (uint64_t)n >= part->iov_len; part++, left--)
			n -= (int64_t)part->iov_len;
		if (n) {
			part->iov_base = (char *)part->iov_base + n;
			part->iov_len -= (size_t)n;
		}
	}
	return 0;
}

void commit_run(struct commit *c)
{
	bool wrote_any;

	c->syncs = 0;
	c->outcome = COMMIT_DURABLE;
	c->err = write_batch(c, &wrote_any);
	if (c->err == 0) {
		c->syncs++;
		c->err = disk_sync(c->file);
		/* Somebody removed the log, or all of the spool: nobody will find the batch. */
		if (c->err == 0 && !disk_linked(c->file))
			c->err = ERR_NOT_FOUND;
		if (c->err == 0)
			return;
	} else if (c->err == ERR_NO_SPACE && make_void(c, wrote_any) == 0) {
		c->outcome = COMMIT_REFUSED;
		return;
	}
	/* The file is not touched again: after a failed sync nobody knows what it holds. */
	c->outcome = seal(c) == 0 ? COMMIT_SEALED : COMMIT_DOUBT;
}
