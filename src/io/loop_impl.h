/*
 * What the files of the loop share; nobody else includes it.
 */
#ifndef IO_LOOP_IMPL_H
#define IO_LOOP_IMPL_H

#include "base/list.h"
#include "io/disk.h"
#include "io/loop.h"

#include <pthread.h>
#include <uv.h>

#define LOOP_MAGIC   0x6c6f6f70u
#define CONN_MAGIC   0x636f6e6eu
#define LOOP_SCRATCH 16384 /* bytes of input that are thrown away at once while lingering */

struct lane {
	struct loop *loop;
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t wake;
	struct io_job *first, **last;
	bool started, stop;
};

struct loop {
	struct io io; /* first: a struct io * is a struct loop * */
	uint32_t magic;
	uv_loop_t uv;
	uv_prepare_t prepare;
	uv_check_t check;
	uv_timer_t timer;
	uint64_t armed_ns; /* the deadline the uv timer stands for */
	bool fresh;	   /* now_ns was read since the last wait */
	bool running;
	uint64_t turn;
	int (*file_fd)(const struct io_file *file);
	struct list lingering;
	size_t lingering_count;
	size_t conn_count, conn_most;
	int fd_most; /* an accepted connection has a lower descriptor */
	char *scratch;
	/* jobs */
	struct lane lanes[IO_LANES];
	uv_async_t async;
	pthread_mutex_t finished_mutex;
	struct io_job *finished, **finished_last;
	size_t jobs; /* submitted, not done */
	/* channels */
	struct channel_batch *batch;
	struct loop_tls *tls; /* NULL until the first protected connection */
};

/* What waits to be sent, in order: copied bytes, or ranges of files. */
struct piece {
	struct piece *next;
	struct io_file *file; /* NULL: bytes */
	uint64_t offset;      /* in the file, or of the first unsent byte in data */
	uint64_t n;	      /* unsent */
	size_t room;	      /* of data */
	char data[];
};

#define OUT_NUDGE 4096

/* Exists only while something waits. */
struct out {
	struct piece *first, **last;
	size_t bytes;	/* unsent, in memory */
	uint64_t total; /* unsent, with file ranges */
	size_t nudged;	/* bytes of the first piece that libuv is writing; 0: none */
	uv_write_t write;
	char nudge[OUT_NUDGE];
};

struct conn {
	struct io_conn base; /* first */
	uint32_t magic;
	int fd;
	const struct io_conn_handler *handler;
	void *owner;
	struct netaddr peer;
	struct netaddr local; /* NETADDR_NONE: the kernel knows */
	struct out *out;
	struct conn_tls *tls; /* NULL: not protected */
	uv_connect_t *connecting;
	struct timer timer; /* a failure to tell, the end of lingering or of a handshake's time */
	struct list lingering;
	int failed;   /* negative enum err */
	bool reading; /* libuv watches */
	bool paused;
	bool eof;
	bool told;   /* the owner knows of the failure */
	bool asking; /* buffer() runs */
	bool lingers, closing, unconnected;
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
};

static inline struct loop *loop_of(struct io *io)
{
	struct loop *loop = (struct loop *)(void *)io;
	CHECK_MAGIC(loop, LOOP_MAGIC);
	return loop;
}

static inline struct loop *conn_loop(const struct conn *c)
{
	return loop_of(c->base.io);
}

static inline struct conn *conn_of(const struct io_conn *conn)
{
	struct conn *c = (struct conn *)conn;
	CHECK_MAGIC(c, CONN_MAGIC);
	return c;
}

/* Every callback of libuv begins with it: the first after a wait reads the clocks. */
void loop_wake(struct loop *loop);

int err_from_uv(int uv_error);

/* loop_jobs.c */
int loop_jobs_init(struct loop *loop);
void loop_jobs_done(struct loop *loop);
int loop_submit(struct io *io, enum io_lane which, struct io_job *job);

/* loop_conn.c */
int conn_accepted(struct loop *loop, int fd, bool local, const struct netaddr *peer,
	const struct netaddr *local_address, struct conn **out);
int conn_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out);
void conn_pause(struct io_conn *conn);
void conn_resume(struct io_conn *conn);
void conn_close(struct io_conn **conn, bool linger);
void conn_ends(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer);
void conn_destroy(struct conn *c);
/* Closes the connection that lingers longest; false: none does. */
bool conn_shed(struct loop *loop);
/* Nothing waits any more, after something did. */
void conn_flushed(struct conn *c);
/* Tells the owner, from the loop, that the connection failed. */
void conn_fail_later(struct conn *c, int err);
void conn_tell_closed(struct conn *c, int err);
/* Watches for input. */
void conn_read_on(struct conn *c);

/* loop_send.c */
int conn_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more);
int conn_send_file(struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length);
size_t conn_unsent(const struct io_conn *conn);
bool conn_arrived(const struct io_conn *conn);
bool conn_waits_for_file(const struct conn *c);
void conn_drop_out(struct conn *c);
/* n bytes to the socket as they are, at once as far as it takes them; or none at once, so
 * that others have their turn. */
int conn_put(struct conn *c, const struct iovec *parts, size_t count, size_t n, bool more);
int conn_put_later(struct conn *c, const struct iovec *part);
/* What was to be sent is lost, and the owner will hear of it. ERR_CLOSED. */
int conn_fail(struct conn *c, int err);

/* loop_tls.c: each but the first two is for connections that are protected only. */
int conn_secure(struct io_conn *conn, struct tls_server *server, const struct tls_client *client,
	uint64_t ms);
const struct tls_info *conn_tls_info(const struct io_conn *conn);
void loop_tls_done(struct loop *loop);
void conn_tls_free(struct conn *c);
/* The time for the handshake is over; false: it was over before. */
bool conn_tls_timeout(struct conn *c);
/* The end of the raw input, or a failure of the connection; false: closed() is to be told. */
bool conn_tls_ended(struct conn *c, int err);

/* loop_tls_read.c. Where ciphertext goes; an empty buffer: none is wanted now. */
uv_buf_t conn_tls_room(struct conn *c);
void conn_tls_received(struct conn *c, size_t n);
/* Is there a use for more ciphertext now? */
bool conn_tls_wants(const struct conn *c);
/* Plaintext waits that the owner did not get, or its end. */
bool conn_tls_holds(const struct conn *c);
void conn_tls_resume(struct conn *c);

/* loop_tls_send.c: the same calls on protected bytes. */
int conn_tls_send(struct conn *c, const struct iovec *parts, size_t count, size_t n, bool more);
int conn_tls_send_file(struct conn *c, struct io_file *file, uint64_t offset, uint64_t length);
uint64_t conn_tls_unsent(const struct conn *c);
/* The socket took all; true: but more had to wait for that. */
bool conn_tls_goes_on(struct conn *c);
bool conn_tls_waits_for_file(const struct conn *c);
/* Before the owner closes: what was gathered is sent, and that no more comes. */
void conn_tls_farewell(struct conn *c);

/* channel.c */
int channel_send(struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count);
void channel_close(struct io_channel **at);

#endif
