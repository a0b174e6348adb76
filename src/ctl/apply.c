/* The directory as a whole: check, apply, export. */
#include "ctl/ctl.h"

#include "base/check.h"
#include "directory/check.h"
#include "directory/objects.h"
#include "io/room.h"
#include "route/relay.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void show_warnings(const json_t *warnings)
{
	for (size_t i = 0; i < json_array_size(warnings); i++) {
		const char *warning = json_string_value(json_array_get(warnings, i));

		fputs("warning: ", stderr);
		show_text_on(stderr, warning ? warning : "?", false);
		fputc('\n', stderr);
	}
}

void show_changes(struct ctl *ctl, const json_t *reply)
{
	const json_t *changes = json_object_get(reply, "changes");

	(void)ctl;
	for (size_t i = 0; i < json_array_size(changes); i++) {
		const char *change = json_string_value(json_array_get(changes, i));

		show_text(change ? change : "?", false);
		putchar('\n');
	}
	show_warnings(json_object_get(reply, "warnings"));
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
static int read_objects(
	const struct ctl *ctl, const char *path, struct span text, struct objects **out)
{
	struct plan_options options = {.start = ctl->config};
	struct objects *none = NULL;
	struct plan *plan = NULL;
	struct buf problems;

	buf_init(&problems, 1u << 20);
	int err = objects_new(&none);
	if (!err)
		err = objects_plan_apply(none, path, text, &options, &problems, &plan);
	if (err)
		ctl_refuse_lines(ctl, "the objects cannot be used", &problems);
	else
		*out = plan_take(&plan);
	objects_free(&none);
	buf_done(&problems);
	return err ? EXIT_REFUSED : EXIT_DONE;
}

/* Whoever restarts the server where this is EXIT_DONE can rely on its start. */
static int code_of(const json_t *findings)
{
	for (size_t i = 0; i < json_array_size(findings); i++)
		if (strcmp(member_text(json_array_get(findings, i), "severity"),
			    check_severity_name(CHECK_ERROR)) == 0)
			return EXIT_REFUSED;
	return EXIT_DONE;
}

static void show_findings(struct ctl *ctl, json_t *findings)
{
	if (ctl->json) {
		json_t *reply = json_pack("{sO}", "findings", findings);

		show_json(ctl, reply);
		json_decref(reply);
		return;
	}
	for (size_t i = 0; i < json_array_size(findings); i++) {
		const json_t *one = json_array_get(findings, i);

		show_text(member_text(one, "severity"), false);
		fputs(": ", stdout);
		show_text(member_text(one, "about"), false);
		fputs(": ", stdout);
		show_text(member_text(one, "text"), false);
		putchar('\n');
	}
	if (!json_array_size(findings))
		puts("no problems found");
}

/* What only who stands beside the server can see. */
static void add_room(const struct ctl *ctl, json_t *findings)
{
	uint64_t files = config_reserve_files(ctl->config), bytes = ctl->config->segment_bytes;
	struct room room;
	struct buf text;
	char path[4096];

	snprintf(path, sizeof(path), "%.*s", (int)ctl->config->spool.n, ctl->config->spool.p);
	buf_init(&text, 1024);
	if (room_look(path, files * bytes, &room) == 0 && room_lacks(&room, files, bytes, &text))
		json_array_append_new(findings,
			json_pack("{ss, ss, ss%}", "severity", check_severity_name(CHECK_WARNING),
				"about", path, "text", text.p, text.n));
	buf_done(&text);
}

static void add_differences(const struct ctl *ctl, const json_t *runs, json_t *findings)
{
	json_t *all = start_file_differs(ctl, runs);

	for (size_t i = 0; i < json_array_size(all); i++) {
		const json_t *one = json_array_get(all, i);
		struct buf text;

		buf_init(&text, 20000);
		add_differing(&text, one);
		json_array_append_new(findings,
			json_pack("{ss, ss, ss%}", "severity", check_severity_name(CHECK_WARNING),
				"about", member_text(one, "field"), "text", text.n ? text.p : "",
				text.n));
		buf_done(&text);
	}
	json_decref(all);
}

/* The directory is the running server's, if there is one: as it is, or as `request` would make it.
 */
static int check_with_server(struct ctl *ctl, json_t *request, bool *reached)
{
	json_t *reply = ctl_ask_if_running(ctl, request, reached);
	int code = EXIT_REFUSED;

	if (reply) {
		json_t *findings = json_object_get(reply, "findings");

		add_differences(ctl, json_object_get(reply, "start_file"), findings);
		add_room(ctl, findings);
		start_add_findings(ctl->config, findings);
		tls_add_findings(ctl->config, findings);
		show_findings(ctl, findings);
		code = code_of(findings);
	}
	json_decref(reply);
	return code;
}

/* `objects` may be NULL. */
static int check_alone(struct ctl *ctl, const struct objects *objects)
{
	json_t *findings = json_array();

	check_all(ctl->config, objects, geteuid() == 0, print_finding, findings);
	if (relay_check_objects(objects, ctl->config, print_finding, findings))
		ctl_no_memory(ctl);
	add_room(ctl, findings);
	start_add_findings(ctl->config, findings);
	tls_add_findings(ctl->config, findings);
	if (objects)
		authorities_add_findings(objects, findings);
	show_findings(ctl, findings);
	int code = code_of(findings);
	json_decref(findings);
	if (!ctl->json)
		puts(objects ? "(no server runs with this start file: the objects were checked by "
			       "themselves)"
			     : "(no server runs with this start file: only the file was checked)");
	return code;
}

static int check_running(struct ctl *ctl)
{
	bool reached;
	int code = check_with_server(
		ctl, json_pack("{ss, sb}", "cmd", "check", "as_root", geteuid() == 0), &reached);

	return reached ? code : check_alone(ctl, NULL);
}

/* As the directory would be after the file was applied; without a server, as if there were nothing
 * else in it. */
static int check_file(struct ctl *ctl, const char *path)
{
	struct objects *objects = NULL;
	size_t length;
	bool reached;

	ctl_keep_secrets();
	char *text = ctl_read_file(ctl, path, &length);
	if (!text)
		return EXIT_REFUSED;
	json_t *request = json_pack("{ss, ss, ss%, sb}", "cmd", "check", "file", path, "text", text,
		length, "as_root", geteuid() == 0);
	int code = EXIT_REFUSED;
	if (!request) {
		code = ctl_refuse(ctl, "%s: not valid UTF-8, or its name is not", path);
	} else {
		code = check_with_server(ctl, request, &reached);
		if (!reached)
			code = read_objects(ctl, path, span_of(text, length), &objects);
		if (!reached && !code)
			code = check_alone(ctl, objects);
	}
	objects_free(&objects);
	explicit_bzero(text, length);
	free(text);
	return code;
}

int ctl_check(struct ctl *ctl)
{
	const char *file = ctl_option(ctl, "-f");

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count)
		return ctl_usage(ctl, "check takes only -f FILE");
	int code = ctl_config(ctl);
	if (code)
		return code;
	return file ? check_file(ctl, file) : check_running(ctl);
}

/* ---- apply and export ----------------------------------------------------------------------- */

/* Only a look, so that files without any are not read twice. */
static bool may_hold_secrets(const char *text, size_t n)
{
	static const char *const keys[] = {"secret:", "secret\":", "verifiers:", "verifiers\":"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (memmem(text, n, keys[i], strlen(keys[i])))
			return true;
	return false;
}

static void warn_of_readers(const struct ctl *ctl, int fd, const char *path, const char *do_what)
{
	struct stat info;
	char text[4096 + 200];

	if (fstat(fd, &info) || !S_ISREG(info.st_mode) || !(info.st_mode & S_IROTH))
		return;
	snprintf(text, sizeof(text),
		"%.4000s holds secrets, and every user of this machine can read it: %s", path,
		do_what);
	ctl_warn(ctl, text);
}

static void look_at_readers(
	const struct ctl *ctl, const char *path, const char *text, size_t length)
{
	bool input = strcmp(path, "-") == 0;
	int fd = may_hold_secrets(text, length)
			 ? (input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC))
			 : -1;

	if (fd < 0)
		return;
	warn_of_readers(ctl, fd, input ? "standard input" : path, "chmod 600 it");
	if (!input)
		close(fd);
}

int ctl_apply(struct ctl *ctl)
{
	const char *file = ctl_option(ctl, "-f");
	bool prune = ctl_flag(ctl, "--prune"), dry = ctl_flag(ctl, "--dry-run");
	size_t length;

	if (!file)
		return ctl_usage(ctl, "apply needs -f FILE (\"-\": standard input)");
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count)
		return ctl_usage(ctl, "apply takes one file, after -f");
	ctl_keep_secrets();
	char *text = ctl_read_file(ctl, file, &length);
	if (!text)
		return EXIT_REFUSED;
	look_at_readers(ctl, file, text, length);
	json_t *request = json_pack("{ss, ss, ss%, sb, sb}", "cmd", "apply", "file", file, "text",
		text, length, "prune", prune, "dry_run", dry);
	explicit_bzero(text, length);
	free(text);
	if (!request)
		return ctl_refuse(ctl, "%s: not valid UTF-8, or its name is not", file);
	return ctl_ask_and_show(ctl, request, show_changes);
}

static void show_export(struct ctl *ctl, const json_t *reply)
{
	(void)ctl;
	show_text(member_text(reply, "text"), true);
}

static int export_secrets(struct ctl *ctl)
{
	if (ctl->json)
		return ctl_usage(ctl, "export --secrets prints an objects file, without --json");
	ctl_keep_secrets();
	warn_of_readers(ctl, STDOUT_FILENO, "the file that it is written to", "chmod 600 it");
	return ctl_ask_and_show(
		ctl, json_pack("{ss, sb}", "cmd", "export", "secrets", true), show_export);
}

int ctl_export(struct ctl *ctl)
{
	bool secrets = ctl_flag(ctl, "--secrets");

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count)
		return ctl_usage(ctl, "export takes no arguments but --secrets");
	if (secrets)
		return export_secrets(ctl);
	return ctl_ask_and_show(
		ctl, json_pack("{ss, sb}", "cmd", "export", "json", ctl->json), show_export);
}
