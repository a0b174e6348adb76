#include "keys/roster.h"

#include "base/check.h"
#include "base/err.h"
#include "smtpd/auth.h"

#include <stdlib.h>
#include <string.h>

/* Where a name is compared, so many bytes are looked at. */
#define NAME_BYTES AUTH_USER

struct roster_place {
	uint32_t account; /* its place in the secrets */
	uint32_t name;	  /* where its name is */
};

/* What is sorted. */
struct entry {
	uint64_t hash;
	struct roster_place place;
};

struct roster {
	struct secrets *accounts;
	uint32_t count;
	uint32_t alike;	  /* as many have the same hash, at most: 1 but by a wonder */
	uint64_t *hashes; /* in their order */
	struct roster_place *places;
	/* Names, each with its length (two bytes) before it; behind the last one there is room to
	 * read NAME_BYTES of it. */
	uint8_t *names;
};

static uint64_t hash_of(const uint8_t digest[KEYED_DIGEST])
{
	uint64_t hash;

	memcpy(&hash, digest, sizeof(hash));
	return hash;
}

/* ---- making it ------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	uint64_t x = ((const struct entry *)a)->hash, y = ((const struct entry *)b)->hash;

	return (x > y) - (x < y);
}

/* ERR_CORRUPT: a name that no client could say. */
static int measure(const struct secrets *accounts, uint32_t count, size_t *out)
{
	size_t bytes = NAME_BYTES;

	for (uint32_t i = 0; i < count; i++) {
		struct span name, value;
		int err = secrets_at(accounts, i, &name, &value);
		if (err)
			return err;
		if (name.n > NAME_BYTES)
			return ERR_CORRUPT;
		bytes += sizeof(uint16_t) + name.n;
	}
	*out = bytes;
	return bytes <= UINT32_MAX ? 0 : ERR_CORRUPT;
}

static void gather(struct roster *r, struct entry *entries, roster_digest *digest, void *context)
{
	uint8_t *to = r->names;

	for (uint32_t i = 0; i < r->count; i++) {
		uint8_t whole[KEYED_DIGEST];
		struct span name, value;

		CHECK(secrets_at(r->accounts, i, &name, &value) == 0);
		digest(context, name, whole);
		entries[i] = (struct entry){hash_of(whole), {i, (uint32_t)(to - r->names)}};
		uint16_t n = (uint16_t)name.n;
		memcpy(to, &n, sizeof(n));
		if (n)
			memcpy(to + sizeof(n), name.p, n);
		to += sizeof(n) + n;
	}
}

static void settle(struct roster *r, const struct entry *entries)
{
	uint32_t alike = 1;

	r->alike = 1;
	for (uint32_t i = 0; i < r->count; i++) {
		r->hashes[i] = entries[i].hash;
		r->places[i] = entries[i].place;
		alike = i && r->hashes[i] == r->hashes[i - 1] ? alike + 1 : 1;
		r->alike = MAX(r->alike, alike);
	}
}

static int fill(struct roster *r, roster_digest *digest, void *context)
{
	size_t bytes;
	int err = measure(r->accounts, r->count, &bytes);

	if (err)
		return err;
	struct entry *entries = calloc((size_t)r->count + 1, sizeof(*entries));
	r->hashes = calloc((size_t)r->count + 1, sizeof(*r->hashes));
	r->places = calloc((size_t)r->count + 1, sizeof(*r->places));
	r->names = calloc(1, bytes);
	if (entries && r->hashes && r->places && r->names) {
		gather(r, entries, digest, context);
		qsort(entries, r->count, sizeof(*entries), compare);
		settle(r, entries);
	} else {
		err = ERR_NOMEM;
	}
	free(entries);
	return err;
}

int roster_new(struct secrets *accounts, roster_digest *digest, void *context, struct roster **out)
{
	struct roster *r = calloc(1, sizeof(*r));

	if (!r)
		return ERR_NOMEM;
	r->accounts = accounts;
	r->count = secrets_count(accounts);
	int err = fill(r, digest, context);
	if (err) {
		r->accounts = NULL; /* the caller's still */
		roster_free(&r);
		return err;
	}
	*out = r;
	return 0;
}

void roster_free(struct roster **at)
{
	struct roster *r = *at;

	if (!r)
		return;
	secrets_free(&r->accounts);
	free(r->hashes);
	free(r->places);
	free(r->names);
	free(r);
	*at = NULL;
}

/* ---- looking up ----------------------------------------------------------------------------- */

static uint32_t mask_if(bool yes)
{
	return (uint32_t)0 - (uint32_t)yes;
}

/* The first whose hash is not below; after the last one comes the first. So many accounts, so many
 * steps. */
static uint32_t arrive(const struct roster *r, uint64_t hash)
{
	uint32_t at = 0;

	for (uint32_t left = r->count; left > 1; left -= left / 2)
		at += (left / 2) & mask_if(r->hashes[at + left / 2 - 1] < hash);
	at += (uint32_t)(r->hashes[at] < hash);
	return at & mask_if(at < r->count);
}

static struct span name_at(const struct roster *r, uint32_t at)
{
	const uint8_t *p = r->names + r->places[at].name;
	uint16_t n;

	memcpy(&n, p, sizeof(n));
	return span_of(p + sizeof(n), n);
}

/* `wanted` has NAME_BYTES bytes, as many are read of the other. */
static bool is_name(struct span name, const uint8_t *wanted, size_t bytes)
{
	const uint8_t *p = (const uint8_t *)name.p;
	uint32_t other = (uint32_t)(name.n ^ bytes);

	for (uint32_t i = 0; i < NAME_BYTES; i++)
		other |= (uint32_t)(p[i] ^ wanted[i]) & mask_if(i < bytes);
	return other == 0;
}

void roster_find(const struct roster *r, const uint8_t digest[KEYED_DIGEST], struct span name,
	struct roster_found *out)
{
	uint8_t wanted[NAME_BYTES] = {0};
	uint64_t hash = hash_of(digest);
	bool known = false;

	*out = (struct roster_found){.name = SPAN_NONE, .value = SPAN_NONE};
	if (!r->count)
		return;
	if (name.n)
		memcpy(wanted, name.p, MIN(name.n, sizeof(wanted)));
	uint32_t first = arrive(r, hash), found = first;
	for (uint32_t i = 0; i < r->alike; i++) {
		uint32_t at = first + i;
		at -= r->count & mask_if(at >= r->count);
		bool it = (r->hashes[at] == hash) & is_name(name_at(r, at), wanted, name.n);
		known |= it;
		found ^= (found ^ at) & mask_if(it);
	}
	out->known = known;
	out->name = name_at(r, found);
	CHECK(secrets_at(r->accounts, r->places[found].account, &name, &out->value) == 0);
}

struct span roster_name(const struct roster *r, const uint8_t digest[KEYED_DIGEST])
{
	uint32_t at = r->count ? arrive(r, hash_of(digest)) : 0;

	return r->count && r->hashes[at] == hash_of(digest) ? name_at(r, at) : SPAN_NONE;
}
