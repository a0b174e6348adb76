/* What a worker tells delivery of its log, and what it does where delivery does not listen. */
#include "role/notices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"

#define WORKER 3

struct world {
	struct io io; /* first */
	struct io_channel channel;
	struct ipc_port port;
	struct notices notices;
	bool deaf; /* delivery reads nothing */
	bool pressed;
	unsigned turns; /* that pressed() was called */
	/* what delivery got */
	uint32_t messages, notices_got, datagrams;
	uint64_t durable[2000]; /* by serial */
};

static int do_send(struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count)
{
	struct world *w = (struct world *)(void *)channel->io;
	struct ipc_message message;
	struct spool_notice notice;

	(void)fds;
	assert_int_equal(fd_count, 0);
	if (w->deaf)
		return ERR_AGAIN;
	w->datagrams++;
	assert_int_equal(ipc_get_header(bytes, &message), 0);
	struct cursor in = cursor_of(message.payload);
	while (cursor_left(&in)) {
		assert_int_equal(ipc_get_notice(&in, WORKER, &notice), 0);
		assert_true(notice.serial < 2000);
		w->durable[notice.serial] = notice.durable;
		w->notices_got++;
		if (message.type == IPC_NOTICE)
			w->messages += notice.messages;
	}
	return 0;
}

static void do_close(struct io_channel **channel)
{
	*channel = NULL;
}

static const struct io_ops ops = {.channel_send = do_send, .channel_close = do_close};

static void port_message(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	(void)owner;
	(void)port;
	(void)message;
}

static void port_closed(void *owner, struct ipc_port *port)
{
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls calls = {port_message, port_closed};

static void on_pressed(void *context, bool on)
{
	struct world *w = context;

	assert_int_not_equal(w->pressed, on);
	w->pressed = on;
	w->turns++;
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	io_init(&w->io, &ops);
	ipc_port_init(&w->port, ROLE_DELIVERY, 0, &calls, w);
	w->channel = (struct io_channel){&w->io, &ipc_port_handler, &w->port};
	w->port.channel = &w->channel;
	notices_init(&w->notices, &w->io, &w->port, on_pressed, w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	ipc_port_close(&w->port);
	notices_forget(&w->notices);
	free(w->notices.behind);
	timers_done(&w->io.timers);
	free(w);
	return 0;
}

static void pass_ms(struct world *w, uint64_t ms)
{
	w->io.now_ns += ms * NS_PER_MS;
	timers_run(&w->io.timers, w->io.now_ns);
}

static void pass(struct world *w)
{
	pass_ms(w, NOTICES_MS);
}

static void committed(struct world *w, uint32_t serial, uint64_t durable)
{
	const struct spool_notice notice = {
		.owner = WORKER, .serial = serial, .durable = durable, .messages = 1};

	notices_tell(&w->notices, &notice);
}

/* Delivery reads again. */
static void listens(struct world *w)
{
	w->deaf = false;
	ipc_port_handler.writable(&w->port);
}

static void each_batch_is_told_at_once(void **state)
{
	struct world *w = *state;

	committed(w, 1, 100);
	assert_int_equal(w->durable[1], 100);
	committed(w, 1, 200);
	assert_int_equal(w->durable[1], 200);
	assert_int_equal(w->messages, 2);
}

static void what_a_slow_delivery_does_not_take_is_summed_up(void **state)
{
	struct world *w = *state;

	w->deaf = true;
	for (uint32_t i = 0; i < 1000; i++)
		committed(w, 1 + i / 500, 100 + i);
	pass(w);
	assert_int_equal(w->notices_got, 0);
	listens(w);
	pass(w);
	assert_int_equal(w->messages, 1000);
	assert_true(w->notices_got <= 3);
	assert_int_equal(w->durable[2], 1099);
	assert_int_equal(w->turns, 0);
}

/* More mail comes in all the time. */
static void traffic_does_not_put_notices_off(void **state)
{
	struct world *w = *state;

	w->deaf = true;
	committed(w, 1, 100);
	listens(w);
	for (uint64_t i = 0; i < 20; i++) {
		committed(w, 1, 101 + i);
		pass_ms(w, NOTICES_MS / 10);
	}
	assert_int_equal(w->durable[1], 120);
	assert_int_equal(w->messages, 21);
}

/* It hangs for gigabytes: no more mail is taken in, nobody ends, and all is as before when it is
 * back. What was on its way comes in meanwhile. */
static void a_delivery_that_hangs_keeps_mail_out(void **state)
{
	struct world *w = *state;

	w->deaf = true;
	for (uint32_t serial = 1; serial <= NOTICES_FILES; serial++)
		committed(w, serial, 100);
	assert_false(w->pressed);
	for (uint32_t serial = NOTICES_FILES + 1; serial < 1500; serial++)
		committed(w, serial, 100);
	assert_true(w->pressed);
	pass(w);
	assert_true(w->pressed);
	listens(w);
	pass(w);
	assert_false(w->pressed);
	assert_int_equal(w->messages, 1499);
	for (uint32_t serial = 1; serial < 1500; serial++)
		assert_int_equal(w->durable[serial], 100);
	assert_int_equal(w->turns, 2);
}

/* It reads the files when it comes back. */
static void a_delivery_that_dies_lets_mail_in(void **state)
{
	struct world *w = *state;
	const struct spool_notice position = {.owner = WORKER, .serial = 1500, .durable = 7};

	w->deaf = true;
	for (uint32_t serial = 1; serial < 200; serial++)
		committed(w, serial, 100);
	assert_true(w->pressed);
	ipc_port_close(&w->port);
	notices_forget(&w->notices);
	assert_false(w->pressed);
	committed(w, 1500, 5);
	w->deaf = false;
	w->port.channel = &w->channel;
	notices_begin(&w->notices, &position);
	pass(w);
	assert_int_equal(w->messages, 0);
	assert_int_equal(w->durable[1500], 7);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_batch_is_told_at_once),
		TEST(what_a_slow_delivery_does_not_take_is_summed_up),
		TEST(traffic_does_not_put_notices_off),
		TEST(a_delivery_that_hangs_keeps_mail_out),
		TEST(a_delivery_that_dies_lets_mail_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
