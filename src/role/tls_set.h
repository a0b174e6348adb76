/*
 * What the supervisor read of the files that the start file names for TLS, as it is handed over in
 * sealed memory: the keys to role keys, all else to the workers. A key has a number, which is never
 * used again for another one while posternd runs.
 *
 *   IPC_KEYS           { u32 number, bytes32 PEM } …
 *   IPC_CERTIFICATES   a listener after the other: u16 place in config->listeners, u16 count,
 *                      bytes32 client CA; then count times bytes16 name, u32 number of its key,
 *                      bytes32 chain
 */
#ifndef ROLE_TLS_SET_H
#define ROLE_TLS_SET_H

#include "base/buf.h"
#include "base/cursor.h"
#include "directory/config.h"
#include "io/tls.h"

#define TLS_SET_BYTES	     (64u << 20)      /* of all files together */
#define TLS_SET_CERTIFICATES (CONFIG_SNI + 1) /* of a listener */
#define TLS_SET_KEYS	     ((size_t)CONFIG_LISTENERS * TLS_SET_CERTIFICATES)

void tls_set_put_key(struct buf *out, uint32_t number, struct span pem);
/* ERR_NOT_FOUND: that was all; ERR_CORRUPT. */
int tls_set_get_key(struct cursor *in, uint32_t *number, struct span *pem);

/* As tls_server_new() wants it, without a signer. Spans point into the set. */
struct tls_set_listener {
	uint16_t place;
	uint16_t count;
	struct span client_ca;
	struct tls_certificate certificates[TLS_SET_CERTIFICATES];
};

void tls_set_put_listener(struct buf *out, const struct tls_set_listener *listener);
int tls_set_get_listener(struct cursor *in, struct tls_set_listener *out);

#endif
