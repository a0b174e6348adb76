/* Snapshots in sealed memory. */
#include "base/err.h"
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"
#include "directory/snapshot_memfd.h"

#include <unistd.h>

int snapshot_build(const struct objects *objects, uint64_t generation, int *memfd)
{
	struct buf bytes;

	buf_init(&bytes, SNAPSHOT_BYTES);
	int err = snapshot_encode(objects, generation, &bytes);
	if (err == 0)
		err = memfd_make("postern-directory", buf_span(&bytes), memfd);
	buf_done(&bytes);
	return err;
}

static int map(int fd, struct snapshot **out)
{
	struct span bytes;

	int err = memfd_map(fd, SNAPSHOT_BYTES, &bytes);
	if (err < 0)
		return err;
	err = snapshot_from_bytes(bytes, out);
	if (err < 0)
		memfd_unmap(bytes);
	else
		(*out)->unmap = memfd_unmap;
	return err;
}

int snapshot_open(int memfd, struct snapshot **out)
{
	if (memfd < 0)
		return ERR_CORRUPT;
	int err = map(memfd, out);
	close(memfd);
	return err;
}
