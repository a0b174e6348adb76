/*
 * The encoded envelope: a version byte, fixed fields, length-prefixed strings, recipients. Little
 * endian. A reader knows its own version and older ones; there is one so far.
 */
#include "codec/envelope.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"

#define ENVELOPE_VERSION 1
#define ENVELOPE_RCPT_MIN \
	5 /* bytes of the shortest encoded recipient: two lengths and a flag byte */

#define NOTIFY_ALL (NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY)

struct span envelope_domain(struct span address)
{
	/* A quoted local part may hold "@", a domain never does. */
	const char *at = address.n ? memrchr(address.p, '@', address.n) : NULL;

	if (!at)
		return SPAN_NONE;
	return span_skip(address, (size_t)(at - address.p) + 1);
}

static void put_netaddr(struct buf *buf, const struct netaddr *a)
{
	buf_put_u8(buf, a->family);
	if (a->family == NETADDR_NONE)
		return;
	buf_add(buf, a->ip, a->family == NETADDR_V4 ? 4 : 16);
	buf_put_u16(buf, a->port);
	buf_put_u32(buf, a->scope);
}

static int get_netaddr(struct cursor *c, struct netaddr *out)
{
	struct netaddr a = {.family = cursor_u8(c)};

	if (a.family != NETADDR_NONE) {
		if (a.family != NETADDR_V4 && a.family != NETADDR_V6)
			return ERR_CORRUPT;
		struct span ip = cursor_bytes(c, a.family == NETADDR_V4 ? 4 : 16);
		if (ip.n)
			memcpy(a.ip, ip.p, ip.n);
		a.port = cursor_u16(c);
		a.scope = cursor_u32(c);
	}
	*out = a;
	return 0;
}

void envelope_encode(struct buf *buf, const struct envelope *e)
{
	buf_put_u8(buf, ENVELOPE_VERSION);
	buf_put_u64(buf, e->id);
	buf_put_u64(buf, (uint64_t)e->arrived_ms);
	put_netaddr(buf, &e->client);
	buf_put_u8(buf, e->ret);
	buf_put_u32(buf, e->flags);
	buf_put_u16(buf, e->hops);
	buf_put_u64(buf, e->body_bytes);
	buf_put_u64(buf, e->header_bytes);
	buf_put_u64(buf, e->body_hash);
	buf_put_bytes16(buf, e->helo);
	buf_put_bytes16(buf, e->listener);
	buf_put_bytes16(buf, e->protocol);
	buf_put_bytes16(buf, e->user);
	buf_put_bytes16(buf, e->sender);
	buf_put_bytes16(buf, e->envid);
	buf_put_bytes32(buf, e->prepend);
	buf_put_u32(buf, e->rcpt_count);
	for (uint32_t i = 0; i < e->rcpt_count; i++) {
		const struct envelope_rcpt *rcpt = &e->rcpts[i];
		buf_put_bytes16(buf, rcpt->address);
		buf_put_bytes16(buf, rcpt->orcpt);
		buf_put_u8(buf, rcpt->notify);
	}
}

static bool notify_valid(uint8_t notify)
{
	/* RFC 3461 section 4.1: NEVER stands alone. */
	return (notify & ~NOTIFY_ALL) == 0 && (!(notify & NOTIFY_NEVER) || notify == NOTIFY_NEVER);
}

static int get_rcpts(struct cursor *c, struct arena *arena, struct envelope *e)
{
	/* Memory is taken only for recipients whose bytes can be there. */
	if (e->rcpt_count > cursor_left(c) / ENVELOPE_RCPT_MIN)
		return ERR_CORRUPT;
	e->rcpts = arena_alloc(arena, e->rcpt_count * sizeof(*e->rcpts));
	if (!e->rcpts)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < e->rcpt_count; i++) {
		struct envelope_rcpt *rcpt = &e->rcpts[i];
		rcpt->address = cursor_bytes16(c);
		rcpt->orcpt = cursor_bytes16(c);
		rcpt->notify = cursor_u8(c);
		if (!notify_valid(rcpt->notify))
			return ERR_CORRUPT;
	}
	return 0;
}

int envelope_decode(struct span in, struct arena *arena, struct envelope *out)
{
	struct cursor c = cursor_of(in);
	struct envelope e = {0};

	if (in.n > ENVELOPE_BYTES || cursor_u8(&c) != ENVELOPE_VERSION)
		return ERR_CORRUPT;
	e.id = cursor_u64(&c);
	e.arrived_ms = (int64_t)cursor_u64(&c);
	if (get_netaddr(&c, &e.client) != 0)
		return ERR_CORRUPT;
	e.ret = cursor_u8(&c);
	e.flags = cursor_u32(&c);
	e.hops = cursor_u16(&c);
	e.body_bytes = cursor_u64(&c);
	e.header_bytes = cursor_u64(&c);
	e.body_hash = cursor_u64(&c);
	e.helo = cursor_bytes16(&c);
	e.listener = cursor_bytes16(&c);
	e.protocol = cursor_bytes16(&c);
	e.user = cursor_bytes16(&c);
	e.sender = cursor_bytes16(&c);
	e.envid = cursor_bytes16(&c);
	e.prepend = cursor_bytes32(&c);
	e.rcpt_count = cursor_u32(&c);
	if (!cursor_ok(&c) || e.ret > RETURN_HEADERS || e.header_bytes > e.body_bytes)
		return ERR_CORRUPT;
	int err = get_rcpts(&c, arena, &e);
	if (err)
		return err;
	if (!cursor_ok(&c) || cursor_left(&c))
		return ERR_CORRUPT;
	*out = e;
	return 0;
}
