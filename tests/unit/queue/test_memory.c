/*
 * Memory runs out anywhere: what cannot be taken in is refused, what is in stays in its place or
 * waits in limbo, and when there is memory again everything goes out. The allocator is wrapped at
 * link time (--wrap).
 */
#include "base/prng.h"
#include "world.h"

#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);

static struct prng luck;
static unsigned one_in; /* so many calls fails one; 0: none */

static bool fails(void)
{
	return one_in && prng_below(&luck, one_in) == 0;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return fails() ? NULL : __real_realloc(p, size);
}

#define MESSAGES 300
#define RCPTS	 "x@a.example y@b.example z@c.example vip@d.example u@a.example"

struct shortage {
	struct world w;
	struct prng prng;
	bool taken[MESSAGES + 1];
	struct queue_start active[64];
	size_t active_count;
	uint64_t limbo; /* units seen there */
};

/* The test's own bookkeeping has memory. */
static int shorted_add(struct shortage *s, uint64_t id, const char *rcpts)
{
	struct world_mail mail;
	world_mail(&s->w, &mail, id, rcpts);
	one_in = 3;
	int err = queue_add(s->w.q, &mail.envelope, SPAN_NONE, s->w.now);
	one_in = 0;
	world_check(&s->w);
	return err;
}

static void result(struct shortage *s, const struct queue_start *start)
{
	enum verdict_kind kinds[WORLD_RCPTS];
	struct verdict verdict = world_verdict((uint16_t)(450 + prng_below(&s->prng, 4)), "no");
	for (uint32_t i = 0; i < start->rcpt_count; i++)
		kinds[i] = prng_below(&s->prng, 2) ? VERDICT_OK : VERDICT_TEMPORARY;
	one_in = 4;
	if (prng_below(&s->prng, 3))
		queue_unit_result(s->w.q, start->unit, kinds,
			prng_below(&s->prng, 2) ? QUEUE_ANSWER_SERVER : QUEUE_ANSWER_MAIL, &verdict,
			s->w.now);
	else
		queue_destination_failed(s->w.q, start->unit, &verdict, s->w.now);
	one_in = 0;
	world_check(&s->w);
}

static void meddle(struct shortage *s)
{
	static const char *const domains[] = {"a.example", "b.example"};
	uint64_t id = 1 + prng_below(&s->prng, MESSAGES);
	struct pause pause = {
		.since_ms = prng_below(&s->prng, 2) ? s->w.now : 0, .by = SPAN("ann")};
	struct world_mail mail;
	struct queue_message_info info;
	world_mail(&s->w, &mail, id, RCPTS);
	bool there = queue_message_info(s->w.q, id, &info) == 0;
	mail.envelope.rcpt_count = there ? info.rcpt_count : 1;
	uint32_t part = there ? info.first_unit : 0;
	if (there && info.waiting > 1 && prng_below(&s->prng, 2)) {
		struct queue_unit_info unit;
		assert_int_equal(queue_unit_info(s->w.q, part, s->w.now, &unit), 0);
		uint32_t rcpt = unit.rcpts[unit.rcpt_count - 1];
		one_in = 3;
		int err = queue_split(s->w.q, id, part, &rcpt, 1, s->w.now, &part);
		one_in = 0;
		assert_true(err == 0 || err == ERR_NOMEM);
		world_check(&s->w);
	}
	one_in = 3;
	switch (prng_below(&s->prng, 6)) {
	case 5: queue_hold(s->w.q, id, part, SPAN("bob"), SPAN("part"), s->w.now); break;
	case 0: queue_hold(s->w.q, id, QUEUE_ALL_UNITS, SPAN("bob"), SPAN("?"), s->w.now); break;
	case 1: queue_release(s->w.q, id, QUEUE_ALL_UNITS, s->w.now); break;
	case 2:
		queue_reroute(s->w.q, &mail.envelope, QUEUE_ALL_UNITS, SPAN("backup"), s->w.now);
		break;
	case 3:
		queue_set_pause(s->w.q, QUEUE_SCOPE_DOMAIN,
			span_str(domains[prng_below(&s->prng, 2)]), &pause, s->w.now);
		break;
	case 4: queue_retry(s->w.q, id, QUEUE_ALL_UNITS, s->w.now); break;
	}
	queue_run(s->w.q, s->w.now);
	one_in = 0;
	world_check(&s->w);
}

static void count_limbo(struct shortage *s)
{
	uint64_t ids[MESSAGES];
	struct queue_message_info info;
	struct queue_why why;
	size_t n = queue_page(s->w.q, 0, ids, MESSAGES);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(queue_message_info(s->w.q, ids[i], &info), 0);
		assert_int_equal(queue_why(s->w.q, info.first_unit, s->w.now, &why), 0);
		s->limbo += why.kind == QUEUE_WHY_MEMORY;
	}
}

static void recover(struct shortage *s)
{
	struct queue_start start;
	for (size_t i = 0; i < s->active_count; i++)
		world_ok(&s->w, &s->active[i]);
	world_pause(&s->w, QUEUE_SCOPE_DOMAIN, "a.example", false);
	world_pause(&s->w, QUEUE_SCOPE_DOMAIN, "b.example", false);
	for (uint64_t id = 1; id <= MESSAGES; id++)
		queue_release(s->w.q, id, QUEUE_ALL_UNITS, s->w.now);
	for (int i = 0; i < 20000 && queue_messages(s->w.q); i++) {
		while (world_next(&s->w, &start) == 0)
			world_ok(&s->w, &start);
		world_pass(&s->w, SECOND);
	}
	assert_int_equal(queue_messages(s->w.q), 0);
}

static uint64_t shortage(uint64_t seed)
{
	struct shortage *s = calloc(1, sizeof(*s));
	uint64_t taken = 0;
	prng_seed(&s->prng, seed);
	prng_seed(&luck, seed + 1000);
	world_init(&s->w, 64);
	world_route(&s->w, "a.example", "site");
	world_route(&s->w, "b.example", "site");
	for (uint64_t id = 1; id <= MESSAGES; id++) {
		int err = shorted_add(s, id, prng_below(&s->prng, 2) ? RCPTS : "x@e.example");
		assert_true(err == 0 || err == ERR_NOMEM);
		taken += err == 0;
		while (s->active_count < 8 && world_next(&s->w, &s->active[s->active_count]) == 0)
			s->active_count++;
		if (s->active_count && prng_below(&s->prng, 2))
			result(s, &s->active[--s->active_count]);
		meddle(s);
		count_limbo(s);
		if (prng_below(&s->prng, 4) == 0)
			world_pass(&s->w, (int64_t)prng_below(&s->prng, 20 * MINUTE));
	}
	assert_true(taken > MESSAGES / 10);
	assert_true(taken < MESSAGES);
	recover(s);
	assert_int_equal(s->w.finished_count, taken);
	world_done(&s->w);
	uint64_t limbo = s->limbo;
	free(s);
	return limbo;
}

static void memory_runs_out(void **state)
{
	uint64_t limbo = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= 30; seed++)
		limbo += shortage(seed);
	assert_true(limbo > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_runs_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
