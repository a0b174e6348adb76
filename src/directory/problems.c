#include "directory/problems.h"

#include "base/check.h"

#include <string.h>

#define PATH_DEPTH     16
#define SUGGEST_LENGTH 48 /* longer names are not compared */

static void path_add(struct buf *out, const struct path *path)
{
	const struct path *down[PATH_DEPTH];
	size_t depth = 0;

	for (; path && depth < PATH_DEPTH; path = path->up)
		if (path->name.n)
			down[depth++] = path;
	while (depth--) {
		buf_add_escaped(out, down[depth]->name, PROBLEM_QUOTE);
		if (depth)
			buf_add_char(out, '.');
	}
}

void problem_begin(struct problems *problems, struct place at, const struct path *path)
{
	struct buf *out = problems->out;

	problems->count++;
	problems->mark = out->n;
	if (problems->file.n) {
		buf_add_escaped(out, problems->file, problems->file.n);
		buf_add_char(out, ':');
		if (at.line) {
			buf_add_u64(out, at.line);
			buf_add_char(out, ':');
			buf_add_u64(out, at.column);
			buf_add_char(out, ':');
		}
		buf_add_char(out, ' ');
	}
	size_t before = out->n;
	path_add(out, path);
	if (out->n > before)
		buf_add_str(out, ": ");
}

void problem_say(struct problems *problems, const char *text)
{
	buf_add_str(problems->out, text);
}

void problem_quote(struct problems *problems, struct span quoted)
{
	buf_add_char(problems->out, '"');
	buf_add_escaped(problems->out, quoted, PROBLEM_QUOTE);
	buf_add_char(problems->out, '"');
}

void problem_end(struct problems *problems)
{
	if (problems->count > PROBLEMS_MOST) {
		problems->out->n = problems->mark;
		if (problems->count > PROBLEMS_MOST + 1)
			return;
		buf_add_str(problems->out, "and more of the kind; mend these first");
	}
	buf_add_char(problems->out, '\n');
}

void problem_line(
	struct problems *problems, struct place at, const struct path *path, const char *text)
{
	problem_begin(problems, at, path);
	problem_say(problems, text);
	problem_end(problems);
}

/* Edits between two names: insert, drop, change, swap of neighbours (optimal string alignment). */
static size_t distance(struct span a, const char *b, size_t m)
{
	size_t row[3][SUGGEST_LENGTH + 1];

	for (size_t j = 0; j <= m; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
		now[0] = i;
		for (size_t j = 1; j <= m; j++) {
			bool same = ascii_lower(a.p[i - 1]) == b[j - 1];
			size_t best = up[j - 1] + !same;
			best = MIN(best, up[j] + 1);
			best = MIN(best, now[j - 1] + 1);
			if (i > 1 && j > 1 && a.p[i - 1] == b[j - 2] && a.p[i - 2] == b[j - 1])
				best = MIN(best, up2[j - 2] + 1);
			now[j] = best;
		}
	}
	return row[a.n % 3][m];
}

const char *problem_suggest(struct span name, const char *(*name_at)(const void *context, size_t i),
	const void *context, size_t count)
{
	const char *best = NULL;
	size_t best_edits = 0;

	if (name.n == 0 || name.n > SUGGEST_LENGTH)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		const char *other = name_at(context, i);
		size_t n = strlen(other);
		if (n > SUGGEST_LENGTH)
			continue;
		/* A third of the letters may be wrong; or the one is the beginning of the other. */
		size_t edits = distance(name, other, n);
		if (edits > 1 && name.n >= 3 && n > name.n && memcmp(name.p, other, name.n) == 0)
			edits = 1;
		if (edits <= MAX(n, name.n) / 3 && (!best || edits < best_edits)) {
			best = other;
			best_edits = edits;
		}
	}
	return best;
}
