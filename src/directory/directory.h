/*
 * The directory as the admin role holds it: the database, the present generation of objects, and
 * the snapshot for the other roles. Each change is: plan (pure), commit (durable), adopt.
 */
#ifndef DIRECTORY_DIRECTORY_H
#define DIRECTORY_DIRECTORY_H

#include "directory/objects.h"
#include "directory/store.h"

struct directory;

int directory_open(const char *path, struct directory **out, struct buf *why);
void directory_close(struct directory **directory);

/* Valid until the next directory_commit(). */
const struct objects *directory_objects(const struct directory *directory);
uint64_t directory_generation(const struct directory *directory);
struct store *directory_store(struct directory *directory);

/* Keeps the plan, which must have been made from the present objects, and adopts it; the plan is
 * freed in any case. On failure nothing changed and `why` says why. */
int directory_commit(struct directory *directory, struct plan **plan, struct span actor,
	int64_t now_ms, struct buf *why);

/* The present generation as a sealed memfd for snapshot_open(); the descriptor is the caller's. */
int directory_snapshot(const struct directory *directory, int *memfd);

/* The present secrets of a kind as a sealed memfd for secrets_open(); the descriptor is the
 * caller's. */
int directory_secrets_memfd(
	struct directory *directory, enum secret_kind kind, int *memfd, struct buf *why);
/* For plans and exports: reads the database, so it is slow for many. Valid while the directory is
 * open; the last value that was found is wiped with the next one, or when it is closed. */
struct secret_source directory_secrets(struct directory *directory);
/* 0, or what went wrong since the source was asked for: then it said "none" where there may be one,
 * and `why` gets a sentence. */
int directory_secrets_failed(const struct directory *directory, struct buf *why);

#endif
