/* What a role can still do under its own sandbox: each attempt in a child of its own. */
#include "base/check.h"
#include "base/err.h"
#include "role/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define KILLED 1000 /* by SIGSYS */

static char folder[64], other[64];
static char logs[64], bodies[64]; /* a worker's, as smtpd gets them */

/* The errno of the attempt (0: it worked), or KILLED. */
static int attempt_in(enum role_kind kind, enum config_sandbox mode, int (*attempt)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct sandbox sandbox;
		struct buf problem;

		/* No report of the crash that is wanted. */
		signal(SIGSYS, SIG_DFL);
		buf_init(&problem, 1000);
		sandbox_init(&sandbox, kind, mode);
		sandbox_add_path(&sandbox, folder, SANDBOX_READ | SANDBOX_WRITE | SANDBOX_REMOVE);
		sandbox_add_path(&sandbox, "/no/such/path", SANDBOX_READ);
		sandbox_add_path(&sandbox, logs, SANDBOX_LIST | SANDBOX_FILL);
		sandbox_add_path(&sandbox, bodies, SANDBOX_LIST | SANDBOX_FILL | SANDBOX_UNLINK);
		if (sandbox_paths(&sandbox, NULL, &problem) != 0 ||
			sandbox_calls(&sandbox, NULL, &problem) != 0)
			_exit(255);
		_exit(attempt());
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : -WTERMSIG(status);
	return WEXITSTATUS(status);
}

static int open_passwd(void)
{
	return open("/etc/passwd", O_RDONLY) < 0 ? errno : 0;
}

static int open_other(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/file", other);
	return open(path, O_RDONLY) < 0 ? errno : 0;
}

static int make_elsewhere(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/new", other);
	return open(path, O_WRONLY | O_CREAT, 0600) < 0 ? errno : 0;
}

static int work_in_folder(void)
{
	char path[128], path2[128];
	int dir, fd;

	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(path2, sizeof(path2), "%s/sub", folder);
	if ((fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return errno;
	if (write(fd, "x", 1) != 1 || fdatasync(fd) < 0 || ftruncate(fd, 0) < 0 || close(fd) < 0)
		return errno;
	if ((dir = open(folder, O_RDONLY | O_DIRECTORY)) < 0 || fsync(dir) < 0)
		return errno;
	if (mkdirat(AT_FDCWD, path2, 0700) < 0)
		return errno;
	/* From one folder into another, as a Maildir does. */
	snprintf(path2, sizeof(path2), "%s/sub/log", folder);
	if (renameat(AT_FDCWD, path, AT_FDCWD, path2) < 0 || unlinkat(AT_FDCWD, path2, 0) < 0)
		return errno;
	snprintf(path2, sizeof(path2), "%s/sub", folder);
	return unlinkat(AT_FDCWD, path2, AT_REMOVEDIR) < 0 ? errno : 0;
}

static int write_log(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/new.log", logs);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	int dir = open(logs, O_RDONLY | O_DIRECTORY);
	if (fd < 0 || dir < 0 || pwrite(fd, "x", 1, 0) != 1 ||
		fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4096) < 0 || fdatasync(fd) < 0 ||
		fsync(dir) < 0)
		return errno;
	return 0;
}

static int read_log(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/old.log", logs);
	return open(path, O_RDONLY) < 0 && open(path, O_RDWR) < 0 ? errno : 0;
}

static int cut_log(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/old.log", logs);
	if (open(path, O_WRONLY | O_TRUNC) >= 0)
		return 0;
	int fd = open(path, O_WRONLY);
	if (fd < 0)
		return ENOENT;
	return ftruncate(fd, 0) < 0 ? errno : 0;
}

static int remove_log(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/old.log", logs);
	return unlinkat(AT_FDCWD, path, 0) < 0 ? errno : 0;
}

static int rename_log(void)
{
	char path[128], to[128];
	snprintf(path, sizeof(path), "%s/old.log", logs);
	snprintf(to, sizeof(to), "%s/other.log", logs);
	return renameat(AT_FDCWD, path, AT_FDCWD, to) < 0 ? errno : 0;
}

static int write_and_remove_body(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/new.body", bodies);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0 || pwrite(fd, "x", 1, 0) != 1 || unlinkat(AT_FDCWD, path, 0) < 0)
		return errno;
	return 0;
}

static int read_body(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/old.body", bodies);
	return open(path, O_RDONLY) < 0 ? errno : 0;
}

static int move_log_to_bodies(void)
{
	char path[128], to[128];
	snprintf(path, sizeof(path), "%s/old.log", logs);
	snprintf(to, sizeof(to), "%s/old.log", bodies);
	return renameat(AT_FDCWD, path, AT_FDCWD, to) < 0 ? errno : 0;
}

static void touch(const char *dir, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0640);
	assert_true(fd >= 0 && write(fd, "mail", 4) == 4);
	close(fd);
}

static int make_device(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/link", folder);
	return symlinkat("/etc/passwd", AT_FDCWD, path) < 0 ? errno : 0;
}

static int inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 ? errno : 0;
}

static int unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0;
}

static int raw_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0) < 0 ? errno : 0;
}

static int bind_port(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(48219)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0)
		return errno;
	return bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
}

static int connect_from_address(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		return errno;
	to.sin_port = htons(1);
	return connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 || errno == ECONNREFUSED
		       ? 0
		       : errno;
}

static int run_program(void)
{
	static char name[] = "true";
	char *const arguments[] = {name, NULL};
	execve("/bin/true", arguments, NULL);
	return errno;
}

static void *thread_main(void *arg)
{
	*(int *)arg = 1;
	return NULL;
}

static int start_thread(void)
{
	pthread_t thread;
	int ran = 0;
	int err = pthread_create(&thread, NULL, thread_main, &ran);
	if (err)
		return err;
	pthread_join(thread, NULL);
	return ran ? 0 : 1;
}

static int start_process(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0) == MAP_FAILED
		       ? errno
		       : 0;
}

static int become_root(void)
{
	return setuid(0) < 0 ? errno : 0;
}

static int trace_parent(void)
{
	return kill(getppid(), 0) < 0 ? errno : 0;
}

static int make_pair(void)
{
	int fds[2];
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0 ? errno : 0;
}

static const enum role_kind kinds[] = {ROLE_SMTPD, ROLE_DELIVERY, ROLE_ADMIN, ROLE_KEYS};

static void every_role_keeps_its_folder_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i] != ROLE_KEYS)
			assert_int_equal(
				attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, work_in_folder), 0);
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, open_passwd), EACCES);
		assert_int_equal(attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, open_other), EACCES);
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, make_elsewhere), EACCES);
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, make_device), KILLED);
	}
}

/* What a worker wrote it can neither read again nor take back; whoever takes it over cannot either.
 */
static void a_worker_writes_its_log_and_no_more(void **state)
{
	const struct {
		int (*attempt)(void);
		int expected;
	} cases[] = {{write_log, 0}, {read_log, EACCES}, {remove_log, EACCES}, {rename_log, EACCES},
		{write_and_remove_body, 0}, {read_body, EACCES}, {move_log_to_bodies, EACCES},
		{cut_log, EACCES}};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].attempt == cut_log && sandbox_landlock_abi() < 3)
			continue; /* an older kernel has no such right */
		int got = attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_REQUIRED, cases[i].attempt);
		/* Between folders, a kernel may say that instead. */
		if (cases[i].attempt == move_log_to_bodies && got == EXDEV)
			got = EACCES;
		if (got != cases[i].expected)
			fail_msg("case %zu: %d", i, got);
	}
}

static void no_role_runs_programs_or_gains_rights(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, run_program), KILLED);
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, become_root), KILLED);
		assert_int_equal(attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, start_thread), 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
		/* Sanitizers need these for their reports. */
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, start_process), KILLED);
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, executable_memory), KILLED);
		assert_int_equal(
			attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, trace_parent), KILLED);
#else
		(void)start_process;
		(void)executable_memory;
		(void)trace_parent;
#endif
	}
}

/* Whoever takes it over has keys and hashes, and no way to bring them anywhere. */
static void keys_has_neither_files_nor_network(void **state)
{
	(void)state;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
	/* It has no folder; even with one, there is nothing it could do there. */
	assert_int_not_equal(attempt_in(ROLE_KEYS, CONFIG_SANDBOX_REQUIRED, work_in_folder), 0);
	assert_int_equal(attempt_in(ROLE_KEYS, CONFIG_SANDBOX_REQUIRED, read_body), EACCES);
#endif
	assert_int_equal(attempt_in(ROLE_KEYS, CONFIG_SANDBOX_REQUIRED, inet_socket), EACCES);
	assert_int_equal(attempt_in(ROLE_KEYS, CONFIG_SANDBOX_REQUIRED, unix_socket), EACCES);
	assert_int_equal(attempt_in(ROLE_KEYS, CONFIG_SANDBOX_REQUIRED, make_pair), 0);
}

static void only_delivery_makes_connections_and_none_listens(void **state)
{
	(void)state;
	assert_int_equal(attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_REQUIRED, inet_socket), EACCES);
	assert_int_equal(attempt_in(ROLE_ADMIN, CONFIG_SANDBOX_REQUIRED, inet_socket), EACCES);
	assert_int_equal(attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_REQUIRED, unix_socket), EACCES);
	assert_int_equal(attempt_in(ROLE_DELIVERY, CONFIG_SANDBOX_REQUIRED, unix_socket), EACCES);
	assert_int_equal(attempt_in(ROLE_DELIVERY, CONFIG_SANDBOX_REQUIRED, raw_socket), KILLED);
	assert_int_equal(attempt_in(ROLE_DELIVERY, CONFIG_SANDBOX_REQUIRED, inet_socket), 0);
	assert_int_equal(
		attempt_in(ROLE_DELIVERY, CONFIG_SANDBOX_REQUIRED, connect_from_address), 0);
	if (sandbox_landlock_abi() >= 4)
		assert_int_equal(
			attempt_in(ROLE_DELIVERY, CONFIG_SANDBOX_REQUIRED, bind_port), EACCES);
}

/* ---- sockets and descriptors that a role holds when it enters its sandbox -------------------- */

static struct {
	int listener; /* a port of ours */
	int target;   /* somebody else's: nobody may reach it */
	struct sockaddr_in to;
	int fresh;	     /* neither bound nor connected */
	int client, pair[2]; /* one that waits at our port; a channel */
	int lock;
} given;

static int listening_socket(struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
	assert_int_equal(listen(fd, 10), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
	return fd;
}

static int give_sockets(void **state)
{
	struct sockaddr_in ours;
	char path[128];
	(void)state;

	given.listener = listening_socket(&ours);
	given.target = listening_socket(&given.to);
	given.fresh = socket(AF_INET, SOCK_STREAM, 0);
	given.client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(given.client, (struct sockaddr *)&ours, sizeof(ours)), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, given.pair), 0);
	snprintf(path, sizeof(path), "%s/file", other);
	given.lock = open(path, O_RDWR);
	assert_int_equal(flock(given.lock, LOCK_EX | LOCK_NB), 0);
	return 0;
}

static int take_sockets(void **state)
{
	(void)state;
	close(given.listener);
	close(given.target);
	close(given.fresh);
	close(given.client);
	close(given.pair[0]);
	close(given.pair[1]);
	close(given.lock);
	return 0;
}

/* Upper halves of registers do not reach the kernel's int; the filter must not look there. */
#define UPPER (1ul << 40)

static int fails(long result)
{
	return result < 0 ? errno : 0;
}

static int shut_listener(void)
{
	return fails(shutdown(given.listener, SHUT_RDWR));
}

static int shut_listener_for_reading(void)
{
	return fails(shutdown(given.listener, SHUT_RD));
}

static int shut_listener_oddly(void)
{
	return fails(syscall(SYS_shutdown, given.listener, SHUT_RDWR | UPPER));
}

static ssize_t send_to_target(int fd, unsigned long flags)
{
	struct iovec part = {(void *)"EVIL\r\n", 6};
	struct msghdr message = {.msg_name = &given.to,
		.msg_namelen = sizeof(given.to),
		.msg_iov = &part,
		.msg_iovlen = 1};

	return syscall(SYS_sendmsg, fd, &message, flags | MSG_NOSIGNAL);
}

static int open_fast(void)
{
	return fails(send_to_target(given.fresh, MSG_FASTOPEN));
}

static int open_fast_oddly(void)
{
	return fails(send_to_target(given.fresh, MSG_FASTOPEN | MSG_DONTWAIT | UPPER));
}

static int open_without_flag(void)
{
	return fails(send_to_target(given.fresh, 0));
}

static int send_with_address(void)
{
	return fails(sendto(given.fresh, "EVIL\r\n", 6, MSG_FASTOPEN | MSG_NOSIGNAL,
		(struct sockaddr *)&given.to, sizeof(given.to)));
}

static int send_many(void)
{
	struct iovec part = {(void *)"EVIL\r\n", 6};
	struct mmsghdr message = {.msg_hdr = {.msg_name = &given.to,
					  .msg_namelen = sizeof(given.to),
					  .msg_iov = &part,
					  .msg_iovlen = 1}};

	return fails(sendmmsg(given.fresh, &message, 1, MSG_FASTOPEN | MSG_NOSIGNAL));
}

static int connect_given(void)
{
	return fails(connect(given.fresh, (struct sockaddr *)&given.to, sizeof(given.to)));
}

static int disconnect_listener(void)
{
	struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	return fails(connect(given.listener, &nobody, sizeof(nobody)));
}

static int bind_given(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET};

	return fails(bind(given.fresh, (struct sockaddr *)&to, sizeof(to)));
}

static int listen_on_given(void)
{
	return fails(listen(given.fresh, 1));
}

/* A program that picks the socket which gets the next client: always the first. */
static int take_all_clients(void)
{
	struct sock_filter first = BPF_STMT(BPF_RET | BPF_K, 0);
	struct sock_fprog program = {1, &first};

	return fails(setsockopt(
		given.listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)));
}

static int share_port(void)
{
	int on = 1;

	return fails(setsockopt(given.listener, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)));
}

/* What a worker does all day. */
static int serve(void)
{
	struct iovec part = {(void *)"220\r\n", 5};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int size = 65536;
	int fd = accept4(given.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0 || sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE) != 5 ||
		shutdown(fd, SHUT_WR) < 0 ||
		setsockopt(given.pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ||
		sendmsg(given.pair[0], &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 5)
		return errno;
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return copy < 0 || close(copy) < 0 || close(fd) < 0 ? errno : 0;
}

/* As libuv and libunbound do it. */
static int reach_out(void)
{
	int on = 1, pair[2], fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int udp = socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
	int discover = IP_PMTUDISC_DONT, discover6 = IPV6_PMTUDISC_DONT, mtu = 1280;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover)) < 0)
		return errno;
	/* A machine may have no IPv6. */
	if (udp >= 0 && (setsockopt(udp, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0 ||
				setsockopt(udp, IPPROTO_IPV6, IPV6_MTU, &mtu, sizeof(mtu)) < 0 ||
				setsockopt(udp, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &discover6,
					sizeof(discover6)) < 0))
		return errno;
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0 ||
		socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return errno;
	return send_to_target(fd, MSG_FASTOPEN) < 0 && errno != EINPROGRESS ? errno : 0;
}

static int signals_to_me(void)
{
	return fails(fcntl(given.client, F_SETOWN, getpid()));
}

static int signal_of_choice(void)
{
	return fails(fcntl(given.client, F_SETSIG, SIGKILL));
}

static int asynchronous(void)
{
	return fails(fcntl(given.client, F_SETFL, O_ASYNC | O_NONBLOCK));
}

static int release_lock(void)
{
	return fails(flock(given.lock, LOCK_UN));
}

static int end_log(void)
{
	return fails(shutdown(STDERR_FILENO, SHUT_WR));
}

static int cut_shared_log(void)
{
	return fails(ftruncate(STDERR_FILENO, 0));
}

static int write_over_shared_log(void)
{
	return fails(pwrite(STDERR_FILENO, "x", 1, 0));
}

static int copy_stderr(void)
{
	return fails(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0));
}

static int copy_stdout_oddly(void)
{
	return fails(syscall(SYS_fcntl, STDOUT_FILENO | UPPER, F_DUPFD_CLOEXEC, 0));
}

static int copy_any(void)
{
	return fails(dup(given.client));
}

struct
try {
	int (*attempt)(void);
	const char *name;
};
#define TRY(attempt)              \
	{                         \
		attempt, #attempt \
	}

static void all_end(enum role_kind kind, const struct try *tries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int got = attempt_in(kind, CONFIG_SANDBOX_REQUIRED, tries[i].attempt);

		if (got != KILLED)
			fail_msg("%s as %s: %d", tries[i].name, role_kind_name(kind), got);
	}
}

static bool listens(int fd)
{
	int yes = 0;
	socklen_t size = sizeof(yes);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes;
}

static void a_listening_socket_stays_one(void **state)
{
	static const struct try tries[] = {TRY(shut_listener), TRY(shut_listener_for_reading),
		TRY(shut_listener_oddly), TRY(take_all_clients), TRY(share_port)};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		all_end(kinds[i], tries, ARRAY_SIZE(tries));
	all_end(ROLE_SMTPD, (const struct try[]){TRY(disconnect_listener)}, 1);
	all_end(ROLE_ADMIN, (const struct try[]){TRY(disconnect_listener)}, 1);
	assert_true(listens(given.listener));
}

static void who_only_answers_reaches_nobody(void **state)
{
	static const struct try tries[] = {TRY(open_fast), TRY(open_fast_oddly),
		TRY(send_with_address), TRY(send_many), TRY(connect_given), TRY(bind_given),
		TRY(listen_on_given)};
	(void)state;
	all_end(ROLE_SMTPD, tries, ARRAY_SIZE(tries));
	all_end(ROLE_ADMIN, tries, ARRAY_SIZE(tries));
	all_end(ROLE_KEYS, tries, ARRAY_SIZE(tries));
	assert_int_equal(attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_REQUIRED, open_without_flag), EPIPE);
	assert_true(accept4(given.target, NULL, NULL, 0) < 0 && errno == EAGAIN);
	all_end(ROLE_DELIVERY, (const struct try[]){TRY(listen_on_given), TRY(send_many)}, 2);
}

static void honest_work_goes_on(void **state)
{
	(void)state;
	assert_int_equal(attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_REQUIRED, serve), 0);
	assert_int_equal(attempt_in(ROLE_DELIVERY, CONFIG_SANDBOX_REQUIRED, reach_out), 0);
}

static void descriptors_are_not_misused(void **state)
{
	static const struct try tries[] = {
		TRY(signals_to_me), TRY(signal_of_choice), TRY(asynchronous), TRY(release_lock)};
	char path[128];
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		all_end(kinds[i], tries, ARRAY_SIZE(tries));
	snprintf(path, sizeof(path), "%s/file", other);
	int second = open(path, O_RDWR);
	assert_true(flock(second, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
	close(second);
	all_end(ROLE_SMTPD, (const struct try[]){TRY(copy_any)}, 1);
}

/* It is one open file of all roles. */
static void the_log_of_the_others_is_out_of_reach(void **state)
{
	static const struct try tries[] = {TRY(end_log), TRY(cut_shared_log),
		TRY(write_over_shared_log), TRY(copy_stderr), TRY(copy_stdout_oddly)};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		all_end(kinds[i], tries, ARRAY_SIZE(tries));
}

static void off_is_off(void **state)
{
	(void)state;
	assert_int_equal(attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_OFF, open_passwd), 0);
	assert_int_equal(attempt_in(ROLE_SMTPD, CONFIG_SANDBOX_OFF, inet_socket), 0);
}

static int make_folders(void **state)
{
	char path[128];
	(void)state;

	if (sandbox_landlock_abi() == 0) {
		fprintf(stderr, "this kernel has no Landlock: nothing to test\n");
		exit(77);
	}
	strcpy(folder, "/tmp/postern-sandbox-XXXXXX");
	strcpy(other, "/tmp/postern-sandbox-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_non_null(mkdtemp(other));
	snprintf(path, sizeof(path), "%s/file", other);
	close(open(path, O_WRONLY | O_CREAT, 0600));
	strcpy(logs, "/tmp/postern-sandbox-XXXXXX");
	strcpy(bodies, "/tmp/postern-sandbox-XXXXXX");
	assert_non_null(mkdtemp(logs));
	assert_non_null(mkdtemp(bodies));
	touch(logs, "old.log");
	touch(bodies, "old.body");
	return 0;
}

static void remove_with(const char *dir, const char *first, const char *second)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, first);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", dir, second);
	unlink(path);
	rmdir(dir);
}

static int remove_folders(void **state)
{
	char path[128];
	(void)state;

	remove_with(logs, "old.log", "new.log");
	remove_with(bodies, "old.body", "new.body");
	snprintf(path, sizeof(path), "%s/file", other);
	unlink(path);
	rmdir(other);
	rmdir(folder);
	return 0;
}

#define WITH_SOCKETS(test) cmocka_unit_test_setup_teardown(test, give_sockets, take_sockets)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_role_keeps_its_folder_and_nothing_else),
		cmocka_unit_test(a_worker_writes_its_log_and_no_more),
		cmocka_unit_test(no_role_runs_programs_or_gains_rights),
		cmocka_unit_test(keys_has_neither_files_nor_network),
		cmocka_unit_test(only_delivery_makes_connections_and_none_listens),
		WITH_SOCKETS(a_listening_socket_stays_one),
		WITH_SOCKETS(who_only_answers_reaches_nobody),
		WITH_SOCKETS(honest_work_goes_on),
		WITH_SOCKETS(descriptors_are_not_misused),
		WITH_SOCKETS(the_log_of_the_others_is_out_of_reach),
		cmocka_unit_test(off_is_off),
	};
	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
