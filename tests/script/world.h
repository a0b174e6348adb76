/*
 * A small world for the SMTP server: connections whose bytes come in the pieces that the test
 * chooses, a spool writer in memory that commits when the turn ends (or fails, or is short of
 * memory, as told), a directory with three domains, somebody who knows passwords and next hops, and
 * TLS without a byte of it. No time passes unless the test says so.
 *
 * The writer is harsher than the real one: a room is a fresh allocation of just its length each
 * time, freed when it was used, so a byte read from the wrong place is caught by the sanitizer.
 */
#ifndef TESTS_SCRIPT_WORLD_H
#define TESTS_SCRIPT_WORLD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/prng.h"
#include "io/tls.h"
#include "route/self.h"
#include "smtpd/auth.h"
#include "smtpd/hops.h"
#include "smtpd/smtpd.h"

#define WORLD_MESSAGES 64
#define WORLD_PEERS    64
#define WORLD_EVENTS   256
#define WORLD_TEXT     300

/* A message that was committed (its outcome may not have been reported). */
struct world_message {
	struct buf encoded; /* the envelope */
	struct arena arena;
	struct envelope envelope;
	struct buf body;
};

struct world_event {
	enum event_kind kind;
	uint64_t id;
	uint16_t code;
	uint32_t recipients;
	bool sender_known;
	char sender[WORLD_TEXT], recipient[WORLD_TEXT]; /* cut; the first recipient */
	char user[WORLD_TEXT], reason[WORLD_TEXT], tls[WORLD_TEXT];
	char auth[WORLD_TEXT], relay[WORLD_TEXT], why[WORLD_TEXT];
	struct netaddr client;
};

struct peer {
	struct io_conn conn; /* must be first */
	struct world *world;
	struct netaddr address;
	const struct io_conn_handler *handler;
	void *owner;
	struct buf input;   /* sent, and not read yet */
	struct buf replies; /* all that the server said */
	size_t unread;	    /* of the replies: the client does not read them */
	bool reads;	    /* the client reads what it is told: the default */
	bool paused, eof, closed, eof_told;
	bool lingers; /* closed, and watched over until the peer closes, too */
	bool adopted;
	bool quick; /* its answer is there before the server's send returns */
	bool has_answered;
	bool shaking;	 /* the handshake runs: what is sent in clear makes it fail */
	bool is_secured; /* it is over */
	struct tls_info tls;
};

struct tls_server {
	uint32_t refs;
};

/* Knows ann@c.example and bob@b.example; their password is "secret". Answers when the turn ends. */
struct world_auth {
	struct auth auth; /* first */
	struct list questions;
	bool hold;		 /* answers wait */
	int err;		 /* of auth_ask() */
	enum auth_result result; /* AUTH_YES: the right one */
	uint64_t delay_ms;
	uint32_t asked;
	struct span listener;	  /* of the last question */
	char user[AUTH_USER + 1]; /* likewise */
	struct netaddr client;	  /* likewise */
};

/* Says that all mail goes to `address`. */
struct world_hops {
	struct hops hops; /* first */
	struct list questions;
	bool hold;
	int err; /* of hops_ask() */
	bool known;
	struct netaddr address;
	uint32_t asked;
};

struct spool_writer {
	struct world *world;
	enum spool_health health;
	int new_err, wrote_err, commit_err; /* what the calls answer */
	int outcome;			    /* what committed() says */
	bool hold;			    /* commits stay open until told */
	uint32_t room_most;		    /* bytes of a room; 0: 65536 */
	bool room_random;		    /* 1 … room_most */
	uint32_t short_of_memory;	    /* of 256 requests for a room, so many get none */
	bool starve;			    /* no room at all */
	struct list drafts;
	uint32_t ordinal;
	uint32_t open_drafts;
};

struct world {
	struct io io;
	struct config config;
	struct route_config route;
	struct spool_writer writer;
	struct event_sink sink;
	struct log log;
	struct smtpd *smtpd;
	struct world_auth auth;
	struct world_hops hops;
	struct tls_server tls;
	struct tls_info tls_info; /* of handshakes that succeed */
	struct buf logged;	  /* all lines: message and fields */
	struct prng prng;
	struct prng random; /* what the io gives */
	struct world_message messages[WORLD_MESSAGES];
	uint32_t message_count;
	struct world_event events[WORLD_EVENTS];
	uint32_t event_count;
	struct peer *peers[WORLD_PEERS];
	uint32_t peer_count;
};

/* Defaults: ample limits; c.example has mailboxes (ann@c.example), a.example goes by transport
 * "site-a"; relaying from loopback by "outbound". */
void world_open(struct world *world);
/* Starts the server; between open and start the test may change config. */
void world_start(struct world *world);
/* The listener has a certificate from now on. */
void world_give_tls(struct world *world);
void world_close(struct world *world);

/* NULL where the server turned it away; then *turned_away has what it said. */
struct peer *world_connect(struct world *world, const char *address, struct buf *turned_away);
/* The bytes come in as they are read, in one piece as far as the server's buffers allow. */
void peer_send(struct peer *peer, struct span bytes);
void peer_send_str(struct peer *peer, const char *text);
/* The client shuts its side down, or the connection breaks. */
void peer_eof(struct peer *peer, int err);
/* Replies that the client did not read are read now. */
void peer_read(struct peer *peer);
/* The handshake comes to its end: 0, or why it fails. */
void peer_handshake(struct peer *peer, int err);
/* The replies so far as text; cleared. */
const char *peer_replies(struct peer *peer, struct buf *out);

/* Ends turns until nothing moves; commits what may be committed. */
void world_settle(struct world *world);
void world_pass_ms(struct world *world, uint64_t ms);
/* Commits that were held end thus. */
void world_commit(struct world *world, int err);
/* The writer has memory again. */
void world_give_room(struct world *world);

/* Whoever was asked answers, but for those that hold. False: nobody was. */
bool world_answer(struct world *world);
void world_auth_init(struct world *world);

/* The fake directory. */
struct snapshot *world_snapshot_new(void);
uint32_t world_snapshot_refs(const struct snapshot *snapshot);
/* A rule of the prioritised queue for every snapshot of this process; NULL: none. */
void world_set_priority(struct snapshot *snapshot, const struct priority_rule *rule);
/* Who gets the postmaster's mail. */
void world_set_postmaster(struct snapshot *snapshot, const char *address);
/* Of the listener. `to`: next hops that mail may go to, one address; NULL: none. */
void world_set_relay(struct snapshot *snapshot, const struct relay *relay, const char *to);
/* ann's account. */
void world_disable_account(struct snapshot *snapshot);
/* Its logins count since then; 1 in any other; 0: it has none. */
void world_change_password(struct snapshot *snapshot, uint64_t since);

#endif
