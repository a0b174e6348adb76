/* What is done to messages: by id, by ids, or by a filter. */
#include "ctl/queue.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDS_AT_A_TIME 500
#define WAIT_MS	      200 /* while notifications are being written */

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
	bool problems;
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
	const json_t *problems = json_object_get(reply, "problems");

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		sum->n[i] += member_int(reply, counted[i]);
	for (size_t i = 0; i < json_array_size(problems); i++) {
		const json_t *one = json_array_get(problems, i);

		fputs("posternctl: ", stderr);
		show_text_on(stderr, member_text(one, "id"), false);
		fputs(": ", stderr);
		show_text_on(stderr, member_text(one, "error"), false);
		fputc('\n', stderr);
		sum->problems = true;
	}
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

static bool change_filter(
	struct ctl *ctl, const struct order *order, const char *filter, struct sum *sum)
{
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
		json_decref(reply);
	} while (after[0]);
	return true;
}

/* ---- telling -------------------------------------------------------------------------------- */

static void show_sum_json(const struct sum *sum, bool dry)
{
	json_t *all = json_object();

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		json_object_set_new(all, counted[i], json_integer(sum->n[i]));
	if (dry)
		json_object_set_new(all, "dry_run", json_true());
	show_json(all);
	json_decref(all);
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
		return ctl_usage("queue %s needs ids or a filter; everything is age>=0s", op);
	if (strcmp(op, "reroute") == 0 && !order.transport)
		return ctl_usage("queue reroute needs --transport NAME");
	json_t *ids = queue_ids(ctl, 1, &code);
	if (code)
		return code;
	char *filter = ids ? NULL : ctl_joined(ctl, 1);
	if (!queue_all_utf8(filter, order.reason, order.transport)) {
		code = EXIT_USAGE;
	} else if (!change(ctl, &order, ids, filter, &sum)) {
		code = EXIT_REFUSED;
		if (of(&sum, "messages"))
			ctl_refuse("%s: %lld %s before that; give the command again to go on", op,
				(long long)of(&sum, "messages"),
				plural(of(&sum, "messages"), "message", "messages"));
	} else {
		code = sum.problems ? EXIT_REFUSED : EXIT_DONE;
		if (ctl->json)
			show_sum_json(&sum, order.dry);
		else
			show_sum(&order, &sum, ids != NULL);
	}
	free(filter);
	json_decref(ids);
	return code;
}
