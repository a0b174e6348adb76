/* posternctl queue: which of its commands, and what they share. */
#include "ctl/queue.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

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

bool queue_all_utf8(const struct ctl *ctl, const char *a, const char *b, const char *c)
{
	const char *const texts[] = {a, b, c};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *text = texts[i] ? json_string(texts[i]) : json_null();
		bool fits = text != NULL;

		json_decref(text);
		if (!fits) {
			ctl_usage(ctl, "not valid UTF-8: one of the arguments");
			return false;
		}
	}
	return true;
}

const char *plural(json_int_t n, const char *one, const char *many)
{
	return n == 1 ? one : many;
}

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
		return ctl_usage(ctl,
			"queue %s is for all deliveries; for some: transport %s, domain "
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
	static const char *const all[] = {"list", "show", "why", "summary", "retry", "probe",
		"hold", "release", "reroute", "bounce", "delete", "prioritise", "unprioritise",
		"pause", "resume", NULL};

	if (!ctl->count)
		return ctl_usage(ctl,
			"queue: list, show, why, summary, retry, probe, hold, release, "
			"reroute, bounce, delete, prioritise, unprioritise, pause or "
			"resume?");
	const char *op = ctl->args[0];
	if (strcmp(op, "list") == 0)
		return queue_list(ctl);
	if (strcmp(op, "show") == 0 || strcmp(op, "why") == 0)
		return queue_show(ctl, strcmp(op, "why") == 0);
	if (strcmp(op, "summary") == 0)
		return queue_summary(ctl);
	if (strcmp(op, "probe") == 0)
		return queue_probe(ctl);
	if (strcmp(op, "pause") == 0 || strcmp(op, "resume") == 0)
		return queue_pause(ctl);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		if (strcmp(op, changes[i]) == 0)
			return queue_change(ctl, op);
	return ctl_unknown(ctl, "queue", op, all);
}
