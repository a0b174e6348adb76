/*
 * A worker's way to signatures: struct tls_signer (io/tls.h) over a socket pair of its own, the
 * other end of which is role keys'. What is asked in one turn of the loop goes together, by
 * KEYS_SIGN_TOGETHER in a datagram.
 *
 * Bounds: the loop's (TLS_SIGNINGS); each ends within SIGNER_MS (ERR_TIMEOUT). When role keys is
 * gone, or sends what cannot be read, all end, with ERR_IO, and so does whatever is asked before
 * there is a new way. An answer that nobody waits for is passed over: it came too late.
 */
#ifndef ROLE_SIGNER_H
#define ROLE_SIGNER_H

#include "io/loop.h"
#include "io/tls.h"

#define SIGNER_MS 2000

struct signer {
	struct tls_signer base; /* first */
	struct loop *loop;
	struct io_channel *channel; /* NULL: there is none at the moment */
	struct list asked;	    /* in this turn */
	struct list sent;	    /* the oldest first */
	struct io_turn turn;
	struct timer timer; /* of the oldest, or of one that was answered since */
	uint32_t serial;
};

void signer_init(struct signer *signer, struct loop *loop);
/* The (new) way; takes the descriptor. */
int signer_open(struct signer *signer, int fd);
void signer_close(struct signer *signer);

#endif
