/* Role keys' core: what it is asked by several workers, and in which order it works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "accounts.h"
#include "fake_keys_io.h"
#include "keys/keys.h"
#include "keys/limits.h"
#include "keys/locks.h"
#include "keys/message.h"

#define MOST 256

static const struct test_account some[] = {
	{"joe@c.example", "sesam open", QUICK_YESCRYPT, true},
	{"ann@xn--bcher-kva.example", "hunter2", QUICK_SHA512, false},
	{"dis@c.example", "sesam open", QUICK_YESCRYPT, true},
};

struct answered {
	uint8_t worker;
	uint32_t request;
	struct auth_answer answer;
	char account[AUTH_USER];
};

struct fixture {
	struct fake_io io;
	struct keys *keys;
	int count;
	struct answered answers[MOST];
};

static void answer(void *context, uint8_t worker, uint32_t request, struct span bytes)
{
	struct fixture *f = context;
	struct answered *a = &f->answers[f->count++];

	assert_true(f->count < MOST);
	*a = (struct answered){.worker = worker, .request = request};
	assert_int_equal(keys_get_answer(bytes, &a->answer), 0);
	if (a->answer.account.n)
		memcpy(a->account, a->answer.account.p, a->answer.account.n);
	a->answer.account = span_of(a->account, a->answer.account.n);
}

static bool enabled(void *context, struct span account)
{
	(void)context;
	return !span_equal(account, SPAN("dis@c.example"));
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct keys_config config = {
		.io = &f->io.io, .secret = {1}, .context = f, .enabled = enabled, .answer = answer};

	fake_io_begin(&f->io);
	assert_int_equal(keys_new(&config, &f->keys), 0);
	assert_int_equal(keys_set_accounts(f->keys, make_accounts(some, 3)), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	while (fake_io_work(&f->io))
		;
	keys_free(&f->keys);
	fake_io_end(&f->io);
	free(f);
	return 0;
}

static void ask(struct fixture *f, uint8_t worker, uint32_t request, enum auth_step step,
	const char *client, const char *user, const char *password)
{
	struct auth_query query = {
		.step = step, .user = span_str(user), .password = span_str(password)};
	struct buf buf;

	assert_int_equal(netaddr_parse_ip(span_str(client), &query.client), 0);
	buf_init(&buf, 65536);
	keys_put_query(&buf, &query);
	keys_ask(f->keys, worker, request, buf_span(&buf));
	buf_done(&buf);
}

static struct answered *last(struct fixture *f)
{
	assert_true(f->count > 0);
	return &f->answers[f->count - 1];
}

static void work(struct fixture *f)
{
	while (fake_io_work(&f->io))
		;
}

static void a_password_is_checked_and_its_account_named(void **state)
{
	struct fixture *f = *state;

	ask(f, 1, 5, AUTH_BY_PASSWORD, "192.0.2.1", "Joe@C.Example.", "sesam open");
	/* Not inside the call: it is hashed elsewhere. */
	assert_int_equal(f->count, 0);
	work(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(last(f)->worker, 1);
	assert_int_equal(last(f)->request, 5);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	assert_string_equal(last(f)->account, "joe@c.example");
	ask(f, 0, 6, AUTH_BY_PASSWORD, "192.0.2.1",
		"ann@B\xc3\xbc"
		"cher.example",
		"hunter2");
	work(f);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	assert_string_equal(last(f)->account, "ann@xn--bcher-kva.example");
}

/* Its salt is a made-up one, too: not even that tells. */
static void who_may_not_log_in_is_nobody(void **state)
{
	struct fixture *f = *state;
	struct auth_answer salt;

	ask(f, 0, 1, AUTH_BY_PASSWORD, "192.0.2.1", "dis@c.example", "sesam open");
	assert_non_null(f->io.job);
	work(f);
	assert_int_equal(last(f)->answer.result, AUTH_NO);
	ask(f, 0, 2, AUTH_SCRAM_SALT, "192.0.2.1", "dis@c.example", "");
	salt = last(f)->answer;
	assert_int_equal(salt.result, AUTH_YES);
	/* accounts.h gives real ones these bytes. */
	assert_memory_not_equal(salt.salt + 1, "\1\2\3", 3);
}

static void wrong_ones_wait_longer_each_time(void **state)
{
	static const char *const users[] = {
		"joe@c.example", "nobody@c.example", "", "not an address", "JOE@c.example"};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(users); i++) {
		ask(f, 0, i, AUTH_BY_PASSWORD, "192.0.2.1", users[i], "wrong");
		work(f);
		assert_int_equal(last(f)->answer.result, AUTH_NO);
		assert_int_equal(last(f)->answer.delay_ms, 1000u << i);
		assert_int_equal(last(f)->answer.account.n, 0);
	}
	/* A salt can be had, until it is too much; then nothing is even tried. */
	ask(f, 0, 20, AUTH_SCRAM_SALT, "192.0.2.1", "joe@c.example", "");
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	for (unsigned i = ARRAY_SIZE(users); i < LIMITS_ADDRESS; i++) {
		ask(f, 0, i, AUTH_SCRAM_PROOF, "192.0.2.1", "x", "");
		assert_int_equal(last(f)->answer.result, AUTH_NO);
	}
	for (int step = 0; step < 3; step++) {
		ask(f, 0, 30, step, "192.0.2.1", "joe@c.example", "sesam open");
		assert_null(f->io.job);
		assert_int_equal(last(f)->answer.result, AUTH_LATER);
	}
}

static void workers_take_turns(void **state)
{
	struct fixture *f = *state;
	char client[32];

	for (unsigned i = 0; i < 40; i++) {
		snprintf(client, sizeof(client), "10.0.0.%u", i + 1);
		ask(f, 3, i, AUTH_BY_PASSWORD, client, client, "x");
	}
	ask(f, 7, 1000, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	assert_int_equal(f->io.submitted, 1);
	fake_io_work(&f->io);
	fake_io_work(&f->io);
	assert_int_equal(last(f)->worker, 7);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	work(f);
	assert_int_equal(f->count, 41);
}

static void a_worker_has_a_bound_and_who_is_known_goes_first(void **state)
{
	struct fixture *f = *state;
	char client[32];

	ask(f, 0, 1, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	work(f);
	for (unsigned i = 0; i < KEYS_STRANGERS + 5; i++) {
		snprintf(client, sizeof(client), "10.0.0.%u", i + 1);
		ask(f, 0, 100 + i, AUTH_BY_PASSWORD, client, client, "x");
	}
	assert_int_equal(f->count, 1 + 5);
	assert_int_equal(last(f)->answer.result, AUTH_LATER);
	/* Another worker is not concerned, nor is who logged in here before. */
	ask(f, 1, 2, AUTH_BY_PASSWORD, "10.1.1.1", "x", "x");
	ask(f, 0, 3, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	assert_int_equal(f->count, 6);
	for (int i = 0; i < 3; i++)
		fake_io_work(&f->io);
	assert_int_equal(last(f)->request, 3);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	work(f);
	assert_int_equal(f->count, 1 + KEYS_STRANGERS + 5 + 2);
	/* And there is room again; what was turned away does not count as wrong. */
	ask(f, 0, 4, AUTH_BY_PASSWORD, client, client, "x");
	work(f);
	assert_int_equal(last(f)->answer.result, AUTH_NO);
	assert_int_equal(last(f)->answer.delay_ms, 1000);
}

static void nobody_is_answered_who_is_gone(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 5; i++)
		ask(f, 2, i, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "x");
	keys_worker_gone(f->keys, 2);
	/* Its next life, with the same number, begins while one of the last is hashed. */
	ask(f, 2, 77, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	work(f);
	assert_int_equal(f->count, 1);
	assert_int_equal(last(f)->request, 77);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
}

static void what_cannot_be_read_or_done_is_answered(void **state)
{
	struct fixture *f = *state;

	keys_ask(f->keys, 0, 9, SPAN("nonsense"));
	assert_int_equal(last(f)->answer.result, AUTH_BROKEN);
	f->io.refuse = true;
	ask(f, 0, 10, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	assert_int_equal(last(f)->answer.result, AUTH_BROKEN);
	f->io.refuse = false;
	ask(f, 0, 11, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "wrong");
	work(f);
	assert_int_equal(last(f)->answer.delay_ms, 1000);
}

static void before_the_accounts_come_nothing_is_said(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(keys_set_accounts(f->keys, NULL), 0);
	for (int step = 0; step < 3; step++) {
		ask(f, 0, 1, step, "192.0.2.1", "joe@c.example", "sesam open");
		assert_int_equal(last(f)->answer.result, AUTH_BROKEN);
	}
	assert_int_equal(keys_set_accounts(f->keys, make_accounts(some, 1)), 0);
	ask(f, 0, 1, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	/* They may change while one is hashed. */
	assert_int_equal(keys_set_accounts(f->keys, make_accounts(some, 0)), 0);
	work(f);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	ask(f, 0, 1, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	work(f);
	assert_int_equal(last(f)->answer.result, AUTH_NO);
}

/* ---- who is blocked ------------------------------------------------------------------------- */

/* The answer, in static memory. */
static const char *locks(struct fixture *f, const struct keys_locks *question)
{
	static char text[65536];
	struct buf request, out;

	buf_init(&request, 1024);
	buf_init(&out, LOCKS_BYTES);
	keys_put_locks(&request, question);
	assert_true(keys_ask_locks(f->keys, buf_span(&request), &out));
	assert_true(buf_ok(&out) && out.n < sizeof(text));
	memcpy(text, out.p, out.n);
	text[out.n] = 0;
	buf_done(&request);
	buf_done(&out);
	return text;
}

static void failures_are_listed_with_the_names_of_accounts_alone(void **state)
{
	const struct keys_locks all = {.op = KEYS_LOCKS_LIST},
				of_joe = {.op = KEYS_LOCKS_LIST, .account = SPAN("joe@c.example")};
	struct fixture *f = *state;
	const char *text;

	f->io.io.wall_ms = 1800000000000;
	assert_string_equal(locks(f, &all), "{\"locks\":[],\"more\":0,\"nobodies\":0}");
	ask(f, 0, 1, AUTH_BY_PASSWORD, "192.0.2.1", "JOE@c.example", "x");
	work(f);
	ask(f, 0, 2, AUTH_BY_PASSWORD, "2001:db8::1", "secret-typed-as-name", "x");
	work(f);
	text = locks(f, &all);
	assert_non_null(strstr(text, "{\"kind\":\"address\",\"address\":\"192.0.2.1\","
				     "\"account\":null,\"failures\":1,"
				     "\"since\":\"2027-01-15T08:00:00"));
	assert_non_null(strstr(text, "\"kind\":\"address\",\"address\":\"2001:db8::/64\""));
	assert_non_null(strstr(text, "\"kind\":\"site\",\"address\":\"2001:db8::/48\""));
	assert_non_null(strstr(text, "{\"kind\":\"account\",\"address\":null,"
				     "\"account\":\"joe@c.example\",\"failures\":1,"));
	assert_non_null(strstr(text, "\"nobodies\":1}"));
	assert_null(strstr(text, "secret"));
	text = locks(f, &of_joe);
	assert_non_null(strstr(text, "joe@c.example"));
	assert_null(strstr(text, "\"kind\":\"address\""));
	/* An account that is gone has no name. */
	assert_int_equal(keys_set_accounts(f->keys, make_accounts(some, 0)), 0);
	assert_null(strstr(locks(f, &all), "joe"));
}

static void an_office_is_let_in_again(void **state)
{
	struct keys_locks lift = {.op = KEYS_LOCKS_LIFT};
	const struct keys_locks all = {.op = KEYS_LOCKS_LIST};
	struct fixture *f = *state;
	char name[32];

	for (unsigned i = 0; i < LIMITS_ADDRESS; i++) {
		snprintf(name, sizeof(name), "user%u@c.example", i);
		ask(f, 0, i, AUTH_BY_PASSWORD, "192.0.2.1", name, "x");
		work(f);
	}
	ask(f, 0, 50, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	assert_int_equal(last(f)->answer.result, AUTH_LATER);
	assert_null(strstr(locks(f, &all), "\"blocked_until\":null"));
	assert_int_equal(netaddr_parse_ip(SPAN("192.0.2.1"), &lift.address), 0);
	assert_string_equal(locks(f, &lift), "{\"lifted\":1}");
	ask(f, 0, 51, AUTH_BY_PASSWORD, "192.0.2.1", "joe@c.example", "sesam open");
	work(f);
	assert_int_equal(last(f)->answer.result, AUTH_YES);
	assert_string_equal(locks(f, &lift), "{\"lifted\":0}");
}

static void no_more_are_listed_than_fit(void **state)
{
	const struct keys_locks all = {.op = KEYS_LOCKS_LIST};
	struct fixture *f = *state;
	struct buf request, out;
	char client[32];

	for (unsigned i = 0; i < LOCKS_SHOWN + 7; i++) {
		snprintf(client, sizeof(client), "10.1.%u.%u", i / 256, i % 256);
		ask(f, 0, i, AUTH_BY_PASSWORD, client, client, "x");
		work(f);
		f->count = 0;
	}
	buf_init(&request, 1024);
	buf_init(&out, LOCKS_BYTES);
	keys_put_locks(&request, &all);
	assert_true(keys_ask_locks(f->keys, buf_span(&request), &out));
	buf_add_char(&out, 0);
	assert_true(buf_ok(&out));
	assert_non_null(strstr(out.p, "\"more\":7,\"nobodies\":1007}"));
	buf_done(&out);
	buf_done(&request);
	assert_false(keys_ask_locks(f->keys, SPAN("nonsense"), &out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_password_is_checked_and_its_account_named, setup, teardown),
		cmocka_unit_test_setup_teardown(who_may_not_log_in_is_nobody, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_ones_wait_longer_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(workers_take_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_worker_has_a_bound_and_who_is_known_goes_first, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_is_answered_who_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_read_or_done_is_answered, setup, teardown),
		cmocka_unit_test_setup_teardown(
			before_the_accounts_come_nothing_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(
			failures_are_listed_with_the_names_of_accounts_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(an_office_is_let_in_again, setup, teardown),
		cmocka_unit_test_setup_teardown(no_more_are_listed_than_fit, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
