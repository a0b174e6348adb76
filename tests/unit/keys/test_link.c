/* A worker's questions to role keys: each is answered once, whatever becomes of keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "fake_keys_io.h"
#include "keys/keys.h"
#include "keys/link.h"
#include "keys/message.h"

struct fixture {
	struct fake_io io;
	struct keys_link *link;
	uint32_t request;
	int sent, err;
	char user[AUTH_USER];
};

struct asker {
	struct fixture *f;
	struct auth_question *question, **cancel;
	int answers;
	bool again;
	struct auth_answer answer;
};

static int send_query(void *context, uint32_t request, struct span bytes)
{
	struct fixture *f = context;
	struct auth_query query;

	assert_int_equal(keys_get_query(bytes, &query), 0);
	memcpy(f->user, query.user.p, query.user.n);
	if (f->err == 0) {
		f->request = request;
		f->sent++;
	}
	return f->err;
}

static int ask(struct fixture *f, struct asker *a);

static void done(void *owner, const struct auth_answer *answer)
{
	struct asker *a = owner;

	a->answers++;
	a->answer = *answer;
	a->question = NULL;
	if (a->cancel)
		auth_cancel(a->cancel);
	if (a->again)
		assert_int_equal(ask(a->f, a), 0);
}

static int ask(struct fixture *f, struct asker *a)
{
	const struct auth_query query = {
		.step = AUTH_BY_PASSWORD, .user = SPAN("joe"), .password = SPAN("pw")};

	a->f = f;
	return auth_ask(keys_link_auth(f->link), &query, done, a, &a->question);
}

static void answer(struct fixture *f, uint32_t request, enum auth_result result)
{
	const struct auth_answer answer = {.result = result, .account = SPAN("joe@c.example")};
	struct buf buf;

	buf_init(&buf, 1024);
	keys_put_answer(&buf, &answer);
	keys_link_answer(f->link, request, buf_span(&buf));
	buf_done(&buf);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const struct keys_link_config config = {.io = &f->io.io, .context = f, .send = send_query};

	fake_io_begin(&f->io);
	assert_int_equal(keys_link_new(&config, &f->link), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	keys_link_free(&f->link);
	fake_io_end(&f->io);
	free(f);
	return 0;
}

static void an_answer_reaches_who_asked(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b = {0};

	assert_int_equal(ask(f, &a), 0);
	uint32_t first = f->request;
	assert_int_equal(ask(f, &b), 0);
	assert_string_equal(f->user, "joe");
	assert_int_equal(a.answers + b.answers, 0);
	answer(f, f->request, AUTH_NO);
	assert_int_equal(b.answers, 1);
	assert_int_equal(b.answer.result, AUTH_NO);
	answer(f, first, AUTH_YES);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.answer.result, AUTH_YES);
	/* Twice, or to a question that nobody asked. */
	answer(f, first, AUTH_YES);
	answer(f, 4711, AUTH_YES);
	assert_int_equal(a.answers + b.answers, 2);
}

static void nonsense_is_no_yes(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0};

	assert_int_equal(ask(f, &a), 0);
	keys_link_answer(f->link, f->request, SPAN(""));
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.answer.result, AUTH_BROKEN);
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b = {0};

	assert_int_equal(ask(f, &a), 0);
	fake_io_pass(&f->io, AUTH_ASK_MS - 1);
	assert_int_equal(ask(f, &b), 0);
	assert_int_equal(a.answers, 0);
	fake_io_pass(&f->io, 1);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.answer.result, AUTH_BROKEN);
	assert_int_equal(b.answers, 0);
	auth_cancel(&b.question);
	fake_io_pass(&f->io, AUTH_ASK_MS);
	answer(f, f->request, AUTH_YES);
	assert_int_equal(b.answers, 0);
}

static void when_keys_is_gone_all_hear_of_it_once(void **state)
{
	struct fixture *f = *state;
	struct asker a = {.again = true}, b = {0}, c = {0};

	assert_int_equal(ask(f, &a), 0);
	assert_int_equal(ask(f, &b), 0);
	assert_int_equal(ask(f, &c), 0);
	b.cancel = &c.question;
	keys_link_lost(f->link);
	assert_int_equal(a.answers, 1);
	assert_int_equal(a.answer.result, AUTH_BROKEN);
	assert_int_equal(b.answers, 1);
	assert_int_equal(c.answers, 0);
	/* The one that a asked then is another one, of the next life. */
	a.again = false;
	answer(f, f->request, AUTH_YES);
	assert_int_equal(a.answer.result, AUTH_YES);
	f->err = ERR_CLOSED;
	assert_int_equal(ask(f, &a), ERR_CLOSED);
}

static void there_is_a_bound(void **state)
{
	struct fixture *f = *state;
	struct asker a[KEYS_QUESTIONS] = {0}, more = {0};

	for (int i = 0; i < KEYS_QUESTIONS; i++)
		assert_int_equal(ask(f, &a[i]), 0);
	assert_int_equal(ask(f, &more), ERR_LIMIT);
	auth_cancel(&a[3].question);
	assert_int_equal(ask(f, &more), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_reaches_who_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense_is_no_yes, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_does_not_answer_is_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(
			when_keys_is_gone_all_hear_of_it_once, setup, teardown),
		cmocka_unit_test_setup_teardown(there_is_a_bound, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
