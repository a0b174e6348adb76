/*
 * Secrets are asked for on a terminal, which does not show them, or read as a line from standard
 * input: never from the command line, which every user of the machine and the shell's history see.
 */
#include "admin/wipe.h"
#include "base/check.h"
#include "ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#define SECRET_LINE 4096 /* bytes, with its end */
#define CONTROL_C   130	 /* a signal that ends us and was waited for: its number and 128 */

void ctl_keep_secrets(void)
{
	const struct rlimit none = {0, 0};

	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	wipe_json();
}

/* ---- a terminal ----------------------------------------------------------------------------- */

/* While it shows nothing, the signals that would end or stop us come by a descriptor, so that it is
 * put right first. */
struct terminal {
	struct termios before;
	sigset_t signals, mask;
	int fd; /* of signals */
};

static bool hide(struct terminal *t)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
	struct termios hidden;

	sigemptyset(&t->signals);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		sigaddset(&t->signals, numbers[i]);
	if (tcgetattr(STDIN_FILENO, &t->before))
		return false;
	t->fd = signalfd(-1, &t->signals, SFD_CLOEXEC);
	if (t->fd < 0)
		return false;
	sigprocmask(SIG_BLOCK, &t->signals, &t->mask);
	hidden = t->before;
	hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
	hidden.c_lflag |= ICANON | ISIG;
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0)
		return true;
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
	close(t->fd);
	return false;
}

static void show(struct terminal *t)
{
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &t->before);
	fputc('\n', stderr);
	close(t->fd);
	sigprocmask(SIG_SETMASK, &t->mask, NULL);
}

/* A line, with its end; 0: there is no more, or *number is a signal that came. */
static size_t read_typed(const struct terminal *t, char *to, size_t room, int *number)
{
	struct pollfd ready[] = {{STDIN_FILENO, POLLIN, 0}, {t->fd, POLLIN, 0}};
	struct signalfd_siginfo info;

	*number = 0;
	if (poll(ready, ARRAY_SIZE(ready), -1) < 0)
		return 0;
	if (ready[1].revents) {
		if (read(t->fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
			*number = (int)info.ssi_signo;
		return 0;
	}
	ssize_t n = read(STDIN_FILENO, to, room);
	return n > 0 ? (size_t)n : 0;
}

/* One that stops us is gone on after; the others end us here. */
static size_t ask(const char *prompt, char *to, size_t room)
{
	struct terminal t;
	size_t n;
	int number;

	do {
		if (!hide(&t))
			return 0;
		fputs(prompt, stderr);
		fflush(stderr);
		n = read_typed(&t, to, room, &number);
		show(&t);
		if (number)
			raise(number);
		if (number && number != SIGTSTP)
			_exit(CONTROL_C);
	} while (number);
	return n;
}

/* ---- a line --------------------------------------------------------------------------------- */

/* Not a byte more than the line. */
static size_t read_piped(char *to, size_t room)
{
	size_t n = 0;

	while (n < room) {
		ssize_t got = read(STDIN_FILENO, to + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (to[n++] == '\n')
			break;
	}
	return n;
}

static int take(const struct ctl *ctl, const char *what, char *line, size_t n, struct buf *out)
{
	bool whole = n < SECRET_LINE || (n && line[n - 1] == '\n');

	if (n && line[n - 1] == '\n')
		n--;
	if (n && line[n - 1] == '\r')
		n--;
	if (!n)
		return ctl_refuse(ctl, "no %s was given", what);
	if (!whole)
		return ctl_refuse(ctl, "the %s is too long", what);
	buf_add(out, line, n);
	return EXIT_DONE;
}

static int ask_twice(const struct ctl *ctl, const char *what, const char *whose, struct buf *out)
{
	char line[SECRET_LINE] = "", prompt[512];
	int code;

	snprintf(prompt, sizeof(prompt), "%c%s of %.300s: ", *what - 'a' + 'A', what + 1, whose);
	code = take(ctl, what, line, ask(prompt, line, sizeof(line)), out);
	if (!code) {
		size_t n = ask("Again: ", line, sizeof(line));

		if (n != out->n + 1 || memcmp(line, out->p, out->n) != 0)
			code = ctl_refuse(ctl, "that was not the same; nothing was changed");
	}
	explicit_bzero(line, sizeof(line));
	return code;
}

int ctl_read_secret(const struct ctl *ctl, const char *what, const char *whose, struct buf *out)
{
	char line[SECRET_LINE] = "";
	int code;

	ctl_keep_secrets();
	buf_init(out, SECRET_LINE);
	if (!buf_reserve(out, SECRET_LINE))
		ctl_no_memory(ctl);
	if (isatty(STDIN_FILENO))
		code = ask_twice(ctl, what, whose, out);
	else
		code = take(ctl, what, line, read_piped(line, sizeof(line)), out);
	explicit_bzero(line, sizeof(line));
	if (code)
		wipe_buf(out);
	return code;
}

int ctl_add_secret(const struct ctl *ctl, json_t *request, const char *key, const char *whose)
{
	struct buf secret;
	int code = ctl_read_secret(ctl, key, whose, &secret);

	if (code)
		return code;
	if (json_object_set_new(request, key, json_stringn(secret.p, secret.n)))
		code = ctl_refuse(ctl, "the %s is not valid UTF-8", key);
	wipe_buf(&secret);
	return code;
}

/* ---- not on the command line ---------------------------------------------------------------- */

static bool is_secret(const char *argument)
{
	static const char *const names[] = {"password", "passwd", "pass", "secret", "verifiers",
		"sasl.secret", "--password", "--secret"};
	size_t n = strcspn(argument, "=");

	for (size_t i = 0; argument[n] && i < ARRAY_SIZE(names); i++)
		if (strlen(names[i]) == n && strncmp(argument, names[i], n) == 0)
			return true;
	return false;
}

bool ctl_only_fields(const struct ctl *ctl, int from)
{
	for (int i = from; i < ctl->count; i++) {
		if (strchr(ctl->args[i], '='))
			continue;
		ctl_usage(ctl,
			"what follows the name is field=value: a password or secret is asked for, "
			"or read from standard input, as other users of this machine and the "
			"shell's history see what is on a command line");
		return false;
	}
	return true;
}

bool ctl_no_secrets(const struct ctl *ctl)
{
	for (int i = 0; i < ctl->count; i++) {
		if (!is_secret(ctl->args[i]))
			continue;
		ctl_usage(ctl,
			"%.*s: a secret is never taken from the command line, which other users "
			"of this machine and the shell's history see; posternctl user add and "
			"user password, and transport set with --secret, ask for it, or read it "
			"from standard input",
			(int)strcspn(ctl->args[i], "="), ctl->args[i]);
		return false;
	}
	return true;
}
