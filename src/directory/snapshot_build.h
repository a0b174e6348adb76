/*
 * From objects to the bytes of a snapshot, and back from bytes in memory.
 */
#ifndef DIRECTORY_SNAPSHOT_BUILD_H
#define DIRECTORY_SNAPSHOT_BUILD_H

#include "base/buf.h"
#include "directory/objects.h"
#include "directory/snapshot.h"

#define SNAPSHOT_BYTES (1u << 30)

/* Pure. The same objects and generation give the same bytes. `out` must allow SNAPSHOT_BYTES. */
int snapshot_encode(const struct objects *objects, uint64_t generation, struct buf *out);

/* Encodes into a sealed memfd. The descriptor is the caller's. */
int snapshot_build(const struct objects *objects, uint64_t generation, int *memfd);

/* For tests and the simulator: the bytes stay the caller's until the last release. */
int snapshot_from_bytes(struct span bytes, struct snapshot **out);

#endif
