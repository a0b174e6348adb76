#include "role/spawn.h"

#include "base/check.h"
#include "base/err.h"
#include "role/role.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ABOVE_ALL 64 /* descriptors are moved out of the way of those with a fixed number */
#define ENV_MOST  16
#define SELF	  "/proc/self/exe"

static _Noreturn void give_up(const char *what)
{
	dprintf(STDERR_FILENO, "posternd: cannot start a role: %s: %s\n", what, strerror(errno));
	_exit(ROLE_EXIT_FAILED);
}

static void place_descriptors(const struct spawn *spawn)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int channel = fcntl(spawn->channel, F_DUPFD_CLOEXEC, ABOVE_ALL);
	int lock = fcntl(spawn->lock, F_DUPFD_CLOEXEC, ABOVE_ALL);

	if (null < 0 || channel < 0 || lock < 0)
		give_up("descriptors");
	if (dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0 ||
		dup2(channel, ROLE_BOOT_FD) < 0 || dup2(lock, ROLE_LOCK_FD) < 0)
		give_up("descriptors");
	/* All are close-on-exec already; this is for those that a library opened otherwise. */
	(void)close_range(ROLE_LOCK_FD + 1, ~0u, 0);
}

static void drop_rights(const struct spawn *spawn)
{
	const struct users *users = spawn->users;
	uid_t uid = users->uid[spawn->kind];

	if (!users->root)
		return;
	if (setgroups(0, NULL) < 0 || setresgid(users->gid, users->gid, users->gid) < 0 ||
		setresuid(uid, uid, uid) < 0)
		give_up("user");
	/* There must be no way back. */
	if (setuid(0) == 0 || setgid(0) == 0)
		give_up("rights");
}

/* What a sanitizer or a clock may need; nothing that an administrator's shell happens to hold. */
static void choose_environment(char *no_uring, char *to[ENV_MOST])
{
	static const char *const kept[] = {
		"TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"};
	size_t count = 0;

	to[count++] = no_uring; /* it would go around seccomp */
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		char *value = getenv(kept[i]);
		/* "NAME=value" as it stands in the environment's own memory. */
		if (value)
			to[count++] = value - strlen(kept[i]) - 1;
	}
	to[count] = NULL;
}

static _Noreturn void run(const struct spawn *spawn, pid_t supervisor)
{
	char title[64], index[8];
	char role[16];
	char *environment[ENV_MOST];
	sigset_t none;

	snprintf(role, sizeof(role), "%s", role_kind_name(spawn->kind));
	snprintf(index, sizeof(index), "%u", spawn->index);
	if (spawn->kind == ROLE_SMTPD)
		snprintf(title, sizeof(title), "postern: %s %s", role, index);
	else
		snprintf(title, sizeof(title), "postern: %s", role);
	char role_option[] = "--role", index_option[] = "--index";
	char no_uring[] = "UV_USE_IO_URING=0";
	char *const arguments[] = {title, role_option, role, index_option, index, NULL};

	/* Out of reach of the terminal: Ctrl-C is the supervisor's. */
	(void)setsid();
	umask(0027);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	place_descriptors(spawn);
	drop_rights(spawn);
	/* After the user has changed, which would undo it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		give_up("parent");
	if (getppid() != supervisor)
		_exit(ROLE_EXIT_DONE);
	choose_environment(no_uring, environment);
	execve(SELF, arguments, environment);
	give_up(SELF);
}

int spawn_role(const struct spawn *spawn, pid_t *out)
{
	pid_t supervisor = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return err_from_errno(errno);
	if (pid == 0)
		run(spawn, supervisor);
	*out = pid;
	return 0;
}
