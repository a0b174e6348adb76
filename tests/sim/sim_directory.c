/* The directory of the simulated gateway: its generations, made by the same plans as admin's. */
#include "base/check.h"
#include "base/err.h"
#include "directory/snapshot_build.h"
#include "sim_machine_inner.h"
#include "sim_world.h"

#include <stdio.h>
#include <stdlib.h>

static void problem(const char *what, const struct buf *problems)
{
	fprintf(stderr, "%s: %.*s\n", what, (int)problems->n, problems->n ? problems->p : "");
	abort();
}

/* Snapshots stay: a process that is dead may have held one. */
static void add_generation(struct sim_machine *m)
{
	struct buf bytes;

	if (m->generation_count == m->generation_room) {
		m->generation_room = m->generation_room ? m->generation_room * 2 : 16;
		m->generations =
			realloc(m->generations, m->generation_room * sizeof(struct snapshot *));
		CHECK(m->generations);
	}
	buf_init(&bytes, SNAPSHOT_BYTES);
	CHECK(snapshot_encode(m->objects, m->generation_count + 1, &bytes) == 0);
	CHECK(snapshot_from_bytes(buf_span(&bytes), &m->generations[m->generation_count]) == 0);
	m->generation_count++;
}

static int take(struct sim_machine *m, int err, struct plan **plan)
{
	if (err)
		return err;
	struct objects *before = m->objects;

	m->objects = plan_take(plan);
	objects_free(&before);
	add_generation(m);
	return 0;
}

void directory_init(struct sim_machine *m)
{
	struct plan_options options = {.now_ms = SIM_EPOCH_MS, .start = m->config};
	struct plan *plan;
	struct buf problems, text;

	buf_init(&problems, 65536);
	buf_init(&text, 65536);
	world_put_objects(&text);
	CHECK(objects_new(&m->objects) == 0);
	if (take(m,
		    objects_plan_apply(m->objects, "objects.yaml", buf_span(&text), &options,
			    &problems, &plan),
		    &plan))
		problem("objects.yaml", &problems);
	buf_done(&text);
	buf_done(&problems);
}

struct snapshot *directory_snapshot(struct sim_machine *m, uint64_t generation)
{
	CHECK(generation && generation <= m->generation_count);
	return m->generations[generation - 1];
}

const struct snapshot *machine_snapshot(const struct sim_machine *m, uint64_t generation)
{
	CHECK(generation && generation <= m->generation_count);
	return m->generations[generation - 1];
}

int machine_directory(struct sim_machine *m, const struct sim_change *change)
{
	struct plan_options options = {.now_ms = sim_wall_ms(m->sim), .start = m->config};
	struct span name = span_str(change->name), settings[RELAY_SETTINGS];
	size_t count = 0;
	struct plan *plan;
	struct buf problems;
	int err;

	if (!change->settings)
		settings[count++] = span_str(change->setting);
	while (change->settings && count < RELAY_SETTINGS && change->settings[count]) {
		settings[count] = span_str(change->settings[count]);
		count++;
	}
	buf_init(&problems, 65536);
	switch (change->kind) {
	case SIM_PAUSE:
		err = objects_plan_pause(m->objects, change->scope, name, SPAN("operator"),
			SPAN("simulated"), &options, &problems, &plan);
		break;
	case SIM_RESUME:
		err = objects_plan_resume(
			m->objects, change->scope, name, &options, &problems, &plan);
		break;
	case SIM_SET:
		err = objects_plan_set(m->objects, change->object, name, settings, count, &options,
			&problems, &plan);
		break;
	case SIM_ADD:
		err = objects_plan_add(m->objects, change->object, name, settings, count, &options,
			&problems, &plan);
		break;
	default:
		err = objects_plan_remove(
			m->objects, change->object, name, &options, &problems, &plan);
	}
	err = take(m, err, &plan);
	sim_say(m->sim, "directory: %s %.*s: %s%.*s", change->name, count ? (int)settings[0].n : 0,
		count ? settings[0].p : "", err_text(err), (int)problems.n,
		problems.n ? problems.p : "");
	buf_done(&problems);
	if (!err)
		machine_tell_directory(m);
	return err;
}
