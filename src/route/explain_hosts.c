/* What the DNS says of the next hop: written in delivery, read in admin. */
#include "directory/node.h"
#include "route/explain.h"
#include "route/refuse.h"

#include "base/text.h"

#define HOSTS_ARENA   (1u << 20) /* one answer while it is read */
#define HOSTS_PROBLEM 1024
#define HOSTS_PHRASE  600 /* bytes of one host's addresses in a sentence */

/* ---- delivery's side ------------------------------------------------------------------------ */

static void put_host(const struct mx_result *result, uint32_t at, struct json_write *json)
{
	struct buf text;

	json_open_object(json, NULL);
	json_put_string(json, "name", result->hosts[at].name);
	json_put_u64(json, "preference", result->hosts[at].preference);
	json_open_array(json, "addresses");
	for (uint32_t i = 0; i < result->address_count; i++) {
		if (result->addresses[i].host != at)
			continue;
		buf_init(&text, 64);
		netaddr_add_ip(&text, &result->addresses[i].address);
		json_put_string(json, NULL, buf_span(&text));
		buf_done(&text);
	}
	json_close_array(json);
	json_close_object(json);
}

static void put_verdict(const char *key, const struct verdict *v, struct json_write *json)
{
	char text[24];
	struct buf enhanced = {.p = text, .room = sizeof(text), .bound = sizeof(text)};

	buf_printf(
		&enhanced, "%u.%u.%u", v->enhanced.class, v->enhanced.subject, v->enhanced.detail);
	json_open_object(json, key);
	json_put_bool(json, "temporary", v->kind == VERDICT_TEMPORARY);
	json_put_u64(json, "code", v->code);
	json_put_string(json, "enhanced", buf_span(&enhanced));
	json_put_string(json, "text", verdict_text(v));
	json_close_object(json);
}

void explain_put_hosts(const struct mx_result *result, struct json_write *json)
{
	if (result->verdict.kind != VERDICT_OK) {
		put_verdict("refused", &result->verdict, json);
		return;
	}
	json_open_array(json, "hosts");
	for (uint32_t i = 0; i < result->host_count; i++)
		put_host(result, i, json);
	json_close_array(json);
	json_put_u64(json, "ttl", result->ttl_s);
}

void explain_put_down(const struct explain_down *down, struct json_write *json)
{
	if (!down->since_ms)
		return;
	json_open_object(json, "down");
	json_put_time(json, "since", down->since_ms);
	json_put_time(json, "next_probe", down->next_probe_ms);
	json_put_bool(json, "probing", down->probing);
	if (down->failed)
		put_verdict("last_failure", &down->last, json);
	json_close_object(json);
}

/* ---- admin's side --------------------------------------------------------------------------- */

static struct span text_of(const struct node *map, const char *key)
{
	const struct node *node = map ? node_get(map, key) : NULL;

	return node ? node->text : SPAN_NONE;
}

static void add_hops(struct explain *explain, const struct node *host)
{
	const struct node *addresses = node_get(host, "addresses");

	for (const struct node *a = addresses ? addresses->first : NULL; a; a = a->next) {
		if (explain->hops.count == MX_ADDRESSES ||
			netaddr_parse_ip(a->text, &explain->addresses[explain->hops.count]) < 0) {
			/* What cannot be told for sure gives no right. */
			explain->hops.known = false;
			return;
		}
		explain->hops.count++;
	}
}

/* Known are the addresses, or that there are none for good. */
static void read_hops(struct explain *explain, const struct node *root)
{
	const struct node *hosts = node_get(root, "hosts"), *refused = node_get(root, "refused");

	if (hosts && hosts->kind == NODE_LIST) {
		explain->hops.known = true;
		for (const struct node *host = hosts->first; host; host = host->next)
			add_hops(explain, host);
	} else if (refused && refused->kind == NODE_MAP) {
		explain->hops.known = span_equal(text_of(refused, "temporary"), SPAN("false"));
	}
}

void explain_read_hops(struct explain *explain, struct span json)
{
	struct buf said;
	struct problems problems = {.out = &said};
	struct arena arena;
	struct node *root = NULL;

	explain->hops = (struct route_hops){.addresses = explain->addresses};
	explain->query.hops = &explain->hops;
	arena_init(&arena, HOSTS_ARENA);
	buf_init(&said, HOSTS_PROBLEM);
	if (node_read_json(json, &arena, &problems, &root) == 0 && root->kind == NODE_MAP)
		read_hops(explain, root);
	buf_done(&said);
	arena_reset(&arena);
}

static void say_host(struct explain *explain, const struct node *host, uint32_t at)
{
	const struct node *addresses = node_get(host, "addresses");
	bool fixed = explain->decision.transport.host.n > 0;
	struct buf list;

	buf_init(&list, HOSTS_PHRASE);
	for (const struct node *a = addresses ? addresses->first : NULL; a; a = a->next) {
		if (list.n)
			buf_add_str(&list, ", ");
		buf_add_span(&list, a->text);
	}
	route_trail_add(&explain->trail, "host", at ? "next" : "first", "%.*s%s%.*s: %.*s.",
		SHOWN(text_of(host, "name")), fixed ? "" : ", preference ",
		SHOWN(fixed ? SPAN_NONE : text_of(host, "preference")), SHOWN(buf_span(&list)));
	buf_done(&list);
}

static void say_hosts(struct explain *explain, const struct node *hosts)
{
	uint32_t at = 0;

	for (const struct node *host = hosts->first; host && at < EXPLAIN_HOSTS; host = host->next)
		say_host(explain, host, at++);
	if (hosts->count > EXPLAIN_HOSTS)
		route_trail_add(&explain->trail, "host", "next", "and %u more.",
			hosts->count - EXPLAIN_HOSTS);
}

static bool read_verdict(const struct node *map, struct verdict *out)
{
	struct span enhanced = text_of(map, "enhanced");
	uint64_t code = 0, subject = 0, detail = 0;
	size_t dot = span_find(enhanced, '.');
	struct span rest = span_skip(enhanced, dot + 1);

	dot = span_find(rest, '.');
	if (text_parse_u64(text_of(map, "code"), 599, &code) < 0 ||
		text_parse_u64(span_of(rest.p, dot), 999, &subject) < 0 ||
		text_parse_u64(span_skip(rest, dot + 1), 999, &detail) < 0)
		return false;
	/* Whole, as far as a verdict goes: SHOWN() is for names. */
	struct span text = text_of(map, "text");
	route_verdict(out, (uint16_t)code, (uint16_t)subject, (uint16_t)detail, "%.*s", (int)text.n,
		text.n ? text.p : "");
	return true;
}

static void say_refused(struct explain *explain, const struct node *refused)
{
	if (read_verdict(refused, &explain->way))
		route_trail_add(&explain->trail, "dns",
			explain->way.kind == VERDICT_TEMPORARY ? "waits" : "bounces",
			"%u %.*s %.*s.", explain->way.code, SHOWN(text_of(refused, "enhanced")),
			SHOWN(verdict_text(&explain->way)));
}

static void say_down(struct explain *explain, const struct node *node)
{
	struct explain_down *down = &explain->down;
	const struct node *last = node_get(node, "last_failure");
	struct buf words;

	if (text_parse_time(text_of(node, "since"), &down->since_ms) < 0 || down->since_ms <= 0) {
		*down = (struct explain_down){0};
		return;
	}
	if (text_parse_time(text_of(node, "next_probe"), &down->next_probe_ms) < 0)
		down->next_probe_ms = 0;
	down->probing = span_equal(text_of(node, "probing"), SPAN("true"));
	down->failed = last && last->kind == NODE_MAP && read_verdict(last, &down->last);
	buf_init(&words, HOSTS_PROBLEM);
	explain_add_down(&words, explain);
	route_trail_add(
		&explain->trail, "down", "waits", "%.*s.", (int)words.n, words.n ? words.p : "");
	buf_done(&words);
}

/* A fixed server that is an address needs no DNS, and what is wrong with it was said before. */
static void say_dns(struct explain *explain, struct span json, const struct node *root)
{
	const struct node *hosts = root ? node_get(root, "hosts") : NULL;
	const struct node *refused = root ? node_get(root, "refused") : NULL;
	struct netaddr address;

	if (hosts && hosts->kind == NODE_LIST) {
		if (netaddr_parse_ip(explain->decision.transport.host, &address) == 0)
			return;
		explain->hosts = json;
		say_hosts(explain, hosts);
	} else if (refused && refused->kind == NODE_MAP) {
		if (explain->way.kind == VERDICT_OK)
			say_refused(explain, refused);
	} else {
		struct span why = root ? text_of(root, "error") : SPAN("its answer cannot be read");

		route_trail_add(&explain->trail, "delivery", "unknown",
			"How the next hop does now is not known: %.*s.",
			SHOWN(why.n ? why : SPAN("delivery does not answer")));
	}
}

void explain_hosts(struct explain *explain, struct span json)
{
	struct buf said;
	struct problems problems = {.out = &said};
	struct arena arena;
	struct node *root = NULL;

	arena_init(&arena, HOSTS_ARENA);
	buf_init(&said, HOSTS_PROBLEM);
	int err = node_read_json(json, &arena, &problems, &root);
	const struct node *down = err ? NULL : node_get(root, "down");

	say_dns(explain, json, err ? NULL : root);
	if (down && down->kind == NODE_MAP)
		say_down(explain, down);
	buf_done(&said);
	arena_reset(&arena);
}
