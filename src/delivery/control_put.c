/* Messages as replies show them. */
#include "delivery/control.h"

#include "base/check.h"
#include "delivery/why_text.h"

void control_put_verdict(struct json_write *json, const char *key, const struct verdict *verdict)
{
	struct buf text;

	buf_init(&text, 4096);
	why_add_verdict(&text, verdict);
	json_put_string(json, key, buf_span(&text));
	buf_done(&text);
}

static void put_recipients(struct control *c, const struct queue_unit_info *unit,
	const uint32_t *rcpts, uint32_t count, uint32_t most)
{
	json_open_array(&c->json, "recipients");
	for (uint32_t i = 0; i < count && i < most; i++)
		if (c->envelope_id == unit->id && rcpts[i] < c->envelope.rcpt_count)
			json_put_string(&c->json, NULL, c->envelope.rcpts[rcpts[i]].address);
	json_close_array(&c->json);
	json_put_u64(&c->json, "recipient_count", count);
	if (count < unit->rcpt_count)
		json_put_u64(&c->json, "other_recipients", unit->rcpt_count - count);
}

static void put_why(struct control *c, const struct queue_unit_info *unit)
{
	struct queue_why why;
	struct buf text;

	if (queue_why(c->d->queue, unit->unit, delivery_now(c->d), &why))
		return;
	buf_init(&text, 8192);
	why_text(&why, unit->transport, unit->next_hop, &text);
	json_put_str(&c->json, "blocker", why_kind_name(why.kind));
	json_put_string(&c->json, "why", buf_span(&text));
	if (why.since_ms)
		json_put_time(&c->json, "since", why.since_ms);
	if (why.until_ms)
		json_put_time(&c->json, "until", why.until_ms);
	if (why.own_until_ms)
		json_put_time(&c->json, "own_retry", why.own_until_ms);
	if (why.behind)
		json_put_u64(&c->json, "behind", why.behind);
	if (why.behind_more)
		json_put_bool(&c->json, "behind_more", true);
	if (why.has_verdict)
		control_put_verdict(&c->json, "last_reply", &why.verdict);
	buf_done(&text);
}

void control_put_unit(struct control *c, const struct queue_unit_info *unit, const uint32_t *rcpts,
	uint32_t count, uint32_t most)
{
	json_open_object(&c->json, NULL);
	json_put_str(&c->json, "state", queue_state_name(unit->state));
	json_put_string(&c->json, "transport", unit->transport);
	if (unit->next_hop.n)
		json_put_string(&c->json, "next_hop", unit->next_hop);
	if (unit->reroute.n)
		json_put_string(&c->json, "rerouted_to", unit->reroute);
	put_recipients(c, unit, rcpts, count, most);
	json_put_u64(&c->json, "attempts", unit->attempts);
	json_put_bool(&c->json, "priority", unit->priority);
	if (unit->next_try_ms)
		json_put_time(&c->json, "next_try", unit->next_try_ms);
	if (unit->give_up_ms)
		json_put_time(&c->json, "gives_up", unit->give_up_ms);
	put_why(c, unit);
	json_close_object(&c->json);
}

void control_put_message_head(struct control *c, const struct queue_message_info *info)
{
	json_put_id(&c->json, "id", info->id);
	json_put_time(&c->json, "arrived", info->arrived_ms);
	json_put_u64(
		&c->json, "age_s", (uint64_t)MAX(0, delivery_now(c->d) - info->arrived_ms) / 1000);
	json_put_u64(&c->json, "size", info->size);
	if (control_envelope(c, info->id)) {
		json_put_str(&c->json, "problem", "its envelope cannot be read from the spool");
		return;
	}
	json_put_string(&c->json, "sender", c->envelope.sender);
	if (c->envelope.client.family != NETADDR_NONE) {
		struct buf text;

		buf_init(&text, 128);
		netaddr_add_ip(&text, &c->envelope.client);
		json_put_string(&c->json, "client", buf_span(&text));
		buf_done(&text);
	}
	if (c->envelope.user.n)
		json_put_string(&c->json, "user", c->envelope.user);
}

/* No queue has it, so it has a place of its own. */
void control_put_damaged(struct control *c, const struct damaged *damaged)
{
	struct buf text;

	buf_init(&text, 1024);
	buf_add_str(&text, damaged->what);
	if (damaged->path[0])
		buf_printf(&text, " (%s at byte %llu)", damaged->path,
			(unsigned long long)damaged->offset);
	buf_add_str(&text, "; it stays in the spool for a person to look at, until it is deleted");
	json_open_object(&c->json, NULL);
	json_put_id(&c->json, "id", damaged->id);
	json_put_str(&c->json, "problem", damaged->what);
	json_open_array(&c->json, "units");
	json_open_object(&c->json, NULL);
	json_put_str(&c->json, "state", CONTROL_DAMAGED);
	json_open_array(&c->json, "recipients");
	json_close_array(&c->json);
	json_put_str(&c->json, "blocker", CONTROL_DAMAGED);
	json_put_string(&c->json, "why", buf_span(&text));
	json_close_object(&c->json);
	json_close_array(&c->json);
	json_close_object(&c->json);
	buf_done(&text);
}
