/*
 * Whoever knows the passwords, as a session sees it: role keys in the real world (role/keys_link),
 * a table in the simulator and the tests. An answer never comes inside auth_ask(): always later,
 * from the loop, exactly once, unless the question was cancelled. Every question ends, at the
 * latest by AUTH_ASK_MS, as AUTH_BROKEN.
 *
 * It counts failures by client address and by account over all workers, and says how long the
 * client is to wait for the bad news (AUTH_NO, delay_ms), or that it is too soon to try at all
 * (AUTH_LATER).
 */
#ifndef SMTPD_AUTH_H
#define SMTPD_AUTH_H

#include "base/netaddr.h"
#include "base/span.h"
#include "codec/scram.h"

#include <stdint.h>

#define AUTH_ASK_MS   30000
#define AUTH_USER     320 /* bytes of a name */
#define AUTH_PASSWORD 1024

enum auth_step {
	AUTH_BY_PASSWORD,
	AUTH_SCRAM_SALT,  /* what the challenge needs; unknown users get a made-up salt that stays
			   * the  same */
	AUTH_SCRAM_PROOF, /* codec/scram.h, scram_server_check() */
};

struct auth_query {
	enum auth_step step;
	struct netaddr client;
	struct span listener;
	struct span user; /* as the client gave it */
	struct span password;
	struct span auth_message;
	uint8_t proof[SCRAM_HASH];
};

enum auth_result {
	AUTH_YES,    /* or: here is the salt */
	AUTH_NO,     /* 535 5.7.8, after delay_ms */
	AUTH_LATER,  /* 454 4.7.0: too many failures from this address or for this account, or too
		      * much  to do */
	AUTH_BROKEN, /* 454 4.7.0: nobody answers */
};

struct auth_answer {
	enum auth_result result;
	uint64_t delay_ms;
	struct span account; /* AUTH_YES: canonical; valid during the callback */
	uint32_t iterations, salt_bytes;
	uint8_t salt[SCRAM_SALT_MOST];
	uint8_t signature[SCRAM_HASH]; /* AUTH_SCRAM_PROOF */
};

typedef void auth_done(void *owner, const struct auth_answer *answer);

struct auth;
struct auth_question;

struct auth_ops {
	int (*ask)(struct auth *auth, const struct auth_query *query, auth_done *done, void *owner,
		struct auth_question **out);
	void (*cancel)(struct auth_question **question);
};

struct auth {
	const struct auth_ops *ops;
};

struct auth_question {
	struct auth *auth;
};

/* Everything is copied. ERR_NOMEM, ERR_LIMIT (too many questions), ERR_CLOSED: done() is never
 * called. */
static inline int auth_ask(struct auth *auth, const struct auth_query *query, auth_done *done,
	void *owner, struct auth_question **out)
{
	return auth->ops->ask(auth, query, done, owner, out);
}

/* done() will not be called. *question becomes NULL. No harm where it is NULL. */
static inline void auth_cancel(struct auth_question **question)
{
	if (*question)
		(*question)->auth->ops->cancel(question);
}

#endif
