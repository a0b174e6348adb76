/*
 * The real world behind io/io.h: one libuv loop, TCP and UNIX sockets, helper threads. Each role
 * owns one, on its main thread.
 *
 * What it costs, in system calls: an inbound connection accept4, ioctl (libuv), epoll_ctl, at its
 * end epoll_ctl (libuv) and close; each readable event one read, each send one sendmsg. Pausing
 * costs nothing until data arrives during the pause. A protected connection costs no more of them:
 * up to 64 KiB of records are one read, or one sendmsg; a handshake of TLS 1.3 is two of each.
 *
 * Bounds: IO_CONN_UNSENT bytes wait in a connection, LOOP_ACCEPT_MOST connections are accepted per
 * turn and listener, LOOP_CHANNEL_BATCH datagrams are taken per turn and channel. TLS_SIGNINGS
 * handshakes wait for a signature at a time (io/tls.h), each on a stack (io/fiber.h); where there
 * are so many, other clients' hellos wait in the kernel.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/log.h"
#include "io/io.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* SIGPIPE is ignored from here on. Helper threads start with their lane's first job. */
int loop_new(struct loop **out);

/* Connections, listeners and channels must be closed before, jobs done. Lingering connections are
 * cut off. */
void loop_free(struct loop **at);

struct io *loop_io(struct loop *loop);

/* How to get at the descriptor of an open file, for sendfile(): of io/disk_posix. Negative: it has
 * none. Where it is not set, or there is none, files are sent by reading them. */
void loop_set_file_fd(struct loop *loop, int (*file_fd)(const struct io_file *file));

/* Until loop_stop(). Ends as well when nothing is left that could ever happen. */
void loop_run(struct loop *loop);
/* The current turn ends first. Callable from callbacks. */
void loop_stop(struct loop *loop);

/* The helper threads are running when it returns: for a role whose sandbox is closed afterwards. */
int loop_start_lanes(struct loop *loop);

/* The system's trust anchors are read, once: for a role whose sandbox is closed before its first
 * connection that asks for them (TLS_CHECK_CHAIN without ca_pem, io/tls.h). ERR_NOT_FOUND: the
 * system has none, so nothing will be trusted. The variable SSL_CERT_FILE may name another file. */
int loop_prepare_tls(struct loop *loop);

/* Connections that were closed with `linger` and are not gone yet: LOOP_LINGER_MOST at most, of
 * which the oldest gives way to a new one. */
size_t loop_lingering(const struct loop *loop);
#define LOOP_LINGER_MOST  1024
#define LOOP_LINGER_LEAST 16
/* Where there are more connections than `most`, those that linger give way, too, but for
 * LOOP_LINGER_LEAST: who is turned away must not take up more than who is served. */
void loop_set_connections(struct loop *loop, size_t most);

/* ---- listeners ------------------------------------------------------------------------------ */

struct listener;

#define LOOP_ACCEPT_MOST 64

/* `conn` is the callee's: it adopts it or closes it, before it returns. */
typedef void listener_accepted(void *owner, struct io_conn *conn);

/* Descriptors that no accepted connection gets, so that files can be opened for the mail that is
 * inside; no more than a quarter of what the process may have. */
#define LOOP_FILES_KEPT 256

/* Takes over a listening, bound TCP or UNIX stream socket (also on failure). `log` may be NULL: it
 * hears, at most once a minute, of descriptors running out: then waiting clients are
 * disconnected, not left to spin the loop. */
int loop_listen(struct loop *loop, int fd, listener_accepted *accepted, void *owner,
	struct log *log, struct listener **out);
/* broken() is called once, where the socket listens no more: somebody who shares it has shut it
 * down. Only who bound it can mend that. */
void listener_on_broken(struct listener *l, void (*broken)(void *owner));
/* Stops, or goes on, accepting; clients wait in the kernel's queue. */
void listener_pause(struct listener *l);
void listener_resume(struct listener *l);
void listener_close(struct listener **at);

/* Gives an accepted connection its handler and owner. Reading begins. */
void loop_conn_adopt(struct io_conn *conn, const struct io_conn_handler *handler, void *owner);
/* The connection of a UNIX socket: who is at the other end (SO_PEERCRED). */
int loop_conn_peer_uid(const struct io_conn *conn, uint32_t *uid, uint32_t *gid);

/* ---- sockets of the supervisor -------------------------------------------------------------- */

/* A bound, listening TCP socket: close-on-exec, non-blocking, Nagle off (connections inherit that).
 * With `share`, several sockets may listen on the address (SO_REUSEPORT): the kernel spreads
 * connections over them. ERR_BUSY where somebody else listens there, ERR_DENIED, … */
int listener_bind_tcp(const struct netaddr *address, bool share, int *out_fd);
/* Whether nobody listens there. A set of shared sockets would else mix silently with those of
 * another process of this user. */
int listener_probe_tcp(const struct netaddr *address);
/* A stale socket is removed; one that answers is ERR_BUSY. */
int listener_bind_unix(const char *path, unsigned mode, int *out_fd);

/* ---- messages between roles ----------------------------------------------------------------- */

#define LOOP_CHANNEL_BATCH 8

/* Takes over one end of a SOCK_SEQPACKET pair (also on failure). */
int loop_channel(struct loop *loop, int fd, const struct io_channel_handler *handler, void *owner,
	struct io_channel **out);
/* One datagram a turn, as each is much work. */
void loop_channel_slow(struct io_channel *channel);
/* Both ends, close-on-exec. */
int loop_channel_pair(int fds[2]);

/* ---- signals -------------------------------------------------------------------------------- */

struct loop_signal;

int loop_signal(struct loop *loop, int number, void (*caught)(void *arg, int number), void *arg,
	struct loop_signal **out);
void loop_signal_close(struct loop_signal **at);

#endif
