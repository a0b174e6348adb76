/*
 * Whoever knows the next hops of a domain, as a session sees it: delivery in the real world
 * (role/hops_link), a table in the simulator and the tests. For the relay policy's `to` list. An
 * answer never comes inside hops_ask(), exactly once, unless cancelled; at the latest after
 * HOPS_ASK_MS, as unknown. Answers are kept for their TTL by whoever implements this.
 */
#ifndef SMTPD_HOPS_H
#define SMTPD_HOPS_H

#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define HOPS_ASK_MS    20000
#define HOPS_ADDRESSES 64

struct hops_answer {
	bool known;			 /* false: DNS failed, or nobody answers: try later */
	const struct netaddr *addresses; /* all that mail may go to; valid during the callback */
	uint32_t count;
};

typedef void hops_done(void *owner, const struct hops_answer *answer);

struct hops;
struct hops_question;

struct hops_ops {
	int (*ask)(struct hops *hops, struct span transport, struct span domain, hops_done *done,
		void *owner, struct hops_question **out);
	void (*cancel)(struct hops_question **question);
};

struct hops {
	const struct hops_ops *ops;
};

struct hops_question {
	struct hops *hops;
};

/* Everything is copied. ERR_NOMEM, ERR_LIMIT, ERR_CLOSED: done() is never called. */
static inline int hops_ask(struct hops *hops, struct span transport, struct span domain,
	hops_done *done, void *owner, struct hops_question **out)
{
	return hops->ops->ask(hops, transport, domain, done, owner, out);
}

/* No harm where it is NULL. */
static inline void hops_cancel(struct hops_question **question)
{
	if (*question)
		(*question)->hops->ops->cancel(question);
}

#endif
