/*
 * Files of the system that roles need to know the contents of and cannot open themselves: Landlock
 * leaves a role the file that was there when it started, and such files are replaced by new ones of
 * the same name. The supervisor looks at them now and then, and hands the new one over.
 */
#ifndef ROLE_WATCH_H
#define ROLE_WATCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#define WATCH_MS 5000 /* between two looks */

struct watched {
	const char *path;
	/* of what was seen last; all zero: nothing was there */
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

/* What is there now is known. */
void watch_begin(struct watched *watched, const char *path);
/* True where there is another file, or it was changed, since the last call; *out_fd is then open
 * for reading, and the caller's. A file that is gone stays what it was. Symbolic links are
 * followed. */
bool watch_look(struct watched *watched, int *out_fd);

#endif
