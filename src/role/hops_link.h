/*
 * A worker's side: struct hops (smtpd/hops.h) over its channel to delivery. Answers are kept for
 * their TTL; who asks for what is being asked already waits for the same answer.
 *
 * Bounds: HOPS_LINK_KEPT answers and HOPS_LINK_QUESTIONS open at a time; each question ends within
 * HOPS_ASK_MS.
 */
#ifndef ROLE_HOPS_LINK_H
#define ROLE_HOPS_LINK_H

#include "io/io.h"
#include "smtpd/hops.h"

#define HOPS_LINK_KEPT	    1024
#define HOPS_LINK_QUESTIONS 256
#define HOPS_LINK_TTL_MOST  3600 /* seconds */

struct hops_link;

struct hops_link_config {
	struct io *io;
	void *context;
	/* Sends a question, or ERR_CLOSED: nobody is there. */
	int (*send)(void *context, uint32_t request, struct span query);
};

int hops_link_new(const struct hops_link_config *config, struct hops_link **out);
void hops_link_free(struct hops_link **link);
struct hops *hops_link_hops(struct hops_link *link);

/* From the loop. What nobody waits for is ignored. */
void hops_link_answer(struct hops_link *link, uint32_t request, struct span reply);
/* Delivery is gone: what is open ends as unknown. */
void hops_link_lost(struct hops_link *link);
/* Transports may lead elsewhere now: what is kept counts no more, nor what is being asked. */
void hops_link_forget(struct hops_link *link);

#endif
