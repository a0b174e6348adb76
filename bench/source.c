/*
 * The clients of the benchmark: so many sessions at a time, which send numbered messages, in clear
 * or under TLS, a command at a time as most clients do. Or they send none: then it is handshakes
 * that are measured. One process, one loop. Ends with 1, and says why, as soon as a server says
 * anything but what it should.
 *
 * usage: bench_source PORT none|starttls|implicit resume|afresh SESSIONS COUNT WHAT
 *   WHAT   mail FIRST SIZE        COUNT messages, numbered from FIRST, each over its own connection
 *          kept FIRST SIZE        … over SESSIONS connections
 *          greet                  COUNT connections, up to the server's greeting
 *          quit                   … with QUIT and its reply
 * SIZE is that of a body. Counters: counts.h.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS	 256
#define REPLY	 4096
#define PATIENCE 60000 /* ms without anything at all */
#define LINE	 80    /* of a body, with its end */
#define HEAD	 256
#define NUMBER	 "X-Bench-Number: "
#define DIGITS	 12

enum step { SHAKE, GREETING, EHLO, STARTTLS, MAIL, RCPT, DATA, BODY, QUIT };

struct session {
	struct wire wire;
	enum step step;	 /* whose reply is awaited */
	bool secure;	 /* its handshake is done */
	unsigned events; /* that epoll watches for; 0: not at all */
	const char *out; /* still to be sent */
	size_t out_n, in_n;
	char in[REPLY];
	char *message;
};

static struct {
	uint16_t port;
	int poller;
	enum wire_tls tls;
	SSL_CTX *context;
	struct counts *counts;
	bool mail, keep, quit;
	uint64_t begun, ended, count, first;
	char *message; /* what each session copies */
	size_t message_n, number_at;
	SSL_SESSION **kept;
	size_t kept_count, used_count, kept_most;
} all;

static void die(const char *what, const char *why)
{
	fprintf(stderr, "bench_source: %s: %s\n", what, why);
	exit(1);
}

/* ---- sessions of TLS ------------------------------------------------------------------------ */

/* The newest ones, each used until a newer one takes its place: not every server gives a new one to
 * who resumes. */
static void keep(SSL_SESSION *session)
{
	SSL_SESSION **at = &all.kept[all.kept_count++ % all.kept_most];

	SSL_SESSION_free(*at);
	*at = session;
}

static void secure(struct session *s)
{
	size_t n = all.kept_count < all.kept_most ? all.kept_count : all.kept_most;
	/* A copy: OpenSSL spoils one of TLS 1.3 once it is used. */
	SSL_SESSION *session = n ? SSL_SESSION_dup(all.kept[all.used_count++ % n]) : NULL;

	if (!wire_secure(&s->wire, all.context, false, session))
		die("TLS", "no memory");
	SSL_SESSION_free(session);
	s->step = SHAKE;
}

/* ---- what is said --------------------------------------------------------------------------- */

static void message_new(size_t size)
{
	static const char head[] =
		"From: <a@x.test>\r\nTo: <b@y.test>\r\nSubject: bench\r\n" NUMBER;

	all.message = malloc(HEAD + size + LINE);
	if (!all.message)
		abort();
	memcpy(all.message, head, sizeof(head) - 1);
	all.number_at = sizeof(head) - 1;
	size_t n = all.number_at + DIGITS;
	memcpy(all.message + n, "\r\n\r\n", 4);
	n += 4;
	while (size) {
		size_t line = size < LINE + 2 ? size : LINE; /* no line of one byte at the end */
		memset(all.message + n, 'X', line);
		if (line >= 2)
			memcpy(all.message + n + line - 2, "\r\n", 2);
		n += line;
		size -= line;
	}
	if (all.message[n - 1] != '\n') {
		memcpy(all.message + n, "\r\n", 2);
		n += 2;
	}
	memcpy(all.message + n, ".\r\n", 3);
	all.message_n = n + 3;
}

static void say(struct session *s, enum step step, const char *line)
{
	s->step = step;
	s->out = line;
	s->out_n = strlen(line);
}

static void say_message(struct session *s)
{
	char digits[DIGITS + 1];

	snprintf(digits, sizeof(digits), "%0*llu", DIGITS,
		(unsigned long long)(all.first + all.counts->messages));
	all.counts->messages++;
	memcpy(s->message + all.number_at, digits, DIGITS);
	s->step = BODY;
	s->out = s->message;
	s->out_n = all.message_n;
}

static bool more_mail(void)
{
	return all.mail && all.begun < all.count;
}

static void next_mail(struct session *s)
{
	all.begun++;
	say(s, MAIL, "MAIL FROM:<a@x.test>\r\n");
}

/* ---- a session ------------------------------------------------------------------------------ */

/* False: the connection is over. */
static bool said_enough(struct session *s)
{
	if (all.mail || all.quit)
		say(s, QUIT, "QUIT\r\n");
	return all.mail || all.quit;
}

/* False: the connection is over, as it should be. */
static bool replied(struct session *s)
{
	bool fresh_tls = all.tls == WIRE_STARTTLS && !s->secure;

	switch (s->step) {
	case GREETING:
		if (all.mail || fresh_tls)
			say(s, EHLO, "EHLO client.bench.test\r\n");
		else
			return said_enough(s);
		break;
	case EHLO:
		if (fresh_tls)
			say(s, STARTTLS, "STARTTLS\r\n");
		else if (more_mail())
			next_mail(s);
		else
			return said_enough(s);
		break;
	case STARTTLS: secure(s); break;
	case MAIL: say(s, RCPT, "RCPT TO:<b@y.test>\r\n"); break;
	case RCPT: say(s, DATA, "DATA\r\n"); break;
	case DATA: say_message(s); break;
	case BODY:
		all.ended++;
		if (all.keep && more_mail())
			next_mail(s);
		else
			return said_enough(s);
		break;
	default: return false;
	}
	return true;
}

static bool send_out(struct session *s)
{
	while (s->out_n) {
		ssize_t n = wire_write(&s->wire, s->out, s->out_n);
		if (n == WIRE_AGAIN)
			return false;
		if (n == WIRE_ENDED)
			die("the connection broke while sending", strerror(errno));
		s->out += n;
		s->out_n -= (size_t)n;
	}
	return true;
}

/* Is a whole reply there? Ends the program where it is not the one that is due. */
static bool whole_reply(struct session *s)
{
	static const char due[] = {[GREETING] = '2',
		[EHLO] = '2',
		[STARTTLS] = '2',
		[MAIL] = '2',
		[RCPT] = '2',
		[DATA] = '3',
		[BODY] = '2',
		[QUIT] = '2'};
	size_t at = 0;

	while (at < s->in_n) {
		const char *line = s->in + at;
		const char *end = memchr(line, '\n', s->in_n - at);
		if (!end)
			return false;
		s->in[end - s->in] = 0;
		if (end - line < 4 || line[0] != due[s->step])
			die("the server says", line);
		at = (size_t)(end - s->in) + 1;
		if (line[3] != ' ') {
			s->in[at - 1] = '\n';
			continue;
		}
		if (at != s->in_n)
			die("the server says more than it should", s->in + at);
		s->in_n = 0;
		return true;
	}
	return false;
}

/* After a handshake on demand a client says EHLO again; else it is greeted now. */
static void shaken(struct session *s)
{
	s->secure = true;
	if (all.tls == WIRE_IMPLICIT)
		s->step = GREETING;
	else
		say(s, EHLO, "EHLO client.bench.test\r\n");
}

/* As far as it goes without waiting. False: the connection is over. */
static bool go_on(struct session *s)
{
	for (;;) {
		if (s->step == SHAKE) {
			int done = wire_handshake(&s->wire, all.counts);
			if (done == WIRE_AGAIN)
				return true;
			if (done == WIRE_ENDED)
				die("TLS", "the handshake failed");
			shaken(s);
			continue;
		}
		if (!send_out(s))
			return true;
		ssize_t n = wire_read(&s->wire, s->in + s->in_n, REPLY - 1 - s->in_n);
		if (n == WIRE_AGAIN)
			return true;
		if (n == WIRE_ENDED)
			die("the server closed the connection",
				s->step == GREETING ? "no greeting" : "in the middle");
		s->in_n += (size_t)n;
		s->in[s->in_n] = 0;
		if (!whole_reply(s)) {
			if (s->in_n == REPLY - 1)
				die("the server's reply has no end", "");
			if (!wire_has_more(&s->wire))
				return true;
			continue;
		}
		if (!replied(s))
			return false;
		/* The reply to what is sent now cannot be there yet. */
		if (s->step != SHAKE && send_out(s))
			return true;
	}
}

static void watch(struct session *s)
{
	unsigned wanted = wire_events(&s->wire);
	struct epoll_event event = {wanted, {.ptr = s}};

	if (wanted == s->events)
		return;
	if (epoll_ctl(all.poller, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->wire.fd, &event) <
		0)
		die("epoll_ctl", strerror(errno));
	s->events = wanted;
}

/* The next connection, if there is one to be made. */
static bool begin(struct session *s)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(all.port)};
	int on = 1;

	if (all.counts->connections >= all.count || (all.mail && !more_mail()))
		return false;
	all.counts->connections++;
	s->wire =
		(struct wire){.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
	if (s->wire.fd < 0 ||
		setsockopt(s->wire.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		(connect(s->wire.fd, (const struct sockaddr *)&to, sizeof(to)) < 0 &&
			errno != EINPROGRESS))
		die("connect", strerror(errno));
	s->events = 0;
	s->in_n = s->out_n = 0;
	s->secure = false;
	s->step = GREETING;
	if (all.tls == WIRE_IMPLICIT) {
		secure(s);
		/* The hello waits for the connection. */
		s->wire.wants_room = true;
	}
	watch(s);
	return true;
}

static void serve(struct session *s, size_t *open)
{
	if (go_on(s)) {
		watch(s);
		return;
	}
	wire_close(&s->wire, false);
	if (!all.mail)
		all.ended++;
	if (!begin(s))
		(*open)--;
}

static void run(struct session *sessions, size_t count)
{
	struct epoll_event events[EVENTS];
	size_t open = 0;

	all.counts->begun_ns = counts_now();
	for (size_t i = 0; i < count; i++)
		open += begin(&sessions[i]);
	while (open) {
		int n = epoll_wait(all.poller, events, EVENTS, PATIENCE);
		if (n == 0)
			die("the server", "says nothing any more");
		for (int i = 0; i < n; i++)
			serve(events[i].data.ptr, &open);
	}
	all.counts->ended_ns = counts_now();
	if (all.ended != all.count)
		die("internal", "not all was done");
}

/* ---- the start ------------------------------------------------------------------------------ */

static int usage(void)
{
	fprintf(stderr, "usage: bench_source PORT none|starttls|implicit resume|afresh SESSIONS "
			"COUNT (mail|kept FIRST SIZE | greet | quit)\n");
	return 2;
}

int main(int argc, char **argv)
{
	if (argc < 7 || !wire_port_named(argv[1], &all.port) || !wire_tls_named(argv[2], &all.tls))
		return usage();
	size_t count = strtoul(argv[4], NULL, 10);
	all.count = strtoull(argv[5], NULL, 10);
	all.keep = strcmp(argv[6], "kept") == 0;
	all.mail = all.keep || strcmp(argv[6], "mail") == 0;
	all.quit = strcmp(argv[6], "quit") == 0;
	if ((all.mail && argc != 9) || count == 0)
		return usage();
	signal(SIGPIPE, SIG_IGN);
	all.counts = counts_map();
	all.poller = epoll_create1(EPOLL_CLOEXEC);
	all.kept_most = count;
	all.kept = calloc(all.kept_most, sizeof(*all.kept));
	struct session *sessions = calloc(count, sizeof(*sessions));
	if (!sessions || !all.kept)
		abort();
	if (all.mail) {
		all.first = strtoull(argv[7], NULL, 10);
		message_new(strtoul(argv[8], NULL, 10));
	}
	for (size_t i = 0; i < count && all.mail; i++) {
		sessions[i].message = malloc(all.message_n);
		if (!sessions[i].message)
			abort();
		memcpy(sessions[i].message, all.message, all.message_n);
	}
	if (all.tls != WIRE_CLEAR)
		all.context = wire_client(strcmp(argv[3], "resume") == 0, keep);
	run(sessions, count);
	return 0;
}
