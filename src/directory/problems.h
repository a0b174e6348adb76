/*
 * What is wrong with something that a person wrote: one line each,
 * "file:line:column: field: what is wrong; what to do". What it quotes is escaped.
 */
#ifndef DIRECTORY_PROBLEMS_H
#define DIRECTORY_PROBLEMS_H

#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define PROBLEMS_MOST 20 /* lines; more are counted, not shown */
#define PROBLEM_QUOTE 80 /* bytes of the input that a line shows */

struct place {
	uint32_t line, column; /* from 1; 0: unknown */
};

/* Where in a document: "transports.site-a.retry-count", built on the stack while walking down. */
struct path {
	const struct path *up;
	struct span name;
};

struct problems {
	struct buf *out;
	struct span file; /* empty: no file (a command line, a database row) */
	uint32_t count;	  /* of lines begun */
	uint32_t unknown; /* of them: fields and kinds that this version does not have */
	size_t mark;	  /* where the present line begins */
};

/* Begins a line in `out`, where the caller may write until problem_end(); path may be NULL. Lines
 * over PROBLEMS_MOST are counted and taken back at their end. */
void problem_begin(struct problems *problems, struct place at, const struct path *path);
void problem_say(struct problems *problems, const char *text);
void problem_quote(struct problems *problems, struct span quoted); /* in double quotes, escaped */
void problem_end(struct problems *problems);

/* All in one: `text` alone. */
void problem_line(
	struct problems *problems, struct place at, const struct path *path, const char *text);

/* The one of `count` names that `name` was probably meant to be, or NULL. name_at(context, i) gives
 * the names. */
const char *problem_suggest(struct span name, const char *(*name_at)(const void *context, size_t i),
	const void *context, size_t count);

#endif
