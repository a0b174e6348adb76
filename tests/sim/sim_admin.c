/*
 * The admin as the other roles see it: it sends them each generation of the directory, and asks the
 * queue for what an administrator wants. What the administrator wants is sim_operator.c's affair.
 */
#include "base/check.h"
#include "base/err.h"
#include "sim_machine_inner.h"

#include <stdlib.h>

static struct sim_admin *admin_of(struct sim_role *role)
{
	return CONTAINER_OF(role, struct sim_admin, role);
}

struct answer {
	machine_reply *call;
	void *arg;
	size_t n;
	char text[];
};

static void hand_on(void *arg)
{
	struct answer *answer = arg;

	answer->call(answer->arg, span_of(answer->text, answer->n));
	free(answer);
}

/* Outside of the process: an administrator is not a part of it. */
static void settle(struct sim_admin *a, struct span reply)
{
	machine_reply *call = a->reply;

	a->request = 0;
	a->reply = NULL;
	if (!call)
		return;
	struct answer *answer = malloc(sizeof(*answer) + reply.n);

	CHECK(answer);
	*answer = (struct answer){call, a->arg, reply.n};
	if (reply.n)
		memcpy(answer->text, reply.p, reply.n);
	sim_later(a->role.machine->sim, 0, hand_on, answer);
}

static void delivery_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct sim_admin *a = owner;
	(void)port;

	if (message->type == IPC_QUEUE_REPLY && a->request && message->request == a->request)
		settle(a, message->payload);
}

static void delivery_gone(void *owner, struct ipc_port *port)
{
	(void)port;
	settle(owner, SPAN_NONE);
}

static const struct ipc_port_calls delivery_calls = {delivery_says, delivery_gone};

static void worker_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	(void)owner;
	(void)port;
	(void)message;
}

static void worker_gone(void *owner, struct ipc_port *port)
{
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls worker_calls = {worker_says, worker_gone};

static void send_snapshot(struct sim_admin *a, struct ipc_port *port)
{
	struct buf buf;

	buf_init(&buf, 64);
	for (unsigned i = 0; i < 8; i++)
		buf_add_char(&buf, (char)(a->role.machine->generation_count >> 8 * i));
	(void)ipc_send(port, IPC_SNAPSHOT, 0, buf_span(&buf), NULL, 0);
	buf_done(&buf);
}

static void channel(
	struct sim_role *role, enum role_kind peer, uint8_t index, struct sim_plug *plug)
{
	struct sim_admin *a = admin_of(role);
	bool worker = peer == ROLE_SMTPD;
	struct ipc_port *port = worker ? &a->workers[index] : &a->delivery;

	if (port->channel && !worker)
		settle(a, SPAN_NONE);
	ipc_port_close(port);
	ipc_port_init(port, peer, index, worker ? &worker_calls : &delivery_calls, a);
	role_open_port(role, plug, port);
	send_snapshot(a, port);
}

static void make(struct sim_role *role)
{
	struct sim_admin *a = admin_of(role);

	ipc_port_init(&a->delivery, ROLE_DELIVERY, 0, &delivery_calls, a);
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		ipc_port_init(&a->workers[i], ROLE_SMTPD, (uint8_t)i, &worker_calls, a);
}

static void died(struct sim_role *role)
{
	struct sim_admin *a = admin_of(role);

	a->delivery.channel = NULL;
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		a->workers[i].channel = NULL;
	settle(a, SPAN_NONE);
}

static void stop(struct sim_role *role, uint32_t ms)
{
	(void)ms;
	role->drained = true;
	role_exit(role);
}

static const struct sim_role_calls calls = {make, channel, stop, died};

void admin_init(struct sim_machine *m)
{
	role_init(&m->admin.role, m, ROLE_ADMIN, 0, &calls);
}

/* ---- for the operator ----------------------------------------------------------------------- */

static void send_all(void *arg)
{
	struct sim_admin *a = arg;

	if (a->delivery.channel)
		send_snapshot(a, &a->delivery);
	for (size_t i = 0; i < CONFIG_WORKERS; i++)
		if (a->workers[i].channel)
			send_snapshot(a, &a->workers[i]);
}

void machine_tell_directory(struct sim_machine *m)
{
	if (role_runs(&m->admin.role))
		process_enter(m->admin.role.process, send_all, &m->admin);
}

struct question {
	struct sim_admin *admin;
	struct span text;
	int err;
};

static void send_question(void *arg)
{
	struct question *question = arg;
	struct sim_admin *a = question->admin;

	a->request = ++a->requests;
	question->err =
		ipc_send(&a->delivery, IPC_QUEUE_REQUEST, a->request, question->text, NULL, 0);
}

bool machine_ask(struct sim_machine *m, struct span request, machine_reply *reply, void *arg)
{
	struct sim_admin *a = &m->admin;
	struct question question = {a, request, ERR_CLOSED};

	if (!role_runs(&a->role) || !a->delivery.channel)
		return false;
	/* An answer that is late is not waited for any more. */
	a->reply = NULL;
	process_enter(a->role.process, send_question, &question);
	if (question.err)
		return false;
	a->reply = reply;
	a->arg = arg;
	return true;
}
