/* What is to be seen of the machine from outside. */
#include "base/check.h"
#include "base/err.h"
#include "sim_look.h"
#include "sim_machine_inner.h"
#include "sim_world.h"

#include <stdio.h>

bool machine_is_up(const struct sim_machine *m)
{
	const struct sim_delivery *d = &m->delivery;

	for (unsigned i = 0; i < m->worker_count; i++)
		if (!role_runs(&m->workers[i].role) || !m->workers[i].knows || !m->workers[i].known)
			return false;
	return role_runs(&d->role) && d->delivery && d->started && delivery_loaded(d->delivery);
}

bool machine_is_settled(const struct sim_machine *m, uint64_t ns)
{
	return machine_is_up(m) && m->sim->now_ns > m->ledger->unsettled_ns + 2 * ns;
}

uint64_t machine_queued(struct sim_machine *m)
{
	struct delivery_figures figures;

	delivery_figures(m->delivery.delivery, &figures);
	return figures.queued;
}

/* Page by page, as an administrator sees it. */
static void look_at_queue(struct sim_machine *m, struct delivery *delivery)
{
	struct sim_look look;
	struct buf request, reply;

	sim_look_begin(&look, m->ledger);
	buf_init(&request, 4096);
	buf_init(&reply, 64u << 20);
	do {
		buf_clear(&request);
		buf_clear(&reply);
		sim_look_request(&look, &request);
		delivery_control(delivery, buf_span(&request), &reply);
	} while (sim_look_take(&look, buf_span(&reply)));
	buf_done(&request);
	buf_done(&reply);
}

static void check(void *arg)
{
	struct sim_machine *m = arg;
	struct delivery *delivery = m->delivery.delivery;
	struct buf problem;

	buf_init(&problem, 4096);
	if (delivery_check(delivery, &problem) != 0)
		ledger_violation(m->ledger, "the queue is broken: %.*s", (int)problem.n,
			problem.n ? problem.p : "");
	buf_done(&problem);
	if (m->delivery.started && !m->delivery.role.stopping)
		look_at_queue(m, delivery);
}

void machine_check(struct sim_machine *m)
{
	const struct sim_delivery *d = &m->delivery;

	/* Reading envelopes for it takes no time and cannot fail. */
	if (!role_runs(&d->role) || !d->delivery || d->role.process->kill_in)
		return;
	process_enter(d->role.process, check, m);
}

static void report_line(void *arg, const char *line)
{
	struct sim_machine *m = arg;

	sim_say(m->sim, "verify: %s", line);
	ledger_verify_line(m->ledger, line);
}

struct box_look {
	struct sim_machine *machine;
	const char *address;
	char folder[128];
};

static int look_at_file(void *arg, const char *name)
{
	struct box_look *look = arg;
	char path[512];
	struct span bytes;

	snprintf(path, sizeof(path), "%s/%.255s", look->folder, name);
	if (sim_disk_peek(look->machine->mailboxes, path, &bytes) == 0)
		ledger_in_mailbox(look->machine->ledger, look->address, bytes);
	return 0;
}

void machine_inspect(struct sim_machine *m)
{
	struct spool_verify_result result = {0};
	struct sim_role *role;
	int err = spool_verify(sim_disk_base(m->spool), report_line, m, &result);

	if (err)
		ledger_violation(m->ledger, "verify failed: %s", err_text(err));
	if (result.damaged && !ledger_harmed(m->ledger))
		ledger_violation(m->ledger, "verify finds %llu damaged things",
			(unsigned long long)result.damaged);
	for (unsigned i = 0; (role = role_at(m, i)); i++)
		tracer_judge(role);
	for (unsigned i = 0; i < WORLD_BOXES; i++) {
		char address[64];
		struct box_look look = {m, address, ""};

		snprintf(address, sizeof(address), "box%u@c.example", i);
		snprintf(look.folder, sizeof(look.folder), "c.example/box%u/new", i % 100);
		(void)disk_list(sim_disk_base(m->mailboxes), look.folder, look_at_file, &look);
	}
}
