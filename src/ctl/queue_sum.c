/* What a change of the queue came to, over all its parts; and how that is told. */
#include "ctl/queue.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

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
static const char *const counted[QUEUE_COUNTED] = {"messages", "units", "recipients",
	"other_recipients", "messages_with_others", "active", "paused", "held"};

json_int_t queue_sum_of(const struct queue_sum *sum, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		if (strcmp(counted[i], key) == 0)
			return sum->n[i];
	return 0;
}

void queue_sum_add(struct queue_sum *sum, const json_t *reply)
{
	json_t *problems = json_object_get(reply, "problems");

	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		sum->n[i] += member_int(reply, counted[i]);
	json_array_extend(sum->problems, problems);
	json_array_extend(sum->warnings, json_object_get(reply, "warnings"));
}

static void show_sum_json(const struct ctl *ctl, const struct queue_sum *sum, bool dry)
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

/* Those whom the order was not for. */
static void show_others(const struct queue_order *order, const struct queue_sum *sum)
{
	json_int_t others = queue_sum_of(sum, "other_recipients"),
		   of_them = queue_sum_of(sum, "messages_with_others");
	bool leave = strcmp(order->op, "bounce") == 0 || strcmp(order->op, "delete") == 0;
	bool dry = order->dry, one = queue_sum_of(sum, "messages") == 1;

	if (!others)
		return;
	/* Where nobody leaves, "stays for" would sound as if. */
	if (!leave) {
		printf("; %lld %s of ", (long long)others, plural(others, "other", "others"));
		if (one)
			fputs("it", stdout);
		else
			printf("%lld of them", (long long)of_them);
		printf(" %s as %s", dry ? "would stay" : plural(others, "stays", "stay"),
			plural(others, "it is", "they are"));
	} else if (one) {
		printf("; the message %s for %lld %s", dry ? "would stay" : "stays",
			(long long)others, plural(others, "other", "others"));
	} else {
		printf("; %lld of them %s for %lld %s", (long long)of_them,
			dry ? "would stay" : plural(of_them, "stays", "stay"), (long long)others,
			plural(others, "other", "others"));
	}
}

/* What an order that was taken does not bring about by itself. */
static void show_remarks(const char *op, const struct queue_sum *sum)
{
	json_int_t active = queue_sum_of(sum, "active"), paused = queue_sum_of(sum, "paused"),
		   held = queue_sum_of(sum, "held");
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

static void show_sum(const struct queue_order *order, const struct queue_sum *sum, bool ids)
{
	json_int_t messages = queue_sum_of(sum, "messages"),
		   recipients = queue_sum_of(sum, "recipients");
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
	show_others(order, sum);
	puts(messages || ids ? "" : "; posternctl queue list shows what a filter finds");
	show_remarks(order->op, sum);
}

void queue_sum_show(const struct ctl *ctl, const struct queue_order *order,
	const struct queue_sum *sum, bool ids)
{
	if (ctl->json) {
		show_sum_json(ctl, sum, order->dry);
		return;
	}
	show_sum(order, sum, ids);
	show_problems(ctl, sum->problems);
	show_warnings(sum->warnings);
}
