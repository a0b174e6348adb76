/*
 * A worker's way to signatures: struct tls_signer (io/tls.h) over a socket pair of its own, the
 * other end of which is role keys'. The one place where a worker waits: for SIGNER_MS at most, and
 * then not again for SIGNER_REST_MS, in which handshakes fail at once.
 */
#ifndef ROLE_SIGNER_H
#define ROLE_SIGNER_H

#include "io/io.h"
#include "io/tls.h"

#define SIGNER_MS      2000
#define SIGNER_REST_MS 5000

struct signer {
	struct tls_signer base; /* first */
	struct io *io;
	int fd; /* -1: there is none at the moment */
	uint32_t serial;
	uint64_t rest_until_ns;
};

void signer_init(struct signer *signer, struct io *io);
/* The (new) way; takes the descriptor. */
void signer_open(struct signer *signer, int fd);
void signer_close(struct signer *signer);

#endif
