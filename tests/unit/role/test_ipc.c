#include "base/check.h"
#include "base/err.h"
#include "io/loop.h"
#include "role/ipc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define QUIET_MS 50   /* after which a busy machine, too, has delivered what was sent */
#define TURNS	 1000 /* at most, until what must come has come */

struct end {
	struct ipc_port port;
	int messages, closed;
	uint16_t type;
	uint32_t request;
	struct buf payload;
	const char *lay; /* the payload, where it was received */
	int fd;
	bool count_requests;
};

static void got(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct end *e = owner;

	assert_ptr_equal(port, &e->port);
	if (e->count_requests)
		assert_int_equal(message->request, e->messages);
	e->messages++;
	e->type = message->type;
	e->request = message->request;
	e->lay = message->payload.p;
	buf_clear(&e->payload);
	buf_add_span(&e->payload, message->payload);
	for (size_t i = 0; i < message->fd_count; i++) {
		if (e->fd >= 0)
			close(e->fd);
		e->fd = message->fds[i];
	}
}

static void gone(void *owner, struct ipc_port *port)
{
	struct end *e = owner;
	assert_null(port->channel);
	e->closed++;
}

static const struct ipc_port_calls calls = {got, gone};

struct stop {
	struct timer timer;
	struct loop *loop;
};

static void stop_fire(struct timer *timer)
{
	loop_stop(CONTAINER_OF(timer, struct stop, timer)->loop);
}

static void turn(struct loop *loop, uint64_t ms)
{
	struct stop s = {.timer.fire = stop_fire, .loop = loop};
	io_timer_after(loop_io(loop), &s.timer, ms);
	loop_run(loop);
}

static void open_end(struct loop *loop, struct end *e, int fd)
{
	*e = (struct end){.fd = -1};
	buf_init(&e->payload, IPC_MESSAGE_BYTES);
	ipc_port_init(&e->port, ROLE_DELIVERY, 0, &calls, e);
	assert_int_equal(loop_channel(loop, fd, &ipc_port_handler, &e->port, &e->port.channel), 0);
}

static void close_end(struct end *e)
{
	ipc_port_close(&e->port);
	buf_done(&e->payload);
	if (e->fd >= 0)
		close(e->fd);
}

/* What a password was carried in is no longer there for who reads this memory later. */
static void passwords_leave_nothing_behind(void **state)
{
	struct loop *loop;
	struct end a, b;
	int fds[2];
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_channel_pair(fds), 0);
	open_end(loop, &a, fds[0]);
	open_end(loop, &b, fds[1]);
	for (int secret = 0; secret < 2; secret++) {
		assert_int_equal(ipc_send(&a.port, secret ? IPC_AUTH_QUERY : IPC_QUEUE_REPLY, 1,
					 SPAN("sesam open"), NULL, 0),
			0);
		while (b.messages <= secret)
			turn(loop, 1);
		assert_true(span_equal(buf_span(&b.payload), SPAN("sesam open")));
		assert_int_equal(memcmp(b.lay, "sesam open", 10) == 0, !secret);
	}
	close_end(&a);
	close_end(&b);
	turn(loop, 1);
	loop_free(&loop);
}

static void short_and_long_messages_arrive_whole(void **state)
{
	struct loop *loop;
	struct end a, b;
	int fds[2];
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_channel_pair(fds), 0);
	open_end(loop, &a, fds[0]);
	open_end(loop, &b, fds[1]);

	assert_int_equal(ipc_send(&a.port, IPC_READY, 0, SPAN_NONE, NULL, 0), 0);
	turn(loop, QUIET_MS);
	assert_int_equal(b.messages, 1);
	assert_int_equal(b.type, IPC_READY);
	assert_int_equal(b.payload.n, 0);

	/* Much longer than what the kernel holds, with a descriptor at the end. */
	size_t n = 3000000;
	char *data = malloc(n);
	for (size_t i = 0; i < n; i++)
		data[i] = (char)(i * 7 / 3);
	assert_int_equal(
		ipc_send(&a.port, IPC_QUEUE_REPLY, 77, span_of(data, n), (int[]){STDIN_FILENO}, 1),
		0);
	assert_false(ipc_port_idle(&a.port));
	/* Others wait behind it, in order. */
	assert_int_equal(ipc_send(&a.port, IPC_QUEUE_FULL, 78, SPAN("x"), NULL, 0), 0);
	while (b.messages < 2)
		turn(loop, 1);
	if (b.messages == 2) {
		assert_int_equal(b.type, IPC_QUEUE_REPLY);
		assert_int_equal(b.request, 77);
		assert_int_equal(b.payload.n, n);
		assert_memory_equal(b.payload.p, data, n);
	}
	turn(loop, QUIET_MS);
	assert_int_equal(b.messages, 3);
	assert_int_equal(b.request, 78);
	assert_true(b.fd >= 0 && fcntl(b.fd, F_GETFD) >= 0);
	assert_true(ipc_port_idle(&a.port));
	free(data);

	/* The exact borders of a datagram. */
	for (size_t size = IO_CHANNEL_BYTES - IPC_HEADER_BYTES - 1; size < IO_CHANNEL_BYTES + 2;
		size++) {
		char *exact = calloc(1, size);
		assert_int_equal(
			ipc_send(&b.port, IPC_FIGURES_REPLY, 5, span_of(exact, size), NULL, 0), 0);
		for (int i = 0; i < TURNS && a.payload.n != size; i++)
			turn(loop, 2);
		assert_int_equal(a.payload.n, size);
		free(exact);
	}
	close_end(&a);
	turn(loop, QUIET_MS);
	assert_int_equal(b.closed, 1);
	assert_int_equal(ipc_send(&b.port, IPC_READY, 0, SPAN_NONE, NULL, 0), ERR_CLOSED);
	close_end(&b);
	loop_free(&loop);
}

static void a_peer_that_does_not_read_meets_a_bound(void **state)
{
	struct loop *loop;
	struct end a;
	int fds[2], err = 0;
	static char data[100000];
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(loop_channel_pair(fds), 0);
	open_end(loop, &a, fds[0]);
	uint32_t sent = 0;
	while ((err = ipc_send(&a.port, IPC_NOTICE, sent, span_of(data, sizeof(data)), NULL, 0)) ==
		0)
		sent++;
	assert_int_equal(err, ERR_LIMIT);
	assert_true(a.port.waiting_bytes <= IPC_QUEUE_BYTES + sizeof(data));
	/* It reads at last: everything that was accepted comes, whole and in order. */
	struct end b;
	open_end(loop, &b, fds[1]);
	b.count_requests = true;
	for (int i = 0; i < 500 && b.messages < (int)sent; i++)
		turn(loop, 1);
	assert_int_equal(b.messages, sent);
	assert_int_equal(b.payload.n, sizeof(data));
	close_end(&a);
	close_end(&b);
	loop_free(&loop);
}

/* What a taken-over peer may send: each ends the channel, and no descriptor leaks. */
static void hostile_datagrams_end_the_channel(void **state)
{
	static const struct {
		const char *what;
		unsigned char bytes[24];
		size_t n;
		bool fd;
	} cases[] = {
		{"too short", {1, 0, 0}, 3, false},
		{"type 0", {0, 0, 0, 0, 0, 0, 0, 0}, 8, true},
		{"unknown type", {200, 0, 0, 0, 0, 0, 0, 0}, 8, true},
		{"unknown flag", {IPC_NOTICE, 0, 2, 0, 0, 0, 0, 0}, 8, true},
		{"a descriptor with a part", {IPC_NOTICE, 0, 1, 0, 0, 0, 0, 0, 'x'}, 9, true},
		{"an empty part", {IPC_NOTICE, 0, 1, 0, 0, 0, 0, 0}, 8, false},
	};
	struct loop *loop;
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct end e;
		int fds[2];
		assert_int_equal(loop_channel_pair(fds), 0);
		open_end(loop, &e, fds[0]);
		int before = dup(0);
		close(before);
		struct io_channel *raw;
		struct end other = {.fd = -1};
		buf_init(&other.payload, 100);
		ipc_port_init(&other.port, ROLE_SMTPD, 0, &calls, &other);
		assert_int_equal(
			loop_channel(loop, fds[1], &ipc_port_handler, &other.port, &raw), 0);
		other.port.channel = raw;
		assert_int_equal(io_channel_send(raw, span_of(cases[i].bytes, cases[i].n),
					 (int[]){0}, cases[i].fd),
			0);
		turn(loop, QUIET_MS);
		if (e.closed != 1 || e.messages)
			fail_msg("%s", cases[i].what);
		close_end(&e);
		close_end(&other);
		turn(loop, 1);
	}
	/* Parts of two messages do not mix. */
	struct end e;
	int fds[2];
	assert_int_equal(loop_channel_pair(fds), 0);
	open_end(loop, &e, fds[0]);
	const unsigned char one[] = {IPC_NOTICE, 0, 1, 0, 5, 0, 0, 0, 'x'},
			    two[] = {IPC_NOTICE, 0, 0, 0, 6, 0, 0, 0, 'x'};
	assert_int_equal(send(fds[1], one, sizeof(one), 0), sizeof(one));
	assert_int_equal(send(fds[1], two, sizeof(two), 0), sizeof(two));
	turn(loop, QUIET_MS);
	assert_int_equal(e.closed, 1);
	assert_int_equal(e.messages, 0);
	close_end(&e);
	close(fds[1]);
	loop_free(&loop);
}

static void notices_are_of_their_own_writer_only(void **state)
{
	struct buf buf;
	struct spool_notice out = {0};
	const struct spool_notice in = {
		.owner = 3, .serial = 0xdeadbeef, .durable = 1ull << 40, .messages = 50};
	(void)state;

	buf_init(&buf, 1000);
	ipc_put_notice(&buf, &in);
	ipc_put_notice(&buf, &in);
	struct cursor c = cursor_of(buf_span(&buf));
	assert_int_equal(ipc_get_notice(&c, 3, &out), 0);
	assert_int_equal(out.owner, 3);
	assert_int_equal(out.serial, 0xdeadbeef);
	assert_true(out.durable == 1ull << 40);
	assert_int_equal(out.messages, 50);
	/* Worker 4 may not speak for worker 3. */
	assert_int_equal(ipc_get_notice(&c, 4, &out), ERR_CORRUPT);
	for (size_t n = 0; n < buf.n / 2; n++) {
		c = cursor_of(span_of(buf.p, n));
		assert_int_equal(ipc_get_notice(&c, 3, &out), ERR_CORRUPT);
	}
	struct ipc_boot boot = {.serials = {9, 7},
				.start = 2,
				.workers = 4,
				.began_ms = 1800000000000},
			back;
	buf_clear(&buf);
	ipc_put_boot(&buf, &boot);
	assert_int_equal(ipc_get_boot(buf_span(&buf), &back), 0);
	assert_int_equal(back.serials.least, 9);
	assert_int_equal(back.serials.base, 7);
	assert_int_equal(back.workers, 4);
	assert_int_equal(back.began_ms, 1800000000000);
	assert_int_equal(ipc_get_boot(span_of(buf.p, buf.n - 1), &back), ERR_CORRUPT);
	buf_add_char(&buf, 'x');
	assert_int_equal(ipc_get_boot(buf_span(&buf), &back), ERR_CORRUPT);
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(passwords_leave_nothing_behind),
		cmocka_unit_test(short_and_long_messages_arrive_whole),
		cmocka_unit_test(a_peer_that_does_not_read_meets_a_bound),
		cmocka_unit_test(hostile_datagrams_end_the_channel),
		cmocka_unit_test(notices_are_of_their_own_writer_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
