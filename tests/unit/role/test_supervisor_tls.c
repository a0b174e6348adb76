/*
 * posternd with certificates: what it refuses to start with, what it reads again, and that role
 * keys, without which nobody can sign, may die. The path of posternd is the argument.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../io/tls_fixture.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define WAIT_MS 30000
#define SAID	4096

static const char *program;

struct gateway {
	char folder[64];
	uint16_t port;
	pid_t pid;
	struct identity first, second;
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
		uint16_t port = (uint16_t)(20000 + (getpid() * 17 + i) % 12000);
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

static void write_file(struct gateway *g, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", g->folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
}

static void use(struct gateway *g, const struct identity *one)
{
	write_file(g, "gw.crt", one->chain_pem);
	write_file(g, "gw.key", one->key_pem);
}

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));
	char config[512];

	strcpy(g->folder, "/tmp/postern-supervisor-XXXXXX");
	assert_non_null(mkdtemp(g->folder));
	assert_int_equal(chmod(g->folder, 0755), 0);
	g->port = free_port();
	snprintf(config, sizeof(config),
		"hostname: gw.example.test\nspool: spool\ndirectory: db/directory.db\n"
		"control: control.sock\nlisteners:\n  mx: { address: \"127.0.0.1:%u\", tls: { "
		"certificate: gw.crt, key: gw.key, mode: implicit } }\n",
		g->port);
	write_file(g, "postern.yaml", config);
	identity_make(&g->first, &(struct wish){.kind = KEY_P256, .subject = "first"});
	identity_make(&g->second, &(struct wish){.kind = KEY_RSA, .subject = "second"});
	use(g, &g->first);
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
	identity_done(&g->first);
	identity_done(&g->second);
	snprintf(command, sizeof(command), "rm -rf %s", g->folder);
	(void)!system(command);
	free(g);
	return 0;
}

static pid_t start(struct gateway *g, const char *option)
{
	char config[128], log[128];

	snprintf(config, sizeof(config), "%s/postern.yaml", g->folder);
	snprintf(log, sizeof(log), "%s/log", g->folder);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
		dup2(fd, STDERR_FILENO);
		dup2(fd, STDOUT_FILENO);
		execl(program, program, "-c", config, option, NULL);
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
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		nap();
	}
	fail_msg("posternd does not end");
	return -1;
}

/* The role of our own posternd, among its children. */
static pid_t find_keys(struct gateway *g)
{
	char path[64], text[256], title[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", g->pid, g->pid);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	for (char *at = text, *end;; at = end) {
		long child = strtol(at, &end, 10);
		if (end == at)
			break;
		snprintf(path, sizeof(path), "/proc/%ld/cmdline", child);
		fd = open(path, O_RDONLY);
		n = fd < 0 ? 0 : read(fd, title, sizeof(title) - 1);
		title[n > 0 ? n : 0] = 0;
		if (fd >= 0)
			close(fd);
		if (strcmp(title, "postern: keys") == 0)
			return (pid_t)child;
	}
	fail_msg("no role keys");
	return 0;
}

/* A whole handshake, resumed from *session where there is one; the subject of the certificate, or
 * "" where there is none. */
static void shake(struct gateway *g, SSL_SESSION **session, bool *resumed, char subject[64])
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(g->port)};
	struct timeval patience = {.tv_sec = 20};
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	char line[128] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	SSL_set_fd(ssl, fd);
	if (session && *session)
		SSL_set_session(ssl, *session);
	subject[0] = 0;
	/* The greeting: TLS 1.3's tickets come before it. */
	if (SSL_connect(ssl) == 1 && SSL_read(ssl, line, sizeof(line) - 1) > 0) {
		X509 *c = SSL_get1_peer_certificate(ssl);
		assert_memory_equal(line, "220 gw.example.test", 19);
		X509_NAME_get_text_by_NID(X509_get_subject_name(c), NID_commonName, subject, 64);
		X509_free(c);
		if (resumed)
			*resumed = SSL_session_reused(ssl);
		if (session) {
			SSL_SESSION_free(*session);
			*session = SSL_get1_session(ssl);
		}
		/* In good order, or the session is no longer worth resuming. */
		SSL_shutdown(ssl);
	}
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
}

static void end(struct gateway *g)
{
	kill(g->pid, SIGTERM);
	assert_int_equal(wait_exit(g->pid), 0);
	g->pid = 0;
}

static void it_does_not_start_with_files_that_do_not_fit(void **state)
{
	static const char *const options[] = {NULL, "--check"};
	struct gateway *g = *state;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		use(g, &g->first);
		write_file(g, "gw.key", g->second.key_pem);
		assert_int_equal(wait_exit(start(g, options[i])), 1);
		assert_non_null(strstr(read_log(g), "listener mx, tls: "));
		write_file(g, "gw.key", "nonsense");
		assert_int_equal(wait_exit(start(g, options[i])), 1);
		assert_non_null(strstr(read_log(g), "gw.key"));
		use(g, &g->first);
	}
	assert_int_equal(wait_exit(start(g, "--check")), 0);
}

static void certificates_are_read_again(void **state)
{
	struct gateway *g = *state;
	char subject[64];

	g->pid = start(g, NULL);
	wait_log(g, "posternd: ready", 1);
	shake(g, NULL, NULL, subject);
	assert_string_equal(subject, "first");
	use(g, &g->second);
	kill(g->pid, SIGHUP);
	wait_log(g, "the certificates were read again", 1);
	for (int ms = 0; ms < WAIT_MS && strcmp(subject, "second") != 0; ms += 20) {
		shake(g, NULL, NULL, subject);
		nap();
	}
	assert_string_equal(subject, "second");
	/* A mistake changes nothing. */
	write_file(g, "gw.crt", g->first.chain_pem);
	kill(g->pid, SIGHUP);
	wait_log(g, "cannot be read again; the ones before stay", 1);
	shake(g, NULL, NULL, subject);
	assert_string_equal(subject, "second");
	/* Nobody has to say so: the files are looked at. */
	use(g, &g->first);
	wait_log(g, "the certificates were read again", 2);
	end(g);
}

static void a_handshake_fails_cleanly_while_nobody_can_sign(void **state)
{
	struct gateway *g = *state;
	char subject[64];
	time_t began;

	g->pid = start(g, NULL);
	wait_log(g, "posternd: ready", 1);
	pid_t keys = find_keys(g);
	kill(keys, SIGSTOP);
	began = time(NULL);
	shake(g, NULL, NULL, subject);
	assert_string_equal(subject, "");
	shake(g, NULL, NULL, subject);
	assert_string_equal(subject, "");
	assert_true(time(NULL) - began < 10);
	kill(keys, SIGKILL);
	wait_log(g, "all roles work again", 1);
	shake(g, NULL, NULL, subject);
	assert_string_equal(subject, "first");
	assert_int_equal(count(read_log(g), "a role died"), 1);
	end(g);
}

/* Whichever worker gave it, and though each has died since. */
static void a_session_is_resumed_by_every_worker(void **state)
{
	struct gateway *g = *state;
	SSL_SESSION *session = NULL;
	bool resumed = false;
	char subject[64];

	g->pid = start(g, NULL);
	wait_log(g, "posternd: ready", 1);
	shake(g, &session, &resumed, subject);
	assert_false(resumed);
	shake(g, &session, &resumed, subject);
	assert_true(resumed);
	kill(find_keys(g), SIGKILL);
	wait_log(g, "all roles work again", 1);
	kill(g->pid, SIGHUP);
	wait_log(g, "the certificates were read again", 1);
	shake(g, &session, &resumed, subject);
	assert_true(resumed);
	SSL_SESSION_free(session);
	end(g);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(it_does_not_start_with_files_that_do_not_fit),
		TEST(certificates_are_read_again),
		TEST(a_handshake_fails_cleanly_while_nobody_can_sign),
		TEST(a_session_is_resumed_by_every_worker),
	};
	if (argc != 2) {
		fprintf(stderr, "usage: test_supervisor_tls POSTERND\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
