#include "delivery/why_text.h"

#include "base/text.h"

#define WHY_SHOWN 400 /* bytes of a peer's text or a person's reason that are shown */

const char *why_kind_name(enum queue_why_kind kind)
{
	switch (kind) {
	case QUEUE_WHY_READY: return "ready";
	case QUEUE_WHY_LIMIT_DESTINATION: return "limit-destination";
	case QUEUE_WHY_LIMIT_RATE: return "limit-rate";
	case QUEUE_WHY_LIMIT_HOST: return "limit-host";
	case QUEUE_WHY_LIMIT_LOOKED_UP: return "limit-lookup-mx";
	case QUEUE_WHY_LIMIT_NULL: return "limit-null-sender";
	case QUEUE_WHY_LIMIT_ALL: return "limit-all";
	case QUEUE_WHY_SHORTAGE: return "shortage";
	case QUEUE_WHY_ACTIVE: return "active";
	case QUEUE_WHY_DNS: return "dns";
	case QUEUE_WHY_DEFERRED: return "deferred";
	case QUEUE_WHY_DOWN: return "down";
	case QUEUE_WHY_PAUSED_ALL: return "paused-all";
	case QUEUE_WHY_PAUSED_TRANSPORT: return "paused-transport";
	case QUEUE_WHY_PAUSED_DOMAIN: return "paused-domain";
	case QUEUE_WHY_HELD: return "held";
	case QUEUE_WHY_MEMORY: return "memory";
	}
	return "unknown";
}

void why_add_verdict(struct buf *out, const struct verdict *verdict)
{
	buf_add_u64(out, verdict->code);
	if (verdict->enhanced.class)
		buf_printf(out, " %u.%u.%u", verdict->enhanced.class, verdict->enhanced.subject,
			verdict->enhanced.detail);
	if (verdict->length) {
		buf_add_char(out, ' ');
		buf_add_escaped(out, verdict_text(verdict), WHY_SHOWN);
	}
}

static void add_last(struct buf *out, const struct queue_why *why)
{
	if (!why->has_verdict)
		return;
	buf_add_str(out, why->verdict.remote ? "; it said: " : "; reason: ");
	why_add_verdict(out, &why->verdict);
}

static void add_destination(struct buf *out, struct span transport, struct span next_hop)
{
	if (next_hop.n) {
		buf_add_span(out, next_hop);
		buf_add_str(out, " by transport ");
	} else {
		buf_add_str(out, "transport ");
	}
	buf_add_span(out, transport);
}

static void add_since(struct buf *out, const char *before, int64_t wall_ms)
{
	if (!wall_ms)
		return;
	buf_add_str(out, before);
	text_add_time(out, wall_ms);
}

static void add_behind(struct buf *out, const struct queue_why *why)
{
	if (why->behind)
		buf_printf(out, ", behind %s%u %s", why->behind_more ? "at least " : "",
			why->behind, why->behind == 1 ? "other" : "others");
}

static void add_who(struct buf *out, const struct queue_why *why)
{
	if (why->by.n) {
		buf_add_str(out, " by ");
		buf_add_escaped(out, why->by, WHY_SHOWN);
	}
	add_since(out, " since ", why->since_ms);
	if (why->reason.n) {
		buf_add_str(out, ": ");
		buf_add_escaped(out, why->reason, WHY_SHOWN);
	}
}

static void add_down(
	struct buf *out, const struct queue_why *why, struct span transport, struct span next_hop)
{
	buf_add_str(out, "its destination, ");
	add_destination(out, transport, next_hop);
	buf_add_str(out, ", is down");
	add_since(out, " since ", why->since_ms);
	if (why->probing)
		buf_add_str(out, "; it is being probed right now");
	else
		add_since(out, "; next probe at ", why->until_ms);
	add_last(out, why);
}

void why_text(
	const struct queue_why *why, struct span transport, struct span next_hop, struct buf *out)
{
	switch (why->kind) {
	case QUEUE_WHY_READY:
		buf_add_str(out, "ready: starts as soon as a connection is free");
		add_behind(out, why);
		break;
	case QUEUE_WHY_LIMIT_DESTINATION:
		buf_add_str(out, "waits for ");
		add_destination(out, transport, next_hop);
		buf_printf(out, ", which may have %u deliveries at a time", why->limit);
		add_behind(out, why);
		break;
	case QUEUE_WHY_LIMIT_RATE:
		buf_printf(out, "waits for the rate limit of %u a minute of ", why->limit);
		add_destination(out, transport, next_hop);
		add_since(out, "; the next starts at ", why->until_ms);
		add_behind(out, why);
		break;
	case QUEUE_WHY_LIMIT_ALL:
		buf_printf(out,
			"waits for one of all %u outbound connections (limits: "
			"outbound-connections)",
			why->limit);
		add_behind(out, why);
		break;
	case QUEUE_WHY_LIMIT_HOST:
		buf_add_str(out, "waits for a session to a host of ");
		add_destination(out, transport, next_hop);
		buf_printf(out,
			", which has the %u that one host may have (an eighth of limits: "
			"outbound-connections)",
			why->limit);
		add_since(out, "; tried again at ", why->until_ms);
		add_behind(out, why);
		break;
	case QUEUE_WHY_LIMIT_LOOKED_UP:
		buf_printf(out,
			"waits for one of the %u outbound connections that mail by lookup-mx may "
			"have (the rest of limits: outbound-connections is kept for fixed servers "
			"and mailboxes)",
			why->limit);
		add_behind(out, why);
		break;
	case QUEUE_WHY_LIMIT_NULL:
		buf_printf(out,
			"waits for one of the %u outbound connections that notifications and other "
			"mail of the null sender may have by lookup-mx (a quarter of limits: "
			"outbound-connections)",
			why->limit);
		add_behind(out, why);
		break;
	case QUEUE_WHY_SHORTAGE:
		buf_add_str(out, "waits for resources of the mail gateway itself");
		add_since(out, ", since ", why->since_ms);
		add_since(out, "; tried again at ", why->until_ms);
		add_behind(out, why);
		add_last(out, why);
		break;
	case QUEUE_WHY_ACTIVE:
		buf_add_str(out, "being delivered");
		add_since(out, " since ", why->since_ms);
		break;
	case QUEUE_WHY_DNS:
		buf_add_str(out, "being delivered: waits for the DNS");
		add_since(out, " since ", why->since_ms);
		break;
	case QUEUE_WHY_DEFERRED:
		buf_printf(out, "deferred after attempt %u", why->attempts);
		add_since(out, "; next try at ", why->until_ms);
		add_last(out, why);
		break;
	case QUEUE_WHY_DOWN: add_down(out, why, transport, next_hop); break;
	case QUEUE_WHY_PAUSED_ALL:
		buf_add_str(out, "all deliveries are paused");
		add_who(out, why);
		break;
	case QUEUE_WHY_PAUSED_TRANSPORT:
		buf_add_str(out, "transport ");
		buf_add_span(out, transport);
		buf_add_str(out, " is paused");
		add_who(out, why);
		break;
	case QUEUE_WHY_PAUSED_DOMAIN:
		buf_add_str(out, "its domain is paused");
		add_who(out, why);
		break;
	case QUEUE_WHY_HELD:
		buf_add_str(out, "held");
		add_who(out, why);
		break;
	case QUEUE_WHY_MEMORY:
		buf_add_str(out, "memory is short; it is lined up as soon as there is some");
		break;
	}
}
