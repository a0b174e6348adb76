#include "directory/names.h"

#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"
#include "codec/address.h"

#include <string.h>

#define LABEL_BYTES 63u

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* RFC 1123 section 2.1; the last label is not a number, so that no IPv4 address is a name. */
static bool is_ldh_name(struct span name)
{
	if (name.n == 0 || name.n > NAME_DOMAIN_BYTES)
		return false;
	for (;;) {
		size_t dot = span_find(name, '.');
		bool digits = true;
		if (dot == 0 || dot > LABEL_BYTES || name.p[0] == '-' || name.p[dot - 1] == '-')
			return false;
		for (size_t i = 0; i < dot; i++) {
			if (!is_alnum(name.p[i]) && name.p[i] != '-')
				return false;
			digits = digits && name.p[i] >= '0' && name.p[i] <= '9';
		}
		if (dot == name.n)
			return !digits;
		name = span_skip(name, dot + 1);
		if (name.n == 0)
			return false;
	}
}

int name_domain(struct span in, struct arena *arena, struct span *out)
{
	struct span name;

	if (in.n && in.p[in.n - 1] == '.')
		in.n--;
	int err = address_parse_domain(in, arena, &name);
	if (err < 0)
		return err == ERR_NOMEM ? err : ERR_SYNTAX;
	if (!is_ldh_name(name))
		return ERR_SYNTAX;
	*out = name;
	return 0;
}

int name_host(struct span in, struct arena *arena, struct span *out)
{
	struct netaddr address;

	if (netaddr_parse_ip(in, &address) == 0) {
		struct span copy = arena_copy(arena, in);
		if (!copy.p)
			return ERR_NOMEM;
		*out = copy;
		return 0;
	}
	return name_domain(in, arena, out);
}

/* RFC 5321 section 4.1.2 Dot-string (RFC 6531: with UTF-8), but "/", which a mailbox's folder
 * could not carry. */
static bool is_local_part(struct span local)
{
	if (local.n == 0 || local.n > NAME_LOCAL_BYTES || !name_is_text(local))
		return false;
	for (size_t i = 0; i < local.n; i++) {
		char c = local.p[i];
		if (c == '.') {
			if (i == 0 || i == local.n - 1 || local.p[i - 1] == '.')
				return false;
		} else if ((unsigned char)c <= ' ' || c == 0x7f || strchr("()<>[]:;@\\,\"/", c)) {
			return false;
		}
	}
	return true;
}

int name_account(struct span in, struct arena *arena, struct span *out)
{
	size_t at = in.n;
	struct span domain;

	while (at && in.p[at - 1] != '@')
		at--;
	if (at == 0 || !is_local_part(span_of(in.p, at - 1)))
		return ERR_SYNTAX;
	int err = name_domain(span_skip(in, at), arena, &domain);
	if (err < 0)
		return err;
	char *whole = arena_alloc(arena, at + domain.n + 1);
	if (!whole)
		return ERR_NOMEM;
	for (size_t i = 0; i < at; i++)
		whole[i] = ascii_lower(in.p[i]);
	memcpy(whole + at, domain.p, domain.n);
	*out = span_of(whole, at + domain.n);
	return 0;
}

bool name_is_text(struct span in)
{
	if (!text_is_utf8(in))
		return false;
	for (size_t i = 0; i < in.n; i++) {
		const unsigned char *at = (const unsigned char *)in.p + i;
		if (*at < ' ' || *at == 0x7f)
			return false;
		if (*at == 0xc2 && at[1] < 0xa0) /* U+0080 to U+009F */
			return false;
		if (*at == 0xe2 && at[1] == 0x80 && (at[2] & 0xfe) == 0xa8) /* U+2028, U+2029 */
			return false;
		if (*at == 0xef &&
			((at[1] == 0xbb && at[2] == 0xbf)	      /* U+FEFF */
				|| (at[1] == 0xbf && at[2] >= 0xbe))) /* U+FFFE, U+FFFF */
			return false;
	}
	return true;
}

bool name_is_transport(struct span in)
{
	if (in.n == 0 || in.n > NAME_TRANSPORT_BYTES || !is_alnum(in.p[0]))
		return false;
	for (size_t i = 1; i < in.n; i++)
		if (!is_alnum(in.p[i]) && in.p[i] != '.' && in.p[i] != '_' && in.p[i] != '-')
			return false;
	return true;
}
