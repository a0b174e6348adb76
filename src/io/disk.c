#include "io/disk.h"

#include "base/err.h"

int disk_write_all(struct io_file *file, struct iovec *parts, size_t count, uint64_t offset)
{
	while (count) {
		if (parts->iov_len == 0) {
			parts++;
			count--;
			continue;
		}
		int64_t wrote = disk_write(file, parts, count, offset);
		if (wrote < 0)
			return (int)wrote;
		if (wrote == 0)
			return ERR_IO;
		offset += (uint64_t)wrote;
		while (count && (uint64_t)wrote >= parts->iov_len) {
			wrote -= (int64_t)parts->iov_len;
			parts++;
			count--;
		}
		if (wrote) {
			parts->iov_base = (char *)parts->iov_base + wrote;
			parts->iov_len -= (size_t)wrote;
		}
	}
	return 0;
}
