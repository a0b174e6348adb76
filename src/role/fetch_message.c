#include "role/fetch_message.h"

#include "base/check.h"
#include "base/cursor.h"
#include "base/err.h"

#define TYPE_BYTES   256
#define DETAIL_BYTES 1024

void fetch_put_query(struct buf *out, const struct fetch_query *query)
{
	buf_put_bytes16(out, query->url);
	buf_put_u8(out, query->private_hosts);
	buf_put_bytes16(out, query->content_type);
	buf_put_u8(out, (uint8_t)query->address_count);
	for (uint32_t i = 0; i < query->address_count; i++) {
		buf_put_u8(out, query->addresses[i].family);
		buf_add(out, query->addresses[i].ip, sizeof(query->addresses[i].ip));
	}
	buf_put_bytes32(out, query->body);
}

int fetch_get_query(struct span bytes, struct fetch_request *out)
{
	struct cursor in = cursor_of(bytes);
	struct fetch_query *query = &out->query;

	*out = (struct fetch_request){.query.addresses = out->addresses};
	query->url = cursor_bytes16(&in);
	query->private_hosts = cursor_u8(&in) != 0;
	query->content_type = cursor_bytes16(&in);
	query->address_count = cursor_u8(&in);
	if (!cursor_ok(&in) || query->url.n > FETCH_URL || query->content_type.n > TYPE_BYTES ||
		query->address_count > FETCH_ADDRESSES)
		return ERR_CORRUPT;
	for (uint32_t i = 0; i < query->address_count; i++) {
		struct netaddr *address = &out->addresses[i];

		address->family = cursor_u8(&in);
		struct span ip = cursor_bytes(&in, sizeof(address->ip));
		if (!cursor_ok(&in) ||
			(address->family != NETADDR_V4 && address->family != NETADDR_V6))
			return ERR_CORRUPT;
		memcpy(address->ip, ip.p, ip.n);
	}
	query->body = cursor_bytes32(&in);
	return cursor_ok(&in) && !cursor_left(&in) && query->body.n <= FETCH_SEND ? 0 : ERR_CORRUPT;
}

void fetch_put_answer(struct buf *out, const struct fetch_answer *answer)
{
	buf_put_u8(out, (uint8_t)answer->result);
	buf_put_u32(out, answer->status);
	buf_put_bytes16(
		out, span_of(answer->content_type.p, MIN(answer->content_type.n, TYPE_BYTES)));
	buf_put_bytes16(out, span_of(answer->detail.p, MIN(answer->detail.n, DETAIL_BYTES)));
	buf_put_bytes32(out, answer->body);
}

int fetch_get_answer(struct span bytes, struct fetch_answer *out)
{
	struct cursor in = cursor_of(bytes);
	uint8_t result = cursor_u8(&in);

	/* One after the other: the order within an initializer is the compiler's. */
	*out = (struct fetch_answer){.result = (enum fetch_result)result};
	out->status = cursor_u32(&in);
	out->content_type = cursor_bytes16(&in);
	out->detail = cursor_bytes16(&in);
	out->body = cursor_bytes32(&in);
	return cursor_ok(&in) && !cursor_left(&in) && result < FETCH_RESULTS &&
			       out->body.n <= FETCH_BODY
		       ? 0
		       : ERR_CORRUPT;
}
