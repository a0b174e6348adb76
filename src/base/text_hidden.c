#include "base/check.h"
#include "base/text.h"

/* In order. */
static const struct {
	uint16_t first, last;
} hidden[] = {
	{0x0000, 0x001f}, /* control characters of ASCII */
	{0x007f, 0x009f}, /* and of Latin 1, which some terminals obey */
	{0x061c, 0x061c}, /* Arabic letter mark */
	{0x180e, 0x180e}, /* Mongolian vowel separator */
	{0x200b, 0x200f}, /* no width; marks of direction */
	{0x2028, 0x202e}, /* separators of lines and paragraphs; embeddings, overrides */
	{0x2060, 0x206f}, /* no width; isolates; obsolete format characters */
	{0xfeff, 0xfeff}, /* byte order mark */
	{0xfff9, 0xfffb}, /* annotations */
};

size_t text_hidden_length(struct span in)
{
	const unsigned char *p = (const unsigned char *)in.p;
	size_t n = text_utf8_length(in);

	if (n == 0 || n > 3)
		return 0;
	unsigned c = n == 1   ? p[0]
		     : n == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu)
			      : (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);

	for (size_t i = 0; i < ARRAY_SIZE(hidden) && c >= hidden[i].first; i++)
		if (c <= hidden[i].last)
			return n;
	return 0;
}
