/* The posternctl program against a control socket of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#define ARGS 16
#define WAIT 20000 /* milliseconds */

static const char *program;
static rlim_t memory; /* that it may have; 0: as much as there is */

struct world {
	char dir[64], config[100], socket[100], file[100];
	int listener;
	/* of the last run */
	int code;
	char out[65536], err[65536];
	char request[65536]; /* the last one */
	int requests;
	uid_t user;	   /* who runs it; 0: whoever we are */
	const char *input; /* standard input of the next ones; NULL: none */
};

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void listen_on(struct world *w)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	strcpy(to.sun_path, w->socket);
	w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(w->listener, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(listen(w->listener, 5), 0);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	char text[1000];

	strcpy(w->dir, "/tmp/postern-ctl-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->config, sizeof(w->config), "%s/postern.yaml", w->dir);
	snprintf(w->socket, sizeof(w->socket), "%s/control.sock", w->dir);
	snprintf(w->file, sizeof(w->file), "%s/objects.yaml", w->dir);
	snprintf(text, sizeof(text),
		"hostname: gw.example.test\nspool: %s/spool\ndirectory: %s/db\ncontrol: %s\n"
		"listeners:\n  mx: { address: \"127.0.0.1:2525\" }\n"
		"users: { group: daemon }\n",
		w->dir, w->dir, w->socket);
	write_file(w->config, text);
	listen_on(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	if (w->listener >= 0)
		close(w->listener);
	unlink(w->config);
	unlink(w->socket);
	unlink(w->file);
	rmdir(w->dir);
	free(w);
	return 0;
}

/* ---- one run ---------------------------------------------------------------------------- */

static int read_all(int fd, char *to, size_t room)
{
	size_t n = 0;
	ssize_t got;

	while (n + 1 < room && (got = read(fd, to + n, room - 1 - n)) > 0)
		n += (size_t)got;
	to[n] = '\0';
	/* More is not looked at, but must find somebody who reads. */
	char more[4096];
	while (read(fd, more, sizeof(more)) > 0)
		;
	close(fd);
	return 0;
}

/* As far as it is read. */
static void write_out(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t wrote = send(fd, text, n, MSG_NOSIGNAL);

		if (wrote <= 0)
			return;
		text += wrote;
		n -= (size_t)wrote;
	}
}

/* Takes one request and answers it: "" closes without a word. */
static void serve(struct world *w, const char *reply)
{
	struct pollfd ready = {w->listener, POLLIN, 0};
	size_t n = 0;
	ssize_t got;

	if (poll(&ready, 1, WAIT) != 1)
		fail_msg("posternctl does not connect");
	int fd = accept4(w->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	while (n + 1 < sizeof(w->request) &&
		(got = read(fd, w->request + n, sizeof(w->request) - 1 - n)) > 0) {
		n += (size_t)got;
		if (w->request[n - 1] == '\n')
			break;
	}
	w->request[n] = '\0';
	w->requests++;
	if (*reply) {
		write_out(fd, reply, strlen(reply));
		write_out(fd, "\n", 1);
	}
	close(fd);
}

/* Runs posternctl -c … with these arguments (NULL ends them); the replies are given in order. */
static void run(struct world *w, const char *const *args, const char *const *replies)
{
	const char *list[ARGS + 4] = {program, "-c", w->config};
	int in[2], out[2], err[2], status, n = 3;

	for (; *args; args++) {
		assert_true(n < ARGS + 3);
		list[n++] = *args;
	}
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	if (w->input)
		assert_int_equal(write(in[1], w->input, strlen(w->input)), strlen(w->input));
	close(in[1]);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	w->requests = 0;
	w->request[0] = '\0';
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (memory) {
			const struct rlimit limit = {memory, memory};
			setrlimit(RLIMIT_AS, &limit);
		}
		if (w->user && (setgroups(0, NULL) || setgid(w->user) || setuid(w->user)))
			_exit(98);
		dup2(in[0], 0);
		dup2(out[1], 1);
		dup2(err[1], 2);
		execv(program, (char *const *)list);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	close(err[1]);
	for (; replies && *replies; replies++)
		serve(w, *replies);
	read_all(out[0], w->out, sizeof(w->out));
	read_all(err[0], w->err, sizeof(w->err));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	w->code = WEXITSTATUS(status);
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define REPLIES(...)   ((const char *const[]){__VA_ARGS__, NULL})

static json_t *request(struct world *w)
{
	json_t *value = json_loads(w->request, 0, NULL);

	assert_true(json_is_object(value));
	return value;
}

static void assert_member(const json_t *object, const char *key, const char *expected)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	assert_string_equal(text, expected);
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* Nothing that a terminal would obey. */
static void assert_harmless(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if ((*p < ' ' && *p != '\n') || *p == 0x7f || (*p == 0xc2 && p[1] <= 0x9f) ||
			(*p == 0xe2 && p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae))
			fail_msg("byte %02x at %zu of:\n%s", *p,
				(size_t)(p - (const unsigned char *)text), text);
	}
}

/* ---- usage ------------------------------------------------------------------------------ */

static void wrong_usage_is_2_and_asks_nobody(void **state)
{
	struct world *w = *state;
	static const char *const wrong[][6] = {
		{NULL},
		{"nonsense"},
		{"--nonsense"},
		{"status", "x"},
		{"export", "x"},
		{"user"},
		{"user", "nonsense"},
		{"user", "add"},
		{"user", "password"},
		{"user", "list", "a", "b"},
		{"user", "show"},
		{"user", "import"},
		{"user", "add", "x@y.example", "--nonsense"},
		{"user", "pause", "x@y.example"},
		{"tls"},
		{"tls", "nonsense"},
		{"tls", "show", "x"},
		{"tls", "report", "x"},
		{"accept", "list"},
		{"apply"},
		{"apply", "objects.yaml"},
		{"apply", "-f"},
		{"check", "x"},
		{"transport"},
		{"transport", "nonsense"},
		{"transport", "show"},
		{"transport", "list", "x"},
		{"transport", "show", "a", "b"},
		{"transport", "pause"},
		{"transport", "add", "x", "--nonsense"},
		{"transport", "set", "x", "helo=\xff"},
		{"account", "pause", "a@b.example"},
		{"audit", "--limit", "x"},
		{"audit", "--limit", "-1"},
		{"audit", "x"},
		{"queue"},
		{"queue", "nonsense"},
		{"queue", "show"},
		{"queue", "show", "a", "b"},
		{"queue", "list", "--limit", "0"},
		{"queue", "list", "--limit", "-7"},
		{"queue", "list", "\xff"},
		{"queue", "summary", "nonsense"},
		{"queue", "retry"},
		{"queue", "delete"},
		{"queue", "delete", "sender=\xff"},
		{"queue", "reroute", "age>0s"},
		{"queue", "reroute", "age>0s", "--transport", "\xff"},
		{"queue", "pause", "x"},
		{"trace"},
		{"trace", "a@b.example", "--limit", "0"},
		{"trace", "a@b.example", "--limit", "99999999999999999999"},
		{"explain"},
		{"explain", "--client", "127.0.0.1"},
		{"relay"},
		{"relay", "pause", "mx"},
		{"spool"},
		{"spool", "nonsense"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		run(w, wrong[i], NULL);
		if (w->code != 2 || w->out[0] || !w->err[0])
			fail_msg("%s %s: code %d, out %s, err %s", wrong[i][0] ? wrong[i][0] : "",
				wrong[i][0] && wrong[i][1] ? wrong[i][1] : "", w->code, w->out,
				w->err);
		assert_has(w->err, "--help");
	}
}

static void help_is_on_standard_output(void **state)
{
	struct world *w = *state;
	static const char *const commands[] = {"check", "status", "apply", "export", "transport",
		"domain", "account", "relay", "priority", "settings", "audit", "queue", "trace",
		"explain", "spool"};

	run(w, ARGUMENTS("--help"), NULL);
	assert_int_equal(w->code, 0);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		assert_has(w->out, commands[i]);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		run(w, ARGUMENTS(commands[i], "--help"), NULL);
		assert_int_equal(w->code, 0);
		assert_has(w->out, commands[i]);
		assert_string_equal(w->err, "");
	}
	run(w, ARGUMENTS("transport", "--help"), NULL);
	assert_has(w->out, "retry-delay");
	run(w, ARGUMENTS("--version"), NULL);
	assert_int_equal(w->code, 0);
	/* of one command's command only that */
	run(w, ARGUMENTS("queue", "list", "--help"), NULL);
	assert_has(w->out, "queue list [FILTER]");
	assert_has(w->out, "A filter is made of terms");
	assert_null(strstr(w->out, "queue summary"));
	assert_null(strstr(w->out, "standard input"));
	run(w, ARGUMENTS("queue", "bounce", "--help"), NULL);
	assert_has(w->out, "queue retry | hold | release | bounce | delete ID");
	assert_has(w->out, "A filter is made of terms");
	assert_has(w->out, "standard input");
	assert_null(strstr(w->out, "queue list"));
	run(w, ARGUMENTS("queue", "why", "--help"), NULL);
	assert_has(w->out, "why ID");
	assert_null(strstr(w->out, "A filter"));
	run(w, ARGUMENTS("help", "transport", "set"), NULL);
	assert_has(w->out, "retry-delay");
	assert_has(w->out, "--dry-run");
	assert_null(strstr(w->out, "transport pause"));
	run(w, ARGUMENTS("transport", "pause", "--help"), NULL);
	assert_has(w->out, "transport pause NAME");
	assert_null(strstr(w->out, "retry-delay"));
	run(w, ARGUMENTS("help", "queue", "nonsense"), NULL);
	assert_int_equal(w->code, 2);
	run(w, ARGUMENTS("help", "nonsense"), NULL);
	assert_int_equal(w->code, 2);
}

/* ---- the server ------------------------------------------------------------------------- */

static void without_a_server_the_reason_and_what_to_do(void **state)
{
	struct world *w = *state;

	close(w->listener);
	run(w, ARGUMENTS("status"), NULL);
	assert_int_equal(w->code, 1);
	assert_string_equal(w->out, "");
	assert_has(w->err, "is posternd running");
	assert_has(w->err, w->config);
	unlink(w->socket);
	run(w, ARGUMENTS("status"), NULL);
	assert_int_equal(w->code, 1);
	listen_on(w);
	unlink(w->config);
	run(w, ARGUMENTS("status"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, w->config);
}

static void answers_that_make_no_sense_are_refused(void **state)
{
	struct world *w = *state;
	static const char *const odd[] = {"", "{", "[]", "7", "hello", "{\"error\":7}"};

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		run(w, ARGUMENTS("status"), REPLIES(odd[i]));
		assert_int_equal(w->code, 1);
		assert_string_equal(w->out, "");
		assert_has(w->err, "posternctl: ");
	}
}

static void a_refusal_is_1_with_its_reason(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("transport", "show", "none"), REPLIES("{\"error\":\"there is none\"}"));
	assert_int_equal(w->code, 1);
	assert_string_equal(w->err, "posternctl: there is none\n");
	assert_string_equal(w->out, "");
	run(w, ARGUMENTS("--json", "transport", "show", "none"),
		REPLIES("{\"error\":\"there is none\"}"));
	assert_int_equal(w->code, 1);
	assert_string_equal(w->out, "");
}

/* The only line there is; it is an object with the reason, and nothing a terminal would obey. */
static void assert_error_json(struct world *w, int code, const char *part)
{
	assert_int_equal(w->code, code);
	assert_string_equal(w->out, "");
	assert_harmless(w->err);
	json_t *value = json_loads(w->err, 0, NULL);
	const char *text = json_string_value(json_object_get(value, "error"));
	assert_non_null(text);
	assert_has(text, part);
	assert_ptr_equal(strchr(w->err, '\n'), w->err + strlen(w->err) - 1);
	json_decref(value);
}

/* Whoever asks for JSON can read the refusal as well, whoever it comes from. */
static void a_refusal_in_json_is_an_object(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("--json", "queue", "list"),
		REPLIES("{\"error\":\"no \\u001b[2J\\nway\"}"));
	assert_error_json(w, 1, "no \x1b[2J\nway");
	run(w, ARGUMENTS("queue", "list", "--json", "--limit", "0"), NULL);
	assert_error_json(w, 2, "--limit takes");
	run(w, ARGUMENTS("queue", "\xff\x1b[m", "--json"), NULL);
	assert_error_json(w, 2, "unknown: \\xff");
	run(w, ARGUMENTS("user", "passwd", "joe@c.example"), NULL);
	assert_int_equal(w->code, 2);
	assert_has(w->err, "user: unknown: passwd; did you mean \"user password\"?");
	run(w, ARGUMENTS("queue", "lst"), NULL);
	assert_has(w->err, "did you mean \"queue list\"?");
	run(w, ARGUMENTS("tls", "zzz"), NULL);
	assert_has(w->err, "tls: unknown: zzz\n");
	run(w, ARGUMENTS("--json", "--nonsense"), NULL);
	assert_error_json(w, 2, "--nonsense");
	run(w, ARGUMENTS("--json", "queue", "show", "6p0hg40000003"),
		REPLIES("{\"error\":\"gone\"}"));
	assert_error_json(w, 1, "gone");
	run(w, ARGUMENTS("spool", "verify", "--json"), NULL);
	assert_error_json(w, 1, "spool");
	close(w->listener);
	write_file(w->file, "transports:\n  x: { sever: y }\n");
	run(w, ARGUMENTS("check", "-f", w->file, "--json"), NULL);
	assert_error_json(w, 1, "objects.yaml:2");
	run(w, ARGUMENTS("status", "--json"), NULL);
	assert_error_json(w, 1, "is posternd running");
	unlink(w->config);
	run(w, ARGUMENTS("status", "--json"), NULL);
	assert_error_json(w, 1, w->config);
	w->listener = -1;
}

static json_t *json_of(struct world *w, const char *const *args, const char *reply)
{
	run(w, args, REPLIES(reply));
	assert_string_equal(w->err, "");
	json_t *value = json_loads(w->out, 0, NULL);
	assert_true(json_is_object(value));
	return value;
}

/* Each list is an array under its name; what is put into words for people is left out. */
static void json_has_one_shape(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *args[5];
		const char *reply, *list;
	} lists[] = {
		{{"--json", "queue", "list"}, "{\"messages\":[{}]}", "messages"},
		{{"--json", "queue", "show", "6p0hg40000003"}, "{\"id\":\"6p0hg40000003\"}",
			"messages"},
		{{"--json", "queue", "why", "6p0hg40000003"}, "{\"id\":\"6p0hg40000003\"}",
			"messages"},
		{{"--json", "queue", "summary"}, "{\"groups\":[{}]}", "destinations"},
		{{"--json", "queue", "summary", "transport"}, "{\"groups\":[{}]}", "transports"},
		{{"--json", "domain", "list"}, "{\"domains\":[{}]}", "domains"},
		{{"--json", "audit"}, "{\"entries\":[{}],\"more\":false}", "entries"},
		{{"--json", "trace", "x"}, "{\"events\":[{}],\"more\":false}", "events"},
		{{"--json", "check"}, "{\"findings\":[{}]}", "findings"},
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		json_t *value = json_of(w, lists[i].args, lists[i].reply);

		assert_int_equal(w->code, 0);
		if (json_array_size(json_object_get(value, lists[i].list)) != 1)
			fail_msg("%s %s: %s", lists[i].args[1], lists[i].args[2], w->out);
		json_decref(value);
	}
	json_t *value = json_of(w, ARGUMENTS("--json", "transport", "show", "t"),
		"{\"transport\":{\"name\":\"t\"},\"text\":\"transports:\"}");
	assert_member(json_object_get(value, "transport"), "name", "t");
	assert_null(json_object_get(value, "text"));
	json_decref(value);
	value = json_of(w, ARGUMENTS("export", "--json"), "{\"domains\":{\"a.example\":{}}}");
	assert_non_null(json_object_get(json_object_get(value, "domains"), "a.example"));
	json_decref(value);
	value = request(w);
	assert_true(json_is_true(json_object_get(value, "json")));
	json_decref(value);
}

/* Of several messages, those that are there, and what is wrong with the others. */
static void several_messages_are_shown_as_far_as_there_are(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "show", "6p0hg40000003", "6p0hg40000004", "--json"),
		REPLIES("{\"error\":\"no such message\"}", "{\"id\":\"6p0hg40000004\"}"));
	assert_int_equal(w->code, 1);
	json_t *value = json_loads(w->out, 0, NULL);
	json_t *problem = json_array_get(json_object_get(value, "problems"), 0);
	assert_int_equal(json_array_size(json_object_get(value, "messages")), 1);
	assert_member(problem, "id", "6p0hg40000003");
	assert_member(problem, "error", "no such message");
	json_decref(value);
	run(w, ARGUMENTS("queue", "why", "6p0hg40000003", "6p0hg40000004"),
		REPLIES("{\"error\":\"no such message\"}", "{\"id\":\"6p0hg40000004\"}"));
	assert_int_equal(w->code, 1);
	assert_has(w->err, "6p0hg40000003: no such message");
	assert_has(w->out, "6p0hg40000004");
}

static void titles_are_upper_case_and_none_is_missing(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("transport", "list"),
		REPLIES("{\"transports\":[{\"name\":\"t\",\"retry-delay\":\"5\",\"pause\":{}}]}",
			"{\"error\":\"delivery is just being started again\"}"));
	assert_string_equal(w->err, "");
	assert_has(w->out, "NAME  RETRY DELAY  STATE\nt     5            paused\n");
	run(w, ARGUMENTS("account", "list"),
		REPLIES("{\"accounts\":[{\"name\":\"a@c.example\"}]}"));
	assert_string_equal(w->out, "NAME\na@c.example\n");
	run(w, ARGUMENTS("transport", "show", "t"),
		REPLIES("{\"transport\":{},\"text\":\"x\",\"retry\":{\"count\":3,\"delay\":"
			"\"1m, 5m*2\",\"example\":\"1,5,5\",\"sum\":\"1+(5*2)\",\"total\":\"11 "
			"min\"}}"));
	assert_has(w->out, "RETRY COUNT  RETRY DELAY  EXAMPLE  TOTAL TIME\n"
			   "3            1m, 5m*2     1,5,5    1+(5*2) = 11 min\n");
}

static void a_list_of_transports_says_what_is_down(void **state)
{
	struct world *w = *state;
	static const char list[] =
		"{\"transports\":[{\"name\":\"mx\",\"pause\":null},"
		"{\"name\":\"t\",\"pause\":{}},{\"name\":\"u\",\"pause\":null}]}";
	static const char first[] = "{\"groups\":[{\"transport\":\"mx\",\"destinations\":3,"
				    "\"destinations_down\":2,\"ready\":1,\"down\":4}],\"after\":1}";
	static const char second[] = "{\"groups\":[{\"transport\":\"t\",\"destinations\":1,"
				     "\"destinations_down\":1,\"paused\":2,\"deferred\":1}]}";

	run(w, ARGUMENTS("transport", "list"), REPLIES(list, first, second));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "NAME  DOWN    QUEUED  STATE\n"
				    "mx    2 of 3  5\n"
				    "t     1 of 1  3       paused\n"
				    "u     0 of 0  0\n");
	run(w, ARGUMENTS("transport", "list", "--json"), REPLIES(list, first, second));
	json_t *value = json_loads(w->out, 0, NULL);
	json_t *mx = json_array_get(json_object_get(value, "transports"), 0);
	assert_int_equal(json_integer_value(json_object_get(mx, "queued")), 5);
	assert_int_equal(json_integer_value(json_object_get(mx, "destinations")), 3);
	assert_int_equal(json_integer_value(json_object_get(mx, "destinations_down")), 2);
	json_decref(value);
	/* Who does not know how much is queued must not say 0. */
	run(w, ARGUMENTS("transport", "list", "--json"), REPLIES(list, "{\"error\":\"no\"}"));
	assert_int_equal(w->code, 0);
	value = json_loads(w->out, 0, NULL);
	mx = json_array_get(json_object_get(value, "transports"), 0);
	assert_non_null(mx);
	assert_null(json_object_get(mx, "queued"));
	json_decref(value);
}

/* What delivery cannot go on with at the moment is not given up at once. */
static void a_change_that_has_to_wait_goes_on(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "bounce", "age>1h"),
		REPLIES("{\"messages\":3,\"after\":\"0000000000007\",\"busy\":\"too many\"}",
			"{\"messages\":2,\"warnings\":[\"the audit is full\"]}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "bounce: 5 messages returned to the sender\n");
	assert_string_equal(w->err, "warning: the audit is full\n");
	json_t *asked = request(w);
	assert_member(json_object_get(asked, "request"), "after", "0000000000007");
	json_decref(asked);
}

static void json_is_what_the_server_said(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("status", "--json"),
		REPLIES("{\"a\":[1,{\"b\":\"\\u001b[2J\\u009b\\u007f\"}]}"));
	assert_int_equal(w->code, 0);
	assert_harmless(w->out);
	json_t *value = json_loads(w->out, 0, NULL);
	assert_non_null(value);
	assert_int_equal(json_array_size(json_object_get(value, "a")), 2);
	json_decref(value);
}

/* ---- what a terminal must not see -------------------------------------------------------- */

#define EVIL "\\u001b[2J\\u009b31m\\r\\u0007\\u202Eabc\\u007f"

/* Nor what is not seen at all: two names that look alike may be two. */
static void what_is_not_seen_is_shown(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("status"),
		REPLIES("{\"hostname\":\"a\\u200bb\\ufeffc\\u061cd\\u2028e\\u206af\"}"));
	assert_non_null(strstr(w->out,
		"a\\xe2\\x80\\x8bb\\xef\\xbb\\xbfc\\xd8\\x9cd\\xe2\\x80\\xa8e\\xe2\\x81\\xaaf"));
	run(w, ARGUMENTS("status", "--json"), REPLIES("{\"a\":\"\\u200b\\u00fc\"}"));
	assert_non_null(strstr(w->out, "\\u200b\xc3\xbc"));
}

static void figures_do_not_overflow(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("status"),
		REPLIES("{\"roles\":{\"smtpd 0\":{\"spool\":{\"health\":\"well\"},\"refused\":{"
			"\"a\":9223372036854775807,\"b\":9223372036854775807,\"c\":-5}}}}"));
	assert_non_null(strstr(w->out, ", 9223372036854775807 refused; spool well\n"));
}

static void control_bytes_never_reach_the_terminal(void **state)
{
	struct world *w = *state;
	static const char listing[] =
		"{\"messages\":[{\"id\":\"" EVIL "\",\"arrived\":\"" EVIL
		"\",\"size\":1,\"sender\":\"" EVIL "\",\"units\":[{\"state\":\"" EVIL
		"\",\"transport\":\"" EVIL "\",\"next_hop\":\"" EVIL "\",\"recipients\":[\"" EVIL
		"\",\"" EVIL "\"],\"recipient_count\":2,\"why\":\"" EVIL "\\nx\"}]}]}";
	static const char message[] =
		"{\"id\":\"" EVIL "\",\"arrived\":\"" EVIL "\",\"sender\":\"" EVIL
		"\",\"helo\":\"" EVIL "\",\"units\":[{\"state\":\"" EVIL "\",\"transport\":\"" EVIL
		"\",\"next_hop\":\"" EVIL "\",\"recipients\":[\"" EVIL "\"],\"why\":\"" EVIL
		"\"}]}";
	static const char events[] =
		"{\"events\":[{\"event\":\"" EVIL "\",\"time\":\"" EVIL "\",\"id\":\"" EVIL
		"\",\"" EVIL "\":\"" EVIL "\",\"recipients\":[\"" EVIL "\",7],\"x\":{\"" EVIL
		"\":\"" EVIL "\"}}]}";
	static const char object[] =
		"{\"text\":\"" EVIL "\\n\",\"transport\":{\"pause\":{\"since\":\"" EVIL
		"\",\"by\":\"" EVIL "\",\"reason\":\"" EVIL
		"\"}},\"retry\":{\"count\":1,\"delay\":\"" EVIL "\",\"example\":\"" EVIL
		"\",\"sum\":\"" EVIL "\",\"total\":\"" EVIL "\"}}";
	const struct {
		const char *args[4];
		const char *reply;
	} runs[] = {
		{{"status"},
			"{\"" EVIL "\":\"" EVIL "\",\"hostname\":\"" EVIL
			"\",\"listeners\":[{\"name\":\"" EVIL "\"},7],\"paused\":{\"by\":\"" EVIL
			"\"},\"roles\":{\"smtpd 0\":{\"problem\":\"" EVIL "\"}},\"problem\":\"" EVIL
			"\"}"},
		{{"status"}, "{\"roles\":{\"smtpd 0\":{\"spool\":{\"health\":\"" EVIL
			     "\"}}},\"problem\":\"" EVIL "\"}"},
		{{"status"}, "{\"error\":\"" EVIL "\"}"},
		{{"queue", "list"}, listing},
		{{"queue", "show", "0000000000001"}, message},
		{{"queue", "why", "0000000000001"}, message},
		{{"queue", "summary"},
			"{\"groups\":[{\"transport\":\"" EVIL "\",\"next_hop\":\"" EVIL
			"\",\"last_failure\":\"" EVIL "\"}]}"},
		{{"trace", "x"}, events},
		{{"domain", "list"},
			"{\"transports\":[{\"name\":\"" EVIL "\",\"" EVIL "\":\"" EVIL "\"}]}"},
		{{"transport", "show", "x"}, object},
		{{"transport", "remove", "x"}, "{\"changes\":[\"" EVIL "\",7]}"},
		{{"audit"}, "{\"entries\":[{\"time\":\"" EVIL "\",\"actor\":\"" EVIL
			    "\",\"change\":\"" EVIL "\"}]}"},
		{{"export"}, "{\"text\":\"" EVIL "\"}"},
		{{"check"}, "{\"findings\":[{\"severity\":\"" EVIL "\",\"about\":\"" EVIL
			    "\",\"text\":\"" EVIL "\"}]}"},
	};

	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		run(w, runs[i].args, REPLIES(runs[i].reply));
		assert_harmless(w->out);
		assert_harmless(w->err);
		assert_true(strstr(w->out, "x1b[2J") || strstr(w->err, "x1b[2J"));
	}
	run(w, ARGUMENTS("explain", "--client", "127.0.0.1", "--from", "<>", "--to", "a@b.example"),
		REPLIES("{\"text\":\"" EVIL "\"}"));
	assert_harmless(w->out);
}

/* The good part on standard output as ever; that there is a bad one beside it. */
/* Each says what to do next. */
static void what_cannot_be_reached_is_told_with_advice(void **state)
{
	struct world *w = *state;

	close(w->listener);
	w->listener = -1;
	run(w, ARGUMENTS("status"), NULL); /* a socket that nobody listens on any more */
	assert_int_equal(w->code, 1);
	assert_has(w->err, "Start it (systemctl start postern, or posternd -c ");
	unlink(w->socket);
	run(w, ARGUMENTS("queue", "list"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "is posternd running with this start file");
	run(w, ARGUMENTS("spool", "verify"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "name the right file with -c");
	run(w, ARGUMENTS("apply", "-f", w->dir), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "Is a directory");
	unlink(w->config);
	run(w, ARGUMENTS("status"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "with -c FILE, before the command");
}

/* A start file with a mistake in it does not lock anybody out of the server that runs. */
static void a_broken_start_file_is_gone_on_with(void **state)
{
	struct world *w = *state;
	char text[600], path[200];

	snprintf(text, sizeof(text),
		"hostname: gw.example.test\nworkers: many\ncolour: red\ncontrol: %s\n", w->socket);
	write_file(w->config, text);
	run(w, ARGUMENTS("queue", "pause"), REPLIES("{\"changes\":[\"x\"]}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "all deliveries are paused");
	assert_has(w->err, "warning: the start file cannot be used: ");
	assert_has(w->err, "postern.yaml:2:10: workers: ");
	assert_null(strstr(w->err, "colour"));
	run(w, ARGUMENTS("status", "--json"), REPLIES("{\"version\":\"0.1.0\"}"));
	assert_int_equal(w->code, 0);
	json_t *value = json_loads(w->out, 0, NULL);
	assert_member(value, "version", "0.1.0");
	json_decref(value);
	value = json_loads(w->err, 0, NULL);
	assert_has(json_string_value(json_object_get(value, "warning")), "workers");
	json_decref(value);
	run(w, ARGUMENTS("status"), REPLIES("{\"version\":\"0.1.0\"}"));
	assert_int_equal(w->code, 0);
	/* beside the file, as always */
	write_file(w->config, "control: control.sock\n");
	run(w, ARGUMENTS("export"), REPLIES("{\"text\":\"{}\"}"));
	assert_int_equal(w->code, 0);
	/* What is about the file itself is refused. */
	run(w, ARGUMENTS("check"), NULL);
	assert_int_equal(w->code, 1);
	run(w, ARGUMENTS("spool", "verify"), NULL);
	assert_int_equal(w->code, 1);
	/* Where not even the socket is known, it can be given. */
	write_file(w->config, "control: [\n");
	run(w, ARGUMENTS("export"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "--socket PATH");
	snprintf(path, sizeof(path), "--socket=%s", w->socket);
	run(w, ARGUMENTS("export", path), REPLIES("{\"text\":\"{}\"}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->err, "");
	run(w, ARGUMENTS("--socket", w->socket, "status"), REPLIES("{\"version\":\"0.1.0\"}"));
	assert_int_equal(w->code, 0);
	unlink(w->config);
	run(w, ARGUMENTS("export", path), REPLIES("{\"text\":\"{}\"}"));
	assert_int_equal(w->code, 0);
	run(w, ARGUMENTS("export", "--socket", "/nonexistent/socket"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "/nonexistent/socket: No such file");
}

/* Each line says who speaks, in the middle of a script's output, too. */
static void all_mistakes_have_the_prefix(void **state)
{
	struct world *w = *state;

	write_file(w->file, "{}");
	run(w, ARGUMENTS("apply", "-f", w->file), REPLIES("{\"error\":\"a:1: b\\nc:2: d\"}"));
	assert_int_equal(w->code, 1);
	assert_string_equal(w->err, "posternctl: a:1: b\nposternctl: c:2: d\n");
}

static void nothing_is_said_as_well(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("settings", "show"), REPLIES("{\"text\":\"\"}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "nothing is set; posternctl settings --help");
	run(w, ARGUMENTS("audit"), REPLIES("{\"entries\":[]}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "nothing was changed yet\n");
	run(w, ARGUMENTS("audit"), REPLIES("{\"entries\":[{\"change\":\"x\"}],\"more\":true}"));
	assert_has(w->out, "… and more");
}

/* A local part in quotes may hold all that separates fields. */
static void fields_of_an_event_cannot_be_mistaken(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("trace", "x"),
		REPLIES("{\"events\":[{\"time\":\"T\",\"event\":\"Rejection\",\"sender\":\"\","
			"\"recipients\":[\"\\\"a,b> client=9.9.9.9\\\"@x\",\"c@x\"],"
			"\"client\":\"127.0.0.1\"}]}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, " sender=\"\" recipients=\"\\\"a,b> client=9.9.9.9\\\"@x\",c@x "
			   "client=127.0.0.1\n");
}

static void status_reads_well(void **state)
{
	struct world *w = *state;
	char spool[100];

	snprintf(spool, sizeof(spool), "%s/spool", w->dir);
	assert_int_equal(mkdir(spool, 0700), 0);

	run(w, ARGUMENTS("status"),
		REPLIES("{\"version\":\"0.1.0\",\"hostname\":\"gw.example.test\",\"uptime_s\":7200,"
			"\"listeners\":[{\"name\":\"mx\",\"address\":\"127.0.0.1:25\"}],"
			"\"directory\":{\"generation\":3,\"transports\":2,\"domains\":1,"
			"\"accounts\":0},"
			"\"pauses\":[{\"scope\":\"transport\",\"name\":\"site-a\",\"since\":\"T\","
			"\"by\":\"ann\",\"reason\":\"moving\"}],\"queue\":{\"oldest\":\"T0\","
			"\"oldest_age_s\":12000,\"destinations\":5,\"destinations_down\":2},"
			"\"roles\":{\"smtpd "
			"1\":{\"sessions\":1,"
			"\"messages\":5,\"bytes\":2048,\"refused\":{\"size\":2,\"loop\":1},"
			"\"spool\":{\"health\":\"full\"}},\"smtpd "
			"0\":{\"spool\":{\"health\":\"well\"}},"
			"\"delivery\":{\"loaded\":true,\"journal\":\"well\",\"queue\":{"
			"\"messages\":4,"
			"\"deferred\":3,\"held\":2},\"delivery\":{\"attempts\":1,\"delivered\":1},"
			"\"spool\":{\"files\":4,\"file_bytes\":16384}}}}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "server      gw.example.test, version 0.1.0, up 2h\n");
	assert_has(w->out, "listeners   mx 127.0.0.1:25\n");
	assert_has(w->out, "directory   1 domain, 2 transports, 0 accounts (generation 3)\n"
			   "paused      transport site-a since T by ann: moving\n"
			   "queue       4 messages, in 5 units: 3 deferred, 2 held; the oldest "
			   "came 3h20m ago, "
			   "at T0\n"
			   "down        2 of 5 destinations (see queue summary)\n"
			   "delivery    1 attempt: 1 recipient delivered\n");
	assert_has(w->out, "spool       16.0 KiB in 4 files, ");
	assert_has(w->out, "iB free; journal well\n");
	run(w, ARGUMENTS("status", "--json"), REPLIES("{\"version\":\"0.1.0\"}"));
	json_t *value = json_loads(w->out, 0, NULL);
	json_t *disk = json_object_get(value, "spool_disk");
	assert_member(disk, "path", spool);
	assert_true(json_is_integer(json_object_get(disk, "free_bytes")));
	json_decref(value);
	rmdir(spool);
}

static void workers_are_shown_in_order(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("status"),
		REPLIES("{\"roles\":{\"smtpd 1\":{\"sessions\":1,\"messages\":5,\"bytes\":2048,"
			"\"refused\":{\"size\":2,\"loop\":1},\"spool\":{\"health\":\"full\"}},"
			"\"smtpd 0\":{\"spool\":{\"health\":\"well\"}}}}"));
	assert_has(w->out,
		"smtpd 0     0 sessions open, 0 messages (0 B) taken in; spool well\n"
		"smtpd 1     1 session open, 5 messages (2.0 KiB) taken in, 3 refused; spool "
		"full: mail is refused with 452, new connections with 421\n");
}

/* As in a script that has just started the server. */
static void a_server_that_is_just_starting_is_waited_for(void **state)
{
	struct world *w = *state;

	close(w->listener);
	unlink(w->socket);
	pid_t pid = fork();
	if (!pid) {
		usleep(300000);
		listen_on(w);
		serve(w, "{\"text\":\"hello\"}");
		_exit(0);
	}
	run(w, ARGUMENTS("--wait", "20", "settings", "show"), NULL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(w->code, 0);
	assert_has(w->out, "hello");
	unlink(w->socket);
	run(w, ARGUMENTS("settings", "show", "--wait=1"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "is posternd running");
	run(w, ARGUMENTS("--wait", "long", "settings", "show"), NULL);
	assert_int_equal(w->code, 2);
	listen_on(w);
}

static void a_damaged_trace_is_told(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("trace", "x"),
		REPLIES("{\"events\":[],\"unread\":[\"delivery/1.jsonl: " EVIL "\"]}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "nothing in the trace fits\n");
	assert_has(w->err, "a part of the trace cannot be read: delivery/1.jsonl: ");
	assert_harmless(w->err);
}

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif

#ifndef SANITIZED /* which want more address space than there may be */
#define LISTED 60000

/* A listing that does not fit is refused: it does not end in a crash, and never looks whole. */
static void what_memory_does_not_hold_is_refused(void **state)
{
	static const char one[] = "{\"id\":\"0000000000001\",\"units\":[{\"why\":\"down\"}]},";
	static const char *const commands[][3] = {
		{"queue", "list"}, {"queue", "list", "--json"}, {"audit"}};
	struct world *w = *state;
	char *listing = malloc(LISTED * sizeof(one) + 100);
	size_t n;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		/* In parsing it, and in showing what could be parsed. */
		for (rlim_t mib = 16; mib <= 256; mib *= 2) {
			n = (size_t)sprintf(listing, "{\"%s\":[", i == 2 ? "entries" : "messages");
			for (size_t k = 0; k < LISTED; k++, n += sizeof(one) - 1)
				memcpy(listing + n, one, sizeof(one) - 1);
			strcpy(listing + n - 1, "]}");
			memory = mib << 20;
			run(w,
				(const char *const[]){commands[i][0], commands[i][1],
					i == 2 ? NULL : commands[i][2], NULL},
				REPLIES(listing));
			memory = 0;
			if (w->code == 0)
				break;
			assert_int_equal(w->code, 1);
			assert_has(w->err, "ask for less at a time");
			assert_int_equal(w->out[0], 0);
		}
	}
	free(listing);
}
#endif

/* ---- requests --------------------------------------------------------------------------- */

static void apply_sends_the_file(void **state)
{
	struct world *w = *state;

	write_file(w->file, "domains:\n  a.example: { mailboxes: true }\n");
	run(w, ARGUMENTS("apply", "-f", w->file, "--dry-run"),
		REPLIES("{\"changes\":[\"domain a.example: added\"],\"dry_run\":true}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "domain a.example: added");
	assert_has(w->out, "nothing was changed");
	json_t *asked = request(w);
	assert_member(asked, "cmd", "apply");
	assert_member(asked, "file", w->file);
	assert_true(json_is_true(json_object_get(asked, "dry_run")));
	assert_true(json_is_false(json_object_get(asked, "prune")));
	json_decref(asked);
	run(w, ARGUMENTS("apply", "-f", "/nonexistent/x"), NULL);
	assert_int_equal(w->code, 1);
	write_file(w->file, "a: \xff\n");
	run(w, ARGUMENTS("apply", "-f", w->file), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "UTF-8");
}

static void removing_may_be_forced_and_warns(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("domain", "remove", "a.example", "--force"),
		REPLIES("{\"changes\":[\"domain a.example: removed\"],\"warnings\":[\"3 messages "
			"in the "
			"queue\"],\"dry_run\":false}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "domain a.example: removed");
	assert_has(w->err, "warning: 3 messages in the queue\n");
	json_t *asked = request(w);
	assert_true(json_is_true(json_object_get(asked, "force")));
	json_decref(asked);
	run(w, ARGUMENTS("domain", "remove", "a.example"), REPLIES("{\"changes\":[]}"));
	asked = request(w);
	assert_true(json_is_false(json_object_get(asked, "force")));
	json_decref(asked);
	run(w, ARGUMENTS("domain", "add", "a.example", "--force"), NULL);
	assert_int_equal(w->code, 2);
}

static void check_asks_the_server_or_reads_the_file(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("check"), REPLIES("{\"findings\":[]}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "no problems found");
	/* The server knows what else is in the directory. */
	write_file(w->file, "transports:\n  x: { server: mx.a.example }\n");
	run(w, ARGUMENTS("check", "-f", w->file), REPLIES("{\"findings\":[]}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "no problems found\n");
	json_t *asked = request(w);
	assert_member(asked, "cmd", "check");
	assert_member(asked, "text", "transports:\n  x: { server: mx.a.example }\n");
	json_decref(asked);
	run(w, ARGUMENTS("check", "-f", w->file), REPLIES("{\"error\":\"objects.yaml:2: no\"}"));
	assert_int_equal(w->code, 1);
	assert_has(w->err, "objects.yaml:2");
	close(w->listener);
	unlink(w->socket);
	run(w, ARGUMENTS("check"), NULL);
	assert_int_equal(w->code, 0);
	assert_has(w->out, "only the file was checked");
	run(w, ARGUMENTS("check", "-f", w->file), NULL);
	assert_int_equal(w->code, 0);
	assert_has(w->out, "transport x: is used by no domain");
	assert_has(w->out, "the objects were checked by themselves");
	write_file(w->file, "transports:\n  x: { sever: y }\n");
	run(w, ARGUMENTS("check", "-f", w->file), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "objects.yaml:2");
	listen_on(w);
}

/* posternctl check && systemctl restart postern: what passes does not end in a server that is down.
 */
static void check_fails_where_posternd_would_not_start(void **state)
{
	static const char *const more[] = {
		"users: { group: no-such-group-here }\n",
		"listeners:\n  mx: { address: \"127.0.0.1:2525\", tls: { certificate: gone.crt, "
		"key: gone.key } }\n",
	};
	struct world *w = *state;
	char text[2000];

	for (size_t i = geteuid() == 0 ? 0 : 1; i < sizeof(more) / sizeof(more[0]); i++) {
		snprintf(text, sizeof(text),
			"hostname: gw.example.test\nspool: %s/spool\ndirectory: %s/db\n"
			"control: %s\n%s%s",
			w->dir, w->dir, w->socket, more[i],
			i == 0 ? "listeners:\n  mx: { address: \"127.0.0.1:2525\" }\n"
			       : "users: { group: daemon }\n");
		write_file(w->config, text);
		write_file(w->file, "transports:\n  x: { server: mx.a.example }\n");
		for (int running = 1; running >= 0; running--) {
			const char *replies[] = {"{\"findings\":[]}", NULL};
			if (!running) {
				close(w->listener);
				unlink(w->socket);
			}
			run(w, ARGUMENTS("check"), running ? replies : NULL);
			assert_int_equal(w->code, 1);
			assert_has(w->out,
				i == 0 ? "error: users: the group" : "error: certificates: ");
			assert_has(w->out, "posternd does not start with it");
			run(w, ARGUMENTS("check", "-f", w->file, "--json"),
				running ? replies : NULL);
			assert_int_equal(w->code, 1);
			assert_has(w->out, "\"severity\": \"error\"");
		}
		listen_on(w);
	}
}

/* Without a server nobody else looks at them. */
static void check_without_a_server_looks_at_authorities(void **state)
{
	struct world *w = *state;
	char text[1000];

	close(w->listener);
	unlink(w->socket);
	snprintf(text, sizeof(text),
		"transports:\n  x: { server: mx.a.example, tls: verify, tls-ca: %s/gone.pem }\n",
		w->dir);
	write_file(w->file, text);
	run(w, ARGUMENTS("check", "-f", w->file), NULL);
	assert_int_equal(w->code, 0);
	assert_has(w->out, "warning: transport x: its tls-ca, ");
	assert_has(w->out, "gone.pem, is not there; until that is mended its mail waits");
	/* A file that is there, but holds no certificates: the start file. */
	snprintf(text, sizeof(text),
		"transports:\n  x: { server: mx.a.example, tls: verify, tls-ca: %s }\n", w->config);
	write_file(w->file, text);
	run(w, ARGUMENTS("check", "-f", w->file), NULL);
	assert_has(w->out, "postern.yaml, cannot be used: ");
	assert_has(w->out, "is not known: no server runs");
	listen_on(w);
}

static void tls_show_knows_whom_client_ca_believes(void **state)
{
	struct world *w = *state;
	char text[2000];

	snprintf(text, sizeof(text),
		"hostname: gw.example.test\nspool: %s/spool\ndirectory: %s/db\ncontrol: %s\n"
		"listeners:\n  mx: { address: \"127.0.0.1:2525\", tls: { certificate: gone.crt, "
		"key: gone.key, client-ca: clients.pem } }\n",
		w->dir, w->dir, w->socket);
	write_file(w->config, text);
	run(w, ARGUMENTS("tls", "show"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->out, "(client-ca)");
	assert_has(w->out, "clients.pem");
}

static void lists_are_for_people(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("relay", "list"),
		REPLIES("{\"relays\":[{\"name\":\"mx\",\"policy\":\"addresses\",\"from\":"
			"[\"198.51.100.0/24\",\"2001:db8::/32\"],\"to\":[]}]}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "198.51.100.0/24, 2001:db8::/32");
	assert_null(strchr(w->out, '['));
	assert_null(strstr(w->out, " TO"));
}

/* A server that must not be asked is no server that does not run. */
static void who_may_not_ask_is_told(void **state)
{
	struct world *w = *state;
	struct stat info;

	if (geteuid() == 0) {
		/* As an ordinary user; the folder is root's. */
		assert_int_equal(chmod(w->dir, 0755), 0);
		assert_int_equal(chmod(w->config, 0644), 0);
		w->user = 65534;
	}
	assert_int_equal(chmod(w->socket, 0), 0);
	run(w, ARGUMENTS("check"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "permission denied; run it as root (sudo)");
	assert_null(strstr(w->out, "no server runs"));
	/* The socket's group may, whoever can see which that is. */
	assert_int_equal(stat(w->socket, &info), 0);
	if (info.st_gid == 0)
		assert_has(w->err, "or as a member of the group daemon (users.group)");
	run(w, ARGUMENTS("status"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "permission denied; run it as root (sudo)");
	w->user = 0;
}

static void a_filter_goes_through_the_whole_queue(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "hold", "domain=a.example", "age>2h", "--reason", "look at it"),
		REPLIES("{\"messages\":3,\"after\":\"0000000000007\"}", "{\"messages\":2}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "hold: 5 messages held\n");
	json_t *asked = request(w);
	json_t *inner = json_object_get(asked, "request");
	assert_member(asked, "cmd", "queue");
	assert_member(inner, "op", "hold");
	assert_member(inner, "filter", "domain=a.example age>2h");
	assert_member(inner, "after", "0000000000007");
	assert_member(inner, "reason", "look at it");
	json_decref(asked);
	/* Half done is said. */
	run(w, ARGUMENTS("queue", "bounce", "age>0s"),
		REPLIES("{\"messages\":3,\"after\":\"0000000000007\"}", "{\"error\":\"no\"}"));
	assert_int_equal(w->code, 1);
	assert_has(w->err, "bounce: 3 messages before that");
}

static void an_id_is_told_from_a_filter(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "delete", "6p0hg40000003"), REPLIES("{\"messages\":1}"));
	assert_string_equal(w->out, "delete: 1 message deleted\n");
	json_t *asked = request(w);
	assert_member(json_object_get(asked, "request"), "id", "6p0hg40000003");
	assert_null(json_object_get(json_object_get(asked, "request"), "filter"));
	json_decref(asked);
}

/* An empty variable of a script is not the whole queue. */
static void a_blank_filter_asks_nothing(void **state)
{
	struct world *w = *state;
	static const char *const ops[] = {"delete", "bounce", "hold", "release", "retry"};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		run(w, ARGUMENTS("queue", ops[i], ""), NULL);
		assert_int_equal(w->code, 2);
		run(w, ARGUMENTS("queue", ops[i], " \t", "\n"), NULL);
		assert_int_equal(w->code, 2);
		assert_int_equal(w->requests, 0);
		assert_has(w->err, "age>=0s");
	}
}

static void the_answer_counts_recipients(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "delete", "recipient=e@a.example"),
		REPLIES("{\"messages\":1,\"recipients\":1,\"other_recipients\":1,"
			"\"messages_with_others\":1}"));
	assert_string_equal(w->out, "delete: 1 recipient of 1 message deleted; the message stays "
				    "for 1 other\n");
	run(w, ARGUMENTS("queue", "hold", "domain=a.example", "--dry-run"),
		REPLIES("{\"messages\":3,\"recipients\":4,\"other_recipients\":5,"
			"\"messages_with_others\":2,\"dry_run\":true}"));
	assert_string_equal(w->out, "hold: 4 recipients of 3 messages would be held; 5 others of 2 "
				    "of them would stay as they are\n");
	json_t *asked = request(w);
	assert_true(json_is_true(json_object_get(json_object_get(asked, "request"), "dry_run")));
	json_decref(asked);
	run(w, ARGUMENTS("queue", "retry", "domain=a.example"),
		REPLIES("{\"messages\":1,\"recipients\":1,\"paused\":1}"));
	assert_has(w->out, "1 recipient is paused, and waits until that ends");
	/* who is released has not left yet */
	run(w, ARGUMENTS("queue", "release", "domain=a.example"),
		REPLIES("{\"messages\":1,\"recipients\":1,\"other_recipients\":1,"
			"\"messages_with_others\":1}"));
	assert_string_equal(w->out, "release: 1 recipient of 1 message released; 1 other of it "
				    "stays as it is\n");
}

static void several_ids_at_once(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "delete", "6p0hg40000003", "6p0hg40000004"),
		REPLIES("{\"messages\":1,\"recipients\":1,\"done\":2,\"problems\":[{\"id\":"
			"\"6p0hg40000004\",\"error\":\"no such message\"}]}"));
	assert_int_equal(w->code, 1);
	assert_has(w->out, "1 recipient of 1 message deleted");
	assert_has(w->err, "6p0hg40000004: no such message");
	json_t *asked = request(w);
	json_t *ids = json_object_get(json_object_get(asked, "request"), "ids");
	assert_int_equal(json_array_size(ids), 2);
	json_decref(asked);
	/* one that is mistyped is no id, and no filter */
	run(w, ARGUMENTS("queue", "delete", "6p0hg40000003", "oops"),
		REPLIES("{\"error\":\"column 15: \\\"oops\\\" is neither\"}"));
	assert_int_equal(w->code, 1);
}

/* As several on the command line: what is wrong with one is told, and the others are done. */
static void ids_on_standard_input(void **state)
{
	struct world *w = *state;

	w->input = "6p0hg40000003\nxx \xff\n\t6p0hg40000004\n";
	run(w, ARGUMENTS("queue", "retry", "-"),
		REPLIES("{\"messages\":2,\"recipients\":2,\"done\":2}"));
	assert_int_equal(w->code, 1);
	assert_has(w->out, "retry: 2 recipients of 2 messages told to be tried now\n");
	assert_has(w->err, "posternctl: xx: no id (13 letters and digits)\n");
	assert_has(w->err, "posternctl: \\xff: no id (13 letters and digits)\n");
	json_t *asked = request(w);
	json_t *ids = json_object_get(json_object_get(asked, "request"), "ids");
	assert_int_equal(json_array_size(ids), 2);
	json_decref(asked);
	run(w, ARGUMENTS("queue", "retry", "-", "--json"),
		REPLIES("{\"messages\":2,\"recipients\":2,\"done\":2}"));
	assert_int_equal(w->code, 1);
	json_t *value = json_loads(w->out, 0, NULL);
	json_t *problems = json_object_get(value, "problems");
	assert_int_equal(json_array_size(problems), 2);
	assert_member(json_array_get(problems, 0), "id", "xx");
	json_decref(value);
	w->input = "xx\n";
	run(w, ARGUMENTS("queue", "delete", "-"), NULL);
	assert_int_equal(w->code, 1);
	assert_string_equal(w->out, "delete: 0 messages deleted\n");
	assert_has(w->err, "xx: no id");
	w->input = "6p0hg40000003 xx";
	run(w, ARGUMENTS("queue", "why", "-"), REPLIES("{\"id\":\"6p0hg40000003\",\"units\":[]}"));
	assert_int_equal(w->code, 1);
	assert_has(w->out, "6p0hg40000003");
	assert_has(w->err, "xx: no id");
	run(w, ARGUMENTS("queue", "why", "-", "--json"), REPLIES("{\"id\":\"6p0hg40000003\"}"));
	assert_int_equal(w->code, 1);
	value = json_loads(w->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(value, "messages")), 1);
	assert_int_equal(json_array_size(json_object_get(value, "problems")), 1);
	json_decref(value);
	/* The one that is wrong is named. */
	run(w, ARGUMENTS("queue", "why", "6p0hg40000003", "oops"), NULL);
	assert_int_equal(w->code, 2);
	assert_has(w->err, "\"oops\" is no id");
}

/* A message as it is queued: byte by byte where no terminal reads it. */
static void a_message_is_shown_as_it_is(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("queue", "show", "6p0hg40000003", "--header"),
		REPLIES("{\"data\":\"U3ViamVjdDog\",\"next\":9}", "{\"data\":\"G1sybQ0KAQ==\"}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "Subject: \x1b[2m\r\n\x01");
	json_t *asked = request(w);
	json_t *inner = json_object_get(asked, "request");
	assert_member(inner, "op", "content");
	assert_member(inner, "part", "header");
	assert_int_equal(json_integer_value(json_object_get(inner, "offset")), 9);
	json_decref(asked);
	run(w, ARGUMENTS("queue", "show", "6p0hg40000003", "--body"), REPLIES("{\"data\":\"a\"}"));
	assert_int_equal(w->code, 1);
	run(w, ARGUMENTS("queue", "show", "6p0hg40000003", "--body"),
		REPLIES("{\"data\":\"\",\"next\":5}", "{\"data\":\"\",\"next\":5}"));
	assert_int_equal(w->code, 1);
	run(w, ARGUMENTS("queue", "show", "6p0hg40000003", "6p0hg40000004", "--body"), NULL);
	assert_int_equal(w->code, 2);
}

static void a_listing_is_sorted(void **state)
{
	struct world *w = *state;
	static const char page[] =
		"{\"messages\":["
		"{\"id\":\"0000000000001\",\"size\":5,\"age_s\":9,\"units\":[{\"gives_up\":\"2026-"
		"01-"
		"03T00:00:00Z\"}]},"
		"{\"id\":\"0000000000002\",\"size\":7,\"age_s\":7,\"units\":[{}]},"
		"{\"id\":\"0000000000003\",\"size\":6,\"age_s\":8,\"units\":[{\"gives_up\":\"2026-"
		"01-"
		"02T00:00:00Z\"}]}]}";
	static const struct {
		const char *by, *first, *last;
	} orders[] = {
		{"size", "0000000000002", "0000000000001"},
		{"age", "0000000000001", "0000000000002"},
		{"give-up", "0000000000003", "0000000000002"},
		{"next-try", "0000000000001", "0000000000003"},
	};

	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		run(w, ARGUMENTS("queue", "list", "--sort", orders[i].by), REPLIES(page));
		assert_int_equal(w->code, 0);
		const char *first = strstr(w->out, orders[i].first);
		const char *last = strstr(w->out, orders[i].last);
		assert_true(first && last && first < last);
	}
	run(w, ARGUMENTS("queue", "list", "--sort", "size", "--limit", "1"), REPLIES(page));
	assert_null(strstr(w->out, "0000000000001"));
	assert_has(w->out, "and more");
	run(w, ARGUMENTS("queue", "list", "--sort", "colour"), NULL);
	assert_int_equal(w->code, 2);
}

static void ages_are_added_up(void **state)
{
	struct world *w = *state;
	static const char one[] = "{\"groups\":[{\"transport\":\"t\",\"next_hop\":\"a.example\","
				  "\"ages\":[1,0,0,0,0,0,2]}],\"after\":\"0000000000007\"}";
	static const char two[] = "{\"groups\":[{\"transport\":\"t\",\"next_hop\":\"a.example\","
				  "\"ages\":[3,0,0,0,0,0,4]},{\"transport\":\"t\",\"next_hop\":"
				  "\"b.example\",\"ages\":[5,0,0,0,0,0,0]}]}";

	run(w, ARGUMENTS("queue", "summary", "--ages", "--json"),
		REPLIES(one, two, "{\"groups\":[]}"));
	json_t *all = json_loads(w->out, 0, NULL);
	json_t *list = json_object_get(all, "destinations");
	assert_int_equal(json_array_size(list), 2);
	json_t *ages = json_object_get(json_array_get(list, 0), "ages");
	assert_int_equal(json_integer_value(json_array_get(ages, 0)), 4);
	assert_int_equal(json_integer_value(json_array_get(ages, 6)), 6);
	json_decref(all);
	/* Where there is no domain, the server is named, as in the summary without ages. */
	run(w, ARGUMENTS("queue", "summary", "--ages"),
		REPLIES("{\"groups\":[{\"transport\":\"s\",\"ages\":[1,0,0,0,0,0,2]}]}",
			"{\"groups\":[{\"transport\":\"s\",\"kind\":\"server\",\"server\":\"192.0."
			"2.1:25\"}]}"));
	assert_has(w->out, "s          192.0.2.1:25  1    0");
	run(w, ARGUMENTS("queue", "summary", "transport", "--ages", "--json"), REPLIES(one, two));
	json_t *asked = request(w);
	assert_member(json_object_get(asked, "request"), "after", "0000000000007");
	json_decref(asked);
	all = json_loads(w->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(all, "transports")), 1);
	json_decref(all);
}

static void a_listing_has_all_pages_and_no_more(void **state)
{
	struct world *w = *state;
	static const char page[] = "{\"messages\":[{\"id\":\"0000000000007\",\"units\":[{\"state\":"
				   "\"ready\"}]}],\"after\":\"0000000000007\"}";

	run(w, ARGUMENTS("queue", "list"), REPLIES(page, page, "{\"messages\":[]}"));
	assert_int_equal(w->code, 0);
	assert_int_equal(w->requests, 3);
	run(w, ARGUMENTS("queue", "list", "--limit", "2"), REPLIES(page, page));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "and more");
	run(w, ARGUMENTS("queue", "list", "--json"), REPLIES(page, "{\"messages\":[]}"));
	json_t *list = json_loads(w->out, 0, NULL);
	assert_int_equal(json_array_size(json_object_get(list, "messages")), 1);
	assert_true(json_is_false(json_object_get(list, "more")));
	assert_int_equal(json_integer_value(json_object_get(list, "limit")), 100);
	json_decref(list);
	run(w, ARGUMENTS("queue", "list", "--json", "--limit", "1"), REPLIES(page));
	list = json_loads(w->out, 0, NULL);
	assert_true(json_is_true(json_object_get(list, "more")));
	assert_int_equal(json_integer_value(json_object_get(list, "limit")), 1);
	json_decref(list);
	run(w, ARGUMENTS("queue", "list"), REPLIES("{\"messages\":[]}"));
	assert_string_equal(w->out, "nothing is queued that fits\n");
}

static void options_stand_anywhere(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("transport", "pause", "--reason=works", "site-a"),
		REPLIES("{\"changes\":[\"paused\"]}"));
	json_t *asked = request(w);
	assert_member(asked, "cmd", "pause");
	assert_member(asked, "scope", "transport");
	assert_member(asked, "name", "site-a");
	assert_member(asked, "reason", "works");
	json_decref(asked);
	run(w,
		ARGUMENTS("explain", "--to", "a@b.example", "--tls", "--client", "127.0.0.1",
			"--from", "<>", "--certificate", "verified", "--listener=mx"),
		REPLIES("{\"text\":\"yes\"}"));
	assert_int_equal(w->code, 0);
	asked = request(w);
	assert_true(json_is_true(json_object_get(asked, "tls")));
	assert_member(asked, "certificate", "verified");
	assert_member(asked, "listener", "mx");
	json_decref(asked);
	/* Without a name it is what follows from all of them. */
	run(w, ARGUMENTS("relay", "show"), REPLIES("{\"text\":\"listener mx: nobody\\n\"}"));
	assert_int_equal(w->code, 0);
	assert_string_equal(w->out, "listener mx: nobody\n");
	asked = request(w);
	assert_member(asked, "cmd", "relay");
	json_decref(asked);
	run(w, ARGUMENTS("relay", "set", "mx", "policy=none"), REPLIES("{\"changes\":[]}"));
	assert_int_equal(w->code, 0);
	asked = request(w);
	assert_member(asked, "cmd", "object");
	assert_member(asked, "kind", "relay");
	assert_member(asked, "name", "mx");
	json_decref(asked);
}

#define DONE "{\"changes\":[],\"warnings\":[],\"dry_run\":false}"

/* A line of standard input, and nothing of what follows it. */
static void a_password_is_a_line_of_standard_input(void **state)
{
	struct world *w = *state;

	w->input = "correct horse \r\nnext line\n";
	run(w, ARGUMENTS("user", "add", "joe@c.example", "send-as=x@c.example", "--weak"),
		REPLIES(DONE));
	assert_int_equal(w->code, 0);
	assert_int_equal(w->requests, 1);
	json_t *asked = request(w);
	assert_member(asked, "op", "add");
	assert_member(asked, "kind", "account");
	assert_member(asked, "password", "correct horse ");
	assert_true(json_is_true(json_object_get(asked, "weak")));
	assert_int_equal(json_array_size(json_object_get(asked, "settings")), 1);
	json_decref(asked);
	run(w, ARGUMENTS("transport", "set", "t", "sasl.user=gw", "--secret"), REPLIES(DONE));
	asked = request(w);
	assert_member(asked, "secret", "correct horse ");
	json_decref(asked);
	/* Where none is wanted none is read. */
	run(w, ARGUMENTS("user", "add", "joe@c.example", "--no-password"), REPLIES(DONE));
	asked = request(w);
	assert_null(json_object_get(asked, "password"));
	json_decref(asked);
	run(w, ARGUMENTS("user", "password", "joe@c.example", "--remove"), REPLIES(DONE));
	asked = request(w);
	assert_member(asked, "op", "password");
	assert_null(json_object_get(asked, "password"));
	json_decref(asked);
	w->input = "";
	run(w, ARGUMENTS("user", "password", "joe@c.example"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "no password was given");
	w->input = "\xff\xfe\n";
	run(w, ARGUMENTS("user", "password", "joe@c.example"), NULL);
	assert_int_equal(w->code, 1);
	assert_has(w->err, "not valid UTF-8");
}

static void secrets_on_a_command_line_are_refused_and_not_repeated(void **state)
{
	static const char *const wrong[][5] = {
		{"user", "add", "joe@c.example", "hunter2"},
		{"user", "add", "joe@c.example", "password=hunter2"},
		{"user", "add", "joe@c.example", "--password=hunter2"},
		{"user", "password", "joe@c.example", "hunter2"},
		{"user", "set", "joe@c.example", "verifiers=hunter2"},
		{"account", "add", "joe@c.example", "password=hunter2"},
		{"transport", "set", "t", "sasl.secret=hunter2"},
		{"transport", "set", "t", "--secret=hunter2"},
		{"transport", "set", "t", "--secret", "hunter2"},
	};
	struct world *w = *state;

	w->input = "from standard input\n";
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		run(w, ARGUMENTS(wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3], wrong[i][4]),
			NULL);
		assert_int_equal(w->code, 2);
		assert_has(w->err, "command line");
		assert_null(strstr(w->err, "hunter2"));
	}
}

static void users_are_shown_without_what_is_kept(void **state)
{
	struct world *w = *state;

	run(w, ARGUMENTS("user", "list", "c.example"),
		REPLIES("{\"users\":[{\"name\":\"joe@c.example\",\"disabled\":true,\"send-as\":["
			"\"a@c.example\",\"@d.example\"],\"roles\":[\"read-only\"],\"password\":"
			"true,"
			"\"password_changed\":\"2026-11-21T08:00:00.000Z\"},{\"name\":\"\\u001b["
			"1m\","
			"\"password\":false,\"password_changed\":null}]}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "joe@c.example  2026-11-21T08:00:00.000Z  disabled  read-only  "
			   "a@c.example, @d.example");
	assert_has(w->out, "none");
	assert_harmless(w->out);
	json_t *asked = request(w);
	assert_member(asked, "domain", "c.example");
	json_decref(asked);
	run(w, ARGUMENTS("user", "list"), REPLIES("{\"users\":[]}"));
	assert_string_equal(w->out, "there are none\n");
}

static void an_import_says_what_became_of_each(void **state)
{
	struct world *w = *state;

	write_file(w->file, "joe:$1$abc$x\n");
	run(w, ARGUMENTS("user", "import", w->file, "--domain", "c.example", "--check"),
		REPLIES("{\"changes\":[],\"added\":2,\"replaced\":1,\"kept\":3,\"skipped\":4,"
			"\"weak\":5,\"dry_run\":true}"));
	assert_int_equal(w->code, 0);
	assert_has(w->out, "2 accounts would be added, 1 with a new password");
	assert_has(w->out, "3 there already, kept");
	assert_has(w->out, "4 that nobody can log in to");
	assert_has(w->err, "5 with a hash of an old kind");
	json_t *asked = request(w);
	assert_member(asked, "text", "joe:$1$abc$x\n");
	assert_member(asked, "format", "htpasswd");
	assert_member(asked, "file", w->file);
	assert_true(json_is_true(json_object_get(asked, "dry_run")));
	json_decref(asked);
}

static void who_can_read_a_file_with_secrets_is_told(void **state)
{
	struct world *w = *state;

	write_file(w->file,
		"transports: { t: { server: x.example, sasl: { user: a, secret: b } } }\n");
	assert_int_equal(chmod(w->file, 0644), 0);
	run(w, ARGUMENTS("apply", "-f", w->file), REPLIES(DONE));
	assert_int_equal(w->code, 0);
	assert_has(w->err, "every user of this machine can read it");
	assert_int_equal(chmod(w->file, 0640), 0);
	run(w, ARGUMENTS("apply", "-f", w->file), REPLIES(DONE));
	assert_string_equal(w->err, "");
	write_file(w->file, "domains: { secret.example: { mailboxes: true } }\n");
	assert_int_equal(chmod(w->file, 0644), 0);
	run(w, ARGUMENTS("apply", "-f", w->file), REPLIES(DONE));
	assert_string_equal(w->err, "");
}

/* ---- a terminal ------------------------------------------------------------------------- */

struct terminal {
	int fd; /* our end */
	int theirs;
	pid_t pid;
	struct termios before;
	char seen[8192];
	size_t n;
};

static void open_terminal(struct world *w, struct terminal *t, const char *const *args)
{
	const char *list[ARGS + 4] = {program, "-c", w->config};
	int n = 3;

	memset(t, 0, sizeof(*t));
	for (; *args; args++)
		list[n++] = *args;
	assert_int_equal(openpty(&t->fd, &t->theirs, NULL, NULL, NULL), 0);
	assert_int_equal(tcgetattr(t->theirs, &t->before), 0);
	assert_true(t->before.c_lflag & ECHO);
	fflush(NULL);
	t->pid = fork();
	assert_true(t->pid >= 0);
	if (t->pid)
		return;
	if (login_tty(t->theirs))
		_exit(98);
	execv(program, (char *const *)list);
	_exit(99);
}

static void see(struct terminal *t, const char *words)
{
	while (!strstr(t->seen, words)) {
		struct pollfd ready = {t->fd, POLLIN, 0};

		if (poll(&ready, 1, WAIT) != 1)
			fail_msg("\"%s\" is not in:\n%s", words, t->seen);
		ssize_t got = read(t->fd, t->seen + t->n, sizeof(t->seen) - 1 - t->n);
		if (got <= 0)
			fail_msg("\"%s\" is not in:\n%s", words, t->seen);
		t->n += (size_t)got;
	}
	t->n = 0;
	memset(t->seen, 0, sizeof(t->seen));
}

static void type(struct terminal *t, const char *text)
{
	struct termios now;

	assert_int_equal(tcgetattr(t->theirs, &now), 0);
	assert_false(now.c_lflag & ECHO);
	assert_int_equal(write(t->fd, text, strlen(text)), strlen(text));
}

/* How it ended; the terminal is as it was. */
static int end_of(struct terminal *t)
{
	struct termios now;
	int status;

	assert_int_equal(waitpid(t->pid, &status, 0), t->pid);
	assert_int_equal(tcgetattr(t->theirs, &now), 0);
	assert_int_equal(now.c_lflag, t->before.c_lflag);
	close(t->fd);
	close(t->theirs);
	return status;
}

static void a_terminal_does_not_show_what_is_typed(void **state)
{
	struct world *w = *state;
	struct terminal t;

	open_terminal(w, &t, ARGUMENTS("user", "add", "joe@c.example"));
	/* Whether it would be taken at all, before somebody types. */
	serve(w, DONE);
	json_t *asked = request(w);
	assert_true(json_is_true(json_object_get(asked, "dry_run")));
	assert_null(json_object_get(asked, "password"));
	json_decref(asked);
	see(&t, "Password of joe@c.example: ");
	type(&t, "correct horse\n");
	see(&t, "Again: ");
	type(&t, "correct horse\n");
	serve(w, "{\"changes\":[\"account joe@c.example: added\"],\"warnings\":[]}");
	asked = request(w);
	assert_member(asked, "password", "correct horse");
	json_decref(asked);
	see(&t, "joe@c.example: added");
	assert_int_equal(end_of(&t), 0);
}

static void two_that_differ_change_nothing(void **state)
{
	struct world *w = *state;
	struct terminal t;

	open_terminal(w, &t, ARGUMENTS("user", "password", "joe@c.example"));
	serve(w, DONE);
	see(&t, "Password of");
	type(&t, "correct horse\n");
	see(&t, "Again: ");
	type(&t, "correct house\n");
	see(&t, "nothing was changed");
	assert_int_equal(WEXITSTATUS(end_of(&t)), 1);
}

static void control_c_puts_the_terminal_right(void **state)
{
	struct world *w = *state;

	for (int again = 0; again < 2; again++) {
		struct terminal t;

		open_terminal(w, &t, ARGUMENTS("user", "password", "joe@c.example"));
		serve(w, DONE);
		see(&t, "Password of");
		if (again) {
			type(&t, "correct horse\n");
			see(&t, "Again: ");
		}
		type(&t, "half\x03");
		int status = end_of(&t);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGINT);
	}
}

static void the_end_of_input_is_no_password(void **state)
{
	struct world *w = *state;
	struct terminal t;

	open_terminal(w, &t, ARGUMENTS("user", "password", "joe@c.example"));
	serve(w, DONE);
	see(&t, "Password of");
	type(&t, "\x04");
	see(&t, "no password was given");
	assert_int_equal(WEXITSTATUS(end_of(&t)), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_password_is_a_line_of_standard_input),
		TEST(secrets_on_a_command_line_are_refused_and_not_repeated),
		TEST(users_are_shown_without_what_is_kept),
		TEST(an_import_says_what_became_of_each),
		TEST(who_can_read_a_file_with_secrets_is_told),
		TEST(a_terminal_does_not_show_what_is_typed),
		TEST(two_that_differ_change_nothing),
		TEST(control_c_puts_the_terminal_right),
		TEST(the_end_of_input_is_no_password),
		TEST(wrong_usage_is_2_and_asks_nobody),
		TEST(help_is_on_standard_output),
		TEST(without_a_server_the_reason_and_what_to_do),
		TEST(answers_that_make_no_sense_are_refused),
		TEST(a_refusal_is_1_with_its_reason),
		TEST(a_refusal_in_json_is_an_object),
		TEST(json_has_one_shape),
		TEST(several_messages_are_shown_as_far_as_there_are),
		TEST(titles_are_upper_case_and_none_is_missing),
		TEST(a_list_of_transports_says_what_is_down),
		TEST(a_change_that_has_to_wait_goes_on),
		TEST(json_is_what_the_server_said),
		TEST(control_bytes_never_reach_the_terminal),
		TEST(what_is_not_seen_is_shown),
		TEST(figures_do_not_overflow),
		TEST(apply_sends_the_file),
		TEST(removing_may_be_forced_and_warns),
		TEST(check_asks_the_server_or_reads_the_file),
		TEST(a_filter_goes_through_the_whole_queue),
		TEST(an_id_is_told_from_a_filter),
		TEST(a_blank_filter_asks_nothing),
		TEST(the_answer_counts_recipients),
		TEST(several_ids_at_once),
		TEST(ids_on_standard_input),
		TEST(a_message_is_shown_as_it_is),
		TEST(a_listing_is_sorted),
		TEST(ages_are_added_up),
		TEST(a_listing_has_all_pages_and_no_more),
		TEST(options_stand_anywhere),
		TEST(what_cannot_be_reached_is_told_with_advice),
		TEST(check_fails_where_posternd_would_not_start),
		TEST(check_without_a_server_looks_at_authorities),
		TEST(lists_are_for_people),
		TEST(tls_show_knows_whom_client_ca_believes),
		TEST(who_may_not_ask_is_told),
		TEST(a_broken_start_file_is_gone_on_with),
		TEST(all_mistakes_have_the_prefix),
		TEST(nothing_is_said_as_well),
		TEST(a_damaged_trace_is_told),
		TEST(fields_of_an_event_cannot_be_mistaken),
		TEST(status_reads_well),
		TEST(workers_are_shown_in_order),
		TEST(a_server_that_is_just_starting_is_waited_for),
#ifdef LISTED
		TEST(what_memory_does_not_hold_is_refused),
#endif
	};

	if (argc < 2)
		return 1;
	program = argv[1];
	if (argc > 2)
		cmocka_set_test_filter(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
