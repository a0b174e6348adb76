// The physical limit: the least a durable SMTP relay can do per message. Not a product: no parsing
// beyond the verb, no errors, no limits. One epoll thread: SMTP in, batch append, SMTP out
// (persistent, pipelined, sendfile). One thread: fdatasync (group commit). usage: limit LISTEN_PORT
// SINK_PORT SPOOLFILE [outbound connections, default 20]
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN, OUT, LISTEN, COMMIT };
struct conn {
	int kind, fd, data, state, tail; // tail: how much of CRLF.CRLF has been seen
	char buf[65536];
	size_t len;
	off_t start, end; // message being received / sent, in the spool
	struct conn *next;
	struct msg *m;
	int want; // replies still expected (OUT)
};
struct msg {
	off_t off;
	size_t len;
	struct conn *from;
	struct msg *next;
};

static int ep, spool, efd, outn = 20;
static char *wbuf;
static size_t wlen, wcap;
static off_t woff;			      // batch not yet written
static struct msg *gather, **gtail = &gather; // accepted, not yet on disk
static struct msg *syncing, *ready, **rtail = &ready;
static struct conn *idle;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static int job;

static void *syncer(void *a)
{
	(void)a;
	for (;;) {
		pthread_mutex_lock(&mu);
		while (!job)
			pthread_cond_wait(&cv, &mu);
		job = 0;
		pthread_mutex_unlock(&mu);
		if (fdatasync(spool))
			abort();
		eventfd_write(efd, 1);
	}
}
static void commit_start(void)
{
	if (syncing || !gather)
		return;
	for (size_t o = 0; o < wlen;) {
		ssize_t n = pwrite(spool, wbuf + o, wlen - o, woff);
		if (n < 0)
			abort();
		o += n;
		woff += n;
	}
	wlen = 0;
	syncing = gather;
	gather = NULL;
	gtail = &gather;
	pthread_mutex_lock(&mu);
	job = 1;
	pthread_cond_signal(&cv);
	pthread_mutex_unlock(&mu);
}
static void say(int fd, const char *s)
{
	if (send(fd, s, strlen(s), MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
		perror("send");
}
static void push(struct conn *c)
{ // give an idle outbound connection the next message
	struct msg *m = ready;
	if (!(ready = m->next))
		rtail = &ready;
	c->m = m;
	c->start = m->off;
	c->end = m->off + m->len;
	c->want = 3;
	c->state = 1;
	static const char cmd[] = "MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n";
	send(c->fd, cmd, sizeof cmd - 1, MSG_NOSIGNAL);
}
static void body(struct conn *c)
{
	while (c->start < c->end) {
		ssize_t n = sendfile(c->fd, spool, &c->start, c->end - c->start);
		if (n < 0) {
			if (errno == EAGAIN) {
				struct epoll_event e = {EPOLLIN | EPOLLOUT, {.ptr = c}};
				epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
				return;
			}
			abort();
		}
	}
	struct epoll_event e = {EPOLLIN, {.ptr = c}};
	if (c->state == 3)
		epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
	c->state = 2;
	c->want = 1;
}
static void out_event(struct conn *c, unsigned ev)
{
	if (c->state == 3 && (ev & EPOLLOUT)) {
		body(c);
	}
	if (!(ev & EPOLLIN))
		return;
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof c->buf - c->len, 0);
	if (n <= 0) {
		if (n == 0) {
			fprintf(stderr, "sink closed\n");
			exit(1);
		}
		return;
	}
	c->len += n;
	char *p = c->buf, *e = c->buf + c->len, *nl;
	while ((nl = memchr(p, '\n', e - p))) {
		int final = p[3] == ' ';
		if (final)
			c->want--;
		p = nl + 1;
	}
	c->len = e - p;
	memmove(c->buf, p, c->len);
	if (c->want > 0)
		return;
	if (c->state == 1) {
		c->state = 3;
		body(c);
		return;
	}
	if (c->state == 2 || c->state == 0) {
		if (c->m) {
			free(c->m);
			c->m = NULL;
		}
		c->state = 0;
		if (ready)
			push(c);
		else {
			c->next = idle;
			idle = c;
		}
	} else if (c->state == -1) {
		c->state = 0;
		c->want = 1;
		say(c->fd, "EHLO x\r\n");
	}
}
static void in_event(struct conn *c)
{
	ssize_t n = recv(c->fd, c->buf + c->len, sizeof c->buf - c->len, 0);
	if (n <= 0) {
		if (n < 0 && errno == EAGAIN)
			return;
		close(c->fd);
		free(c);
		return;
	}
	c->len += n;
	char *p = c->buf, *e = p + c->len;
	while (p < e) {
		if (c->data) {
			// sessions interleave, so a body is gathered in memory and appended whole
			char *s = p;
			static const char eod[] = "\r\n.\r\n";
			while (p < e && c->tail < 5) {
				if (c->tail == 0) {
					char *q = memchr(p, '\r', e - p);
					if (!q) {
						p = e;
						break;
					}
					p = q + 1;
					c->tail = 1;
					continue;
				}
				if (*p == eod[c->tail]) {
					c->tail++;
					p++;
				} else {
					c->tail = *p == '\r' ? 1 : 0;
					p++;
				}
			}
			size_t k = p - s, had = c->m ? c->m->len : 0;
			struct msg *m = c->m = realloc(c->m, sizeof *m + had + k);
			m->len = had;
			memcpy((char *)(m + 1) + m->len, s, k);
			m->len += k;
			if (c->tail == 5) {
				if (wlen + m->len > wcap) {
					wcap = (wlen + m->len) * 2;
					wbuf = realloc(wbuf, wcap);
				}
				m->off = woff + wlen;
				memcpy(wbuf + wlen, m + 1, m->len);
				wlen += m->len;
				m->from = c;
				m->next = NULL;
				*gtail = m;
				gtail = &m->next;
				c->m = NULL;
				c->data = c->tail = 0;
			}
			continue;
		}
		char *nl = memchr(p, '\n', e - p);
		if (!nl)
			break;
		switch (*p | 32) {
		case 'e': say(c->fd, "250-limit\r\n250-PIPELINING\r\n250 8BITMIME\r\n"); break;
		case 'd':
			c->data = 1;
			c->tail = 2;
			say(c->fd, "354 go\r\n");
			break; // an empty body's dot counts as after CRLF
		case 'q': say(c->fd, "221 bye\r\n"); break;
		default: say(c->fd, "250 ok\r\n");
		}
		p = nl + 1;
	}
	c->len = e - p;
	memmove(c->buf, p, c->len);
}
int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	if (argc > 4)
		outn = atoi(argv[4]);
	spool = open(argv[3], O_RDWR | O_CREAT | O_TRUNC, 0600);
	ep = epoll_create1(0);
	efd = eventfd(0, EFD_NONBLOCK);
	struct conn *lc = calloc(1, sizeof *lc), *cc = calloc(1, sizeof *cc);
	lc->kind = LISTEN;
	cc->kind = COMMIT;
	cc->fd = efd;
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(atoi(argv[1]))};
	int one = 1;
	lc->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(lc->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(lc->fd, (void *)&a, sizeof a) || listen(lc->fd, 4096)) {
		perror("listen");
		return 1;
	}
	struct epoll_event ev = {EPOLLIN, {.ptr = lc}};
	epoll_ctl(ep, EPOLL_CTL_ADD, lc->fd, &ev);
	ev.data.ptr = cc;
	epoll_ctl(ep, EPOLL_CTL_ADD, efd, &ev);
	a.sin_port = htons(atoi(argv[2]));
	for (int i = 0; i < outn; i++) {
		struct conn *c = calloc(1, sizeof *c);
		c->kind = OUT;
		c->fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(c->fd, (void *)&a, sizeof a)) {
			perror("sink");
			return 1;
		}
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		c->state = -1;
		c->want = 1;
		ev.events = EPOLLIN;
		ev.data.ptr = c;
		epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
	}
	pthread_t t;
	pthread_create(&t, NULL, syncer, NULL);
	for (;;) {
		struct epoll_event es[256];
		int n = epoll_wait(ep, es, 256, -1);
		for (int i = 0; i < n; i++) {
			struct conn *c = es[i].data.ptr;
			if (c->kind == LISTEN) {
				for (int fd;
					(fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
					struct conn *k = malloc(sizeof *k);
					memset(k, 0, offsetof(struct conn, buf));
					k->len = 0;
					k->m = NULL;
					k->kind = IN;
					k->fd = fd;
					setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					ev.events = EPOLLIN;
					ev.data.ptr = k;
					epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
					say(fd, "220 limit\r\n");
				}
			} else if (c->kind == COMMIT) {
				eventfd_t v;
				eventfd_read(efd, &v);
				for (struct msg *m = syncing, *nx; m; m = nx) {
					nx = m->next;
					say(m->from->fd, "250 kept\r\n");
					m->next = NULL;
					*rtail = m;
					rtail = &m->next;
				}
				syncing = NULL;
				while (ready && idle) {
					struct conn *o = idle;
					idle = o->next;
					push(o);
				}
			} else if (c->kind == IN)
				in_event(c);
			else
				out_event(c, es[i].events);
		}
		commit_start();
	}
}
