#include "base/err.h"
#include "transport/maildir.h"

/* A dot does not begin a name: such files are hidden, and "." and ".." are other directories. */
static bool plain(char c, bool first)
{
	if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		return true;
	return c == '_' || c == '+' || c == '=' || c == '-' || (c == '.' && !first);
}

static size_t name_length(struct span in)
{
	size_t n = 0;

	for (size_t i = 0; i < in.n; i++)
		n += plain(in.p[i], i == 0) ? 1 : 3;
	return n;
}

static void add_name(struct buf *buf, struct span in)
{
	for (size_t i = 0; i < in.n; i++) {
		if (plain(in.p[i], i == 0))
			buf_add_char(buf, in.p[i]);
		else
			buf_printf(buf, "%%%02X", (unsigned char)in.p[i]);
	}
}

int maildir_path(struct buf *buf, struct span address)
{
	struct span local = {address.p, 0}, domain = SPAN_NONE;
	size_t start = buf->n;

	for (size_t i = address.n; i-- > 0 && !domain.p;) {
		if (address.p[i] != '@')
			continue;
		local.n = i;
		domain = span_skip(address, i + 1);
	}
	if (!local.n || !domain.n)
		return ERR_SYNTAX;
	if (name_length(local) > MAILDIR_NAME || name_length(domain) > MAILDIR_NAME)
		return ERR_LIMIT;
	add_name(buf, domain);
	buf_add_char(buf, '/');
	add_name(buf, local);
	if (buf_ok(buf))
		return 0;
	buf->n = start;
	return ERR_LIMIT;
}
