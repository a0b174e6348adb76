#include "ctl/queue.h"

#include "base/check.h"
#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_BYTES    (16u << 20)	  /* as much as an answer */
#define FIELD_COLUMNS (TABLE_COLUMNS - 4) /* beside the name, what is queued, and the state */

/* ---- single objects ------------------------------------------------------------------------- */

static char *one_text(const json_t *value)
{
	if (json_is_string(value))
		return strdup(json_string_value(value));
	return json_is_null(value) || !value
		       ? strdup("")
		       : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_ENSURE_ASCII);
}

/* A value of an object's field as text, a list as "198.51.100.0/24, 2001:db8::/32"; to be freed. */
static char *value_text(const json_t *value)
{
	struct buf out;

	if (!json_is_array(value))
		return one_text(value);
	buf_init(&out, LIST_BYTES);
	for (size_t i = 0; i < json_array_size(value); i++) {
		char *one = one_text(json_array_get(value, i));

		buf_add_str(&out, i ? ", " : "");
		buf_add_str(&out, one ? one : "?");
		free(one);
	}
	char *text = buf_ok(&out) ? strndup(out.n ? out.p : "", out.n) : NULL;
	buf_done(&out);
	if (!text)
		ctl_no_memory(NULL);
	return text;
}

/* The fields that any of the objects has a value for. */
static size_t list_columns(const json_t *objects, const char *keys[FIELD_COLUMNS])
{
	static const char *const skipped[] = {"name", "created", "changed", "pause", "destinations",
		"destinations_down", "queued"};
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(objects); i++) {
		json_t *one = json_array_get(objects, i);
		const char *key;
		json_t *value;

		json_object_foreach(one, key, value)
		{
			bool skip = json_is_null(value) ||
				    (json_is_array(value) && !json_array_size(value));

			for (size_t k = 0; k < ARRAY_SIZE(skipped); k++)
				skip = skip || strcmp(key, skipped[k]) == 0;
			for (size_t k = 0; k < count; k++)
				skip = skip || strcmp(key, keys[k]) == 0;
			if (!skip && count < FIELD_COLUMNS)
				keys[count++] = key;
		}
	}
	return count;
}

/* "retry-delay": "RETRY DELAY"; to be freed. */
static char *title_of(const char *key)
{
	char *title = strdup(key);

	if (!title)
		ctl_no_memory(NULL);
	for (char *p = title; *p; p++)
		*p = (char)(*p == '-' || *p == '_' ? ' ' : toupper((unsigned char)*p));
	return title;
}

static void add_object(struct table *table, json_t *one, const char *const *keys, size_t count)
{
	char *cells[TABLE_COLUMNS] = {0};
	size_t n = 0;

	cells[n++] = value_text(json_object_get(one, "name"));
	for (size_t i = 0; i < count; i++)
		cells[n++] = value_text(json_object_get(one, keys[i]));
	if (json_object_get(one, "queued")) {
		if (asprintf(&cells[n++], "%lld of %lld",
			    (long long)member_int(one, "destinations_down"),
			    (long long)member_int(one, "destinations")) < 0)
			ctl_no_memory(NULL);
		cells[n++] = value_text(json_object_get(one, "queued"));
	}
	cells[n++] = strdup(json_is_object(json_object_get(one, "pause")) ? "paused" : "");
	table_add(table, (const char *const *)cells);
	while (n)
		free(cells[--n]);
}

/* It stands under the plural of their kind. */
static const json_t *list_of(const json_t *reply)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)reply, key, value) if (json_is_array(value)) return value;
	return NULL;
}

static void show_list(const json_t *reply)
{
	const json_t *objects = list_of(reply);
	const char *keys[FIELD_COLUMNS], *titles[TABLE_COLUMNS] = {"NAME"};
	char *upper[TABLE_COLUMNS];
	size_t count = list_columns(objects, keys), columns = 1 + count;

	if (!json_array_size(objects)) {
		puts("there are none");
		return;
	}
	for (size_t i = 0; i < count; i++)
		titles[1 + i] = upper[i] = title_of(keys[i]);
	if (json_object_get(json_array_get(objects, 0), "queued")) {
		titles[columns++] = "DOWN";
		titles[columns++] = "QUEUED";
	}
	/* Where they can be paused. */
	if (json_object_get(json_array_get(objects, 0), "pause"))
		titles[columns++] = "STATE";
	struct table *table = table_new(columns, titles);
	for (size_t i = 0; i < json_array_size(objects); i++)
		add_object(table, json_array_get(objects, i), keys, count);
	table_print(&table);
	for (size_t i = 0; i < count; i++)
		free(upper[i]);
}

/* How much is queued for each transport, and what of it is down, as far as delivery answers now. */
static void add_queued(struct ctl *ctl, const json_t *transports)
{
	json_t *groups = json_array_size(transports) ? queue_by_transport(ctl) : NULL;

	for (size_t i = 0; groups && i < json_array_size(transports); i++) {
		json_t *one = json_array_get(transports, i);
		const json_t *group = json_object_get(groups, member_text(one, "name"));

		json_object_set_new(
			one, "destinations", json_integer(member_int(group, "destinations")));
		json_object_set_new(one, "destinations_down",
			json_integer(member_int(group, "destinations_down")));
		json_object_set_new(one, "queued", json_integer(queue_units(group)));
	}
	json_decref(groups);
}

static int list_objects(struct ctl *ctl, const char *kind)
{
	json_t *reply = ctl_ask(
		ctl, json_pack("{ss, ss, ss}", "cmd", "object", "op", "list", "kind", kind));

	if (!reply)
		return EXIT_REFUSED;
	if (strcmp(kind, "transport") == 0)
		add_queued(ctl, list_of(reply));
	if (ctl->json)
		show_json(ctl, reply);
	else
		show_list(reply);
	json_decref(reply);
	return EXIT_DONE;
}

/* As the retry calculators that administrators know have it. */
static void show_retry(const json_t *retry)
{
	static const char *const titles[] = {"RETRY COUNT", "RETRY DELAY", "EXAMPLE", "TOTAL TIME"};
	struct table *table = table_new(ARRAY_SIZE(titles), titles);
	char count[24], total[400];

	snprintf(count, sizeof(count), "%lld", (long long)member_int(retry, "count"));
	snprintf(total, sizeof(total), "%.250s = %.100s", member_text(retry, "sum"),
		member_text(retry, "total"));
	const char *const cells[] = {
		count, member_text(retry, "delay"), member_text(retry, "example"), total};
	table_add(table, cells);
	putchar('\n');
	table_print(&table);
}

/* The object stands under the name of its kind. */
static const json_t *pause_of(const json_t *reply)
{
	const json_t *object = json_object_get(reply, "transport");

	if (!object)
		object = json_object_get(reply, "domain");
	return json_object_get(object, "pause");
}

static void show_object(struct ctl *ctl, const json_t *reply)
{
	const json_t *retry = json_object_get(reply, "retry"), *pause = pause_of(reply);

	(void)ctl;
	if (!*member_text(reply, "text"))
		puts("nothing is set; posternctl settings --help says what can be");
	show_text(member_text(reply, "text"), true);
	if (retry)
		show_retry(retry);
	if (json_is_object(pause)) {
		fputs("\npaused since ", stdout);
		show_text(member_text(pause, "since"), false);
		fputs(" by ", stdout);
		show_text(member_text(pause, "by"), false);
		if (*member_text(pause, "reason")) {
			fputs(": ", stdout);
			show_text(member_text(pause, "reason"), false);
		}
		putchar('\n');
	}
}

json_t *ctl_settings_from(const struct ctl *ctl, int from)
{
	json_t *settings = json_array();

	for (int i = from; i < ctl->count; i++) {
		if (json_array_append_new(settings, json_string(ctl->args[i])) == 0)
			continue;
		/* No UTF-8: what is left out silently would be a mistake of another kind. */
		json_decref(settings);
		ctl_usage(ctl, "not valid UTF-8: one of the settings");
		return NULL;
	}
	return settings;
}

static int pause_or_resume(struct ctl *ctl, const char *kind, bool pause)
{
	const char *reason = ctl_option(ctl, "--reason");

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage(ctl, "%s %s needs one name", kind, ctl->args[0]);
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
	if (!known && ctl->count)
		return ctl_unknown(ctl, kind, ctl->args[0], ops);
	if (!known)
		return ctl_usage(ctl, "%s what? posternctl %s --help lists it", kind, kind);
	const char *op = ctl->args[0];
	if (strcmp(op, "pause") == 0 || strcmp(op, "resume") == 0)
		return pause_or_resume(ctl, kind, strcmp(op, "pause") == 0);
	bool force = strcmp(op, "remove") == 0 && ctl_flag(ctl, "--force");
	bool takes_fields = strcmp(op, "add") == 0 || strcmp(op, "set") == 0;
	bool secret = takes_fields && strcmp(kind, "transport") == 0 && ctl_flag(ctl, "--secret");
	if (!ctl_no_secrets(ctl) || !ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (strcmp(op, "list") == 0) {
		if (ctl->count > 1)
			return ctl_usage(ctl, "%s list takes no name", kind);
		return list_objects(ctl, kind);
	}
	bool takes_name = named || strcmp(op, "remove") == 0;
	if (takes_name && ctl->count < 2)
		return ctl_usage(ctl, "%s %s needs a name", kind, op);
	if (!takes_fields && ctl->count > (takes_name ? 2 : 1))
		return ctl_usage(ctl, "%s %s takes one name and nothing else", kind, op);
	if (secret && !ctl_only_fields(ctl, 2))
		return EXIT_USAGE;
	json_t *settings = ctl_settings_from(ctl, takes_name ? 2 : 1);
	if (!settings)
		return EXIT_USAGE;
	json_t *request = json_pack("{ss, ss, ss, ss, so, sb, sb}", "cmd", "object", "op", op,
		"kind", kind, "name", takes_name ? ctl->args[1] : "", "settings", settings,
		"dry_run", dry, "force", force);
	int code = EXIT_DONE;
	if (secret && request)
		code = ctl_add_secret(ctl, request, "secret", ctl->args[1]);
	if (code) {
		json_decref(request);
		return code;
	}
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
	static const char *const ops[] = {"add", "set", "show", "list", "remove", NULL};

	return object_command(ctl, "account", ops, true);
}

int ctl_alias(struct ctl *ctl)
{
	static const char *const ops[] = {"add", "set", "show", "list", "remove", NULL};

	return object_command(ctl, "alias", ops, true);
}

int ctl_accept(struct ctl *ctl)
{
	static const char *const ops[] = {"set", "show", NULL};

	return object_command(ctl, "accept", ops, false);
}

int ctl_object(struct ctl *ctl, const char *kind, const char *const *ops)
{
	return object_command(ctl, kind, ops, true);
}

/* Without a name: not what is set, but what follows from it. */
int ctl_relay(struct ctl *ctl)
{
	static const char *const ops[] = {"add", "set", "show", "list", "remove", NULL};

	if (ctl->count == 1 && strcmp(ctl->args[0], "show") == 0)
		return ctl_relay_show(ctl);
	return object_command(ctl, "relay", ops, true);
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
