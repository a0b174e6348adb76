/* The order of the events that were found. */
#include "base/check.h"
#include "base/err.h"
#include "trace/search_impl.h"

#include <stdlib.h>

struct sort_line {
	struct span line, time;
	size_t place;
	bool begins; /* a message's first event */
};

/* Roles write to files of their own: within a millisecond only the events themselves say which
 * came first. */
static int by_time(const void *a, const void *b)
{
	const struct sort_line *x = a, *y = b;
	size_t n = MIN(x->time.n, y->time.n);
	int order = n ? memcmp(x->time.p, y->time.p, n) : 0;

	if (!order && x->begins != y->begins)
		order = x->begins ? -1 : 1;
	return order ? order : x->place < y->place ? -1 : x->place > y->place;
}

int search_sort(struct buf *out)
{
	static const char key[] = "\"time\":\"";
	struct buf sorted;
	size_t count = 0, n = 0;

	for (size_t i = 0; i < out->n; i++)
		count += out->p[i] == '\n';
	struct sort_line *lines = calloc(count + 1, sizeof(*lines));

	if (!lines)
		return ERR_NOMEM;
	for (struct span rest = buf_span(out); rest.n;) {
		size_t end = span_find(rest, '\n');
		struct span line = span_of(rest.p, end);
		const char *at = memmem(line.p, MIN(line.n, 100), key, sizeof(key) - 1);

		lines[n] = (struct sort_line){.line = line,
			.place = n,
			.begins = span_starts_nocase(line, SPAN("{\"event\":\"Reception\""))};
		if (at)
			lines[n].time = span_of(at + sizeof(key) - 1,
				MIN((size_t)24,
					line.n - (size_t)(at - line.p) - (sizeof(key) - 1)));
		n++;
		rest = span_skip(rest, end + 1);
	}
	qsort(lines, n, sizeof(*lines), by_time);
	buf_init(&sorted, out->bound);
	for (size_t i = 0; i < n; i++) {
		buf_add_span(&sorted, lines[i].line);
		buf_add_char(&sorted, '\n');
	}
	free(lines);
	if (!buf_ok(&sorted)) {
		buf_done(&sorted);
		return ERR_NOMEM;
	}
	buf_done(out);
	*out = sorted;
	return 0;
}
