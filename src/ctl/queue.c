#include "ctl/queue.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define LIST_PAGE 200 /* messages asked for at a time */
#define LIST_MOST 100 /* messages listed unless asked for otherwise */

json_t *queue_request(const char *op)
{
	return json_pack("{ss, s{ss}}", "cmd", "queue", "request", "op", op);
}

void queue_put(json_t *request, const char *key, const char *value)
{
	if (value)
		json_object_set_new(json_object_get(request, "request"), key, json_string(value));
}

void queue_put_json(json_t *request, const char *key, json_t *value)
{
	json_object_set_new(json_object_get(request, "request"), key, value);
}

const char *plural(json_int_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

bool queue_all_utf8(const char *a, const char *b, const char *c)
{
	const char *const texts[] = {a, b, c};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *text = texts[i] ? json_string(texts[i]) : json_null();
		bool fits = text != NULL;

		json_decref(text);
		if (!fits) {
			ctl_usage("not valid UTF-8: one of the arguments");
			return false;
		}
	}
	return true;
}

static void extend(json_t *all, json_t *more)
{
	if (json_is_array(more) && json_array_extend(all, more) != 0)
		ctl_no_memory();
}

/* ---- list ----------------------------------------------------------------------------------- */

static void first_recipient(const json_t *unit, char out[300])
{
	const json_t *list = json_object_get(unit, "recipients");
	const char *one = json_string_value(json_array_get(list, 0));
	json_int_t count = member_int(unit, "recipient_count");

	if (count > 1)
		snprintf(out, 300, "%.200s +%lld", one ? one : "?", (long long)count - 1);
	else
		snprintf(out, 300, "%.250s", one ? one : "?");
}

static void add_rows(struct table *table, const json_t *messages)
{
	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *message = json_array_get(messages, i);
		const json_t *units = json_object_get(message, "units");
		const char *sender = member_text(message, "sender");

		for (size_t k = 0; k < json_array_size(units); k++) {
			const json_t *unit = json_array_get(units, k);
			char size[32], to[300];

			first_recipient(unit, to);
			const char *const cells[] = {k ? "" : member_text(message, "id"),
				k ? "" : member_text(message, "arrived"),
				k ? "" : size_text(member_int(message, "size"), size),
				k	  ? ""
				: *sender ? sender
					  : "<>",
				to, member_text(unit, "state"), member_text(unit, "why")};

			table_add(table, cells);
		}
	}
}

static int queue_list(struct ctl *ctl)
{
	static const char *const titles[] = {
		"ID", "ARRIVED", "SIZE", "SENDER", "RECIPIENT", "STATE", "WHY"};
	const char *limit_text = ctl_option(ctl, "--limit");
	uint64_t limit = LIST_MOST;
	size_t shown = 0;
	char after[32] = "";
	json_t *all = json_array();
	bool more = false;

	if (limit_text && (text_parse_u64(span_str(limit_text), 100000000, &limit) || !limit)) {
		json_decref(all);
		return ctl_usage("--limit takes a number from 1 on");
	}
	if (!ctl_no_options_left(ctl)) {
		json_decref(all);
		return EXIT_USAGE;
	}
	char *filter = ctl_joined(ctl, 1);
	if (!queue_all_utf8(filter, NULL, NULL)) {
		free(filter);
		json_decref(all);
		return EXIT_USAGE;
	}
	struct table *table = ctl->json ? NULL : table_new(ARRAY_SIZE(titles), titles);
	int code = EXIT_DONE;
	do {
		json_t *request = queue_request("list");

		queue_put(request, "filter", filter);
		queue_put(request, "after", after);
		json_object_set_new(json_object_get(request, "request"), "limit",
			json_integer((json_int_t)MIN(limit - shown, (uint64_t)LIST_PAGE)));
		json_t *reply = ctl_ask(ctl, request);

		if (!reply) {
			code = EXIT_REFUSED;
			break;
		}
		json_t *messages = json_object_get(reply, "messages");
		shown += json_array_size(messages);
		if (table)
			add_rows(table, messages);
		else
			extend(all, messages);
		snprintf(after, sizeof(after), "%s", member_text(reply, "after"));
		more = after[0] != '\0';
		json_decref(reply);
	} while (more && shown < limit);
	if (table) {
		if (!code && shown)
			table_print(&table);
		else
			table_free(&table);
		if (!code && !shown)
			puts("nothing is queued that fits");
		if (!code && more)
			printf("… and more; --limit %llu shows more of them\n",
				(unsigned long long)limit * 10);
	} else if (!code) {
		show_json(all);
	}
	free(filter);
	json_decref(all);
	return code;
}

/* ---- show and why --------------------------------------------------------------------------- */

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
}

static void show_why(struct ctl *ctl, const json_t *reply)
{
	const json_t *units = json_object_get(reply, "units");

	(void)ctl;
	show_text(member_text(reply, "id"), false);
	fputs(", arrived ", stdout);
	show_text(member_text(reply, "arrived"), false);
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

static void show_message(struct ctl *ctl, const json_t *reply)
{
	const json_t *units = json_object_get(reply, "units");
	const char *sender = member_text(reply, "sender");
	char size[32];

	(void)ctl;
	show_field("id", member_text(reply, "id"));
	show_field("arrived", member_text(reply, "arrived"));
	show_field("size", size_text(member_int(reply, "size"), size));
	show_field("sender", *sender ? sender : "<> (a notification)");
	show_field("client", member_text(reply, "client"));
	show_field("helo", member_text(reply, "helo"));
	show_field("listener", member_text(reply, "listener"));
	show_field("protocol", member_text(reply, "protocol"));
	show_field("envelope id", member_text(reply, "envid"));
	printf("%-12s %lld of %lld\n", "waiting",
		(long long)member_int(reply, "recipients_waiting"),
		(long long)member_int(reply, "recipients_at_first"));
	for (size_t i = 0; i < json_array_size(units); i++) {
		const json_t *unit = json_array_get(units, i);

		putchar('\n');
		show_text(member_text(unit, "state"), false);
		fputs(" by transport ", stdout);
		show_text(member_text(unit, "transport"), false);
		if (*member_text(unit, "next_hop")) {
			fputs(" to ", stdout);
			show_text(member_text(unit, "next_hop"), false);
		}
		printf(", %lld %s%s\n", (long long)member_int(unit, "attempts"),
			plural(member_int(unit, "attempts"), "attempt", "attempts"),
			json_is_true(json_object_get(unit, "priority")) ? ", prioritised" : "");
		show_unit_why(unit);
	}
}

static int queue_show(struct ctl *ctl, bool why)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage("queue %s needs one id", ctl->args[0]);
	if (!queue_all_utf8(ctl->args[1], NULL, NULL))
		return EXIT_USAGE;
	json_t *request = queue_request("show");
	queue_put(request, "id", ctl->args[1]);
	return ctl_ask_and_show(ctl, request, why ? show_why : show_message);
}

/* ---- summary -------------------------------------------------------------------------------- */

static int queue_summary(struct ctl *ctl)
{
	static const char *const titles[] = {"TRANSPORT", "NEXT HOP", "READY", "ACTIVE", "DEFERRED",
		"HELD", "PAUSED", "DOWN", "LAST FAILURE"};
	static const char *const states[] = {
		"ready", "active", "deferred", "held", "paused", "down"};
	const char *by = ctl->count > 1 ? ctl->args[1] : "destination";
	struct table *table = NULL;
	json_t *all = json_array();
	json_int_t after = 0;
	int code = EXIT_DONE;

	if (ctl->count > 2) {
		json_decref(all);
		return ctl_usage("queue summary takes destination or transport, and nothing else");
	}
	if (strcmp(by, "destination") != 0 && strcmp(by, "transport") != 0) {
		json_decref(all);
		return ctl_usage("queue summary takes destination or transport");
	}
	do {
		json_t *request = queue_request("summary");

		queue_put(request, "by", by);
		json_object_set_new(
			json_object_get(request, "request"), "after", json_integer(after));
		json_t *reply = ctl_ask(ctl, request);

		if (!reply) {
			json_decref(all);
			return EXIT_REFUSED;
		}
		after = member_int(reply, "after");
		extend(all, json_object_get(reply, "groups"));
		json_decref(reply);
	} while (after);
	if (ctl->json) {
		show_json(all);
		json_decref(all);
		return code;
	}
	table = table_new(ARRAY_SIZE(titles), titles);
	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		char numbers[6][24];
		const char *cells[9] = {
			member_text(one, "transport"), member_text(one, "next_hop")};

		for (size_t k = 0; k < ARRAY_SIZE(states); k++) {
			snprintf(numbers[k], sizeof(numbers[k]), "%lld",
				(long long)member_int(one, states[k]));
			cells[2 + k] = numbers[k];
		}
		cells[8] = member_text(one, "last_failure");
		table_add(table, cells);
	}
	table_print(&table);
	json_decref(all);
	return code;
}

/* ---- pause, resume, and which of all --------------------------------------------------------- */

static void show_pause(struct ctl *ctl, const json_t *reply)
{
	bool any = json_array_size(json_object_get(reply, "changes")) > 0;

	puts(strcmp(ctl->args[0], "pause") == 0
			? any ? "all deliveries are paused; mail is still taken in"
			      : "deliveries were paused already"
		: any ? "deliveries go on"
		      : "deliveries were not paused");
}

static int queue_pause(struct ctl *ctl)
{
	const char *reason = ctl_option(ctl, "--reason");

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count > 1)
		return ctl_usage("queue %s is for all deliveries; for some: transport %s, domain "
				 "%s, queue hold",
			ctl->args[0], ctl->args[0], ctl->args[0]);
	return ctl_ask_and_show(ctl,
		json_pack("{ss, ss, ss}", "cmd", ctl->args[0], "scope", "all", "reason",
			reason ? reason : ""),
		show_pause);
}

int ctl_queue(struct ctl *ctl)
{
	static const char *const changes[] = {"retry", "hold", "release", "reroute", "bounce",
		"delete", "prioritise", "unprioritise"};

	if (!ctl->count)
		return ctl_usage("queue: list, show, why, summary, retry, hold, release, reroute, "
				 "bounce, delete, "
				 "prioritise, pause or resume?");
	const char *op = ctl->args[0];
	if (strcmp(op, "list") == 0)
		return queue_list(ctl);
	if (strcmp(op, "show") == 0 || strcmp(op, "why") == 0)
		return queue_show(ctl, strcmp(op, "why") == 0);
	if (strcmp(op, "summary") == 0)
		return queue_summary(ctl);
	if (strcmp(op, "pause") == 0 || strcmp(op, "resume") == 0)
		return queue_pause(ctl);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (strcmp(op, changes[i]) == 0)
			return queue_change(ctl, op);
	return ctl_usage("queue: unknown: %s", op);
}
