#include "base/err.h"
#include "io/logsink.h"
#include "loop_peer.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static struct logsink *sink_on(struct loop *loop, int fd, enum logsink_format format)
{
	struct logsink *sink;
	const struct logsink_config config = {.io = loop ? loop_io(loop) : NULL,
		.fd = fd,
		.format = format,
		.least = LOG_INFO,
		.role = "smtpd 0"};
	assert_int_equal(logsink_new(&config, &sink), 0);
	return sink;
}

static void pipe_of(int fds[2], size_t bytes)
{
	assert_int_equal(pipe(fds), 0);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	if (bytes)
		assert_true(fcntl(fds[1], F_SETPIPE_SZ, (int)bytes) >= 0);
}

static size_t read_all(int fd, char *to, size_t room)
{
	size_t n = 0;
	ssize_t got;
	while (n < room - 1 && (got = read(fd, to + n, room - 1 - n)) > 0)
		n += (size_t)got;
	to[n] = 0;
	return n;
}

static void peer_bytes_cannot_forge_a_line(void **state)
{
	int fds[2];
	char got[4096];
	(void)state;

	pipe_of(fds, 0);
	struct logsink *sink = sink_on(NULL, fds[1], LOGSINK_TEXT);
	log_write(logsink_log(sink), LOG_WARN, "client refused",
		LOG_STR("helo", "a\r\nerror \"fake\" \x1b[2J"), LOG_U64("errors", 3));
	log_write(logsink_log(sink), LOG_DEBUG, "not shown", LOG_U64("x", 1));
	read_all(fds[0], got, sizeof(got));
	assert_non_null(strstr(got, " warning smtpd 0: client refused helo=\"a\\x0d\\x0aerror"));
	assert_non_null(strstr(got, "errors=3\n"));
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
	assert_null(strchr(got, 0x1b));
	assert_null(strstr(got, "not shown"));
	logsink_set_level(sink, LOG_DEBUG);
	log_write(logsink_log(sink), LOG_DEBUG, "now shown", LOG_U64("x", 1));
	read_all(fds[0], got, sizeof(got));
	assert_non_null(strstr(got, "now shown x=1\n"));
	logsink_free(&sink);
	close(fds[0]);
	close(fds[1]);
}

static void json_lines_and_events(void **state)
{
	int fds[2];
	char got[4096];
	(void)state;

	pipe_of(fds, 0);
	struct logsink *sink = sink_on(NULL, fds[1], LOGSINK_JSON);
	log_write(
		logsink_log(sink), LOG_INFO, "started", LOG_STR("say", "a\"b\n"), LOG_ID("id", 0));
	logsink_line(sink, SPAN("{\"event\":\"Delivery\"}"), SPAN("delivered"));
	read_all(fds[0], got, sizeof(got));
	assert_non_null(strstr(got, "\"level\":\"info\",\"role\":\"smtpd "
				    "0\",\"message\":\"started\",\"say\":\"a\\\"b\\n\""));
	assert_non_null(strstr(got, "\"id\":\"0000000000000\"}\n{\"event\":\"Delivery\"}\n"));
	assert_null(strstr(got, "delivered"));
	logsink_free(&sink);
	close(fds[0]);
	close(fds[1]);
}

static void lines_are_gathered_and_errors_go_at_once(void **state)
{
	struct loop *loop;
	int fds[2];
	char got[4096];
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	pipe_of(fds, 0);
	struct logsink *sink = sink_on(loop, fds[1], LOGSINK_TEXT);
	log_write(logsink_log(sink), LOG_INFO, "first", LOG_U64("n", 1));
	log_write(logsink_log(sink), LOG_INFO, "second", LOG_U64("n", 2));
	run_for(loop, 5);
	assert_int_equal(read_all(fds[0], got, sizeof(got)), 0);
	run_for(loop, LOGSINK_DELAY_MS + 50);
	assert_true(read_all(fds[0], got, sizeof(got)) > 0);
	assert_true(strstr(got, "first n=1\n") < strstr(got, "second n=2\n"));
	log_write(logsink_log(sink), LOG_ERROR, "broken", LOG_U64("n", 3));
	run_for(loop, 10);
	read_all(fds[0], got, sizeof(got));
	assert_non_null(strstr(got, "broken n=3\n"));
	/* The last words. */
	log_write(logsink_log(sink), LOG_INFO, "last", LOG_U64("n", 4));
	logsink_free(&sink);
	read_all(fds[0], got, sizeof(got));
	assert_non_null(strstr(got, "last n=4\n"));
	loop_free(&loop);
	close(fds[0]);
	close(fds[1]);
}

static void a_reader_that_stops_costs_lines_not_time(void **state)
{
	struct loop *loop;
	int fds[2];
	static char got[4u << 20];
	char line[200];
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	pipe_of(fds, 4096);
	struct logsink *sink = sink_on(loop, fds[1], LOGSINK_TEXT);
	memset(line, 'x', sizeof(line));
	int given = 0;
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 100; i++, given++)
			log_write(logsink_log(sink), LOG_WARN, "filler",
				LOG_SPAN("x", span_of(line, sizeof(line))),
				LOG_U64("n", (uint64_t)given));
		assert_false(run_for(loop, 1));
	}
	assert_true(logsink_dropped(sink) > 0);
	/* The reader wakes up: whole lines, in order, and the gap is told. */
	size_t n = 0;
	for (int i = 0; i < 2000 && (logsink_busy(sink) || i < 20); i++) {
		run_for(loop, 1);
		n += read_all(fds[0], got + n, sizeof(got) - n);
	}
	log_write(logsink_log(sink), LOG_WARN, "after", LOG_U64("n", 1));
	run_for(loop, 20);
	n += read_all(fds[0], got + n, sizeof(got) - n);
	assert_non_null(strstr(got, "log lines were dropped"));
	assert_non_null(strstr(got, "after n=1\n"));
	long last = -1;
	int lines = 0;
	for (char *p = got, *end; (end = strchr(p, '\n')); p = end + 1) {
		*end = 0;
		char *at = strstr(p, " n=");
		if (!strstr(p, "filler") || !at)
			continue;
		long number = strtol(at + 3, NULL, 10);
		assert_true(number > last);
		last = number;
		lines++;
	}
	assert_int_equal(lines + (int)logsink_dropped(sink), given);
	logsink_free(&sink);
	loop_free(&loop);
	close(fds[0]);
	close(fds[1]);
}

static void the_last_words_do_not_wait_for_ever(void **state)
{
	struct loop *loop;
	int fds[2];
	(void)state;

	assert_int_equal(loop_new(&loop), 0);
	pipe_of(fds, 4096);
	struct logsink *sink = sink_on(loop, fds[1], LOGSINK_TEXT);
	for (int i = 0; i < 200; i++)
		log_write(logsink_log(sink), LOG_WARN, "nobody reads this at all, at all",
			LOG_U64("n", 1));
	run_for(loop, 20);
	assert_true(logsink_busy(sink));
	log_write(logsink_log(sink), LOG_WARN, "the end", LOG_U64("n", 1));
	logsink_last(sink);
	/* Let the lane end. */
	char got[4096];
	while (logsink_busy(sink)) {
		run_for(loop, 1);
		read_all(fds[0], got, sizeof(got));
	}
	logsink_free(&sink);
	loop_free(&loop);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peer_bytes_cannot_forge_a_line),
		cmocka_unit_test(json_lines_and_events),
		cmocka_unit_test(lines_are_gathered_and_errors_go_at_once),
		cmocka_unit_test(a_reader_that_stops_costs_lines_not_time),
		cmocka_unit_test(the_last_words_do_not_wait_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
