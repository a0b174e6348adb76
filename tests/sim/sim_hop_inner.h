/*
 * What the files of a simulated next hop share: sim_hop.c (the host), sim_hop_session.c (a
 * connection and what comes over it), sim_hop_command.c (what it is asked), sim_hop_tls.c
 * (STARTTLS, and who meddles with it), sim_hop_auth.c (logins).
 */
#ifndef SIM_HOP_INNER_H
#define SIM_HOP_INNER_H

#include "sim_hop.h"

#include "base/buf.h"
#include "codec/scram.h"
#include "sim_link.h"
#include "sim_tls.h"
#include "sim_trust.h"

extern const struct sim_end_calls sim_hop_session_calls;

#define HOP_RCPTS   64
#define HOP_MESSAGE (8u << 20)
#define HOP_GREY_NS (5 * SIM_MINUTE)

struct sim_hop {
	struct sim *sim;
	struct sim_net *net;
	struct ledger *ledger;
	const struct sim_hop_kind *kind;
	struct netaddr address;
	bool busy;	    /* greets with 421 */
	unsigned shaking;   /* sessions in a handshake */
	uint64_t failed_ns; /* one of them failed last; 0: none did */
	bool scram;	    /* that is how one logs in */
	struct scram_verifier verifier;
	struct timer timer;
};

/* Somebody on the way. */
enum attack {
	ATTACK_NONE,
	ATTACK_STRIP,  /* the offer of STARTTLS is taken away */
	ATTACK_REFUSE, /* STARTTLS is answered with a refusal */
	ATTACK_INJECT, /* bytes are put behind the reply to STARTTLS */
	ATTACK_EVIL,   /* he answers himself */
	ATTACK_ROGUE,  /* … with a good certificate */
	ATTACKS
};

struct session {
	struct sim_hop *hop;
	struct sim_end *end;
	struct buf in, out, body;
	struct buf wire;     /* `out` as it goes over the wire */
	struct sim_tls *tls; /* NULL: in clear */
	enum attack attack;
	bool secured, offered, asked_tls, meddled, logged_in;
	unsigned login_step; /* of LOGIN: what was asked for */
	struct sim_scram *scram;
	char helo[64];
	uint64_t opened_ns;
	bool extended, greeted, in_mail, in_data, ending, deaf;
	bool chunked;
	uint64_t chunk_left;
	bool chunk_last, chunk_bad;
	char sender[LEDGER_ADDRESS];
	char rcpts[HOP_RCPTS][LEDGER_ADDRESS];
	size_t rcpt_count;
	bool utf8, require_tls; /* MAIL said SMTPUTF8, REQUIRETLS */
	struct timer timer;	/* speaks again */
};

bool sim_hop_trouble(struct session *s, unsigned parts);
void sim_hop_end(struct session *s, bool reset);
bool sim_hop_flush(struct session *s);
void sim_hop_say(struct session *s, const char *code, const char *enhanced, const char *text);
void sim_hop_fall_silent(struct session *s);
void sim_hop_reset_mail(struct session *s);
bool sim_hop_take_data(struct session *s, bool *more);
bool sim_hop_take_chunk(struct session *s, bool *more);
void sim_hop_awake(struct timer *timer);
void sim_hop_go_on(struct session *s);

/* sim_hop_tls.c */
void sim_hop_meet_attacker(struct session *s);
bool sim_hop_offers_tls(const struct session *s);
/* False: the session is gone. */
bool sim_hop_starttls(struct session *s);
/* Bytes that came. False: the session is gone. */
bool sim_hop_take(struct session *s, const void *bytes, size_t n);
/* What is to be said lies in `wire` after it. */
void sim_hop_wrap(struct session *s);
/* It ends: so may a handshake. */
void sim_hop_tls_done(struct session *s);
void sim_hop_link(const struct session *s, struct sim_link *out);

/* sim_hop_auth.c */
void sim_hop_say_auth(struct session *s);
/* A line of it. False: it is another command. */
bool sim_hop_auth(struct session *s, const char *line);
void sim_hop_auth_done(struct session *s);

#endif
