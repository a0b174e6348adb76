/* Connections over loopback sockets, against a blocking peer made of plain system calls. */
#include "loop_peer.h"

#include "base/check.h"
#include "io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct world {
	struct loop *loop;
	struct listener *listener;
	struct netaddr address;
	struct peer *server; /* the connection that was accepted last */
	int accepted, broken;
	void (*on_accept)(struct world *w);
};

static void accepted(void *owner, struct io_conn *conn)
{
	struct world *w = owner;

	w->accepted++;
	if (w->server)
		peer_free(w->server);
	w->server = peer_new(w->loop);
	w->server->conn = conn;
	loop_conn_adopt(conn, &peer_handler, w->server);
	if (w->on_accept)
		w->on_accept(w);
	else
		loop_stop(w->loop);
}

static struct netaddr where(int fd)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	struct netaddr out;
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
	assert_int_equal(netaddr_from_sockaddr((struct sockaddr *)&a, n, &out), 0);
	return out;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct netaddr any = loopback(0);
	int fd;

	assert_int_equal(loop_new(&w->loop), 0);
	assert_int_equal(listener_bind_tcp(&any, false, &fd), 0);
	w->address = where(fd);
	assert_int_equal(loop_listen(w->loop, fd, accepted, w, NULL, &w->listener), 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	if (w->server)
		peer_free(w->server);
	listener_close(&w->listener);
	loop_free(&w->loop);
	free(w);
	return 0;
}

/* A client of plain calls. */
static int dial(struct world *w)
{
	struct sockaddr_storage a;
	socklen_t n = netaddr_to_sockaddr(&w->address, &a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, n), 0);
	return fd;
}

static int dial_accepted(struct world *w)
{
	int fd = dial(w);
	assert_true(run_for(w->loop, 5000));
	assert_non_null(w->server);
	return fd;
}

/* What came and was not read yet is seen, be it the end. */
static void what_has_arrived_is_seen(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	struct io_conn *conn = w->server->conn;

	assert_false(io_conn_arrived(conn));
	assert_int_equal(write(fd, "250 late\r\n", 10), 10);
	for (int i = 0; i < 100 && !io_conn_arrived(conn); i++)
		poll(NULL, 0, 10);
	assert_true(io_conn_arrived(conn));
	assert_true(io_conn_arrived(conn)); /* a look takes nothing away */
	close(fd);
	assert_true(io_conn_arrived(conn));
}

static void accepted_connection_knows_its_ends_and_has_no_nagle(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	struct netaddr local, peer, client = where(fd);
	int nodelay = 0;

	io_conn_ends(w->server->conn, &local, &peer);
	assert_memory_equal(&peer, &client, sizeof(peer));
	assert_memory_equal(&local, &w->address, sizeof(local));
	/* The accepted socket is the one with the highest number. */
	bool found = false;
	for (int i = fd + 1; i < fd + 10; i++) {
		socklen_t n = sizeof(nodelay);
		struct sockaddr_storage a;
		socklen_t an = sizeof(a);
		if (getpeername(i, (struct sockaddr *)&a, &an) == 0) {
			assert_int_equal(getsockopt(i, IPPROTO_TCP, TCP_NODELAY, &nodelay, &n), 0);
			assert_int_equal(nodelay, 1);
			assert_true(fcntl(i, F_GETFL) & O_NONBLOCK);
			assert_true(fcntl(i, F_GETFD) & FD_CLOEXEC);
			found = true;
		}
	}
	assert_true(found);
	close(fd);
}

static void stop_on_data(struct peer *p, size_t n)
{
	(void)n;
	loop_stop(p->loop);
}

static void bytes_arrive_in_the_owners_buffer(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);

	w->server->on_received = stop_on_data;
	assert_int_equal(write(fd, "EHLO a\r\n", 8), 8);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 8);
	assert_int_equal(w->server->reads, 1);
	assert_memory_equal(w->server->data, "EHLO a\r\n", 8);
	close(fd);
}

static void end_of_input_is_told_from_reset(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);

	assert_int_equal(write(fd, "x", 1), 1);
	shutdown(fd, SHUT_WR);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 1);
	assert_int_equal(w->server->closed, 0);
	/* The other direction still works. */
	char got[4];
	assert_int_equal(peer_send(w->server, "bye", 3, false), 0);
	assert_int_equal(read(fd, got, 4), 3);
	close(fd);

	fd = dial_accepted(w);
	struct linger hard = {.l_onoff = 1};
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(fd);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->closed, ERR_CLOSED);
	assert_int_equal(peer_send(w->server, "x", 1, false), ERR_CLOSED);
	assert_int_equal(w->server->closed_calls, 1);
}

static void pause_holds_input_back_and_resume_brings_it(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);

	w->server->on_received = stop_on_data;
	io_conn_pause(w->server->conn);
	assert_int_equal(write(fd, "one", 3), 3);
	assert_false(run_for(w->loop, 50));
	assert_int_equal(w->server->received, 0);
	io_conn_resume(w->server->conn);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 3);
	/* A pause that no data met. */
	io_conn_pause(w->server->conn);
	io_conn_resume(w->server->conn);
	assert_int_equal(write(fd, "two", 3), 3);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 6);
	/* The end, too, is heard only after the pause. */
	io_conn_pause(w->server->conn);
	close(fd);
	assert_false(run_for(w->loop, 50));
	assert_int_equal(w->server->closed, PEER_NEVER);
	io_conn_resume(w->server->conn);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->closed, 0);
}

static void pause_now(struct peer *p, size_t n)
{
	(void)n;
	io_conn_pause(p->conn);
	loop_stop(p->loop);
}

static void pause_from_received_stops_at_a_full_buffer(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);

	w->server->room = 4;
	w->server->on_received = pause_now;
	assert_int_equal(write(fd, "12345678", 8), 8);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 4);
	assert_false(run_for(w->loop, 30));
	assert_int_equal(w->server->received, 4);
	io_conn_resume(w->server->conn);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 8);
	close(fd);
}

static struct iovec close_in_buffer(struct peer *p)
{
	io_conn_close(&p->conn, false);
	loop_stop(p->loop);
	return (struct iovec){p->data, 1};
}

static void owner_may_close_in_any_callback(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	char c;

	w->server->on_buffer = close_in_buffer;
	assert_int_equal(write(fd, "x", 1), 1);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 0);
	assert_true(read(fd, &c, 1) <= 0);
	close(fd);
}

/* ---- sending -------------------------------------------------------------------------------- */

static void fill(char *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (char)((i * 2654435761u + seed) >> 13);
}

struct reader {
	struct timer timer;
	struct loop *loop;
	int fd;
	struct buf got;
	size_t step;
	uint64_t pause_ms;
	size_t want;
};

/* Reads a step at a time, now and then: a slow peer inside the same process. */
static void read_some(struct timer *timer)
{
	struct reader *r = CONTAINER_OF(timer, struct reader, timer);
	char *room = buf_reserve(&r->got, r->step);

	ssize_t n = recv(r->fd, room, r->step, MSG_DONTWAIT);
	if (n > 0)
		buf_wrote(&r->got, (size_t)n);
	if (r->got.n >= r->want || n == 0) {
		loop_stop(r->loop);
		return;
	}
	io_timer_after(loop_io(r->loop), &r->timer, r->pause_ms);
}

static void reader_start(
	struct reader *r, struct loop *loop, int fd, size_t want, size_t step, uint64_t ms)
{
	*r = (struct reader){.timer.fire = read_some,
		.loop = loop,
		.fd = fd,
		.step = step,
		.pause_ms = ms,
		.want = want};
	buf_init(&r->got, 64u << 20);
	io_timer_after(loop_io(loop), &r->timer, ms);
}

static void small_buffers(struct world *w, int fd)
{
	(void)w;
	int small = 150000;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

static void what_does_not_fit_waits_and_arrives_in_order(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	static char data[9000];
	struct buf sent;
	struct reader r;

	small_buffers(w, fd);
	buf_init(&sent, 64u << 20);
	int err = 0;
	for (unsigned i = 0; err == 0; i++) {
		fill(data, sizeof(data), i);
		err = peer_send(w->server, data, 1 + i * 7 % sizeof(data), i & 1);
		if (err == 0)
			buf_add(&sent, data, 1 + i * 7 % sizeof(data));
	}
	/* The bound is for what waits, and holds. */
	assert_int_equal(err, ERR_LIMIT);
	size_t unsent = io_conn_unsent(w->server->conn);
	assert_true(unsent <= IO_CONN_UNSENT && unsent > IO_CONN_UNSENT - sizeof(data));
	assert_int_equal(w->server->drained, 0);

	reader_start(&r, w->loop, fd, sent.n, 200000, 0);
	assert_true(run_for(w->loop, 20000));
	assert_int_equal(r.got.n, sent.n);
	assert_memory_equal(r.got.p, sent.p, sent.n);
	if (w->server->drained == 0)
		run_for(w->loop, 20);
	assert_int_equal(w->server->drained, 1);
	assert_int_equal(io_conn_unsent(w->server->conn), 0);
	buf_done(&sent);
	buf_done(&r.got);
	close(fd);
}

/* A file of the tests' own. */
struct test_file {
	struct io_file file;
	int fd;
};

static int64_t file_read(struct io_file *file, void *to, size_t n, uint64_t offset)
{
	return pread(((struct test_file *)(void *)file)->fd, to, n, (off_t)offset);
}

static const struct disk_ops file_ops = {.read = file_read};
static struct disk file_disk = {&file_ops};

static int file_fd(const struct io_file *file)
{
	return ((const struct test_file *)(const void *)file)->fd;
}

#define FILE_BYTES (12u << 20)

static char *make_file(struct test_file *f)
{
	char path[] = "/tmp/postern-test-XXXXXX";
	char *data = malloc(FILE_BYTES);

	f->file.disk = &file_disk;
	f->fd = mkstemp(path);
	assert_true(f->fd >= 0);
	unlink(path);
	fill(data, FILE_BYTES, 5);
	assert_int_equal(write(f->fd, data, FILE_BYTES), FILE_BYTES);
	return data;
}

static void send_file_to_slow_reader(struct world *w, bool with_sendfile)
{
	struct test_file f;
	struct reader r;
	char *data = make_file(&f);
	int fd = dial_accepted(w);
	const size_t from = 333, length = FILE_BYTES - 777;

	loop_set_file_fd(w->loop, with_sendfile ? file_fd : NULL);
	small_buffers(w, fd);
	assert_int_equal(peer_send(w->server, "head\r\n", 6, true), 0);
	w->server->inside = true;
	assert_int_equal(io_conn_send_file(w->server->conn, &f.file, from, length), 0);
	w->server->inside = false;
	assert_true(io_conn_unsent(w->server->conn) > 0);
	assert_int_equal(peer_send(w->server, "middle", 6, false), 0);
	assert_int_equal(io_conn_send_file(w->server->conn, &f.file, 0, 10), 0);
	assert_int_equal(peer_send(w->server, "end", 3, false), 0);

	reader_start(&r, w->loop, fd, 6 + length + 6 + 10 + 3, 300000, 1);
	assert_true(run_for(w->loop, 60000));
	assert_int_equal(r.got.n, 6 + length + 6 + 10 + 3);
	assert_memory_equal(r.got.p, "head\r\n", 6);
	assert_memory_equal(r.got.p + 6, data + from, length);
	assert_memory_equal(r.got.p + 6 + length, "middle", 6);
	assert_memory_equal(r.got.p + 12 + length, data, 10);
	assert_memory_equal(r.got.p + 22 + length, "end", 3);
	if (w->server->drained == 0)
		run_for(w->loop, 20);
	assert_int_equal(w->server->drained, 1);
	buf_done(&r.got);
	close(fd);
	close(f.fd);
	free(data);
}

static void a_long_file_reaches_a_slow_reader_by_sendfile(void **state)
{
	send_file_to_slow_reader(*state, true);
}

static void a_long_file_reaches_a_slow_reader_by_copying(void **state)
{
	send_file_to_slow_reader(*state, false);
}

static void a_file_that_is_shorter_than_said_fails_the_connection(void **state)
{
	struct world *w = *state;
	struct test_file f;
	char *data = make_file(&f);
	int fd = dial_accepted(w);

	loop_set_file_fd(w->loop, file_fd);
	w->server->inside = true;
	assert_int_equal(
		io_conn_send_file(w->server->conn, &f.file, FILE_BYTES - 10, 20), ERR_CLOSED);
	w->server->inside = false;
	assert_true(run_for(w->loop, 1000));
	assert_int_equal(w->server->closed, ERR_CORRUPT);
	close(fd);
	close(f.fd);
	free(data);
}

static void a_peer_that_resets_while_bytes_wait_is_told_once(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	static char data[500000];

	small_buffers(w, fd);
	while (io_conn_unsent(w->server->conn) == 0)
		assert_int_equal(peer_send(w->server, data, sizeof(data), false), 0);
	close(fd); /* with input unread: a reset */
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->closed, ERR_CLOSED);
	run_for(w->loop, 20);
	assert_int_equal(w->server->closed_calls, 1);
	assert_int_equal(peer_send(w->server, "x", 1, false), ERR_CLOSED);
}

/* ---- closing -------------------------------------------------------------------------------- */

static void linger_sends_the_rest_and_no_reset_overtakes_it(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	static char data[700000];
	struct reader r;

	small_buffers(w, fd);
	fill(data, sizeof(data), 9);
	/* Input that nobody will read: closing would make the kernel reset the connection. */
	assert_int_equal(write(fd, "ignored input", 13), 13);
	size_t total = 0;
	while (io_conn_unsent(w->server->conn) == 0) {
		assert_int_equal(peer_send(w->server, data, sizeof(data), false), 0);
		total += sizeof(data);
	}
	io_conn_close(&w->server->conn, true);
	assert_null(w->server->conn);
	assert_int_equal(loop_lingering(w->loop), 1);
	reader_start(&r, w->loop, fd, total + 1, 100000, 0); /* until the end of the stream */
	assert_true(run_for(w->loop, 20000));
	assert_int_equal(r.got.n, total);
	assert_int_equal(w->server->received, 0);
	/* It ends when the peer does. */
	close(fd);
	run_for(w->loop, 50);
	assert_int_equal(loop_lingering(w->loop), 0);
	buf_done(&r.got);
}

static void linger_with_nothing_waiting_still_half_closes_first(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);
	char got[64];

	assert_int_equal(write(fd, "pipelined and never read", 24), 24);
	assert_int_equal(peer_send(w->server, "421 bye\r\n", 9, false), 0);
	io_conn_close(&w->server->conn, true);
	run_for(w->loop, 20);
	assert_int_equal(write(fd, "more", 4), 4);
	run_for(w->loop, 20);
	assert_int_equal(read(fd, got, sizeof(got)), 9);
	assert_int_equal(read(fd, got, sizeof(got)), 0);
	close(fd);
	run_for(w->loop, 50);
	assert_int_equal(loop_lingering(w->loop), 0);
}

static void a_freed_loop_cuts_lingering_connections(void **state)
{
	struct world *w = *state;
	int fd = dial_accepted(w);

	io_conn_close(&w->server->conn, true);
	assert_int_equal(loop_lingering(w->loop), 1);
	close(fd);
	/* teardown frees the loop; the sanitizer looks for leaks */
}

/* ---- connecting ----------------------------------------------------------------------------- */

static void stop_on_connect(struct peer *p)
{
	loop_stop(p->loop);
}

static void on_accept_count(struct world *w)
{
	w->server->on_received = stop_on_data;
}

static void connect_send_and_receive(void **state)
{
	struct world *w = *state;
	struct peer *c = peer_new(w->loop);
	struct netaddr from = {.family = NETADDR_V4, .ip = {127, 0, 0, 9}};
	struct netaddr local, peer;

	w->on_accept = on_accept_count;
	c->on_connected = stop_on_connect;
	assert_int_equal(
		io_connect(loop_io(w->loop), &from, &w->address, &peer_handler, c, &c->conn), 0);
	assert_int_equal(c->connected, PEER_NEVER);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(c->connected, 0);
	io_conn_ends(c->conn, &local, &peer);
	assert_true(netaddr_same_ip(&local, &from));
	assert_memory_equal(&peer, &w->address, sizeof(peer));
	assert_int_equal(peer_send(c, "220", 3, false), 0);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 3);
	io_conn_ends(w->server->conn, &local, &peer);
	assert_true(netaddr_same_ip(&peer, &from));
	peer_free(c);
}

static int try_connect(struct world *w, const struct netaddr *local, const struct netaddr *peer)
{
	struct peer *c = peer_new(w->loop);
	struct io *io = loop_io(w->loop);

	c->on_connected = stop_on_connect;
	c->inside = true;
	int err = io_connect(io, local, peer, &peer_handler, c, &c->conn);
	c->inside = false;
	if (err == 0) {
		assert_true(run_for(w->loop, 5000));
		err = c->connected;
		assert_int_equal(c->closed, PEER_NEVER);
	}
	peer_free(c);
	return err;
}

static void failures_to_connect_come_from_the_loop_with_their_reason(void **state)
{
	struct world *w = *state;
	struct netaddr nobody = w->address, wrong = {.family = NETADDR_V4, .ip = {192, 0, 2, 77}};
	struct netaddr none = {0};

	listener_close(&w->listener);
	run_for(w->loop, 1);
	assert_int_equal(try_connect(w, NULL, &nobody), ERR_REFUSED);
	assert_int_equal(try_connect(w, &none, &nobody), ERR_REFUSED);
	/* A source address that this host does not have. */
	assert_int_equal(try_connect(w, &wrong, &nobody), ERR_UNREACHABLE);
	/* A v6 source for a v4 peer. */
	struct netaddr six = {.family = NETADDR_V6, .ip = {[15] = 1}};
	assert_true(try_connect(w, &six, &nobody) < 0);
	assert_true(try_connect(w, NULL, &none) < 0);
}

static void a_connection_that_hangs_can_be_closed(void **state)
{
	struct world *w = *state;
	struct peer *c = peer_new(w->loop);
	/* A full backlog answers no SYN; where the address answers, the test proves less, not
	 * wrong. */
	struct netaddr silent = {.family = NETADDR_V4, .ip = {192, 0, 2, 1}, .port = 25};

	c->on_connected = stop_on_connect;
	assert_int_equal(
		io_connect(loop_io(w->loop), NULL, &silent, &peer_handler, c, &c->conn), 0);
	run_for(w->loop, 30);
	io_conn_close(&c->conn, true);
	run_for(w->loop, 10);
	assert_int_equal(c->closed, PEER_NEVER);
	peer_free(c);
}

/* ---- many ----------------------------------------------------------------------------------- */

#define MANY 2000

static struct peer *many[MANY];

static void many_accepted(void *owner, struct io_conn *conn)
{
	struct world *w = owner;
	struct peer *p = peer_new(w->loop);

	p->on_received = NULL;
	p->conn = conn;
	many[w->accepted++] = p;
	loop_conn_adopt(conn, &peer_handler, p);
	assert_int_equal(peer_send(p, "220 hello\r\n", 11, false), 0);
	if (w->accepted == MANY)
		loop_stop(w->loop);
}

static void two_thousand_connections(void **state)
{
	struct world *w = *state;
	static int fds[MANY];
	struct netaddr any = loopback(0);
	int fd;
	char got[16];

	listener_close(&w->listener);
	assert_int_equal(listener_bind_tcp(&any, true, &fd), 0);
	w->address = where(fd);
	assert_int_equal(loop_listen(w->loop, fd, many_accepted, w, NULL, &w->listener), 0);
	for (size_t i = 0; i < MANY; i++) {
		fds[i] = dial(w);
		if (i % 500 == 499) /* the backlog is bounded */
			while (w->accepted < (int)i + 1)
				run_for(w->loop, 5);
	}
	assert_int_equal(w->accepted, MANY);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(read(fds[i], got, sizeof(got)), 11);
		assert_int_equal(write(fds[i], "QUIT\r\n", 6), 6);
	}
	for (size_t i = 0; i < MANY; i++)
		while (many[i]->received < 6)
			run_for(w->loop, 5);
	for (size_t i = 0; i < MANY; i++) {
		close(fds[i]);
		peer_free(many[i]);
	}
}

static int raise_limit(void **state)
{
	struct rlimit limit;
	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return 0;
}

static void out_of_descriptors_clients_are_turned_away_without_a_spin(void **state)
{
	struct world *w = *state;
	struct rlimit old, limit;

	w->on_accept = on_accept_count;
	int fd = dial(w), second = dial(w);
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	/* Not one more than are open. */
	int next = dup(0);
	close(next);
	limit.rlim_cur = (rlim_t)next;
	setrlimit(RLIMIT_NOFILE, &limit);
	run_for(w->loop, 100);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(w->accepted, 0);
	char c;
	assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), 0);
	assert_int_equal(recv(second, &c, 1, MSG_DONTWAIT), 0);
	close(fd);
	close(second);
	/* With descriptors it accepts again. */
	fd = dial(w);
	run_for(w->loop, 300);
	assert_int_equal(w->accepted, 1);
	close(fd);
}

/* Whoever shares the socket may shut it down. */
static void broken(void *owner)
{
	struct world *w = owner;

	w->broken++;
	loop_stop(w->loop);
}

static void is_told_once_and_does_not_spin(struct world *w, int fd)
{
	listener_close(&w->listener);
	int other = dup(fd);
	assert_int_equal(loop_listen(w->loop, fd, accepted, w, NULL, &w->listener), 0);
	listener_on_broken(w->listener, broken);
	assert_int_equal(shutdown(other, SHUT_RDWR), 0);
	close(other);
	w->broken = 0;
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->broken, 1);
	clock_t before = clock();
	assert_false(run_for(w->loop, 300));
	assert_true(clock() - before < CLOCKS_PER_SEC / 10);
	assert_int_equal(w->broken, 1);
}

static void a_listener_that_was_shut_down_is_told_once_and_does_not_spin(void **state)
{
	struct world *w = *state;
	struct netaddr any = loopback(0);
	char path[] = "/tmp/postern-test-sock-XXXXXX";
	int fd;

	assert_int_equal(listener_bind_tcp(&any, false, &fd), 0);
	is_told_once_and_does_not_spin(w, fd);
	close(mkstemp(path));
	unlink(path);
	assert_int_equal(listener_bind_unix(path, 0660, &fd), 0);
	is_told_once_and_does_not_spin(w, fd);
	unlink(path);
}

/* ---- those who are turned away --------------------------------------------------------------- */

static void turned_away(void *owner, struct io_conn *conn)
{
	struct world *w = owner;
	struct iovec part = {(void *)"421 later\r\n", 11};

	w->accepted++;
	assert_int_equal(io_conn_send(conn, &part, 1, false), 0);
	io_conn_close(&conn, true);
}

/* All of `count` clients have read what there was to read, and the end. */
static int dial_and_be_turned_away(struct world *w, int *fds, int count)
{
	char got[16];
	int read_all = 0;

	for (int i = 0; i < count; i++) {
		fds[i] = dial(w);
		while (w->accepted < i + 1)
			run_for(w->loop, 1);
	}
	for (int i = 0; i < count; i++)
		read_all += recv(fds[i], got, sizeof(got), MSG_DONTWAIT) == 11 &&
			    recv(fds[i], got, sizeof(got), MSG_DONTWAIT) == 0;
	return read_all;
}

static void listen_with(struct world *w, listener_accepted *accept)
{
	struct netaddr any = loopback(0);
	int fd;

	listener_close(&w->listener);
	assert_int_equal(listener_bind_tcp(&any, false, &fd), 0);
	w->address = where(fd);
	assert_int_equal(loop_listen(w->loop, fd, accept, w, NULL, &w->listener), 0);
}

static void who_is_turned_away_and_stays_takes_up_little(void **state)
{
	struct world *w = *state;
	int fds[200];

	listen_with(w, turned_away);
	loop_set_connections(w->loop, 10);
	/* Nobody closes; all have their answer and the end at once. */
	assert_int_equal(dial_and_be_turned_away(w, fds, 200), 200);
	assert_int_equal(loop_lingering(w->loop), LOOP_LINGER_LEAST);
	for (int i = 0; i < 200; i++)
		close(fds[i]);
	run_for(w->loop, 20);
	assert_int_equal(loop_lingering(w->loop), 0);
}

static void never_do_more_linger_than_the_bound(void **state)
{
	struct world *w = *state;
	static int fds[LOOP_LINGER_MOST + 100];

	listen_with(w, turned_away);
	assert_int_equal(
		dial_and_be_turned_away(w, fds, LOOP_LINGER_MOST + 100), LOOP_LINGER_MOST + 100);
	assert_int_equal(loop_lingering(w->loop), LOOP_LINGER_MOST);
	for (int i = 0; i < LOOP_LINGER_MOST + 100; i++)
		close(fds[i]);
}

static struct peer *inside[400];

static void accepted_inside(void *owner, struct io_conn *conn)
{
	struct world *w = owner;

	inside[w->accepted] = peer_new(w->loop);
	inside[w->accepted]->conn = conn;
	loop_conn_adopt(conn, &peer_handler, inside[w->accepted++]);
}

/* Clients may take what descriptors there are, but for those that files are opened with. */
static void descriptors_are_kept_for_files(void **state)
{
	struct world *w = *state;
	struct rlimit old, limit;
	int fds[100], files[12], dialled = 0;
	char c;

	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	int next = dup(0);
	close(next);
	limit.rlim_cur = (rlim_t)next + 100;
	setrlimit(RLIMIT_NOFILE, &limit);
	listener_close(&w->listener);
	loop_free(&w->loop);
	assert_int_equal(loop_new(&w->loop), 0);
	listen_with(w, accepted_inside);
	/* Both ends are ours. */
	for (; dialled < 45; dialled++) {
		fds[dialled] = dial(w);
		run_for(w->loop, 5);
	}
	assert_true(w->accepted > 20 && w->accepted < dialled);
	assert_int_equal(recv(fds[0], &c, 1, MSG_DONTWAIT), -1);
	assert_int_equal(recv(fds[dialled - 1], &c, 1, MSG_DONTWAIT), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		files[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_true(files[i] >= 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		close(files[i]);
	for (int i = 0; i < w->accepted; i++)
		peer_free(inside[i]);
	for (int i = 0; i < dialled; i++)
		close(fds[i]);
	setrlimit(RLIMIT_NOFILE, &old);
}

static void a_paused_listener_leaves_clients_waiting(void **state)
{
	struct world *w = *state;

	listener_pause(w->listener);
	int fd = dial(w);
	assert_false(run_for(w->loop, 30));
	assert_int_equal(w->accepted, 0);
	listener_resume(w->listener);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->accepted, 1);
	close(fd);
}

static void unix_sockets_carry_connections_and_credentials(void **state)
{
	struct world *w = *state;
	char path[] = "/tmp/postern-test-sock-XXXXXX";
	int fd, other;
	uint32_t uid, gid;

	close(mkstemp(path));
	/* A file that is no socket is not removed. */
	assert_int_equal(listener_bind_unix(path, 0660, &fd), ERR_EXISTS);
	unlink(path);
	assert_int_equal(listener_bind_unix(path, 0660, &fd), 0);
	assert_int_equal(listener_bind_unix(path, 0660, &other), ERR_BUSY);
	listener_close(&w->listener);
	assert_int_equal(loop_listen(w->loop, fd, accepted, w, NULL, &w->listener), 0);

	struct sockaddr_un to = {.sun_family = AF_UNIX};
	memcpy(to.sun_path, path, sizeof(path));
	int client = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(loop_conn_peer_uid(w->server->conn, &uid, &gid), 0);
	assert_int_equal(uid, getuid());
	w->server->on_received = stop_on_data;
	assert_int_equal(write(client, "status\n", 7), 7);
	assert_true(run_for(w->loop, 5000));
	assert_int_equal(w->server->received, 7);
	close(client);
	/* A socket that nobody listens on is stale. */
	listener_close(&w->listener);
	run_for(w->loop, 1);
	assert_int_equal(listener_bind_unix(path, 0660, &other), 0);
	close(other);
	unlink(path);
}

static void an_address_in_use_is_noticed_although_sockets_are_shared(void **state)
{
	struct world *w = *state;
	int a, b;
	struct netaddr address = loopback(0);

	assert_int_equal(listener_bind_tcp(&w->address, true, &a), ERR_BUSY);
	assert_int_equal(listener_bind_tcp(&address, true, &a), 0);
	address = where(a);
	assert_int_equal(listener_bind_tcp(&address, true, &b), 0);
	assert_int_equal(listener_probe_tcp(&address), ERR_BUSY);
	close(a);
	close(b);
	assert_int_equal(listener_probe_tcp(&address), 0);
}

static int raise_and_setup(void **state)
{
	raise_limit(state);
	return setup(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accepted_connection_knows_its_ends_and_has_no_nagle),
		TEST(what_has_arrived_is_seen),
		TEST(bytes_arrive_in_the_owners_buffer),
		TEST(end_of_input_is_told_from_reset),
		TEST(pause_holds_input_back_and_resume_brings_it),
		TEST(pause_from_received_stops_at_a_full_buffer),
		TEST(owner_may_close_in_any_callback),
		TEST(what_does_not_fit_waits_and_arrives_in_order),
		TEST(a_long_file_reaches_a_slow_reader_by_sendfile),
		TEST(a_long_file_reaches_a_slow_reader_by_copying),
		TEST(a_file_that_is_shorter_than_said_fails_the_connection),
		TEST(a_peer_that_resets_while_bytes_wait_is_told_once),
		TEST(linger_sends_the_rest_and_no_reset_overtakes_it),
		TEST(linger_with_nothing_waiting_still_half_closes_first),
		TEST(a_freed_loop_cuts_lingering_connections),
		TEST(connect_send_and_receive),
		TEST(failures_to_connect_come_from_the_loop_with_their_reason),
		TEST(a_connection_that_hangs_can_be_closed),
		TEST(two_thousand_connections),
		TEST(out_of_descriptors_clients_are_turned_away_without_a_spin),
		TEST(a_listener_that_was_shut_down_is_told_once_and_does_not_spin),
		TEST(who_is_turned_away_and_stays_takes_up_little),
		cmocka_unit_test_setup_teardown(
			never_do_more_linger_than_the_bound, raise_and_setup, teardown),
		TEST(descriptors_are_kept_for_files),
		TEST(a_paused_listener_leaves_clients_waiting),
		TEST(unix_sockets_carry_connections_and_credentials),
		TEST(an_address_in_use_is_noticed_although_sockets_are_shared),
	};
	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
