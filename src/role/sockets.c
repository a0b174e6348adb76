/*
 * Listening sockets. Each worker has its own for each listener, and the kernel spreads connections
 * over them (SO_REUSEPORT): one connection wakes one worker, where a shared socket wakes all. The
 * supervisor keeps them open, so clients wait in the queue of a worker that is started again,
 * and are not refused.
 */
#include "base/check.h"
#include "base/err.h"
#include "role/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONTROL_MODE 0660 /* root, admin, and the administrators' group */
#define CONTROL_PATH 4096

static int failed(struct buf *problem, const char *name, const char *address, int err)
{
	const char *advice =
		err == ERR_BUSY ? "another program listens there; end it, or change the start file"
		: err == ERR_DENIED	 ? "ports below 1024 need root or CAP_NET_BIND_SERVICE"
		: err == ERR_UNREACHABLE ? "this machine has no such address"
					 : err_text(err);

	buf_printf(problem, "cannot listen on %s (%s): %s", address, name, advice);
	return err;
}

static int open_listener(struct supervisor *sv, uint32_t place, struct buf *problem)
{
	const struct config_listener *listener = &sv->config->listeners[place];
	uint32_t workers = sv->config->workers;
	struct buf address;
	char name[64], text[80];

	buf_init(&address, sizeof(text));
	netaddr_add(&address, &listener->address);
	snprintf(text, sizeof(text), "%.*s", (int)address.n, address.p);
	buf_done(&address);
	snprintf(name, sizeof(name), "%.*s", (int)listener->name.n, listener->name.p);
	int err = listener_probe_tcp(&listener->address);
	for (uint32_t worker = 0; worker < workers && err == 0; worker++)
		err = listener_bind_tcp(
			&listener->address, workers > 1, &sv->sockets[worker][place]);
	return err ? failed(problem, name, text, err) : 0;
}

/* Who may write there could put a socket of their own in the place of ours, and hear the
 * administrators' commands. In a sticky one such as /tmp nobody can take ours away. */
static int refuse_open_folder(const char *path, const struct users *users, struct buf *problem)
{
	char folder[CONTROL_PATH];
	struct stat info;

	snprintf(folder, sizeof(folder), "%s", path);
	char *slash = strrchr(folder, '/');
	if (!slash)
		snprintf(folder, sizeof(folder), ".");
	else
		slash[slash == folder] = 0;
	if (stat(folder, &info) < 0)
		return 0; /* which bind() tells */
	mode_t others = users->root ? S_IWGRP | S_IWOTH : S_IWOTH;
	if (!(info.st_mode & others) || info.st_mode & S_ISVTX)
		return 0;
	buf_printf(problem,
		"%s: others may write to this folder, and could put a socket of their own in the "
		"place of the control socket: chmod %s %s, or name another place at \"control\"",
		folder, users->root ? "go-w" : "o-w", folder);
	return ERR_DENIED;
}

static int open_control(struct supervisor *sv, struct buf *problem)
{
	char path[CONTROL_PATH];

	snprintf(path, sizeof(path), "%.*s", (int)sv->config->control.n, sv->config->control.p);
	/* Its folder, where it is missing. */
	for (char *at = path + 1; (at = strchr(at, '/')); at++) {
		*at = 0;
		(void)mkdir(path, 0755);
		*at = '/';
	}
	int err = refuse_open_folder(path, &sv->users, problem);
	if (err)
		return err;
	err = listener_bind_unix(path, CONTROL_MODE, &sv->control);
	if (err == ERR_BUSY) {
		buf_printf(problem, "%s: another posternd answers on this control socket", path);
	} else if (err) {
		buf_printf(
			problem, "%s: the control socket cannot be made: %s", path, err_text(err));
	} else if (sv->users.root &&
		   lchown(path, sv->users.uid[ROLE_ADMIN], sv->users.admins) < 0) {
		err = err_from_errno(errno);
		buf_printf(problem, "%s: the control socket cannot be given to its user: %s", path,
			err_text(err));
	}
	return err;
}

int sockets_open(struct supervisor *sv, struct buf *problem)
{
	int err = 0;

	for (uint32_t i = 0; i < sv->config->listener_count && err == 0; i++)
		err = open_listener(sv, i, problem);
	return err ? err : open_control(sv, problem);
}

/* ---- before a role starts again -------------------------------------------------------------- */

/* A UNIX socket that was shut down still says that it listens; that both its sides are closed, too.
 */
static bool listens(int fd)
{
	struct pollfd state = {.fd = fd, .events = POLLIN};
	int yes = 0;
	socklen_t size = sizeof(yes);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes &&
	       poll(&state, 1, 0) >= 0 && !(state.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* A new socket, not listen() on the old one: who shut that down may have done more to it. */
static int bind_again(struct supervisor *sv, uint32_t worker, uint32_t place)
{
	int *fd = &sv->sockets[worker][place];

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return listener_bind_tcp(
		&sv->config->listeners[place].address, sv->config->workers > 1, fd);
}

static int control_again(struct supervisor *sv)
{
	struct buf problem;

	if (sv->control >= 0)
		close(sv->control);
	sv->control = -1;
	buf_init(&problem, CONTROL_PATH + 1024);
	int err = open_control(sv, &problem);
	if (err)
		log_write(sv->log, LOG_ERROR, "the control socket cannot be made again",
			LOG_SPAN("reason", buf_span(&problem)));
	buf_done(&problem);
	return err;
}

static void tell_mended(struct slot *slot, struct span listener, int err)
{
	char name[32];

	slot_name(slot, name);
	log_write(slot->sv->log, LOG_ERROR,
		"a listening socket listened no more: its role had shut it down; making a new one",
		LOG_STR("role", name), LOG_SPAN("listener", listener),
		LOG_STR("result", err ? err_text(err) : "done"));
}

int sockets_mend(struct slot *slot)
{
	struct supervisor *sv = slot->sv;
	int err = 0;

	if (slot->kind == ROLE_ADMIN && !listens(sv->control)) {
		err = control_again(sv);
		tell_mended(slot, SPAN("control"), err);
	}
	for (uint32_t i = 0; slot->kind == ROLE_SMTPD && i < sv->config->listener_count && err == 0;
		i++) {
		if (listens(sv->sockets[slot->index][i]))
			continue;
		err = bind_again(sv, slot->index, i);
		tell_mended(slot, sv->config->listeners[i].name, err);
	}
	return err;
}

void sockets_close(struct supervisor *sv)
{
	char path[CONTROL_PATH];

	for (size_t w = 0; w < CONFIG_WORKERS; w++)
		for (size_t i = 0; i < CONFIG_LISTENERS; i++)
			if (sv->sockets[w][i] >= 0)
				close(sv->sockets[w][i]);
	if (sv->control < 0)
		return;
	close(sv->control);
	snprintf(path, sizeof(path), "%.*s", (int)sv->config->control.n, sv->config->control.p);
	(void)unlink(path);
}
