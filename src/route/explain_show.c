#include "directory/retry_text.h"
#include "route/explain.h"

#define RETRY_PHRASE 512 /* bytes of a schedule's text */

static void add_codes(struct buf *out, const struct verdict *v)
{
	buf_printf(out, "%u %u.%u.%u", v->code, v->enhanced.class, v->enhanced.subject,
		v->enhanced.detail);
}

static void add_outcome(struct buf *out, const struct route_decision *d)
{
	switch (d->kind) {
	case ROUTE_TRANSPORT:
		buf_add_str(out, "accepted, and sent by transport ");
		buf_add_escaped(out, d->transport.name, d->transport.name.n);
		break;
	case ROUTE_MAILBOX:
		buf_add_str(out, "accepted, and delivered into the mailbox ");
		buf_add_escaped(out, d->account.address, d->account.address.n);
		break;
	case ROUTE_REFUSED:
		buf_add_str(out,
			d->verdict.kind == VERDICT_TEMPORARY ? "refused for now: " : "refused: ");
		add_codes(out, &d->verdict);
		buf_add_char(out, ' ');
		buf_add_escaped(out, verdict_text(&d->verdict), VERDICT_TEXT);
		break;
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
	add_outcome(out, &explain->decision);
	buf_add_char(out, '\n');
}

static void show_verdict(const struct verdict *v, struct json_write *out)
{
	char code[24];
	struct buf text;

	buf_init(&text, sizeof(code));
	buf_printf(&text, "%u.%u.%u", v->enhanced.class, v->enhanced.subject, v->enhanced.detail);
	json_put_u64(out, "code", v->code);
	json_put_string(out, "enhanced", buf_span(&text));
	json_put_string(out, "text", verdict_text(v));
	buf_done(&text);
}

static void show_retry(const struct transport *t, struct json_write *out)
{
	struct buf text;

	buf_init(&text, RETRY_PHRASE);
	json_open_object(out, "retry");
	retry_add(&text, t->retry, t->retry_steps);
	json_put_string(out, "delay", buf_span(&text));
	json_put_u64(out, "count", t->retry_count);
	json_put_u64(out, "total-seconds", retry_total_s(t->retry, t->retry_steps, t->retry_count));
	buf_clear(&text);
	retry_add_total(&text, t->retry, t->retry_steps, t->retry_count);
	json_put_string(out, "total", buf_span(&text));
	json_put_str(out, "give-up", t->give_up == GIVE_UP_DSN ? "dsn" : "discard");
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
		json_put_bool(out, "lookup-mx", true);
	json_put_u64(out, "port", t->port);
	if (t->zone.n)
		json_put_string(out, "zone", t->zone);
	if (t->query.n)
		json_put_string(out, "query", t->query);
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

void explain_json(const struct explain *explain, struct json_write *out)
{
	static const char *const outcomes[] = {"transport", "mailbox", "refused"};
	const struct route_decision *d = &explain->decision;
	struct buf client;

	buf_init(&client, 64);
	netaddr_add_ip(&client, &explain->query.client);
	json_open_object(out, NULL);
	json_put_str(out, "outcome", outcomes[d->kind]);
	json_put_string(out, "client", buf_span(&client));
	if (explain->parsed) {
		json_put_string(out, "sender", explain->query.sender);
		json_put_string(out, "recipient", explain->query.recipient);
		json_put_string(out, "domain", d->domain);
		json_put_bool(out, "served", d->served);
	}
	if (d->kind == ROUTE_REFUSED)
		show_verdict(&d->verdict, out);
	if (d->kind == ROUTE_MAILBOX)
		json_put_string(out, "mailbox", d->account.address);
	if (d->kind == ROUTE_TRANSPORT)
		show_transport(&d->transport, out);
	json_open_array(out, "scans");
	json_close_array(out);
	show_steps(&explain->trail, out);
	json_close_object(out);
	buf_done(&client);
}
