#include "codec/verdict.h"

#include "base/check.h"

void verdict_set(struct verdict *verdict, enum verdict_kind kind, uint16_t code,
	struct enhanced_code enhanced, bool remote, struct span text)
{
	verdict->kind = kind;
	verdict->code = code;
	verdict->enhanced = enhanced;
	verdict->remote = remote;
	verdict->open = false;
	verdict->length = (uint16_t)MIN(text.n, (size_t)VERDICT_TEXT);
	for (size_t i = 0; i < verdict->length; i++) {
		unsigned char c = (unsigned char)text.p[i];
		/* A tab is harmless in a line, the other control bytes are not. */
		verdict->text[i] = (c < ' ' && c != '\t') || c == 0x7f ? '?' : (char)c;
	}
}
