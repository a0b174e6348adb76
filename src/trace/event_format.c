#include "trace/event_format.h"

#include "base/check.h"
#include "base/json_write.h"
#include "base/text.h"

#define SHOWN_RCPTS 20	/* recipients in a line for people */
#define SHOWN_BYTES 300 /* of one peer text in a line for people */

static void put_address(
	struct json_write *json, const char *key, const struct netaddr *a, bool port)
{
	char memory[128];
	struct buf text = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	if (a->family == NETADDR_NONE)
		return;
	if (port)
		netaddr_add(&text, a);
	else
		netaddr_add_ip(&text, a);
	json_put_string(json, key, buf_span(&text));
}

static void put_span(struct json_write *json, const char *key, struct span value)
{
	if (value.n)
		json_put_string(json, key, value);
}

static void put_count(struct json_write *json, const char *key, uint64_t value)
{
	if (value)
		json_put_u64(json, key, value);
}

static void add_codes(struct buf *out, const struct verdict *verdict)
{
	buf_add_u64(out, verdict->code);
	if (!verdict->enhanced.class)
		return;
	buf_add_char(out, ' ');
	buf_add_u64(out, verdict->enhanced.class);
	buf_add_char(out, '.');
	buf_add_u64(out, verdict->enhanced.subject);
	buf_add_char(out, '.');
	buf_add_u64(out, verdict->enhanced.detail);
}

static void put_verdict(struct json_write *json, const struct verdict *verdict)
{
	char memory[VERDICT_TEXT + 64];
	struct buf text = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};

	add_codes(&text, verdict);
	buf_add_char(&text, ' ');
	buf_add_span(&text, verdict_text(verdict));
	json_put_string(json, verdict->remote ? "reply" : "reason", buf_span(&text));
}

void event_json(const struct event *e, struct buf *out)
{
	struct json_write json;

	json_write_init(&json, out);
	json_open_object(&json, NULL);
	json_put_str(&json, "event", event_name(e->kind));
	json_put_time(&json, "time", e->wall_ms);
	if (e->id)
		json_put_id(&json, "id", e->id);
	if (e->sender_known)
		json_put_string(&json, "sender", e->sender);
	if (e->recipient_count) {
		json_open_array(&json, "recipients");
		for (uint32_t i = 0; i < e->recipient_count; i++)
			json_put_string(&json, NULL, e->recipients[i]);
		json_close_array(&json);
	}
	put_address(&json, "client", &e->client, false);
	put_span(&json, "helo", e->helo);
	put_span(&json, "listener", e->listener);
	put_span(&json, "protocol", e->protocol);
	put_span(&json, "user", e->user);
	put_span(&json, "auth", e->auth);
	put_span(&json, "relay", e->relay);
	put_span(&json, "tls", e->tls);
	put_count(&json, "size", e->size);
	if (e->parent_id)
		json_put_id(&json, "about", e->parent_id);
	put_span(&json, "transport", e->transport);
	put_span(&json, "destination", e->destination);
	put_address(&json, "peer", &e->peer, true);
	put_count(&json, "attempt", e->attempt);
	put_count(&json, "more", e->more);
	if (e->verdict)
		put_verdict(&json, e->verdict);
	if (e->next_try_ms)
		json_put_time(&json, "next_try", e->next_try_ms);
	if (e->dsn_id)
		json_put_id(&json, "notification", e->dsn_id);
	put_count(&json, "session_us", e->session_us);
	put_count(&json, "receive_us", e->receive_us);
	put_count(&json, "commit_us", e->commit_us);
	put_count(&json, "queued_us", e->queued_us);
	put_count(&json, "attempt_us", e->attempt_us);
	put_span(&json, "action", e->action);
	put_span(&json, "actor", e->actor);
	put_span(&json, "why", e->reason);
	json_close_object(&json);
}

/* ---- for people ----------------------------------------------------------------------------- */

/* A character that a terminal shows and does not obey, nor turns the reading direction at: how many
 * bytes it has; 0: none. */
static size_t harmless(struct span in)
{
	size_t n = text_utf8_length(in);

	return n < 2 || text_hidden_length(in) ? 0 : n;
}

/* As buf_add_escaped(), but for letters of all the world. */
static void add_readable(struct buf *out, struct span value)
{
	struct span shown = span_of(value.p, MIN(value.n, SHOWN_BYTES));

	while (shown.n) {
		size_t n = harmless(shown);

		if (n)
			buf_add(out, shown.p, n);
		else
			buf_add_escaped(out, span_of(shown.p, 1), 1);
		shown = span_skip(shown, n ? n : 1);
	}
	if (value.n > SHOWN_BYTES)
		buf_add_str(out, "...");
}

/* Nobody's bytes may look like another field: in quotes, which are escaped within, if need be. */
static void add_field(struct buf *out, const char *name, struct span value)
{
	bool plain = true;

	if (!value.n)
		return;
	for (size_t i = 0; i < value.n && plain; i++)
		plain = !strchr(" =<>,", value.p[i]);
	buf_add_char(out, ' ');
	buf_add_str(out, name);
	buf_add_str(out, plain ? "=" : "=\"");
	add_readable(out, value);
	if (!plain)
		buf_add_char(out, '"');
}

static void add_mailbox(struct buf *out, const char *name, struct span value)
{
	buf_add_char(out, ' ');
	buf_add_str(out, name);
	buf_add(out, "=<", 2);
	/* A quoted local part may hold blanks and brackets (RFC 5321 section 4.1.2). */
	for (size_t i = 0, n; i < MIN(value.n, SHOWN_BYTES); i += n ? n : 1) {
		n = harmless(span_skip(value, i));
		if (n)
			buf_add(out, value.p + i, n);
		else if (strchr(" <>", value.p[i]) && value.p[i])
			buf_printf(out, "\\x%02x", (unsigned)value.p[i]);
		else
			buf_add_escaped(out, span_of(value.p + i, 1), 1);
	}
	buf_add_str(out, value.n > SHOWN_BYTES ? "...>" : ">");
}

static void add_address(struct buf *out, const char *name, const struct netaddr *a, bool port)
{
	if (a->family == NETADDR_NONE)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, name);
	buf_add_char(out, '=');
	if (port)
		netaddr_add(out, a);
	else
		netaddr_add_ip(out, a);
}

static void add_number(struct buf *out, const char *name, uint64_t value, const char *unit)
{
	if (!value)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, name);
	buf_add_char(out, '=');
	buf_add_u64(out, value);
	buf_add_str(out, unit);
}

static void add_time(struct buf *out, const char *name, uint64_t us)
{
	if (!us)
		return;
	buf_add_char(out, ' ');
	buf_add_str(out, name);
	buf_add_char(out, '=');
	text_add_us(out, us);
}

void event_text(const struct event *e, struct buf *out)
{
	buf_add_str(out, event_name(e->kind));
	if (e->id) {
		buf_add(out, " id=", 4);
		text_add_id(out, e->id);
	}
	if (e->sender_known)
		add_mailbox(out, "from", e->sender);
	for (uint32_t i = 0; i < e->recipient_count && i < SHOWN_RCPTS; i++)
		add_mailbox(out, "to", e->recipients[i]);
	if (e->recipient_count > SHOWN_RCPTS)
		add_number(out, "more", e->recipient_count - SHOWN_RCPTS, "");
	add_address(out, "client", &e->client, false);
	add_field(out, "helo", e->helo);
	add_field(out, "listener", e->listener);
	add_field(out, "user", e->user);
	add_field(out, "auth", e->auth);
	add_field(out, "relay", e->relay);
	add_field(out, "tls", e->tls);
	add_number(out, "size", e->size, "");
	add_field(out, "transport", e->transport);
	add_field(out, "destination", e->destination);
	add_address(out, "peer", &e->peer, true);
	add_number(out, "attempt", e->attempt, "");
	add_number(out, "more", e->more, " like this");
	add_time(out, "took", e->attempt_us);
	add_time(out, "queued", e->queued_us);
	add_time(out, "commit", e->commit_us);
	if (e->next_try_ms) {
		buf_add(out, " next=", 6);
		text_add_time(out, e->next_try_ms);
	}
	if (e->dsn_id) {
		buf_add(out, " notification=", 14);
		text_add_id(out, e->dsn_id);
	}
	if (e->parent_id) {
		buf_add(out, " about=", 7);
		text_add_id(out, e->parent_id);
	}
	add_field(out, "action", e->action);
	add_field(out, "by", e->actor);
	add_field(out, "why", e->reason);
	if (e->verdict) {
		buf_add_str(out, e->verdict->remote ? " reply=\"" : " reason=\"");
		add_codes(out, e->verdict);
		buf_add_char(out, ' ');
		buf_add_escaped(out, verdict_text(e->verdict), SHOWN_BYTES);
		buf_add_char(out, '"');
	}
}
