#include "codec/mime_private.h"

#include <stdlib.h>

#define PLAN_FIRST 16 /* entities in the first allocation */

void mime_give_up(struct mime_downgrade *d, enum mime_reason reason)
{
	if (d->reason == MIME_FINE)
		d->reason = reason;
}

void mime_plan_set(struct mime_downgrade *d, uint32_t index, enum mime_action action)
{
	if (d->out || index >= d->room)
		return;
	d->plan[index] = (uint8_t)action;
	if (action != KEEP)
		d->needed = true;
}

/* Room for the plan of one more entity. */
void mime_plan_grow(struct mime_downgrade *d, uint32_t index)
{
	bool within = index < MIME_ENTITIES;

	if (within && index < d->room)
		return;
	uint32_t room = d->room ? d->room * 2 : PLAN_FIRST;
	uint8_t *plan = within ? realloc(d->plan, room) : NULL;
	if (!plan) {
		mime_give_up(d, MIME_COMPLEX);
		return;
	}
	memset(plan + d->room, KEEP, room - d->room);
	d->plan = plan;
	d->room = room;
}

bool mime_sealed(const struct mime_downgrade *d)
{
	return d->depth && d->levels[d->depth - 1].sealed;
}

/* What the target does not carry. */
uint8_t mime_bad_facts(const struct mime_downgrade *d)
{
	uint8_t bad = FACT_NUL | FACT_BARE | FACT_LONG;

	return d->target == MIME_TO_7BIT ? bad | FACT_8BIT : bad;
}

bool mime_label_too_wide(const struct mime_downgrade *d)
{
	enum mime_encoding e = d->entity.encoding;

	return e == ENCODING_BINARY || (e == ENCODING_8BIT && d->target == MIME_TO_7BIT);
}

void mime_plan_leaf(struct mime_downgrade *d)
{
	struct mime_entity *e = &d->entity;
	uint8_t bad = e->facts & mime_bad_facts(d);

	if (!bad) {
		if (mime_label_too_wide(d) && !mime_sealed(d))
			mime_plan_set(d, e->index, RELABEL);
		return;
	}
	if (mime_sealed(d))
		mime_give_up(d, MIME_SIGNED);
	else if (e->type_bad)
		mime_give_up(d, MIME_COMPLEX);
	else if (e->encoding == ENCODING_OTHER || e->type.kind != MIME_LEAF)
		mime_give_up(d, MIME_ENCODED);
	mime_plan_set(d, e->index, bad & (FACT_NUL | FACT_BARE) ? TO_BASE64 : TO_QP);
}
