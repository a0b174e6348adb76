#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

static void a_seed_gives_one_sequence(void **state)
{
	(void)state;
	struct prng a, b, c;
	prng_seed(&a, 42);
	prng_seed(&b, 42);
	prng_seed(&c, 43);
	int same = 0;
	for (int i = 0; i < 1000; i++) {
		uint64_t value = prng_u64(&a);
		assert_int_equal(value, prng_u64(&b));
		same += value == prng_u64(&c);
	}
	assert_int_equal(same, 0);
}

/* Known answer of xoshiro256** from the state 1, 2, 3, 4. */
static void it_is_the_generator_it_claims_to_be(void **state)
{
	(void)state;
	struct prng prng = {{1, 2, 3, 4}};
	static const uint64_t known[] = {11520, 0, 1509978240, 1215971899390074240};
	for (int i = 0; i < 4; i++)
		assert_int_equal(prng_u64(&prng), known[i]);
}

static void below_is_below_and_even(void **state)
{
	(void)state;
	struct prng prng;
	unsigned count[10] = {0};
	prng_seed(&prng, 0);
	for (int i = 0; i < 100000; i++) {
		uint64_t value = prng_below(&prng, 10);
		assert_true(value < 10);
		count[value]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(count[i], 9500, 10500);
	assert_int_equal(prng_below(&prng, 1), 0);
	for (int i = 0; i < 100; i++)
		assert_true(prng_below(&prng, UINT64_MAX / 2 + 2) < UINT64_MAX / 2 + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_seed_gives_one_sequence),
		cmocka_unit_test(it_is_the_generator_it_claims_to_be),
		cmocka_unit_test(below_is_below_and_even),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
