#include "delivery/sts.h"

#include "base/check.h"
#include "base/err.h"
#include "delivery/sts_kept.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define STS_KEEP_MS 60000 /* changes of so long are written together */

/* ---- domains --------------------------------------------------------------------------------- */

static struct list *bucket_of(struct sts *sts, struct span name)
{
	return &sts->buckets[XXH3_64bits(name.p, name.n) % STS_BUCKETS];
}

struct sts_domain *sts_find(struct sts *sts, struct span name)
{
	LIST_FOR_EACH(node, bucket_of(sts, name))
	{
		struct sts_domain *domain = CONTAINER_OF(node, struct sts_domain, bucket);

		if (span_equal(span_of(domain->name, domain->name_length), name))
			return domain;
	}
	return NULL;
}

static void domain_free(struct sts_domain *domain)
{
	struct sts *sts = domain->sts;

	CHECK(list_empty(&domain->waiting));
	if (domain->search)
		sts->searches--;
	sts_search_cancel(&domain->search);
	io_timer_stop(sts->delivery->io, &domain->patience);
	if (domain->entry)
		sts->bytes -= domain->entry->body.n;
	sts_release(&domain->entry);
	list_remove(&domain->bucket);
	list_remove(&domain->lru);
	list_remove(&domain->queued);
	sts->count--;
	free(domain);
}

static bool is_full(const struct sts *sts)
{
	return sts->count >= STS_POLICIES || sts->bytes >= STS_BYTES;
}

/* Those that are being asked about stay. */
static void drop_oldest(struct sts *sts, bool with_policy)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is out of the list */
	LIST_FOR_EACH(node, &sts->lru)
	{
		struct sts_domain *domain = CONTAINER_OF(node, struct sts_domain, lru);
		bool has_policy = domain->entry && domain->entry->has_policy;

		if (!is_full(sts))
			return;
		if (domain->search || !list_empty(&domain->waiting) || has_policy != with_policy)
			continue;
		sts->version += has_policy;
		domain_free(domain);
	}
}

/* Mail to many domains without a policy must not take those away that have one. */
static void make_room(struct sts *sts)
{
	if (is_full(sts))
		drop_oldest(sts, false);
	if (is_full(sts))
		drop_oldest(sts, true);
}

struct sts_domain *sts_get(struct sts *sts, struct span name)
{
	struct sts_domain *domain = sts_find(sts, name);

	if (domain) {
		list_remove(&domain->lru);
		list_push_back(&sts->lru, &domain->lru);
		return domain;
	}
	make_room(sts);
	domain = calloc(1, sizeof(*domain) + name.n);
	if (!domain)
		return NULL;
	domain->sts = sts;
	domain->name_length = name.n;
	memcpy(domain->name, name.p, name.n);
	list_init(&domain->waiting);
	list_init(&domain->queued);
	domain->patience.fire = sts_overdue;
	domain->asked_ns = sts->delivery->io->now_ns;
	list_push_back(bucket_of(sts, name), &domain->bucket);
	list_push_back(&sts->lru, &domain->lru);
	sts->count++;
	return domain;
}

void sts_set(struct sts_domain *domain, struct sts_entry *entry)
{
	struct sts *sts = domain->sts;

	if (domain->entry)
		sts->bytes -= domain->entry->body.n;
	sts->bytes += entry->body.n;
	if (entry->has_policy || (domain->entry && domain->entry->has_policy))
		sts->version++;
	sts_release(&domain->entry);
	domain->entry = entry;
	if (sts->kept.version != sts->version)
		kept_soon(&sts->kept, STS_KEEP_MS);
	/* Without memory for the timer they are renewed when there is mail. */
	if (entry->has_policy && !timer_armed(&sts->turn))
		(void)io_timer_after(sts->delivery->io, &sts->turn, STS_TURN_MS);
}

bool sts_has_policy(const struct sts_domain *domain)
{
	return domain->entry && domain->entry->has_policy &&
	       domain->entry->expires_ms > delivery_now(domain->sts->delivery);
}

/* ---- life ------------------------------------------------------------------------------------ */

int sts_new(struct delivery *d, struct sts **out)
{
	struct sts *sts = calloc(1, sizeof(*sts));

	if (!sts)
		return ERR_NOMEM;
	sts->delivery = d;
	for (size_t i = 0; i < STS_BUCKETS; i++)
		list_init(&sts->buckets[i]);
	list_init(&sts->lru);
	list_init(&sts->queue);
	kept_init(&sts->kept, d, &sts_kept, sts);
	sts->turn.fire = sts_renew;
	*out = sts;
	return 0;
}

void sts_free(struct sts **pointer)
{
	struct sts *sts = *pointer;

	*pointer = NULL;
	if (!sts)
		return;
	kept_done(&sts->kept);
	io_timer_stop(sts->delivery->io, &sts->turn);
	LIST_FOR_EACH(node, &sts->lru)
	domain_free(CONTAINER_OF(node, struct sts_domain, lru));
	free(sts);
}

void sts_load(struct sts *sts)
{
	kept_load(&sts->kept);
}

void sts_keep(struct sts *sts)
{
	kept_keep(&sts->kept);
}

bool sts_busy(const struct sts *sts)
{
	return kept_busy(&sts->kept);
}
