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
	struct sts_search *search;
	struct list waiting;
	size_t name_length;
	char name[];
};

struct sts_question {
	struct list node;
	struct sts_domain *domain;
	sts_done *done;
	void *owner;
	struct timer deadline;
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

static void answer(struct sts_question *question)
{
	/* There is one, and the one before is out of the list.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc,clang-analyzer-core.NullDereference) */
	struct sts_domain *domain = question->domain;
	sts_done *done = question->done;
	void *owner = question->owner;
	struct sts_entry *entry = known(domain);

	list_remove(&question->node);
	io_timer_stop(domain->sts->delivery->io, &question->deadline);
	free(question);
	done(owner, entry);
}

static void answer_all(struct sts_domain *domain)
{
	while (!list_empty(&domain->waiting))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is out of the list */
		answer(LIST_FIRST(&domain->waiting, struct sts_question, node));
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

static void searched(void *owner, const struct sts_result *result)
{
	struct sts_domain *domain = owner;
	struct delivery *d = domain->sts->delivery;
	struct sts_entry *entry;

	domain->search = NULL;
	domain->sts->searches--;
	if (result->outcome == STS_SEARCH_TROUBLE)
		log_write(d->config.log, LOG_INFO,
			"the domain's DNS names an MTA-STS policy, which cannot be had",
			LOG_SPAN("domain", span_of(domain->name, domain->name_length)),
			LOG_STR("reason", result->detail),
			LOG_STR("meanwhile",
				has_valid_policy(domain) ? "the one that is known" : "none"));
	if (result->outcome == STS_SEARCH_POLICY)
		entry = entry_of_policy(result->id, result->body, delivery_now(d));
	else
		entry = with_trouble(domain, result);
	/* Without memory what was known stays. */
	if (entry)
		set_entry(domain, entry);
	domain->look_ns =
		d->io->now_ns + (has_valid_policy(domain) ? STS_LOOK_MS : STS_NONE_MS) * NS_PER_MS;
	answer_all(domain);
}

/* A policy that is not old need not be fetched again while the DNS names the same id. */
static struct span id_that_will_do(const struct sts_domain *domain)
{
	if (!has_valid_policy(domain) ||
		delivery_now(domain->sts->delivery) - domain->entry->fetched_ms > STS_RENEW_MS)
		return SPAN_NONE;
	return domain->entry->id;
}

/* ERR_LIMIT: so many run already. */
static int search(struct sts_domain *domain, bool private_hosts)
{
	struct sts *sts = domain->sts;

	if (domain->search)
		return 0;
	if (sts->searches == STS_SEARCHES)
		return ERR_LIMIT;
	int err = sts_search_start(sts->delivery, span_of(domain->name, domain->name_length),
		id_that_will_do(domain), private_hosts, searched, domain, &domain->search);
	sts->searches += err == 0;
	return err;
}

static void waited_long(struct timer *timer)
{
	struct sts_question *question = CONTAINER_OF(timer, struct sts_question, deadline);

	answer(question);
}

static int wait_for(
	struct sts_domain *domain, sts_done *done, void *owner, struct sts_question **out)
{
	struct sts_question *question = calloc(1, sizeof(*question));

	if (!question)
		return ERR_NOMEM;
	question->domain = domain;
	question->done = done;
	question->owner = owner;
	question->deadline.fire = waited_long;
	if (io_timer_after(domain->sts->delivery->io, &question->deadline, STS_WAIT_MS)) {
		free(question);
		return ERR_NOMEM;
	}
	list_push_back(&domain->waiting, &question->node);
	*out = question;
	return 0;
}

int sts_ask(struct sts *sts, struct span name, bool private_hosts, sts_done *done, void *owner,
	struct sts_question **out, struct sts_entry **now)
{
	struct sts_domain *domain = name.n <= DNS_NAME ? get(sts, name) : NULL;
	struct sts_entry *entry;
	int err = 0;

	*out = NULL;
	*now = NULL;
	if (!domain)
		return ERR_NOMEM;
	entry = known(domain);
	if (!entry || sts->delivery->io->now_ns >= domain->look_ns)
		err = search(domain, private_hosts);
	/* A policy that is kept is used meanwhile; where nothing can be found out now, nothing. */
	if (entry && (entry->has_policy || !domain->search)) {
		*now = entry;
		return 0;
	}
	sts_release(&entry);
	if (err) {
		*now = entry_new();
		return *now ? 0 : ERR_NOMEM;
	}
	return wait_for(domain, done, owner, out);
}

void sts_cancel(struct sts_question **pointer)
{
	struct sts_question *question = *pointer;

	*pointer = NULL;
	if (!question)
		return;
	list_remove(&question->node);
	io_timer_stop(question->domain->sts->delivery->io, &question->deadline);
	free(question);
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
	LIST_FOR_EACH(node, &sts->lru)
	domain_free(CONTAINER_OF(node, struct sts_domain, lru));
	free(sts);
}
