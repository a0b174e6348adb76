#include "world.h"

#include <string.h>

static void copy_span(char *to, size_t room, struct span from)
{
	size_t n = MIN(from.n, room - 1);
	memcpy(to, from.p, n);
	to[n] = '\0';
}

/* Where a test makes the allocator fail now and then, the record must still be kept. */
static void *surely(void *p, size_t bytes)
{
	void *out;
	do
		out = realloc(p, bytes);
	while (!out);
	return out;
}

static void note_id(uint64_t **ids, size_t *count, uint64_t id)
{
	if ((*count & (*count - 1)) == 0) /* room doubles */
		*ids = surely(*ids, MAX(1, 2 * *count) * sizeof(**ids));
	(*ids)[(*count)++] = id;
}

static void on_route(void *context, const struct envelope *envelope, uint32_t rcpt,
	struct span reroute, struct queue_route *out)
{
	const struct world *w = context;
	assert_true(rcpt < envelope->rcpt_count);
	struct span address = envelope->rcpts[rcpt].address;
	size_t at = span_find(address, '@');
	out->domain = span_skip(address, at + 1);
	out->transport = SPAN("mx");
	for (size_t i = 0; i < w->route_count; i++)
		if (span_equal(out->domain, span_str(w->routes[i].domain)))
			out->transport = span_str(w->routes[i].transport);
	if (reroute.n)
		out->transport = reroute;
	if (span_starts_nocase(out->transport, SPAN("mx")))
		out->next_hop = out->domain;
	out->priority = span_starts_nocase(address, SPAN("vip"));
}

static void note_end(
	struct world *w, const struct queue_end *end, struct world_end **list, size_t *count)
{
	if ((*count & (*count - 1)) == 0)
		*list = surely(*list, MAX(1, 2 * *count) * sizeof(**list));
	struct world_end *out = &(*list)[(*count)++];
	*out = (struct world_end){.id = end->id,
		.why = end->why,
		.rcpt_count = end->rcpt_count,
		.attempts = end->attempts,
		.code = end->verdict ? end->verdict->code : 0,
		.at = w->now,
		.next_try = end->next_try_ms,
		.give_up = end->give_up_ms};
	copy_span(out->transport, sizeof(out->transport), end->transport);
	for (uint32_t i = 0; i < end->rcpt_count && i < WORLD_RCPTS; i++)
		out->rcpts[i] = end->rcpts[i];
}

static void on_ended(void *context, const struct queue_end *end)
{
	struct world *w = context;
	note_end(w, end, &w->ends, &w->end_count);
}

static void on_warned(void *context, const struct queue_end *end)
{
	struct world *w = context;
	note_end(w, end, &w->warnings, &w->warning_count);
}

static void on_changed(void *context, uint64_t id)
{
	struct world *w = context;
	note_id(&w->changed, &w->changed_count, id);
}

static void on_finished(void *context, uint64_t id)
{
	struct world *w = context;
	note_id(&w->finished, &w->finished_count, id);
}

static void on_reroute(void *context, uint64_t id)
{
	struct world *w = context;
	note_id(&w->reroutes, &w->reroute_count, id);
}

static void on_destination_gone(void *context, uint32_t destination, void *user)
{
	struct world *w = context;
	(void)user;
	assert_true(destination);
	w->gone++;
}

static const struct queue_ops OPS = {
	.route = on_route,
	.ended = on_ended,
	.warned = on_warned,
	.changed = on_changed,
	.finished = on_finished,
	.reroute = on_reroute,
	.destination_gone = on_destination_gone,
};

void world_open(struct world *w, uint32_t connections)
{
	assert_int_equal(queue_new(&OPS, w, 1, connections, w->now, &w->q), 0);
}

void world_init(struct world *w, uint32_t connections)
{
	*w = (struct world){.now = WORLD_START};
	world_open(w, connections);
}

void world_done(struct world *w)
{
	world_check(w);
	queue_free(&w->q);
	free(w->ends);
	free(w->warnings);
	free(w->finished);
	free(w->changed);
	free(w->reroutes);
}

void world_route(struct world *w, const char *domain, const char *transport)
{
	size_t at = 0;
	while (at < w->route_count && strcmp(w->routes[at].domain, domain) != 0)
		at++;
	assert_true(at < WORLD_ROUTES);
	snprintf(w->routes[at].domain, sizeof(w->routes[at].domain), "%s", domain);
	snprintf(w->routes[at].transport, sizeof(w->routes[at].transport), "%s", transport);
	w->route_count = MAX(w->route_count, at + 1);
}

struct transport world_transport(const char *name)
{
	return (struct transport){.name = span_str(name),
		.retry = {{3600, 1}},
		.retry_steps = 1,
		.retry_count = 5,
		.connections = 10};
}

void world_set_transport(struct world *w, const struct transport *transport)
{
	assert_int_equal(queue_set_transport(w->q, transport, w->now), 0);
}

void world_mail(const struct world *w, struct world_mail *mail, uint64_t id, const char *rcpts)
{
	*mail = (struct world_mail){
		.envelope = {.id = id,
			.arrived_ms = w->now,
			.sender = w->null_sender ? SPAN_NONE : SPAN("a@client.example"),
			.body_bytes = 1000}};
	struct span left = span_str(rcpts);
	while (left.n) {
		size_t n = span_find(left, ' ');
		assert_true(mail->envelope.rcpt_count < WORLD_RCPTS);
		mail->rcpts[mail->envelope.rcpt_count++].address = span_of(left.p, n);
		left = span_skip(left, n + 1);
	}
	mail->envelope.rcpts = mail->rcpts;
}

int world_add_state(struct world *w, uint64_t id, const char *rcpts, struct span state)
{
	struct world_mail mail;
	world_mail(w, &mail, id, rcpts);
	int err = queue_add(w->q, &mail.envelope, state, w->now);
	world_check(w);
	return err;
}

int world_add(struct world *w, uint64_t id, const char *rcpts)
{
	return world_add_state(w, id, rcpts, SPAN_NONE);
}

int world_next(struct world *w, struct queue_start *out)
{
	queue_run(w->q, w->now);
	int err = queue_next(w->q, w->now, out);
	world_check(w);
	return err;
}

struct queue_start world_expect(struct world *w, uint64_t id)
{
	struct queue_start start;
	assert_int_equal(world_next(w, &start), 0);
	assert_int_equal(start.id, id);
	return start;
}

void world_expect_none(struct world *w)
{
	struct queue_start start;
	assert_int_equal(world_next(w, &start), ERR_AGAIN);
}

struct verdict world_verdict(uint16_t code, const char *text)
{
	struct verdict v = {.code = code, .remote = true, .length = (uint16_t)strlen(text)};
	v.kind = code >= 500 ? VERDICT_PERMANENT : code >= 400 ? VERDICT_TEMPORARY : VERDICT_OK;
	memcpy(v.text, text, v.length);
	return v;
}

void world_result(
	struct world *w, const struct queue_start *start, enum verdict_kind kind, uint16_t code)
{
	enum verdict_kind kinds[WORLD_RCPTS];
	struct verdict verdict = world_verdict(code, "as you say");
	for (uint32_t i = 0; i < start->rcpt_count; i++)
		kinds[i] = kind;
	queue_unit_result(w->q, start->unit, kinds, QUEUE_ANSWER_MAIL, &verdict, w->now);
	world_check(w);
}

void world_throttled(struct world *w, const struct queue_start *start)
{
	enum verdict_kind kinds[WORLD_RCPTS];
	struct verdict verdict = world_verdict(452, "out of space");
	for (uint32_t i = 0; i < start->rcpt_count; i++)
		kinds[i] = VERDICT_TEMPORARY;
	queue_unit_result(w->q, start->unit, kinds, QUEUE_ANSWER_SERVER, &verdict, w->now);
	world_check(w);
}

void world_ok(struct world *w, const struct queue_start *start)
{
	world_result(w, start, VERDICT_OK, 250);
}

void world_failed(struct world *w, const struct queue_start *start)
{
	struct verdict verdict = world_verdict(421, "connection refused");
	verdict.remote = false;
	queue_destination_failed(w->q, start->unit, &verdict, w->now);
	world_check(w);
}

void world_pass(struct world *w, int64_t ms)
{
	int64_t until = w->now + ms;
	while (w->now < until) {
		int64_t next = queue_next_time(w->q, w->now);
		assert_true(next >= w->now);
		/* something may start, but nobody does: go on in seconds */
		if (next == w->now)
			next = w->now + SECOND;
		w->now = MIN(next, until);
		queue_run(w->q, w->now);
	}
	world_check(w);
}

void world_check(struct world *w)
{
	struct buf problem;
	buf_init(&problem, 4096);
	int err = queue_check(w->q, &problem);
	if (err)
		print_error("%.*s\n", (int)problem.n, problem.p);
	buf_done(&problem);
	assert_int_equal(err, 0);
}

struct queue_why world_why(struct world *w, uint64_t id)
{
	struct queue_message_info info;
	struct queue_why why;
	assert_int_equal(queue_message_info(w->q, id, &info), 0);
	assert_int_equal(queue_why(w->q, info.first_unit, w->now, &why), 0);
	return why;
}

struct queue_unit_info world_unit(struct world *w, uint64_t id)
{
	struct queue_message_info info;
	struct queue_unit_info unit;
	assert_int_equal(queue_message_info(w->q, id, &info), 0);
	assert_int_equal(queue_unit_info(w->q, info.first_unit, w->now, &unit), 0);
	return unit;
}

uint64_t world_count(struct world *w, enum queue_state state)
{
	struct queue_counts counts;
	queue_totals(w->q, &counts);
	return counts.units[state];
}

void world_pause(struct world *w, enum queue_scope scope, const char *name, bool on)
{
	struct pause pause = {
		.since_ms = on ? w->now : 0, .by = SPAN("ann"), .reason = SPAN("moving house")};
	assert_int_equal(queue_set_pause(w->q, scope, span_str(name), &pause, w->now), 0);
	world_check(w);
}
