/*
 * The recipients of a unit, in as little memory as they take.
 */
#include "queue/internal.h"

static size_t rcpts_bytes(uint32_t count, bool mixed)
{
	return sizeof(uint32_t) * count * (mixed ? 2 : 1);
}

static bool rcpts_inside(const struct unit *u)
{
	return u->rcpt_count <= 1 && u->domain != DOMAIN_MIXED;
}

void unit_drop_rcpts(struct queue *q, struct unit *u)
{
	for (uint32_t i = 0; i < (u->domain == DOMAIN_MIXED ? u->rcpt_count : 1); i++)
		intern_give(&q->domains, &q->mem, unit_domain(u, i));
	if (!rcpts_inside(u))
		mem_free(&q->mem, u->rcpts.many,
			rcpts_bytes(u->rcpt_count, u->domain == DOMAIN_MIXED));
	u->rcpts.many = NULL;
	u->rcpt_count = 0;
	u->domain = 0;
}

/* Takes over the reference that each recipient has on its domain. */
int unit_set_rcpts(struct queue *q, struct unit *u, const struct unit_rcpt *rcpts, uint32_t count)
{
	CHECK(count && !u->rcpt_count);
	bool mixed = false;
	for (uint32_t i = 1; i < count; i++)
		mixed = mixed || rcpts[i].domain != rcpts[0].domain;
	uint32_t *many = NULL;
	if (count > 1) {
		many = mem_zero(&q->mem, rcpts_bytes(count, mixed));
		if (!many)
			return ERR_NOMEM;
		for (uint32_t i = 0; i < count; i++) {
			many[i] = rcpts[i].rcpt;
			if (mixed)
				many[count + i] = rcpts[i].domain;
			else if (i)
				intern_give(&q->domains, &q->mem, rcpts[i].domain);
		}
		u->rcpts.many = many;
	} else {
		u->rcpts.one = rcpts[0].rcpt;
	}
	u->rcpt_count = count;
	u->domain = mixed ? DOMAIN_MIXED : rcpts[0].domain;
	return 0;
}

/* In place, as there may be no memory: what is cut off is given back by size. */
void unit_keep_rcpts(struct queue *q, struct unit *u, unit_keep keep, const void *with)
{
	uint32_t had = u->rcpt_count, kept = 0;
	bool mixed = u->domain == DOMAIN_MIXED;
	if (had == 1) {
		CHECK(keep(with, 0));
		return;
	}
	uint32_t *many = u->rcpts.many;
	for (uint32_t i = 0; i < had; i++) {
		if (keep(with, i)) {
			many[kept] = many[i];
			if (mixed)
				many[had + kept] = many[had + i];
			kept++;
		} else if (mixed) {
			intern_give(&q->domains, &q->mem, many[had + i]);
		}
	}
	CHECK(kept);
	if (kept == had)
		return;
	u->rcpt_count = kept;
	if (mixed) {
		memmove(many + kept, many + had, kept * sizeof(uint32_t));
		uint32_t same = 1;
		while (same < kept && many[kept + same] == many[kept])
			same++;
		if (same == kept) {
			for (uint32_t i = 1; i < kept; i++)
				intern_give(&q->domains, &q->mem, many[kept + i]);
			u->domain = many[kept];
		}
	}
	if (rcpts_inside(u)) {
		uint32_t one = many[0];
		mem_free(&q->mem, many, rcpts_bytes(had, mixed));
		u->rcpts.one = one;
	} else {
		size_t want = rcpts_bytes(kept, u->domain == DOMAIN_MIXED);
		uint32_t *less = realloc(many, want);
		u->rcpts.many = less ? less : many; /* shrinking cannot really fail */
		q->mem.bytes -= rcpts_bytes(had, mixed) - want;
	}
}
