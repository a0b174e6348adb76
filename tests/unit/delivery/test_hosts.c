/* What administrators ask of the DNS, and how many messages something concerns. */
#include "world.h"

#include <jansson.h>

#define BODY "Subject: hello\r\n\r\nhello\r\n"

static const struct dns_row rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"far.example", DNS_MX, 20, "mx2.far.example"},
	{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
	{"mx2.far.example", DNS_A, 0, "198.51.100.2"},
	{"mine.example", DNS_MX, 10, "gw.example.test"}, {"host.example", DNS_A, 0, "192.0.2.250"},
	{0}};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w);
	w->rows = rows;
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	world_done(w);
	free(w);
	return 0;
}

/* NULL: no answer yet. */
static json_t *ask(struct world *w, uint32_t ticket, const char *request)
{
	w->answered = 0;
	assert_true(delivery_hosts(w->d, ticket, span_str(request)));
	world_settle(w);
	if (!w->answered)
		return NULL;
	assert_int_equal(w->answered, ticket);
	json_t *reply = json_loads(w->answer, 0, NULL);
	assert_true(json_is_object(reply));
	return reply;
}

static void hosts_in_their_order(void **state)
{
	struct world *w = *state;
	json_t *reply =
		ask(w, 7, "{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"far.example\"}");

	assert_non_null(reply);
	json_t *hosts = json_object_get(reply, "hosts");
	assert_int_equal(json_array_size(hosts), 2);
	json_t *first = json_array_get(hosts, 0);
	assert_string_equal(json_string_value(json_object_get(first, "name")), "mx1.far.example");
	assert_int_equal(json_integer_value(json_object_get(first, "preference")), 10);
	json_t *address = json_array_get(json_object_get(first, "addresses"), 0);
	assert_string_equal(json_string_value(address), "198.51.100.1");
	assert_int_equal(json_integer_value(json_object_get(reply, "ttl")), 300);
	json_decref(reply);
	assert_int_equal(w->connects, 0);
}

static void assert_refusal(struct world *w, const char *request, const char *enhanced)
{
	json_t *reply = ask(w, 8, request), *refused = json_object_get(reply, "refused");

	if (!json_is_object(refused))
		fail_msg("%s: %s", request, w->answer);
	assert_string_equal(json_string_value(json_object_get(refused, "enhanced")), enhanced);
	json_decref(reply);
}

static void loops_and_failures(void **state)
{
	struct world *w = *state;

	assert_refusal(
		w, "{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"mine.example\"}", "5.4.6");
	assert_refusal(
		w, "{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"none.example\"}", "5.1.2");
	/* A literal needs no DNS: the answer comes at once. */
	assert_refusal(
		w, "{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"[192.0.2.250]\"}", "5.4.6");
	/* A fixed server's name leads to our own listener. */
	assert_true(world_apply(w, "transports: { named: { server: host.example } }\n"));
	assert_refusal(
		w, "{\"op\":\"hosts\",\"transport\":\"named\",\"domain\":\"x.example\"}", "5.4.6");
	w->dns_fails = true;
	assert_refusal(
		w, "{\"op\":\"hosts\",\"transport\":\"named\",\"domain\":\"x.example\"}", "4.4.3");
}

/* Whoever asks what would become of a message hears that it would wait. */
static void a_destination_that_is_down(void **state)
{
	static const char site[] =
		"{\"op\":\"hosts\",\"transport\":\"site\",\"domain\":\"site.example\"}";
	static const char far[] =
		"{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"far.example\"}";
	struct world *w = *state;
	json_t *reply = ask(w, 3, site);

	assert_null(json_object_get(reply, "down"));
	json_decref(reply);
	strcpy(w->dead[0], "192.0.2.1");
	strcpy(w->dead[1], "198.51.100.1");
	strcpy(w->dead[2], "198.51.100.2");
	world_send(w, "a@client.example", "b@site.example", BODY);
	world_send(w, "a@client.example", "b@far.example", BODY);
	world_pass(w, MINUTE);
	reply = ask(w, 4, site);
	json_t *down = json_object_get(reply, "down");
	assert_true(json_is_string(json_object_get(down, "since")));
	assert_true(json_is_string(json_object_get(down, "next_probe")));
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(down, "last_failure"), "enhanced")),
		"4.4.1");
	assert_int_equal(json_array_size(json_object_get(reply, "hosts")), 1);
	json_decref(reply);
	reply = ask(w, 5, far);
	assert_true(json_is_object(json_object_get(reply, "down")));
	json_decref(reply);
	/* Another domain by the same transport is another destination. */
	reply = ask(w, 6, "{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"host.example\"}");
	assert_null(json_object_get(reply, "down"));
	json_decref(reply);
}

static void assert_error(struct world *w, const char *request, const char *part)
{
	json_t *reply = ask(w, 9, request);
	const char *text = json_string_value(json_object_get(reply, "error"));

	if (!text || !strstr(text, part))
		fail_msg("%s: %s", request, w->answer);
	json_decref(reply);
}

static void requests_that_make_no_sense(void **state)
{
	struct world *w = *state;

	assert_error(w, "{\"op\":\"hosts\"}", "needed");
	assert_error(w, "{\"op\":\"hosts\",\"transport\":\"\",\"domain\":\"a.example\"}", "needed");
	assert_error(w, "{\"op\":\"hosts\",\"transport\":5,\"domain\":\"a.example\"}", "needed");
	assert_error(w, "{\"op\":\"hosts\",\"transport\":\"nope\",\"domain\":\"a.example\"}",
		"does not know the transport");
	assert_false(delivery_hosts(w->d, 1, SPAN("{\"op\":\"status\"}")));
	assert_false(delivery_hosts(w->d, 1, SPAN("{\"op\":5}")));
	assert_false(delivery_hosts(w->d, 1, SPAN("nonsense")));
	assert_false(delivery_hosts(w->d, 1, SPAN_NONE));
}

static void only_so_many_at_a_time(void **state)
{
	static const char request[] =
		"{\"op\":\"hosts\",\"transport\":\"mx\",\"domain\":\"far.example\"}";
	struct world *w = *state;

	w->dns_waits = true;
	for (uint32_t i = 1; i <= 16; i++)
		assert_null(ask(w, i, request));
	assert_error(w, request, "too many");
	w->dns_waits = false;
	world_settle(w);
	assert_in_range(w->answered, 1, 16);
	json_t *reply = ask(w, 20, request);
	assert_non_null(reply);
	json_decref(reply);
	w->dns_waits = true; /* and one is open when the core ends */
	assert_null(ask(w, 21, request));
}

static long long count(struct world *w, const char *filter)
{
	char request[300];

	snprintf(request, sizeof(request), "{\"op\":\"count\",\"filter\":\"%s\"}", filter);
	char *text = world_control(w, request);
	json_t *reply = json_loads(text, 0, NULL);
	assert_null(json_object_get(reply, "after"));
	assert_null(json_object_get(reply, "error"));
	long long n = json_integer_value(json_object_get(reply, "messages"));
	json_decref(reply);
	free(text);
	return n;
}

static void messages_are_counted_not_units(void **state)
{
	struct world *w = *state;

	strcpy(w->dead[0], "192.0.2.1");
	strcpy(w->dead[1], "192.0.2.3");
	world_send(w, "a@client.example", "b@site.example c@one.example", BODY);
	world_send(w, "a@client.example", "b@site.example", BODY);
	assert_int_equal(count(w, ""), 2);
	assert_int_equal(count(w, "transport=site"), 2);
	assert_int_equal(count(w, "domain=one.example"), 1);
	assert_int_equal(count(w, "domain=one.example or transport=site"), 2);
	assert_int_equal(count(w, "domain=site.example recipient=b@site.example"), 2);
	assert_int_equal(count(w, "domain=x.example"), 0);
	char *text = world_control(w, "{\"op\":\"count\",\"filter\":\"(\"}");
	assert_non_null(strstr(text, "error"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hosts_in_their_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(loops_and_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_destination_that_is_down, set_up, tear_down),
		cmocka_unit_test_setup_teardown(requests_that_make_no_sense, set_up, tear_down),
		cmocka_unit_test_setup_teardown(only_so_many_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(messages_are_counted_not_units, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
