/*
 * Sealed memory: bytes that a role hands to others, which neither side can change afterwards.
 */
#ifndef DIRECTORY_SNAPSHOT_MEMFD_H
#define DIRECTORY_SNAPSHOT_MEMFD_H

#include "base/span.h"

#include <stddef.h>

/* The descriptor is the caller's. `name` is seen in /proc alone. */
int memfd_make(const char *name, struct span bytes, int *out);
/* Maps it read-only; the descriptor stays the caller's. ERR_CORRUPT: without seals, empty, or
 * longer than `most`. */
int memfd_map(int fd, size_t most, struct span *out);
void memfd_unmap(struct span bytes);

#endif
