/*
 * import: accounts from a file of another program, in one plan. The lines become an objects file,
 * each in the place of its own, so that all that is wrong is told with the line of the file that
 * was given.
 */
#include "admin/import.h"

#include "admin/core.h"
#include "admin/wipe.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>

#define PROBLEM_BYTES (1u << 20)
#define PROBLEMS_TOLD 100
#define LINE_BYTES    3000 /* of an objects file, for an account, beside what it has already */
#define FILE_NAME     255

struct import_tally {
	uint64_t added, replaced, kept, skipped, weak;
};

struct import {
	struct door *door;
	const struct objects *objects;
	enum import_format format;
	struct span domain;
	bool replace;
	char file[FILE_NAME + 1];
	uint64_t line;
	uint64_t wrong;
	struct import_tally *tally;
	struct buf text; /* the objects file */
	struct buf *problems;
};

void import_forget(struct door *door)
{
	free(door->tally);
	door->tally = NULL;
}

void import_put_tally(struct door *door)
{
	const struct import_tally *tally = door->tally;

	if (!tally)
		return;
	json_put_u64(&door->json, "added", tally->added);
	json_put_u64(&door->json, "replaced", tally->replaced);
	json_put_u64(&door->json, "kept", tally->kept);
	json_put_u64(&door->json, "skipped", tally->skipped);
	json_put_u64(&door->json, "weak", tally->weak);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static void complain(struct import *im, struct span user, const char *why)
{
	if (im->wrong++ >= PROBLEMS_TOLD)
		return;
	buf_printf(im->problems, "%s:%llu: ", im->file, (unsigned long long)im->line);
	if (user.n)
		buf_add_escaped(im->problems, user, IMPORT_USER);
	else
		buf_add_str(im->problems, "the line");
	buf_printf(im->problems, " %s\n", why);
}

/* Its other fields stay. */
static void put_replaced(struct import *im, const struct object *account, struct span verifiers)
{
	node_add_yaml_scalar(&im->text, account->name);
	buf_add_str(&im->text, ": ");
	schema_add_yaml_secret(
		&im->text, object_schema(OBJECT_ACCOUNT), account->fields, verifiers);
	buf_add_char(&im->text, ',');
	im->tally->replaced++;
}

static void put_new(struct import *im, struct span address, struct span verifiers)
{
	node_add_yaml_scalar(&im->text, address);
	buf_add_str(&im->text, ": { verifiers: ");
	node_add_yaml_scalar(&im->text, verifiers);
	buf_add_str(&im->text, " },");
	im->tally->added++;
}

/* NULL: there is none, or it is no address, which the plan will say. */
static const struct object *present(const struct import *im, struct span address)
{
	const struct object *account = NULL;
	struct buf unused;

	buf_init(&unused, LINE_BYTES);
	(void)objects_look_up(im->objects, OBJECT_ACCOUNT, address, &unused, &account);
	buf_done(&unused);
	return account;
}

static void take(struct import *im, const struct import_account *read, struct span verifiers)
{
	char address[2 * IMPORT_USER + 2];
	size_t n = read->user.n;

	memcpy(address, read->user.p, n);
	if (!memchr(read->user.p, '@', n)) {
		if (!im->domain.n) {
			complain(im, read->user, "has no domain; say which with --domain");
			return;
		}
		address[n++] = '@';
		memcpy(address + n, im->domain.p, im->domain.n);
		n += im->domain.n;
	}
	const struct object *account = present(im, span_of(address, n));
	if (account && !im->replace) {
		im->tally->kept++;
		return;
	}
	im->tally->weak += read->weak;
	if (account)
		put_replaced(im, account, verifiers);
	else
		put_new(im, span_of(address, n), verifiers);
}

static void read_line(struct import *im, struct span line)
{
	char memory[SECRET_BYTES];
	struct buf verifiers = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	struct import_account account = {0};
	const char *why = NULL;

	switch (import_read(im->format, line, &account, &verifiers, &why)) {
	case IMPORT_NOTHING: break;
	case IMPORT_LOCKED: im->tally->skipped++; break;
	case IMPORT_WRONG: complain(im, account.user, why); break;
	case IMPORT_ACCOUNT: take(im, &account, buf_span(&verifiers)); break;
	}
	explicit_bzero(memory, sizeof(memory));
}

static void read_lines(struct import *im, struct span text)
{
	buf_add_str(&im->text, "{ accounts: { ");
	while (text.n) {
		size_t end = span_find(text, '\n');

		im->line++;
		read_line(im, span_of(text.p, end));
		buf_add_char(&im->text, '\n');
		text = span_skip(text, MIN(end + 1, text.n));
	}
	buf_add_str(&im->text, "} }\n");
	if (im->wrong > PROBLEMS_TOLD)
		buf_printf(im->problems, "and %llu more lines\n",
			(unsigned long long)(im->wrong - PROBLEMS_TOLD));
}

/* ---- the plan ------------------------------------------------------------------------------- */

/* "file:7:34: …": the column is one of our own text. */
static void add_without_column(const struct import *im, struct span line, struct buf *out)
{
	size_t name = strlen(im->file) + 1;
	size_t number = name + span_find(span_skip(line, MIN(name, line.n)), ':') + 1;
	size_t column = number;

	while (column < line.n && line.p[column] >= '0' && line.p[column] <= '9')
		column++;
	if (number < line.n && column > number && column < line.n && line.p[column] == ':' &&
		memcmp(line.p, im->file, name - 1) == 0) {
		buf_add(out, line.p, number - 1);
		line = span_skip(line, column);
	}
	buf_add_span(out, line);
	buf_add_char(out, '\n');
}

static void add_problems(const struct import *im, struct span lines)
{
	while (lines.n) {
		size_t end = span_find(lines, '\n');

		add_without_column(im, span_of(lines.p, end), im->problems);
		lines = span_skip(lines, MIN(end + 1, lines.n));
	}
}

static int make_plan(struct import *im, struct plan **plan)
{
	struct secret_source source = directory_secrets(im->door->admin->directory);
	struct plan_options options = plan_options_of(im->door);
	struct buf problems;

	if (!buf_ok(&im->text))
		return ERR_NOMEM;
	options.prune = false;
	options.present = &source;
	buf_init(&problems, PROBLEM_BYTES);
	int err = objects_plan_apply(
		im->objects, im->file, buf_span(&im->text), &options, &problems, plan);
	if (err)
		add_problems(im, buf_span(&problems));
	buf_done(&problems);
	if (!im->wrong)
		return err;
	plan_free(plan);
	return ERR_SYNTAX;
}

static const char *begin(struct import *im, struct door *door, struct buf *problems)
{
	struct span format = request_text(door, "format"), file = request_text(door, "file");
	const struct object *domain;

	*im = (struct import){.door = door,
		.objects = directory_objects(door->admin->directory),
		.replace = request_flag(door, "replace"),
		.problems = problems};
	if (import_format_parse(format, &im->format))
		return "format: one of htpasswd, passwd, shadow, dovecot";
	size_t n = MIN(file.n, (size_t)FILE_NAME);
	memcpy(im->file, n ? file.p : "", n);
	if (!n)
		memcpy(im->file, "-", 2);
	if (request_text(door, "domain").n) {
		if (objects_look_up(im->objects, OBJECT_DOMAIN, request_text(door, "domain"),
			    problems, &domain))
			return "";
		im->domain = domain->name;
	}
	import_forget(door);
	im->tally = door->tally = calloc(1, sizeof(*door->tally));
	return im->tally ? NULL : "out of memory";
}

void cmd_import(struct door *door)
{
	struct span text = request_text(door, "text");
	struct plan *plan = NULL;
	struct buf problems;
	struct import im;

	buf_init(&problems, PROBLEM_BYTES);
	const char *why = begin(&im, door, &problems);
	if (why) {
		if (*why)
			door_refuse(door, why);
		else
			refuse_lines(door, ERR_NOT_FOUND, &problems);
		buf_done(&problems);
		return;
	}
	buf_init(&im.text, 2 * (size_t)ADMIN_REQUEST);
	read_lines(&im, text);
	int err = make_plan(&im, &plan);
	wipe_buf(&im.text);
	plan_finish_present(door, err, plan, &problems);
}
