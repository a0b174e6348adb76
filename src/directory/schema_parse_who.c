/* From text to a value, of the types that say who: addresses, senders, ranges, pins. */
#include "base/err.h"
#include "codec/address.h"
#include "codec/pin.h"
#include "directory/names.h"
#include "directory/range.h"
#include "directory/schema_value.h"

#define RANGE_BYTES 96u /* two addresses of version 6 */

/* One that every hop can take: not all have SMTPUTF8. */
static int parse_mailbox(struct span text, struct arena *arena, struct span *out)
{
	struct address address;
	int err = address_parse_mailbox(text, arena, &address);

	if (err == ERR_NOMEM)
		return err;
	if (err < 0 || !address.domain.n || address.utf8)
		return ERR_SYNTAX;
	*out = address.mailbox;
	return 0;
}

static int parse_sender(struct span text, struct arena *arena, struct span *out)
{
	struct span domain;

	if (text.p[0] != '@')
		return name_account(text, arena, out);
	int err = name_domain(span_skip(text, 1), arena, &domain);
	if (err < 0)
		return err;
	char *whole = arena_alloc(arena, domain.n + 2);
	if (!whole)
		return ERR_NOMEM;
	whole[0] = '@';
	memcpy(whole + 1, domain.p, domain.n);
	*out = span_of(whole, domain.n + 1);
	return 0;
}

static int keep(struct buf *text, struct arena *arena, struct span *out)
{
	struct span kept = buf_ok(text) ? arena_copy(arena, buf_span(text)) : SPAN_NONE;

	buf_done(text);
	if (!kept.p)
		return ERR_NOMEM;
	*out = kept;
	return 0;
}

static int parse_range(struct span text, struct arena *arena, struct span *out, struct buf *why)
{
	struct address_range range;
	struct buf canonical;

	if (range_parse(text, &range, why) < 0)
		return ERR_SYNTAX;
	buf_init(&canonical, RANGE_BYTES);
	range_add(&canonical, &range);
	return keep(&canonical, arena, out);
}

static int parse_pin(struct span text, struct arena *arena, struct span *out)
{
	uint8_t pin[PIN_BYTES];
	struct buf canonical;

	if (pin_parse(text, pin) < 0)
		return ERR_SYNTAX;
	buf_init(&canonical, PIN_TEXT);
	pin_add(&canonical, pin);
	return keep(&canonical, arena, out);
}

int schema_value_parse_who(const struct schema_field *field, struct span text, struct arena *arena,
	struct span *out, struct buf *why)
{
	switch (field->type) {
	case SCHEMA_MAILBOX: return parse_mailbox(text, arena, out);
	case SCHEMA_ACCOUNT: return name_account(text, arena, out);
	case SCHEMA_SENDER: return parse_sender(text, arena, out);
	case SCHEMA_RANGE: return parse_range(text, arena, out, why);
	default: return parse_pin(text, arena, out);
	}
}
