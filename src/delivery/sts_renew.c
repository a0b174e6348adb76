/*
 * Policies that grow old are fetched again, whether there is mail or not (RFC 8461 section 10.2).
 */
#include "base/check.h"
#include "delivery/sts_kept.h"

static bool is_needed(const struct sts_domain *domain)
{
	uint64_t ms = (uint64_t)domain->entry->policy.max_age_s * 1000 * STS_NEEDED_AGES;

	return domain->sts->delivery->io->now_ns - domain->asked_ns <
	       MIN(ms, STS_NEEDED_MS) * NS_PER_MS;
}

/* Half of all searches are left to mail. */
void sts_renew(struct timer *timer)
{
	struct sts *sts = CONTAINER_OF(timer, struct sts, turn);
	uint64_t now = sts->delivery->io->now_ns;
	uint32_t begun = 0;
	bool more = false;

	LIST_FOR_EACH(node, &sts->lru)
	{
		struct sts_domain *domain = CONTAINER_OF(node, struct sts_domain, lru);

		if (!sts_has_policy(domain) || !is_needed(domain))
			continue;
		more = true;
		if (!sts_is_old(domain) || now < domain->look_ns || domain->search ||
			begun == STS_TURN_MOST || sts->searches >= STS_SEARCHES / 2)
			continue;
		sts_begin(domain);
		begun++;
	}
	if (more)
		(void)io_timer_after(sts->delivery->io, &sts->turn, STS_TURN_MS);
}
