#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"
#include "codec/address_inner.h"

#include <idn2.h>

static bool is_let_dig(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_high(char c)
{
	return (unsigned char)c >= 0x80;
}

/* Domain of RFC 5321 section 4.1.2 in ASCII: appended in lower case. */
static int add_ascii_domain(struct address_scratch *out, struct span in)
{
	size_t label = 0;

	if (in.n > ADDRESS_DOMAIN_BYTES)
		return ERR_LIMIT;
	for (size_t i = 0; i <= in.n; i++) {
		char c = i < in.n ? in.p[i] : '.';
		if (c == '.') {
			/* An empty label, a trailing dot, or a hyphen before a dot. */
			if (!label || in.p[i - 1] == '-')
				return ERR_SYNTAX;
			label = 0;
			continue;
		}
		if (!is_let_dig(c) && (c != '-' || !label))
			return ERR_SYNTAX;
		if (++label > ADDRESS_LABEL_BYTES)
			return ERR_LIMIT;
	}
	for (size_t i = 0; i < in.n; i++)
		out->p[out->n++] = ascii_lower(in.p[i]);
	return 0;
}

/* U-labels to A-labels. UTS #46 maps many characters, even to dots and "@": the result is checked
 * like any domain. IDN2_USE_STD3_ASCII_RULES must stay off: it drops such characters and goes on,
 * where another domain than the sender meant comes out. */
static int add_unicode_domain(struct address_scratch *out, struct span in)
{
	const int how = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
	char text[ADDRESS_INPUT_BYTES + 1];
	char *ascii = NULL;
	int err;

	if (in.n > ADDRESS_INPUT_BYTES)
		return ERR_LIMIT;
	if (!text_is_utf8(in) || span_find(in, '\0') < in.n)
		return ERR_SYNTAX;
	memcpy(text, in.p, in.n);
	text[in.n] = '\0';
	switch (idn2_to_ascii_8z(text, &ascii, how)) {
	case IDN2_OK: break;
	case IDN2_MALLOC: return ERR_NOMEM;
	case IDN2_TOO_BIG_LABEL:
	case IDN2_TOO_BIG_DOMAIN: return ERR_LIMIT;
	default: return ERR_SYNTAX;
	}
	err = add_ascii_domain(out, span_str(ascii));
	idn2_free(ascii);
	return err;
}

/* Address literal, `in` is what stands in the brackets. RFC 5321 section 4.1.3. */
static int add_literal(struct address_scratch *out, struct span in)
{
	const struct span v6 = SPAN("IPv6:");
	bool is_v6 = span_starts_nocase(in, v6);
	size_t colon = span_find(in, ':');
	struct netaddr ip;
	struct buf text;

	struct span host = is_v6 ? span_skip(in, v6.n) : in;
	if (netaddr_parse_ip(host, &ip) != 0 || (span_find(host, ':') < host.n) != is_v6 ||
		span_find(host, '%') < host.n) {
		/* General-address-literal: a tag that nobody has registered since. */
		if (is_v6 || !colon || colon + 1 >= in.n)
			return ERR_SYNTAX;
		for (size_t i = 0; i < colon; i++)
			if (!is_let_dig(in.p[i]) && in.p[i] != '-')
				return ERR_SYNTAX;
		return is_let_dig(in.p[colon - 1]) ? ERR_UNSUPPORTED : ERR_SYNTAX;
	}
	buf_init(&text, sizeof(out->p) - out->n);
	netaddr_add_literal(&text, &ip);
	int err = buf_ok(&text) ? 0 : ERR_NOMEM;
	if (!err) {
		memcpy(out->p + out->n, text.p, text.n);
		out->n += text.n;
	}
	buf_done(&text);
	return err;
}

int address_take_literal(struct span in, struct address_scratch *out, size_t *used)
{
	size_t end = span_find(in, ']');

	if (end == in.n)
		return ERR_SYNTAX;
	int err = add_literal(out, span_of(in.p + 1, end - 1));
	if (!err)
		*used = end + 1;
	return err;
}

int address_take_domain(struct span in, struct address_scratch *out, bool *ulabel, size_t *used)
{
	bool high = false;
	size_t n = 0;

	while (n < in.n && n < ADDRESS_INPUT_BYTES &&
		(is_let_dig(in.p[n]) || in.p[n] == '-' || in.p[n] == '.' || is_high(in.p[n])))
		high |= is_high(in.p[n++]);
	struct span name = span_of(in.p, n);
	int err = high ? add_unicode_domain(out, name) : add_ascii_domain(out, name);
	if (err)
		return err;
	*ulabel = high;
	*used = n;
	return 0;
}
