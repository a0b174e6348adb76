/*
 * Channels between simulated processes, as socket pairs of datagrams are: in order, bounded, and
 * what a dead process had sent still arrives before its end is told. An end is a plug until the
 * process that it was handed to opens it; until then, what is sent to it waits in it.
 */
#ifndef SIM_CHANNEL_H
#define SIM_CHANNEL_H

#include "sim_io.h"

struct sim_plug;

/* A pair, one for each of two processes. */
void sim_channel_pair(struct sim *sim, struct sim_plug *out[2]);
struct io_channel *sim_plug_open(struct sim_plug *plug, struct sim_process *process,
	const struct io_channel_handler *handler, void *owner);
/* Nobody is there to open it. */
void sim_plug_drop(struct sim_plug *plug);

/* struct io_ops */
int sim_channel_send(
	struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count);
void sim_channel_close(struct io_channel **channel);
/* The kernel closes what a dead process had open. */
void sim_channels_abandon(struct sim_process *p);

#endif
