#include "ctl/ctl.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/check.h"
#include "directory/objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void show_changes(struct ctl *ctl, const json_t *reply)
{
	const json_t *changes = json_object_get(reply, "changes");

	(void)ctl;
	for (size_t i = 0; i < json_array_size(changes); i++) {
		show_text(json_string_value(json_array_get(changes, i)), false);
		putchar('\n');
	}
	if (!json_array_size(changes))
		puts("nothing to change");
	else if (json_is_true(json_object_get(reply, "dry_run")))
		puts("(only a trial run: nothing was changed)");
}

/* ---- check ---------------------------------------------------------------------------------- */

static void print_finding(void *context, const struct check_finding *finding)
{
	json_t *list = context;

	json_array_append_new(list,
		json_pack("{ss, ss%, ss%}", "severity", check_severity_name(finding->severity),
			"about", finding->about.n ? finding->about.p : "", finding->about.n, "text",
			finding->text.n ? finding->text.p : "", finding->text.n));
}

/* Objects of a file, as if applied to an empty directory. */
static int read_objects(const char *path, struct objects **out)
{
	struct plan_options options = {0};
	struct objects *none = NULL;
	struct plan *plan = NULL;
	struct buf problems;
	size_t length;
	char *text = ctl_read_file(path, &length);

	if (!text)
		return EXIT_REFUSED;
	buf_init(&problems, 1u << 20);
	int err = objects_new(&none);
	if (!err)
		err = objects_plan_apply(
			none, path, span_of(text, length), &options, &problems, &plan);
	if (err)
		fprintf(stderr, "posternctl: the objects cannot be used:\n%.*s", (int)problems.n,
			problems.n ? problems.p : "");
	else
		*out = plan_take(&plan);
	objects_free(&none);
	buf_done(&problems);
	free(text);
	return err ? EXIT_REFUSED : EXIT_DONE;
}

int ctl_check(struct ctl *ctl)
{
	const char *file = ctl_option(ctl, "-f");
	struct objects *objects = NULL;
	json_t *findings = json_array();
	size_t warnings = 0;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	int code = ctl_config(ctl);
	if (!code && file)
		code = read_objects(file, &objects);
	if (!code) {
		check_all(ctl->config, objects, geteuid() == 0, print_finding, findings);
		if (ctl->json)
			show_json(findings);
		for (size_t i = 0; i < json_array_size(findings); i++) {
			const json_t *one = json_array_get(findings, i);

			warnings++;
			if (ctl->json)
				continue;
			printf("%s: ", member_text(one, "severity"));
			show_text(member_text(one, "about"), false);
			fputs(": ", stdout);
			show_text(member_text(one, "text"), false);
			putchar('\n');
		}
		if (!ctl->json && !warnings)
			puts("no problems found");
	}
	objects_free(&objects);
	json_decref(findings);
	return code;
}

/* ---- apply and export ----------------------------------------------------------------------- */

int ctl_apply(struct ctl *ctl)
{
	const char *file = ctl_option(ctl, "-f");
	bool prune = ctl_flag(ctl, "--prune"), dry = ctl_flag(ctl, "--dry-run");
	size_t length;

	if (!file)
		return ctl_usage("apply needs -f FILE (\"-\": standard input)");
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	char *text = ctl_read_file(file, &length);
	if (!text)
		return EXIT_REFUSED;
	json_t *request = json_pack("{ss, ss, ss%, sb, sb}", "cmd", "apply", "file", file, "text",
		text, length, "prune", prune, "dry_run", dry);
	free(text);
	if (!request)
		return ctl_refuse("%s: not valid UTF-8, or its name is not", file);
	return ctl_ask_and_show(ctl, request, show_changes);
}

static void show_export(struct ctl *ctl, const json_t *reply)
{
	(void)ctl;
	fputs(member_text(reply, "text"), stdout);
}

int ctl_export(struct ctl *ctl)
{
	return ctl_ask_and_show(ctl, json_pack("{ss}", "cmd", "export"), show_export);
}

/* ---- single objects ------------------------------------------------------------------------- */

static void show_list(struct ctl *ctl, const json_t *reply)
{
	const json_t *objects = json_object_get(reply, "objects");
	static const char *const skipped[] = {"name", "created", "changed", "pause"};

	(void)ctl;
	if (!json_array_size(objects))
		puts("there are none");
	for (size_t i = 0; i < json_array_size(objects); i++) {
		json_t *one = json_array_get(objects, i);
		const char *key;
		json_t *value;

		show_text(member_text(one, "name"), false);
		json_object_foreach(one, key, value)
		{
			bool skip = false;

			for (size_t k = 0; k < ARRAY_SIZE(skipped); k++)
				skip = skip || strcmp(key, skipped[k]) == 0;
			if (skip || json_is_null(value))
				continue;
			printf("  %s=", key);
			if (json_is_string(value)) {
				show_text(json_string_value(value), false);
			} else {
				char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

				fputs(text ? text : "?", stdout);
				free(text);
			}
		}
		if (json_is_object(json_object_get(one, "pause")))
			fputs("  (paused)", stdout);
		putchar('\n');
	}
}

static void show_object(struct ctl *ctl, const json_t *reply)
{
	const json_t *retry = json_object_get(reply, "retry");
	const json_t *pause = json_object_get(json_object_get(reply, "object"), "pause");

	(void)ctl;
	fputs(member_text(reply, "text"), stdout);
	if (retry) {
		printf("\nRetry Count  Retry Delay  Example  Total time\n");
		printf("%lld  ", (long long)member_int(retry, "count"));
		printf("%s  %s  %s = %s\n", member_text(retry, "delay"),
			member_text(retry, "example"), member_text(retry, "sum"),
			member_text(retry, "total"));
	}
	if (json_is_object(pause)) {
		printf("\npaused since %s by ", member_text(pause, "since"));
		show_text(member_text(pause, "by"), false);
		if (*member_text(pause, "reason")) {
			fputs(": ", stdout);
			show_text(member_text(pause, "reason"), false);
		}
		putchar('\n');
	}
}

static json_t *settings_from(const struct ctl *ctl, int from)
{
	json_t *settings = json_array();

	for (int i = from; i < ctl->count; i++)
		json_array_append_new(settings, json_string(ctl->args[i]));
	return settings;
}

static int pause_or_resume(struct ctl *ctl, const char *kind, bool pause)
{
	const char *reason = ctl_option(ctl, "--reason");

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage("%s %s needs one name", kind, ctl->args[0]);
	return ctl_ask_and_show(ctl,
		json_pack("{ss, ss, ss, ss}", "cmd", pause ? "pause" : "resume", "scope", kind,
			"name", ctl->args[1], "reason", reason ? reason : ""),
		show_changes);
}

static int object_command(struct ctl *ctl, const char *kind, const char *const *ops, bool named)
{
	bool dry = ctl_flag(ctl, "--dry-run");
	bool known = false;

	for (size_t i = 0; ctl->count && ops[i]; i++)
		known = known || strcmp(ctl->args[0], ops[i]) == 0;
	if (!known)
		return ctl_usage(
			"%s: which of %s, %s, %s …?", kind, ops[0], ops[1], ops[2] ? ops[2] : "");
	const char *op = ctl->args[0];
	if (strcmp(op, "pause") == 0 || strcmp(op, "resume") == 0)
		return pause_or_resume(ctl, kind, strcmp(op, "pause") == 0);
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (strcmp(op, "list") == 0) {
		if (ctl->count > 1)
			return ctl_usage("%s list takes no name", kind);
		return ctl_ask_and_show(ctl,
			json_pack("{ss, ss, ss}", "cmd", "object", "op", op, "kind", kind),
			show_list);
	}
	bool takes_name = named || strcmp(op, "remove") == 0;
	bool takes_fields = strcmp(op, "add") == 0 || strcmp(op, "set") == 0;
	if (takes_name && ctl->count < 2)
		return ctl_usage("%s %s needs a name", kind, op);
	if (!takes_fields && ctl->count > (takes_name ? 2 : 1))
		return ctl_usage("%s %s takes one name and nothing else", kind, op);
	json_t *request = json_pack("{ss, ss, ss, ss, so, sb}", "cmd", "object", "op", op, "kind",
		kind, "name", takes_name ? ctl->args[1] : "", "settings",
		settings_from(ctl, takes_name ? 2 : 1), "dry_run", dry);
	return ctl_ask_and_show(ctl, request, strcmp(op, "show") == 0 ? show_object : show_changes);
}

int ctl_transport(struct ctl *ctl)
{
	static const char *const ops[] = {
		"add", "set", "show", "list", "remove", "pause", "resume", NULL};

	return object_command(ctl, "transport", ops, true);
}

int ctl_domain(struct ctl *ctl)
{
	static const char *const ops[] = {
		"add", "set", "show", "list", "remove", "pause", "resume", NULL};

	return object_command(ctl, "domain", ops, true);
}

int ctl_account(struct ctl *ctl)
{
	static const char *const ops[] = {"add", "show", "list", "remove", NULL};

	return object_command(ctl, "account", ops, true);
}

int ctl_priority(struct ctl *ctl)
{
	static const char *const ops[] = {"add", "list", "remove", NULL};

	return object_command(ctl, "priority", ops, false);
}

int ctl_settings(struct ctl *ctl)
{
	static const char *const ops[] = {"set", "show", NULL};

	return object_command(ctl, "settings", ops, false);
}

/* ---- audit ---------------------------------------------------------------------------------- */

static void show_audit(struct ctl *ctl, const json_t *reply)
{
	static const char *const titles[] = {"TIME", "WHO", "CHANGE"};
	struct table *table = table_new(3, titles);
	const json_t *entries = json_object_get(reply, "entries");

	(void)ctl;
	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *one = json_array_get(entries, i);
		const char *const cells[] = {member_text(one, "time"), member_text(one, "actor"),
			member_text(one, "change")};

		table_add(table, cells);
	}
	table_print(&table);
}

int ctl_audit(struct ctl *ctl)
{
	const char *limit = ctl_option(ctl, "--limit");

	if (!ctl_no_options_left(ctl) || ctl->count)
		return ctl_usage("audit takes only --limit N");
	return ctl_ask_and_show(ctl,
		json_pack("{ss, sI}", "cmd", "audit", "limit",
			(json_int_t)(limit ? strtol(limit, NULL, 10) : 100)),
		show_audit);
}
