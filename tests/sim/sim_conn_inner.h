/*
 * What the files of a simulated connection share: sim_conn.c (what its owner calls),
 * sim_conn_event.c (what its owner is told).
 */
#ifndef SIM_CONN_INNER_H
#define SIM_CONN_INNER_H

#include "sim_io.h"

extern const struct sim_end_calls sim_conn_end_calls;

#define COPY_BYTES 16384

struct piece {
	struct piece *next;
	struct io_file *file; /* NULL: bytes */
	uint64_t offset;
	uint64_t n;
	char *bytes;
};

struct conn {
	struct io_conn base; /* first */
	struct sim_process *process;
	struct list node;
	struct sim_end *end;
	const struct io_conn_handler *handler;
	void *owner;
	struct piece *first, **last;
	uint64_t unsent, unsent_bytes;
	bool connecting, paused, lingers, told, eof, drain;
	int failed;
	struct timer again, linger;
};

struct timers *sim_conn_events(struct conn *c);
void sim_conn_drop_pieces(struct conn *c);
void sim_conn_destroy(struct conn *c);
void sim_conn_look_again(struct conn *c, uint64_t after);
int sim_conn_flush(struct conn *c);
void sim_conn_again_fired(struct timer *timer);
void sim_conn_linger_over(struct timer *timer);

#endif
