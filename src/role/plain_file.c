#include "role/plain_file.h"

#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 4096

static int take_file(int fd, size_t most, struct buf *out)
{
	struct stat st;
	size_t before = out->n;

	if (fstat(fd, &st) < 0)
		return err_from_errno(errno);
	if (!S_ISREG(st.st_mode))
		return ERR_UNSUPPORTED;
	for (;;) {
		char *to = buf_reserve(out, PLAIN_FILE_PIECE);
		ssize_t n = to ? read(fd, to, PLAIN_FILE_PIECE) : -1;

		if (!to)
			return ERR_LIMIT;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_from_errno(errno);
		if (n == 0)
			return 0;
		buf_wrote(out, (size_t)n);
		if (out->n - before > most)
			return ERR_LIMIT;
	}
}

int plain_file_read(struct span path, size_t most, struct buf *out)
{
	char name[PATH_ROOM];

	if (path.n >= sizeof(name))
		return ERR_LIMIT;
	memcpy(name, path.p, path.n);
	name[path.n] = '\0';
	/* A pipe would keep us waiting. */
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return err_from_errno(errno);
	int err = take_file(fd, most, out);
	close(fd);
	return err;
}
