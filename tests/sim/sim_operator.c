#include "sim_operator.h"

#include "sim_world.h"

#include "base/buf.h"
#include "base/check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define OPERATOR_LEAST	  (30 * NS_PER_S) /* between two changes */
#define OPERATOR_PATIENCE (2 * SIM_MINUTE)
#define OPERATOR_RELEASE  (SIM_MINUTE) /* in calm, between two looks for what is held */
#define OPERATOR_PAUSES	  8
#define OPERATOR_ID	  32

struct paused {
	enum pause_scope scope;
	const char *name, *blocker;
	bool on;
};

enum work {
	WORK_RETRY,
	WORK_HOLD,
	WORK_RELEASE,
	WORK_REROUTE,
	WORK_BOUNCE,
	WORK_DELETE,
	WORK_PRIORITISE,
	WORK_UNPRIORITISE,
	WORKS
};

struct sim_operator {
	struct sim *sim;
	struct ledger *ledger;
	struct sim_machine *machine;
	struct timer timer;
	uint64_t pace_ns;
	unsigned of_queue; /* in 1000ths: the others change the directory */
	struct paused paused[OPERATOR_PAUSES];
	bool second, moved, spare; /* how the directory differs from the one at first */
	/* one piece of work on the queue */
	enum work work;
	bool by_filter;
	char id[OPERATOR_ID];
	struct ledger_mail *mail;
	bool is_dsn, held; /* held: something may be */
};

static const char *const work_names[WORKS] = {
	"retry", "hold", "release", "reroute", "bounce", "delete", "prioritise", "unprioritise"};

/* ---- the directory -------------------------------------------------------------------------- */

static void change(struct sim_operator *op, enum sim_change_kind kind, enum object_kind object,
	const char *name, const char *setting)
{
	sim_fault(op->sim, FAULT_ADMIN);
	ledger_forget_seen(op->ledger, NULL);
	(void)machine_directory(op->machine,
		&(struct sim_change){
			.kind = kind, .object = object, .name = name, .setting = setting});
}

static void pause_or_resume(struct sim_operator *op, struct paused *p, bool on)
{
	if (p->on == on)
		return;
	p->on = on;
	sim_fault(op->sim, FAULT_ADMIN);
	if (!on)
		ledger_pause(op->ledger, p->blocker, p->name, false);
	CHECK(machine_directory(
		      op->machine, &(struct sim_change){.kind = on ? SIM_PAUSE : SIM_RESUME,
					   .scope = p->scope,
					   .name = p->name,
					   .setting = ""}) == 0);
	if (on)
		ledger_pause(op->ledger, p->blocker, p->name, true);
}

static void change_directory(struct sim_operator *op)
{
	struct sim *sim = op->sim;

	switch (sim_below(sim, 6)) {
	case 0: /* another transport for a domain */
		op->moved = !op->moved;
		change(op, SIM_SET, OBJECT_DOMAIN, "a.example",
			op->moved ? "transport=site-a2" : "transport=site-a");
		break;
	case 1: /* another server for a transport */
		op->second = !op->second;
		change(op, SIM_SET, OBJECT_TRANSPORT, "site-a",
			op->second ? "server=192.0.2.11:25" : "server=192.0.2.10:25");
		break;
	case 2: /* a transport comes, and goes while messages wait for it */
		op->spare = !op->spare;
		if (op->spare)
			change(op, SIM_ADD, OBJECT_TRANSPORT, "spare", "server=192.0.2.11:25");
		change(op, SIM_SET, OBJECT_DOMAIN, "a.example",
			op->spare ? "transport=spare" : "transport=site-a");
		if (!op->spare)
			change(op, SIM_REMOVE, OBJECT_TRANSPORT, "spare", "");
		op->moved = false;
		break;
	default: {
		struct paused *p = &op->paused[sim_below(sim, OPERATOR_PAUSES)];

		pause_or_resume(op, p, !p->on);
	}
	}
}

/* ---- the queue ------------------------------------------------------------------------------ */

static bool ask(struct sim_operator *op, machine_reply *reply, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool ask(struct sim_operator *op, machine_reply *reply, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	sim_say(op->sim, "operator: %s", text);
	return machine_ask(op->machine, span_str(text), reply, op);
}

static void next(struct sim_operator *op)
{
	sim_arm(op->sim, &op->timer, OPERATOR_LEAST + sim_below(op->sim, 2 * op->pace_ns));
}

static bool was_done(struct span reply)
{
	json_t *root = reply.n ? json_loadb(reply.p, reply.n, 0, NULL) : NULL;
	bool done = json_integer_value(json_object_get(root, "messages")) > 0;

	json_decref(root);
	return done;
}

/* What is left of the message after it: what is held must stay, what is gone must not come. */
static void take_show(void *arg, struct span reply)
{
	struct sim_operator *op = arg;
	json_t *root = reply.n ? json_loadb(reply.p, reply.n, 0, NULL) : NULL;
	bool gone = json_object_get(root, "error") != NULL;

	for (size_t i = 0; gone && i < op->mail->rcpt_count && op->work != WORK_HOLD; i++)
		if (!op->mail->rcpts[i].gone_ns)
			op->mail->rcpts[i].gone_ns = op->sim->now_ns;
	const json_t *units = json_object_get(root, "units"), *unit, *rcpt;
	size_t i, j;

	json_array_foreach(units, i, unit)
	{
		const char *state = json_string_value(json_object_get(unit, "state"));

		if (op->work != WORK_HOLD || !state || strcmp(state, "held") != 0)
			continue;
		json_array_foreach(json_object_get(unit, "recipients"), j, rcpt) ledger_seen(
			op->ledger, op->mail->sender, json_string_value(rcpt),
			&(struct ledger_state){
				.held = true, .blocker = "", .transport = "", .domain = ""});
	}
	json_decref(root);
}

static void take_work(void *arg, struct span reply)
{
	struct sim_operator *op = arg;

	if (!was_done(reply) || op->is_dsn ||
		(op->work != WORK_HOLD && op->work != WORK_BOUNCE && op->work != WORK_DELETE))
		return;
	(void)ask(op, take_show, "{\"op\":\"show\",\"id\":\"%s\"}", op->id);
}

/* What it may cost is entered before it is asked for: the reply may be lost. */
static bool enter(struct sim_operator *op)
{
	struct ledger_mail *mail = op->mail;

	for (size_t i = 0; i < mail->rcpt_count && op->work == WORK_REROUTE; i++)
		if (mail->rcpts[i].domain->mailboxes || op->is_dsn)
			return false;
	ledger_forget_seen(op->ledger, mail);
	op->held = op->held || op->work == WORK_HOLD;
	if (op->is_dsn) {
		mail->dsns_may_vanish =
			mail->dsns_may_vanish || op->work == WORK_BOUNCE || op->work == WORK_DELETE;
		return true;
	}
	for (size_t i = 0; i < mail->rcpt_count; i++) {
		struct ledger_rcpt *rcpt = &mail->rcpts[i];

		rcpt->may_bounce = rcpt->may_bounce || op->work == WORK_BOUNCE;
		rcpt->may_vanish = rcpt->may_vanish || op->work == WORK_DELETE;
		rcpt->moved = rcpt->moved || op->work == WORK_REROUTE || op->work == WORK_RETRY ||
			      op->work == WORK_HOLD;
	}
	return true;
}

static void begin_work(struct sim_operator *op)
{
	const char *transport = "";

	if (op->work == WORK_REROUTE)
		transport = op->spare && sim_chance(op->sim, 500) ? ",\"transport\":\"spare\""
			    : sim_chance(op->sim, 700)		  ? ",\"transport\":\"site-a2\""
								  : "";
	if (!enter(op))
		return;
	sim_fault(op->sim, FAULT_ADMIN);
	if (op->by_filter && *op->mail->sender && !op->is_dsn)
		(void)ask(op, take_work,
			"{\"op\":\"%s\",\"filter\":\"sender=%s\",\"by\":\"operator\"%s}",
			work_names[op->work], op->mail->sender, transport);
	else
		(void)ask(op, take_work, "{\"op\":\"%s\",\"id\":\"%s\",\"by\":\"operator\"%s}",
			work_names[op->work], op->id, transport);
}

static void take_list(void *arg, struct span reply)
{
	struct sim_operator *op = arg;
	json_t *root = reply.n ? json_loadb(reply.p, reply.n, 0, NULL) : NULL;
	const json_t *messages = json_object_get(root, "messages");
	size_t count = json_array_size(messages);
	const json_t *message = count ? json_array_get(messages, sim_below(op->sim, count)) : NULL;
	const json_t *unit = json_array_get(json_object_get(message, "units"), 0);
	const char *id = json_string_value(json_object_get(message, "id"));
	const json_t *rcpt = json_array_get(json_object_get(unit, "recipients"), 0);

	op->mail =
		ledger_identify(op->ledger, json_string_value(json_object_get(message, "sender")),
			json_string_value(rcpt), &op->is_dsn);
	if (id && op->mail) {
		snprintf(op->id, sizeof(op->id), "%s", id);
		begin_work(op);
	}
	json_decref(root);
}

static void work_on_queue(struct sim_operator *op)
{
	static const char *const filters[] = {"", "", "", "", "state=deferred", "state=held",
		"state=down", "domain=a.example", "domain=e.example", "attempts>1"};
	struct sim *sim = op->sim;

	op->work = (enum work)sim_below(sim, WORKS);
	op->by_filter = sim_chance(sim, 300);
	(void)ask(op, take_list, "{\"op\":\"list\",\"limit\":20,\"filter\":\"%s\"}",
		op->work == WORK_RELEASE ? "state=held"
					 : filters[sim_below(sim, ARRAY_SIZE(filters))]);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void take_released(void *arg, struct span reply)
{
	struct sim_operator *op = arg;
	json_t *root = reply.n ? json_loadb(reply.p, reply.n, 0, NULL) : NULL;

	/* A filter looks at so many messages a call, and a crash may bring a hold back. */
	op->held = !root || json_integer_value(json_object_get(root, "messages")) > 0 ||
		   json_object_get(root, "error") || json_object_get(root, "after") ||
		   !machine_is_up(op->machine);
	json_decref(root);
}

static void release_all(struct sim_operator *op)
{
	for (size_t i = 0; i < op->ledger->mail_count; i++)
		ledger_forget_seen(op->ledger, op->ledger->mails[i]);
	(void)ask(op, take_released,
		"{\"op\":\"release\",\"filter\":\"age>=0s\",\"by\":\"operator\"}");
	sim_arm(op->sim, &op->timer, OPERATOR_RELEASE);
}

static void fired(struct timer *timer)
{
	struct sim_operator *op = CONTAINER_OF(timer, struct sim_operator, timer);

	if (op->sim->calm) {
		if (op->held)
			release_all(op);
		return;
	}
	if (sim_chance(op->sim, op->of_queue))
		work_on_queue(op);
	else
		change_directory(op);
	next(op);
}

struct sim_operator *sim_operator_new(
	struct sim *sim, struct ledger *ledger, struct sim_machine *machine)
{
	static const struct paused scopes[OPERATOR_PAUSES] = {
		{PAUSE_ALL, "", "paused-all", false},
		{PAUSE_TRANSPORT, "site-a", "paused-transport", false},
		{PAUSE_TRANSPORT, "site-b", "paused-transport", false},
		{PAUSE_TRANSPORT, "site-e", "paused-transport", false},
		{PAUSE_TRANSPORT, "site-f", "paused-transport", false},
		{PAUSE_DOMAIN, "a.example", "paused-domain", false},
		{PAUSE_DOMAIN, "c.example", "paused-domain", false},
		{PAUSE_DOMAIN, "e.example", "paused-domain", false},
	};
	struct sim_operator *op = calloc(1, sizeof(*op));

	CHECK(op);
	op->sim = sim;
	op->ledger = ledger;
	op->machine = machine;
	op->timer.fire = fired;
	op->pace_ns = (10 * NS_PER_S) << sim_below(sim, 6);
	op->of_queue = (unsigned)sim_below(sim, 1000);
	memcpy(op->paused, scopes, sizeof(scopes));
	if (sim_chance(sim, 700))
		next(op);
	return op;
}

void sim_operator_calm(struct sim_operator *op)
{
	for (size_t i = 0; i < OPERATOR_PAUSES; i++)
		pause_or_resume(op, &op->paused[i], false);
	sim_arm(op->sim, &op->timer, 0);
}
