/* What is done to messages: by id, by ids, or by a filter. */
#include "ctl/queue.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDS_AT_A_TIME 500
#define WAIT_MS	      200 /* while notifications are being written … */
#define WAITS_MOST    150 /* … and none is: then something is wrong */

struct words {
	const char *op, *done, *would;
};

static const struct words words[] = {
	{"retry", "told to be tried now", "would be told to be tried now"},
	{"hold", "held", "would be held"},
	{"release", "released", "would be released"},
	{"reroute", "rerouted", "would be rerouted"},
	{"bounce", "returned to the sender", "would be returned to the sender"},
	{"delete", "deleted", "would be deleted"},
	{"prioritise", "prioritised", "would be prioritised"},
	{"unprioritise", "no longer prioritised", "would no longer be prioritised"},
};

/* What all replies together say. */
static const char *const counted[] = {"messages", "units", "recipients", "other_recipients",
	"messages_with_others", "active", "paused", "held"};

struct sum {
	json_int_t n[ARRAY_SIZE(counted)];
	json_t *problems; /* what is wrong with single ids */
	json_t *warnings; /* what was not as it should be otherwise */
};

static json_int_t of(const struct sum *sum, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		if (strcmp(counted[i], key) == 0)
			return sum->n[i];
	return 0;
}

static void add(struct sum *sum, const json_t *reply)
{
	json_t *problems = json_object_get(reply, "problems");

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		sum->n[i] += member_int(reply, counted[i]);
	json_array_extend(sum->problems, problems);
	json_array_extend(sum->warnings, json_object_get(reply, "warnings"));
}

/* ---- asking --------------------------------------------------------------------------------- */

struct order {
	const char *op, *reason, *transport;
	bool dry;
};

static json_t *request_for(const struct order *order)
{
	json_t *request = queue_request(order->op);

	queue_put(request, "reason", order->reason);
	queue_put(request, "transport", order->transport);
	if (order->dry)
		queue_put_json(request, "dry_run", json_true());
	return request;
}

static bool change_one(struct ctl *ctl, const struct order *order, const char *id, struct sum *sum)
{
	json_t *request = request_for(order);

	queue_put(request, "id", id);
	json_t *reply = ctl_ask(ctl, request);

	if (!reply)
		return false;
	add(sum, reply);
	json_decref(reply);
	return true;
}

static bool change_ids(
	struct ctl *ctl, const struct order *order, const json_t *ids, struct sum *sum)
{
	const struct timespec wait = {.tv_nsec = WAIT_MS * 1000000l};
	size_t count = json_array_size(ids);

	for (size_t at = 0; at < count;) {
		json_t *request = request_for(order), *some = json_array();
		size_t n = MIN(count - at, (size_t)IDS_AT_A_TIME);

		for (size_t i = 0; i < n; i++)
			json_array_append(some, json_array_get(ids, at + i));
		queue_put_json(request, "ids", some);
		json_t *reply = ctl_ask(ctl, request);

		if (!reply)
			return false;
		json_int_t done = member_int(reply, "done");

		add(sum, reply);
		json_decref(reply);
		if (done < 1 || (size_t)done > n)
			done = (json_int_t)n;
		at += (size_t)done;
		if (at < count && (size_t)done < n)
			nanosleep(&wait, NULL);
	}
	return true;
}

/* Delivery cannot go on just now; what does not go on for long is told. */
static bool is_stuck(const struct ctl *ctl, const json_t *reply, unsigned *waits)
{
	const struct timespec wait = {.tv_nsec = WAIT_MS * 1000000l};

	if (!*member_text(reply, "busy"))
		return false;
	if (member_int(reply, "messages"))
		*waits = 0;
	if (++*waits > WAITS_MOST) {
		ctl_tell(ctl, member_text(reply, "busy"));
		return true;
	}
	nanosleep(&wait, NULL);
	return false;
}

static bool change_filter(
	struct ctl *ctl, const struct order *order, const char *filter, struct sum *sum)
{
	unsigned waits = 0;
	char after[32] = "";

	do {
		json_t *request = request_for(order);

		queue_put(request, "filter", filter);
		queue_put(request, "after", after);
		json_t *reply = ctl_ask(ctl, request);

		if (!reply)
			return false;
		add(sum, reply);
		snprintf(after, sizeof(after), "%s", member_text(reply, "after"));
		bool stuck = is_stuck(ctl, reply, &waits);

		json_decref(reply);
		if (stuck)
			return false;
	} while (after[0]);
	return true;
}

/* ---- telling -------------------------------------------------------------------------------- */

static void show_sum_json(const struct ctl *ctl, const struct sum *sum, bool dry)
{
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		json_object_set_new(all, counted[i], json_integer(sum->n[i]));
	json_object_set_new(all, "dry_run", json_boolean(dry));
	if (json_array_size(sum->problems))
		json_object_set(all, "problems", sum->problems);
	if (json_array_size(sum->warnings))
		json_object_set(all, "warnings", sum->warnings);
	show_json(ctl, all);
	json_decref(all);
}

static void show_problems(const struct ctl *ctl, const json_t *problems)
{
	for (size_t i = 0; i < json_array_size(problems); i++) {
		const json_t *one = json_array_get(problems, i);

		ctl_refuse(ctl, "%s: %s", member_text(one, "id"), member_text(one, "error"));
	}
}

static void show_others(const struct sum *sum, bool dry)
{
	json_int_t others = of(sum, "other_recipients"), of_them = of(sum, "messages_with_others");

	if (!others)
		return;
	if (of(sum, "messages") == 1)
		printf("; the message %s for %lld %s", dry ? "would stay" : "stays",
			(long long)others, plural(others, "other", "others"));
	else
		printf("; %lld of them %s for %lld %s", (long long)of_them,
			dry ? "would stay" : plural(of_them, "stays", "stay"), (long long)others,
			plural(others, "other", "others"));
}

/* What an order that was taken does not bring about by itself. */
static void show_remarks(const char *op, const struct sum *sum)
{
	json_int_t active = of(sum, "active"), paused = of(sum, "paused"), held = of(sum, "held");
	bool goes_on = strcmp(op, "retry") == 0 || strcmp(op, "release") == 0 ||
		       strcmp(op, "reroute") == 0;

	if (active && strcmp(op, "retry") != 0)
		printf("%lld %s being delivered right now: that is let finish, and it is done to "
		       "what is left\n",
			(long long)active, plural(active, "recipient is", "recipients are"));
	if (goes_on && paused)
		printf("%lld %s paused, and %s until that ends: posternctl queue why tells who "
		       "paused what\n",
			(long long)paused, plural(paused, "recipient is", "recipients are"),
			plural(paused, "waits", "wait"));
	if (goes_on && held)
		printf("%lld %s held, and %s until queue release\n", (long long)held,
			plural(held, "recipient is", "recipients are"),
			plural(held, "waits", "wait"));
}

static void show_sum(const struct order *order, const struct sum *sum, bool ids)
{
	json_int_t messages = of(sum, "messages"), recipients = of(sum, "recipients");
	const struct words *w = words;

	while (strcmp(w->op, order->op) != 0)
		w++;
	printf("%s: ", order->op);
	/* Of what is damaged nobody knows the recipients. */
	if (recipients)
		printf("%lld %s of ", (long long)recipients,
			plural(recipients, "recipient", "recipients"));
	printf("%lld %s %s", (long long)messages, plural(messages, "message", "messages"),
		order->dry ? w->would : w->done);
	show_others(sum, order->dry);
	puts(messages || ids ? "" : "; posternctl queue list shows what a filter finds");
	show_remarks(order->op, sum);
}

/* A variable of a script that is empty must not mean everything. */
static bool is_blank(const struct ctl *ctl, int from)
{
	for (int i = from; i < ctl->count; i++)
		if (ctl->args[i][strspn(ctl->args[i], " \t\r\n")])
			return false;
	return true;
}

static bool change(struct ctl *ctl, const struct order *order, const json_t *ids,
	const char *filter, struct sum *sum)
{
	if (!ids)
		return change_filter(ctl, order, filter, sum);
	if (json_array_size(ids) == 1)
		return change_one(ctl, order, json_string_value(json_array_get(ids, 0)), sum);
	return change_ids(ctl, order, ids, sum);
}

int queue_change(struct ctl *ctl, const char *op)
{
	const struct order order = {
		.op = op,
		.reason = ctl_option(ctl, "--reason"),
		.transport = ctl_option(ctl, "--transport"),
		.dry = ctl_flag(ctl, "--dry-run"),
	};
	struct sum sum = {0};
	int code;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count < 2 || is_blank(ctl, 1))
		return ctl_usage(ctl, "queue %s needs ids or a filter; everything is age>=0s", op);
	if (strcmp(op, "reroute") == 0 && !order.transport)
		return ctl_usage(ctl, "queue reroute needs --transport NAME");
	json_t *ids = queue_ids(ctl, 1, &code);
	if (code)
		return code;
	char *filter = ids ? NULL : ctl_joined(ctl, 1);
	sum.problems = json_array();
	sum.warnings = json_array();
	if (!queue_all_utf8(ctl, filter, order.reason, order.transport)) {
		code = EXIT_USAGE;
	} else if (!change(ctl, &order, ids, filter, &sum)) {
		code = EXIT_REFUSED;
		if (of(&sum, "messages"))
			ctl_refuse(ctl, "%s: %lld %s before that; give the command again to go on",
				op, (long long)of(&sum, "messages"),
				plural(of(&sum, "messages"), "message", "messages"));
	} else {
		code = json_array_size(sum.problems) ? EXIT_REFUSED : EXIT_DONE;
		if (ctl->json) {
			show_sum_json(ctl, &sum, order.dry);
		} else {
			show_sum(&order, &sum, ids != NULL);
			show_problems(ctl, sum.problems);
			show_warnings(sum.warnings);
		}
	}
	json_decref(sum.problems);
	json_decref(sum.warnings);
	free(filter);
	json_decref(ids);
	return code;
}
