/*
 * Keys, operators, and what may be said of each.
 */
#include "queue/filter_parser.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#define MINUTE_MS 60000u

const struct filter_key_info filter_keys[FILTER_KEYS] = {
	[FILTER_ID] = {"id", FILTER_WORD, false},
	[FILTER_STATE] = {"state", FILTER_WORD, false},
	[FILTER_SENDER] = {"sender", FILTER_TEXT, true},
	[FILTER_RECIPIENT] = {"recipient", FILTER_TEXT, true},
	[FILTER_DOMAIN] = {"domain", FILTER_TEXT, false},
	[FILTER_TRANSPORT] = {"transport", FILTER_TEXT, false},
	[FILTER_DESTINATION] = {"destination", FILTER_TEXT, false},
	[FILTER_CLIENT] = {"client", FILTER_NETWORK, true},
	[FILTER_USER] = {"user", FILTER_TEXT, true},
	[FILTER_AGE] = {"age", FILTER_NUMBER, false},
	[FILTER_SIZE] = {"size", FILTER_NUMBER, false},
	[FILTER_ATTEMPTS] = {"attempts", FILTER_NUMBER, false},
	[FILTER_PRIORITY] = {"priority", FILTER_WORD, false},
	[FILTER_REASON] = {"reason", FILTER_TEXT, false},
};

/* Longer ones before those that they begin with. */
const char *const filter_ops[FILTER_OPS] = {
	[FILTER_EQUAL] = "=",
	[FILTER_NOT_EQUAL] = "!=",
	[FILTER_CONTAINS] = "~",
	[FILTER_NOT_CONTAINS] = "!~",
	[FILTER_LESS] = "<",
	[FILTER_GREATER] = ">",
	[FILTER_AT_MOST] = "<=",
	[FILTER_AT_LEAST] = ">=",
};

/* Values are copied without their quotes into filter.text, which is as long as the input. An
 * escaped or quoted "*" is a star all the same: no address or reply needs one by itself. */
static int read_quoted(struct parser *p, struct span *out)
{
	size_t from = p->at++;
	char *to = p->filter->text + p->filter->text_bytes;
	size_t n = 0;
	for (;; p->at++) {
		if (p->at == p->in.n)
			return filter_wrong(p, from, "the closing quote is missing");
		char c = p->in.p[p->at];
		if (c == '"')
			break;
		if (c == '\\' && ++p->at == p->in.n)
			return filter_wrong(p, from, "the closing quote is missing");
		to[n++] = p->in.p[p->at];
	}
	p->at++;
	if (p->at < p->in.n && !strchr(" \t\r\n()", p->in.p[p->at]))
		return filter_wrong(p, p->at, "a blank belongs after the closing quote");
	p->filter->text_bytes += n;
	*out = span_of(to, n);
	return 0;
}

int filter_read_value(struct parser *p, struct span *out)
{
	if (p->at < p->in.n && p->in.p[p->at] == '"')
		return read_quoted(p, out);
	size_t from = p->at;
	while (p->at < p->in.n && !strchr(" \t\r\n()\"", p->in.p[p->at]))
		p->at++;
	if (p->at < p->in.n && p->in.p[p->at] == '"')
		return filter_wrong(p, p->at, "put the whole value in quotes");
	if (p->at == from)
		return filter_wrong(p, from, "a value is missing; the empty one is written \"\"");
	*out = span_of(p->filter->text + p->filter->text_bytes, p->at - from);
	memcpy(p->filter->text + p->filter->text_bytes, p->in.p + from, p->at - from);
	p->filter->text_bytes += p->at - from;
	return 0;
}

static int value_state(struct parser *p, size_t at, struct filter_node *term)
{
	for (int i = 0; i < QUEUE_STATES; i++) {
		if (span_equal_nocase(
			    term->text, span_str(queue_state_name((enum queue_state)i)))) {
			term->number = (uint64_t)i;
			return 0;
		}
	}
	return filter_wrong(p, at, "a state is ready, active, deferred, held, paused or down");
}

static int value_priority(struct parser *p, size_t at, struct filter_node *term)
{
	if (span_equal_nocase(term->text, SPAN("yes")))
		term->number = 1;
	else if (!span_equal_nocase(term->text, SPAN("no")))
		return filter_wrong(p, at, "priority is yes or no");
	return 0;
}

static int value_network(struct parser *p, size_t at, struct filter_node *term)
{
	if (term->op == FILTER_CONTAINS || term->op == FILTER_NOT_CONTAINS)
		return 0;
	size_t slash = span_find(term->text, '/');
	if (netaddr_parse_ip(span_of(term->text.p, slash), &term->network) != 0)
		return filter_wrong(
			p, at, "a client is an address (192.0.2.1) or a network (192.0.2.0/24)");
	unsigned most = term->network.family == NETADDR_V4 ? 32 : 128;
	uint64_t prefix = most;
	if (slash < term->text.n &&
		text_parse_u64(span_skip(term->text, slash + 1), most, &prefix) != 0)
		return filter_wrong(
			p, at, "after / goes a number of bits: up to 32, or 128 for IPv6");
	term->prefix = (uint8_t)prefix;
	return 0;
}

int filter_check_value(struct parser *p, size_t at, struct filter_node *term)
{
	switch ((enum filter_key)term->key) {
	case FILTER_ID:
		if (text_parse_id(term->text, &term->number) != 0)
			return filter_wrong(p, at, "that is no id: 13 letters and digits");
		return 0;
	case FILTER_SENDER:
		/* As in a search of the trace, and in SMTP. */
		if (span_equal(term->text, SPAN("<>")))
			term->text.n = 0;
		return 0;
	case FILTER_STATE: return value_state(p, at, term);
	case FILTER_PRIORITY: return value_priority(p, at, term);
	case FILTER_CLIENT: return value_network(p, at, term);
	case FILTER_AGE:
		if (text_parse_duration(term->text, MINUTE_MS, &term->number) != 0)
			return filter_wrong(p, at, "an age is a time such as 90s, 30m, 4h, 2d");
		return 0;
	case FILTER_SIZE:
		if (text_parse_size(term->text, &term->number) != 0)
			return filter_wrong(
				p, at, "a size is a number of bytes such as 4096, 64K, 10M");
		return 0;
	case FILTER_ATTEMPTS:
		if (text_parse_u64(term->text, UINT32_MAX, &term->number) != 0)
			return filter_wrong(p, at, "attempts is a number");
		return 0;
	default: return 0;
	}
}
