/*
 * The filter grammar of the queue, shared by the command line, the API and the console.
 *
 *   filter = and-list *( "or" and-list )       terms side by side are joined by AND ("and" may
 *   and-list = item *( ["and"] item )          be written)
 *   item   = ["not"] ( term / "(" filter ")" )
 *   term   = key op value / id / address
 *   op     = "=" / "!=" / "~" / "!~" / "<" / ">" / "<=" / ">="
 *
 *   key          value
 *   id           of a message
 *   state        ready active deferred held paused down
 *   sender       an address, "" for the null sender; "*" stands for any text
 *   recipient    an address
 *   domain       of a recipient
 *   transport    a name
 *   destination  the next hop: a domain for lookup-mx, else the transport's name
 *   client       an address, or a network as CIDR for = and !=
 *   user         who logged in to send it, "" for nobody
 *   age          a duration since arrival: 90s, 5m, 4h, 2d; a bare number counts minutes
 *   size         bytes: 4096, 64K, 10M
 *   attempts     a number
 *   priority     yes, no
 *   reason       text of the last reply
 *
 * A word alone is an id, or, with "@" in it, an address: of the sender or of a recipient, as in a
 * search of the trace ("@domain": any address of it). filter_has_bare_address() tells, for what
 * must not guess which of the two was meant.
 *
 * A filter is asked of each recipient: recipient and domain are the one's that it is asked of, all
 * other keys are alike for those that wait together.
 *
 * Text compares without regard to case; = and != know "*", ~ means "contains". A value with
 * spaces, parentheses or one of the words and, or, not is written in double quotes, where \" and
 * \\ are a quote and a backslash. The empty filter matches everything.
 *
 * Numbers are compared as numbers; ~ is for text, < and > are for numbers, and what does not go
 * together is a problem with a place and a hint, not a filter that matches nothing.
 *
 * Pure; hostile input gives ERR_SYNTAX or ERR_LIMIT.
 */
#ifndef QUEUE_FILTER_H
#define QUEUE_FILTER_H

#include "base/buf.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "queue/look.h"

#include <stdbool.h>
#include <stdint.h>

#define FILTER_BYTES 4096 /* of its text */
#define FILTER_NODES 256
#define FILTER_DEPTH 32 /* parentheses and nots */
#define FILTER_EFFORT                                                                             \
	(8u << 20) /* bytes compared in one turn of the loop, but for the last message's: some 10 \
		    * ms */

struct filter;

/* On failure one line is added to `problem`: "column 7: …", columns count bytes from 1. */
int filter_parse(struct span text, struct filter **out, struct buf *problem);
void filter_free(struct filter **filter);
/* It has no term, and so matches everything: what was meant is another question. */
bool filter_is_empty(const struct filter *filter);
bool filter_has_bare_address(const struct filter *filter);
/* The canonical text; parsing it gives an equal filter. */
void filter_format(const struct filter *filter, struct buf *out);
/* Whether the envelope may be asked for (it has to be read from disk). */
bool filter_needs_envelope(const struct filter *filter);
/* Where the filter can only match one message (id=… at its top), its id; else 0. */
uint64_t filter_single_id(const struct filter *filter);

/* What is compared: a unit of a message, or one recipient of it. The fields of the envelope are
 * asked for by load(), at most once, and only if the outcome depends on them. */
struct filter_subject {
	uint64_t id;
	enum queue_state state;
	struct span transport, next_hop;
	uint64_t age_ms, size;
	uint32_t attempts;
	bool priority;
	struct span domain; /* empty: several; then taken from the envelope */
	struct span reason; /* text of the last reply, with its code */
	/* of the envelope */
	int (*load)(struct filter_subject *subject); /* fills in what follows; 0 or an error */
	bool loaded;				     /* set by filter_match() */
	struct span sender;
	struct netaddr client;
	struct span user;
	const struct envelope_rcpt *all_rcpts; /* the envelope's */
	const uint32_t *rcpts;		       /* of the unit: indexes in it; any of them … */
	uint32_t rcpt_count;		       /* … will do */
	int error;			       /* what load() returned; then nothing matches */
	uint64_t effort;		       /* bytes compared; filter_match() adds to it */
	void *context;			       /* the caller's */
};

bool filter_match(const struct filter *filter, struct filter_subject *subject);

/* ---- over the queue ------------------------------------------------------------------------- */

/* A unit, or some recipients of it. */
struct filter_hit {
	uint64_t id;
	uint32_t unit;	/* within this turn of the loop */
	uint32_t first; /* the recipients that match: picks[first …], indexes in the envelope */
	uint32_t count;
	uint32_t others; /* of its recipients that do not */
};

struct filter_hits {
	struct filter_hit *hits;
	uint32_t *picks;
	size_t count, room;
	size_t pick_count, pick_room;
	uint64_t effort; /* bytes compared for them */
};

/* ERR_NOMEM: nothing is taken. */
int filter_hits_init(struct filter_hits *hits, size_t room, size_t pick_room);
void filter_hits_done(struct filter_hits *hits);

/*
 * What matches, in the order of ids, for the messages after *cursor (0: from the start). Looks at
 * about `steps` messages at most, ends after the one with which FILTER_EFFORT is spent (at most
 * terms times recipients of one message more), and finds what there is room for, always all of a
 * message or none (there must be room for as many units and recipients as a message may have; those
 * beyond are cut off for a message that has more). *cursor moves on; UINT64_MAX: the end was
 * reached. load() reads the envelope of an id: it gets subject->id and subject->context. `hits` is
 * emptied first.
 */
void filter_select(const struct filter *filter, struct queue *queue, int64_t now, uint64_t *cursor,
	uint32_t steps, int (*load)(struct filter_subject *subject), void *context,
	struct filter_hits *hits);

#endif
