/*
 * What an administrator asks of the limits: who is blocked or has to wait, and that it be
 * forgotten. The tables have digests of names: a name comes back from the accounts that there are
 * (roster.h), so nothing more is kept than before, and a name of nobody is never shown.
 *
 * Answered at once, as JSON:
 *   list, show  {"locks":[{"kind","address","account","failures","since","last","blocked_until"}],
 *               "more":N,"nobodies":N}; blocked ones first
 *   lift        {"lifted":N}
 *
 * Bounds: LOCKS_SHOWN of them; "more" says how many there are beside.
 */
#ifndef KEYS_LOCKS_H
#define KEYS_LOCKS_H

#include "base/buf.h"
#include "keys/limits.h"
#include "keys/roster.h"

#define LOCKS_SHOWN 1000
#define LOCKS_BYTES (1u << 20) /* of an answer */

struct locks_view {
	struct limits *limits;
	const struct roster *roster; /* NULL: no accounts are known */
	struct keyed *keyed;
	uint64_t now_ns;
	int64_t wall_ms; /* the same moment */
};

/* `question`: keys_put_locks(). False: it cannot be read. */
bool locks_answer(const struct locks_view *view, struct span question, struct buf *out);

#endif
