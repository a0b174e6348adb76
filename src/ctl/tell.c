/* Why something is not done: text for people; with --json a line with an object for programs. */
#include "ctl/ctl.h"

#include "directory/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TELL_MOST (64u << 20) /* bytes: as many as there are mistakes in a file of objects */

static void tell_json(const char *key, const char *text)
{
	json_t *error = json_pack("{ss}", key, text);

	/* It holds what was typed, which may be no UTF-8. */
	if (!error) {
		struct buf escaped;

		buf_init(&escaped, TELL_MOST);
		buf_add_escaped(&escaped, span_str(text), strlen(text));
		error = json_pack("{ss%}", key, escaped.n ? escaped.p : "", escaped.n);
		buf_done(&escaped);
	}
	if (error)
		show_error_json(error);
	json_decref(error);
}

void ctl_tell(const struct ctl *ctl, const char *text)
{
	fflush(stdout);
	if (ctl && ctl->json) {
		tell_json("error", text);
		return;
	}
	/* Among the lines of a script each says where it comes from. */
	for (const char *end; text; text = *end ? end + 1 : NULL) {
		end = strchrnul(text, '\n');
		char *part = strndup(text, (size_t)(end - text));

		if (!part)
			ctl_no_memory(ctl);
		fputs("posternctl: ", stderr);
		show_text_on(stderr, part, false);
		fputc('\n', stderr);
		free(part);
	}
}

void ctl_warn(const struct ctl *ctl, const char *text)
{
	fflush(stdout);
	if (ctl->json) {
		tell_json("warning", text);
		return;
	}
	fputs("posternctl: warning: ", stderr);
	show_text_on(stderr, text, false);
	fputc('\n', stderr);
}

static void __attribute__((format(printf, 2, 0)))
tell_list(const struct ctl *ctl, const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		ctl_no_memory(ctl);
	ctl_tell(ctl, text);
	free(text);
}

int ctl_usage(const struct ctl *ctl, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell_list(ctl, format, args);
	va_end(args);
	if (!ctl->json)
		fputs("posternctl --help lists the commands, posternctl COMMAND --help says more "
		      "of one.\n",
			stderr);
	return EXIT_USAGE;
}

static const char *name_at(const void *context, size_t i)
{
	return ((const char *const *)context)[i];
}

int ctl_unknown(const struct ctl *ctl, const char *of, const char *name, const char *const *names)
{
	size_t count = 0;

	while (names[count])
		count++;
	const char *meant = problem_suggest(span_str(name), name_at, names, count);
	if (meant)
		return ctl_usage(
			ctl, "%s: unknown: %s; did you mean \"%s %s\"?", of, name, of, meant);
	return ctl_usage(ctl, "%s: unknown: %s", of, name);
}

int ctl_refuse(const struct ctl *ctl, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell_list(ctl, format, args);
	va_end(args);
	return EXIT_REFUSED;
}

int ctl_refuse_lines(const struct ctl *ctl, const char *what, const struct buf *lines)
{
	size_t n = lines->n;

	while (n && lines->p[n - 1] == '\n')
		n--;
	return ctl_refuse(ctl, "%s:\n%.*s", what, (int)n, n ? lines->p : "");
}

/* Without asking for any. */
void ctl_no_memory(const struct ctl *ctl)
{
	static const char text[] =
		"out of memory; ask for less at a time (a narrower filter, --limit N)";
	bool json = ctl && ctl->json;

	fflush(stdout);
	fputs(json ? "{\"error\":\"" : "posternctl: ", stderr);
	fputs(text, stderr);
	fputs(json ? "\"}\n" : "\n", stderr);
	exit(EXIT_REFUSED);
}
