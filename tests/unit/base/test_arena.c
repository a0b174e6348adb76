#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"

#include <stdalign.h>

static void memory_is_zeroed_aligned_and_apart(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 1 << 20);
	unsigned char *last = NULL;
	for (size_t size = 0; size < 3000; size += 37) {
		unsigned char *p = arena_alloc(&arena, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
		assert_ptr_not_equal(p, last);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
		last = p;
	}
	arena_reset(&arena);
}

static void the_bound_is_kept_and_sticks(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, 100);
	assert_non_null(arena_alloc(&arena, 64));
	assert_null(arena_alloc(&arena, 64));
	assert_true(arena.overflow);
	/* Even what would fit is refused now: the transaction is lost as a whole. */
	assert_null(arena_alloc(&arena, 1));
	arena_reset(&arena);
	assert_false(arena.overflow);
	assert_non_null(arena_alloc(&arena, 64));
	arena_reset(&arena);
}

static void absurd_sizes_are_refused(void **state)
{
	(void)state;
	struct arena arena;
	arena_init(&arena, SIZE_MAX);
	assert_null(arena_alloc(&arena, SIZE_MAX));
	assert_true(arena.overflow);
	arena_reset(&arena);
	struct span none = arena_copy(&arena, span_of("x", SIZE_MAX));
	assert_null(none.p);
	arena_reset(&arena);
}

static void a_copy_is_its_own_and_ends_in_nul(void **state)
{
	(void)state;
	struct arena arena;
	char text[] = "ann";
	arena_init(&arena, 4096);
	struct span copy = arena_copy(&arena, span_of(text, 3));
	text[0] = 'x';
	assert_int_equal(copy.n, 3);
	assert_string_equal(copy.p, "ann");
	struct span empty = arena_copy(&arena, SPAN_NONE);
	assert_non_null(empty.p);
	assert_int_equal(empty.n, 0);
	arena_reset(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
		cmocka_unit_test(the_bound_is_kept_and_sticks),
		cmocka_unit_test(absurd_sizes_are_refused),
		cmocka_unit_test(a_copy_is_its_own_and_ends_in_nul),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
