/* Next hops, asked by workers and answered by delivery: both sides, and the bytes between. */
#include "base/check.h"
#include "base/err.h"
#include "role/hops_desk.h"
#include "role/hops_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the worker's side ---------------------------------------------------------------------- */

struct fixture {
	struct io io;
	struct hops_link *link;
	uint32_t request;
	int sent, err;
};

struct asker {
	struct fixture *f;
	struct hops_question *question, **cancel;
	const char *again; /* a domain that is asked for in the answer */
	int answers;
	bool known;
	uint32_t count;
	struct netaddr first;
};

static int send_query(void *context, uint32_t request, struct span query)
{
	struct fixture *f = context;
	struct span transport, domain;

	assert_int_equal(hops_get_query(query, &transport, &domain), 0);
	assert_true(span_equal(transport, SPAN("site")));
	if (f->err == 0) {
		f->sent++;
		f->request = request;
	}
	return f->err;
}

static int ask(struct fixture *f, struct asker *a, const char *domain);

static void done(void *owner, const struct hops_answer *answer)
{
	struct asker *a = owner;
	const char *again = a->again;

	a->answers++;
	a->question = NULL;
	a->known = answer->known;
	a->count = answer->count;
	if (answer->count)
		a->first = answer->addresses[0];
	if (a->cancel)
		hops_cancel(a->cancel);
	a->again = NULL;
	if (again)
		assert_int_equal(ask(a->f, a, again), 0);
}

static int ask(struct fixture *f, struct asker *a, const char *domain)
{
	a->f = f;
	return hops_ask(
		hops_link_hops(f->link), SPAN("site"), span_str(domain), done, a, &a->question);
}

static void pass(struct fixture *f, uint64_t ms)
{
	f->io.now_ns += ms * NS_PER_MS;
	timers_run(&f->io.timers, f->io.now_ns);
}

static void answer(struct fixture *f, uint32_t request, const char *address, uint32_t ttl_s)
{
	struct hops_reply reply = {.known = address != NULL, .ttl_s = ttl_s};
	struct buf buf;

	if (address && *address)
		assert_int_equal(
			netaddr_parse_ip(span_str(address), &reply.addresses[reply.count++]), 0);
	buf_init(&buf, 4096);
	hops_put_reply(&buf, &reply);
	hops_link_answer(f->link, request, buf_span(&buf));
	buf_done(&buf);
}

static int setup(void **state)
{
	static const struct io_ops ops = {.submit = NULL};
	struct fixture *f = calloc(1, sizeof(*f));
	const struct hops_link_config config = {.io = &f->io, .context = f, .send = send_query};

	io_init(&f->io, &ops);
	f->io.now_ns = 1000 * NS_PER_S;
	assert_int_equal(hops_link_new(&config, &f->link), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	hops_link_free(&f->link);
	timers_done(&f->io.timers);
	free(f);
	return 0;
}

static void an_answer_is_kept_for_its_time(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b = {0}, c = {0};

	assert_int_equal(ask(f, &a, "c.example"), 0);
	answer(f, f->request, "192.0.2.5", 300);
	assert_int_equal(a.answers, 1);
	assert_true(a.known);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.first.ip[3], 5);
	/* Again: nobody is asked, and it still comes later. */
	assert_int_equal(ask(f, &b, "c.example"), 0);
	assert_int_equal(b.answers, 0);
	pass(f, 1);
	assert_int_equal(b.answers, 1);
	assert_int_equal(b.first.ip[3], 5);
	assert_int_equal(f->sent, 1);
	/* Another one is another one. */
	assert_int_equal(ask(f, &c, "d.example"), 0);
	assert_int_equal(f->sent, 2);
	answer(f, f->request, "", 300);
	assert_true(c.known);
	assert_int_equal(c.count, 0);
	pass(f, 300 * 1000);
	assert_int_equal(ask(f, &b, "c.example"), 0);
	assert_int_equal(f->sent, 3);
	/* No TTL is longer than an hour. */
	answer(f, f->request, "192.0.2.6", 1000000);
	pass(f, HOPS_LINK_TTL_MOST * 1000);
	assert_int_equal(ask(f, &b, "c.example"), 0);
	assert_int_equal(f->sent, 4);
}

static void who_asks_the_same_waits_for_the_same_answer(void **state)
{
	struct fixture *f = *state;
	struct asker a[5] = {0};

	for (int i = 0; i < 5; i++)
		assert_int_equal(ask(f, &a[i], "c.example"), 0);
	assert_int_equal(f->sent, 1);
	hops_cancel(&a[1].question);
	/* One is told, and does not want to wait for another; one asks anew. */
	a[2].cancel = &a[3].question;
	a[0].again = "c.example";
	answer(f, f->request, "192.0.2.5", 300);
	assert_int_equal(a[0].answers, 1);
	assert_int_equal(a[1].answers, 0);
	assert_int_equal(a[2].answers, 1);
	assert_int_equal(a[3].answers, 0);
	assert_int_equal(a[4].answers, 1);
	pass(f, 1);
	assert_int_equal(a[0].answers, 2);
	assert_int_equal(f->sent, 1);
}

static void what_fails_is_not_kept(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0};

	assert_int_equal(ask(f, &a, "c.example"), 0);
	a.again = "c.example";
	answer(f, f->request, NULL, 300);
	assert_int_equal(a.answers, 1);
	assert_false(a.known);
	assert_int_equal(f->sent, 2);
	hops_link_answer(f->link, f->request, SPAN("nonsense"));
	assert_int_equal(a.answers, 2);
	assert_false(a.known);
	/* Nobody answers. */
	assert_int_equal(ask(f, &a, "c.example"), 0);
	pass(f, HOPS_ASK_MS - 1);
	assert_int_equal(a.answers, 2);
	pass(f, 1);
	assert_int_equal(a.answers, 3);
	assert_false(a.known);
	answer(f, f->request, "192.0.2.5", 300);
	assert_int_equal(a.answers, 3);
	/* Nobody is there. */
	f->err = ERR_CLOSED;
	assert_int_equal(ask(f, &a, "c.example"), ERR_CLOSED);
}

static void delivery_goes_and_comes_back(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b = {0}, c = {0};

	assert_int_equal(ask(f, &c, "kept.example"), 0);
	answer(f, f->request, "192.0.2.5", 300);
	a.again = "a.example";
	assert_int_equal(ask(f, &a, "a.example"), 0);
	assert_int_equal(ask(f, &b, "b.example"), 0);
	hops_link_lost(f->link);
	assert_int_equal(a.answers, 1);
	assert_int_equal(b.answers, 1);
	assert_false(a.known || b.known);
	answer(f, f->request, "192.0.2.7", 300);
	assert_int_equal(a.answers, 2);
	assert_true(a.known);
	/* What was known stays known. */
	int sent = f->sent;
	assert_int_equal(ask(f, &c, "kept.example"), 0);
	pass(f, 0);
	assert_int_equal(c.answers, 2);
	assert_int_equal(f->sent, sent);
}

static void another_directory_is_asked_anew(void **state)
{
	struct fixture *f = *state;
	struct asker a = {0}, b = {0}, c = {0};

	assert_int_equal(ask(f, &a, "kept.example"), 0);
	answer(f, f->request, "192.0.2.5", 300);
	assert_int_equal(ask(f, &b, "asked.example"), 0);
	uint32_t before = f->request;
	assert_int_equal(ask(f, &a, "kept.example"), 0);
	hops_link_forget(f->link);
	/* Who asked before is told what was so then; who asks now is told what is so now. */
	assert_int_equal(ask(f, &c, "asked.example"), 0);
	assert_int_equal(f->sent, 3);
	answer(f, before, "192.0.2.1", 300);
	assert_int_equal(b.first.ip[3], 1);
	assert_int_equal(c.answers, 0);
	answer(f, f->request, "192.0.2.2", 300);
	assert_int_equal(c.first.ip[3], 2);
	pass(f, 1);
	assert_int_equal(a.answers, 2);
	assert_int_equal(ask(f, &a, "kept.example"), 0);
	assert_int_equal(f->sent, 4);
	hops_cancel(&a.question);
}

static void both_bounds_hold(void **state)
{
	struct fixture *f = *state;
	struct asker *a = calloc(HOPS_LINK_QUESTIONS + 1, sizeof(*a));
	struct asker one = {0};
	char domain[32];

	for (int i = 0; i < HOPS_LINK_QUESTIONS; i++) {
		snprintf(domain, sizeof(domain), "d%d.example", i);
		assert_int_equal(ask(f, &a[i], domain), 0);
	}
	assert_int_equal(ask(f, &a[HOPS_LINK_QUESTIONS], "more.example"), ERR_LIMIT);
	for (int i = 0; i < HOPS_LINK_QUESTIONS; i++)
		answer(f, (uint32_t)i + 1, "192.0.2.1", 3600);
	for (int i = 0; i < 2 * HOPS_LINK_KEPT; i++) {
		snprintf(domain, sizeof(domain), "e%d.example", i);
		assert_int_equal(ask(f, &one, domain), 0);
		answer(f, f->request, "192.0.2.1", 3600);
	}
	int sent = f->sent;
	assert_int_equal(ask(f, &one, domain), 0);
	assert_int_equal(f->sent, sent);
	pass(f, 1);
	assert_int_equal(ask(f, &one, "d0.example"), 0);
	assert_int_equal(f->sent, sent + 1);
	free(a);
}

/* ---- delivery's side ------------------------------------------------------------------------ */

#define ASKED_MOST 600

struct desk_fixture {
	struct hops_desk desk;
	bool at_once;
	int asked, told;
	uint32_t tickets[ASKED_MOST];
	char requests[ASKED_MOST][128];
	struct {
		uint8_t worker;
		uint32_t request;
		struct hops_reply reply;
	} last;
};

static const char good[] = "{\"hosts\":[{\"name\":\"mx.c.example\",\"preference\":10,"
			   "\"addresses\":[\"2001:db8::1\",\"192.0.2.9\"]},{\"name\":\"b\","
			   "\"preference\":20,\"addresses\":[\"192.0.2.10\"]}],\"ttl\":77}";

static void desk_ask(void *context, uint32_t ticket, struct span request)
{
	struct desk_fixture *f = context;

	assert_true(f->asked < ASKED_MOST);
	f->tickets[f->asked] = ticket;
	snprintf(f->requests[f->asked++], 128, "%.*s", (int)request.n, request.p);
	if (f->at_once)
		assert_true(hops_desk_answer(&f->desk, ticket, span_str(good)));
}

static void desk_tell(void *context, uint8_t worker, uint32_t request, struct span reply)
{
	struct desk_fixture *f = context;

	f->told++;
	f->last.worker = worker;
	f->last.request = request;
	assert_int_equal(hops_get_reply(reply, &f->last.reply), 0);
}

static struct desk_fixture *desk_new(void)
{
	struct desk_fixture *f = calloc(1, sizeof(*f));

	f->desk.context = f;
	f->desk.ask = desk_ask;
	f->desk.tell = desk_tell;
	hops_desk_init(&f->desk);
	return f;
}

static void desk_free(struct desk_fixture *f)
{
	for (unsigned i = 0; i < CONFIG_WORKERS; i++)
		hops_desk_worker_gone(&f->desk, (uint8_t)i);
	free(f);
}

static void put(struct desk_fixture *f, uint8_t worker, uint32_t request, const char *domain)
{
	struct buf buf;

	buf_init(&buf, 1024);
	hops_put_query(&buf, SPAN("site"), span_str(domain));
	hops_desk_ask(&f->desk, worker, request, buf_span(&buf));
	buf_done(&buf);
}

static void delivery_is_asked_and_the_worker_told(void **state)
{
	struct desk_fixture *f = desk_new();
	(void)state;

	put(f, 2, 41, "c.example");
	assert_int_equal(f->asked, 1);
	assert_string_equal(f->requests[0],
		"{\"op\":\"hosts\",\"transport\":\"site\",\"domain\":\"c.example\"}");
	/* Admin's own questions are others. */
	assert_false(hops_desk_answer(&f->desk, 7, span_str(good)));
	assert_true(hops_desk_answer(&f->desk, f->tickets[0], span_str(good)));
	assert_int_equal(f->told, 1);
	assert_int_equal(f->last.worker, 2);
	assert_int_equal(f->last.request, 41);
	assert_true(f->last.reply.known);
	assert_int_equal(f->last.reply.ttl_s, 77);
	assert_int_equal(f->last.reply.count, 3);
	assert_int_equal(f->last.reply.addresses[0].family, NETADDR_V6);
	assert_int_equal(f->last.reply.addresses[2].ip[3], 10);
	/* Twice. */
	assert_true(hops_desk_answer(&f->desk, f->tickets[0], span_str(good)));
	assert_int_equal(f->told, 1);
	desk_free(f);
}

static void workers_take_turns_and_have_bounds(void **state)
{
	struct desk_fixture *f = desk_new();
	char domain[32];
	(void)state;

	for (uint32_t i = 0; i < HOPS_DESK_OPEN + HOPS_DESK_WAITING; i++) {
		snprintf(domain, sizeof(domain), "d%u.example", i);
		put(f, 0, i, domain);
	}
	assert_int_equal(f->asked, HOPS_DESK_OPEN);
	assert_int_equal(f->told, 0);
	put(f, 0, 9999, "more.example");
	assert_int_equal(f->told, 1);
	assert_int_equal(f->last.request, 9999);
	assert_false(f->last.reply.known);
	put(f, 1, 5, "other.example");
	assert_true(hops_desk_answer(&f->desk, f->tickets[0], span_str(good)));
	assert_non_null(strstr(f->requests[HOPS_DESK_OPEN], "other.example"));
	/* The first one ends; nobody is told, and its questions are forgotten. */
	int told = f->told;
	hops_desk_worker_gone(&f->desk, 0);
	for (int i = 1; i <= HOPS_DESK_OPEN; i++)
		assert_true(hops_desk_answer(&f->desk, f->tickets[i], span_str(good)));
	assert_int_equal(f->told, told + 1);
	assert_int_equal(f->asked, HOPS_DESK_OPEN + 1);
	/* Answers that come at once. */
	f->at_once = true;
	put(f, 0, 6, "quick.example");
	put(f, 0, 7, "quick.example");
	assert_int_equal(f->told, told + 3);
	assert_int_equal(f->last.request, 7);
	desk_free(f);
}

static void what_no_worker_says_is_answered_as_unknown(void **state)
{
	struct desk_fixture *f = desk_new();
	char longer[HOPS_DOMAIN + 2];
	(void)state;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	put(f, 0, 1, longer);
	hops_desk_ask(&f->desk, 0, 2, SPAN("nonsense"));
	hops_desk_ask(&f->desk, 0, 3, SPAN_NONE);
	assert_int_equal(f->told, 3);
	assert_int_equal(f->asked, 0);
	assert_false(f->last.reply.known);
	desk_free(f);
}

static void words_of_delivery(void **state)
{
	static const struct {
		const char *json;
		bool known;
	} cases[] = {
		{"{\"refused\":{\"temporary\":true,\"code\":451}}", false},
		{"{\"refused\":{\"temporary\":false,\"code\":556}}", true},
		{"{\"error\":\"too many\"}", false},
		{"{}", false},
		{"", false},
		{"[1]", false},
		{"{\"hosts\":7}", false},
		{"{\"hosts\":[7,{\"addresses\":[1,\"x\"]}],\"ttl\":\"x\"}", true},
	};
	struct hops_reply reply;
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		hops_from_json(span_str(cases[i].json), &reply);
		assert_int_equal(reply.known, cases[i].known);
		assert_int_equal(reply.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_answer_is_kept_for_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			who_asks_the_same_waits_for_the_same_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(what_fails_is_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(delivery_goes_and_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(another_directory_is_asked_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(both_bounds_hold, setup, teardown),
		cmocka_unit_test(delivery_is_asked_and_the_worker_told),
		cmocka_unit_test(workers_take_turns_and_have_bounds),
		cmocka_unit_test(what_no_worker_says_is_answered_as_unknown),
		cmocka_unit_test(words_of_delivery),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
