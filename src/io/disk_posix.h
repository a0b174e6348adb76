/*
 * The real disk: files below one directory, reached by its descriptor, so that neither a rename of
 * that directory nor a symbolic link below it leads elsewhere. Usable from several threads; a file
 * belongs to one thread at a time, but for reading.
 */
#ifndef IO_DISK_POSIX_H
#define IO_DISK_POSIX_H

#include "io/disk.h"

/* The directory must be there. */
int disk_posix_new(const char *root, struct disk **out);
/* All files must be closed. */
void disk_posix_free(struct disk **disk);

/* The descriptor of one of its files, for sendfile(); it stays the file's. Negative where the file
 * is another disk's. */
int disk_posix_fd(const struct io_file *file);

#endif
