/*
 * Trace files of workers that there are no more, since the start file has fewer of them now: nobody
 * else removes them when they are old. By their names alone: what lies there was a worker's, and is
 * not opened.
 */
#include "base/check.h"
#include "base/err.h"
#include "io/disk_posix.h"
#include "role/supervisor.h"
#include "trace/ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEFTOVERS_MS UINT64_C(3600000) /* between two looks */
#define PATH_ROOM    4096
#define DIGITS	     16 /* of a file's name: when it was begun */
#define NAMES_MOST   RING_FILES_MOST

struct looking {
	char (*names)[DIGITS + sizeof(RING_REFUSALS)];
	size_t count;
	uint64_t before_ms; /* what was begun then is too old */
};

static int each_name(void *arg, const char *name)
{
	struct looking *l = arg;

	if (strspn(name, "0123456789abcdef") != DIGITS ||
		(strcmp(name + DIGITS, RING_EVENTS) != 0 &&
			strcmp(name + DIGITS, RING_REFUSALS) != 0) ||
		strtoull(name, NULL, 16) >= l->before_ms)
		return 0;
	if (l->count == NAMES_MOST)
		return ERR_LIMIT; /* the others in an hour */
	snprintf(l->names[l->count++], sizeof(l->names[0]), "%s", name);
	return 0;
}

static void clean_folder(const char *path, struct looking *l)
{
	struct disk *disk;

	if (disk_posix_new(path, &disk) != 0)
		return;
	l->count = 0;
	(void)disk_list(disk, "", each_name, l);
	for (size_t i = 0; i < l->count; i++)
		(void)disk_unlink(disk, l->names[i]);
	disk_posix_free(&disk);
	/* Once it is empty. */
	(void)rmdir(path);
}

static void clean(const struct supervisor *sv)
{
	const struct config *config = sv->config;
	int64_t age_ms = (int64_t)(config->trace_age_ms + config->trace_age_ms / RING_FILES);
	int64_t before_ms = sv->io->wall_ms - age_ms;
	struct looking l = {.before_ms = before_ms > 0 ? (uint64_t)before_ms : 0};
	char path[PATH_ROOM];

	l.names = calloc(NAMES_MOST, sizeof(*l.names));
	for (uint32_t i = config->workers; i < CONFIG_WORKERS && l.names; i++) {
		snprintf(path, sizeof(path), "%.*s/smtpd-%u", (int)config->trace.n, config->trace.p,
			i);
		clean_folder(path, &l);
	}
	free(l.names);
}

static void look(struct timer *timer)
{
	struct supervisor *sv = CONTAINER_OF(timer, struct supervisor, leftovers_timer);

	clean(sv);
	(void)io_timer_after(sv->io, &sv->leftovers_timer, LEFTOVERS_MS);
}

void leftovers_watch(struct supervisor *sv)
{
	sv->leftovers_timer.fire = look;
	look(&sv->leftovers_timer);
}
