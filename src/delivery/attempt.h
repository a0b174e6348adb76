/*
 * An attempt: one unit being tried, with all that it takes from its beginning (start.c) to its
 * outcome (outcome.c).
 */
#ifndef DELIVERY_ATTEMPT_H
#define DELIVERY_ATTEMPT_H

#include "delivery/core.h"
#include "delivery/tell.h"
#include "transport/client.h"
#include "transport/maildir.h"

struct attempt {
	struct list node;    /* in delivery->attempts, or spare */
	struct list waiting; /* in link->waiting or strict */
	struct delivery *delivery;
	struct link *link; /* NULL for mailboxes */
	struct session *session;
	/* from the queue */
	uint32_t unit;
	uint64_t id;
	uint32_t attempts; /* before this one */
	int64_t ready_ms;
	uint32_t *picks; /* recipients: indexes in the envelope */
	uint32_t pick_count;
	/* from the spool */
	struct buf bytes;
	struct arena arena;
	struct envelope envelope;
	struct spool_body body;
	bool body_open;
	/* The spool looks at its body before it gives it out. */
	enum { BODY_NOT_AWAITED, BODY_AWAITED, BODY_LOOKED_AT } body_check;
	/* of the transport */
	struct span transport; /* in the arena */
	struct span next_hop;  /* likewise */
	uint32_t destination;
	enum give_up give_up;
	uint64_t began_ns;
	/* results, one for each pick */
	struct client_result *results;
	/* What telling of them needs, as many of each: taken at the beginning, when there may still
	 * be no memory for it. */
	struct {
		enum verdict_kind *kinds;
		bool *said;
		struct notify_rcpt *notified;
	} telling;
	/* Of the transaction that is over, and so of every recipient that it delivered to: those of
	 * earlier ones are gone from `results` (RFC 3461 sections 4.2 and 5.2). */
	bool dsn_passed;
	struct client_job job; /* a transaction: all picks, or those not tried yet */
	uint32_t *job_picks;
	uint32_t *job_places; /* place of each in picks */
	struct client_result *job_results;
	bool job_again; /* not the first transaction of this attempt */
	/* REQUIRETLS, and a host of the destination lacks what that needs: it waits in link->strict
	 * only, and what becomes of it says nothing against the destination. */
	bool strict;
	/* mailboxes: one recipient after the other */
	struct maildir_delivery maildir;
	uint32_t mailbox;  /* place in picks */
	bool maildir_runs; /* a helper thread has it */
};

/* Empty, in no list; NULL: no memory. */
struct attempt *attempt_new(struct delivery *delivery);
/* Starts what the queue gave (start.c). */
void attempt_start(struct delivery *delivery, const struct queue_start *start);
/* The body of this message was checked: attempts that wait for it go on. */
void attempts_body_checked(struct delivery *delivery, uint64_t id);
/* Sends the job of the recipients that were not tried yet over attempt->session. */
void attempt_send(struct attempt *attempt);
/* The transaction ended; true: the attempt goes on (recipients that were not tried). */
bool attempt_job_done(struct attempt *attempt, struct client_job *job);
/* The transaction did not happen: its recipients are still to be tried. */
void attempt_job_undone(struct attempt *attempt);
/* No answer about the message: the destination could not be asked. */
void attempt_destination_failed(struct attempt *attempt, const struct verdict *verdict);
/* Something of our own is short: not its fault, nor the destination's. */
void attempt_short(struct attempt *attempt, const struct verdict *verdict);
/* Its destination's hosts take no further session; `limit`: they have so many. */
void attempt_busy(struct attempt *attempt, uint32_t limit);
/* As attempt_short(), where there is no attempt yet. */
void attempt_queue_short(struct delivery *delivery, uint32_t unit, const struct verdict *verdict);
/* One verdict for all recipients that have none yet, then the outcome. */
void attempt_finish_all(struct attempt *attempt, const struct verdict *verdict);
/* Back to the queue, nothing counted; but what is known of some recipients is kept. */
void attempt_put_back(struct attempt *attempt);
/* Forgotten as if it had never begun; nobody is told anything. */
void attempt_drop(struct attempt *attempt);
/* Its memory; the queue has its result already. */
void attempt_end(struct attempt *attempt);
/* For recipients whose turn did not come before the end. */
void attempt_stopped(struct attempt *attempt);
/* A verdict of our own. */
void attempt_verdict(struct verdict *verdict, enum verdict_kind kind, uint16_t code,
	uint8_t subject, uint8_t detail, const char *text);

/* ---- mailbox.c ------------------------------------------------------------------------------ */

/* Begins with the first recipient that has no result, or goes on; ends the attempt. */
void mailbox_deliver(struct attempt *attempt);

/* ---- outcome.c
 * -------------------------------------------------------------------------------- */

/* One transaction of several is over: what it decided is told and recorded at once, so that a crash
 * does not send it again. What is left goes on. */
void outcome_so_far(struct attempt *attempt);
/* All results are in: events, DSN, the queue's own reckoning. Ends the attempt. */
void outcome(struct attempt *attempt);
/* The destination could not be asked at all; nothing is known about the message. */
void outcome_unreachable(struct attempt *attempt, const struct verdict *verdict);
/* It could not be begun, for a reason that may pass and counts for nothing. */
void outcome_postponed(struct attempt *attempt, const struct verdict *verdict);
/* One recipient's copy lies in its mailbox, at attempt->maildir.path. */
void outcome_in_mailbox(const struct attempt *attempt, uint32_t pick);

#endif
