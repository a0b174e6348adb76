/*
 * What the files of a simulated next hop share: sim_hop.c (the host), sim_hop_session.c (a
 * connection and what comes over it), sim_hop_command.c (what it is asked).
 */
#ifndef SIM_HOP_INNER_H
#define SIM_HOP_INNER_H

#include "sim_hop.h"

#include "base/buf.h"

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
	bool busy; /* greets with 421 */
	struct timer timer;
};

struct session {
	struct sim_hop *hop;
	struct sim_end *end;
	struct buf in, out, body;
	bool extended, greeted, in_mail, in_data, ending, deaf;
	bool chunked;
	uint64_t chunk_left;
	bool chunk_last, chunk_bad;
	char sender[LEDGER_ADDRESS];
	char rcpts[HOP_RCPTS][LEDGER_ADDRESS];
	size_t rcpt_count;
	bool utf8;	    /* MAIL said SMTPUTF8 */
	struct timer timer; /* speaks again */
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

#endif
