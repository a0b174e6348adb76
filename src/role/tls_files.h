/*
 * The supervisor reads the files with certificates and keys, which no other role may open: looks
 * whether they fit together, and makes what is handed over (role/tls_set.h).
 */
#ifndef ROLE_TLS_FILES_H
#define ROLE_TLS_FILES_H

#include "base/buf.h"
#include "directory/config.h"

#include <stdbool.h>
#include <sys/stat.h>

#define TLS_EXPIRY_WARN_MS (14 * INT64_C(86400000))

/* Of a file as it was read. */
struct tls_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct tls_expiry {
	struct span file; /* in the config */
	int64_t ms;
};

struct tls_files {
	int keys, certificates; /* sealed memory; -1: no listener has TLS */
	struct tls_stamp *stamps;
	size_t stamp_count; /* as tls_files_each() visits them */
	struct tls_expiry *expiries;
	size_t expiry_count;
};

/* `out` begins as TLS_FILES_NONE. *number: of the first key; what the next one has afterwards. An
 * error, and `problem` has a sentence for it; `warnings`: lines, with "\n". */
#define TLS_FILES_NONE ((struct tls_files){.keys = -1, .certificates = -1})
int tls_files_read(const struct config *config, uint32_t *number, struct tls_files *out,
	struct buf *problem, struct buf *warnings);
void tls_files_done(struct tls_files *files);

/* Is one of them another one than was read? `looked` has room for stamp_count, and gets what is
 * there now. */
bool tls_files_changed(
	const struct config *config, const struct tls_files *files, struct tls_stamp *looked);

/* Certificates that end soon, or have ended: lines. */
void tls_files_expiries(const struct tls_files *files, int64_t now_ms, struct buf *lines);

bool tls_files_wanted(const struct config *config);

#endif
