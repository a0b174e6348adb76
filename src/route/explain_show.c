#include "base/text.h"
#include "directory/retry_text.h"
#include "route/explain.h"
#include "route/refuse.h"

#define RETRY_PHRASE 512 /* bytes of a schedule's text */

/* What becomes of it once it is accepted, as things are. */
const char *explain_next(const struct explain *explain)
{
	if (explain->pause_count)
		return "paused";
	if (explain->way.kind == VERDICT_PERMANENT)
		return "bounces";
	if (explain->down.since_ms)
		return "waits";
	return explain->way.kind == VERDICT_TEMPORARY ? "waits" : "delivered";
}

static void add_verdict(struct buf *out, const struct verdict *v)
{
	buf_printf(out, "%u %u.%u.%u ", v->code, v->enhanced.class, v->enhanced.subject,
		v->enhanced.detail);
	buf_add_escaped(out, verdict_text(v), VERDICT_TEXT);
}

void explain_add_down(struct buf *out, const struct explain *explain)
{
	const struct explain_down *down = &explain->down;
	const struct transport *t = &explain->decision.transport;

	buf_add_str(out, "transport ");
	buf_add_span(out, t->name);
	if (!t->host.n) {
		buf_add_str(out, " to ");
		buf_add_span(out, explain->decision.domain);
	}
	buf_add_str(out, " is down since ");
	text_add_time(out, down->since_ms);
	if (down->probing) {
		buf_add_str(out, ", and being probed right now");
	} else if (down->next_probe_ms) {
		buf_add_str(out, ", next probe at ");
		text_add_time(out, down->next_probe_ms);
	}
	if (down->failed) {
		buf_add_str(out, "; it last failed with ");
		add_verdict(out, &down->last);
	}
}

/* "kept in the queue while the domain is paused, then " */
static void add_pauses(struct buf *out, const struct explain *explain)
{
	for (uint32_t i = 0; i < explain->pause_count; i++) {
		const char *what = explain->pauses[i].what;

		buf_add_str(out, i == 0				? "kept in the queue while "
				 : i + 1 < explain->pause_count ? ", "
								: " and ");
		buf_printf(out, "%s%s", *what == 'e' ? "" : "the ", what);
	}
	if (explain->pause_count)
		buf_printf(out, " %s paused, then ", explain->pause_count > 1 ? "are" : "is");
}

static void add_outcome(struct buf *out, const struct explain *explain)
{
	const struct route_decision *d = &explain->decision;

	if (d->kind == ROUTE_REFUSED) {
		buf_add_str(out, d->verdict.kind == VERDICT_TEMPORARY ? "refused for now: "
				 : explain->login_refused	      ? "refused at AUTH: "
								      : "refused: ");
		add_verdict(out, &d->verdict);
		return;
	}
	if (d->kind == ROUTE_ASK) {
		buf_add_str(out, "depends on the next hops of ");
		buf_add_span(out, d->domain);
		return;
	}
	buf_add_str(out, "accepted, and ");
	add_pauses(out, explain);
	if (d->kind == ROUTE_ALIAS) {
		buf_printf(out, "sent to %u addresses that the alias means", explain->target_count);
	} else if (d->kind == ROUTE_MAILBOX) {
		buf_add_str(out, "delivered into the mailbox ");
		buf_add_span(out, d->account.address);
	} else if (explain->down.since_ms && explain->way.kind != VERDICT_PERMANENT) {
		buf_add_str(out, "waits: ");
		explain_add_down(out, explain);
	} else if (explain->way.kind == VERDICT_OK) {
		buf_add_str(out, "sent by transport ");
		buf_add_span(out, d->transport.name);
	} else {
		buf_add_str(out, explain->way.kind == VERDICT_PERMANENT
					 ? "given up at once: "
					 : "kept in the queue for as long as this lasts: ");
		add_verdict(out, &explain->way);
	}
}

void explain_text(const struct explain *explain, struct buf *out)
{
	const struct route_trail *trail = &explain->trail;

	for (uint32_t i = 0; i < trail->count; i++) {
		const struct route_step *step = &trail->steps[i];

		buf_printf(out, "%-10s %-9s  ", step->rule, step->result);
		buf_add_span(out, step->text);
		buf_add_char(out, '\n');
	}
	if (trail->cut)
		buf_add_str(out, "(some of it was too long to be shown)\n");
	buf_add_str(out, "outcome    ");
	add_outcome(out, explain);
	buf_add_char(out, '\n');
}

static void show_verdict(const char *key, const struct verdict *v, struct json_write *out)
{
	char code[24];
	struct buf text;

	buf_init(&text, sizeof(code));
	buf_printf(&text, "%u.%u.%u", v->enhanced.class, v->enhanced.subject, v->enhanced.detail);
	json_open_object(out, key);
	json_put_bool(out, "temporary", v->kind == VERDICT_TEMPORARY);
	json_put_u64(out, "code", v->code);
	json_put_string(out, "enhanced", buf_span(&text));
	json_put_string(out, "text", verdict_text(v));
	json_close_object(out);
	buf_done(&text);
}

static void show_retry(const struct transport *t, struct json_write *out)
{
	struct buf text;

	buf_init(&text, RETRY_PHRASE);
	json_open_object(out, "retry");
	json_put_string(out, "delay", t->retry_text);
	json_put_u64(out, "count", t->retry_count);
	json_put_u64(out, "total_seconds", retry_total_s(t->retry, t->retry_steps, t->retry_count));
	retry_add_total(&text, t->retry, t->retry_steps, t->retry_count);
	json_put_string(out, "total", buf_span(&text));
	json_put_str(out, "give_up", t->give_up == GIVE_UP_DSN ? "dsn" : "discard");
	json_close_object(out);
	buf_done(&text);
}

static void show_transport(const struct transport *t, struct json_write *out)
{
	json_open_object(out, "transport");
	json_put_string(out, "name", t->name);
	if (t->host.n)
		json_put_string(out, "host", t->host);
	else
		json_put_bool(out, "lookup_mx", true);
	json_put_u64(out, "port", t->port);
	if (t->zone.n)
		json_put_string(out, "zone", t->zone);
	if (t->query.n)
		json_put_string(out, "query", t->query);
	json_put_bool(out, "private_hosts", t->private_hosts);
	show_retry(t, out);
	json_close_object(out);
}

static void show_steps(const struct route_trail *trail, struct json_write *out)
{
	json_open_array(out, "steps");
	for (uint32_t i = 0; i < trail->count; i++) {
		json_open_object(out, NULL);
		json_put_str(out, "rule", trail->steps[i].rule);
		json_put_str(out, "result", trail->steps[i].result);
		json_put_string(out, "text", trail->steps[i].text);
		json_close_object(out);
	}
	json_close_array(out);
}

static void show_pauses(const struct explain *explain, struct json_write *out)
{
	json_open_array(out, "pauses");
	for (uint32_t i = 0; i < explain->pause_count; i++) {
		const struct explain_pause *p = &explain->pauses[i];

		json_open_object(out, NULL);
		json_put_str(out, "what", p->what);
		json_put_time(out, "since", p->pause.since_ms);
		json_put_string(out, "by", p->pause.by);
		json_put_string(out, "reason", p->pause.reason);
		json_close_object(out);
	}
	json_close_array(out);
}

static void show_rule(const struct priority_rule *rule, struct json_write *out)
{
	json_open_object(out, "priority");
	if (rule->sender.n)
		json_put_string(out, "sender", rule->sender);
	if (rule->recipient.n)
		json_put_string(out, "recipient", rule->recipient);
	if (rule->domain.n)
		json_put_string(out, "domain", rule->domain);
	if (rule->transport.n)
		json_put_string(out, "transport", rule->transport);
	if (rule->client.n)
		json_put_string(out, "client", rule->client);
	json_close_object(out);
}

/* All that belongs to a message that is taken in. */
static void show_way(const struct explain *explain, struct json_write *out)
{
	const struct route_decision *d = &explain->decision;

	json_put_str(out, "next", explain_next(explain));
	if (d->kind == ROUTE_MAILBOX)
		json_put_string(out, "mailbox", d->account.address);
	else if (d->kind == ROUTE_TRANSPORT)
		show_transport(&d->transport, out);
	if (explain->prioritised)
		show_rule(&explain->priority, out);
	else
		json_put_null(out, "priority");
	show_pauses(explain, out);
	explain_put_down(&explain->down, out);
	if (explain->way.kind != VERDICT_OK)
		show_verdict("failure", &explain->way, out);
	if (explain->hosts.n)
		json_put_raw(out, "dns", explain->hosts);
	json_open_array(out, "scans");
	json_close_array(out);
}

/* The addresses that an alias means in the end. */
static void show_targets(const struct explain *explain, struct json_write *out)
{
	json_open_array(out, "alias");
	for (uint32_t i = 0; i < explain->target_count && i < EXPLAIN_TARGETS; i++) {
		const struct explain_target *t = &explain->targets[i];

		json_open_object(out, NULL);
		json_put_string(out, "recipient", span_of(t->recipient, t->length));
		if (t->kind == ROUTE_TRANSPORT)
			json_put_string(out, "transport", t->transport);
		json_put_bool(out, "paused", t->paused);
		json_close_object(out);
	}
	json_close_array(out);
	json_put_u64(out, "alias_addresses", explain->target_count);
}

/* Of addresses that are such. */
static void show_addresses(const struct explain *explain, struct json_write *out)
{
	const struct route_decision *d = &explain->decision;

	json_put_string(out, "sender", explain->query.sender);
	json_put_string(out, "recipient", explain->query.recipient);
	if (!d->domain.n)
		return; /* the sender was refused */
	if (explain->alias)
		show_targets(explain, out);
	else if (!span_equal(d->recipient, explain->query.recipient))
		json_put_string(out, "means", d->recipient);
	json_put_string(out, "domain", d->domain);
	json_put_bool(out, "served", d->served);
}

void explain_json(const struct explain *explain, struct json_write *out)
{
	static const char *const outcomes[] = {[ROUTE_TRANSPORT] = "transport",
		[ROUTE_MAILBOX] = "mailbox",
		[ROUTE_ALIAS] = "alias",
		[ROUTE_ASK] = "unknown",
		[ROUTE_REFUSED] = "refused"};
	const struct route_decision *d = &explain->decision;
	struct buf client;

	buf_init(&client, 64);
	netaddr_add_ip(&client, &explain->query.client);
	json_put_str(out, "outcome", outcomes[d->kind]);
	json_put_string(out, "client", buf_span(&client));
	json_put_string(out, "listener", explain->query.listener);
	json_put_bool(out, "tls", explain->query.tls);
	if (explain->query.user.n)
		json_put_string(out, "user", explain->query.user);
	if (explain->parsed)
		show_addresses(explain, out);
	if (d->kind == ROUTE_REFUSED)
		show_verdict("refusal", &d->verdict, out);
	else if (d->kind != ROUTE_ASK)
		show_way(explain, out);
	show_steps(&explain->trail, out);
	buf_done(&client);
}
