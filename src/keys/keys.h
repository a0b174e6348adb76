/*
 * Who knows the passwords: answers what smtpd asks (smtpd/auth.h), for all workers together. On
 * struct io; role/role_keys.c gives it channels.
 *
 * Questions about passwords are hashed one at a time on IO_LANE_HASH, the workers in turn, so that
 * one that was taken over takes nobody else's turn; who logged in lately from the same address goes
 * first. SCRAM costs next to nothing and is answered at once.
 *
 * Bounds: KEYS_QUESTIONS of a worker wait at a time, KEYS_STRANGERS of them of others; more are
 * answered AUTH_LATER.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "directory/config.h"
#include "directory/secrets.h"
#include "io/io.h"
#include "keys/verify.h"

#define KEYS_QUESTIONS 64
#define KEYS_STRANGERS 48

struct keys;

struct keys_config {
	struct io *io;
	uint8_t secret[VERIFY_SECRET]; /* of this gateway, kept for good */
	void *context;
	/* May this account (canonical) log in, says the directory? One that may not is treated
	 * like one that there is not. */
	bool (*enabled)(void *context, struct span account);
	void (*answer)(void *context, uint8_t worker, uint32_t request, struct span answer);
};

int keys_new(const struct keys_config *config, struct keys **out);
/* No job may be under way (keys_idle()). */
void keys_free(struct keys **keys);
bool keys_idle(const struct keys *keys);

/* Takes them over; NULL: none are known. Before the first ones everything is answered AUTH_BROKEN.
 * On an error (ERR_NOMEM, ERR_CORRUPT) they stay the caller's, and those of before count. */
int keys_set_accounts(struct keys *keys, struct secrets *accounts);

/* Bytes of keys_put_query(); answered once, perhaps at once, unless the worker goes away. What
 * cannot be read is answered AUTH_BROKEN. */
void keys_ask(struct keys *keys, uint8_t worker, uint32_t request, struct span query);
void keys_worker_gone(struct keys *keys, uint8_t worker);

/* Of admin: keys/locks.h. False: it cannot be read. */
bool keys_ask_locks(struct keys *keys, struct span question, struct buf *out);
/* The digest by which an account is known. */
void keys_digest_name(struct keyed *keyed, struct span name, uint8_t out[KEYED_DIGEST]);

#endif
