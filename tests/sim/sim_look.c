#include "sim_look.h"

#include "base/check.h"

#include <jansson.h>
#include <stdio.h>

/* What each blocker must name. */
static const struct {
	const char *blocker;
	const char *state;
	bool since, until, by; /* is named */
} kinds[] = {
	{"ready", "ready", false, false, false},
	{"limit-destination", "ready", false, false, false},
	{"limit-rate", "ready", false, true, false},
	{"limit-all", "ready", false, false, false},
	{"limit-lookup-mx", "ready", false, false, false},
	{"limit-null-sender", "ready", false, false, false},
	{"limit-host", "ready", false, true, false},
	{"shortage", "ready", true, false, false},
	{"active", "active", true, false, false},
	{"dns", "active", true, false, false},
	{"deferred", "deferred", false, true, false},
	{"down", "down", true, false, false},
	{"paused-all", "paused", true, false, true},
	{"paused-transport", "paused", true, false, true},
	{"paused-domain", "paused", true, false, true},
	{"held", "held", true, false, true},
	/* An administrator has to decide. */
	{"damaged", "damaged", false, false, false},
};

void sim_look_begin(struct sim_look *look, struct ledger *ledger)
{
	*look = (struct sim_look){.ledger = ledger};
}

void sim_look_request(const struct sim_look *look, struct buf *out)
{
	buf_printf(out, "{\"op\":\"list\",\"limit\":500%s%s%s}",
		*look->after ? ",\"after\":\"" : "", look->after, *look->after ? "\"" : "");
}

static const char *text_of(const json_t *unit, const char *key)
{
	const char *text = json_string_value(json_object_get(unit, key));

	return text ? text : "";
}

static const char *domain_of(const char *address)
{
	const char *at = address ? strrchr(address, '@') : NULL;

	return at ? at + 1 : "";
}

static void check_why(struct sim_look *look, const char *id, const json_t *unit)
{
	const char *blocker = text_of(unit, "blocker"), *state = text_of(unit, "state");
	size_t i = 0;

	while (i < ARRAY_SIZE(kinds) && strcmp(kinds[i].blocker, blocker) != 0)
		i++;
	if (i == ARRAY_SIZE(kinds) || strcmp(kinds[i].state, state) != 0 || !*text_of(unit, "why"))
		ledger_violation(
			look->ledger, "%s is %s, and what blocks it is \"%s\"", id, state, blocker);
	else if ((kinds[i].since && !*text_of(unit, "since")) ||
		 (kinds[i].until && !*text_of(unit, "until")))
		ledger_violation(
			look->ledger, "%s is %s (%s), and no time is named", id, state, blocker);
	else if (kinds[i].by && !strstr(text_of(unit, "why"), "operator") &&
		 !strstr(text_of(unit, "why"), "postern"))
		ledger_violation(look->ledger, "%s is %s, and nobody is named: %s", id, state,
			text_of(unit, "why"));
}

static void take_unit(struct sim_look *look, const json_t *message, const json_t *unit)
{
	const char *id = text_of(message, "id"), *state = text_of(unit, "state");
	const char *blocker = text_of(unit, "blocker");
	uint64_t attempts = (uint64_t)json_integer_value(json_object_get(unit, "attempts"));
	size_t i;
	const json_t *rcpt;

	check_why(look, id, unit);
	if (strcmp(state, "damaged") == 0 && !ledger_harmed(look->ledger))
		ledger_violation(look->ledger, "%s is damaged, but nothing was harmed", id);
	json_array_foreach(json_object_get(unit, "recipients"), i, rcpt)
		ledger_seen(look->ledger, text_of(message, "sender"), json_string_value(rcpt),
			&(struct ledger_state){
				.held = strcmp(state, "held") == 0,
				.stands = strcmp(state, "paused") == 0,
				/* Not the pause of its own that ends with the journal's trouble. */
				.paused = strcmp(state, "paused") == 0 &&
					  strstr(text_of(unit, "why"), "operator"),
				.blocker = blocker,
				.transport = text_of(unit, "transport"),
				.domain = domain_of(json_string_value(rcpt)),
				.attempts = attempts,
			});
}

bool sim_look_take(struct sim_look *look, struct span reply)
{
	json_t *root = json_loadb(reply.p, reply.n, 0, NULL);
	const json_t *message, *unit;
	size_t i, j;

	if (!root || !json_is_array(json_object_get(root, "messages"))) {
		/* Before the first generation of the directory. */
		json_decref(root);
		return false;
	}
	json_array_foreach(json_object_get(root, "messages"), i, message) json_array_foreach(
		json_object_get(message, "units"), j, unit) take_unit(look, message, unit);
	snprintf(look->after, sizeof(look->after), "%s", text_of(root, "after"));
	json_decref(root);
	return *look->after;
}
