/* queue show and queue why: one message, or several by their ids. */
#include "ctl/queue.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

static void show_unit_why(const json_t *unit)
{
	const json_t *list = json_object_get(unit, "recipients");

	/* Of one whose envelope is damaged nobody knows whom it is for. */
	if (!json_array_size(list)) {
		fputs("  ", stdout);
		show_text(member_text(unit, "why"), false);
		putchar('\n');
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		fputs("  ", stdout);
		show_text(json_string_value(json_array_get(list, i)), false);
		fputs(": ", stdout);
		show_text(member_text(unit, "why"), false);
		putchar('\n');
	}
	if (*member_text(unit, "gives_up")) {
		fputs("  given up if it is not delivered by ", stdout);
		show_text(member_text(unit, "gives_up"), false);
		putchar('\n');
	}
}

static void show_why(struct ctl *ctl, const json_t *reply)
{
	const json_t *units = json_object_get(reply, "units");
	char age[32];

	(void)ctl;
	show_text(member_text(reply, "id"), false);
	if (*member_text(reply, "arrived")) {
		fputs(", arrived ", stdout);
		show_text(member_text(reply, "arrived"), false);
		printf(" (%s ago)", age_text(member_int(reply, "age_s"), age));
	}
	putchar('\n');
	for (size_t i = 0; i < json_array_size(units); i++)
		show_unit_why(json_array_get(units, i));
}

static void show_field(const char *title, const char *value)
{
	if (!*value)
		return;
	printf("%-12s ", title);
	show_text(value, false);
	putchar('\n');
}

static void show_unit(const json_t *unit)
{
	json_int_t attempts = member_int(unit, "attempts");

	putchar('\n');
	show_text(member_text(unit, "state"), false);
	fputs(" by transport ", stdout);
	show_text(member_text(unit, "transport"), false);
	if (*member_text(unit, "next_hop")) {
		fputs(" to ", stdout);
		show_text(member_text(unit, "next_hop"), false);
	}
	printf(", %lld %s%s\n", (long long)attempts, plural(attempts, "attempt", "attempts"),
		json_is_true(json_object_get(unit, "priority")) ? ", prioritised" : "");
	show_unit_why(unit);
	if (*member_text(unit, "own_retry")) {
		fputs("  whatever its destination does, its own next try is at ", stdout);
		show_text(member_text(unit, "own_retry"), false);
		putchar('\n');
	}
}

static void show_message(struct ctl *ctl, const json_t *reply)
{
	const json_t *units = json_object_get(reply, "units");
	const char *sender = member_text(reply, "sender");
	char size[32], age[32];

	(void)ctl;
	show_field("id", member_text(reply, "id"));
	show_field("problem", member_text(reply, "problem"));
	if (*member_text(reply, "arrived")) {
		show_field("arrived", member_text(reply, "arrived"));
		show_field("age", age_text(member_int(reply, "age_s"), age));
		show_field("size", size_text(member_int(reply, "size"), size));
		if (json_object_get(reply, "sender"))
			show_field("sender", *sender ? sender : "<> (a notification)");
	}
	show_field("client", member_text(reply, "client"));
	show_field("user", member_text(reply, "user"));
	show_field("helo", member_text(reply, "helo"));
	show_field("listener", member_text(reply, "listener"));
	show_field("protocol", member_text(reply, "protocol"));
	show_field("envelope id", member_text(reply, "envid"));
	if (json_object_get(reply, "recipients_at_first"))
		printf("%-12s %lld of %lld\n", "waiting",
			(long long)member_int(reply, "recipients_waiting"),
			(long long)member_int(reply, "recipients_at_first"));
	for (size_t i = 0; i < json_array_size(units); i++)
		show_unit(json_array_get(units, i));
}

/* ---- several -------------------------------------------------------------------------------- */

static void tell_problem(const struct ctl *ctl, const json_t *problem)
{
	ctl_refuse(ctl, "%s: %s", member_text(problem, "id"), member_text(problem, "error"));
}

/* Of several, what is wrong with one does not keep the others from being shown. */
static void add_problem(const struct ctl *ctl, json_t *problems, const char *id, const char *error)
{
	json_t *problem = json_pack("{ss, ss}", "id", id, "error", error);

	if (ctl->json)
		json_array_append(problems, problem);
	else
		tell_problem(ctl, problem);
	json_decref(problem);
}

/* There is one among the arguments that is none. */
static int refuse_word(const struct ctl *ctl)
{
	int bad = 1;

	while (is_id(ctl->args[bad]))
		bad++;
	return ctl_usage(ctl,
		"queue %s needs ids (13 letters and digits), and \"%s\" is no id; queue list takes "
		"a filter",
		ctl->args[0], ctl->args[bad]);
}

static int show_each(struct ctl *ctl, const json_t *ids, json_t *problems, bool why)
{
	json_t *all = json_array();
	size_t count = json_array_size(ids), bad = json_array_size(problems);
	int code = bad ? EXIT_REFUSED : EXIT_DONE;

	for (size_t i = 0; i < bad && !ctl->json; i++)
		tell_problem(ctl, json_array_get(problems, i));

	for (size_t i = 0; i < count; i++) {
		const char *id = json_string_value(json_array_get(ids, i));
		json_t *request = queue_request("show");

		queue_put(request, "id", id);
		json_t *reply =
			count == 1 && !bad ? ctl_ask(ctl, request) : ctl_ask_whole(ctl, request);
		bool refused = !reply || json_object_get(reply, "error");

		if (refused)
			code = EXIT_REFUSED;
		if (refused && reply)
			add_problem(ctl, problems, id, member_text(reply, "error"));
		if (!refused && ctl->json)
			json_array_append(all, reply);
		if (!refused && !ctl->json) {
			if (i)
				putchar('\n');
			(why ? show_why : show_message)(ctl, reply);
		}
		json_decref(reply);
	}
	json_t *shown = json_pack("{so}", "messages", all);
	if (json_array_size(problems))
		json_object_set(shown, "problems", problems);
	if (ctl->json && (count != 1 || bad || !code))
		show_json(ctl, shown);
	json_decref(shown);
	return code;
}

int queue_show(struct ctl *ctl, bool why)
{
	bool header = !why && ctl_flag(ctl, "--header"), body = !why && ctl_flag(ctl, "--body");
	int code;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count < 2)
		return ctl_usage(ctl, "queue %s needs an id", ctl->args[0]);
	json_t *problems = json_array(), *ids = queue_ids(ctl, 1, problems, &code);

	if (code) {
		/* Said already. */
	} else if (!ids) {
		code = refuse_word(ctl);
	} else if (!header && !body) {
		code = show_each(ctl, ids, problems, why);
	} else if (json_array_size(ids) != 1) {
		code = ctl_usage(ctl, "--header and --body show one message");
	} else {
		code = queue_content(ctl, json_string_value(json_array_get(ids, 0)),
			header && body ? "message"
			: header       ? "header"
				       : "body");
	}
	json_decref(problems);
	json_decref(ids);
	return code;
}
