#include "delivery/sts_search.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define STS_BUCKETS 4096u
#define STS_KEEP_MS 60000 /* changes of so long are written together */
#define STS_LINES   128	  /* of a policy's text that are kept apart, for reports */
#define STS_FILE    (64u << 20)

struct sts_entry {
	uint32_t refs;
	struct mta_sts_policy policy;
	bool has_policy;
	int64_t fetched_ms, expires_ms;
	struct span id, body;
	enum sts_trouble trouble;
	const char *detail;
	uint32_t line_count;
	struct span lines[STS_LINES];
	struct arena arena;
};

struct sts_domain {
	struct list bucket;
	struct list lru; /* the one used last at the end */
	struct sts *sts;
	struct sts_entry *entry; /* NULL: nothing is known yet */
	uint64_t look_ns;	 /* what is known is good until then */
	uint64_t asked_ns;	 /* there was mail */
	bool private_hosts;	 /* … of a transport that allows them */
	struct sts_search *search;
	struct list waiting;
	struct timer patience; /* of those that wait for the search */
	bool overdue;	       /* it has taken too long */
	uint32_t failures;     /* searches in a row that came to nothing */
	uint64_t fetch_ns;     /* `failed` is not fetched before */
	struct sts_id failed;
	size_t name_length;
	char name[];
};

struct sts_question {
	struct list node;
	sts_done *done;
	void *owner;
};

struct sts {
	struct delivery *delivery;
	struct list buckets[STS_BUCKETS];
	struct list lru;
	uint32_t count;
	size_t bytes; /* of the policies' texts */
	uint32_t searches;
	uint64_t version;
	struct kept kept;
	struct timer turn; /* policies that grow old are renewed */
};

/* ---- entries --------------------------------------------------------------------------------- */

void sts_release(struct sts_entry **pointer)
{
	struct sts_entry *entry = *pointer;

	*pointer = NULL;
	if (!entry || --entry->refs)
		return;
	arena_reset(&entry->arena);
	free(entry);
}

static struct sts_entry *hold(struct sts_entry *entry)
{
	if (entry)
		entry->refs++;
	return entry;
}

static struct sts_entry *entry_new(void)
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

/* NULL: no memory, or no policy (that was looked at before). */
static struct sts_entry *entry_of_policy(struct span id, struct span body, int64_t fetched_ms)
{
	struct sts_entry *entry = entry_new();

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

/* ---- domains --------------------------------------------------------------------------------- */

static struct list *bucket_of(struct sts *sts, struct span name)
{
	return &sts->buckets[XXH3_64bits(name.p, name.n) % STS_BUCKETS];
}

static struct sts_domain *find(struct sts *sts, struct span name)
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

static void waited_long(struct timer *timer);

static struct sts_domain *get(struct sts *sts, struct span name)
{
	struct sts_domain *domain = find(sts, name);

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
	domain->patience.fire = waited_long;
	domain->asked_ns = sts->delivery->io->now_ns;
	list_push_back(bucket_of(sts, name), &domain->bucket);
	list_push_back(&sts->lru, &domain->lru);
	sts->count++;
	return domain;
}

static void set_entry(struct sts_domain *domain, struct sts_entry *entry)
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

static bool has_valid_policy(const struct sts_domain *domain)
{
	return domain->entry && domain->entry->has_policy &&
	       domain->entry->expires_ms > delivery_now(domain->sts->delivery);
}

/* ---- searching ------------------------------------------------------------------------------- */

/* Held for the caller; NULL: nothing. A policy whose time is over is none. */
static struct sts_entry *known(const struct sts_domain *domain)
{
	return domain->entry && (!domain->entry->has_policy || has_valid_policy(domain))
		       ? hold(domain->entry)
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
		done(owner, hold(entry));
	}
	sts_release(&entry);
}

/* The search goes on, and nobody waits for it any more. */
static void waited_long(struct timer *timer)
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
	struct sts_entry *entry = has_valid_policy(domain)
					  ? entry_of_policy(domain->entry->id, domain->entry->body,
						    domain->entry->fetched_ms)
					  : entry_new();

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

static bool is_old(const struct sts_domain *domain)
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
	if (has_valid_policy(domain))
		return now + MIN((uint64_t)renew_ms(domain->entry), STS_LOOK_MS) * NS_PER_MS;
	return now + STS_NONE_MS * NS_PER_MS;
}

/* RFC 8461 section 10.2: who runs this hears when a policy that holds cannot be renewed. */
static void tell_trouble(const struct sts_domain *domain, const struct sts_result *result)
{
	bool holds = has_valid_policy(domain) && domain->entry->policy.mode != MTA_STS_NONE;

	log_write(domain->sts->delivery->config.log, holds ? LOG_WARN : LOG_INFO,
		"the domain's DNS names an MTA-STS policy, which cannot be had",
		LOG_SPAN("domain", span_of(domain->name, domain->name_length)),
		LOG_STR("reason", result->detail),
		LOG_STR("meanwhile", has_valid_policy(domain)
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

static void searched(void *owner, const struct sts_result *result)
{
	struct sts_domain *domain = owner;
	struct delivery *d = domain->sts->delivery;
	struct sts_entry *entry = NULL;

	domain->search = NULL;
	domain->overdue = false;
	domain->sts->searches--;
	if (result->outcome == STS_SEARCH_TROUBLE)
		tell_trouble(domain, result);
	if (result->outcome == STS_SEARCH_POLICY)
		entry = entry_of_policy(result->id, result->body, delivery_now(d));
	else if (result->outcome != STS_SEARCH_LATER)
		entry = with_trouble(domain, result);
	/* Without memory what was known stays. */
	if (entry)
		set_entry(domain, entry);
	count(domain, result);
	domain->look_ns = look_ns(domain);
	answer_all(domain);
}

static void begin(struct sts_domain *domain)
{
	struct sts *sts = domain->sts;
	struct sts_ids ids = {0};

	if (domain->search || sts->searches == STS_SEARCHES)
		return;
	/* A policy that is not old need not be fetched again while the DNS names the same id. */
	if (has_valid_policy(domain) && !is_old(domain))
		ids.kept = domain->entry->id;
	if (domain->failures && sts->delivery->io->now_ns < domain->fetch_ns)
		ids.failed = sts_id_span(&domain->failed);
	if (sts_search_start(sts->delivery, span_of(domain->name, domain->name_length), &ids,
		    domain->private_hosts, searched, domain, &domain->search))
		return;
	sts->searches++;
	domain->overdue = io_timer_after(sts->delivery->io, &domain->patience, STS_WAIT_MS) != 0;
}

bool sts_looks(struct sts *sts, struct span name)
{
	const struct sts_domain *domain = find(sts, name);

	return domain && domain->search;
}

/* Nothing is known that mail could go by, and it will be soon. */
static bool is_worth_waiting(const struct sts_domain *domain)
{
	return domain->search && !domain->overdue && !domain->failures && !has_valid_policy(domain);
}

int sts_ask(struct sts *sts, struct span name, bool private_hosts, sts_done *done, void *owner,
	struct sts_question **out, struct sts_entry **now)
{
	struct sts_domain *domain = name.n <= DNS_NAME ? get(sts, name) : NULL;

	*out = NULL;
	*now = NULL;
	if (!domain)
		return ERR_NOMEM;
	domain->asked_ns = sts->delivery->io->now_ns;
	domain->private_hosts = private_hosts;
	struct sts_entry *entry = known(domain);
	if (domain->asked_ns >= domain->look_ns || (!entry && !domain->failures))
		begin(domain);
	if (!is_worth_waiting(domain)) {
		/* Where nothing can be found out now, there is nothing. */
		*now = entry ? entry : entry_new();
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

/* ---- renewing -------------------------------------------------------------------------------- */

static bool is_needed(const struct sts_domain *domain)
{
	return domain->sts->delivery->io->now_ns - domain->asked_ns < STS_NEEDED_MS * NS_PER_MS;
}

/* Half of all searches are left to mail. */
static void renew(struct timer *timer)
{
	struct sts *sts = CONTAINER_OF(timer, struct sts, turn);
	uint64_t now = sts->delivery->io->now_ns;
	uint32_t begun = 0;
	bool more = false;

	LIST_FOR_EACH(node, &sts->lru)
	{
		struct sts_domain *domain = CONTAINER_OF(node, struct sts_domain, lru);

		if (!has_valid_policy(domain) || !is_needed(domain))
			continue;
		more = true;
		if (!is_old(domain) || now < domain->look_ns || domain->search ||
			begun == STS_TURN_MOST || sts->searches >= STS_SEARCHES / 2)
			continue;
		begin(domain);
		begun++;
	}
	if (more)
		(void)io_timer_after(sts->delivery->io, &sts->turn, STS_TURN_MS);
}

/* ---- the file -------------------------------------------------------------------------------- */

static uint64_t version(const void *owner)
{
	return ((const struct sts *)owner)->version;
}

static void encode(const void *owner, struct buf *out)
{
	const struct sts *sts = owner;

	for (const struct list *node = sts->lru.next; node != &sts->lru; node = node->next) {
		const struct sts_domain *domain = CONTAINER_OF(node, struct sts_domain, lru);

		if (!has_valid_policy(domain))
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
	struct sts_entry *entry = entry_of_policy(id, body, fetched_ms);
	struct sts_domain *domain = entry ? get(sts, name) : NULL;

	if (!domain || entry->expires_ms <= delivery_now(sts->delivery))
		sts_release(&entry);
	else
		set_entry(domain, entry);
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

static const struct kept_kind kind = {
	.file = "d/mta-sts",
	.fresh = "d/mta-sts.new",
	.most = STS_FILE,
	.version = version,
	.encode = encode,
	.restore = restore,
	.unreadable = "the MTA-STS policies that were kept cannot be read: they are fetched anew",
	.unwritable = "MTA-STS policies cannot be kept: after a restart they are fetched anew",
};

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
	kept_init(&sts->kept, d, &kind, sts);
	sts->turn.fire = renew;
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
