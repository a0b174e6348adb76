/*
 * The ledger: every message that a simulated client sent, what the client was told about it, and
 * everything that arrived anywhere. The judge (sim_judge.c) compares them at the end of a run.
 *
 * Messages are known by names that nothing in Postern makes up: recipients are
 * m<message>r<number>@domain, senders s<message>@sender.example, and every message for a mailbox
 * has an X-Sim field with its number.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "sim_net.h"

#include "trace/event.h"

#define LEDGER_RCPTS	  20
#define LEDGER_DELIVERIES 64
#define LEDGER_DSNS	  16
#define LEDGER_PAUSES	  16
#define LEDGER_ADDRESS	  64

/* What the client knows of a message. */
enum ledger_told {
	TOLD_UNSENT,   /* its end was never sent: it must not exist */
	TOLD_NOTHING,  /* all was sent, no reply came: anything may have become of it */
	TOLD_ACCEPTED, /* 250: a promise */
	TOLD_REFUSED,  /* 4xx or 5xx: it must not exist */
};

enum ledger_taken { RCPT_UNKNOWN, RCPT_TAKEN, RCPT_REFUSED };

enum ledger_notify {
	LEDGER_NOTIFY_NONE,
	LEDGER_NOTIFY_NEVER,
	LEDGER_NOTIFY_FAILURE,
	LEDGER_NOTIFY_SUCCESS
};

struct ledger_delivery {
	uint64_t at_ns; /* when it was sent; the network and the hop may take long */
	const char *hop;
	const struct sim_mark *reply; /* NULL: the hop never said 250 */
	bool has_dsn;		      /* what becomes of it is the hop's to report */
};

enum ledger_action { ACTION_FAILED, ACTION_DELAYED, ACTION_RELAYED, ACTION_DELIVERED, ACTIONS };

struct ledger_dsn {
	uint64_t name; /* hash of its Message-ID: copies of one are one */
	enum ledger_action action;
};

struct ledger_rcpt {
	char address[LEDGER_ADDRESS];
	char said[LEDGER_ADDRESS]; /* to the gateway, which knows it by this name; "": as it is */
	const struct sim_domain *domain;
	enum ledger_notify notify;
	enum ledger_taken taken;
	bool full;		/* a mailbox that takes nothing, for ever */
	uint64_t grey_until_ns; /* of a greylisting hop; 0: not seen yet */
	struct ledger_delivery deliveries[LEDGER_DELIVERIES];
	size_t delivery_count;
	struct ledger_dsn dsns[LEDGER_DSNS];
	size_t dsn_count;
	bool refused; /* a hop said 5xx to it, or to its message */
	/* An administrator wanted it (it may have been too late for it). */
	bool may_bounce, may_vanish, moved;
	uint64_t gone_ns; /* it was seen that it is */
	/* As it was seen in the queue. */
	uint64_t held_ns;			    /* 0: not, or it was released since */
	uint64_t paused_ns, paused_seen_ns, pauses; /* in the period of ledger->pauses only */
	uint64_t paused_attempts;
	uint64_t ended_ns; /* it failed for good: a notification is owed from then on */
	uint64_t stood_ns; /* its clock did not go on for at least so long */
	bool expired;
};

struct ledger_mail {
	uint32_t number;
	bool null_sender;
	char sender[LEDGER_ADDRESS];
	char *body; /* as the receiver shall have it: CRLF, no stuffing */
	size_t n;
	bool eight_bit, binary, open_end, utf8;
	bool require_tls; /* it must go over links whose server is the right one, and to such as say
			   * so, or not at all (RFC 8689); of the null sender also to others of
			   * these
			   */
	bool envid;
	bool waives; /* "TLS-Required: No": what the recipient's domain wants of links is waived */
	bool bare;   /* line ends that a server must not take */
	bool has_field;
	enum ledger_told told;
	uint64_t told_ns;
	uint64_t generation; /* of the directory: the oldest that any worker had at MAIL */
	uint64_t end_at;     /* in its connection's stream; 0: not given yet */
	uint64_t id;	     /* the gateway's; 0: it never said one */
	uint64_t received_ns;
	uint64_t unclear_ns;  /* what is seen of it until then may be changing */
	bool dsns_expired;    /* one of them was given up in the end, and an event said so */
	bool dsns_may_vanish; /* an administrator touched them */
	struct ledger_rcpt rcpts[LEDGER_RCPTS];
	size_t rcpt_count;
};

struct ledger_span {
	uint64_t from_ns, to_ns;
};

/* A scope that the directory says is paused. */
struct ledger_pause {
	char blocker[24], name[32];
};

/* Damage that was reported: of a message, or (id 0) of a part of a file. */
struct ledger_damage {
	uint64_t id;
	char path[64];
};

/* A recipient as the queue shows it. */
struct ledger_state {
	bool held, stands; /* stands: paused by anybody */
	bool paused;	   /* by the operator */
	const char *blocker, *transport, *domain;
	uint64_t attempts;
};

struct ledger_close {
	uint8_t owner;
	struct ledger_span span;
};

/* The disk lost something of its own accord. */
struct ledger_harm {
	uint64_t at_ns, proven_ns;
};

struct sim_trust;
struct sim_link;
struct sim_machine;
struct sim_relay;

struct ledger {
	struct sim *sim;
	struct sim_trust *trust;
	struct sim_machine *machine;
	struct sim_relay *relay;
	bool quiet; /* nothing but the network goes wrong: what may be delivered is, soon */
	struct ledger_mail **mails;
	size_t mail_count, mail_room;
	uint64_t *deaths; /* of delivery, or of all */
	size_t death_count, death_room;
	struct ledger_span *unwell; /* the journal could not be written */
	size_t unwell_count, unwell_room;
	struct ledger_pause paused[LEDGER_PAUSES];
	size_t paused_count;
	uint64_t unclear_ns;
	uint64_t pauses; /* changes that may let something go on */
	struct ledger_damage *damages;
	size_t damage_count, damage_room;
	uint64_t damage_events, flips, bad_sectors;
	struct ledger_harm *harms;
	size_t harm_count, harm_room;
	struct ledger_close *closes;
	size_t close_count, close_room;
	uint64_t proven_ns;    /* damage to what was taken in before must be told */
	uint64_t unsettled_ns; /* something last ended, or had trouble */
	uint64_t arrivals, dsns;
	/* verdict */
	uint64_t violations;
	uint64_t acknowledged, delivered, bounced, discarded, duplicates_excused;
	uint64_t lost, ghosts, corrupted, duplicates;
	uint64_t exposed;		     /* by a link that was not protected as it had to be */
	uint64_t relayed;		     /* for somebody without the right to it */
	const struct ledger_mail *destroyed; /* by damage to the disk, which may cost messages */
	uint64_t destroyed_count;
};

void ledger_init(struct ledger *ledger, struct sim *sim);
struct ledger_mail *ledger_mail_new(struct ledger *ledger);
struct ledger_mail *ledger_mail_find(struct ledger *ledger, uint32_t number);

/* What broke a promise: printed, and the run fails. */
void ledger_violation(struct ledger *ledger, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Delivery ended and starts again: it died, or came to an orderly end. */
void ledger_restart(struct ledger *ledger, bool death);
/* The journal's health changed. */
void ledger_journal(struct ledger *ledger, bool well);

/* How a message came. */
enum ledger_way { WAY_DATA, WAY_BDAT, WAY_MAILDIR };

struct ledger_arrival {
	const char *hop;
	uint64_t at_ns;
	enum ledger_way way;
	bool has_dsn;
	bool seven_bit; /* the hop has no 8BITMIME */
	bool require_tls, offers_require_tls;
	bool no_binary;
	struct span sender;
	const char (*rcpts)[LEDGER_ADDRESS];
	size_t rcpt_count;
	struct span bytes;
	const struct sim_mark *reply;
	const struct sim_link *link;
};

void ledger_harm(struct ledger *ledger);
/* A log was closed in good order by the writer that began then. */
void ledger_closed(struct ledger *ledger, uint8_t owner, uint64_t began_ns);

/* A next hop took a message over. */
void ledger_arrived(struct ledger *ledger, const struct ledger_arrival *arrival);
/* A message was found in a mailbox. */
void ledger_in_mailbox(struct ledger *ledger, const char *address, struct span file);
/* The recipient by its address: what a hop must know to greylist, or to note a refusal. */
struct ledger_rcpt *ledger_rcpt_find(struct ledger *ledger, const char *address);

/* sim_arrival.c */
/* In the order in which they were sent. */
void ledger_deliver(struct ledger *ledger, struct ledger_mail *mail, struct ledger_rcpt *rcpt,
	const struct ledger_delivery *delivery);
bool ledger_same_file(const struct ledger_mail *mail, struct span file);

/* sim_notification.c: a DSN came home. */
void ledger_take_dsn(struct ledger *ledger, const char *rcpt, struct span text);
size_t ledger_dsns_of(const struct ledger_rcpt *rcpt, enum ledger_action action);
void ledger_judge_dsns(
	struct ledger *ledger, const struct ledger_mail *mail, const struct ledger_rcpt *rcpt);

/* sim_watch.c: what the gateway says of itself, and what an administrator wants of it. */
void ledger_event(struct ledger *ledger, const struct event *event);
/* A line of spool verify that speaks of damage. */
void ledger_verify_line(struct ledger *ledger, const char *line);
void ledger_seen(struct ledger *ledger, const char *sender, const char *rcpt,
	const struct ledger_state *state);
/* By what the queue shows of it; *is_dsn: it is a notification about that message. NULL: nobody can
 * tell. */
struct ledger_mail *ledger_identify(
	struct ledger *ledger, const char *sender, const char *rcpt, bool *is_dsn);
/* A scope is paused from now on, or (before the role hears of it) no longer. */
void ledger_pause(struct ledger *ledger, const char *blocker, const char *name, bool paused);
/* Something about pauses, holds or routes is going to change: what was seen counts no more. */
void ledger_forget_seen(struct ledger *ledger, struct ledger_mail *mail);
/* What was told to delivery at that time may be lost with it. */
bool ledger_may_forget(const struct ledger *ledger, uint64_t at_ns);
/* The disk harmed something of its own accord. */
bool ledger_harmed(const struct ledger *ledger);

/* The end: all checks. */
void ledger_judge(struct ledger *ledger);

/* A list with room for one more. */
void *ledger_grow(void *list, size_t count, size_t *room, size_t size);

#endif
