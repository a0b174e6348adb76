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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
