/* Which log files there are, and what they say about each other. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct listing {
	struct spool_store *store;
	uint8_t owner;
};

static int add_orphan(struct loader *loader, struct store_orphan orphan)
{
	if (loader->orphan_count == loader->orphan_room) {
		size_t room = loader->orphan_room ? loader->orphan_room * 2 : 64;
		struct store_orphan *orphans = realloc(loader->orphans, room * sizeof(*orphans));
		if (!orphans)
			return ERR_NOMEM;
		loader->orphans = orphans;
		loader->orphan_room = room;
	}
	loader->orphans[loader->orphan_count++] = orphan;
	return 0;
}

static int on_name(void *arg, const char *name)
{
	const struct listing *listing = arg;
	uint32_t serial, number;

	if (format_parse_name(name, &serial, &number) != FORMAT_NAME_LOG)
		return 0;
	return store_add_log(listing->store, listing->owner, serial);
}

static int on_body(void *arg, const char *name)
{
	const struct listing *listing = arg;
	uint32_t serial, number;

	if (format_parse_name(name, &serial, &number) != FORMAT_NAME_BODY)
		return 0;
	return add_orphan(&listing->store->loader,
		(struct store_orphan){listing->owner, serial, number, false});
}

int store_list_logs(struct spool_store *store, uint8_t owner)
{
	struct listing listing = {store, owner};
	char dir[FORMAT_PATH];

	format_dir(dir, owner);
	return disk_list(store->config.disk, dir, on_name, &listing);
}

int store_list_bodies(struct spool_store *store, uint8_t owner)
{
	struct listing listing = {store, owner};
	char dir[FORMAT_PATH];

	format_body_dir(dir, owner);
	int err = disk_list(store->config.disk, dir, on_body, &listing);
	return err == ERR_NOT_FOUND ? 0 : err;
}

void store_report_file(struct spool_store *store, uint8_t owner, uint32_t serial, const char *what)
{
	char path[FORMAT_PATH];

	/* Who makes such files by the thousand must not fill the trace with them. */
	if (store->file_reports[owner] >= STORE_FILE_REPORTS)
		return;
	store->file_reports[owner]++;
	format_log_path(path, owner, serial);
	store->config.handler->damaged(store->config.context, 0, path, 0, what);
}

/* It is looked for again when some of the others are gone. */
static int too_many(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	if (owner < SPOOL_WORKERS_MOST && !store->intake.strays[owner]) {
		store->intake.strays[owner] = true;
		store_report_file(store, owner, serial,
			"this log has too many files: some of them wait until others are gone");
	}
	return 0;
}

int store_add_log(struct spool_store *store, uint8_t owner, uint32_t serial)
{
	struct io_file *io;
	struct format_file id;
	struct segment *segment;
	char path[FORMAT_PATH];

	if (index_find(&store->index, owner, serial))
		return 0;
	if (index_last(&store->index, owner) - index_first(&store->index, owner) >=
		INDEX_FILES_MOST)
		return too_many(store, owner, serial);
	format_log_path(path, owner, serial);
	int err = disk_open(store->config.disk, path, DISK_READ, &io);
	if (err == ERR_NOT_FOUND)
		return 0;
	int64_t size = -1;
	if (err == 0) {
		err = walk_page(io, owner, serial, &id);
		size = disk_size(io);
		disk_close(&io);
	}
	if (err == ERR_NOMEM)
		return err;
	/* Made, but never finished: nothing can be in it. */
	if (err && size >= 0 && size <= FORMAT_PAGE)
		return add_orphan(&store->loader, (struct store_orphan){owner, serial, 0, true});
	if (err == ERR_CORRUPT) {
		store->loader.damaged[owner] = true;
		store_report_file(store, owner, serial, "the file's header is damaged");
		return 0;
	}
	/* Its path says enough for what the journal knows of it; all else is read later. */
	bool headless = err != 0;
	if (headless)
		id = (struct format_file){.serial = serial, .owner = owner};
	err = index_add_segment(&store->index, &id, &segment);
	if (err == 0)
		segment->headless = headless;
	return err == ERR_LIMIT ? too_many(store, owner, serial) : err;
}

static int on_dir(void *arg, const char *name)
{
	struct spool_store *store = arg;
	uint8_t owner;

	enum format_dir kind = format_parse_dir(name, &owner);
	if (kind == FORMAT_DIR_OTHER)
		return 0;
	/* What is not listed must not come back: the marks about it are forgotten. */
	int err = disk_sync_dir(store->config.disk, name);
	if (err)
		return err;
	return kind == FORMAT_DIR_LOGS ? store_list_logs(store, owner)
				       : store_list_bodies(store, owner);
}

/* Where a writer is that nothing was heard of, nobody knows: any of its files may be the one that
 * it writes to. Its first notice, or its end, says more. */
static bool may_be_written(
	const struct spool_store *store, const struct spool_notice *live, uint32_t serial)
{
	return !live->serial || serial == live->serial ||
	       store_is_ahead(store, live->owner, serial);
}

static void take_live(struct spool_store *store, const struct spool_notice *live, size_t count)
{
	struct spool_index *index = &store->index;

	for (size_t i = 0; i < index->count; i++)
		index->segments[i]->closed = true;
	for (size_t i = 0; i < count; i++) {
		uint8_t owner = live[i].owner;
		if (owner >= SPOOL_WORKERS_MOST)
			continue;
		store->loader.live[owner] = true;
		store->loader.unheard[owner] = !live[i].serial;
		store->newest[owner] = live[i].serial;
		for (size_t j = index_first(index, owner);
			j < index->count && index->segments[j]->id.owner == owner; j++) {
			struct segment *segment = index->segments[j];
			if (!may_be_written(store, &live[i], segment->id.serial))
				continue;
			bool current = segment->id.serial == live[i].serial;
			segment->closed = false;
			uint64_t durable = current ? live[i].durable : 0;
			segment->limit = MAX(durable, FORMAT_PAGE);
			segment->proven = durable;
		}
	}
}

int store_scan(struct spool_store *store, const struct spool_notice *live, size_t live_count)
{
	struct spool_index *index = &store->index;

	/* A second try begins anew. */
	while (index->count)
		index_drop_segment(index, index->segments[index->count - 1]);
	store->loader.orphan_count = 0;
	memset(store->loader.live, 0, sizeof(store->loader.live));
	memset(store->loader.unheard, 0, sizeof(store->loader.unheard));
	memset(store->loader.damaged, 0, sizeof(store->loader.damaged));
	memset(store->newest, 0, sizeof(store->newest));
	memset(store->intake.anew, 0, sizeof(store->intake.anew));
	memset(store->intake.strays, 0, sizeof(store->intake.strays));
	int err = disk_list(store->config.disk, "", on_dir, store);
	if (err)
		return err;
	take_live(store, live, live_count);
	index->loading = true;
	return 0;
}
