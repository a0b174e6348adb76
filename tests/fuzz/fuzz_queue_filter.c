/*
 * Any bytes as a filter: refused with a place, or understood; then its canonical text is a fixed
 * point, and matching is the same for both. (Whether a saved state is taken is fuzzed alike: see
 * the first byte.)
 */
#include "base/check.h"
#include "base/err.h"
#include "queue/filter.h"

#include <stdint.h>

static const struct envelope_rcpt RCPTS[] = {
	{.address = {"bob@b.example", 13}},
	{.address = {"carol@c.example", 15}},
};
static const uint32_t ALL[] = {0, 1};

static int load(struct filter_subject *s)
{
	s->sender = SPAN("ann@a.example");
	s->user = SPAN("joe@c.example");
	s->all_rcpts = RCPTS;
	CHECK(netaddr_parse_ip(SPAN("192.0.2.7"), &s->client) == 0);
	return 0;
}

static bool match(const struct filter *filter)
{
	struct filter_subject s = {.id = 99,
		.state = QUEUE_DOWN,
		.transport = SPAN("site-a"),
		.next_hop = SPAN("b.example"),
		.age_ms = 3600000,
		.size = 4096,
		.attempts = 2,
		.reason = SPAN("421 go away"),
		.load = load,
		.rcpts = ALL,
		.rcpt_count = 2};
	return filter_match(filter, &s);
}

static void fuzz_filter(struct span in)
{
	struct filter *first = NULL, *second = NULL;
	struct buf problem, text, again;
	buf_init(&problem, 8192);
	buf_init(&text, 1 << 20);
	buf_init(&again, 1 << 20);
	if (filter_parse(in, &first, &problem) == 0) {
		CHECK(problem.n == 0);
		filter_format(first, &text);
		if (text.n <= FILTER_BYTES) {
			CHECK(filter_parse(buf_span(&text), &second, &problem) == 0);
			filter_format(second, &again);
			CHECK(span_equal(buf_span(&text), buf_span(&again)));
			CHECK(match(first) == match(second));
		}
	} else {
		CHECK(problem.n && !first);
	}
	filter_free(&first);
	filter_free(&second);
	buf_done(&problem);
	buf_done(&text);
	buf_done(&again);
}

/* ---- saved states --------------------------------------------------------------------------- */

static void on_route(void *context, const struct envelope *envelope, uint32_t rcpt,
	struct span reroute, struct queue_route *out)
{
	(void)context;
	out->transport = reroute.n ? reroute : SPAN("mx");
	out->domain = out->next_hop = envelope_domain(envelope->rcpts[rcpt].address);
}

static void on_end(void *context, const struct queue_end *end)
{
	(void)context;
	(void)end;
}

static void on_id(void *context, uint64_t id)
{
	(void)context;
	(void)id;
}

static void on_gone(void *context, uint32_t destination, void *user)
{
	(void)context;
	(void)destination;
	(void)user;
}

static void fuzz_state(struct span in)
{
	static const struct queue_ops ops = {.route = on_route,
		.ended = on_end,
		.warned = on_end,
		.changed = on_id,
		.finished = on_id,
		.reroute = on_id,
		.destination_gone = on_gone};
	const int64_t now = 1800000000000;
	struct envelope_rcpt rcpts[2] = {RCPTS[0], RCPTS[1]};
	struct envelope envelope = {
		.id = 1, .arrived_ms = now - 5000, .rcpts = rcpts, .rcpt_count = 2};
	struct queue *queue;
	struct buf buf;

	buf_init(&buf, 1 << 16);
	CHECK(queue_new(&ops, NULL, 1, 10, now, &queue) == 0);
	if (queue_add(queue, &envelope, in, now) == 0) {
		queue_run(queue, now);
		CHECK(queue_check(queue, &buf) == 0);
		/* what was taken can be kept and taken again */
		if (queue_state_encode(queue, 1, &buf)) {
			CHECK(queue_delete(queue, 1, QUEUE_ALL_UNITS, now) == 0);
			CHECK(queue_add(queue, &envelope, buf_span(&buf), now) == 0);
		}
	}
	queue_free(&queue);
	buf_done(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size && data[0] == 1)
		fuzz_state(span_of(data, size));
	else
		fuzz_filter(span_of(data, size));
	return 0;
}
