/* Secrets in sealed memory. */
#include "base/err.h"
#include "directory/secrets_inner.h"
#include "directory/snapshot_memfd.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int secrets_make_memfd(const struct secret *list, uint32_t count, int *out)
{
	struct buf bytes;

	buf_init(&bytes, SECRETS_BYTES);
	int err = secrets_encode(list, count, &bytes);
	if (err == 0)
		err = memfd_make("postern-secrets", buf_span(&bytes), out);
	if (bytes.p)
		explicit_bzero(bytes.p, bytes.room);
	buf_done(&bytes);
	return err;
}

static int map(int fd, struct secrets **out)
{
	struct span bytes;

	int err = memfd_map(fd, SECRETS_BYTES, &bytes);
	if (err < 0)
		return err;
	/* A core file is no place for passwords. Where the kernel cannot, it is as before. */
	madvise((void *)bytes.p, bytes.n, MADV_DONTDUMP);
	err = secrets_from_bytes(bytes, out);
	if (err < 0)
		memfd_unmap(bytes);
	else
		(*out)->unmap = memfd_unmap;
	return err;
}

int secrets_open(int memfd, struct secrets **out)
{
	if (memfd < 0)
		return ERR_CORRUPT;
	int err = map(memfd, out);
	close(memfd);
	return err;
}
