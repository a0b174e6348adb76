/* What was seen of the core: events, answers, counts. */
#include "world_parts.h"

static void keep(char *to, size_t room, struct span text)
{
	size_t n = MIN(text.n, room - 1);

	if (n)
		memcpy(to, text.p, n);
	to[n] = '\0';
}

void world_on_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct world *w = CONTAINER_OF(log, struct world, log);
	int n = snprintf(w->warned, sizeof(w->warned), "%s", message);
	(void)level;

	w->warnings++;
	for (size_t i = 0; i < count && n < WORLD_LINE; i++)
		if (fields[i].kind == LOG_FIELD_SPAN)
			n += snprintf(w->warned + n, sizeof(w->warned) - (size_t)n, " %s=%.*s",
				fields[i].name, (int)fields[i].span.n, fields[i].span.p);
}

void world_on_event(struct event_sink *sink, const struct event *event)
{
	struct world *w = CONTAINER_OF(sink, struct world, sink);

	if (w->event_count == WORLD_EVENTS)
		return;
	struct seen *seen = &w->events[w->event_count++];
	size_t n = 0;

	*seen = (struct seen){.kind = event->kind,
		.id = event->id,
		.dsn = event->dsn_id,
		.parent = event->parent_id,
		.attempt = event->attempt,
		.next_try_ms = event->next_try_ms};
	for (uint32_t i = 0; i < event->recipient_count; i++) {
		struct span r = event->recipients[i];

		if (n + r.n + 2 < sizeof(seen->rcpts)) {
			if (r.n)
				memcpy(seen->rcpts + n, r.p, r.n);
			n += r.n;
			seen->rcpts[n++] = ' ';
		}
	}
	keep(seen->destination, sizeof(seen->destination), event->destination);
	keep(seen->action, sizeof(seen->action), event->action);
	keep(seen->tls, sizeof(seen->tls), event->tls);
	if (event->verdict) {
		seen->code = event->verdict->code;
		keep(seen->text, sizeof(seen->text), verdict_text(event->verdict));
	}
}

size_t world_events(const struct world *w, enum event_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < w->event_count; i++)
		n += w->events[i].kind == kind;
	return n;
}

const struct seen *world_event(const struct world *w, enum event_kind kind, size_t nth)
{
	for (size_t i = 0; i < w->event_count; i++)
		if (w->events[i].kind == kind && nth-- == 0)
			return &w->events[i];
	return NULL;
}

size_t world_taken(const struct world *w, const char *rcpt)
{
	size_t n = 0;

	for (size_t i = 0; i < w->taken_count; i++)
		n += strstr(w->taken[i].rcpts, rcpt) != NULL;
	return n;
}

/* ---- questions -------------------------------------------------------------------------- */

char *world_control(struct world *w, const char *request)
{
	struct buf reply;

	buf_init(&reply, 64u << 20);
	delivery_control(w->d, span_str(request), &reply);
	buf_add_char(&reply, '\0');
	assert_true(buf_ok(&reply));
	world_settle(w);
	return reply.p;
}

uint64_t world_queued(const struct world *w)
{
	struct delivery_figures figures;

	delivery_figures(w->d, &figures);
	return figures.queued;
}

void world_sound(struct world *w)
{
	struct buf problem;

	buf_init(&problem, 1u << 16);
	if (delivery_check(w->d, &problem))
		fail_msg("%.*s", (int)problem.n, problem.p ? problem.p : "");
	buf_done(&problem);
}

size_t world_open(const struct world *w)
{
	size_t n = 0;

	for (const struct list *at = w->hops.next; at != &w->hops; at = at->next)
		n++;
	return n;
}
