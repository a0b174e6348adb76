/*
 * The trace of each process lies on a disk of its own, under the same faults as the spool. It may
 * lose lines; what it holds must be lines, and no more of them than its bounds allow.
 */
#include "base/check.h"
#include "base/err.h"
#include "sim_machine_inner.h"

#include <jansson.h>
#include <stdlib.h>

#define TRACE_LEAST (64u << 10)
#define TRACE_SLACK (256u << 10) /* what one write may be beyond the bounds */
#define TRACE_AGE   (400ull * 24 * 3600 * 1000)

static void on_event(struct event_sink *sink, const struct event *event)
{
	struct sim_tracer *t = CONTAINER_OF(sink, struct sim_tracer, sink);
	struct sim_machine *m = t->role->machine;

	sim_note(m->sim, event->kind);
	sim_note(m->sim, event->id);
	ledger_event(m->ledger, event);
	if (m->sim->verbose)
		sim_say(m->sim, "event %s %016llx %.*s", event_name(event->kind),
			(unsigned long long)event->id,
			event->recipient_count ? (int)event->recipients[0].n : 0,
			event->recipient_count ? event->recipients[0].p : "");
	t->lines++;
	event_emit(trace_writer_sink(t->writer), event);
}

void tracer_init(struct sim_role *role)
{
	struct sim_tracer *t = &role->tracer;
	struct sim *sim = role->machine->sim;

	t->role = role;
	t->sink.emit = on_event;
	t->bounds = TRACE_LEAST << sim_below(sim, 8);
	CHECK(sim_disk_new(sim_below(sim, UINT64_MAX), &t->files) == 0);
}

void tracer_open(struct sim_role *role)
{
	struct sim_tracer *t = &role->tracer;
	struct sim_machine *m = role->machine;

	t->disk = sim_rdisk_new(
		role->process, t->files, MUTATION_NONE, &m->serials, machine_power_failed, m);
	const struct trace_writer_config config = {
		.io = &role->process->io,
		.disk = t->disk,
		.bytes = t->bounds,
		.age_ms = TRACE_AGE,
		.log = &m->log,
	};

	CHECK(trace_writer_new(&config, &t->writer) == 0);
}

bool tracer_flushed(struct sim_role *role)
{
	trace_writer_flush(role->tracer.writer);
	return !trace_writer_busy(role->tracer.writer);
}

void tracer_abandon(struct sim_role *role)
{
	struct sim_tracer *t = &role->tracer;

	sim_rdisk_abandon(t->disk);
	t->writer = NULL;
	/* What a kill takes away is the last moment's lines. */
	t->harmed = t->harmed || !role->drained;
}

/* ---- at the end ----------------------------------------------------------------------------- */

struct reading {
	struct sim_tracer *tracer;
	uint64_t lines, torn, bytes;
};

/* A line that is broken was torn by a death or by a disk that failed. */
static void read_lines(struct reading *r, struct span text)
{
	while (text.n) {
		size_t n = span_find(text, '\n');
		json_t *line = n < text.n ? json_loadb(text.p, n, 0, NULL) : NULL;

		if (json_is_string(json_object_get(line, "event")))
			r->lines++;
		else
			r->torn++;
		json_decref(line);
		text = span_skip(text, n + 1);
	}
}

static int read_file(void *arg, const char *name)
{
	struct reading *r = arg;
	struct span text;

	if (sim_disk_peek(r->tracer->files, name, &text) != 0)
		return 0;
	r->bytes += text.n;
	read_lines(r, text);
	return 0;
}

void tracer_judge(struct sim_role *role)
{
	struct sim_tracer *t = &role->tracer;
	struct reading r = {.tracer = t};
	struct ledger *ledger = role->machine->ledger;

	(void)disk_list(sim_disk_base(t->files), "", read_file, &r);
	sim_say(role->machine->sim, "trace of %s: %llu lines of %llu, %llu torn, %llu bytes",
		role->name, (unsigned long long)r.lines, (unsigned long long)t->lines,
		(unsigned long long)r.torn, (unsigned long long)r.bytes);
	if (r.bytes > t->bounds + TRACE_SLACK)
		ledger_violation(ledger, "the trace of %s has %llu bytes, and may have %llu",
			role->name, (unsigned long long)r.bytes, (unsigned long long)t->bounds);
	if (r.lines > t->lines)
		ledger_violation(ledger, "the trace of %s tells more than happened", role->name);
	if (t->harmed)
		return;
	if (r.torn)
		ledger_violation(ledger, "the trace of %s has torn lines", role->name);
	if (r.lines != t->lines && r.bytes < t->bounds / 2)
		ledger_violation(ledger, "the trace of %s lost %llu lines", role->name,
			(unsigned long long)(t->lines - r.lines));
}
