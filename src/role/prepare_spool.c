/* The spool as a whole: one posternd at a time, and numbers that no file had. */
#include "role/prepare.h"

#include "base/check.h"
#include "base/err.h"
#include "io/disk_posix.h"
#include "io/room.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM    4096
#define LOCK_STEP_MS 100

/* What its holder does, for who waits for it: a few bytes that are written over each other, so that
 * they can be on a full disk as well. */
static const char runs[] = "runs\n", ends[] = "ends\n";

static void say_state(int fd, const char *state)
{
	/* Where it cannot be written who waits is patient. */
	(void)!pwrite(fd, state, sizeof(runs) - 1, 0);
}

/* One that works will not end by being waited for. */
static bool holder_runs(int fd)
{
	char state[sizeof(runs) - 1];

	return pread(fd, state, sizeof(state), 0) == (ssize_t)sizeof(state) &&
	       memcmp(state, runs, sizeof(state)) == 0;
}

void prepare_lock_ends(int fd)
{
	say_state(fd, ends);
}

static int wait_for_lock(int fd, const sigset_t *stop, const struct config *config, struct log *log,
	struct buf *problem)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000l};

	for (uint32_t waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
		bool held = errno == EWOULDBLOCK;
		uint32_t most = holder_runs(fd) ? PREPARE_LOCK_MS : PREPARE_LOCK_END_MS;

		if (!held || waited >= most) {
			buf_printf(problem,
				"%.*s: another posternd uses this spool; end it first, or give "
				"this one a spool of its own",
				(int)config->spool.n, config->spool.p);
			return ERR_BUSY;
		}
		if (waited == 0)
			log_write(log, LOG_WARN,
				"another posternd uses this spool: waiting for it to end",
				LOG_SPAN("spool", config->spool));
		if (sigtimedwait(stop, NULL, &step) > 0)
			return ERR_CANCELED;
	}
	return 0;
}

int prepare_lock(const struct config *config, struct log *log, int *out_fd, struct buf *problem)
{
	char path[PATH_ROOM];
	sigset_t stop, before;

	snprintf(path, sizeof(path), "%.*s/lock", (int)config->spool.n, config->spool.p);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		int err = err_from_errno(errno);
		buf_printf(problem, "%s: cannot be opened: %s", path, strerror(errno));
		return err;
	}
	/* There is no loop yet that would hear them, and the wait may be long. */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigprocmask(SIG_BLOCK, &stop, &before);
	int err = wait_for_lock(fd, &stop, config, log, problem);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (err) {
		close(fd);
		return err;
	}
	say_state(fd, runs);
	*out_fd = fd;
	return 0;
}

bool prepare_room(const struct config *config, struct buf *out)
{
	char path[PATH_ROOM];
	struct room room;

	snprintf(path, sizeof(path), "%.*s", (int)config->spool.n, config->spool.p);
	/* Who may not look says nothing. */
	uint64_t files = config_reserve_files(config);
	return room_look(path, files * config->segment_bytes, &room) != 0 ||
	       !room_lacks(&room, files, config->segment_bytes, out);
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
