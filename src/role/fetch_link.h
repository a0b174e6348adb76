/*
 * Delivery's side: struct fetch (io/fetch.h) over its channel to role fetch.
 *
 * Bounds: FETCH_LINK_QUESTIONS open at a time; each ends within FETCH_ASK_MS.
 */
#ifndef ROLE_FETCH_LINK_H
#define ROLE_FETCH_LINK_H

#include "base/list.h"
#include "io/fetch.h"
#include "io/io.h"

#define FETCH_LINK_QUESTIONS 256

struct fetch_link {
	struct fetch base; /* first */
	struct io *io;
	void *context;
	/* Sends a question, or (empty) that one is not wanted any more. ERR_CLOSED: nobody is
	 * there. */
	int (*send)(void *context, uint32_t request, struct span query);
	struct list open;
	uint32_t count, request; /* the last one */
};

void fetch_link_init(struct fetch_link *link, struct io *io, void *context,
	int (*send)(void *context, uint32_t request, struct span query));
/* From the loop. What nobody waits for is ignored. */
void fetch_link_answer(struct fetch_link *link, uint32_t request, struct span answer);
/* Role fetch is gone: what is open ends as FETCH_BROKEN. */
void fetch_link_lost(struct fetch_link *link);

#endif
