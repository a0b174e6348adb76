/* The spool as a whole: one posternd at a time, and numbers that no file had. */
#include "role/prepare.h"

#include "base/check.h"
#include "base/err.h"
#include "io/disk_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM    4096
#define LOCK_STEP_MS 100

int prepare_lock(const struct config *config, struct log *log, int *out_fd, struct buf *problem)
{
	char path[PATH_ROOM];
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000l};

	snprintf(path, sizeof(path), "%.*s/lock", (int)config->spool.n, config->spool.p);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int err = err_from_errno(errno);
		buf_printf(problem, "%s: cannot be opened: %s", path, strerror(errno));
		return err;
	}
	for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK || waited >= PREPARE_LOCK_MS) {
			buf_printf(problem,
				"%.*s: another posternd uses this spool; end it first, or give "
				"this one a spool of its own",
				(int)config->spool.n, config->spool.p);
			close(fd);
			return ERR_BUSY;
		}
		if (waited == 0)
			log_write(log, LOG_WARN,
				"another posternd uses this spool: waiting for it to end",
				LOG_SPAN("spool", config->spool));
		nanosleep(&step, NULL);
	}
	*out_fd = fd;
	return 0;
}

int prepare_serials(const struct config *config, uint8_t worker, struct spool_serials *out)
{
	char path[PATH_ROOM];
	struct disk *disk;
	struct timespec now;

	snprintf(path, sizeof(path), "%.*s", (int)config->spool.n, config->spool.p);
	int err = disk_posix_new(path, &disk);
	if (err)
		return err;
	clock_gettime(CLOCK_REALTIME, &now);
	err = spool_serials(disk, worker, (int64_t)now.tv_sec * 1000, out);
	disk_posix_free(&disk);
	return err;
}
