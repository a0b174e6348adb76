#include "route/refuse.h"

#include <stdarg.h>
#include <stdio.h>

void route_verdict(struct verdict *out, uint16_t code, uint16_t subject, uint16_t detail,
	const char *format, ...)
{
	enum verdict_kind kind = code < 500 ? VERDICT_TEMPORARY : VERDICT_PERMANENT;
	struct enhanced_code enhanced = {(uint8_t)(code / 100), subject, detail};
	char text[VERDICT_TEXT];
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (n < 0)
		n = 0;
	verdict_set(out, kind, code, enhanced, false,
		span_of(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}
