#include "directory/names.h"

#include "common.h"

typedef int name_function(struct span in, struct arena *arena, struct span *out);

static void assert_name(name_function *function, const char *in, const char *expected)
{
	struct arena arena;
	struct span out = SPAN_NONE;

	arena_init(&arena, 10000);
	int err = function(span_str(in), &arena, &out);
	if (expected) {
		if (err < 0)
			fail_msg("\"%s\" was refused", in);
		assert_span(out, expected);
	} else if (err != ERR_SYNTAX) {
		fail_msg("\"%s\" gave %d", in, err);
	}
	arena_reset(&arena);
}

static void domains(void **state)
{
	(void)state;
	assert_name(name_domain, "a.example", "a.example");
	assert_name(name_domain, "A.Example.", "a.example");
	assert_name(name_domain, "xn--bcher-kva.example", "xn--bcher-kva.example");
	assert_name(name_domain,
		"B\xc3\x9c"
		"cher.example",
		"xn--bcher-kva.example");
	assert_name(name_domain, "1.2.3.example", "1.2.3.example");
	static const char *const bad[] = {"", ".", "..", "a..b", ".a", "a b", "a@b", "a_b", "-a.b",
		"a-.b", "192.0.2.1", "a.1", "[192.0.2.1]", "a/b", "*.example", "a.\xff",
		"a.example\n",
		"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.example"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_name(name_domain, bad[i], NULL);
}

static void accounts(void **state)
{
	(void)state;
	assert_name(name_account, "Ann@C.Example", "ann@c.example");
	assert_name(name_account, "a.b+tag@c.example", "a.b+tag@c.example");
	assert_name(name_account,
		"j\xc3\xbcrgen@b\xc3\xbc"
		"cher.example",
		"j\xc3\xbcrgen@xn--bcher-kva.example");
	static const char *const bad[] = {"", "ann", "@c.example", "ann@", ".ann@c.example",
		"ann.@c.example", "a..b@c.example", "\"a b\"@c.example", "a b@c.example",
		"a@b@c.example", "../x@c.example", "a/b@c.example", "ann@[192.0.2.1]",
		"a\x01@c.example", "a\xc2\x85@c.example"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_name(name_account, bad[i], NULL);
}

static void transports(void **state)
{
	(void)state;
	assert_true(name_is_transport(SPAN("site-a")));
	assert_true(name_is_transport(SPAN("0.b_c-d")));
	static const char *const bad[] = {
		"", "-a", ".a", "_a", "A", "a b", "a/b", "\xc3\xa4", "a:b"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(name_is_transport(span_str(bad[i])));
	char longest[64];
	memset(longest, 'a', sizeof(longest));
	assert_true(name_is_transport(span_of(longest, 63)));
	assert_false(name_is_transport(span_of(longest, 64)));
	assert_false(name_is_transport(span_of("a\0b", 3)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domains),
		cmocka_unit_test(accounts),
		cmocka_unit_test(transports),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
