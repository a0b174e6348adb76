/* Aliases, followed to the addresses that they mean in the end. */
#include "base/check.h"
#include "base/err.h"
#include "route/decide.h"
#include "route/find.h"
#include "route/refuse.h"

#define SEEN_SLOTS 2048 /* more than ROUTE_ALIAS_TARGETS, a power of two */

_Static_assert(SEEN_SLOTS > ROUTE_ALIAS_TARGETS, "there is always a free slot");

/* An alias on the way, and which of its addresses is next. */
struct level {
	uint32_t alias, count, next;
};

/* An address in the end. Both parts lie in the snapshot, the query or the configuration. */
struct seen {
	struct span local, domain;
};

struct expansion {
	struct decide decide; /* of the address that is looked at */
	struct level levels[ROUTE_ALIAS_DEPTH];
	uint32_t depth;
	uint32_t targets;
	bool (*each)(void *context, const struct route_decision *decision);
	void *context;
	struct verdict refused; /* the first, a temporary one before others */
	struct seen seen[SEEN_SLOTS];
};

static void refuse(struct expansion *e, const struct verdict *verdict)
{
	if (e->refused.kind == VERDICT_OK ||
		(e->refused.kind == VERDICT_PERMANENT && verdict->kind == VERDICT_TEMPORARY))
		e->refused = *verdict;
}

/* 451: an administrator can mend it. */
static void refuse_alias(struct expansion *e, const char *why)
{
	struct verdict verdict;

	route_verdict(&verdict, 451, 3, 5, "an alias of this address %s", why);
	route_trail_add(e->decide.trail, "alias", "refused", "The alias %s.", why);
	refuse(e, &verdict);
}

/* FNV-1a. An administrator wrote these addresses. */
static uint32_t hash_of(uint32_t hash, struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		hash = (hash ^ (unsigned char)text.p[i]) * 16777619u;
	return hash;
}

/* Was it there before? From now on it was. */
static bool was_seen(struct expansion *e, const struct route_decision *d)
{
	struct seen now = {e->decide.local, d->domain};

	if (d->kind == ROUTE_MAILBOX) {
		size_t at = find_at(d->account.address);
		now.local = span_of(d->account.address.p, at);
	}
	uint32_t slot = hash_of(hash_of(2166136261u, now.local), now.domain) & (SEEN_SLOTS - 1);
	for (;; slot = (slot + 1) & (SEEN_SLOTS - 1)) {
		struct seen *there = &e->seen[slot];

		if (!there->domain.n) {
			*there = now;
			return false;
		}
		if (span_equal(there->local, now.local) && span_equal(there->domain, now.domain))
			return true;
	}
}

static bool is_on_the_way(const struct expansion *e, uint32_t alias)
{
	for (uint32_t i = 0; i < e->depth; i++)
		if (e->levels[i].alias == alias)
			return true;
	return false;
}

static void descend(struct expansion *e, const struct route_decision *d)
{
	if (is_on_the_way(e, d->alias))
		refuse_alias(e, "leads back to itself");
	else if (e->depth == ROUTE_ALIAS_DEPTH)
		refuse_alias(e, "leads to aliases of aliases, too deep");
	else
		e->levels[e->depth++] = (struct level){d->alias, d->alias_count, 0};
}

/* A decision was made about an address. False: each() wants no more. */
static bool take(struct expansion *e, const struct route_decision *d)
{
	static const struct verdict none = {.kind = VERDICT_OK};
	struct verdict full = none;

	switch (d->kind) {
	case ROUTE_ALIAS: descend(e, d); return true;
	case ROUTE_REFUSED: refuse(e, &d->verdict); return true;
	case ROUTE_ASK: CHECK(!"an alias needs no right to relay"); return true;
	case ROUTE_TRANSPORT:
	case ROUTE_MAILBOX: break;
	}
	if (e->refused.kind != VERDICT_OK || was_seen(e, d) || e->each(e->context, d))
		return true;
	route_verdict(&full, 452, 5, 3, "too many recipients; send another message to the rest");
	e->refused = full;
	return false;
}

/* The next address of the innermost alias. False: it is at its end, or nothing more matters. */
static bool next_target(struct expansion *e, struct span *target)
{
	struct level *level = &e->levels[e->depth - 1];
	struct verdict verdict;

	if (level->next == level->count)
		return false;
	if (e->targets++ == ROUTE_ALIAS_TARGETS) {
		refuse_alias(e, "means too many addresses");
		e->depth = 1;
		return false;
	}
	int err = snapshot_alias_target(e->decide.snapshot, level->alias, level->next++, target);
	if (err == 0)
		return true;
	route_verdict(&verdict, 451, 3, 5, "the directory cannot be read: %s", err_text(err));
	refuse(e, &verdict);
	return false;
}

/* `first` is ROUTE_ALIAS. What became of it stands in e->refused. */
static void follow(struct expansion *e, const struct route_decision *first)
{
	struct route_decision decision;
	struct span target;

	e->decide.trusted = true;
	e->decide.out = &decision;
	descend(e, first);
	while (e->depth) {
		if (!next_target(e, &target)) {
			e->depth--;
			continue;
		}
		e->decide.recipient = target;
		decide_recipient(&e->decide);
		if (!take(e, &decision))
			break;
	}
	e->decide.out = NULL;
}

static void begin(struct expansion *e, const struct decide *decide,
	bool (*each)(void *context, const struct route_decision *decision), void *context)
{
	memset(e, 0, sizeof(*e));
	e->decide = *decide;
	e->each = each;
	e->context = context;
	e->refused.kind = VERDICT_OK;
}

void route_expand(const struct snapshot *snapshot, const struct route_config *config,
	const struct route_query *query, struct route_trail *trail,
	bool (*each)(void *context, const struct route_decision *decision), void *context,
	struct route_decision *out)
{
	const struct decide decide = {.snapshot = snapshot,
		.config = config,
		.query = query,
		.trail = trail,
		.recipient = query->recipient,
		.out = out};
	struct expansion e;

	route_decide(snapshot, config, query, trail, out);
	if (out->kind == ROUTE_ALIAS) {
		begin(&e, &decide, each, context);
		follow(&e, out);
	} else if ((out->kind == ROUTE_TRANSPORT || out->kind == ROUTE_MAILBOX) &&
		   !each(context, out)) {
		route_verdict(&e.refused, 452, 5, 3,
			"too many recipients; send another message to the rest");
	} else {
		return;
	}
	if (e.refused.kind == VERDICT_OK)
		return;
	out->kind = ROUTE_REFUSED;
	out->verdict = e.refused;
}

/* ---- one account alone ---------------------------------------------------------------------- */

struct lone {
	const struct snapshot *logins;
	struct account account;
	uint32_t count;
	bool elsewhere;
};

static bool each_lone(void *context, const struct route_decision *d)
{
	struct lone *lone = context;
	size_t at = find_at(d->recipient);
	bool is_login = lone->logins && d->kind == ROUTE_TRANSPORT && at < d->recipient.n &&
			find_account(lone->logins, span_of(d->recipient.p, at), d->domain,
				&lone->account) == 0;

	lone->elsewhere |= d->kind != ROUTE_MAILBOX && !is_login;
	lone->count++;
	if (d->kind == ROUTE_MAILBOX)
		lone->account = d->account;
	return !lone->elsewhere && lone->count == 1;
}

/* `logins`: accounts count whose mail goes elsewhere, too; NULL: mailboxes only. */
static int lone_account(const struct decide *decide, const struct route_decision *alias,
	const struct snapshot *logins, struct account *out)
{
	struct lone lone = {.logins = logins};
	struct expansion e;

	begin(&e, decide, each_lone, &lone);
	e.decide.trail = NULL;
	follow(&e, alias);
	if (e.refused.kind == VERDICT_TEMPORARY && e.refused.code == 451)
		return ERR_CORRUPT;
	if (e.refused.kind != VERDICT_OK || lone.count != 1 || lone.elsewhere)
		return ERR_NOT_FOUND;
	*out = lone.account;
	return 0;
}

int expand_account(const struct snapshot *snapshot, struct span address, struct account *out)
{
	struct route_decision decision = {.kind = ROUTE_REFUSED};
	struct decide decide = {
		.snapshot = snapshot, .recipient = address, .trusted = true, .out = &decision};

	decide_recipient(&decide);
	switch (decision.kind) {
	case ROUTE_MAILBOX: *out = decision.account; return 0;
	case ROUTE_ALIAS: return lone_account(&decide, &decision, snapshot, out);
	/* Its mail goes elsewhere; the account is there to log in. */
	case ROUTE_TRANSPORT: return find_account(snapshot, decide.local, decision.domain, out);
	case ROUTE_REFUSED:
		return decision.verdict.kind == VERDICT_TEMPORARY ? ERR_CORRUPT : ERR_NOT_FOUND;
	default: return ERR_NOT_FOUND;
	}
}

void expand_to_mailbox(struct decide *d)
{
	struct route_decision alias;
	struct account account;

	if (find_alias(d->snapshot, d->local, d->out->domain, &alias.alias, &alias.alias_count) !=
		0)
		return;
	if (lone_account(d, &alias, NULL, &account) != 0)
		return;
	d->out->kind = ROUTE_MAILBOX;
	d->out->account = account;
}
