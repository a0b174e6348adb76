/*
 * A process of the simulated machine: struct io over the simulated world, and the right to die at
 * any moment. Each callback runs by process_enter(); when it is killed inside one (at a disk
 * operation), control jumps back out of it, and nothing of the process ever runs again. Its memory
 * is left where it lies.
 *
 * Jobs run as fibers, one at a time in each lane, and stop at disk operations for a while, so that
 * they are interleaved with everything else.
 */
#ifndef SIM_IO_H
#define SIM_IO_H

#include "sim_fiber.h"
#include "sim_net.h"

#include <setjmp.h>

struct sim_process;

struct sim_lane {
	struct sim_process *process;
	struct io_job *first, **last;
	struct io_job *running;
	struct sim_fiber *fiber;
	struct timer timer;
	struct io_job *done, **done_last;
	struct timer done_timer;
};

struct sim_process {
	struct io io; /* first */
	struct sim *sim;
	struct sim_net *net;
	struct netaddr address; /* to connect from */
	const char *name;
	bool dead, inside, killed;
	unsigned slow; /* how long disk operations take: a power of two of microseconds */
	jmp_buf escape;
	struct timer wake, turn;
	struct sim_lane lanes[IO_LANES];
	struct sim_lane *lane; /* whose fiber is on now */
	struct list conns, channels;
	struct sim_ticket *tickets; /* sim_conn_tls.c */
	size_t ticket_count;
	uint64_t kill_in; /* disk operations from now; 0: not planned */
	bool kill_after;  /* not before that operation but after it */
	bool kill_now;
	void *owner;
	void (*died)(void *owner); /* once, from the list of events; may be NULL */
};

struct sim_process *process_new(
	struct sim *sim, struct sim_net *net, const char *name, const struct netaddr *address);

/* Runs one callback in the process; false: it is dead, or died in it. */
bool process_enter(struct sim_process *p, void (*run)(void *arg), void *arg);

/* Dies now: from outside, or from within a callback or a job (then it does not return). */
void process_kill(struct sim_process *p);

/* At a disk operation: a job stops for a while. */
void process_disk_pause(struct sim_process *p);

/* An end that was accepted becomes a connection of the process, to be adopted at once. */
struct io_conn *sim_conn_new(struct sim_process *p, struct sim_end *end);
void sim_conn_adopt(struct io_conn *conn, const struct io_conn_handler *handler, void *owner);

extern const struct io_ops sim_io_ops;

/* sim_conn.c */
int sim_conn_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out);
int sim_conn_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more);
int sim_conn_send_file(
	struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length);
size_t sim_conn_unsent(const struct io_conn *conn);
bool sim_conn_arrived(const struct io_conn *conn);
void sim_conn_pause(struct io_conn *conn);
void sim_conn_resume(struct io_conn *conn);
void sim_conn_close(struct io_conn **conn, bool linger);
int sim_conn_secure(struct io_conn *conn, struct tls_server *server,
	const struct tls_client *client, uint64_t ms);
const struct tls_info *sim_conn_info(const struct io_conn *conn);
void sim_conn_ends(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer);
/* The kernel closes what a dead process had open; without power nothing is sent any more. */
void sim_conns_abandon(struct sim_process *p, bool no_power);

#endif
