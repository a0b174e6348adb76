/* How policies are kept, in a file beside the journal: a domain, its id, the time, the text; … */
#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"
#include "delivery/sts_kept.h"

#define STS_FILE (64u << 20)

static uint64_t version(const void *owner)
{
	return ((const struct sts *)owner)->version;
}

static void encode(const void *owner, struct buf *out)
{
	const struct sts *sts = owner;

	for (const struct list *node = sts->lru.next; node != &sts->lru; node = node->next) {
		const struct sts_domain *domain = CONTAINER_OF(node, struct sts_domain, lru);

		if (!sts_has_policy(domain))
			continue;
		buf_put_bytes16(out, span_of(domain->name, domain->name_length));
		buf_put_bytes16(out, domain->entry->id);
		buf_put_u64(out, (uint64_t)domain->entry->fetched_ms);
		buf_put_bytes32(out, domain->entry->body);
	}
}

static int restore_one(struct sts *sts, struct cursor *in)
{
	struct span name = cursor_bytes16(in);
	struct span id = cursor_bytes16(in);
	int64_t fetched_ms = (int64_t)cursor_u64(in);
	struct span body = cursor_bytes32(in);

	if (!cursor_ok(in) || !name.n || name.n > DNS_NAME || id.n > MTA_STS_ID)
		return ERR_CORRUPT;
	/* A clock that was wrong does not make a policy last. */
	if (fetched_ms > delivery_now(sts->delivery))
		return 0;
	struct sts_entry *entry = sts_entry_of_policy(id, body, fetched_ms);
	struct sts_domain *domain = entry ? sts_get(sts, name) : NULL;

	if (!domain || entry->expires_ms <= delivery_now(sts->delivery))
		sts_release(&entry);
	else
		sts_set(domain, entry);
	return 0;
}

static int restore(void *owner, struct span bytes)
{
	struct cursor in = cursor_of(bytes);
	int err = 0;

	while (!err && cursor_left(&in))
		err = restore_one(owner, &in);
	return err;
}

const struct kept_kind sts_kept = {
	.file = "d/mta-sts",
	.fresh = "d/mta-sts.new",
	.most = STS_FILE,
	.version = version,
	.encode = encode,
	.restore = restore,
	.unreadable = "the MTA-STS policies that were kept cannot be read: they are fetched anew",
	.unwritable = "MTA-STS policies cannot be kept: after a restart they are fetched anew",
};
