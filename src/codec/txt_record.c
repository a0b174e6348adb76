#include "codec/txt_record.h"

#include "base/err.h"
#include "codec/fixed_buf.h"

#define FIELD_NAME 32 /* characters */

bool txt_has_version(struct span text, struct span version, struct span *fields)
{
	if (text.n < version.n || !span_equal(span_of(text.p, version.n), version))
		return false;
	struct span rest = span_trim(span_skip(text, version.n));
	if (!rest.n || rest.p[0] != ';')
		return false;
	*fields = rest;
	return true;
}

/* False: the lengths do not add up. */
static bool join(struct span rdata, struct buf *out)
{
	while (rdata.n) {
		size_t n = (unsigned char)rdata.p[0];

		if (n > rdata.n - 1)
			return false;
		buf_add(out, rdata.p + 1, n);
		rdata = span_skip(rdata, n + 1);
	}
	return true;
}

int txt_find(const struct span *rdata, uint32_t count, struct span version, struct arena *arena,
	struct span *text)
{
	struct span found = SPAN_NONE, fields;

	for (uint32_t i = 0; i < count; i++) {
		void *memory = arena_alloc(arena, rdata[i].n);
		if (!memory)
			return ERR_NOMEM;
		struct buf joined = fixed_buf(memory, rdata[i].n);
		if (!join(rdata[i], &joined) ||
			!txt_has_version(buf_span(&joined), version, &fields))
			continue;
		if (found.n)
			return ERR_NOT_FOUND;
		found = buf_span(&joined);
	}
	if (!found.n)
		return ERR_NOT_FOUND;
	*text = found;
	return 0;
}

bool txt_is_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
		if (!alnum && (!i || (c != '_' && c != '-' && c != '.')))
			return false;
	}
	return name.n > 0 && name.n <= FIELD_NAME;
}

int txt_next_field(struct span *rest, struct span *name, struct span *value)
{
	struct span in = span_trim(*rest);

	if (!in.n)
		return ERR_NOT_FOUND;
	if (in.p[0] != ';')
		return ERR_SYNTAX;
	/* One semicolon may be the last of all. */
	in = span_trim(span_skip(in, 1));
	if (!in.n)
		return ERR_NOT_FOUND;
	size_t end = span_find(in, ';');
	struct span field = span_of(in.p, end);
	size_t equals = span_find(field, '=');
	struct span left = span_trim(span_of(field.p, equals));
	struct span right = span_trim(span_skip(field, equals + 1));
	if (equals == field.n || !txt_is_name(left) || !right.n)
		return ERR_SYNTAX;
	for (size_t i = 0; i < right.n; i++)
		if (right.p[i] < ' ' || right.p[i] > '~')
			return ERR_SYNTAX;
	*rest = span_skip(in, end);
	*name = left;
	*value = right;
	return 0;
}
