#include "sim_operator_inner.h"

#include "base/check.h"
#include "sim_world.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const work_names[WORKS] = {
	"retry", "hold", "release", "reroute", "bounce", "delete", "prioritise", "unprioritise"};

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
	/* What he asked before it became calm may be answered after. */
	if (id && op->mail && !op->sim->calm) {
		snprintf(op->id, sizeof(op->id), "%s", id);
		begin_work(op);
	}
	json_decref(root);
}

void operator_work(struct sim_operator *op)
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

static void take_released(void *arg, struct span reply)
{
	struct sim_operator *op = arg;
	json_t *root = reply.n ? json_loadb(reply.p, reply.n, 0, NULL) : NULL;

	/* A filter looks at so many messages a call, and a crash may bring a hold back. */
	op->held = !root || json_integer_value(json_object_get(root, "messages")) > 0 ||
		   json_object_get(root, "error") || json_object_get(root, "after") ||
		   !machine_is_up(op->machine) || op->sim->now_ns < op->calm_ns + OPERATOR_ASIDE;
	json_decref(root);
}

void operator_release_all(struct sim_operator *op)
{
	for (size_t i = 0; i < op->ledger->mail_count; i++)
		ledger_forget_seen(op->ledger, op->ledger->mails[i]);
	(void)ask(op, take_released,
		"{\"op\":\"release\",\"filter\":\"age>=0s\",\"by\":\"operator\"}");
	sim_arm(op->sim, &op->timer, OPERATOR_RELEASE);
}
