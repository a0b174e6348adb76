/* The spool as a whole: one posternd at a time, and numbers that no file had. */
#include "role/prepare.h"

#include "base/check.h"
#include "base/err.h"

#include <dirent.h>
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

/* Eight hex digits at the beginning of a name. */
static bool serial_of(const char *name, uint32_t *out)
{
	uint32_t serial = 0;

	for (int i = 0; i < 8; i++) {
		char c = name[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
			    : c >= 'a' && c <= 'f' ? c - 'a' + 10
						   : -1;
		if (digit < 0)
			return false;
		serial = serial << 4 | (uint32_t)digit;
	}
	*out = serial;
	return true;
}

static void greatest_serial(int spool, const char *name, uint32_t *greatest)
{
	int fd = openat(spool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	uint32_t serial;

	if (!list) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (struct dirent *e; (e = readdir(list));)
		if (serial_of(e->d_name, &serial))
			*greatest = MAX(*greatest, serial);
	closedir(list);
}

int prepare_least_serial(const struct config *config, uint32_t *out)
{
	char path[PATH_ROOM];
	uint32_t greatest = 0;

	snprintf(path, sizeof(path), "%.*s", (int)config->spool.n, config->spool.p);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
	if (!list) {
		if (fd >= 0)
			close(fd);
		return ERR_IO;
	}
	for (struct dirent *e; (e = readdir(list));)
		if (e->d_name[0] == 'w' || e->d_name[0] == 'd')
			greatest_serial(fd, e->d_name, &greatest);
	closedir(list);
	*out = greatest == UINT32_MAX ? greatest : greatest + 1;
	return 0;
}
