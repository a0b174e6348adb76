/*
 * Private keys in the one process that has them: it signs for those that speak with the network
 * (struct tls_signer, io/tls.h).
 */
#ifndef IO_TLS_KEY_H
#define IO_TLS_KEY_H

#include "io/tls.h"

struct tls_private_key;

/* From PEM, without a pass phrase: RSA, ECDSA or Ed25519. ERR_SYNTAX, with a sentence. */
int tls_private_key_new(struct span pem, struct tls_private_key **out, struct buf *problem);
void tls_private_key_free(struct tls_private_key **key);

/* What struct tls_signer is asked for. ERR_DENIED: this key does not sign in that way, or `in` is
 * not as long as the hash says (Ed25519: longer than TLS_SIGN_MESSAGE); SHA-1 is never signed.
 * ERR_NOMEM, ERR_IO. */
int tls_key_sign(struct tls_private_key *key, enum tls_signature kind, enum tls_hash hash,
	struct span in, uint8_t out[TLS_SIGN_OUT], size_t *out_bytes);

#endif
