/* Hosts that take connections and then say nothing: strangers choose them, others must not wait. */
#include "world.h"

#define BODY	 "Subject: hello\r\n\r\nhello\r\n"
#define STALLING 30
#define LIMIT	 20

struct stage {
	struct world w; /* first */
	struct dns_row rows[2 * STALLING + 10];
	char names[STALLING][32], addresses[STALLING][32];
	size_t count;
};

static int set_up(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));

	world_init(&s->w);
	s->w.config->limits.outbound_connections = LIMIT;
	world_crash(&s->w);
	s->w.rows = s->rows;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct stage *s = *state;

	world_sound(&s->w);
	world_done(&s->w);
	free(s);
	return 0;
}

static void add_row(struct stage *s, const char *name, const char *address)
{
	s->rows[s->count++] = (struct dns_row){name, DNS_A, 0, address};
}

/* 198.51.100.x never greets. */
static void stall(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	if (strcmp(line, "CONNECT") == 0 && strncmp(hop->ip, "198.51.100.", 11) == 0)
		strcpy(reply, "SILENT");
}

static void add_stalling(struct stage *s, bool one_host)
{
	for (int i = 0; i < STALLING; i++) {
		snprintf(s->names[i], sizeof(s->names[i]), "stall%d.example", i);
		snprintf(s->addresses[i], sizeof(s->addresses[i]), "198.51.100.%d",
			one_host ? 1 : i + 1);
		add_row(s, s->names[i], s->addresses[i]);
	}
	add_row(s, "far.example", "203.0.113.1");
	s->w.script = stall;
}

static void expect_honest_mail(struct world *w)
{
	size_t far = world_taken(w, "honest@far.example");
	size_t site = world_taken(w, "honest@site.example");

	world_send(w, "a@client.example", "honest@far.example", BODY);
	assert_int_equal(world_taken(w, "honest@far.example"), far + 1);
	world_send(w, "a@client.example", "honest@site.example", BODY);
	assert_int_equal(world_taken(w, "honest@site.example"), site + 1);
}

/* Anybody can have notifications sent to hosts of his own. */
static void notifications_to_them_delay_nobody(void **state)
{
	struct stage *s = *state;
	struct world *w = &s->w;
	char from[64];

	add_stalling(s, false);
	for (int i = 0; i < STALLING; i++) {
		snprintf(from, sizeof(from), "x@%s", s->names[i]);
		world_send(w, from, "bad@site.example", BODY);
	}
	world_pass(w, 5 * SECOND);
	assert_int_equal(world_events(w, EVENT_BOUNCE), STALLING);
	expect_honest_mail(w);
	char *reply = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(reply, "\"blocker\":\"limit-null-sender\""));
	assert_non_null(strstr(reply, "waits for one of the 5 outbound connections"));
	free(reply);
	/* and it stays so */
	for (int i = 0; i < 20; i++) {
		world_pass(w, 3 * MINUTE);
		assert_true(world_open(w) <= LIMIT);
		world_sound(w);
	}
	expect_honest_mail(w);
}

static void mail_to_them_delays_nobody(void **state)
{
	struct stage *s = *state;
	struct world *w = &s->w;
	char to[64];

	add_stalling(s, true);
	for (int i = 0; i < STALLING; i++) {
		snprintf(to, sizeof(to), "x@%s", s->names[i]);
		world_send(w, "a@client.example", to, BODY);
	}
	/* All have the same host, which gets no more sessions than one host may have. */
	assert_int_equal(world_open(w), 4);
	char *reply = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(reply, "\"blocker\":\"limit-host\""));
	assert_non_null(strstr(reply, "which has the 4 that one host may have"));
	free(reply);
	expect_honest_mail(w);
	/* Nothing was counted, and all is delivered once the host speaks. */
	w->script = NULL;
	world_pass(w, 20 * MINUTE);
	assert_int_equal(world_queued(w), 0);
}

/* Other domains have other hosts: a share of all is kept for fixed servers. */
static void fixed_servers_have_their_share(void **state)
{
	struct stage *s = *state;
	struct world *w = &s->w;
	char to[64];

	add_stalling(s, false);
	for (int i = 0; i < STALLING; i++) {
		snprintf(to, sizeof(to), "x@%s", s->names[i]);
		world_send(w, "a@client.example", to, BODY);
	}
	assert_int_equal(world_open(w), 15);
	world_send(w, "a@client.example", "honest@site.example", BODY);
	assert_int_equal(world_taken(w, "honest@site.example"), 1);
	char *reply = world_control(w, "{\"op\":\"list\"}");
	assert_non_null(strstr(reply, "\"blocker\":\"limit-lookup-mx\""));
	free(reply);
}

/* However many hosts a domain has, and however slowly they speak. */
static void a_session_is_ready_in_time_or_over(void **state)
{
	struct stage *s = *state;
	struct world *w = &s->w;

	for (int i = 0; i < 10; i++) {
		snprintf(s->addresses[i], sizeof(s->addresses[i]), "198.51.100.%d", i + 1);
		add_row(s, "slow.example", s->addresses[i]);
	}
	w->script = stall;
	world_send(w, "a@client.example", "x@slow.example", BODY);
	world_pass(w, 5 * MINUTE);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 0);
	world_pass(w, 61 * SECOND);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	assert_non_null(strstr(world_event(w, EVENT_TRANSIENT_FAILURE, 0)->text, "in time"));
	assert_int_equal(world_queued(w), 1);
}

static void silent_but_for_one(struct world *w, struct hop *hop, const char *line, char *reply)
{
	if (strcmp(line, "CONNECT") == 0 && strncmp(hop->ip, "198.51.100.", 11) == 0 &&
		w->scratch++ != 2)
		strcpy(reply, "SILENT");
}

/* Sessions that are being opened for mail which found another one hold nobody up. */
static void a_session_that_nobody_waits_for_makes_room(void **state)
{
	struct stage *s = *state;
	struct world *w = &s->w;

	w->config->limits.outbound_connections = 3;
	world_crash(w);
	add_row(s, "odd.example", "198.51.100.1");
	w->script = silent_but_for_one;
	w->dns_waits = true;
	for (int i = 0; i < 3; i++)
		world_send(w, "a@client.example", "x@odd.example", BODY);
	w->dns_waits = false;
	world_settle(w);
	assert_int_equal(world_taken(w, "x@odd.example"), 3);
	assert_int_equal(world_open(w), 3);
	world_send(w, "a@client.example", "later@one.example", BODY);
	world_send(w, "a@client.example", "honest@site.example", BODY);
	world_send(w, "a@client.example", "ann@bin.example", BODY);
	assert_int_equal(world_taken(w, "honest@site.example"), 1);
	assert_int_equal(world_taken(w, "ann@bin.example"), 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(notifications_to_them_delay_nobody),
		TEST(mail_to_them_delays_nobody),
		TEST(fixed_servers_have_their_share),
		TEST(a_session_is_ready_in_time_or_over),
		TEST(a_session_that_nobody_waits_for_makes_room),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
