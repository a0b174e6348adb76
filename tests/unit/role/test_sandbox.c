/* What a role can still do under its own sandbox: each attempt in a child of its own. */
#include "base/check.h"
#include "base/err.h"
#include "role/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

static const enum role_kind kinds[] = {ROLE_SMTPD, ROLE_DELIVERY, ROLE_ADMIN};

static void every_role_keeps_its_folder_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		assert_int_equal(attempt_in(kinds[i], CONFIG_SANDBOX_REQUIRED, work_in_folder), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_role_keeps_its_folder_and_nothing_else),
		cmocka_unit_test(a_worker_writes_its_log_and_no_more),
		cmocka_unit_test(no_role_runs_programs_or_gains_rights),
		cmocka_unit_test(only_delivery_makes_connections_and_none_listens),
		cmocka_unit_test(off_is_off),
	};
	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
