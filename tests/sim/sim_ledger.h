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

#define LEDGER_RCPTS	  20
#define LEDGER_DELIVERIES 16
#define LEDGER_DSNS	  8
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
	/* The hop put other recipients off: the record is made when they are done, too. */
	bool partial;
};

struct ledger_rcpt {
	char address[LEDGER_ADDRESS];
	const struct sim_domain *domain;
	enum ledger_notify notify;
	enum ledger_taken taken;
	uint64_t grey_until_ns; /* of a greylisting hop; 0: not seen yet */
	struct ledger_delivery deliveries[LEDGER_DELIVERIES];
	size_t delivery_count;
	uint64_t failed[LEDGER_DSNS]; /* hashes of the Message-IDs of DSNs that said "failed" */
	size_t failed_count;
	size_t other_dsns;
	bool refused; /* a hop said 5xx to it, or to its message */
};

struct ledger_mail {
	uint32_t number;
	bool null_sender;
	char sender[LEDGER_ADDRESS];
	char *body; /* as the receiver shall have it: CRLF, no stuffing */
	size_t n;
	bool eight_bit, binary, open_end;
	bool bare; /* line ends that a server must not take */
	bool has_field;
	enum ledger_told told;
	uint64_t told_ns;
	struct ledger_rcpt rcpts[LEDGER_RCPTS];
	size_t rcpt_count;
};

struct ledger_span {
	uint64_t from_ns, to_ns;
};

struct ledger {
	struct sim *sim;
	struct ledger_mail **mails;
	size_t mail_count, mail_room;
	uint64_t *deaths; /* of delivery, or of all */
	size_t death_count, death_room;
	struct ledger_span *unwell; /* the journal could not be written */
	size_t unwell_count, unwell_room;
	uint64_t damage_events, flips;
	bool read_errors; /* the disk could not be read at times: that is damage, too */
	uint64_t arrivals, dsns;
	/* verdict */
	uint64_t violations;
	uint64_t acknowledged, delivered, bounced, discarded, duplicates_excused;
	uint64_t lost, ghosts, corrupted, duplicates;
	const struct ledger_mail *destroyed; /* by damage to the disk, which may cost messages */
	uint64_t destroyed_count;
};

void ledger_init(struct ledger *ledger, struct sim *sim);
struct ledger_mail *ledger_mail_new(struct ledger *ledger);
struct ledger_mail *ledger_mail_find(struct ledger *ledger, uint32_t number);

/* What broke a promise: printed, and the run fails. */
void ledger_violation(struct ledger *ledger, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Delivery died. */
void ledger_death(struct ledger *ledger);
/* The journal's health changed. */
void ledger_journal(struct ledger *ledger, bool well);

/* How a message came. */
enum ledger_way { WAY_DATA, WAY_BDAT, WAY_MAILDIR };

struct ledger_arrival {
	const char *hop;
	uint64_t at_ns;
	enum ledger_way way;
	bool seven_bit; /* the hop has no 8BITMIME */
	bool no_binary;
	bool partial;
	struct span sender;
	const char (*rcpts)[LEDGER_ADDRESS];
	size_t rcpt_count;
	struct span bytes;
	const struct sim_mark *reply;
};

/* A next hop took a message over. */
void ledger_arrived(struct ledger *ledger, const struct ledger_arrival *arrival);
/* A message was found in a mailbox. */
void ledger_in_mailbox(struct ledger *ledger, const char *address, struct span file);
/* The recipient by its address: what a hop must know to greylist, or to note a refusal. */
struct ledger_rcpt *ledger_rcpt_find(struct ledger *ledger, const char *address);

/* The end: all checks. */
void ledger_judge(struct ledger *ledger);

#endif
