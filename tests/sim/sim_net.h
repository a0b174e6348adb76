/*
 * The network between simulated hosts: byte streams with latency, cut into segments anywhere, with
 * bounded buffers at both ends; they stall, are reset, are closed by halves, and go silent.
 *
 * An end belongs to its host's code: a role (through sim_io) or a peer. What an end was given is
 * either still on its way, or was read by the other side: a mark tells, which is how the judge
 * knows whether a reply was seen.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "base/list.h"
#include "base/netaddr.h"
#include "sim.h"

#define NET_LISTENERS 64

struct sim_net;
struct sim_end;

/* Called from the list of events only, never inside a call. */
struct sim_end_calls {
	void (*connected)(void *owner, int err); /* outbound: err < 0: it failed */
	void (*readable)(void *owner);		 /* bytes, the end of the stream, or a failure */
	void (*writable)(void *owner);		 /* room again, after a write that was cut short */
};

/* A new connection; the owner adopts the end or closes it. False: nobody takes it now; asked again.
 */
typedef bool sim_accept(void *owner, struct sim_end *end, const struct netaddr *client);

struct sim_net_weather { /* in 1000ths of all connections */
	unsigned reset, stall, silent;
};

struct sim_net *sim_net_new(struct sim *sim);
void sim_net_set_weather(struct sim_net *net, const struct sim_net_weather *weather);

/* Replaces what listened there; accept NULL: nobody. */
void sim_net_listen(
	struct sim_net *net, const struct netaddr *address, sim_accept *accept, void *owner);
/* Packets to that IP vanish. */
void sim_net_set_lost(struct sim_net *net, const struct netaddr *address, bool lost);

struct sim_end *sim_net_connect(struct sim_net *net, const struct netaddr *from,
	const struct netaddr *to, const struct sim_end_calls *calls, void *owner);
void sim_end_adopt(struct sim_end *end, const struct sim_end_calls *calls, void *owner);

/* Bytes taken, 0 where the buffer is full (writable() comes), ERR_CLOSED. */
int64_t sim_end_write(struct sim_end *end, const void *p, size_t n);
/* Bytes, 0 where there are none now, ERR_MORE at the end of the stream, ERR_CLOSED after a reset.
 */
int64_t sim_end_read(struct sim_end *end, void *to, size_t n);
/* Something can be read, or it is over. */
bool sim_end_has_input(const struct sim_end *end);
/* Bytes that came and were not read. */
size_t sim_end_waiting(const struct sim_end *end);
void sim_end_shutdown(struct sim_end *end);
/* As close() does it: what was written is still delivered, unless input was left unread. */
void sim_end_close(struct sim_end **end);
void sim_end_reset(struct sim_end **end);
/* The host lost its power: no packet comes from it any more, but a reset, later. */
void sim_end_vanish(struct sim_end **end);

/* When the connection was begun. */
uint64_t sim_end_opened_ns(const struct sim_end *end);
/* When the other side last wrote what was, or is to be, read here. */
uint64_t sim_end_sent_ns(const struct sim_end *end);

/* A place in the stream of this end: `ahead` bytes after all that was written so far. It belongs to
 * the network and outlives the end. */
struct sim_mark {
	struct sim_mark *next;
	uint64_t at;
	uint64_t seen_ns; /* when the other side had read up to there; 0: not yet, or never */
};
const struct sim_mark *sim_end_mark(struct sim_end *end, size_t ahead);

void sim_end_names(const struct sim_end *end, struct netaddr *local, struct netaddr *peer);

#endif
