#include "directory/names.h"
#include "route/route.h"

#include <stdarg.h>
#include <stdio.h>

#define SENTENCE 1024 /* bytes of one step before escaping; longer ones are cut */

void route_trail_init(struct route_trail *trail)
{
	trail->count = 0;
	trail->cut = false;
	trail->used = 0;
}

/* The bytes of the character at p, 0 where it is not printable. */
static uint32_t printable(const char *p, size_t n)
{
	unsigned char c = (unsigned char)*p;
	size_t length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return length <= n && name_is_text(span_of(p, length)) ? (uint32_t)length : 0;
}

/* What is not printable becomes \xHH: the trail is shown on terminals. */
static uint32_t escape_into(char *to, uint32_t room, const char *from, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	uint32_t used = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)from[i];
		uint32_t length = printable(from + i, n - i);

		if (used + (length ? length : 4) > room)
			break;
		if (length) {
			memcpy(to + used, from + i, length);
			used += length;
			i += length - 1;
			continue;
		}
		to[used++] = '\\';
		to[used++] = 'x';
		to[used++] = hex[c >> 4];
		to[used++] = hex[c & 15];
	}
	return used;
}

void route_trail_add(
	struct route_trail *trail, const char *rule, const char *result, const char *format, ...)
{
	char sentence[SENTENCE];
	va_list arguments;
	struct route_step *step;
	uint32_t used;
	int n;

	if (!trail)
		return;
	if (trail->count == ROUTE_STEPS || trail->used == ROUTE_TRAIL_TEXT) {
		trail->cut = true;
		return;
	}
	va_start(arguments, format);
	n = vsnprintf(sentence, sizeof(sentence), format, arguments);
	va_end(arguments);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(sentence)) {
		n = sizeof(sentence) - 1;
		trail->cut = true;
	}
	used = escape_into(
		trail->text + trail->used, ROUTE_TRAIL_TEXT - trail->used, sentence, (size_t)n);
	if (used < (uint32_t)n)
		trail->cut = true;
	step = &trail->steps[trail->count++];
	step->rule = rule;
	step->result = result;
	step->text = span_of(trail->text + trail->used, used);
	trail->used += used;
}
