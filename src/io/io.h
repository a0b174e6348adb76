/*
 * The world as a role sees it: time, network, helper threads, randomness. Two implementations:
 * io/loop (libuv, the real one) and tests/sim (simulated time, faults). Code above this line never
 * calls the kernel itself, so all of it runs under the simulator and the fuzzers unchanged.
 *
 * Single-threaded: every call and every callback happens on the role's one loop. Only a job's
 * run() happens elsewhere.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/err.h"
#include "base/netaddr.h"
#include "base/span.h"
#include "base/timers.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct io;
struct io_conn;
struct io_channel;
struct io_file; /* io/disk.h */
struct tls_client;
struct tls_info;
struct tls_server; /* io/tls.h */

/* ---- connections ---------------------------------------------------------------------------- */

/*
 * What the owner of a connection provides. No callback runs inside a call into the connection:
 * they come from the loop only, so an owner is never re-entered. After io_conn_close() none comes.
 */
struct io_conn_handler {
	/* Outbound: the connection stands (err 0) or failed; then it is the owner's to close. */
	void (*connected)(void *owner, int err);
	/* Where the next bytes go; asked right before they are read, so that a body is read
	 * straight into its message. Never an empty iovec: an owner that wants no input pauses the
	 * connection. */
	struct iovec (*buffer)(void *owner);
	/* n > 0 bytes lie in that buffer. */
	void (*received)(void *owner, size_t n);
	/* All that was given to send was taken by the kernel; called only after a send that had to
	 * wait. */
	void (*drained)(void *owner);
	/* The peer closed its side (err 0) or the connection failed (err < 0). Closing is the
	 * owner's. A protected connection may end without the peer having said so (TLS's
	 * close_notify), which is err 0 too: whoever can cut the wire can cause it, so a protocol
	 * above must tell by itself whether it was at an end (SMTP does). ERR_SYNTAX: what came was
	 * not what the peer had protected. */
	void (*closed)(void *owner, int err);
	/* The handshake that io_conn_secure_server() or _client() began is over: 0, or ERR_DENIED
	 * (refused, by either side), ERR_TIMEOUT, ERR_CLOSED, ERR_NOMEM; then nothing more comes,
	 * and the connection is the owner's to close. `info` is io_conn_tls(). NULL in handlers
	 * that never secure. */
	void (*secured)(void *owner, int err, const struct tls_info *info);
};

/* ---- jobs ----------------------------------------------------------------------------------- */

/* Work that blocks (sync, SQLite, a password hash): run() on a helper thread, done() on the
 * loop. */
struct io_job {
	void (*run)(struct io_job *job);
	void (*done)(struct io_job *job);
	struct io_job *next; /* of the implementation while submitted */
};

/* Jobs of one lane run one after another, in order, on the lane's own thread. */
enum io_lane { IO_LANE_COMMIT, IO_LANE_FILE, IO_LANE_HASH, IO_LANES };

/* ---- messages between roles ----------------------------------------------------------------- */

/* One datagram of at most this many bytes, with at most IO_CHANNEL_FDS descriptors. */
#define IO_CHANNEL_BYTES 65536
#define IO_CHANNEL_FDS	 4

struct io_channel_handler {
	/* Descriptors, if any, are the receiver's to close. The bytes are valid during the call. */
	void (*message)(void *owner, struct span bytes, const int *fds, size_t fd_count);
	/* Messages that had to wait are gone; called only after io_channel_send() said
	 * ERR_AGAIN. */
	void (*writable)(void *owner);
	/* The other role is gone. */
	void (*closed)(void *owner);
};

/* ---- the table of operations ---------------------------------------------------------------- */

struct io_ops {
	/* A connection to `peer`, from `local` where its family is not NETADDR_NONE. Nagle is off.
	 * An error at once (no memory, no descriptors) is returned; all others reach
	 * connected(). */
	int (*connect)(struct io *io, const struct netaddr *local, const struct netaddr *peer,
		const struct io_conn_handler *handler, void *owner, struct io_conn **out);
	/* Queues bytes. What the kernel does not take at once is copied. `more`: further bytes
	 * follow in this same turn, so a packet may wait for them. ERR_LIMIT: the peer does not
	 * read and IO_CONN_UNSENT bytes wait already. ERR_CLOSED: the connection failed. */
	int (*send)(struct io_conn *conn, const struct iovec *parts, size_t count, bool more);
	/* The same for a range of a file (sendfile where possible), after all that was sent before.
	 * The file must stay open until drained() or until the call returned with nothing
	 * waiting. */
	int (*send_file)(
		struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length);
	/* Bytes given to send, and not yet taken by the kernel. */
	size_t (*unsent)(const struct io_conn *conn);
	/* Has something come that received() or closed() did not tell of yet? A system call, but
	 * for a connection that is read when a turn ends: what had come before it is told of then,
	 * and what came during it may as well have come a moment later. NULL: nothing ever has. */
	bool (*arrived)(const struct io_conn *conn);
	/* TLS from here on, one of the two sides; once per connection, and with nothing waiting to
	 * be sent. secured() comes within `ms`; until then nothing can be sent (ERR_BUSY), and a
	 * pause holds back what comes after the handshake only.
	 *
	 * Bytes that came before the handshake could be taken for protected ones (RFC 3207 section
	 * 4.2; the injection of STARTTLS). Who may find them differs by side. A server: its owner
	 * alone, as the client's hello may rightly come as soon as the reply to STARTTLS is sent.
	 * Before it sends that reply, it looks for bytes behind the command in its own buffer, and
	 * asks arrived(), and closes where there are any. A client: its owner looks for bytes
	 * behind the reply, and secure() for those that came since: a server has nothing to say
	 * before it saw a hello.
	 *
	 * ERR_BUSY: those bytes, or bytes that wait to be sent; the owner closes. ERR_NOMEM,
	 * ERR_CLOSED, ERR_UNSUPPORTED (this io has no TLS). */
	int (*secure)(struct io_conn *conn, struct tls_server *server,
		const struct tls_client *client, uint64_t ms);
	/* NULL while the connection is not protected. */
	const struct tls_info *(*tls)(const struct io_conn *conn);
	void (*pause)(struct io_conn *conn);
	void (*resume)(struct io_conn *conn);
	/* Closes at once; unsent bytes are lost unless `linger`: then they are sent first, for
	 * IO_CONN_LINGER_MS at most, by the io itself. *conn becomes NULL. */
	void (*close)(struct io_conn **conn, bool linger);
	/* The two ends. */
	void (*ends)(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer);

	int (*submit)(struct io *io, enum io_lane lane, struct io_job *job);

	/* Sends a datagram whole or not at all. ERR_AGAIN: full, wait for writable();
	 * ERR_CLOSED. */
	int (*channel_send)(
		struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count);
	void (*channel_close)(struct io_channel **channel);

	/* That nobody can guess, but in a simulation. */
	uint64_t (*random)(struct io *io);
};

#define IO_CONN_UNSENT	  (1u << 20) /* bytes that wait at most in one connection */
#define IO_CONN_LINGER_MS 10000

/* A task for the end of this turn of the loop: gathers what many events of the turn have begun
 * (one commit, one notice, one log write), so that it is done once. */
struct io_turn {
	void (*end)(struct io_turn *turn);
	struct io_turn *next; /* of the implementation while queued */
	bool queued;
};

struct io {
	const struct io_ops *ops;
	uint64_t now_ns; /* monotonic; brought up to date before the callbacks of a turn */
	int64_t wall_ms; /* since 1970 UTC; likewise; may jump */
	struct timers timers;
	struct io_turn *turns; /* end-of-turn tasks, in the order they were queued */
	struct io_turn **turns_tail;
	bool ends_turn; /* end-of-turn tasks run: everything that had come was told of */
};

/* ---- what everybody calls ------------------------------------------------------------------- */

#define NS_PER_MS 1000000ull
#define NS_PER_S  1000000000ull

static inline int io_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out)
{
	return io->ops->connect(io, local, peer, handler, owner, out);
}

static inline int io_timer_after(struct io *io, struct timer *timer, uint64_t ms)
{
	return timers_arm(&io->timers, timer, io->now_ns + ms * NS_PER_MS);
}

static inline void io_timer_stop(struct io *io, struct timer *timer)
{
	timers_disarm(&io->timers, timer);
}

/* Once per turn, however often it is called. */
static inline void io_turn_end(struct io *io, struct io_turn *turn)
{
	if (turn->queued)
		return;
	turn->queued = true;
	turn->next = NULL;
	*io->turns_tail = turn;
	io->turns_tail = &turn->next;
}

/* Takes a task back whose owner goes away; no harm where it is not queued. */
void io_turn_forget(struct io *io, struct io_turn *turn);
/* The implementation calls it after the callbacks of a turn, before it waits. Tasks may queue
 * tasks. */
void io_turns_run(struct io *io);
/* Sets the common part up. */
void io_init(struct io *io, const struct io_ops *ops);
/* Every connection begins with a pointer to its io, so that the calls below need no second
 * argument. */
struct io_conn {
	struct io *io;
};

static inline int io_conn_send(
	struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	return conn->io->ops->send(conn, parts, count, more);
}

static inline int io_conn_send_file(
	struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length)
{
	return conn->io->ops->send_file(conn, file, offset, length);
}

static inline size_t io_conn_unsent(const struct io_conn *conn)
{
	return conn->io->ops->unsent(conn);
}

static inline bool io_conn_arrived(const struct io_conn *conn)
{
	return conn->io->ops->arrived && conn->io->ops->arrived(conn);
}

/* As a server, or as a client. */
static inline int io_conn_secure_server(
	struct io_conn *conn, struct tls_server *server, uint64_t ms)
{
	return conn->io->ops->secure ? conn->io->ops->secure(conn, server, NULL, ms)
				     : ERR_UNSUPPORTED;
}

static inline int io_conn_secure_client(
	struct io_conn *conn, const struct tls_client *client, uint64_t ms)
{
	return conn->io->ops->secure ? conn->io->ops->secure(conn, NULL, client, ms)
				     : ERR_UNSUPPORTED;
}

static inline const struct tls_info *io_conn_tls(const struct io_conn *conn)
{
	return conn->io->ops->tls ? conn->io->ops->tls(conn) : NULL;
}

static inline void io_conn_pause(struct io_conn *conn)
{
	conn->io->ops->pause(conn);
}

static inline void io_conn_resume(struct io_conn *conn)
{
	conn->io->ops->resume(conn);
}

static inline void io_conn_close(struct io_conn **conn, bool linger)
{
	if (*conn)
		(*conn)->io->ops->close(conn, linger);
}

static inline void io_conn_ends(
	const struct io_conn *conn, struct netaddr *local, struct netaddr *peer)
{
	conn->io->ops->ends(conn, local, peer);
}

static inline int io_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	return io->ops->submit(io, lane, job);
}

struct io_channel {
	struct io *io;
	const struct io_channel_handler *handler;
	void *owner;
};

static inline int io_channel_send(
	struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count)
{
	return channel->io->ops->channel_send(channel, bytes, fds, fd_count);
}

static inline void io_channel_close(struct io_channel **channel)
{
	if (*channel)
		(*channel)->io->ops->channel_close(channel);
}

static inline uint64_t io_random(struct io *io)
{
	return io->ops->random(io);
}

#endif
