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

/* ---- asking --------------------------------------------------------------------------------- */

static json_t *request_for(const struct queue_order *order)
{
	json_t *request = queue_request(order->op);

	queue_put(request, "reason", order->reason);
	queue_put(request, "transport", order->transport);
	if (order->dry)
		queue_put_json(request, "dry_run", json_true());
	return request;
}

static bool change_one(
	struct ctl *ctl, const struct queue_order *order, const char *id, struct queue_sum *sum)
{
	json_t *request = request_for(order);

	queue_put(request, "id", id);
	json_t *reply = ctl_ask(ctl, request);

	if (!reply)
		return false;
	queue_sum_add(sum, reply);
	json_decref(reply);
	return true;
}

static bool change_ids(
	struct ctl *ctl, const struct queue_order *order, const json_t *ids, struct queue_sum *sum)
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

		queue_sum_add(sum, reply);
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
	struct ctl *ctl, const struct queue_order *order, const char *filter, struct queue_sum *sum)
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
		queue_sum_add(sum, reply);
		snprintf(after, sizeof(after), "%s", member_text(reply, "after"));
		bool stuck = is_stuck(ctl, reply, &waits);

		json_decref(reply);
		if (stuck)
			return false;
	} while (after[0]);
	return true;
}

/* ---- which of them -------------------------------------------------------------------------- */

/* A variable of a script that is empty must not mean everything. */
static bool is_blank(const struct ctl *ctl, int from)
{
	for (int i = from; i < ctl->count; i++)
		if (ctl->args[i][strspn(ctl->args[i], " \t\r\n")])
			return false;
	return true;
}

static bool change(struct ctl *ctl, const struct queue_order *order, const json_t *ids,
	const char *filter, struct queue_sum *sum)
{
	if (!ids)
		return change_filter(ctl, order, filter, sum);
	if (json_array_size(ids) == 1)
		return change_one(ctl, order, json_string_value(json_array_get(ids, 0)), sum);
	return change_ids(ctl, order, ids, sum);
}

int queue_change(struct ctl *ctl, const char *op)
{
	const struct queue_order order = {
		.op = op,
		.reason = ctl_option(ctl, "--reason"),
		.transport = ctl_option(ctl, "--transport"),
		.dry = ctl_flag(ctl, "--dry-run"),
	};
	struct queue_sum sum = {0};
	int code;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count < 2 || is_blank(ctl, 1))
		return ctl_usage(ctl, "queue %s needs ids or a filter; everything is age>=0s", op);
	if (strcmp(op, "reroute") == 0 && !order.transport)
		return ctl_usage(ctl, "queue reroute needs --transport NAME");
	sum.problems = json_array();
	sum.warnings = json_array();
	json_t *ids = queue_ids(ctl, 1, sum.problems, &code);
	char *filter = ids ? NULL : ctl_joined(ctl, 1);
	if (code) {
		/* Said already. */
	} else if (!queue_all_utf8(ctl, filter, order.reason, order.transport)) {
		code = EXIT_USAGE;
	} else if (!change(ctl, &order, ids, filter, &sum)) {
		code = EXIT_REFUSED;
		if (queue_sum_of(&sum, "messages"))
			ctl_refuse(ctl, "%s: %lld %s before that; give the command again to go on",
				op, (long long)queue_sum_of(&sum, "messages"),
				plural(queue_sum_of(&sum, "messages"), "message", "messages"));
	} else {
		code = json_array_size(sum.problems) ? EXIT_REFUSED : EXIT_DONE;
		queue_sum_show(ctl, &order, &sum, ids != NULL);
	}
	json_decref(sum.problems);
	json_decref(sum.warnings);
	free(filter);
	json_decref(ids);
	return code;
}
