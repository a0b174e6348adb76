/* Reads the start file: the only part of the config that touches the disk. */
#include "base/err.h"
#include "directory/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTROL_ARENA (64u << 20) /* bytes: of a document that is read for one field */

static int read_all(int fd, struct buf *text)
{
	for (;;) {
		char *at = buf_reserve(text, 4096);
		if (!at)
			return ERR_LIMIT;
		ssize_t n = read(fd, at, 4096);
		if (n == 0)
			return 0;
		if (n > 0)
			buf_wrote(text, (size_t)n);
		else if (errno != EINTR)
			return err_from_errno(errno);
	}
}

static int load(const char *path, struct buf *text)
{
	struct stat info;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return err_from_errno(errno);
	int err = fstat(fd, &info) < 0 ? err_from_errno(errno) : 0;
	if (err == 0 && S_ISDIR(info.st_mode))
		err = ERR_UNSUPPORTED;
	if (err == 0)
		err = read_all(fd, text);
	close(fd);
	return err;
}

/* `real` gives room. */
static struct span folder_of(const char *path, char real[PATH_MAX])
{
	struct span folder = span_str(realpath(path, real) ? real : path);

	while (folder.n && folder.p[folder.n - 1] != '/')
		folder.n--;
	return folder;
}

int config_load(const char *path, struct config **out, struct buf *problems)
{
	struct buf text;
	char real[PATH_MAX];

	buf_init(&text, CONFIG_BYTES + 4096 + 1);
	int err = load(path, &text);
	if (err < 0) {
		buf_printf(problems, "%s: cannot be read: %s\n", path,
			err == ERR_LIMIT ? "a start file is at most 1M long" : err_text(err));
	} else {
		err = config_parse_in(path, folder_of(path, real), buf_span(&text), out, problems);
	}
	buf_done(&text);
	return err;
}

char *config_load_control(const char *path)
{
	struct span control = SPAN_NONE;
	struct arena arena;
	struct buf text;
	char real[PATH_MAX];
	char *out = NULL;

	buf_init(&text, CONFIG_BYTES + 4096 + 1);
	arena_init(&arena, CONTROL_ARENA);
	if (!load(path, &text))
		control = config_find_control(folder_of(path, real), buf_span(&text), &arena);
	if (control.n)
		out = strndup(control.p, control.n);
	arena_reset(&arena);
	buf_done(&text);
	return out;
}
