/* Secrets of a kind: looking one up, and the bytes that are looked into. Pure. */
#include "directory/secrets.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/objects.h"
#include "directory/secrets_inner.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(SECRETS_MOST >= OBJECTS_ACCOUNTS, "each account may have a password");

/* ---- opening --------------------------------------------------------------------------------- */

static uint64_t hash_at(const struct secrets_header *header)
{
	return sizeof(*header) + (uint64_t)header->count * sizeof(struct secrets_record);
}

static uint64_t texts_at(const struct secrets_header *header)
{
	return hash_at(header) + (uint64_t)header->slots * sizeof(uint32_t);
}

int secrets_from_bytes(struct span bytes, struct secrets **out)
{
	struct secrets_header header;

	if (bytes.n < sizeof(header) || bytes.n > SECRETS_BYTES)
		return ERR_CORRUPT;
	memcpy(&header, bytes.p, sizeof(header));
	if (header.magic != SECRETS_MAGIC || header.version != SECRETS_VERSION ||
		header.bytes != bytes.n || header.slots == 0 ||
		(header.slots & (header.slots - 1)) || texts_at(&header) + header.texts != bytes.n)
		return ERR_CORRUPT;
	struct span checked = span_skip(bytes, SECRETS_CHECKED_FROM);
	if (XXH3_64bits(checked.p, checked.n) != header.checksum)
		return ERR_CORRUPT;
	struct secrets *secrets = calloc(1, sizeof(*secrets));
	if (!secrets)
		return ERR_NOMEM;
	*secrets = (struct secrets){.bytes = bytes.p, .header = header};
	*out = secrets;
	return 0;
}

void secrets_free(struct secrets **secrets)
{
	struct secrets *s = *secrets;

	*secrets = NULL;
	if (!s)
		return;
	if (s->unmap)
		s->unmap(span_of(s->bytes, s->header.bytes));
	free(s);
}

/* ---- looking up ------------------------------------------------------------------------------ */

static bool text(const struct secrets *s, uint32_t at, uint32_t n, struct span *out)
{
	if (at > s->header.texts || n > s->header.texts - at)
		return false;
	*out = span_of(s->bytes + texts_at(&s->header) + at, n);
	return true;
}

/* False: the record points outside. */
static bool read_record(const struct secrets *s, uint32_t at, struct span *name, struct span *value)
{
	struct secrets_record r;

	memcpy(&r, s->bytes + sizeof(s->header) + (size_t)at * sizeof(r), sizeof(r));
	return text(s, r.name, r.name_bytes, name) && text(s, r.value, r.value_bytes, value);
}

int secrets_find(const struct secrets *secrets, struct span name, struct span *value)
{
	const struct secrets_header *header = &secrets->header;
	uint32_t slot = (uint32_t)XXH3_64bits(name.n ? name.p : "", name.n) & (header->slots - 1);
	const char *table = secrets->bytes + hash_at(header);

	for (uint32_t tries = 0; tries < header->slots; tries++) {
		struct span here, found;
		uint32_t index1;
		memcpy(&index1, table + (size_t)slot * sizeof(index1), sizeof(index1));
		if (index1 == 0)
			return ERR_NOT_FOUND;
		if (index1 > header->count || !read_record(secrets, index1 - 1, &here, &found))
			return ERR_CORRUPT;
		if (span_equal(here, name)) {
			*value = found;
			return 0;
		}
		slot = (slot + 1) & (header->slots - 1);
	}
	return ERR_NOT_FOUND;
}

uint32_t secrets_count(const struct secrets *secrets)
{
	return secrets->header.count;
}

int secrets_at(const struct secrets *secrets, uint32_t place, struct span *name, struct span *value)
{
	struct span here, found;

	if (place >= secrets->header.count)
		return ERR_NOT_FOUND;
	if (!read_record(secrets, place, &here, &found))
		return ERR_CORRUPT;
	*name = here;
	*value = found;
	return 0;
}

/* ---- making ---------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	const struct secret *x = *(const struct secret *const *)a;
	const struct secret *y = *(const struct secret *const *)b;
	size_t n = MIN(x->name.n, y->name.n);
	int order = n ? memcmp(x->name.p, y->name.p, n) : 0;

	return order ? order : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* At most half full, so that a lookup ends after a probe or two. */
static uint32_t slots_for(uint32_t count)
{
	uint32_t slots = 2;

	while (slots < count * 2)
		slots *= 2;
	return slots;
}

static int measure(const struct secret *const *sorted, uint32_t count, uint64_t *texts)
{
	*texts = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (sorted[i]->name.n > SECRETS_NAME || sorted[i]->value.n > SECRET_BYTES)
			return ERR_LIMIT;
		if (i && span_equal(sorted[i]->name, sorted[i - 1]->name))
			return ERR_EXISTS;
		*texts += sorted[i]->name.n + sorted[i]->value.n;
	}
	return 0;
}

static void put(char *at, struct span text)
{
	if (text.n)
		memcpy(at, text.p, text.n);
}

static void lay_out(
	char *to, const struct secrets_header *header, const struct secret *const *sorted)
{
	char *table = to + hash_at(header), *texts = to + texts_at(header);
	uint32_t place = 0;

	memset(table, 0, (size_t)header->slots * sizeof(uint32_t));
	for (uint32_t i = 0; i < header->count; i++) {
		struct span name = sorted[i]->name, value = sorted[i]->value;
		struct secrets_record r = {
			place, (uint32_t)name.n, place + (uint32_t)name.n, (uint32_t)value.n};
		memcpy(to + sizeof(*header) + (size_t)i * sizeof(r), &r, sizeof(r));
		put(texts + r.name, name);
		put(texts + r.value, value);
		place = r.value + r.value_bytes;

		uint32_t slot =
			(uint32_t)XXH3_64bits(name.n ? name.p : "", name.n) & (header->slots - 1);
		uint32_t taken = 0, index1 = i + 1;
		for (;; slot = (slot + 1) & (header->slots - 1)) {
			memcpy(&taken, table + (size_t)slot * sizeof(taken), sizeof(taken));
			if (!taken)
				break;
		}
		memcpy(table + (size_t)slot * sizeof(index1), &index1, sizeof(index1));
	}
}

static int encode(const struct secret *const *sorted, uint32_t count, struct buf *out)
{
	struct secrets_header header = {.magic = SECRETS_MAGIC,
		.version = SECRETS_VERSION,
		.count = count,
		.slots = slots_for(count)};
	uint64_t texts;

	int err = measure(sorted, count, &texts);
	if (err < 0)
		return err;
	header.bytes = texts_at(&header) + texts;
	if (header.bytes > SECRETS_BYTES)
		return ERR_LIMIT;
	header.texts = (uint32_t)texts;
	/* All at once: a buffer that grows leaves copies behind. */
	char *to = buf_reserve(out, header.bytes);
	if (!to)
		return out->bound - out->n < header.bytes ? ERR_LIMIT : ERR_NOMEM;
	lay_out(to, &header, sorted);
	memcpy(to, &header, sizeof(header));
	header.checksum =
		XXH3_64bits(to + SECRETS_CHECKED_FROM, header.bytes - SECRETS_CHECKED_FROM);
	memcpy(to, &header, sizeof(header));
	buf_wrote(out, header.bytes);
	return 0;
}

int secrets_encode(const struct secret *list, uint32_t count, struct buf *out)
{
	if (count > SECRETS_MOST)
		return ERR_LIMIT;
	const struct secret **sorted = malloc(((size_t)count + 1) * sizeof(*sorted));
	if (!sorted)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < count; i++)
		sorted[i] = &list[i];
	qsort(sorted, count, sizeof(*sorted), compare);
	int err = encode(sorted, count, out);
	free(sorted);
	return err;
}
