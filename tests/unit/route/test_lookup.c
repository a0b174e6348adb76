/* The machine of route/mx over a struct dns: what is asked, when the answer comes, and who frees
 * what. */
#include "base/err.h"
#include "route/lookup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define QUESTIONS 80

struct fake_question {
	struct dns_question base;
	dns_done *done;
	void *owner;
	char name[DNS_NAME + 1];
	enum dns_type type;
	bool open;
};

struct fake_dns {
	struct dns base;
	struct fake_question questions[QUESTIONS];
	uint32_t count, cancelled;
	char servers[100];
	int fails; /* what ask() returns */
};

static int fake_ask(struct dns *dns, struct span servers, struct span name, enum dns_type type,
	dns_done *done, void *owner, struct dns_question **out)
{
	struct fake_dns *fake = (struct fake_dns *)(void *)dns;
	struct fake_question *q = &fake->questions[fake->count];

	if (fake->fails)
		return fake->fails;
	assert_true(fake->count < QUESTIONS);
	fake->count++;
	*q = (struct fake_question){{dns}, done, owner, "", type, true};
	snprintf(q->name, sizeof(q->name), "%.*s", (int)name.n, name.p);
	snprintf(fake->servers, sizeof(fake->servers), "%.*s", (int)servers.n,
		servers.n ? servers.p : "");
	*out = &q->base;
	return 0;
}

static void fake_cancel(struct dns_question **question)
{
	struct fake_question *q = (struct fake_question *)(void *)*question;

	assert_true(q->open);
	q->open = false;
	((struct fake_dns *)(void *)q->base.dns)->cancelled++;
	*question = NULL;
}

static const struct dns_ops fake_ops = {fake_ask, fake_cancel};
static struct route_config self = {.hostname = SPAN("gw.example.test")};
static struct fake_dns fake;
static struct mx_lookup *lookup;
static struct mx_result *result;
static uint32_t told;

static int setup(void **state)
{
	(void)state;
	fake = (struct fake_dns){.base = {&fake_ops}};
	lookup = NULL;
	result = NULL;
	told = 0;
	return 0;
}

static void done(void *owner, struct mx_result *r)
{
	assert_ptr_equal(owner, &told);
	told++;
	result = r;
}

static int start(const char *domain, const char *servers)
{
	struct mx_query query = {.domain = span_str(domain),
		.port = 25,
		.v4 = true,
		.v6 = true,
		.private_hosts = true,
		.self = &self};

	return mx_lookup_start(
		&fake.base, span_str(servers), &query, done, &told, &lookup, &result);
}

static void give(uint32_t at, const struct dns_answer *answer)
{
	struct fake_question *q = &fake.questions[at];

	assert_true(q->open);
	q->open = false;
	q->done(q->owner, answer);
}

static const struct dns_mx exchangers[] = {{10, SPAN("mx1")}, {20, SPAN("mx2")}};
static const struct dns_answer two_mx = {
	.status = DNS_OK, .ttl_s = 60, .count = 2, .mx = exchangers};
static const struct dns_answer no_data = {.status = DNS_NODATA, .ttl_s = 60};
static const struct dns_answer temporary = {
	.status = DNS_TEMPORARY, .ttl_s = 1, .reason = SPAN("x")};

static void give_address(uint32_t at, const char *text)
{
	struct netaddr a;
	struct dns_answer answer = {.status = DNS_OK, .ttl_s = 60, .count = 1, .addresses = &a};

	assert_int_equal(netaddr_parse(span_str(text), 0, &a), 0);
	give(at, &answer);
}

static void test_asks_in_two_steps(void **state)
{
	(void)state;
	assert_int_equal(start("b.example", "127.0.0.1:5353"), 0);
	assert_non_null(lookup);
	assert_int_equal(fake.count, 1);
	assert_string_equal(fake.questions[0].name, "b.example");
	assert_int_equal(fake.questions[0].type, DNS_MX);
	give(0, &two_mx);
	assert_int_equal(fake.count, 5);
	assert_string_equal(fake.servers, "127.0.0.1:5353");
	give_address(4, "198.51.100.2");
	give(1, &no_data);
	give(3, &no_data);
	assert_int_equal(told, 0);
	give_address(2, "198.51.100.1");
	assert_int_equal(told, 1);
	assert_non_null(result);
	assert_int_equal(result->verdict.kind, VERDICT_OK);
	assert_int_equal(result->address_count, 2);
	assert_int_equal(result->addresses[0].address.ip[3], 1);
	mx_result_free(&result);
}

/* A verdict that is certain does not wait for what else was asked. */
static void test_ends_early(void **state)
{
	static const struct dns_mx null_mx = {0, {NULL, 0}};
	struct dns_answer answer = {.status = DNS_OK, .ttl_s = 60, .count = 1, .mx = &null_mx};
	(void)state;
	assert_int_equal(start("b.example", ""), 0);
	give(0, &answer);
	assert_int_equal(told, 1);
	assert_int_equal(result->verdict.code, 556);
	mx_result_free(&result);
}

static void test_cancel(void **state)
{
	(void)state;
	assert_int_equal(start("b.example", ""), 0);
	give(0, &two_mx);
	give(1, &temporary);
	mx_lookup_cancel(&lookup);
	assert_null(lookup);
	assert_int_equal(fake.cancelled, 3);
	assert_int_equal(told, 0);
	mx_lookup_cancel(&lookup);
}

static void test_answers_at_once(void **state)
{
	static const char *const without_dns[] = {"[198.51.100.1]", "a..b", ""};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(start(without_dns[i], ""), 0);
		assert_null(lookup);
		assert_non_null(result);
		mx_result_free(&result);
	}
	assert_int_equal(fake.count, 0);
	assert_int_equal(told, 0);
}

static void test_cannot_ask(void **state)
{
	(void)state;
	fake.fails = ERR_SYNTAX;
	assert_int_equal(start("b.example", "a b"), 0);
	assert_null(lookup);
	assert_int_equal(result->verdict.kind, VERDICT_TEMPORARY);
	assert_int_equal(result->verdict.code, 451);
	mx_result_free(&result);
	/* In the middle. */
	fake.fails = 0;
	assert_int_equal(start("b.example", ""), 0);
	fake.fails = ERR_NOMEM;
	give(0, &two_mx);
	assert_int_equal(told, 1);
	assert_int_equal(result->verdict.kind, VERDICT_TEMPORARY);
	mx_result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_asks_in_two_steps, setup),
		cmocka_unit_test_setup(test_ends_early, setup),
		cmocka_unit_test_setup(test_cancel, setup),
		cmocka_unit_test_setup(test_answers_at_once, setup),
		cmocka_unit_test_setup(test_cannot_ask, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
