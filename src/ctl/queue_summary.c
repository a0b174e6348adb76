/* queue summary: how much waits where, how old it is; and asking what is down. */
#include "ctl/queue.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define AGES	    7
#define NUMBER_TEXT 24

static const char *const states[] = {"ready", "active", "deferred", "held", "paused", "down"};

/* ---- all pages ------------------------------------------------------------------------------ */

/* "after" is a number in summaries, an id in ages. NULL: refused, and said why unless `quiet`. */
static json_t *all_groups(struct ctl *ctl, const char *op, const char *by, bool quiet)
{
	json_t *all = json_array(), *after = NULL;

	do {
		json_t *request = queue_request(op);

		queue_put(request, "by", by);
		if (after)
			queue_put_json(request, "after", after);
		json_t *reply = quiet ? ctl_ask_whole(ctl, request) : ctl_ask(ctl, request);

		if (!reply || json_object_get(reply, "error")) {
			json_decref(reply);
			json_decref(all);
			return NULL;
		}
		after = json_incref(json_object_get(reply, "after"));
		json_array_extend(all, json_object_get(reply, "groups"));
		json_decref(reply);
	} while (after);
	return all;
}

json_t *queue_by_transport(struct ctl *ctl)
{
	json_t *all = all_groups(ctl, "summary", "transport", true), *by_name = json_object();

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *one = json_array_get(all, i);

		json_object_set(by_name, member_text(one, "transport"), one);
	}
	if (!all) {
		json_decref(by_name);
		by_name = NULL;
	}
	json_decref(all);
	return by_name;
}

json_int_t queue_units(const json_t *group)
{
	json_int_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++)
		n += member_int(group, states[i]);
	return n;
}

/* ---- where ---------------------------------------------------------------------------------- */

/* A domain for lookup-mx; else what the transport's mail goes to. */
static const char *where(const json_t *group)
{
	const char *kind = member_text(group, "kind");

	if (*member_text(group, "next_hop"))
		return member_text(group, "next_hop");
	if (*member_text(group, "server"))
		return member_text(group, "server");
	return strcmp(kind, "none") == 0 ? "" : kind;
}

static void show_destinations(const json_t *all)
{
	static const char *const titles[] = {"TRANSPORT", "NEXT HOP", "READY", "ACTIVE", "DEFERRED",
		"HELD", "PAUSED", "DOWN", "DOWN SINCE", "LAST FAILURE"};
	struct table *table = table_new(ARRAY_SIZE(titles), titles);

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		char numbers[ARRAY_SIZE(states)][NUMBER_TEXT], failure[5000] = "";
		const char *cells[ARRAY_SIZE(titles)] = {member_text(one, "transport"), where(one)};

		for (size_t k = 0; k < ARRAY_SIZE(states); k++) {
			snprintf(numbers[k], NUMBER_TEXT, "%lld",
				(long long)member_int(one, states[k]));
			cells[2 + k] = numbers[k];
		}
		if (*member_text(one, "last_failure"))
			snprintf(failure, sizeof(failure), "%.40s: %.4000s",
				member_text(one, "last_failure_at"),
				member_text(one, "last_failure"));
		cells[8] = member_text(one, "down_since");
		cells[9] = failure;
		table_add(table, cells);
	}
	table_print(&table);
}

static bool show_nothing(const json_t *all)
{
	if (!json_array_size(all))
		puts("nothing is queued");
	return !json_array_size(all);
}

static void show_transports(const json_t *all)
{
	static const char *const titles[] = {"TRANSPORT", "DESTINATIONS", "OF THEM DOWN", "READY",
		"ACTIVE", "DEFERRED", "HELD", "PAUSED", "DOWN"};
	static const char *const keys[] = {"destinations", "destinations_down", "ready", "active",
		"deferred", "held", "paused", "down"};
	struct table *table = table_new(ARRAY_SIZE(titles), titles);

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		char numbers[ARRAY_SIZE(keys)][NUMBER_TEXT];

		/* The core's own are no transports that somebody made. */
		if (member_text(one, "transport")[0] == '(' && !queue_units(one))
			continue;
		const char *cells[ARRAY_SIZE(titles)] = {member_text(one, "transport")};

		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			snprintf(numbers[k], NUMBER_TEXT, "%lld",
				(long long)member_int(one, keys[k]));
			cells[1 + k] = numbers[k];
		}
		table_add(table, cells);
	}
	table_print(&table);
}

/* ---- how old -------------------------------------------------------------------------------- */

/* Groups come in parts: those of one destination, or transport, are added up. */
static json_t *added_up(const json_t *parts, bool by_transport)
{
	json_t *all = json_array(), *known = json_object();
	char key[1000];

	for (size_t i = 0; i < json_array_size(parts); i++) {
		const json_t *part = json_array_get(parts, i);
		const char *hop = by_transport ? "" : member_text(part, "next_hop");

		snprintf(key, sizeof(key), "%.400s %.500s", member_text(part, "transport"), hop);
		json_t *sum = json_object_get(known, key);
		if (!sum) {
			sum = json_pack("{ss, s[iiiiiii]}", "transport",
				member_text(part, "transport"), "ages", 0, 0, 0, 0, 0, 0, 0);
			if (*hop)
				json_object_set_new(sum, "next_hop", json_string(hop));
			json_array_append(all, sum);
			json_object_set_new(known, key, sum);
		}
		for (size_t k = 0; k < AGES; k++)
			json_array_set_new(json_object_get(sum, "ages"), k,
				json_integer(json_integer_value(json_array_get(
						     json_object_get(sum, "ages"), k)) +
					     json_integer_value(json_array_get(
						     json_object_get(part, "ages"), k))));
	}
	json_decref(known);
	return all;
}

/* Ages come without the server of a destination that has no domain of its own; the summary has it.
 * False: refused, and said why. */
static bool add_servers(struct ctl *ctl, json_t *ages)
{
	json_t *all = all_groups(ctl, "summary", "destination", false), *known = json_object();

	for (size_t i = 0; i < json_array_size(all); i++) {
		json_t *one = json_array_get(all, i);

		if (!*member_text(one, "next_hop"))
			json_object_set(known, member_text(one, "transport"), one);
	}
	for (size_t i = 0; i < json_array_size(ages); i++) {
		json_t *one = json_array_get(ages, i);
		const json_t *from = json_object_get(known, member_text(one, "transport"));

		if (*member_text(one, "next_hop") || !from)
			continue;
		json_object_set(one, "kind", json_object_get(from, "kind"));
		json_object_set(one, "server", json_object_get(from, "server"));
	}
	bool answered = all != NULL;

	json_decref(known);
	json_decref(all);
	return answered;
}

static void show_ages(const json_t *all)
{
	static const char *const titles[] = {
		"TRANSPORT", "NEXT HOP", "<5m", "<30m", "<2h", "<8h", "<1d", "<3d", "OLDER"};
	struct table *table = table_new(ARRAY_SIZE(titles), titles);

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		char numbers[AGES][NUMBER_TEXT];
		const char *cells[ARRAY_SIZE(titles)] = {member_text(one, "transport"), where(one)};

		for (size_t k = 0; k < AGES; k++) {
			snprintf(numbers[k], NUMBER_TEXT, "%lld",
				(long long)json_integer_value(
					json_array_get(json_object_get(one, "ages"), k)));
			cells[2 + k] = numbers[k];
		}
		table_add(table, cells);
	}
	table_print(&table);
}

int queue_summary(struct ctl *ctl)
{
	bool ages = ctl_flag(ctl, "--ages");
	const char *by = ctl->count > 1 ? ctl->args[1] : "destination";
	bool by_transport = strcmp(by, "transport") == 0;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count > 2 || (!by_transport && strcmp(by, "destination") != 0))
		return ctl_usage(
			ctl, "queue summary takes destination or transport, and nothing else");
	json_t *all = all_groups(ctl, ages ? "ages" : "summary", by, false);

	if (all && ages) {
		json_t *sums = added_up(all, by_transport);

		json_decref(all);
		all = sums;
		if (!by_transport && !add_servers(ctl, all)) {
			json_decref(all);
			all = NULL;
		}
	}
	if (!all)
		return EXIT_REFUSED;
	json_t *reply = json_object();
	if (ctl->json)
		json_object_set(reply, by_transport ? "transports" : "destinations", all);
	if (ctl->json)
		show_json(ctl, reply);
	else if (!by_transport && show_nothing(all))
		;
	else if (ages)
		show_ages(all);
	else if (by_transport)
		show_transports(all);
	else
		show_destinations(all);
	json_decref(reply);
	json_decref(all);
	return EXIT_DONE;
}

/* ---- probe ---------------------------------------------------------------------------------- */

static void show_probed(struct ctl *ctl, const json_t *reply)
{
	json_int_t found = member_int(reply, "destinations"), probed = member_int(reply, "probed");

	(void)ctl;
	printf("probe: asked right now: %lld of %lld %s", (long long)probed, (long long)found,
		plural(found, "destination", "destinations"));
	puts(probed == found ? "" : "; the others are not down, are paused, or are being asked");
}

int queue_probe(struct ctl *ctl)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage(ctl, "queue probe needs a domain or the name of a transport");
	if (!queue_all_utf8(ctl, ctl->args[1], NULL, NULL))
		return EXIT_USAGE;
	json_t *request = queue_request("probe");

	queue_put(request, "destination", ctl->args[1]);
	return ctl_ask_and_show(ctl, request, show_probed);
}
