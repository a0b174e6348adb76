#include "role/account.h"

#include "base/check.h"
#include "base/text.h"

#include <errno.h>
#include <unistd.h>

#define PIECE 4096 /* bytes read at a time; a longer line is passed over */

/* As useradd(8) allows them, and what else harms nobody. */
static bool is_plain(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || (i && strchr("_.-@$", c)) || c == '_';

		if (!c || !fits)
			return false;
	}
	return name.n && name.n <= ACCOUNT_NAME;
}

/* name:password:uid:… */
static bool line_names(struct span line, uint32_t uid, struct span *name)
{
	uint64_t number;
	size_t n = span_find(line, ':');
	struct span rest = span_skip(line, MIN(n + 1, line.n));

	rest = span_skip(rest, MIN(span_find(rest, ':') + 1, rest.n));
	if (text_parse_u64(span_of(rest.p, span_find(rest, ':')), UINT32_MAX, &number) ||
		number != uid)
		return false;
	*name = span_of(line.p, n);
	return is_plain(*name);
}

static bool add_name(struct buf *out, int file, uint32_t uid)
{
	char piece[PIECE];
	size_t have = 0;
	bool passing = false; /* over a line that is too long */

	for (off_t at = 0; at < (off_t)ACCOUNT_BYTES;) {
		ssize_t got = pread(file, piece + have, sizeof(piece) - have, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		have += (size_t)got;
		struct span rest = span_of(piece, have), name;
		for (size_t n; (n = span_find(rest, '\n')) < rest.n;
			rest = span_skip(rest, n + 1)) {
			if (!passing && line_names(span_of(rest.p, n), uid, &name)) {
				buf_add_span(out, name);
				return true;
			}
			passing = false;
		}
		have = rest.n;
		if (have == sizeof(piece)) {
			have = 0;
			passing = true;
		}
		memmove(piece, rest.p, have);
	}
	return false;
}

void account_add(struct buf *out, int file, uint32_t uid)
{
	if (uid == 0)
		buf_add_str(out, "root");
	else if (file >= 0 && add_name(out, file, uid))
		buf_printf(out, " (uid %u)", uid);
	else
		buf_printf(out, "uid %u", uid);
}
