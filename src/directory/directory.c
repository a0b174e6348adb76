#include "directory/directory.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"
#include "directory/snapshot_build.h"

#include <stdlib.h>

struct directory {
	struct store *store;
	struct objects *objects;
	uint64_t generation;
};

int directory_open(const char *path, struct directory **out, struct buf *why)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return ERR_NOMEM;
	int err = store_open(path, &directory->store, why);
	if (err == 0)
		err = store_load(
			directory->store, &directory->objects, &directory->generation, why);
	if (err < 0) {
		directory_close(&directory);
		return err;
	}
	*out = directory;
	return 0;
}

void directory_close(struct directory **directory)
{
	if (!*directory)
		return;
	objects_free(&(*directory)->objects);
	store_close(&(*directory)->store);
	free(*directory);
	*directory = NULL;
}

const struct objects *directory_objects(const struct directory *directory)
{
	return directory->objects;
}

uint64_t directory_generation(const struct directory *directory)
{
	return directory->generation;
}

struct store *directory_store(struct directory *directory)
{
	return directory->store;
}

int directory_commit(struct directory *directory, struct plan **plan, struct span actor,
	int64_t now_ms, struct buf *why)
{
	CHECK((*plan)->base == directory->objects);
	int err = store_commit(directory->store, *plan, actor, now_ms, &directory->generation, why);
	if (err < 0) {
		plan_free(plan);
		return err;
	}
	struct objects *next = plan_take(plan);
	objects_free(&directory->objects);
	directory->objects = next;
	return 0;
}

int directory_snapshot(const struct directory *directory, int *memfd)
{
	return snapshot_build(directory->objects, directory->generation, memfd);
}
