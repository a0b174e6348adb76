/*
 * Questions by HTTPS, and things sent by it. An interface like struct dns: io/fetch_curl asks the
 * real world, role/fetch_link asks another process to, the simulator and the tests answer from a
 * table. For MTA-STS policies (RFC 8461) and TLS reports (RFC 8460).
 *
 * An answer never comes inside fetch_ask(): always later, from the loop, exactly once, unless it
 * was cancelled before; at the latest after FETCH_ASK_MS. Redirects are never followed,
 * certificates always checked against the system's trust anchors.
 */
#ifndef IO_FETCH_H
#define IO_FETCH_H

#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

#define FETCH_ASK_MS	90000
#define FETCH_TIME_MS	60000 /* of one exchange, all together (RFC 8461 section 3.3) */
#define FETCH_URL	2048
#define FETCH_BODY	(64u << 10) /* bytes of an answer that are taken */
#define FETCH_SEND	(8u << 20)  /* bytes of a report */
#define FETCH_ADDRESSES 16

struct fetch_query {
	struct span url; /* https://host[:port]/path */
	/* Where to connect to: the host's addresses, looked up by the caller. Only public ones
	 * (route/public.h) are ever used, unless private_hosts. */
	const struct netaddr *addresses;
	uint32_t address_count;
	bool private_hosts;
	struct span content_type; /* POST of `body`; empty: GET */
	struct span body;
};

enum fetch_result {
	FETCH_OK,	   /* status 200 … 299, and the whole body */
	FETCH_STATUS,	   /* another status; redirects are not followed (RFC 8461 section 3.3) */
	FETCH_UNREACHABLE, /* no connection, or it broke */
	FETCH_TLS,	   /* the certificate is not good for this host */
	FETCH_TOO_BIG,
	FETCH_TIMEOUT,
	FETCH_REFUSED, /* no address that may be used, or no such URL */
	FETCH_BROKEN,  /* nobody answers */
	FETCH_RESULTS
};

struct fetch_answer {
	enum fetch_result result;
	uint32_t status;	  /* of HTTP; 0: there was none */
	struct span content_type; /* lower case, without parameters */
	struct span body;
	struct span detail; /* a phrase for people; ours or printable */
};

typedef void fetch_done(void *owner, const struct fetch_answer *answer);

struct fetch;
struct fetch_question;

struct fetch_ops {
	int (*ask)(struct fetch *fetch, const struct fetch_query *query, fetch_done *done,
		void *owner, struct fetch_question **out);
	void (*cancel)(struct fetch_question **question);
};

struct fetch {
	const struct fetch_ops *ops;
};

struct fetch_question {
	struct fetch *fetch;
};

/* Everything is copied. ERR_NOMEM, ERR_LIMIT, ERR_CLOSED: done() is never called. */
static inline int fetch_ask(struct fetch *fetch, const struct fetch_query *query, fetch_done *done,
	void *owner, struct fetch_question **out)
{
	return fetch->ops->ask(fetch, query, done, owner, out);
}

/* No harm where it is NULL. */
static inline void fetch_cancel(struct fetch_question **question)
{
	if (*question)
		(*question)->fetch->ops->cancel(question);
}

#endif
