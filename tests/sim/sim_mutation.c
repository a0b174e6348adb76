/* Promises that are broken on purpose: their names, and those that are not broken in sim_rdisk.c.
 */
#include "sim_rdisk.h"
#include "spool/format.h"

#include <stdio.h>

static const char *const names[SIM_MUTATIONS] = {
	[MUTATION_NONE] = "none",
	[MUTATION_NO_SYNC] = "no-sync",
	[MUTATION_NO_SYNC_DIR] = "no-sync-dir",
	[MUTATION_NO_JOURNAL] = "no-journal",
	[MUTATION_LATE_SYNC] = "late-sync",
	[MUTATION_NO_SEAL] = "no-seal",
	[MUTATION_FLIP_READ] = "flip-read",
	[MUTATION_LOSE_NOTICE] = "lose-notice",
	[MUTATION_RETRY_SYNC] = "retry-sync",
	[MUTATION_FORGET_DONE] = "forget-done",
	[MUTATION_UNLINK_EARLY] = "unlink-early",
	[MUTATION_NO_PROOF] = "no-proof",
	[MUTATION_NO_EXTENT] = "no-extent",
	[MUTATION_FORGET_HOLD] = "forget-hold",
	[MUTATION_COUNT_PAUSE] = "count-pause",
	[MUTATION_DROP_PARTLY] = "drop-partly",
	[MUTATION_DROP_DSN] = "drop-dsn",
	[MUTATION_IN_CLEAR] = "in-clear",
	[MUTATION_ANY_CERTIFICATE] = "any-certificate",
	[MUTATION_ANY_HOST] = "any-host",
	[MUTATION_NO_TLSA] = "no-tlsa",
	[MUTATION_TAKE_INJECTED] = "take-injected",
	[MUTATION_STALE_LINKS] = "stale-links",
	[MUTATION_FORGET_POLICIES] = "forget-policies",
	[MUTATION_RELAX_ALL] = "relax-all",
	[MUTATION_ACCEPT_NO] = "accept-no",
	[MUTATION_KEEP_STATE] = "keep-state",
	[MUTATION_TAKE_EARLY] = "take-early",
	[MUTATION_TRUST_PROXY] = "trust-proxy",
	[MUTATION_UNKNOWN_HOPS] = "unknown-hops",
	[MUTATION_ANY_SENDER] = "any-sender",
	[MUTATION_OPEN_RELAY] = "open-relay",
};

const char *sim_mutation_name(enum sim_mutation mutation)
{
	return names[mutation];
}

enum sim_mutation sim_mutation_parse(const char *name)
{
	enum sim_mutation i = MUTATION_NONE;

	while (i < SIM_MUTATIONS && strcmp(names[i], name) != 0)
		i++;
	return i;
}

#define NAME_BYTES 64

struct newest {
	char name[NAME_BYTES], before[NAME_BYTES]; /* the last one before that; "": of all */
};

static int find_newest(void *arg, const char *name)
{
	struct newest *newest = arg;

	if (strstr(name, ".log") && strcmp(name, newest->name) > 0 &&
		(!*newest->before || strcmp(name, newest->before) < 0))
		snprintf(newest->name, NAME_BYTES, "%.60s", name);
	return 0;
}

/* Of the newest file that holds any records: the one made in advance is empty. */
void sim_mutate_forget_done(struct sim_disk *spool)
{
	struct disk *disk = sim_disk_base(spool);
	struct newest newest = {0};
	bool empty = true;

	while (empty) {
		char path[96];
		struct io_file *file;

		memcpy(newest.before, newest.name, NAME_BYTES);
		*newest.name = 0;
		(void)disk_list(disk, "d", find_newest, &newest);
		snprintf(path, sizeof(path), "d/%.60s", newest.name);
		if (!*newest.name || disk_open(disk, path, DISK_READ | DISK_WRITE, &file) != 0)
			return;
		empty = disk_size(file) <= FORMAT_PAGE;
		(void)disk_truncate(file, FORMAT_PAGE);
		(void)disk_sync(file);
		disk_close(&file);
	}
}
