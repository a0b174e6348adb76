/* What is known at one time of a domain. */
#include "base/check.h"
#include "delivery/sts_kept.h"

#include <stdlib.h>

void sts_release(struct sts_entry **pointer)
{
	struct sts_entry *entry = *pointer;

	*pointer = NULL;
	if (!entry || --entry->refs)
		return;
	arena_reset(&entry->arena);
	free(entry);
}

struct sts_entry *sts_hold(struct sts_entry *entry)
{
	if (entry)
		entry->refs++;
	return entry;
}

struct sts_entry *sts_entry_new(void)
{
	struct sts_entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return NULL;
	entry->refs = 1;
	arena_init(&entry->arena, (size_t)4 * MTA_STS_POLICY);
	return entry;
}

static void cut_lines(struct sts_entry *entry)
{
	struct span rest = entry->body;

	while (rest.n && entry->line_count < STS_LINES) {
		size_t n = span_find(rest, '\n');
		struct span line = span_of(rest.p, n);

		rest = span_skip(rest, MIN(n + 1, rest.n));
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		if (line.n)
			entry->lines[entry->line_count++] = line;
	}
}

struct sts_entry *sts_entry_of_policy(struct span id, struct span body, int64_t fetched_ms)
{
	struct sts_entry *entry = sts_entry_new();

	if (!entry)
		return NULL;
	entry->id = arena_copy(&entry->arena, id);
	entry->body = arena_copy(&entry->arena, body);
	if (entry->arena.overflow || mta_sts_parse(entry->body, &entry->arena, &entry->policy)) {
		sts_release(&entry);
		return NULL;
	}
	entry->has_policy = true;
	entry->fetched_ms = fetched_ms;
	entry->expires_ms = fetched_ms + (int64_t)entry->policy.max_age_s * 1000;
	cut_lines(entry);
	return entry;
}

void sts_found(const struct sts_entry *entry, struct sts_found *out)
{
	*out = (struct sts_found){.trouble = entry->trouble, .detail = entry->detail};
	if (!entry->has_policy)
		return;
	out->policy = &entry->policy;
	out->lines = entry->lines;
	out->line_count = entry->line_count;
}
