/*
 * A worker's side of role keys: struct auth (smtpd/auth.h) over a channel that its owner has.
 *
 * Bounds: KEYS_QUESTIONS are open at a time; each ends within AUTH_ASK_MS.
 */
#ifndef KEYS_LINK_H
#define KEYS_LINK_H

#include "io/io.h"
#include "smtpd/auth.h"

struct keys_link;

struct keys_link_config {
	struct io *io;
	void *context;
	/* Sends a question, or ERR_CLOSED: nobody is there. */
	int (*send)(void *context, uint32_t request, struct span query);
};

int keys_link_new(const struct keys_link_config *config, struct keys_link **out);
/* Forgets what is open. */
void keys_link_free(struct keys_link **link);
struct auth *keys_link_auth(struct keys_link *link);

/* From the loop. What nobody waits for is ignored. */
void keys_link_answer(struct keys_link *link, uint32_t request, struct span answer);
/* Role keys is gone: what is open ends as AUTH_BROKEN. */
void keys_link_lost(struct keys_link *link);

#endif
