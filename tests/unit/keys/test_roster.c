/* Accounts found by a digest of their names, and whom a made-up name gets instead. */
#include "base/check.h"
#include "base/err.h"
#include "keys/roster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAMES 1000

static const uint8_t secret[KEYED_SECRET] = {4, 5};

static void good_digest(void *context, struct span name, uint8_t out[KEYED_DIGEST])
{
	keyed_digest(context, 'n', name, out);
}

/* One of eight: names share them. */
static void poor_digest(void *context, struct span name, uint8_t out[KEYED_DIGEST])
{
	keyed_digest(context, 'n', name, out);
	memset(out + 1, 0, KEYED_DIGEST - 1);
	out[0] &= 7;
}

/* Account i is "user<i>@c.example", and its value the number. */
static struct secrets *accounts(unsigned first, unsigned count)
{
	static char names[NAMES][32], values[NAMES][8];
	struct secret list[NAMES];
	struct secrets *out;
	int memfd;

	for (unsigned i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "user%u@c.example", first + i);
		snprintf(values[i], sizeof(values[i]), "%u", first + i);
		list[i] = (struct secret){span_str(names[i]), span_str(values[i])};
	}
	assert_int_equal(secrets_make_memfd(list, count, &memfd), 0);
	assert_int_equal(secrets_open(memfd, &out), 0);
	return out;
}

static struct roster *roster(unsigned first, unsigned count, roster_digest *digest, void *keyed)
{
	struct roster *out;

	assert_int_equal(roster_new(accounts(first, count), digest, keyed, &out), 0);
	return out;
}

static struct roster_found find(
	const struct roster *r, roster_digest *digest, void *keyed, const char *name)
{
	struct roster_found found;
	uint8_t hash[KEYED_DIGEST];

	digest(keyed, span_str(name), hash);
	roster_find(r, hash, span_str(name), &found);
	return found;
}

static unsigned number_of(struct span value)
{
	char text[8] = "";

	assert_true(value.n && value.n < sizeof(text));
	memcpy(text, value.p, value.n);
	return (unsigned)strtoul(text, NULL, 10);
}

static struct keyed *new_key(void)
{
	struct keyed *keyed;

	assert_int_equal(keyed_new(secret, &keyed), 0);
	return keyed;
}

static void all_are_found(unsigned count, roster_digest *digest)
{
	struct keyed *keyed = new_key();
	struct roster *r = roster(0, count, digest, keyed);
	char name[32];

	for (unsigned i = 0; i < 2 * count; i++) {
		snprintf(name, sizeof(name), "user%u@c.example", i);
		struct roster_found found = find(r, digest, keyed, name);
		assert_int_equal(found.known, i < count);
		if (i < count)
			assert_int_equal(number_of(found.value), i);
		/* Else somebody of those who are there. */
		assert_true(number_of(found.value) < count);
		assert_int_equal(span_equal(found.name, span_str(name)), i < count);
	}
	roster_free(&r);
	keyed_free(&keyed);
}

static void each_account_is_found_and_nobody_else(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 40; count++)
		all_are_found(count, good_digest);
	all_are_found(NAMES, good_digest);
}

static void names_with_the_same_digest_are_both_found(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 20; count++)
		all_are_found(count, poor_digest);
	all_are_found(NAMES, poor_digest);
}

/* Not by a part of a name, nor one with more behind it. */
static void a_name_is_compared_whole(void **state)
{
	struct keyed *keyed = new_key();
	struct roster *r = roster(0, 1, poor_digest, keyed);
	static const char *const others[] = {"", "u", "user0@c.exampl", "user0@c.example.",
		"user0@c.examplf", "User0@c.example", "vser0@c.example"};
	char longest[400];
	uint8_t hash[KEYED_DIGEST];
	struct roster_found found;
	(void)state;

	/* All with the digest of the one that there is. */
	poor_digest(keyed, SPAN("user0@c.example"), hash);
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		roster_find(r, hash, span_str(others[i]), &found);
		assert_false(found.known);
	}
	memset(longest, 0, sizeof(longest));
	memcpy(longest, "user0@c.example", 15);
	roster_find(r, hash, span_of(longest, sizeof(longest)), &found);
	assert_false(found.known);
	roster_find(r, hash, span_of(longest, 15), &found);
	assert_true(found.known);
	roster_find(r, hash, span_of(longest, 16), &found);
	assert_false(found.known);
	roster_free(&r);
	keyed_free(&keyed);
}

static void a_stand_in_stays_while_others_come_and_go(void **state)
{
	struct keyed *keyed = new_key();
	struct roster *r = roster(0, 500, good_digest, keyed);
	struct roster *same = roster(0, 500, good_digest, keyed);
	struct roster *more = roster(0, 501, good_digest, keyed);
	unsigned others = 0, seen[500] = {0}, most = 0;
	char name[32];
	(void)state;

	for (unsigned i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "nobody%u@c.example", i);
		unsigned a = number_of(find(r, good_digest, keyed, name).value);
		assert_int_equal(number_of(find(same, good_digest, keyed, name).value), a);
		others += number_of(find(more, good_digest, keyed, name).value) != a;
		most = MAX(most, ++seen[a]);
	}
	/* One more account stands in for its share of names, and no other changes. Nobody is
	 * everybody's. */
	assert_true(others < 20000 / 50);
	assert_true(most < 20000 / 20);
	roster_free(&r);
	roster_free(&same);
	roster_free(&more);
	keyed_free(&keyed);
}

static void a_digest_has_a_name_while_there_is_the_account(void **state)
{
	struct keyed *keyed = new_key();
	struct roster *r = roster(0, 10, good_digest, keyed), *none;
	uint8_t hash[KEYED_DIGEST];
	(void)state;

	good_digest(keyed, SPAN("user3@c.example"), hash);
	assert_true(span_equal(roster_name(r, hash), SPAN("user3@c.example")));
	none = roster(0, 0, good_digest, keyed);
	assert_int_equal(roster_name(none, hash).n, 0);
	good_digest(keyed, SPAN("user30@c.example"), hash);
	assert_int_equal(roster_name(r, hash).n, 0);
	assert_false(find(none, good_digest, keyed, "user3@c.example").known);
	assert_int_equal(find(none, good_digest, keyed, "user3@c.example").value.n, 0);
	roster_free(&r);
	roster_free(&none);
	keyed_free(&keyed);
}

static void a_digest_is_of_one_text_one_kind_and_one_gateway(void **state)
{
	static const uint8_t other[KEYED_SECRET] = {4, 6};
	uint8_t a[KEYED_DIGEST], b[KEYED_DIGEST];
	struct keyed *keyed = new_key(), *elsewhere;
	(void)state;

	assert_int_equal(keyed_new(other, &elsewhere), 0);
	keyed_digest(keyed, 'n', SPAN("joe"), a);
	keyed_digest(keyed, 'n', SPAN("ann"), b);
	assert_memory_not_equal(a, b, sizeof(a));
	keyed_digest(keyed, 'n', SPAN("joe"), b);
	assert_memory_equal(a, b, sizeof(a));
	keyed_digest(keyed, 'a', SPAN("joe"), b);
	assert_memory_not_equal(a, b, sizeof(a));
	keyed_digest(elsewhere, 'n', SPAN("joe"), b);
	assert_memory_not_equal(a, b, sizeof(a));
	keyed_digest(keyed, 'n', SPAN_NONE, b);
	assert_memory_not_equal(a, b, sizeof(a));
	keyed_free(&keyed);
	keyed_free(&elsewhere);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_account_is_found_and_nobody_else),
		cmocka_unit_test(names_with_the_same_digest_are_both_found),
		cmocka_unit_test(a_name_is_compared_whole),
		cmocka_unit_test(a_stand_in_stays_while_others_come_and_go),
		cmocka_unit_test(a_digest_has_a_name_while_there_is_the_account),
		cmocka_unit_test(a_digest_is_of_one_text_one_kind_and_one_gateway),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
