#include "directory/directory.h"

#include "base/check.h"
#include "base/err.h"
#include "codec/fixed_buf.h"
#include "directory/objects_inner.h"
#include "directory/snapshot_build.h"

#include <stdlib.h>
#include <string.h>

struct directory {
	struct store *store;
	struct objects *objects;
	uint64_t generation;
	char found[SECRET_BYTES]; /* the secret that was asked for last */
	int secrets_failed;
	struct buf secrets_why;
};

#define SECRETS_WHY 1000u

int directory_open(const char *path, struct directory **out, struct buf *why)
{
	struct directory *directory = calloc(1, sizeof(*directory));

	if (!directory)
		return ERR_NOMEM;
	buf_init(&directory->secrets_why, SECRETS_WHY);
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
	buf_done(&(*directory)->secrets_why);
	explicit_bzero((*directory)->found, sizeof((*directory)->found));
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

int directory_secrets_memfd(
	struct directory *directory, enum secret_kind kind, int *memfd, struct buf *why)
{
	return store_secrets_memfd(directory->store, kind, memfd, why);
}

static struct span find_secret(void *context, enum secret_kind kind, struct span name)
{
	struct directory *directory = context;

	explicit_bzero(directory->found, sizeof(directory->found));
	struct buf value = fixed_buf(directory->found, sizeof(directory->found));
	int err = store_secret(directory->store, kind, name, &value, &directory->secrets_why);
	if (err < 0 && err != ERR_NOT_FOUND)
		directory->secrets_failed = err;
	return err ? SPAN_NONE : buf_span(&value);
}

struct secret_source directory_secrets(struct directory *directory)
{
	directory->secrets_failed = 0;
	buf_clear(&directory->secrets_why);
	return (struct secret_source){find_secret, directory};
}

int directory_secrets_failed(const struct directory *directory, struct buf *why)
{
	if (directory->secrets_failed)
		buf_add_span(why, buf_span(&directory->secrets_why));
	return directory->secrets_failed;
}
