/* Functions that stand still in the middle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "io/fiber.h"

#include <sys/wait.h>
#include <unistd.h>

#define MOST 5

struct walk {
	struct fiber *fiber;
	int steps, done;
	uint64_t sum;
};

/* What it has on its stack must be there after each pause. */
static void walk(void *arg)
{
	struct walk *w = arg;
	unsigned char trail[256];

	for (int i = 0; i < w->steps; i++) {
		trail[i] = (unsigned char)(7 * i + w->steps);
		w->done++;
		fiber_pause(w->fiber);
		for (int j = 0; j <= i; j++)
			w->sum += trail[j] == (unsigned char)(7 * j + w->steps);
	}
}

static void many_go_on_in_any_order(void **state)
{
	struct walk walks[MOST] = {{0}};
	struct fibers *fibers;
	(void)state;

	assert_int_equal(fibers_new(MOST, &fibers), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < MOST; i++) {
			walks[i] = (struct walk){.fiber = fiber_take(fibers), .steps = 10 + 3 * i};
			assert_non_null(walks[i].fiber);
			assert_false(fiber_begin(walks[i].fiber, walk, &walks[i]));
		}
		assert_int_equal(fibers_left(fibers), 0);
		assert_null(fiber_take(fibers));
		for (int left = MOST, at = 0; left; at = (at + 3) % MOST) {
			struct walk *w = &walks[at];
			if (!w->fiber || !fiber_resume(w->fiber))
				continue;
			assert_int_equal(w->done, w->steps);
			assert_int_equal(w->sum, w->steps * (w->steps + 1) / 2);
			fiber_give(fibers, w->fiber);
			w->fiber = NULL;
			left--;
		}
		assert_int_equal(fibers_left(fibers), MOST);
	}
	fibers_free(&fibers);
	assert_null(fibers);
}

static void at_once(void *arg)
{
	struct walk *w = arg;

	w->done++;
}

static void one_that_does_not_wait_is_over_at_once(void **state)
{
	struct walk w = {0};
	struct fibers *fibers;
	(void)state;

	assert_int_equal(fibers_new(1, &fibers), 0);
	w.fiber = fiber_take(fibers);
	for (int i = 0; i < 1000; i++)
		assert_true(fiber_begin(w.fiber, at_once, &w));
	assert_int_equal(w.done, 1000);
	fiber_give(fibers, w.fiber);
	fibers_free(&fibers);
}

/* ---- depth ---------------------------------------------------------------------------------- */

#define FRAME 1024

static __attribute__((noinline)) size_t dig(size_t frames)
{
	volatile char frame[FRAME];

	for (size_t i = 0; i < sizeof(frame); i += 64)
		frame[i] = (char)frames;
	size_t deeper = frames ? dig(frames - 1) : 0;
	/* Its frame is needed behind the call: else a compiler makes a loop of it. */
	__asm__ volatile("" : : "r"(frame) : "memory");
	return frames ? deeper + (frame[0] == (char)frames) : 0;
}

static void dig_down(void *arg)
{
	size_t *frames = arg;

	*frames = dig(*frames);
}

static void most_of_the_stack_can_be_used_and_no_more(void **state)
{
	size_t frames = FIBER_STACK / FRAME / 2;
	struct fibers *fibers;
	(void)state;

	assert_int_equal(fibers_new(1, &fibers), 0);
	struct fiber *f = fiber_take(fibers);
	assert_true(fiber_begin(f, dig_down, &frames));
	assert_int_equal(frames, FIBER_STACK / FRAME / 2);
	/* Further down nothing of anybody's is overwritten: the process ends. */
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		frames = 2 * FIBER_STACK / FRAME;
		(void)fiber_begin(f, dig_down, &frames);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
	fiber_give(fibers, f);
	fibers_free(&fibers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_go_on_in_any_order),
		cmocka_unit_test(one_that_does_not_wait_is_over_at_once),
		cmocka_unit_test(most_of_the_stack_can_be_used_and_no_more),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
