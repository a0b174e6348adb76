#include "role/hops_message.h"

#include "base/cursor.h"
#include "base/err.h"
#include "base/json_write.h"

#include <jansson.h>

#define KEEP_REFUSED_S 60 /* what the DNS says there is not */

void hops_put_query(struct buf *out, struct span transport, struct span domain)
{
	buf_put_bytes16(out, transport);
	buf_put_bytes16(out, domain);
}

int hops_get_query(struct span bytes, struct span *transport, struct span *domain)
{
	struct cursor in = cursor_of(bytes);
	struct span t = cursor_bytes16(&in), d = cursor_bytes16(&in);

	if (!cursor_ok(&in) || cursor_left(&in) || !t.n || t.n > HOPS_TRANSPORT ||
		d.n > HOPS_DOMAIN)
		return ERR_CORRUPT;
	*transport = t;
	*domain = d;
	return 0;
}

void hops_put_reply(struct buf *out, const struct hops_reply *reply)
{
	buf_put_u8(out, reply->known);
	buf_put_u32(out, reply->ttl_s);
	for (uint32_t i = 0; i < reply->count; i++) {
		buf_put_u8(out, reply->addresses[i].family);
		buf_add(out, reply->addresses[i].ip, sizeof(reply->addresses[i].ip));
	}
}

int hops_get_reply(struct span bytes, struct hops_reply *out)
{
	struct cursor in = cursor_of(bytes);

	*out = (struct hops_reply){.known = cursor_u8(&in) == 1};
	out->ttl_s = cursor_u32(&in);
	while (cursor_left(&in) && out->count < HOPS_ADDRESSES) {
		struct netaddr *a = &out->addresses[out->count++];
		a->family = cursor_u8(&in);
		struct span ip = cursor_bytes(&in, sizeof(a->ip));
		if (!cursor_ok(&in) || (a->family != NETADDR_V4 && a->family != NETADDR_V6))
			return ERR_CORRUPT;
		memcpy(a->ip, ip.p, ip.n);
	}
	return cursor_ok(&in) && !cursor_left(&in) ? 0 : ERR_CORRUPT;
}

/* ---- delivery's words ----------------------------------------------------------------------- */

static void add_host(const json_t *host, struct hops_reply *out)
{
	const json_t *list = json_object_get(host, "addresses");
	const json_t *one;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		one = json_array_get(list, i);
		if (out->count < HOPS_ADDRESSES && json_is_string(one) &&
			netaddr_parse_ip(
				span_str(json_string_value(one)), &out->addresses[out->count]) == 0)
			out->count++;
	}
}

void hops_from_json(struct span text, struct hops_reply *out)
{
	json_error_t error;
	json_t *json = json_loadb(text.p, text.n, 0, &error);
	const json_t *hosts = json_object_get(json, "hosts");
	const json_t *refused = json_object_get(json, "refused");
	size_t i;

	*out = (struct hops_reply){.known = false};
	if (json_is_array(hosts)) {
		out->known = true;
		out->ttl_s = (uint32_t)json_integer_value(json_object_get(json, "ttl"));
		for (i = 0; i < json_array_size(hosts); i++)
			add_host(json_array_get(hosts, i), out);
	} else if (json_is_false(json_object_get(refused, "temporary"))) {
		out->known = true;
		out->ttl_s = KEEP_REFUSED_S;
	}
	json_decref(json);
}

void hops_add_request(struct buf *out, struct span transport, struct span domain)
{
	struct json_write json;

	json_write_init(&json, out);
	json_open_object(&json, NULL);
	json_put_str(&json, "op", "hosts");
	json_put_string(&json, "transport", transport);
	json_put_string(&json, "domain", domain);
	json_close_object(&json);
}
