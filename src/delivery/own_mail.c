/*
 * Mail of our own: notifications and reports. It is from the null sender, who hears nothing of it,
 * whatever becomes of it.
 */
#include "delivery/tell.h"

#include "base/err.h"

#include <string.h>

#define TARGETS_BYTES (1u << 20)
#define TARGETS_FIRST 8u /* most who hear of something are no alias */

struct targets {
	struct arena arena;
	struct envelope_rcpt *rcpts;
	uint32_t count, room;
};

static bool has_room(struct targets *targets)
{
	uint32_t room = targets->room ? targets->room * 2 : TARGETS_FIRST;

	if (targets->count < targets->room)
		return true;
	struct envelope_rcpt *rcpts = arena_alloc(&targets->arena, room * sizeof(*rcpts));

	if (!rcpts)
		return false;
	if (targets->count)
		memcpy(rcpts, targets->rcpts, targets->count * sizeof(*rcpts));
	targets->rcpts = rcpts;
	targets->room = room;
	return true;
}

static bool add_target(void *context, const struct route_decision *decision)
{
	struct targets *targets = context;

	if (targets->count == ROUTE_ALIAS_TARGETS || !has_room(targets))
		return false;
	targets->rcpts[targets->count++] = (struct envelope_rcpt){
		.address = arena_copy(&targets->arena, decision->recipient),
		.notify = NOTIFY_NEVER,
	};
	return !targets->arena.overflow;
}

/* Whom it means: aliases are followed here, as they are for a client's mail where it is taken in.
 * What is refused is queued as it is, and comes to its end there. ERR_NOMEM. */
static int find_targets(struct delivery *d, struct span to, struct targets *targets)
{
	struct route_decision decision;
	const struct route_query query = {
		.client = {.family = NETADDR_V4, .ip = {127, 0, 0, 1}},
		.recipient = to,
	};

	*targets = (struct targets){0};
	arena_init(&targets->arena, TARGETS_BYTES);
	if (!d->snapshot)
		return 0;
	route_expand(d->snapshot, d->config.route, &query, NULL, add_target, targets, &decision);
	if (decision.kind != ROUTE_ALIAS)
		targets->count = 0;
	return targets->arena.overflow ? ERR_NOMEM : 0;
}

int own_mail_add(
	struct delivery *d, struct span to, struct span text, uint32_t flags, uint64_t header_bytes)
{
	struct targets targets;
	struct envelope_rcpt itself = {.address = to, .notify = NOTIFY_NEVER};

	int err = find_targets(d, to, &targets);
	struct envelope envelope = {
		.arrived_ms = delivery_now(d),
		.helo = d->config.config->hostname,
		.protocol = SPAN("local"),
		.flags = flags | ENVELOPE_DSN,
		.header_bytes = header_bytes,
		.rcpts = targets.count ? targets.rcpts : &itself,
		.rcpt_count = targets.count ? targets.count : 1,
	};
	if (!err)
		err = spool_store_add(d->store, &envelope, text);
	arena_reset(&targets.arena);
	return err;
}

int own_mail_send(struct delivery *d, struct span to, struct span text)
{
	static const char end[] = "\r\n\r\n";
	const char *empty_line = memmem(text.p, text.n, end, sizeof(end) - 1);
	uint64_t header_bytes =
		empty_line ? (uint64_t)(empty_line - text.p) + sizeof(end) - 1 : text.n;
	int err = own_mail_add(d, to, text, ENVELOPE_TLS_OPTIONAL, header_bytes);

	if (!err)
		(void)owed_new(d, 0, text.n);
	return err;
}
