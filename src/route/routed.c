/* Local parts that ask for a second hop. */
#include "base/check.h"
#include "route/relay.h"

/* The wide and the small forms, which compatibility normalisation (NFKC) makes plain. */
static const struct {
	struct span bytes;
	char means;
} marks[] = {
	{SPAN("@"), '@'}, {SPAN("%"), '%'}, {SPAN("!"), '!'},
	{SPAN("\xef\xbc\xa0"), '@'}, /* U+FF20 */
	{SPAN("\xef\xb9\xab"), '@'}, /* U+FE6B */
	{SPAN("\xef\xbc\x85"), '%'}, /* U+FF05 */
	{SPAN("\xef\xb9\xaa"), '%'}, /* U+FE6A */
	{SPAN("\xef\xbc\x81"), '!'}, /* U+FF01 */
	{SPAN("\xef\xb9\x97"), '!'}, /* U+FE57 */
};

/* The one that stands at this place, *n bytes; 0: none does. */
static char mark_at(struct span rest, size_t *n)
{
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		*n = marks[i].bytes.n;
		if (rest.n >= *n && memcmp(rest.p, marks[i].bytes.p, *n) == 0)
			return marks[i].means;
	}
	*n = 1;
	return 0;
}

/* "=?charset?q?text?=" */
static bool has_encoded_word(struct span local)
{
	const char *begin = memmem(local.p, local.n, "=?", 2);

	if (!begin)
		return false;
	struct span rest = span_skip(local, (size_t)(begin - local.p) + 2);
	return rest.n && memmem(rest.p, rest.n, "?=", 2);
}

bool relay_is_routed(struct span local)
{
	size_t n;

	if (local.n >= 2 && local.p[0] == '"' && local.p[local.n - 1] == '"')
		local = span_of(local.p + 1, local.n - 2);
	for (size_t i = 0; i < local.n; i += n) {
		char mark = mark_at(span_skip(local, i), &n);
		bool before = i > 0, after = i + n < local.n;

		/* A route may begin with its "@" (RFC 5321 appendix C). */
		if (mark && after && (before || mark == '@'))
			return true;
	}
	return local.n && has_encoded_word(local);
}
