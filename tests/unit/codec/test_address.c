#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "codec/address.h"

static struct arena arena;
static struct address a;
static size_t used;

static int setup(void **state)
{
	(void)state;
	arena_init(&arena, 1 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	arena_reset(&arena);
	return 0;
}

static int path(const char *in, unsigned flags)
{
	return address_parse_path(span_str(in), flags, &arena, &a, &used);
}

/* arena_copy() ends it in a NUL. */
static void expect(const char *in, const char *mailbox)
{
	assert_int_equal(path(in, 0), 0);
	assert_string_equal(a.mailbox.p, mailbox);
	assert_int_equal(a.mailbox.n, strlen(mailbox));
	assert_int_equal(used, strlen(in));
	assert_int_equal(a.local.n + 1 + a.domain.n, a.mailbox.n);
	assert_false(a.null || a.postmaster);
	/* What comes out is canonical: it stays as it is. */
	struct address again;
	assert_int_equal(address_parse_mailbox(a.mailbox, &arena, &again), 0);
	assert_true(span_equal(again.mailbox, a.mailbox));
}

static void plain_addresses(void **state)
{
	(void)state;
	expect("<ann@example.org>", "ann@example.org");
	expect("<Ann.Lee@EXAMPLE.Org>", "Ann.Lee@example.org"); /* the local part's case is kept */
	expect("<a!#$%&'*+-/=?^_`{|}~z@x-1.example>", "a!#$%&'*+-/=?^_`{|}~z@x-1.example");
	expect("<1@2.example>", "1@2.example");
	expect("<a@localhost>", "a@localhost");
	assert_false(a.utf8 || a.literal || a.ulabel);
	expect("<joe@xn--mnchen-3ya.example>", "joe@xn--mnchen-3ya.example");
}

static void needless_quotes_go(void **state)
{
	(void)state;
	expect("<\"a\"@x.example>", "a@x.example");
	expect("<\"a.b\"@x.example>", "a.b@x.example");
	expect("<\"a\\b\"@x.example>", "ab@x.example");
	expect("<\"\\a\\.\\b\"@x.example>", "a.b@x.example");
	/* RFC 3696 and its errata: these need theirs. */
	expect("<\"Abc\\@def\"@example.com>", "\"Abc@def\"@example.com");
	expect("<\"Fred\\ Bloggs\"@example.com>", "\"Fred Bloggs\"@example.com");
	expect("<\"Joe.\\\\Blow\"@example.com>", "\"Joe.\\\\Blow\"@example.com");
	expect("<\"a\\\"b\"@x.example>", "\"a\\\"b\"@x.example");
	expect("<\"\"@x.example>", "\"\"@x.example");
	expect("<\".a\"@x.example>", "\".a\"@x.example");
	expect("<\"a..b\"@x.example>", "\"a..b\"@x.example");
	expect("<\"a>b\"@x.example>", "\"a>b\"@x.example");
	expect("<\" \"@x.example>", "\" \"@x.example");
}

static void source_routes_are_dropped(void **state)
{
	(void)state;
	expect("<@hosta.int,@jkl.org:userc@d.bar.org>", "userc@d.bar.org");
	expect("<@ONE:joe@THREE>", "joe@three");
	static const char *const bad[] = {"<@a.example>", "<@a.example:>", "<@a.example b@c>",
		"<@:b@c>", "<@a.example,:b@c>", "<@a.example,b.example:b@c>", "<@a..b:b@c>",
		"<@a:@b:c@d>", "<@a,", "<@", "<@[1.2.3.4]:b@c>"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(path(bad[i], ADDRESS_POSTMASTER_ALLOWED), ERR_SYNTAX);
}

static void literals_have_one_form(void **state)
{
	(void)state;
	expect("<a@[192.0.2.1]>", "a@[192.0.2.1]");
	assert_true(a.literal);
	expect("<a@[ipv6:2001:DB8:0:0:0:0:0:1]>", "a@[IPv6:2001:db8::1]");
	expect("<a@[IPv6:::1]>", "a@[IPv6:::1]");
	expect("<a@[IPv6:::ffff:192.0.2.1]>", "a@[192.0.2.1]");
	static const char *const bad[] = {"<a@[]>", "<a@[1.2.3]>", "<a@[1.2.3.4>",
		"<a@[2001:db8::1]>", "<a@[IPv6:1.2.3.4]>", "<a@[IPv6:]>", "<a@[IPv6:fe80::1%1]>",
		"<a@[1.2.3.4].x>", "<a@[1.2.3.4]x>", "<a@[example.org]>", "<a@[256.1.1.1]>"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_true(path(bad[i], 0) == ERR_SYNTAX || path(bad[i], 0) == ERR_UNSUPPORTED);
	/* General-address-literal: good grammar, but of a kind that does not exist. */
	assert_int_equal(path("<a@[x400:c=us]>", 0), ERR_UNSUPPORTED);
	assert_int_equal(path("<a@[x-:foo]>", 0), ERR_SYNTAX);
}

static void international_domains_become_a_labels(void **state)
{
	(void)state;
	expect("<joe@m\xc3\xbcnchen.example>", "joe@xn--mnchen-3ya.example");
	assert_true(a.ulabel);
	assert_false(a.utf8);
	expect("<joe@M\xc3\x9cNCHEN.Example>", "joe@xn--mnchen-3ya.example");
	/* Non-transitional: the sharp s is a letter of its own. */
	expect("<joe@stra\xc3\x9f"
	       "e.example>",
		"joe@xn--strae-oqa.example");
	/* An ideographic full stop is a dot. */
	expect("<joe@\xe4\xbe\x8b\xe3\x80\x82\xe5\xad\x90>", "joe@xn--fsq.xn--i8s");
	/* A combining diaeresis makes the same label. */
	expect("<joe@mu\xcc\x88nchen.example>", "joe@xn--mnchen-3ya.example");
	static const char *const bad[] = {
		"<joe@m\xfcnchen.example>",   /* Latin-1 */
		"<joe@\xe2\x80\x8e.example>", /* a bare direction mark */
		"<joe@-\xc3\xbc.example>",
		"<joe@\xc3\xbc-.example>",
		"<joe@\xc3\xbc..example>",
		"<joe@\xc3\xbc.example.>",
		"<joe@a\xef\xbc\xa0\x62.example>",
		"<joe@\xc3\xbc\xef\xbc\xa0\x62.example>", /* a fullwidth commercial at */
		"<joe@xn--zzzzzzzzz.\xc3\xbc>",		  /* no punycode */
		"<joe@\xc3\xbc_.example>",
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(path(bad[i], 0), ERR_SYNTAX);
}

static void international_local_parts_are_kept(void **state)
{
	(void)state;
	expect("<j\xc3\xbcrgen@example.org>", "j\xc3\xbcrgen@example.org");
	assert_true(a.utf8);
	expect("<\"j\xc3\xbcrgen\"@example.org>", "j\xc3\xbcrgen@example.org");
	assert_true(a.utf8);
	expect("<\"j\xc3\xbc rgen\"@example.org>", "\"j\xc3\xbc rgen\"@example.org");
	assert_true(a.utf8);
	assert_int_equal(path("<j\xfcrgen@example.org>", 0), ERR_SYNTAX);
	assert_int_equal(path("<\"j\xfcrgen\"@example.org>", 0), ERR_SYNTAX);
	assert_int_equal(
		path("<\"\\\xc3\xbc\"@example.org>", 0), ERR_SYNTAX); /* RFC 6531 section 3.3 */
	assert_int_equal(path("<j\xc3", 0), ERR_SYNTAX);
}

static void bad_syntax_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "<", ">", "<>", "<a>", "<@>", "<a@>", "<@b.example>",
		"<a@b@c>", "<a b@c>", "< a@b>", "<a@b >", "<a @b>", "<a@ b>", "<.a@b>", "<a.@b>",
		"<a..b@c>", "<a@b.>", "<a@.b>", "<a@b..c>", "<a@-b>", "<a@b->", "<a@b-.c>",
		"<a@b_c>", "<a@b", "a@b", "a@b>", " <a@b>", "<\"a@b>", "<\"a\"b@c>", "<\"a\\",
		"<\"a\\\"@b>", "<a\"b\"@c>", "<a,b@c>", "<a(b)@c>", "<a@b(c)>", "<a@b,c>",
		"<postmaster>", "<\x01@b>", "<\"\x01\"@b>", "<\"\t\"@b>", "<a@b\x7f>", "<<a@b>>",
		"<a@*.b>", "<a:b@c>", "<a;b@c>", "<a\\@b@c>"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct address before = a = (struct address){.utf8 = true};
		assert_int_equal(path(bad[i], 0), ERR_SYNTAX);
		assert_memory_equal(&a, &before, sizeof(a));
	}
	assert_int_equal(address_parse_path(SPAN("<a\0b@c>"), 0, &arena, &a, &used), ERR_SYNTAX);
	assert_int_equal(
		address_parse_path(SPAN("<\"a\0b\"@c>"), 0, &arena, &a, &used), ERR_SYNTAX);
	assert_int_equal(address_parse_path(SPAN("<a@c\0d>"), 0, &arena, &a, &used), ERR_SYNTAX);
}

/* "<" + local bytes of 'l' + "@" + domain bytes of labels + ">" */
static int sized(size_t local, size_t domain)
{
	struct buf in;
	buf_init(&in, 100000);
	buf_add_char(&in, '<');
	for (size_t i = 0; i < local; i++)
		buf_add_char(&in, 'l');
	buf_add_char(&in, '@');
	for (size_t i = 0; i < domain; i++)
		buf_add_char(&in, i % 60 == 59 && i + 1 < domain ? '.' : 'd');
	buf_add_char(&in, '>');
	int err = address_parse_path(buf_span(&in), 0, &arena, &a, &used);
	buf_done(&in);
	return err;
}

static void lengths_are_bounded(void **state)
{
	(void)state;
	assert_int_equal(sized(64, 189), 0); /* a path of 256 */
	assert_int_equal(sized(64, 190), ERR_LIMIT);
	assert_int_equal(sized(65, 10), ERR_LIMIT);
	assert_int_equal(sized(1, 252), 0);
	assert_int_equal(sized(1, 253), ERR_LIMIT);
	assert_int_equal(sized(1, 300), ERR_LIMIT);
	assert_int_equal(sized(20000, 20000), ERR_LIMIT);
	char label[70] = "<a@";
	memset(label + 3, 'x', 63);
	memcpy(label + 66, ">", 2);
	assert_int_equal(path(label, 0), 0);
	memcpy(label + 66, "x>", 3);
	assert_int_equal(path(label, 0), ERR_LIMIT);
	/* Quotes that go do not count, those that stay do. */
	char quoted[80] = "<\"";
	memset(quoted + 2, 'q', 64);
	memcpy(quoted + 66, "\"@b>", 5);
	assert_int_equal(path(quoted, 0), 0);
	quoted[2] = ' ';
	assert_int_equal(path(quoted, 0), ERR_LIMIT);
}

static void mail_takes_the_null_path(void **state)
{
	(void)state;
	assert_int_equal(path("<> SIZE=1", ADDRESS_NULL_ALLOWED), 0);
	assert_true(a.null);
	assert_int_equal(a.mailbox.n, 0);
	assert_int_equal(used, 2);
	assert_int_equal(path("< >", ADDRESS_NULL_ALLOWED | ADDRESS_LENIENT), ERR_SYNTAX);
}

static void rcpt_takes_postmaster_alone(void **state)
{
	(void)state;
	assert_int_equal(path("<PostMaster>", ADDRESS_POSTMASTER_ALLOWED), 0);
	assert_true(a.postmaster);
	assert_string_equal(a.mailbox.p, "postmaster");
	assert_int_equal(a.domain.n, 0);
	assert_int_equal(address_add_domain(&a, SPAN("gw.example"), &arena), 0);
	assert_string_equal(a.mailbox.p, "postmaster@gw.example");
	assert_true(span_equal(a.domain, SPAN("gw.example")));
	assert_true(span_equal(a.local, SPAN("postmaster")));
	assert_int_equal(path("<postmasters>", ADDRESS_POSTMASTER_ALLOWED), ERR_SYNTAX);
	assert_int_equal(path("<\"postmaster\">", ADDRESS_POSTMASTER_ALLOWED), ERR_SYNTAX);
	assert_int_equal(path("<@a:postmaster>", ADDRESS_POSTMASTER_ALLOWED), ERR_SYNTAX);
	assert_int_equal(path("<Postmaster@x>", ADDRESS_POSTMASTER_ALLOWED), 0);
	assert_false(a.postmaster);
}

static void common_slips_are_tolerated_on_request(void **state)
{
	(void)state;
	assert_int_equal(path("  <a@b> X", ADDRESS_LENIENT), 0);
	assert_int_equal(used, 7);
	assert_int_equal(path("a@b SIZE=1", ADDRESS_LENIENT), 0);
	assert_string_equal(a.mailbox.p, "a@b");
	assert_int_equal(used, 3);
	assert_int_equal(path(" \"a b\"@b", ADDRESS_LENIENT), 0);
	assert_string_equal(a.mailbox.p, "\"a b\"@b");
	assert_int_equal(path("", ADDRESS_LENIENT | ADDRESS_NULL_ALLOWED), ERR_SYNTAX);
	assert_int_equal(path("<a@b", ADDRESS_LENIENT), ERR_SYNTAX);
	assert_int_equal(path("< a@b>", ADDRESS_LENIENT), ERR_SYNTAX);
	/* What follows is the caller's to judge. */
	assert_int_equal(path("<a@b>SIZE=1", 0), 0);
	assert_int_equal(used, 5);
}

static void configured_names(void **state)
{
	(void)state;
	struct span domain;
	assert_int_equal(address_parse_mailbox(SPAN("Ann@C.Example"), &arena, &a), 0);
	assert_string_equal(a.mailbox.p, "Ann@c.example");
	assert_int_equal(address_parse_mailbox(SPAN("<a@b>"), &arena, &a), ERR_SYNTAX);
	assert_int_equal(address_parse_mailbox(SPAN("a@b "), &arena, &a), ERR_SYNTAX);
	assert_int_equal(address_parse_mailbox(SPAN("postmaster"), &arena, &a), ERR_SYNTAX);
	assert_int_equal(address_parse_mailbox(SPAN(""), &arena, &a), ERR_SYNTAX);
	assert_int_equal(address_parse_domain(SPAN("B.Example"), &arena, &domain), 0);
	assert_string_equal(domain.p, "b.example");
	assert_int_equal(address_parse_domain(SPAN("\xc3\xbc.example"), &arena, &domain), 0);
	assert_string_equal(domain.p, "xn--tda.example");
	static const char *const bad[] = {
		"", ".", "a.", ".a", "a b", "[1.2.3.4]", "a@b", "*.a", "a/b", "\xff.example"};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			address_parse_domain(span_str(bad[i]), &arena, &domain), ERR_SYNTAX);
}

static void a_full_arena_is_said_so(void **state)
{
	(void)state;
	struct arena small;
	arena_init(&small, 16);
	assert_int_equal(
		address_parse_path(SPAN("<ann.of.the.long.name@b.example>"), 0, &small, &a, &used),
		ERR_NOMEM);
	arena_reset(&small);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(plain_addresses),
		TEST(needless_quotes_go),
		TEST(source_routes_are_dropped),
		TEST(literals_have_one_form),
		TEST(international_domains_become_a_labels),
		TEST(international_local_parts_are_kept),
		TEST(bad_syntax_is_refused),
		TEST(lengths_are_bounded),
		TEST(mail_takes_the_null_path),
		TEST(rcpt_takes_postmaster_alone),
		TEST(common_slips_are_tolerated_on_request),
		TEST(configured_names),
		TEST(a_full_arena_is_said_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
