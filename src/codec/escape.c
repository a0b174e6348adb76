#include "codec/escape.h"

#include "base/err.h"
#include "base/text.h"

int escape_decode(struct span in, char escape, struct arena *arena, struct span *out)
{
	char *text = arena_alloc(arena, in.n);
	size_t n = 0;

	if (!text)
		return ERR_NOMEM;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (c == escape) {
			int high = in.n - i < 3 ? -1 : text_hex_digit(in.p[i + 1]);
			int low = in.n - i < 3 ? -1 : text_hex_digit(in.p[i + 2]);
			if (high < 0 || low < 0)
				return ERR_SYNTAX;
			c = (char)(high << 4 | low);
			i += 2;
		}
		text[n++] = c;
	}
	*out = span_of(text, n);
	return 0;
}
