/*
 * What the files of the simulated network share: sim_net.c (connections), sim_pipe.c (one direction
 * of one).
 */
#ifndef SIM_NET_INNER_H
#define SIM_NET_INNER_H

#include "sim_net.h"

#include "base/buf.h"

#define PIPE_BYTES (64u << 20)

/* One direction. Never freed: marks point to it, and a run is short. */
struct sim_pipe {
	struct sim *sim;
	struct sim_end *from, *to; /* NULL: closed */
	struct buf wire, in;	   /* on its way; arrived and not read */
	size_t wire_most, in_most;
	uint64_t written, read, written_ns;
	bool fin, fin_in, reset_in;
	bool blocked; /* the writer waits for room */
	unsigned style;
	uint64_t latency_ns;
	uint64_t stall_at, reset_at, silent_at; /* places in the stream; UINT64_MAX: never */
	uint64_t arrived;
	struct sim_mark *marks;
	struct timer timer, tell_to, tell_from;
};

struct sim_end {
	struct sim_net *net;
	struct sim_pipe *out, *in;
	struct netaddr local, peer;
	const struct sim_end_calls *calls;
	void *owner;
	bool connecting;
	uint64_t opened_ns;
	struct timer timer; /* connecting */
};

struct listener {
	struct netaddr address;
	sim_accept *accept;
	void *owner;
	bool lost;
};

struct sim_net {
	struct sim *sim;
	struct listener listeners[NET_LISTENERS];
	size_t listener_count;
	struct sim_net_weather weather;
	uint16_t ports;
};

void sim_pipe_wake(struct sim_pipe *p, uint64_t after);
void sim_pipe_tell_reader(struct sim_pipe *p);
void sim_pipe_reset_both(struct sim_end *end);
void sim_pipe_break_off(struct sim_pipe *p);
struct sim_pipe *sim_pipe_new(
	struct sim_net *net, const struct sim_net_weather *w, uint64_t latency, unsigned style);

#endif
