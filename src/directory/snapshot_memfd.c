#include "directory/snapshot_memfd.h"

#include "base/err.h"

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

int memfd_make(const char *name, struct span bytes, int *out)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return err_from_errno(errno);
	int err = write_all(fd, bytes);
	if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		err = err_from_errno(errno);
	if (err < 0) {
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int memfd_map(int fd, size_t most, struct span *out)
{
	struct stat info;

	/* Without the seals the sender could shorten the file under us, which is a SIGBUS. */
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & SEALS) != SEALS)
		return ERR_CORRUPT;
	if (fstat(fd, &info) < 0)
		return err_from_errno(errno);
	if (info.st_size <= 0 || (size_t)info.st_size > most)
		return ERR_CORRUPT;
	size_t length = (size_t)info.st_size;
	void *bytes = mmap(NULL, length, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return err_from_errno(errno);
	*out = span_of(bytes, length);
	return 0;
}

void memfd_unmap(struct span bytes)
{
	/* const is for the readers; the mapping is read-only in any case. */
	munmap((void *)bytes.p, bytes.n);
}
