#include "ctl/ctl.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

/* ---- status --------------------------------------------------------------------------------- */

/* Of the spool's disk, as far as who asks may look: the server's roles need no right to. */
static void add_disk(const struct ctl *ctl, json_t *status)
{
	struct statvfs disk;
	char path[4096];

	if (!ctl->config)
		return;
	snprintf(path, sizeof(path), "%.*s", (int)ctl->config->spool.n, ctl->config->spool.p);
	if (statvfs(path, &disk) != 0)
		return;
	json_object_set_new(status, "spool_disk",
		json_pack("{ss, sI, sI}", "path", path, "free_bytes",
			(json_int_t)disk.f_bavail * (json_int_t)disk.f_frsize, "total_bytes",
			(json_int_t)disk.f_blocks * (json_int_t)disk.f_frsize));
}

int ctl_status(struct ctl *ctl)
{
	if (ctl->count)
		return ctl_usage(ctl, "status takes no arguments");
	json_t *status = ctl_ask(ctl, json_pack("{ss}", "cmd", "status"));

	if (!status)
		return EXIT_REFUSED;
	add_disk(ctl, status);
	json_object_set_new(status, "start_file_differs",
		start_file_differs(ctl, json_object_get(status, "start_file")));
	if (ctl->json)
		show_json(ctl, status);
	else
		show_status(ctl, status);
	json_decref(status);
	return EXIT_DONE;
}

/* ---- trace ---------------------------------------------------------------------------------- */

/* In quotes where it could be taken for more than one word, or another field. */
static void show_word(const struct ctl *ctl, const char *text)
{
	if (*text && !strpbrk(text, " \"\\,<>=")) {
		show_text(text, false);
		return;
	}
	putchar('"');
	for (const char *p; (p = strpbrk(text, "\"\\")); text = p + 1) {
		char *part = strndup(text, (size_t)(p - text));

		if (!part)
			ctl_no_memory(ctl);
		show_text(part, false);
		free(part);
		putchar('\\');
		putchar(*p);
	}
	show_text(text, false);
	putchar('"');
}

/* A number of microseconds: as the log has it, queued=35.7s, took=1.2ms. */
static bool show_time(const char *key, const json_t *value)
{
	struct span name = span_str(key);
	char memory[128];
	struct buf text = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	if (!span_ends_nocase(name, SPAN("_us")) || !json_is_integer(value) ||
		json_integer_value(value) < 0)
		return false;
	name = span_of(name.p, name.n - 3);
	/* "attempt" is which one it was. */
	buf_add_span(&text, span_equal(name, SPAN("attempt")) ? SPAN("took") : name);
	buf_add_char(&text, '=');
	text_add_us(&text, (uint64_t)json_integer_value(value));
	buf_add_char(&text, '\0');
	if (!buf_ok(&text))
		return false;
	show_text(memory, false);
	return true;
}

static void show_event_text(const struct ctl *ctl, const json_t *event)
{
	static const char *const first[] = {"time", "event", "id"};
	const char *key;
	json_t *value;

	show_text(member_text(event, first[0]), false);
	fputs("  ", stdout);
	show_text(member_text(event, first[1]), false);
	/* The longest name is that of TransientFailure. */
	printf("%*s", MAX(0, 16 - (int)strlen(member_text(event, first[1]))), "");
	json_object_foreach((json_t *)event, key, value)
	{
		if (strcmp(key, first[0]) == 0 || strcmp(key, first[1]) == 0 ||
			strcmp(key, first[2]) == 0)
			continue;
		putchar(' ');
		if (show_time(key, value))
			continue;
		show_text(key, false);
		putchar('=');
		if (json_is_string(value)) {
			show_word(ctl, json_string_value(value));
		} else if (json_is_array(value)) {
			for (size_t i = 0; i < json_array_size(value); i++) {
				if (i)
					putchar(',');
				const char *one = json_string_value(json_array_get(value, i));

				show_word(ctl, one ? one : "?");
			}
		} else {
			show_value(value);
		}
	}
	putchar('\n');
}

/* Message by message, in the order of their first events. */
static void show_missing(const json_t *lines, const char *what)
{
	for (size_t i = 0; i < json_array_size(lines); i++) {
		const char *line = json_string_value(json_array_get(lines, i));

		fprintf(stderr, "posternctl: a part of the trace %s: ", what);
		show_text_on(stderr, line ? line : "?", false);
		fputc('\n', stderr);
	}
}

static void show_trace(struct ctl *ctl, const json_t *reply)
{
	const json_t *events = json_object_get(reply, "events");
	size_t count = json_array_size(events);
	bool *shown = calloc(count + 1, sizeof(*shown));

	if (!shown)
		ctl_no_memory(ctl);
	for (size_t i = 0; i < count; i++) {
		const char *id = member_text(json_array_get(events, i), "id");

		if (shown[i])
			continue;
		if (i)
			putchar('\n');
		show_text(*id ? id : "(no message)", false);
		putchar('\n');
		for (size_t k = i; k < count; k++) {
			const json_t *event = json_array_get(events, k);

			if (shown[k] || strcmp(member_text(event, "id"), id) != 0 ||
				(!*id && k != i))
				continue;
			shown[k] = true;
			fputs("  ", stdout);
			show_event_text(ctl, event);
		}
	}
	if (!count)
		puts("nothing in the trace fits");
	fflush(stdout);
	show_missing(json_object_get(reply, "unread"), "cannot be read");
	show_missing(json_object_get(reply, "unwritten"), "is missing");
	if (json_is_true(json_object_get(reply, "more")))
		puts("… and more, older ones; --limit N shows more, since= and until= narrow it "
		     "down");
	free(shown);
}

int ctl_trace(struct ctl *ctl)
{
	const char *limit_text = ctl_option(ctl, "--limit");
	uint64_t limit = 20;

	if (limit_text && (text_parse_u64(span_str(limit_text), 1000, &limit) || !limit))
		return ctl_usage(ctl, "--limit takes a number from 1 to 1000");
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (!ctl->count)
		return ctl_usage(ctl, "trace what? An id, an address, @domain, an IP address, or "
				      "key=value words");
	char *query = ctl_joined(ctl, 0);
	json_t *request = json_pack(
		"{ss, ss, sI}", "cmd", "trace", "query", query, "limit", (json_int_t)limit);
	free(query);
	return ctl_ask_and_show(ctl, request, show_trace);
}

/* ---- explain, and who may relay ------------------------------------------------------------- */

static void show_reply_text(struct ctl *ctl, const json_t *reply)
{
	(void)ctl;
	show_text(member_text(reply, "text"), true);
}

int ctl_relay_show(struct ctl *ctl)
{
	return ctl_ask_and_show(ctl, json_pack("{ss}", "cmd", "relay"), show_reply_text);
}

int ctl_explain(struct ctl *ctl)
{
	const char *client = ctl_option(ctl, "--client"), *from = ctl_option(ctl, "--from");
	const char *to = ctl_option(ctl, "--to"), *user = ctl_option(ctl, "--user");
	const char *listener = ctl_option(ctl, "--listener");
	const char *certificate = ctl_option(ctl, "--certificate");
	bool tls = ctl_flag(ctl, "--tls");

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (!client || !from || !to || ctl->count)
		return ctl_usage(ctl,
			"explain needs --client IP, --from ADDRESS (\"<>\" for none) and "
			"--to ADDRESS");
	json_t *request = json_pack("{ss, ss, ss, ss, ss, ss, ss, sb}", "cmd", "explain", "client",
		client, "from", from, "to", to, "user", user ? user : "", "listener",
		listener ? listener : "", "certificate", certificate ? certificate : "", "tls",
		tls);
	if (!request)
		return ctl_refuse(ctl, "the addresses are not valid UTF-8");
	return ctl_ask_and_show(ctl, request, show_reply_text);
}
