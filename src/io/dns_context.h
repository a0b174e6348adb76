/*
 * A list of servers and what is asked of it; inside of io/dns_unbound only. See there.
 *
 *   context:  the list; the system's, or that of a transport
 *   engine:   a libunbound context, with a thread of its own: one that validates from the root
 *             on, or one that does not
 *   trial:    does what these servers say stand up to validation? (dns_trial.c)
 *   question: one call of dns_ask(), with its timeout
 *   flight:   what questions for the same name and type share
 *   look:     what the servers themselves say where libunbound got no answer (dns_look.c)
 */
#ifndef IO_DNS_CONTEXT_H
#define IO_DNS_CONTEXT_H

#include "base/list.h"
#include "io/dns_anchor.h"
#include "io/dns_rdata.h"
#include "io/dns_unbound.h"
#include "io/loop_impl.h"

#include <unbound.h>

#define DNS_BUCKETS 256 /* of flights */
/* RFC 1035 section 4.1.1 */
#define RCODE_SERVFAIL 2
#define RCODE_NXDOMAIN 3
#define RCODE_REFUSED  5

#define DNS_SERVER_ADDRESSES 32 /* all servers of a list together */

enum context_state { CONTEXT_RESOLVING, CONTEXT_READY };

struct unbound;

/*
 * Does anybody listen? libunbound does not look at what ICMP says of a closed port and waits for
 * its whole timeout. Where a context got no answer at all for a while, each of its servers is asked
 * a small question from a connected socket, and when all of them refuse, so does the context.
 */
struct probe {
	struct timer timer;   /* when to begin; while it asks: when to give up */
	uint64_t answered_ns; /* the context's last answer */
	uint64_t armed_ns;    /* since when there is none */
	uv_poll_t *polls[DNS_SERVER_ADDRESSES];
	uint32_t refused;
	bool asks;
};

struct engine {
	struct context *context;
	struct list node; /* in context->retired; or in none */
	struct ub_ctx *ub;
	uv_poll_t *poll;
	uint32_t open; /* flights that it has */
};

/* See dns_trial.c. */
struct trial {
	enum dns_dnssec said;
	struct engine *engine; /* the one that is tried; NULL: none is */
	int async_id;
	struct timer timer; /* questions wait for the outcome until then */
	uint64_t next_ns;   /* none before */
	bool doubted;	    /* something was bogus since the last one */
	uint32_t against;   /* trials in a row that say "no" where it was "yes" */
	bool believed;	    /* "yes" is what a former life said, and nothing was heard since … */
	uint64_t until_ns;  /* … and counts until then */
};

struct context {
	struct unbound *all;
	struct list node;    /* in all->contexts, the last used first; or in all->stale */
	struct list pending; /* in all->pending: has something to begin */
	enum context_state state;
	struct engine *engine; /* for what is begun now; NULL: not made yet */
	struct list retired;   /* engines that get no more questions */
	struct trial trial;
	struct list waiting; /* flights that were not begun */
	uint32_t open;	     /* flights under way */
	bool stale;	     /* takes no more questions; goes when it is idle */
	struct probe probe;
	/* servers given by name */
	bool by_name;
	uint64_t expires_ns;
	struct dns_question *asks[2 * DNS_SERVERS];
	struct resolve {
		struct context *context;
		uint32_t slot;
		uint16_t port;
	} resolves[2 * DNS_SERVERS];
	uint32_t asks_open;
	uint32_t address_count;
	struct netaddr addresses[DNS_SERVER_ADDRESSES];
	struct span key; /* the list as given; empty: the system's */
	char text[];
};

struct look;

struct flight {
	struct context *context;
	struct look *look;  /* the servers are being asked themselves; NULL: not */
	struct list bucket; /* in all->buckets */
	struct list queue;  /* in context->waiting */
	struct list askers; /* questions */
	enum dns_type type;
	struct engine *engine; /* that it was begun with */
	int async_id;
	bool begun;
	bool answered; /* libunbound knows nothing of it any more */
	size_t name_length;
	char name[DNS_NAME + 1];
};

struct question {
	struct dns_question base;
	struct flight *flight;
	struct list node; /* in flight->askers */
	struct list age;  /* in all->questions, the oldest first */
	uint64_t deadline_ns;
	dns_done *done;
	void *owner;
};

struct unbound {
	struct dns base;
	struct loop *loop;
	uint64_t timeout_ms;
	struct context *system;
	bool given;	 /* its servers are the start file's */
	struct log *log; /* or NULL */
	struct dns_anchors anchors;
	bool own_root;		   /* the administrator named the root's keys */
	struct engine *processing; /* whose answers are being taken: must not be freed */
	struct list contexts, stale, pending;
	uint32_t context_count; /* of contexts */
	uint32_t looks;		/* under way */
	struct list questions;
	struct timer timer;  /* of the oldest question */
	struct io_turn turn; /* begins questions, frees stale contexts */
	struct list buckets[DNS_BUCKETS];
	struct dns_records records;
};

static inline struct unbound *unbound_of(struct dns *dns)
{
	return CONTAINER_OF(dns, struct unbound, base);
}

int context_new(struct unbound *all, struct span key, struct context **out);
/* No flight may be left. */
void context_free(struct context *context);
bool context_idle(const struct context *context);
/* Begins waiting flights as far as the bound allows; at the end of a turn only. */
void context_begin(struct context *context);
/* That shall be done, and it shall be freed if it is stale and idle: at the end of this turn. */
void context_touch(struct context *context);

/* dns_engine.c. With the root's anchors, or without; others it has in any case. ERR_NOMEM, ERR_IO.
 */
int engine_new(struct context *context, bool from_root, struct engine **out);
/* Takes no more flights, and goes when it has none: at the end of a turn. *engine becomes NULL. */
void engine_retire(struct engine **engine);
/* Those that are idle; or all. */
void engines_free(struct context *context, bool all);
int engine_ask(struct engine *engine, const char *name, int type, void *owner,
	ub_callback_type done, int *async_id);

/* dns_trial.c. */
void trial_init(struct context *context);
/* Questions wait, in the end of a turn: begins a trial where one is due, and sees to an engine
 * where none has to be waited for. ERR_NOMEM, ERR_IO: there can be none. */
int trial_turn(struct context *context);
/* Questions wait for its outcome. */
bool trial_holds(const struct context *context);
/* An answer was bogus. */
void trial_doubt(struct context *context);
void trial_stop(struct context *context);

/* Server names that are being resolved are not any more. */
void context_cancel_asks(struct context *context);

/* dns_flight.c. A question joins the flight of its name and type or makes one, that waits for
 * context_begin(). */
int question_new(struct context *context, struct span name, enum dns_type type, dns_done *done,
	void *owner, struct question **out);
void question_cancel(struct dns_question **question);
void questions_time_out(struct timer *timer);
/* To all askers of the flight, which is gone then. */
void flight_finish(struct flight *flight, const struct dns_answer *answer);
void flight_fail(struct flight *flight, const char *reason);
/* All of a context, begun or not. */
void flights_fail(struct context *context, const char *reason);

/* dns_system.c: all->system, as dns_unbound_new() has it. ERR_SYNTAX, ERR_NOMEM. */
int system_open(struct unbound *all, const struct dns_unbound_options *options);
/* all->anchors. Likewise. */
int anchors_open(struct unbound *all, const struct dns_unbound_options *options);

/* dns_look.c. libunbound got no answer: the servers are asked why, and the flight fails with it. */
void look_begin(struct flight *flight);
void look_end(struct flight *flight);

/* dns_probe.c. */
void probe_init(struct context *context);
/* Flights were begun. */
void probe_begin(struct context *context);
/* No flight is under way. */
void probe_stop(struct context *context);

#endif
