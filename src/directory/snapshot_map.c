/* Snapshots in sealed memory: the part that speaks to the kernel. */
#include "base/err.h"
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int write_all(int fd, struct span bytes)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_from_errno(errno) : ERR_IO;
		bytes = span_skip(bytes, (size_t)n);
	}
	return 0;
}

int snapshot_build(const struct objects *objects, uint64_t generation, int *memfd)
{
	struct buf bytes;
	int fd = -1;

	buf_init(&bytes, SNAPSHOT_BYTES);
	int err = snapshot_encode(objects, generation, &bytes);
	if (err == 0) {
		fd = memfd_create("postern-directory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		err = fd < 0 ? err_from_errno(errno) : write_all(fd, buf_span(&bytes));
	}
	if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		err = err_from_errno(errno);
	buf_done(&bytes);
	if (err < 0) {
		if (fd >= 0)
			close(fd);
		return err;
	}
	*memfd = fd;
	return 0;
}

static void unmap(const char *bytes, size_t length)
{
	/* const is for the readers; the mapping is read-only in any case. */
	munmap((void *)bytes, length);
}

static int map(int fd, struct snapshot **out)
{
	struct stat info;

	/* Without the seals the sender could shorten the file under us, which is a SIGBUS. */
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return ERR_CORRUPT;
	if (fstat(fd, &info) < 0)
		return err_from_errno(errno);
	if (info.st_size <= 0 || info.st_size > SNAPSHOT_BYTES)
		return ERR_CORRUPT;
	size_t length = (size_t)info.st_size;
	const char *bytes = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return err_from_errno(errno);
	int err = snapshot_from_bytes(span_of(bytes, length), out);
	if (err < 0)
		unmap(bytes, length);
	else
		(*out)->unmap = unmap;
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
