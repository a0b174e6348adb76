#include "base/check.h"
#include "base/err.h"
#include "io/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096 /* the kernel takes less where net.core.somaxconn says so */

static int bind_error(int system_errno)
{
	return system_errno == EADDRINUSE ? ERR_BUSY : err_from_errno(system_errno);
}

static int tcp_socket(const struct netaddr *address, bool share, int *out)
{
	struct sockaddr_storage to;
	socklen_t size = netaddr_to_sockaddr(address, &to);
	int on = 1;

	if (size == 0)
		return ERR_SYNTAX;
	int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_from_errno(errno);
	/* Connections of an earlier run may linger in TIME_WAIT. */
	int bad = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (to.ss_family == AF_INET6) /* "::" does not take the place of "0.0.0.0" */
		bad |= setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (share)
		bad |= setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	if (bad || bind(fd, (struct sockaddr *)&to, size) < 0) {
		int err = bind_error(errno);
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
}

int listener_probe_tcp(const struct netaddr *address)
{
	int fd = -1, err = tcp_socket(address, false, &fd);

	if (err)
		return err;
	/* Two sockets may be bound with SO_REUSEADDR; only one may listen. */
	err = listen(fd, 1) < 0 ? bind_error(errno) : 0;
	close(fd);
	return err;
}

int listener_bind_tcp(const struct netaddr *address, bool share, int *out_fd)
{
	int fd = -1, on = 1, err = tcp_socket(address, share, &fd);

	if (err)
		return err;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		listen(fd, BACKLOG) < 0) {
		err = bind_error(errno);
		close(fd);
		return err;
	}
	*out_fd = fd;
	return 0;
}

/* Is somebody listening on it? */
static bool unix_answers(const struct sockaddr_un *to)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool answers = connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0 ||
		       errno == EAGAIN || errno == EACCES;
	close(fd);
	return answers;
}

int listener_bind_unix(const char *path, unsigned mode, int *out_fd)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct stat found;

	if (strlen(path) >= sizeof(to.sun_path))
		return ERR_LIMIT;
	memcpy(to.sun_path, path, strlen(path) + 1);
	if (lstat(path, &found) == 0) {
		if (!S_ISSOCK(found.st_mode))
			return ERR_EXISTS;
		if (unix_answers(&to))
			return ERR_BUSY;
		if (unlink(path) < 0)
			return err_from_errno(errno);
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_from_errno(errno);
	/* No other thread runs in the one process that calls this, so the mask is nobody else's. */
	mode_t mask = umask(0777 & ~mode);
	int bad = bind(fd, (struct sockaddr *)&to, sizeof(to));
	int bind_errno = errno;
	umask(mask);
	if (bad < 0 || listen(fd, BACKLOG) < 0) {
		int err = bind_error(bad < 0 ? bind_errno : errno);
		close(fd);
		return err;
	}
	*out_fd = fd;
	return 0;
}
