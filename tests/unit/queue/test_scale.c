/*
 * A million queued messages: what they cost, and that nothing that happens while they wait goes
 * over all of them.
 */
#include "world.h"

#include "queue/internal.h"

#include <time.h>

#define MILLION 1000000u

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ids as two workers give them. */
static uint64_t id_of(uint32_t i)
{
	return 0x6000000000000000ull | (uint64_t)(i / 50000) << 32 | (uint64_t)(i % 2) << 24 |
	       i / 2;
}

static void add_many(struct world *w, uint32_t domains)
{
	struct world_mail mail;
	char rcpt[64];
	for (uint32_t i = 0; i < MILLION; i++) {
		snprintf(rcpt, sizeof(rcpt), "x@d%u.example", i % domains);
		world_mail(w, &mail, id_of(i), rcpt);
		assert_int_equal(queue_add(w->q, &mail.envelope, SPAN_NONE, w->now), 0);
	}
}

static void report(const char *what, double from)
{
	print_message("%-40s %.3f s\n", what, seconds() - from);
}

/* At most 240 bytes a message: with everything that it needs while it is deferred, delay warnings
 * included. */
static void bytes_per_message(void **state)
{
	struct world w;
	struct queue_start start;
	(void)state;
	world_init(&w, 100);
	struct transport mx = world_transport("mx");
	mx.delay_warning_s = 4 * 3600;
	world_set_transport(&w, &mx);
	double from = seconds();
	add_many(&w, 3);
	report("add a million", from);
	double each = (double)queue_memory(w.q) / MILLION;
	print_message("ready: %.1f bytes a message\n", each);
	assert_true(each <= 200);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(queue_next(w.q, w.now, &start), 0);
		struct verdict verdict = world_verdict(421, "connection refused");
		queue_destination_failed(w.q, start.unit, &verdict, w.now);
	}
	from = seconds();
	double worst = 0;
	while (queue_next_time(w.q, w.now) == w.now) {
		double step = seconds();
		queue_run(w.q, w.now);
		worst = MAX(worst, seconds() - step);
	}
	report("a million wait for their destinations", from);
	print_message("longest queue_run(): %.3f ms\n", worst * 1e3);
	each = (double)queue_memory(w.q) / MILLION;
	print_message("waiting: %.1f bytes a message\n", each);
	assert_true(each <= 240);
	assert_int_equal(world_count(&w, QUEUE_DOWN), MILLION);

	/* back again: at once, whatever the number */
	w.now += 10 * SECOND;
	queue_run(w.q, w.now);
	for (int i = 0; i < 3; i++) {
		enum verdict_kind ok = VERDICT_OK;
		assert_int_equal(queue_next(w.q, w.now, &start), 0);
		queue_unit_result(w.q, start.unit, &ok, QUEUE_ANSWER_NONE, NULL, w.now);
	}
	assert_int_equal(world_count(&w, QUEUE_READY), MILLION - 3);
	from = seconds();
	for (uint32_t i = 0; i < MILLION - 3; i++) {
		enum verdict_kind ok = VERDICT_OK;
		assert_int_equal(queue_next(w.q, w.now, &start), 0);
		queue_unit_result(w.q, start.unit, &ok, QUEUE_ANSWER_NONE, NULL, w.now);
		if (i % 250000 == 0) {
			double check = seconds();
			world_check(&w);
			from += seconds() - check; /* that goes over everything */
		}
	}
	report("deliver a million", from);
	free(w.finished);
	w.finished = NULL;
	w.finished_count = 0;
	world_done(&w);
}

/* Each to a domain of its own: a destination costs more than a message, but not without bound, and
 * it goes when it is empty. */
static void a_domain_each(void **state)
{
	struct world w;
	(void)state;
	world_init(&w, 100);
	double from = seconds();
	struct world_mail mail;
	char rcpt[64];
	for (uint32_t i = 0; i < 100000; i++) {
		snprintf(rcpt, sizeof(rcpt), "x@d%u.example", i);
		world_mail(&w, &mail, id_of(i), rcpt);
		assert_int_equal(queue_add(w.q, &mail.envelope, SPAN_NONE, w.now), 0);
	}
	report("add 100,000 to as many destinations", from);
	print_message("%.1f bytes each\n", (double)queue_memory(w.q) / 100000);
	assert_true(queue_memory(w.q) / 100000 < 800);
	from = seconds();
	struct queue_start start;
	while (queue_next(w.q, w.now, &start) == 0) {
		enum verdict_kind ok = VERDICT_OK;
		queue_unit_result(w.q, start.unit, &ok, QUEUE_ANSWER_NONE, NULL, w.now);
	}
	report("deliver them", from);
	for (int i = 0; i < 100; i++)
		queue_run(w.q, w.now);
	assert_int_equal(w.gone, 100000 - QUEUE_LINGER_MOST);
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_per_message),
		cmocka_unit_test(a_domain_each),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
