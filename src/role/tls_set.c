#include "role/tls_set.h"

#include "base/check.h"
#include "base/err.h"

void tls_set_put_key(struct buf *out, uint32_t number, struct span pem)
{
	buf_put_u32(out, number);
	buf_put_bytes32(out, pem);
}

int tls_set_get_key(struct cursor *in, uint32_t *number, struct span *pem)
{
	if (!cursor_left(in))
		return cursor_ok(in) ? ERR_NOT_FOUND : ERR_CORRUPT;
	*number = cursor_u32(in);
	*pem = cursor_bytes32(in);
	return cursor_ok(in) && pem->n && pem->n <= TLS_PEM_BYTES ? 0 : ERR_CORRUPT;
}

void tls_set_put_listener(struct buf *out, const struct tls_set_listener *listener)
{
	buf_put_u16(out, listener->place);
	buf_put_u16(out, listener->count);
	buf_put_bytes32(out, listener->client_ca);
	for (uint16_t i = 0; i < listener->count; i++) {
		const struct tls_certificate *c = &listener->certificates[i];
		buf_put_bytes16(out, c->name);
		buf_put_u32(out, c->key_number);
		buf_put_bytes32(out, c->chain);
	}
}

int tls_set_get_listener(struct cursor *in, struct tls_set_listener *out)
{
	if (!cursor_left(in))
		return cursor_ok(in) ? ERR_NOT_FOUND : ERR_CORRUPT;
	out->place = cursor_u16(in);
	out->count = cursor_u16(in);
	out->client_ca = cursor_bytes32(in);
	if (!cursor_ok(in) || out->place >= CONFIG_LISTENERS || out->count == 0 ||
		out->count > TLS_SET_CERTIFICATES)
		return ERR_CORRUPT;
	for (uint16_t i = 0; i < out->count; i++) {
		struct tls_certificate *c = &out->certificates[i];
		*c = (struct tls_certificate){.name = cursor_bytes16(in)};
		c->key_number = cursor_u32(in);
		c->chain = cursor_bytes32(in);
	}
	return cursor_ok(in) ? 0 : ERR_CORRUPT;
}
