/* posternd as a whole: starting, dying roles, refusals, the end. Its path is the argument. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ROLES	6 /* keys, smtpd 0 and 1, delivery, admin, fetch */
#define WAIT_MS 30000

static const char *program;

struct gateway {
	char folder[64];
	uint16_t port;
	pid_t pid;
	char log[1 << 16];
};

static void nap(void)
{
	const struct timespec t = {.tv_nsec = 20000000};
	nanosleep(&t, NULL);
}

/* Below the range that the kernel gives to outgoing connections, so that none takes it meanwhile.
 */
static uint16_t free_port(void)
{
	for (int i = 0; i < 1000; i++) {
		uint16_t port = (uint16_t)(20000 + (getpid() * 13 + i) % 12000);
		struct sockaddr_in a = {.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
			.sin_port = htons(port)};
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		bool free = bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
		close(fd);
		if (free)
			return port;
	}
	fail_msg("no free port");
	return 0;
}

static void write_config(struct gateway *g, const char *more)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/postern.yaml", g->folder);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"hostname: gw.example.test\nspool: spool\ndirectory: db/directory.db\ncontrol: "
		"control.sock\n"
		"workers: 2\nlisteners:\n  mx: { address: \"127.0.0.1:%u\" }\n%s",
		g->port, more);
	fclose(f);
}

/* Starts posternd with its stderr in the file "log". */
static pid_t start(struct gateway *g)
{
	char config[128], log[128];
	snprintf(config, sizeof(config), "%s/postern.yaml", g->folder);
	snprintf(log, sizeof(log), "%s/log", g->folder);
	fflush(NULL);
	unlink(log);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		dup2(fd, STDERR_FILENO);
		dup2(fd, STDOUT_FILENO);
		execl(program, program, "-c", config, NULL);
		_exit(127);
	}
	return pid;
}

static const char *read_log(struct gateway *g)
{
	char log[128];
	snprintf(log, sizeof(log), "%s/log", g->folder);
	int fd = open(log, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, g->log, sizeof(g->log) - 1);
	g->log[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	return g->log;
}

static int count(const char *text, const char *what)
{
	int n = 0;
	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void wait_log(struct gateway *g, const char *what, int times)
{
	for (int ms = 0; ms < WAIT_MS; ms += 20) {
		if (count(read_log(g), what) >= times)
			return;
		nap();
	}
	fail_msg("no \"%s\" in: %s", what, g->log);
}

static int wait_exit(pid_t pid)
{
	int status;
	for (int ms = 0; ms < WAIT_MS; ms += 20) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
		nap();
	}
	fail_msg("posternd does not end");
	return -1;
}

static int children(pid_t pid, pid_t out[16])
{
	char path[64], text[256];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	int fd = open(path, O_RDONLY), n = 0;
	if (fd < 0)
		return 0;
	ssize_t bytes = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[bytes > 0 ? bytes : 0] = 0;
	for (char *at = text, *end; n < 16; at = end) {
		long child = strtol(at, &end, 10);
		if (end == at)
			break;
		out[n++] = (pid_t)child;
	}
	return n;
}

static void title_of(pid_t pid, char out[64])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, out, 63);
	out[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}

static pid_t find_role(struct gateway *g, const char *title)
{
	pid_t pids[16];
	char found[64];
	for (int n = children(g->pid, pids); n--;) {
		title_of(pids[n], found);
		if (strncmp(found, title, strlen(title)) == 0)
			return pids[n];
	}
	return 0;
}

/* The first line that a client hears, or "". */
static void greeting(struct gateway *g, char out[128])
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(g->port)};
	struct timeval patience = {.tv_sec = 10};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	out[0] = 0;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
		ssize_t n = recv(fd, out, 127, 0);
		out[n > 0 ? n : 0] = 0;
	}
	close(fd);
}

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));
	strcpy(g->folder, "/tmp/postern-supervisor-XXXXXX");
	assert_non_null(mkdtemp(g->folder));
	assert_int_equal(chmod(g->folder, 0755), 0);
	g->port = free_port();
	write_config(g, "");
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	struct gateway *g = *state;
	char command[128];
	if (g->pid > 0) {
		kill(g->pid, SIGKILL);
		waitpid(g->pid, NULL, 0);
	}
	snprintf(command, sizeof(command), "rm -rf %s", g->folder);
	(void)!system(command);
	free(g);
	return 0;
}

static void it_starts_serves_and_ends_in_order(void **state)
{
	struct gateway *g = *state;
	char line[128], title[64], path[128];
	pid_t pids[16];
	struct stat info;

	g->pid = start(g);
	wait_log(g, "posternd: ready mx=127.0.0.1:", 1);
	assert_int_equal(children(g->pid, pids), ROLES);
	for (int i = 0; i < ROLES; i++) {
		title_of(pids[i], title);
		assert_memory_equal(title, "postern: ", 9);
		/* Nobody keeps root's rights. */
		snprintf(path, sizeof(path), "/proc/%d", pids[i]);
		if (geteuid() == 0 && stat(path, &info) == 0)
			assert_int_not_equal(info.st_uid, 0);
	}
	greeting(g, line);
	assert_memory_equal(line, "220 gw.example.test", 19);
	kill(g->pid, SIGTERM);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
	read_log(g);
	assert_int_equal(count(g->log, "a role ended"), ROLES);
	assert_null(strstr(g->log, " error "));
	/* Mail stops coming in first; the administrators' door closes last. */
	assert_true(strstr(g->log, "role=\"smtpd 0\"") < strstr(g->log, "role=\"delivery\""));
	assert_true(strstr(g->log, "role=\"delivery\"") < strstr(g->log, "role=\"admin\""));
	snprintf(path, sizeof(path), "%s/control.sock", g->folder);
	assert_int_equal(access(path, F_OK), -1);
}

static void a_killed_role_comes_back_and_the_others_stay(void **state)
{
	static const char *const titles[ROLES] = {"postern: keys", "postern: smtpd 0",
		"postern: smtpd 1", "postern: delivery", "postern: admin", "postern: fetch"};
	struct gateway *g = *state;
	pid_t pids[ROLES], now;
	char line[128];

	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	for (int i = 0; i < ROLES; i++) {
		pids[i] = find_role(g, titles[i]);
		assert_true(pids[i] > 0);
	}
	for (int i = 0; i < ROLES; i++) {
		kill(pids[i], SIGKILL);
		/* Clients wait for a worker that is away; none is refused. */
		for (int k = 0; k < 8; k++) {
			greeting(g, line);
			if (strncmp(line, "220 ", 4) != 0)
				fail_msg("greeting \"%s\" after killing %s in: %s", line, titles[i],
					read_log(g));
		}
		wait_log(g, "all roles work again", i + 1);
		now = find_role(g, titles[i]);
		assert_true(now > 0 && now != pids[i]);
		pids[i] = now;
		for (int k = 0; k < ROLES; k++)
			assert_int_equal(find_role(g, titles[k]), pids[k]);
	}
	if (count(read_log(g), "a role died") != ROLES)
		fail_msg("%s", g->log);
	/* All at once. */
	for (int i = 0; i < ROLES; i++)
		kill(pids[i], SIGKILL);
	wait_log(g, "all roles work again", ROLES + 1);
	greeting(g, line);
	assert_memory_equal(line, "220 ", 4);
	kill(g->pid, SIGTERM);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
}

static pid_t child_named(struct gateway *g, const char *name)
{
	pid_t pids[16];
	int n = children(g->pid, pids);
	char title[64];

	for (int i = 0; i < n; i++) {
		title_of(pids[i], title);
		if (strcmp(title, name) == 0)
			return pids[i];
	}
	fail_msg("no %s", name);
	return 0;
}

/* The log of a worker that delivery has not heard of would be taken for a dead one's: clients wait
 * in the kernel's queue until it has, also where it hangs; then they are served. */
static void a_worker_waits_for_delivery_to_know_it(void **state)
{
	struct gateway *g = *state;
	char line[128];

	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	pid_t delivery = child_named(g, "postern: delivery");
	for (int stopped = 0; stopped < 2; stopped++) {
		if (stopped)
			kill(delivery, SIGSTOP);
		for (int i = 0; i < 2; i++)
			kill(child_named(g, i ? "postern: smtpd 1" : "postern: smtpd 0"), SIGKILL);
		wait_log(g, "a role died", 2 + 2 * stopped);
		if (stopped) {
			wait_log(g, "delivery does not answer: no mail is taken in", 2);
			assert_int_equal(count(g->log, "all roles work again"), 1);
			kill(delivery, SIGCONT);
		}
		greeting(g, line);
		assert_memory_equal(line, "220 gw.example.test", 19);
		wait_log(g, "all roles work again", 1 + stopped);
	}
	kill(g->pid, SIGTERM);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
}

/* What whoever takes a role over would like to do: shuts down what it listens on. How many. */
static int shut_listeners_of(pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), shut = 0;

	for (int theirs = 3; theirs < 64; theirs++) {
		int yes = 0, fd = (int)syscall(SYS_pidfd_getfd, pidfd, theirs, 0);
		socklen_t size = sizeof(yes);
		if (fd < 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &size) == 0 && yes)
			shut += shutdown(fd, SHUT_RDWR) == 0;
		close(fd);
	}
	close(pidfd);
	return shut;
}

static bool control_answers(struct gateway *g)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s/control.sock", g->folder);
	bool answers = connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	close(fd);
	return answers;
}

/* The port does not stay closed, and no worker spins on it. */
static void a_socket_that_was_shut_down_is_made_anew(void **state)
{
	struct gateway *g = *state;
	char line[128];

	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	if (shut_listeners_of(find_role(g, "postern: smtpd 0")) == 0) {
		fprintf(stderr, "another process's descriptors are out of reach here\n");
		skip();
	}
	wait_log(g, "all roles work again", 1);
	assert_int_equal(shut_listeners_of(find_role(g, "postern: smtpd 1")), 1);
	wait_log(g, "all roles work again", 2);
	for (int i = 0; i < 8; i++) {
		greeting(g, line);
		assert_memory_equal(line, "220 gw.example.test", 19);
	}
	assert_int_equal(shut_listeners_of(find_role(g, "postern: admin")), 1);
	wait_log(g, "all roles work again", 3);
	assert_true(control_answers(g));
	assert_int_equal(count(g->log, "a listening socket listened no more"), 3);
	kill(g->pid, SIGTERM);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
}

static void a_killed_supervisor_takes_its_roles_along(void **state)
{
	struct gateway *g = *state;
	pid_t pids[16];
	char line[128], title[64];

	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	assert_int_equal(children(g->pid, pids), ROLES);
	kill(g->pid, SIGKILL);
	waitpid(g->pid, NULL, 0);
	/* A new one needs nobody's help, stale socket and all. */
	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	for (int i = 0; i < ROLES; i++) {
		title_of(pids[i], title); /* nothing, or a zombie that nobody has buried */
		assert_string_equal(title, "");
	}
	greeting(g, line);
	assert_memory_equal(line, "220 ", 4);
}

static void touch(struct gateway *g, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/trace/%s", g->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static bool there_is(struct gateway *g, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/trace/%s", g->folder, name);
	return access(path, F_OK) == 0;
}

/* The start file had more workers once: their traces are searched until they are too old. */
static void traces_of_former_workers_go_when_they_are_old(void **state)
{
	static const char *const folders[] = {"", "/smtpd-1", "/smtpd-2", "/smtpd-3"};
	struct gateway *g = *state;
	char path[256], recent[64];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/trace%s", g->folder, folders[i]);
		assert_int_equal(mkdir(path, 0755), 0);
	}
	snprintf(recent, sizeof(recent), "smtpd-2/%016llx.jsonl",
		(unsigned long long)time(NULL) * 1000);
	touch(g, "smtpd-2/0000000000000001.jsonl");
	touch(g, "smtpd-2/0000000000000001.refused.jsonl");
	touch(g, "smtpd-2/notes");
	touch(g, recent);
	touch(g, "smtpd-3/0000000000000001.jsonl");
	snprintf(path, sizeof(path), "trace: { path: %s/trace }\n", g->folder);
	write_config(g, path);
	g->pid = start(g);
	wait_log(g, "posternd: ready mx=127.0.0.1:", 1);
	assert_false(there_is(g, "smtpd-2/0000000000000001.jsonl"));
	assert_false(there_is(g, "smtpd-2/0000000000000001.refused.jsonl"));
	assert_true(there_is(g, "smtpd-2/notes"));
	assert_true(there_is(g, recent));
	assert_false(there_is(g, "smtpd-3"));
	assert_true(there_is(g, "smtpd-1"));
}

static void two_never_share_a_spool(void **state)
{
	struct gateway *g = *state;
	struct gateway second = *g;
	char line[128];

	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	assert_int_equal(wait_exit(start(&second)), 1);
	assert_non_null(
		strstr(read_log(&second), "another posternd uses this spool; end it first"));
	greeting(g, line);
	assert_memory_equal(line, "220 ", 4);
}

static void the_service_manager_is_told(void **state)
{
	struct gateway *g = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 20};
	char said[64];

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/notify", g->folder);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setenv("NOTIFY_SOCKET", a.sun_path, 1);
	g->pid = start(g);
	unsetenv("NOTIFY_SOCKET");
	ssize_t n = recv(fd, said, sizeof(said), 0);
	assert_int_equal(n, 7);
	assert_memory_equal(said, "READY=1", 7);
	kill(g->pid, SIGTERM);
	n = recv(fd, said, sizeof(said), 0);
	assert_int_equal(n, 10);
	assert_memory_equal(said, "STOPPING=1", 10);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
	close(fd);
}

static void a_hangup_reads_the_log_level_again(void **state)
{
	struct gateway *g = *state;

	g->pid = start(g);
	wait_log(g, "posternd: ready", 1);
	write_config(g, "log: { level: debug }\n");
	kill(g->pid, SIGHUP);
	wait_log(g, "the log level was read again", 1);
	/* A mistake changes nothing and ends nothing. */
	write_config(g, "log: { level: loud }\n");
	kill(g->pid, SIGHUP);
	wait_log(g, "cannot be read again; nothing changed", 1);
	kill(g->pid, SIGTERM);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
}

static int run(const char *a, const char *b, const char *c)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl(program, program, a, b, c, NULL);
		_exit(127);
	}
	return wait_exit(pid);
}

static bool in_group(pid_t pid, gid_t gid)
{
	char path[64], line[256], number[16];
	bool in = false;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	snprintf(number, sizeof(number), "%u", gid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "Gid:", 4) != 0 && strncmp(line, "Groups:", 7) != 0)
			continue;
		for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
			in = in || strcmp(word, number) == 0;
	}
	fclose(f);
	return in;
}

/* The group that may give commands, and read mail, has no role in it: one that is taken over may be
 * without its sandbox. */
static void no_role_is_an_administrator(void **state)
{
	struct gateway *g = *state;
	struct stat control, mail;
	char path[128];
	pid_t pids[16];

	if (geteuid() != 0)
		skip();
	g->pid = start(g);
	wait_log(g, "posternd: ready mx=127.0.0.1:", 1);
	snprintf(path, sizeof(path), "%s/control.sock", g->folder);
	assert_int_equal(stat(path, &control), 0);
	assert_int_equal(control.st_mode & 0777, 0660);
	snprintf(path, sizeof(path), "%s/spool/mail", g->folder);
	if (stat(path, &mail) < 0) {
		snprintf(path, sizeof(path), "%s/mail", g->folder);
		assert_int_equal(stat(path, &mail), 0);
	}
	assert_int_equal(mail.st_gid, control.st_gid);
	assert_int_equal(mail.st_mode & 07777, 02750);
	assert_int_equal(children(g->pid, pids), ROLES);
	for (int i = 0; i < ROLES; i++)
		assert_false(in_group(pids[i], control.st_gid));
}

static void refusals_say_what_to_do(void **state)
{
	struct gateway *g = *state;
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	char config[128];

	/* The port is somebody else's. */
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	g->port = ntohs(a.sin_port);
	write_config(g, "");
	assert_int_equal(wait_exit(start(g)), 1);
	assert_non_null(strstr(read_log(g), "another program listens there"));
	close(fd);
	/* A start file with a mistake. */
	write_config(g, "wrokers: 3\n");
	assert_int_equal(wait_exit(start(g)), 1);
	assert_non_null(strstr(read_log(g), "wrokers"));
	/* Folders that are everybody's: all in them would be given to the roles. */
	static const char *const folders[][2] = {{"mailboxes: /var/spool/mail\n", "\"mailboxes\""},
		{"mailboxes: /var/mail\n", "\"mailboxes\""},
		{"mailboxes: /home/.\n", "\"mailboxes\""},
		{"trace: { path: /var/log }\n", "\"trace.path\""}};
	for (size_t i = 0; i < 4; i++) {
		write_config(g, folders[i][0]);
		assert_int_equal(wait_exit(start(g)), 1);
		assert_non_null(strstr(read_log(g), "a folder of the system"));
		assert_non_null(strstr(g->log, folders[i][1]));
	}
	/* Others could put a socket of their own there. */
	write_config(g, "");
	assert_int_equal(chmod(g->folder, 0777), 0);
	assert_int_equal(wait_exit(start(g)), 1);
	assert_non_null(strstr(read_log(g), "others may write to this folder"));
	assert_int_equal(chmod(g->folder, 0755), 0);
	if (geteuid() != 0)
		return;
	write_config(g, "users: { smtpd: nobody-of-that-name }\n");
	assert_int_equal(wait_exit(start(g)), 1);
	assert_non_null(strstr(read_log(g), "/usr/sbin/nologin nobody-of-that-name"));
	snprintf(config, sizeof(config), "%s/postern.yaml", g->folder);
	assert_int_equal(run("-c", config, "--check"), 1);
	write_config(g, "users: { smtpd: root }\n");
	assert_int_equal(wait_exit(start(g)), 1);
	assert_non_null(strstr(read_log(g), "cannot run as root"));
	write_config(g, "");
	assert_int_equal(chmod(g->folder, 0700), 0);
	assert_int_equal(wait_exit(start(g)), 1);
	assert_non_null(strstr(read_log(g), "chmod o+x"));
}

static void the_command_line(void **state)
{
	struct gateway *g = *state;
	char config[128];

	snprintf(config, sizeof(config), "%s/postern.yaml", g->folder);
	assert_int_equal(run("--version", NULL, NULL), 0);
	assert_int_equal(run("--help", NULL, NULL), 0);
	assert_int_equal(run(NULL, NULL, NULL), 2);
	assert_int_equal(run("--nonsense", NULL, NULL), 2);
	/* A role is nothing to start by hand. */
	assert_int_equal(run("--role", "smtpd", NULL), 2);
	snprintf(config, sizeof(config), "--config=%s/postern.yaml", g->folder);
	assert_int_equal(run(config, "--check", NULL), 0);
	write_config(g, "workers: many\n");
	assert_int_equal(run(config, "--check", NULL), 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(it_starts_serves_and_ends_in_order),
		TEST(a_killed_role_comes_back_and_the_others_stay),
		TEST(a_worker_waits_for_delivery_to_know_it),
		TEST(a_socket_that_was_shut_down_is_made_anew),
		TEST(a_killed_supervisor_takes_its_roles_along),
		TEST(traces_of_former_workers_go_when_they_are_old),
		TEST(two_never_share_a_spool),
		TEST(the_service_manager_is_told),
		TEST(a_hangup_reads_the_log_level_again),
		TEST(no_role_is_an_administrator),
		TEST(refusals_say_what_to_do),
		TEST(the_command_line),
	};
	if (argc != 2) {
		fprintf(stderr, "usage: test_supervisor POSTERND\n");
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
