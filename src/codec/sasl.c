#include "codec/sasl.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "codec/fixed_buf.h"

/* By strength, as their bits are. */
static const struct span names[SASL_MECHANISMS] = {
	{"LOGIN", 5},
	{"PLAIN", 5},
	{"SCRAM-SHA-256", 13},
	{"SCRAM-SHA-256-PLUS", 18},
};

const char *sasl_name(enum sasl_mechanism mechanism)
{
	unsigned i = 0;

	while (i < SASL_MECHANISMS && mechanism != 1u << i)
		i++;
	CHECK(i < SASL_MECHANISMS);
	return names[i].p;
}

unsigned sasl_parse_name(struct span name)
{
	for (unsigned i = 0; i < SASL_MECHANISMS; i++)
		if (span_equal_nocase(name, names[i]))
			return 1u << i;
	return 0;
}

void sasl_add_names(struct buf *out, unsigned set)
{
	bool first = true;

	for (unsigned i = SASL_MECHANISMS; i-- > 0;) {
		if (!(set & 1u << i))
			continue;
		if (!first)
			buf_add_char(out, ' ');
		buf_add_span(out, names[i]);
		first = false;
	}
}

unsigned sasl_parse_names(struct span list)
{
	unsigned set = 0;

	while ((list = span_trim(list)).n) {
		size_t n = 0;

		while (n < list.n && list.p[n] != ' ' && list.p[n] != '\t')
			n++;
		set |= sasl_parse_name(span_of(list.p, n));
		list = span_skip(list, n);
	}
	return set;
}

/* RFC 4616 section 2. */
int sasl_plain_parse(
	struct span message, struct span *authzid, struct span *user, struct span *password)
{
	if (!message.n)
		return ERR_SYNTAX;
	size_t first = span_find(message, '\0');
	struct span rest = span_skip(message, first + 1);
	size_t second = span_find(rest, '\0');
	struct span secret = span_skip(rest, second + 1);

	if (first == message.n || second == rest.n || span_find(secret, '\0') < secret.n)
		return ERR_SYNTAX;
	if (!second || !secret.n || !text_is_utf8(message))
		return ERR_SYNTAX;
	*authzid = span_of(message.p, first);
	*user = span_of(rest.p, second);
	*password = secret;
	return 0;
}

void sasl_plain_add(struct buf *out, struct span user, struct span password)
{
	buf_add_char(out, '\0');
	buf_add_span(out, user);
	buf_add_char(out, '\0');
	buf_add_span(out, password);
}

int sasl_decode(struct span text, size_t most, struct arena *arena, struct span *out)
{
	/* As an initial response, which would be no argument at all otherwise. */
	if (span_equal(text, SPAN("=")))
		text.n = 0;
	if (text.n % 4)
		return ERR_SYNTAX;
	size_t bytes = text.n / 4 * 3;
	if (span_ends_nocase(text, SPAN("==")))
		bytes -= 2;
	else if (span_ends_nocase(text, SPAN("=")))
		bytes -= 1;
	if (bytes > most)
		return ERR_LIMIT;
	/* Straight into the arena: what is decoded here are passwords. */
	void *memory = arena_alloc(arena, bytes);
	if (!memory)
		return ERR_NOMEM;
	struct buf decoded = fixed_buf(memory, bytes);
	if (!base64_decode(text, &decoded))
		return ERR_SYNTAX;
	*out = buf_span(&decoded);
	return 0;
}
