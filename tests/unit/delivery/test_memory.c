/*
 * Memory that is there for little and not for much: what a message with thousands of recipients
 * needs. The allocator is wrapped at link time (--wrap).
 */
#include "world.h"

#define BODY  "Subject: hello\r\n\r\nhello\r\n"
#define RCPTS 3000
#define LARGE 45000 /* bytes: more than is asked for without an answer to "no" */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static bool short_of_memory;
static size_t largest; /* that calloc() was asked for */

void *__wrap_malloc(size_t size)
{
	return short_of_memory && size > LARGE ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	largest = MAX(largest, count * size);
	return short_of_memory && count * size > LARGE ? NULL : __real_calloc(count, size);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	short_of_memory = false;
	world_done(w);
	free(w);
	return 0;
}

static void send_to_many(struct world *w, const char *options)
{
	static char rcpts[RCPTS * 40];
	size_t n = 0;

	for (int i = 0; i < RCPTS; i++)
		n += (size_t)snprintf(rcpts + n, sizeof(rcpts) - n, "%su%d@site.example%s",
			i ? " " : "", i, options);
	world_send(w, "a@site.example", rcpts, BODY);
}

static size_t told(const struct world *w, enum event_kind kind)
{
	size_t events = 0;

	while (world_event(w, kind, events))
		events++;
	return events;
}

/* The next hop's word about all is there, and now there is no memory: it is told and kept. */
static void short_at_the_end(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	(void)reply;
	if (strcmp(line, ".") == 0)
		short_of_memory = true;
}

static void an_outcome_needs_none(void **state)
{
	struct world *w = *state;

	w->script = short_at_the_end;
	send_to_many(w, "");
	assert_int_equal(told(w, EVENT_DELIVERY), RCPTS / 1000);
	short_of_memory = false;
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(w->taken_count, 1);
	world_crash(w);
	assert_int_equal(world_queued(w), 0);
}

/* Before an attempt: it waits until there is some, and nobody is told anything. */
static void an_attempt_waits_for_it(void **state)
{
	struct world *w = *state;

	world_pause(w, PAUSE_TRANSPORT, "site", true);
	send_to_many(w, "");
	short_of_memory = true;
	world_pause(w, PAUSE_TRANSPORT, "site", false);
	world_pass(w, 10 * SECOND);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(w->event_count, 0);
	world_sound(w);
	short_of_memory = false;
	world_pass(w, 10 * SECOND);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(world_queued(w), 0);
}

static void refuse_all(struct world *w, struct hop *hop, const char *line, char *reply)
{
	(void)w;
	(void)hop;
	if (strncmp(line, "RCPT TO:<u", 10) == 0)
		strcpy(reply, "550 5.1.1 no such user");
}

/* Each is named in a notification, of five hundred at most. */
static void notifications_of_hundreds(void **state)
{
	struct world *w = *state;
	size_t named = 0, dsns = 0;

	w->script = refuse_all;
	send_to_many(w, "");
	world_pass(w, MINUTE);
	assert_int_equal(told(w, EVENT_BOUNCE), RCPTS / 1000);
	for (size_t i = 0; i < w->taken_count; i++) {
		if (w->taken[i].from[0])
			continue;
		dsns++;
		for (const char *at = w->taken[i].body; (at = strstr(at, "\nFinal-Recipient:"));
			at++)
			named++;
	}
	assert_int_equal(dsns, RCPTS / 500);
	assert_int_equal(named, RCPTS);
	assert_int_equal(world_queued(w), 0);
}

/* One about one recipient is not paid for as if its sender were an alias of a thousand. */
static void a_notification_of_one(void **state)
{
	struct world *w = *state;

	w->script = refuse_all;
	for (int i = 0; i < 2; i++) { /* what is made once is there then */
		largest = 0;
		world_send(w, "a@site.example", "u@site.example", BODY);
		world_pass(w, MINUTE);
		assert_non_null(world_event(w, EVENT_BOUNCE, (size_t)i));
	}
	assert_in_range(largest, 1, 20000);
	assert_int_equal(world_queued(w), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(an_outcome_needs_none),
		TEST(an_attempt_waits_for_it),
		TEST(notifications_of_hundreds),
		TEST(a_notification_of_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
