/*
 * Messages of which the spool says that they are damaged, until they are gone. Those that are
 * queued answer for themselves; the others, whose envelope nobody can read, would otherwise have no
 * place where an administrator finds them.
 */
#include "delivery/core.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

static size_t place_of(const struct delivery *d, uint64_t id)
{
	size_t at = 0;

	while (at < d->damaged_count && d->damaged[at].id < id)
		at++;
	return at;
}

const struct damaged *damaged_find(const struct delivery *d, uint64_t id)
{
	size_t at = place_of(d, id);

	return at < d->damaged_count && d->damaged[at].id == id ? &d->damaged[at] : NULL;
}

static void keep(
	struct delivery *d, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	size_t at = place_of(d, id);

	if (!d->damaged)
		d->damaged = calloc(DELIVERY_DAMAGED_MOST, sizeof(*d->damaged));
	if (!d->damaged || d->damaged_count == DELIVERY_DAMAGED_MOST)
		return; /* the log and the trace have it; so has posternctl spool verify */
	memmove(&d->damaged[at + 1], &d->damaged[at],
		(d->damaged_count - at) * sizeof(*d->damaged));
	d->damaged_count++;
	struct damaged *new = &d->damaged[at];
	*new = (struct damaged){.id = id, .offset = offset};
	snprintf(new->path, sizeof(new->path), "%s", path);
	snprintf(new->what, sizeof(new->what), "%s", what);
}

void damaged_add(
	struct delivery *d, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	const struct damaged *known = id ? damaged_find(d, id) : NULL;
	struct event event = {
		.kind = EVENT_DAMAGE,
		.id = id,
		.wall_ms = delivery_now(d),
		.reason = span_str(what),
		.destination = span_str(path),
	};

	/* What the store has told already needs no remark of ours (which has no path). */
	if (known && (!path[0] || strcmp(known->what, what) == 0))
		return;
	event_emit(d->config.events, &event);
	log_write(d->config.log, LOG_ERROR, "stored data is damaged", LOG_ID("id", id),
		LOG_STR("file", path), LOG_U64("offset", offset), LOG_STR("what", what));
	if (id && !known)
		keep(d, id, path, offset, what);
}

void damaged_gone(struct delivery *d, uint64_t id)
{
	size_t at = place_of(d, id);

	if (!damaged_find(d, id))
		return;
	d->damaged_count--;
	memmove(&d->damaged[at], &d->damaged[at + 1],
		(d->damaged_count - at) * sizeof(*d->damaged));
}

bool damaged_alone(const struct delivery *d, uint64_t id)
{
	return damaged_find(d, id) &&
	       queue_message_info(d->queue, id, &(struct queue_message_info){0}) != 0;
}

int damaged_delete(struct delivery *d, uint64_t id)
{
	struct event event = {
		.kind = EVENT_DISCARD,
		.id = id,
		.wall_ms = delivery_now(d),
		.action = SPAN("delete"),
		.reason = SPAN("its envelope was damaged"),
	};
	int err = spool_store_done(d->store, id);

	if (err)
		return err;
	damaged_gone(d, id);
	event_emit(d->config.events, &event);
	return 0;
}
