/* What a search has found: messages by their ids, events without a message, and what is shown. */
#include "base/check.h"
#include "base/err.h"
#include "trace/search_pass.h"

#include <stdlib.h>

/* Files are read from the newest to the oldest, but lines within one from the oldest on: where
 * there are too many, those found first in this file make room. */
static bool make_room(struct pass *p)
{
	if (p->found_count < p->search->most)
		return true;
	p->more = true;
	if (p->found_count == p->found_before)
		return false;
	struct found *oldest = &p->found[p->found_before];

	p->found_bytes -= oldest->n;
	free(oldest->line);
	p->found_count--;
	memmove(oldest, oldest + 1, (p->found_count - p->found_before) * sizeof(*oldest));
	return true;
}

void found_add_id(struct pass *p, uint64_t id)
{
	for (size_t i = 0; i < p->found_count; i++)
		if (p->found[i].id == id)
			return;
	if (make_room(p))
		p->found[p->found_count++] = (struct found){.id = id};
}

void found_add_line(struct pass *p, struct span line)
{
	if (p->found_bytes + line.n + 1 > SEARCH_RESULT) {
		p->more = true;
		return;
	}
	if (!make_room(p))
		return;
	char *copy = malloc(line.n);

	if (!copy) {
		p->err = ERR_NOMEM;
		return;
	}
	memcpy(copy, line.p, line.n);
	p->found_bytes += line.n + 1;
	p->found[p->found_count++] = (struct found){.line = copy, .n = line.n + 1};
}

void found_put_line(struct pass *p, struct span line)
{
	if (p->out->n + line.n + 1 > SEARCH_RESULT) {
		p->more = true;
		return;
	}
	buf_add_span(p->out, line);
	buf_add_char(p->out, '\n');
	if (!buf_ok(p->out))
		p->err = ERR_NOMEM;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

void found_sort(struct pass *p)
{
	for (size_t i = 0; i < p->found_count && !p->err; i++) {
		if (p->found[i].id)
			p->ids[p->id_count++] = p->found[i].id;
		else
			found_put_line(p, span_of(p->found[i].line, p->found[i].n - 1));
	}
	if (p->id_count)
		qsort(p->ids, p->id_count, sizeof(*p->ids), by_id);
}

bool found_has_id(const struct pass *p, uint64_t id)
{
	return bsearch(&id, p->ids, p->id_count, sizeof(id), by_id) != NULL;
}

bool found_insert_id(struct pass *p, uint64_t id)
{
	if (p->id_count == p->id_room) {
		p->more = true;
		return false;
	}
	size_t place = p->id_count++;
	for (; place && p->ids[place - 1] > id; place--)
		p->ids[place] = p->ids[place - 1];
	p->ids[place] = id;
	return true;
}

void found_done(struct pass *p)
{
	for (size_t i = 0; i < p->found_count; i++)
		free(p->found[i].line);
	free(p->found);
	free(p->ids);
}
