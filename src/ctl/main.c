#include "ctl/ctl.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILE_MOST     (100u << 20) /* bytes of an objects file */
#define WAIT_MOST     3600	   /* seconds */
#define PROBLEM_BYTES (1u << 20)   /* of what is wrong with a start file */

static const struct {
	const char *name;
	int (*run)(struct ctl *ctl);
} commands[] = {
	{"check", ctl_check},
	{"status", ctl_status},
	{"apply", ctl_apply},
	{"export", ctl_export},
	{"transport", ctl_transport},
	{"domain", ctl_domain},
	{"account", ctl_account},
	{"user", ctl_user},
	{"alias", ctl_alias},
	{"accept", ctl_accept},
	{"relay", ctl_relay},
	{"priority", ctl_priority},
	{"settings", ctl_settings},
	{"audit", ctl_audit},
	{"queue", ctl_queue},
	{"trace", ctl_trace},
	{"explain", ctl_explain},
	{"spool", ctl_spool},
	{"tls", ctl_tls},
};

/* ---- options -------------------------------------------------------------------------------- */

static void take_args(struct ctl *ctl, int at, int n)
{
	for (int i = at; i + n < ctl->count; i++)
		ctl->args[i] = ctl->args[i + n];
	ctl->count -= n;
}

const char *ctl_option(struct ctl *ctl, const char *name)
{
	size_t n = strlen(name);

	for (int i = 0; i < ctl->count; i++) {
		const char *arg = ctl->args[i];

		if (strcmp(arg, name) == 0 && i + 1 < ctl->count) {
			const char *value = ctl->args[i + 1];

			take_args(ctl, i, 2);
			return value;
		}
		if (strncmp(arg, name, n) == 0 && arg[n] == '=') {
			take_args(ctl, i, 1);
			return arg + n + 1;
		}
	}
	return NULL;
}

bool ctl_flag(struct ctl *ctl, const char *name)
{
	for (int i = 0; i < ctl->count; i++) {
		if (strcmp(ctl->args[i], name) == 0) {
			take_args(ctl, i, 1);
			return true;
		}
	}
	return false;
}

bool ctl_no_options_left(const struct ctl *ctl)
{
	for (int i = 0; i < ctl->count; i++) {
		if (ctl->args[i][0] == '-' && ctl->args[i][1]) {
			ctl_usage(ctl, "unknown option, or one that lacks its value: %s",
				ctl->args[i]);
			return false;
		}
	}
	return true;
}

char *ctl_joined(const struct ctl *ctl, int from)
{
	struct buf text;

	buf_init(&text, FILE_MOST);
	for (int i = from; i < ctl->count; i++) {
		if (i > from)
			buf_add_char(&text, ' ');
		buf_add_str(&text, ctl->args[i]);
	}
	buf_add_char(&text, '\0');
	if (!buf_ok(&text))
		ctl_no_memory(ctl);
	return text.p;
}

char *ctl_read_file(const struct ctl *ctl, const char *path, size_t *length)
{
	bool input = strcmp(path, "-") == 0;
	FILE *file = input ? stdin : fopen(path, "rbe");
	struct buf text;

	if (!file) {
		ctl_refuse(ctl, "%s: %s", path, strerror(errno));
		return NULL;
	}
	buf_init(&text, FILE_MOST + 1);
	for (;;) {
		char *to = buf_reserve(&text, 65536);
		size_t n = to ? fread(to, 1, 65536, file) : 0;

		if (!n)
			break;
		buf_wrote(&text, n);
	}
	bool failed = ferror(file) != 0;
	int why = errno;
	if (!input)
		fclose(file);
	if (!failed && !buf_ok(&text) && text.n + 65536 <= FILE_MOST)
		ctl_no_memory(ctl);
	if (failed || !buf_ok(&text)) {
		ctl_refuse(ctl, "%s: %s", path,
			failed ? strerror(why) : "longer than 100 MiB; apply it in parts");
		buf_done(&text);
		return NULL;
	}
	*length = text.n;
	buf_add_char(&text, '\0');
	if (!buf_ok(&text))
		ctl_no_memory(ctl);
	return text.p;
}

/* ---- the start file ------------------------------------------------------------------------- */

static int load_config(struct ctl *ctl, struct buf *problems)
{
	buf_init(problems, PROBLEM_BYTES);
	int err = config_load(ctl->config_path, &ctl->config, problems);

	if (err && !problems->n)
		buf_printf(problems, "%s: %s\n", ctl->config_path, err_text(err));
	return err;
}

static int refuse_config(const struct ctl *ctl, struct buf *problems, bool for_socket)
{
	if (access(ctl->config_path, R_OK) != 0)
		buf_add_str(problems, "name the start file of posternd with -c FILE, before the "
				      "command; without it " DEFAULT_CONFIG " is read\n");
	else if (for_socket)
		buf_add_str(problems, "a server that runs can be reached all the same, with "
				      "--socket PATH: its control socket\n");
	return ctl_refuse_lines(ctl, "the start file cannot be used", problems);
}

int ctl_config(struct ctl *ctl)
{
	struct buf problems;

	if (ctl->config)
		return EXIT_DONE;
	int code = load_config(ctl, &problems) ? refuse_config(ctl, &problems, false) : EXIT_DONE;

	buf_done(&problems);
	return code;
}

/* Of many mistakes the first is enough here; check tells all. */
static void warn_of_config(const struct ctl *ctl, const struct buf *problems)
{
	struct buf text;

	buf_init(&text, PROBLEM_BYTES);
	buf_add_str(&text, "the start file cannot be used: ");
	buf_add(&text, problems->p, span_find(buf_span(problems), '\n'));
	buf_add_str(&text, " (posternctl check says more)");
	buf_add_char(&text, '\0');
	if (buf_ok(&text))
		ctl_warn(ctl, text.p);
	buf_done(&text);
}

/* Of a file that cannot be used. */
static char *socket_of_broken(struct ctl *ctl, struct buf *problems)
{
	char *path = config_load_control(ctl->config_path);

	if (path)
		warn_of_config(ctl, problems);
	else
		refuse_config(ctl, problems, true);
	return path;
}

const char *ctl_socket(struct ctl *ctl)
{
	struct buf problems = {0};

	if (ctl->socket)
		return ctl->socket;
	if (!ctl->config && load_config(ctl, &problems)) {
		ctl->found = socket_of_broken(ctl, &problems);
	} else {
		ctl->found = strndup(ctl->config->control.p, ctl->config->control.n);
		if (!ctl->found)
			ctl_no_memory(ctl);
	}
	buf_done(&problems);
	ctl->socket = ctl->found;
	return ctl->socket;
}

/* ---- the command ---------------------------------------------------------------------------- */

static int run(struct ctl *ctl, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name) != 0)
			continue;
		int code = commands[i].run(ctl);

		config_free(&ctl->config);
		free(ctl->found);
		return code;
	}
	return ctl_usage(ctl, "unknown command: %s", name);
}

static bool take_wait(struct ctl *ctl)
{
	const char *wait = ctl_option(ctl, "--wait");
	uint64_t seconds = 0;

	if (wait && text_parse_u64(span_str(wait), WAIT_MOST, &seconds)) {
		ctl_usage(ctl, "--wait takes a number of seconds, at most %d", WAIT_MOST);
		return false;
	}
	ctl->wait_s = (int64_t)seconds;
	return true;
}

static int help(const struct ctl *ctl, const char *name)
{
	const char *own = ctl->count && ctl->args[0][0] != '-' ? ctl->args[0] : NULL;

	if (!*name)
		help_all(stdout);
	else if (!help_command(name, own))
		return ctl_usage(
			ctl, own ? "unknown command: %s %s" : "unknown command: %s", name, own);
	return EXIT_DONE;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {.config_path = DEFAULT_CONFIG, .args = argv + 1, .count = argc - 1};

	/* Options before the command; these may stand anywhere. */
	ctl.json = ctl_flag(&ctl, "--json");
	ctl.socket = ctl_option(&ctl, "--socket");
	if (!take_wait(&ctl))
		return EXIT_USAGE;
	while (ctl.count && ctl.args[0][0] == '-') {
		if (strcmp(ctl.args[0], "--help") == 0 || strcmp(ctl.args[0], "-h") == 0) {
			help_all(stdout);
			return EXIT_DONE;
		}
		if (strcmp(ctl.args[0], "--version") == 0) {
			puts("posternctl " POSTERN_VERSION);
			return EXIT_DONE;
		}
		if (strcmp(ctl.args[0], "-c") != 0 || ctl.count < 2)
			return ctl_usage(&ctl, "unknown option, or one that lacks its value: %s",
				ctl.args[0]);
		ctl.config_path = ctl.args[1];
		take_args(&ctl, 0, 2);
	}
	if (!ctl.count)
		return ctl_usage(&ctl, "which command?");
	const char *name = ctl.args[0];
	take_args(&ctl, 0, 1);
	if (strcmp(name, "help") == 0) {
		name = ctl.count ? ctl.args[0] : "";
		take_args(&ctl, 0, ctl.count ? 1 : 0);
	} else if (!ctl_flag(&ctl, "--help") && !ctl_flag(&ctl, "-h")) {
		return run(&ctl, name);
	}
	return help(&ctl, name);
}
