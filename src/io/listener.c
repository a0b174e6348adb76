/*
 * Accepting. The listening socket is polled and accepted from by hand, since that gives the peer's
 * address with the connection.
 */
#include "base/err.h"
#include "io/loop_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKOFF_MS  100 /* of a listener, when the kernel has no memory or descriptors */
#define COMPLAIN_NS (60 * NS_PER_S) /* between two log lines about that */
#define NOT_YET	    UINT64_MAX
/* A UNIX socket that was shut down says nothing else than that. */
#define WATCHED (UV_READABLE | UV_DISCONNECT)

struct listener {
	uv_poll_t poll;
	struct loop *loop;
	int fd;
	int reserve; /* a descriptor to give up when there is none left */
	bool local;  /* a UNIX socket */
	bool paused;
	struct netaddr address; /* NETADDR_NONE where it is a wildcard */
	uint32_t batch;		/* connections to try for at the next event */
	uint64_t last_turn;
	uint64_t complained_ns;
	struct timer backoff;
	listener_accepted *accepted;
	void (*broken)(void *owner);
	void *owner;
	struct log *log;
};

static void on_event(uv_poll_t *poll, int status, int events);

/* Any descriptor does. */
static int take_reserve(struct loop *loop)
{
	return fcntl(uv_backend_fd(&loop->uv), F_DUPFD_CLOEXEC, 0);
}

static void complain(struct listener *l, int system_errno)
{
	uint64_t now = l->loop->io.now_ns;

	if (l->complained_ns != NOT_YET && now - l->complained_ns < COMPLAIN_NS)
		return;
	l->complained_ns = now;
	bool room = system_errno == EMFILE || system_errno == ENFILE || system_errno == ENOMEM ||
		    system_errno == ENOBUFS;
	log_write(l->log, LOG_ERROR,
		room ? "cannot accept connections: raise the limit of open files or of memory"
		     : "cannot accept connections: trying again",
		LOG_STR("reason", strerror(system_errno)));
}

static void back_off(struct listener *l)
{
	uv_poll_stop(&l->poll);
	if (io_timer_after(&l->loop->io, &l->backoff, BACKOFF_MS) != 0 && !l->paused)
		uv_poll_start(&l->poll, WATCHED, on_event);
}

static void on_backoff(struct timer *timer)
{
	struct listener *l = CONTAINER_OF(timer, struct listener, backoff);

	if (!l->paused)
		uv_poll_start(&l->poll, WATCHED, on_event);
}

/* No descriptor is left: a waiting client is disconnected, so that it goes elsewhere at once, and
 * the level-triggered event does not come again and again. */
static void turn_away(struct listener *l)
{
	if (l->reserve >= 0) {
		close(l->reserve);
		int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			close(fd);
		l->reserve = take_reserve(l->loop);
		if (fd >= 0 && l->reserve >= 0)
			return;
	} else {
		l->reserve = take_reserve(l->loop);
	}
	back_off(l);
}

/* It will never have a connection again: to try on would only burn time. */
static void give_up(struct listener *l, int system_errno)
{
	l->paused = true;
	uv_poll_stop(&l->poll);
	log_write(l->log, LOG_ERROR, "a listening socket listens no more",
		LOG_STR("reason", strerror(system_errno)));
	if (l->broken)
		l->broken(l->owner);
}

/* Whether to go on. */
static bool accept_failed(struct listener *l, int system_errno)
{
	switch (system_errno) {
	case EAGAIN: return false;
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case EPERM: /* says a firewall */
	case ETIMEDOUT:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ENOPROTOOPT:
	case EOPNOTSUPP:
		/* What the network did to this one connection (accept(2)). */
		return true;
	case EINVAL: /* somebody has shut it down */
	case EBADF:
	case ENOTSOCK: give_up(l, system_errno); return false;
	case EMFILE:
	case ENFILE:
		complain(l, system_errno);
		turn_away(l);
		return false;
	default: /* ENOMEM, ENOBUFS, and what we do not know */
		complain(l, system_errno);
		back_off(l);
		return false;
	}
}

/* The lowest free descriptor is given out, so all below it are in use. Those above the bound are
 * for the files of the mail that is inside. */
static bool has_room_for(struct listener *l, int fd)
{
	if (fd < l->loop->fd_most || conn_shed(l->loop))
		return true;
	complain(l, EMFILE);
	return false;
}

static bool accept_one(struct listener *l)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	struct netaddr peer = {0};
	struct conn *c;

	int fd = accept4(l->fd, l->local ? NULL : (struct sockaddr *)&address,
		l->local ? NULL : &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return accept_failed(l, errno);
	if (!has_room_for(l, fd)) {
		close(fd);
		return true;
	}
	if (!l->local && netaddr_from_sockaddr((struct sockaddr *)&address, size, &peer) != 0) {
		close(fd);
		return true;
	}
	if (conn_accepted(l->loop, fd, l->local, &peer, &l->address, &c) != 0) {
		close(fd);
		return true;
	}
	l->accepted(l->owner, &c->base);
	CHECK(c->handler || c->lingers || c->closing);
	return true;
}

static void on_event(uv_poll_t *poll, int status, int events)
{
	struct listener *l = CONTAINER_OF(poll, struct listener, poll);
	struct loop *loop = l->loop;

	loop_wake(loop);
	if (status == 0 && (events & UV_DISCONNECT)) {
		give_up(l, ESHUTDOWN);
		return;
	}
	if (status) {
		/* Which says why. */
		(void)accept_one(l);
		if (!l->paused)
			back_off(l);
		return;
	}
	/* An accept() that finds nothing is a wasted call, so one is tried for; more while
	 * connections keep waiting turn after turn. */
	if (loop->turn == l->last_turn + 1)
		l->batch = MIN(l->batch * 2, LOOP_ACCEPT_MOST);
	else
		l->batch = 1;
	l->last_turn = loop->turn;
	uint32_t most = l->batch;
	for (uint32_t i = 0; i < most && uv_is_active((uv_handle_t *)poll); i++) {
		if (!accept_one(l)) {
			l->batch = MAX(i, 1);
			break;
		}
	}
}

int loop_listen(struct loop *loop, int fd, listener_accepted *accepted, void *owner,
	struct log *log, struct listener **out)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);
	struct listener *l = calloc(1, sizeof(*l));
	if (!l) {
		close(fd);
		return ERR_NOMEM;
	}
	l->loop = loop;
	l->fd = fd;
	l->accepted = accepted;
	l->owner = owner;
	l->log = log;
	l->batch = 1;
	l->complained_ns = NOT_YET;
	l->backoff.fire = on_backoff;
	l->reserve = take_reserve(loop);
	int err = getsockname(fd, (struct sockaddr *)&address, &size) < 0 ? -errno : 0;
	if (err == 0)
		err = uv_poll_init(&loop->uv, &l->poll, fd);
	if (err) {
		close(fd);
		if (l->reserve >= 0)
			close(l->reserve);
		free(l);
		return err_from_uv(err);
	}
	l->local = address.ss_family == AF_UNIX;
	static const uint8_t anywhere[16] = {0};
	if (!l->local &&
		netaddr_from_sockaddr((struct sockaddr *)&address, size, &l->address) == 0 &&
		memcmp(l->address.ip, anywhere, sizeof(anywhere)) == 0)
		l->address = (struct netaddr){0};
	uv_poll_start(&l->poll, WATCHED, on_event);
	*out = l;
	return 0;
}

void listener_on_broken(struct listener *l, void (*broken)(void *owner))
{
	l->broken = broken;
}

void listener_pause(struct listener *l)
{
	l->paused = true;
	uv_poll_stop(&l->poll);
}

void listener_resume(struct listener *l)
{
	if (!l->paused)
		return;
	l->paused = false;
	if (!timer_armed(&l->backoff))
		uv_poll_start(&l->poll, WATCHED, on_event);
}

static void on_closed(uv_handle_t *handle)
{
	free(CONTAINER_OF(handle, struct listener, poll));
}

void listener_close(struct listener **at)
{
	struct listener *l = *at;

	*at = NULL;
	if (!l)
		return;
	timers_disarm(&l->loop->io.timers, &l->backoff);
	uv_poll_stop(&l->poll);
	close(l->fd);
	if (l->reserve >= 0)
		close(l->reserve);
	uv_close((uv_handle_t *)&l->poll, on_closed);
}
