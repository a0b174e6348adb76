/*
 * The next hop of the benchmark: takes every message, in clear or under TLS, and counts it by the
 * number that source.c gave it, so that none can be missing and none come twice unseen. Without
 * mail it is a server that does nothing but handshakes, which is the limit of those. One process,
 * one loop. usage: bench_sink PORT none|starttls|implicit resume|afresh CERTIFICATE KEY
 * Counters: counts.h.
 */
#include "wire.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG	     4096
#define EVENTS	     256
#define IN_BYTES     65536
#define OUT_BYTES    4096
#define OUT_LINE     128 /* the longest reply */
#define NUMBERS_MOST (1u << 26)
#define END	     "\r\n.\r\n"
#define NUMBER	     "X-Bench-Number: "

enum state { SHAKING, COMMANDS, HEADER, BODY, ENDING };

struct client {
	struct wire wire;
	enum state state;
	unsigned events; /* that epoll watches for */
	uint64_t number; /* of the message; 0: not seen yet */
	size_t in_n, out_n;
	char in[IN_BYTES], out[OUT_BYTES];
};

static int poller;
static SSL_CTX *context;
static enum wire_tls tls;
static struct counts *counts;
static unsigned char seen[NUMBERS_MOST / 8];

static void say(struct client *c, const char *line)
{
	size_t n = strlen(line);

	memcpy(c->out + c->out_n, line, n);
	c->out_n += n;
}

/* False: the connection is at its end. */
static bool flush(struct client *c)
{
	while (c->out_n) {
		ssize_t n = wire_write(&c->wire, c->out, c->out_n);
		if (n <= 0)
			return n == WIRE_AGAIN;
		c->out_n -= (size_t)n;
		memmove(c->out, c->out + n, c->out_n);
	}
	return c->state != ENDING;
}

/* ---- what comes ----------------------------------------------------------------------------- */

static void taken(struct client *c)
{
	unsigned char bit = (unsigned char)(1u << (c->number & 7));

	if (c->number == 0 || c->number >= NUMBERS_MOST) {
		counts->strange++;
	} else if (seen[c->number >> 3] & bit) {
		counts->twice++;
	} else {
		seen[c->number >> 3] |= bit;
		counts->messages++;
	}
	say(c, "250 taken\r\n");
	c->state = COMMANDS;
}

static bool greet(struct client *c)
{
	c->state = COMMANDS;
	say(c, "220 sink.bench.test ESMTP\r\n");
	return true;
}

static bool start_tls(struct client *c)
{
	say(c, "220 go on\r\n");
	/* The reply is the first thing on the connection that waits, so it goes out whole. */
	if (!flush(c) || c->out_n || !wire_secure(&c->wire, context, true, NULL))
		return false;
	c->state = SHAKING;
	return true;
}

static bool command(struct client *c, const char *line, size_t n)
{
	if (n >= 4 && strncasecmp(line, "EHLO", 4) == 0) {
		say(c, "250-sink.bench.test\r\n250-PIPELINING\r\n");
		if (tls == WIRE_STARTTLS && !c->wire.ssl)
			say(c, "250-STARTTLS\r\n");
		say(c, "250 8BITMIME\r\n");
	} else if (n >= 4 && strncasecmp(line, "DATA", 4) == 0) {
		say(c, "354 go on\r\n");
		c->number = 0;
		c->state = HEADER;
	} else if (n >= 8 && strncasecmp(line, "STARTTLS", 8) == 0 && tls == WIRE_STARTTLS &&
		   !c->wire.ssl) {
		return start_tls(c);
	} else if (n >= 4 && strncasecmp(line, "MAIL", 4) == 0 && tls != WIRE_CLEAR &&
		   !c->wire.ssl) {
		say(c, "530 STARTTLS first\r\n");
	} else if (n >= 4 && strncasecmp(line, "QUIT", 4) == 0) {
		say(c, "221 bye\r\n");
		c->state = ENDING;
	} else {
		say(c, "250 ok\r\n");
	}
	return true;
}

static void header_line(struct client *c, const char *line, size_t n)
{
	if (n > sizeof(NUMBER) - 1 && memcmp(line, NUMBER, sizeof(NUMBER) - 1) == 0)
		c->number = strtoull(line + sizeof(NUMBER) - 1, NULL, 10);
	else if (n == 3 && line[0] == '.')
		taken(c);
}

/* Lines of commands or of a header, from `at` on; how far it got. */
static bool lines(struct client *c, size_t *at)
{
	while (*at < c->in_n && (c->state == COMMANDS || c->state == HEADER) &&
		c->out_n + OUT_LINE <= OUT_BYTES) {
		const char *line = c->in + *at;
		const char *end = memchr(line, '\n', c->in_n - *at);
		if (!end)
			return c->in_n - *at < IN_BYTES;
		size_t n = (size_t)(end - line) + 1;
		if (c->state == HEADER && n == 2) {
			c->state = BODY; /* the empty line stays: END may begin with it */
			return true;
		}
		*at += n;
		if (c->state == HEADER)
			header_line(c, line, n);
		else if (!command(c, line, n))
			return false;
	}
	return true;
}

static void body(struct client *c, size_t *at)
{
	size_t n = c->in_n - *at;
	const char *end = memmem(c->in + *at, n, END, sizeof(END) - 1);

	if (end) {
		*at = (size_t)(end - c->in) + sizeof(END) - 1;
		taken(c);
	} else if (n >= sizeof(END) - 1) {
		*at = c->in_n - (sizeof(END) - 2);
	}
}

/* False: the connection is at its end. */
static bool digest(struct client *c)
{
	size_t at = 0, before;
	enum state state;

	do {
		before = at;
		state = c->state;
		if (state == BODY)
			body(c, &at);
		else if (!lines(c, &at))
			return false;
		if (!flush(c))
			return false;
	} while (c->out_n == 0 && (at != before || c->state != state) && c->state != SHAKING);
	c->in_n -= at;
	memmove(c->in, c->in + at, c->in_n);
	/* What came in clear behind STARTTLS is nobody's. */
	return c->state != SHAKING || c->in_n == 0;
}

/* ---- connections ---------------------------------------------------------------------------- */

static bool go_on(struct client *c)
{
	bool first = true;

	if (c->out_n) {
		if (!flush(c))
			return false;
		if (c->out_n)
			return true;
		if (!digest(c))
			return false;
	}
	while (c->out_n == 0 && (first || wire_has_more(&c->wire))) {
		first = false;
		if (c->state == SHAKING) {
			int done = wire_handshake(&c->wire, counts);
			if (done != 1)
				return done == WIRE_AGAIN;
			if (tls == WIRE_IMPLICIT && !(greet(c) && flush(c)))
				return false;
			c->state = COMMANDS;
			continue;
		}
		ssize_t n = wire_read(&c->wire, c->in + c->in_n, IN_BYTES - c->in_n);
		if (n <= 0)
			return n == WIRE_AGAIN;
		c->in_n += (size_t)n;
		if (!digest(c))
			return false;
	}
	return true;
}

static void serve(struct client *c)
{
	if (!go_on(c)) {
		wire_close(&c->wire, true);
		free(c);
		return;
	}
	unsigned events = wire_events(&c->wire);
	if (events == c->events)
		return;
	struct epoll_event event = {events, {.ptr = c}};
	epoll_ctl(poller, EPOLL_CTL_MOD, c->wire.fd, &event);
	c->events = events;
}

static void accept_all(int listener)
{
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
		/* Its buffers are not touched before they are used. */
		struct client *c = malloc(sizeof(*c));
		if (!c)
			abort();
		c->wire = (struct wire){.fd = fd};
		c->in_n = c->out_n = 0;
		c->events = EPOLLIN;
		c->state = tls == WIRE_IMPLICIT ? SHAKING : COMMANDS;
		counts->connections++;
		bool fine = tls == WIRE_IMPLICIT ? wire_secure(&c->wire, context, true, NULL)
						 : greet(c) && flush(c);
		struct epoll_event event = {EPOLLIN, {.ptr = c}};
		if (!fine || epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0) {
			wire_close(&c->wire, false);
			free(c);
		}
	}
}

static int listen_on(uint16_t port)
{
	const struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	/* Connections inherit what is set here. */
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
		bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, BACKLOG) < 0) {
		perror("bench_sink: listen");
		exit(1);
	}
	return fd;
}

int main(int argc, char **argv)
{
	uint16_t port;

	if (argc != 6 || !wire_port_named(argv[1], &port) || !wire_tls_named(argv[2], &tls)) {
		fprintf(stderr, "usage: bench_sink PORT none|starttls|implicit resume|afresh "
				"CERTIFICATE KEY\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	counts = counts_map();
	if (tls != WIRE_CLEAR)
		context = wire_server(argv[4], argv[5], strcmp(argv[3], "resume") == 0);
	int listener = listen_on(port);
	struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[EVENTS];
	poller = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int n = epoll_wait(poller, events, EVENTS, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve(events[i].data.ptr);
			else
				accept_all(listener);
		}
	}
}
