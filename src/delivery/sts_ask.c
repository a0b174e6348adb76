/*
 * Asking for a domain's policy: what is known at once, what is searched for, who waits for it, and
 * when it is searched for again.
 */
#include "base/check.h"
#include "base/err.h"
#include "delivery/sts_kept.h"

#include <stdlib.h>

struct sts_question {
	struct list node;
	sts_done *done;
	void *owner;
};

/* Held for the caller; NULL: nothing. A policy whose time is over is none. */
static struct sts_entry *known(const struct sts_domain *domain)
{
	return domain->entry && (!domain->entry->has_policy || sts_has_policy(domain))
		       ? sts_hold(domain->entry)
		       : NULL;
}

/* Whoever hears of it may ask about others, and make room by this domain. */
static void answer_all(struct sts_domain *domain)
{
	struct sts_entry *entry = known(domain);
	struct list waiting;

	io_timer_stop(domain->sts->delivery->io, &domain->patience);
	list_init(&waiting);
	while (!list_empty(&domain->waiting)) {
		struct list *first = domain->waiting.next;

		list_remove(first);
		list_push_back(&waiting, first);
	}
	while (!list_empty(&waiting)) {
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is out of the list */
		struct sts_question *question = LIST_FIRST(&waiting, struct sts_question, node);
		sts_done *done = question->done;
		void *owner = question->owner;

		list_remove(&question->node);
		free(question);
		done(owner, sts_hold(entry));
	}
	sts_release(&entry);
}

/* The search goes on, and nobody waits for it any more. */
void sts_overdue(struct timer *timer)
{
	struct sts_domain *domain = CONTAINER_OF(timer, struct sts_domain, patience);

	domain->overdue = true;
	answer_all(domain);
}

/* The domain has a policy still, and it stays until its time is over (RFC 8461 section 5.1),
 * whatever the DNS or the web server say, or do not. */
static struct sts_entry *with_trouble(
	const struct sts_domain *domain, const struct sts_result *result)
{
	struct sts_entry *entry = sts_has_policy(domain)
					  ? sts_entry_of_policy(domain->entry->id,
						    domain->entry->body, domain->entry->fetched_ms)
					  : sts_entry_new();

	if (entry) {
		entry->trouble = result->trouble;
		entry->detail = result->detail;
	}
	return entry;
}

static int64_t renew_ms(const struct sts_entry *entry)
{
	return MIN(STS_RENEW_MS, (int64_t)entry->policy.max_age_s * 1000 / 2);
}

bool sts_is_old(const struct sts_domain *domain)
{
	return delivery_now(domain->sts->delivery) - domain->entry->fetched_ms >
	       renew_ms(domain->entry);
}

static uint64_t pause_ms(const struct sts_domain *domain)
{
	uint64_t ms = STS_FAILED_MS;

	for (uint32_t i = 1; i < domain->failures && ms < STS_FAILED_MOST_MS; i++)
		ms *= 2;
	return MIN(ms, STS_FAILED_MOST_MS);
}

/* When is it looked for again, at the earliest? */
static uint64_t look_ns(const struct sts_domain *domain)
{
	uint64_t now = domain->sts->delivery->io->now_ns;

	/* The id alone may be asked for more often. */
	if (domain->failures)
		return now + MIN(pause_ms(domain), STS_LOOK_MS) * NS_PER_MS;
	if (sts_has_policy(domain))
		return now + MIN((uint64_t)renew_ms(domain->entry), STS_LOOK_MS) * NS_PER_MS;
	return now + STS_NONE_MS * NS_PER_MS;
}

/* RFC 8461 section 10.2: who runs this hears when a policy that holds cannot be renewed. */
static void tell_trouble(const struct sts_domain *domain, const struct sts_result *result)
{
	bool holds = sts_has_policy(domain) && domain->entry->policy.mode != MTA_STS_NONE;

	log_write(domain->sts->delivery->config.log, holds ? LOG_WARN : LOG_INFO,
		"the domain's DNS names an MTA-STS policy, which cannot be had",
		LOG_SPAN("domain", span_of(domain->name, domain->name_length)),
		LOG_STR("reason", result->detail),
		LOG_STR("meanwhile", sts_has_policy(domain)
					     ? "the one that is known, until its time is over"
					     : "none"));
}

static void count(struct sts_domain *domain, const struct sts_result *result)
{
	if (result->outcome == STS_SEARCH_LATER)
		return;
	if (result->outcome != STS_SEARCH_FAILED && result->outcome != STS_SEARCH_TROUBLE) {
		domain->failures = 0;
		domain->failed.length = 0;
		return;
	}
	/* Of another policy nothing is known yet. */
	if (result->id.n && !span_equal(result->id, sts_id_span(&domain->failed)))
		domain->failures = 0;
	if (result->id.n)
		sts_id_set(&domain->failed, result->id);
	if (domain->failures < UINT32_MAX)
		domain->failures++;
	domain->fetch_ns = domain->sts->delivery->io->now_ns + pause_ms(domain) * NS_PER_MS;
}

static bool is_looked_for(const struct sts_domain *domain)
{
	return domain->search || !list_empty(&domain->queued);
}

/* From the first that waits on, whether the search runs or is queued. */
static void be_patient(struct sts_domain *domain)
{
	if (!timer_armed(&domain->patience))
		domain->overdue = io_timer_after(domain->sts->delivery->io, &domain->patience,
					  STS_WAIT_MS) != 0;
}

/* Mail to many domains at once must not go without the policies that they have. */
static void queue_up(struct sts_domain *domain)
{
	if (domain->search || domain->sts->searches < STS_SEARCHES || !list_empty(&domain->queued))
		return;
	list_push_back(&domain->sts->queue, &domain->queued);
	be_patient(domain);
}

static void begin_queued(struct sts *sts)
{
	while (sts->searches < STS_SEARCHES && !list_empty(&sts->queue)) {
		struct sts_domain *domain = LIST_FIRST(&sts->queue, struct sts_domain, queued);

		list_remove(&domain->queued);
		sts_begin(domain);
	}
}

static void searched(void *owner, const struct sts_result *result)
{
	struct sts_domain *domain = owner;
	struct sts *sts = domain->sts;
	struct delivery *d = sts->delivery;
	struct sts_entry *entry = NULL;

	domain->search = NULL;
	domain->overdue = false;
	sts->searches--;
	if (result->outcome == STS_SEARCH_TROUBLE)
		tell_trouble(domain, result);
	if (result->outcome == STS_SEARCH_POLICY)
		entry = sts_entry_of_policy(result->id, result->body, delivery_now(d));
	else if (result->outcome != STS_SEARCH_LATER)
		entry = with_trouble(domain, result);
	/* Without memory what was known stays. */
	if (entry)
		sts_set(domain, entry);
	count(domain, result);
	domain->look_ns = look_ns(domain);
	answer_all(domain);
	begin_queued(sts);
}

void sts_begin(struct sts_domain *domain)
{
	struct sts *sts = domain->sts;
	struct sts_ids ids = {0};

	if (domain->search || sts->searches == STS_SEARCHES)
		return;
	/* A policy that is not old need not be fetched again while the DNS names the same id. */
	if (sts_has_policy(domain) && !sts_is_old(domain))
		ids.kept = domain->entry->id;
	if (domain->failures && sts->delivery->io->now_ns < domain->fetch_ns)
		ids.failed = sts_id_span(&domain->failed);
	if (sts_search_start(sts->delivery, span_of(domain->name, domain->name_length), &ids,
		    domain->private_hosts, searched, domain, &domain->search))
		return;
	sts->searches++;
	be_patient(domain);
}

bool sts_looks(struct sts *sts, struct span name)
{
	const struct sts_domain *domain = sts_find(sts, name);

	return domain && is_looked_for(domain);
}

/* Nothing is known that mail could go by, and it will be soon. */
static bool is_worth_waiting(const struct sts_domain *domain)
{
	return is_looked_for(domain) && !domain->overdue && !domain->failures &&
	       !sts_has_policy(domain);
}

int sts_ask(struct sts *sts, struct span name, bool private_hosts, sts_done *done, void *owner,
	struct sts_question **out, struct sts_entry **now)
{
	struct sts_domain *domain = name.n <= DNS_NAME ? sts_get(sts, name) : NULL;

	*out = NULL;
	*now = NULL;
	if (!domain)
		return ERR_NOMEM;
	domain->asked_ns = sts->delivery->io->now_ns;
	domain->private_hosts = private_hosts;
	struct sts_entry *entry = known(domain);
	if (domain->asked_ns >= domain->look_ns || (!entry && !domain->failures)) {
		sts_begin(domain);
		if (!sts_has_policy(domain) && !domain->failures)
			queue_up(domain);
	}
	if (!is_worth_waiting(domain)) {
		/* Where nothing can be found out now, there is nothing. */
		*now = entry ? entry : sts_entry_new();
		return *now ? 0 : ERR_NOMEM;
	}
	sts_release(&entry);
	struct sts_question *question = calloc(1, sizeof(*question));

	if (!question)
		return ERR_NOMEM;
	question->done = done;
	question->owner = owner;
	list_push_back(&domain->waiting, &question->node);
	*out = question;
	return 0;
}

void sts_cancel(struct sts_question **pointer)
{
	struct sts_question *question = *pointer;

	*pointer = NULL;
	if (!question)
		return;
	list_remove(&question->node);
	free(question);
}
