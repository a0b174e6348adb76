/*
 * Calls that a role keeps in certain forms only, and what no role may do to the descriptors that
 * all of them share. Arguments that the kernel takes as an int are compared as it sees them: their
 * lower half.
 */
#include "base/check.h"
#include "role/sandbox_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOW_HALF	 0xffffffffu
#define IS(place, value) SCMP_CMP(place, SCMP_CMP_MASKED_EQ, LOW_HALF, (scmp_datum_t)(value))
#define HAS(place, bits) \
	SCMP_CMP(place, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(bits), (scmp_datum_t)(bits))
#define LACKS(place, bits) SCMP_CMP(place, SCMP_CMP_MASKED_EQ, (scmp_datum_t)(bits), 0)

#define SOCKET_TYPE  0xfu /* of socket()'s second argument; above it are flags */
#define MOST_OPTIONS 16

/* Threads, memory, signals: the same for all. */
static int allow_process(scmp_filter_ctx filter)
{
	int err = 0;

	/* Threads, never processes. clone3 hides its flags from us: the C library falls back to
	 * clone. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, HAS(0, CLONE_THREAD));
	/* No memory is ever made executable. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, LACKS(2, PROT_EXEC));
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, LACKS(2, PROT_EXEC));
	/* A thread's name. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, IS(0, PR_SET_NAME));
	/* abort() of a failed check: a signal to ourselves. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, IS(0, getpid()));
	/* FIONBIO, libuv's way to a non-blocking socket, and FIONREAD. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, IS(1, FIONBIO));
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, IS(1, FIONREAD));
	return err;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

static int allow_fcntl(scmp_filter_ctx filter, int command)
{
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, IS(1, command));
}

/* Not among them: signals about a descriptor to whom one likes (F_SETOWN, F_SETSIG), leases. */
static int allow_descriptors(scmp_filter_ctx filter, enum role_kind kind)
{
	int err = 0;

	err |= allow_fcntl(filter, F_DUPFD_CLOEXEC);
	err |= allow_fcntl(filter, F_GETFD);
	err |= allow_fcntl(filter, F_SETFD);
	err |= allow_fcntl(filter, F_GETFL);
	/* Of a snapshot; admin makes it. */
	err |= allow_fcntl(filter, F_GET_SEALS);
	if (kind == ROLE_ADMIN) {
		err |= allow_fcntl(filter, F_ADD_SEALS);
		/* SQLite's */
		err |= allow_fcntl(filter, F_GETLK);
		err |= allow_fcntl(filter, F_SETLK);
	}
	/* libunbound's and libcurl's way to a non-blocking socket. */
	if (kind == ROLE_DELIVERY || kind == ROLE_FETCH)
		err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, IS(1, F_SETFL),
			LACKS(2, LOW_HALF & ~(unsigned)(O_ACCMODE | O_NONBLOCK)));
	return err;
}

/* ---- sockets -------------------------------------------------------------------------------- */

struct socket_option {
	int level, name;
};

/* Among those left out are the programs by which one socket gets the clients of all that share its
 * port (SO_ATTACH_REUSEPORT_CBPF). */
static const struct socket_option every_option[] = {
	{SOL_SOCKET, SO_SNDBUF}, /* of a channel */
};

/* Connections, and libunbound's. */
static const struct socket_option delivery_options[] = {
	{SOL_SOCKET, SO_REUSEADDR},
	{SOL_SOCKET, SO_RCVBUF},
	{IPPROTO_TCP, TCP_NODELAY},
	{IPPROTO_TCP, TCP_MAXSEG},
	{IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT},
	{IPPROTO_IP, IP_MTU_DISCOVER},
	{IPPROTO_IP, IP_TOS},
	{IPPROTO_IPV6, IPV6_V6ONLY},
	{IPPROTO_IPV6, IPV6_MTU},
	{IPPROTO_IPV6, IPV6_MTU_DISCOVER},
	{IPPROTO_IPV6, IPV6_TCLASS},
};

static int allow_options(scmp_filter_ctx filter, const struct socket_option *options, size_t count)
{
	int err = 0;

	for (size_t i = 0; i < count; i++)
		err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
			IS(1, options[i].level), IS(2, options[i].name));
	return err;
}

/* Who connects: to anywhere, since transports name hosts and ports, and they change. */
static int allow_connecting(scmp_filter_ctx filter)
{
	static const int families[] = {AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM},
			 refused[] = {AF_UNIX, AF_NETLINK};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++)
		for (size_t j = 0; j < ARRAY_SIZE(types); j++)
			err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
				IS(0, families[i]),
				SCMP_CMP(1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE,
					(scmp_datum_t)types[j]));
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		err |= seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, IS(0, refused[i]));
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, IS(0, AF_UNIX));
	/* libunbound begins its connections with MSG_FASTOPEN. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 0);
	err |= allow_options(filter, delivery_options, ARRAY_SIZE(delivery_options));
	return err;
}

int sandbox_refuse_files(scmp_filter_ctx filter)
{
	static const int calls[] = {SCMP_SYS(openat), SCMP_SYS(statx), SCMP_SYS(faccessat)};
	int err = 0;

#ifndef SANITIZED /* whose reports read files */
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		err |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), calls[i], 0);
	/* The C library's fstat(): of a descriptor that it has. */
	err |= seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1, HAS(3, AT_EMPTY_PATH));
	err |= seccomp_rule_add(
		filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1, LACKS(3, AT_EMPTY_PATH));
#else
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 0);
#endif
	return err;
}

/* Who speaks to roles alone, and gives workers one end of a pair. */
static int allow_pairs(scmp_filter_ctx filter)
{
	int err = 0;

	err |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 0);
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, IS(0, AF_UNIX));
	err |= seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1, LACKS(2, MSG_FASTOPEN));
	return err;
}

/* Who only answers. A listening socket that is shut down is one that could connect, and a send with
 * MSG_FASTOPEN does so without connect(), which Landlock does not see. */
static int allow_answering(scmp_filter_ctx filter)
{
	int err = 0;

	/* The C library asks nscd and syslog by sockets where we do not expect it: no crash. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 0);
	err |= seccomp_rule_add(
		filter, SCMP_ACT_ALLOW, SCMP_SYS(sendmsg), 1, LACKS(2, MSG_FASTOPEN));
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(accept4), 0);
	return err;
}

static int allow_talking(scmp_filter_ctx filter, enum role_kind kind)
{
	switch (kind) {
	case ROLE_DELIVERY:
	case ROLE_FETCH: return allow_connecting(filter);
	case ROLE_KEYS: return allow_pairs(filter);
	default: return allow_answering(filter);
	}
}

int sandbox_allow_in_part(scmp_filter_ctx filter, enum role_kind kind)
{
	int err = allow_process(filter);

	err |= allow_descriptors(filter, kind);
	/* Both sides of a listening socket would take it from whoever holds it, too. */
	err |= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(shutdown), 1, IS(1, SHUT_WR));
	err |= allow_options(filter, every_option, ARRAY_SIZE(every_option));
	err |= allow_talking(filter, kind);
	return err;
}

/*
 * Standard output and error are one open file of all roles and the supervisor: a journal's socket,
 * or a file. A role adds lines to it; it must neither end it for the others, nor cut it short, nor
 * write over what is there. A copy of the descriptor would go around that.
 */
int sandbox_guard_shared(scmp_filter_ctx filter)
{
	static const int calls[] = {
		SCMP_SYS(shutdown),
		SCMP_SYS(setsockopt),
		SCMP_SYS(fcntl),
		SCMP_SYS(dup),
#ifndef SANITIZED /* whose reports ask for the terminal */
		SCMP_SYS(ioctl),
#endif
		SCMP_SYS(ftruncate),
		SCMP_SYS(fallocate),
		SCMP_SYS(pwrite64),
		SCMP_SYS(pwritev),
	};
	static const int shared[] = {STDOUT_FILENO, STDERR_FILENO};
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		for (size_t j = 0; j < ARRAY_SIZE(shared); j++)
			err |= seccomp_rule_add(
				filter, SCMP_ACT_KILL_PROCESS, calls[i], 1, IS(0, shared[j]));
	return err;
}
