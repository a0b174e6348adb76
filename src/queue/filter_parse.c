#include "queue/filter_node.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdlib.h>

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

struct parser {
	struct span in;
	size_t at;
	unsigned depth;
	struct filter *filter;
	struct buf *problem;
};

/* Says what is wrong and where; the first problem is the one that counts. */
static int wrong(struct parser *p, size_t at, const char *text)
{
	buf_printf(p->problem, "column %zu: %s\n", at + 1, text);
	return ERR_SYNTAX;
}

static int wrong_key(struct parser *p, size_t at, struct span word)
{
	buf_printf(p->problem, "column %zu: no key \"", at + 1);
	buf_add_escaped(p->problem, word, 40);
	buf_add_str(p->problem, "\"; there are");
	for (int i = 0; i < FILTER_KEYS; i++) {
		buf_add_str(p->problem, i ? ", " : " ");
		buf_add_str(p->problem, filter_keys[i].name);
	}
	buf_add_char(p->problem, '\n');
	return ERR_SYNTAX;
}

/* ---- words ---------------------------------------------------------------------------------- */

static void skip_blanks(struct parser *p)
{
	while (p->at < p->in.n && strchr(" \t\r\n", p->in.p[p->at]) && p->in.p[p->at])
		p->at++;
}

static bool at_end(struct parser *p)
{
	skip_blanks(p);
	return p->at == p->in.n;
}

static bool is_name_byte(char c)
{
	c = ascii_lower(c);
	return (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

/* The letters that come next, without moving on. */
static struct span peek_name(struct parser *p)
{
	size_t n = 0;
	skip_blanks(p);
	while (p->at + n < p->in.n && is_name_byte(p->in.p[p->at + n]))
		n++;
	return span_of(p->in.p + p->at, n);
}

/* and, or, not are words of the grammar only where no operator follows. */
static bool peek_word(struct parser *p, const char *word)
{
	struct span name = peek_name(p);
	if (!span_equal_nocase(name, span_str(word)))
		return false;
	size_t after = p->at + name.n;
	return after == p->in.n || !strchr("=!~<>", p->in.p[after]) || !p->in.p[after];
}

static bool take_word(struct parser *p, const char *word)
{
	if (!peek_word(p, word))
		return false;
	p->at += strlen(word);
	return true;
}

static bool peek_char(struct parser *p, char c)
{
	skip_blanks(p);
	return p->at < p->in.n && p->in.p[p->at] == c;
}

/* ---- values --------------------------------------------------------------------------------- */

/* Values are copied without their quotes into filter.text, which is as long as the input. An
 * escaped or quoted "*" is a star all the same: no address or reply needs one by itself. */
static int read_quoted(struct parser *p, struct span *out)
{
	size_t from = p->at++;
	char *to = p->filter->text + p->filter->text_bytes;
	size_t n = 0;
	for (;; p->at++) {
		if (p->at == p->in.n)
			return wrong(p, from, "the closing quote is missing");
		char c = p->in.p[p->at];
		if (c == '"')
			break;
		if (c == '\\' && ++p->at == p->in.n)
			return wrong(p, from, "the closing quote is missing");
		to[n++] = p->in.p[p->at];
	}
	p->at++;
	if (p->at < p->in.n && !strchr(" \t\r\n()", p->in.p[p->at]))
		return wrong(p, p->at, "a blank belongs after the closing quote");
	p->filter->text_bytes += n;
	*out = span_of(to, n);
	return 0;
}

static int read_value(struct parser *p, struct span *out)
{
	if (p->at < p->in.n && p->in.p[p->at] == '"')
		return read_quoted(p, out);
	size_t from = p->at;
	while (p->at < p->in.n && !strchr(" \t\r\n()\"", p->in.p[p->at]))
		p->at++;
	if (p->at < p->in.n && p->in.p[p->at] == '"')
		return wrong(p, p->at, "put the whole value in quotes");
	if (p->at == from)
		return wrong(p, from, "a value is missing; the empty one is written \"\"");
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
	return wrong(p, at, "a state is ready, active, deferred, held, paused or down");
}

static int value_priority(struct parser *p, size_t at, struct filter_node *term)
{
	if (span_equal_nocase(term->text, SPAN("yes")))
		term->number = 1;
	else if (!span_equal_nocase(term->text, SPAN("no")))
		return wrong(p, at, "priority is yes or no");
	return 0;
}

static int value_network(struct parser *p, size_t at, struct filter_node *term)
{
	if (term->op == FILTER_CONTAINS || term->op == FILTER_NOT_CONTAINS)
		return 0;
	size_t slash = span_find(term->text, '/');
	if (netaddr_parse_ip(span_of(term->text.p, slash), &term->network) != 0)
		return wrong(
			p, at, "a client is an address (192.0.2.1) or a network (192.0.2.0/24)");
	unsigned most = term->network.family == NETADDR_V4 ? 32 : 128;
	uint64_t prefix = most;
	if (slash < term->text.n &&
		text_parse_u64(span_skip(term->text, slash + 1), most, &prefix) != 0)
		return wrong(p, at, "after / goes a number of bits: up to 32, or 128 for IPv6");
	term->prefix = (uint8_t)prefix;
	return 0;
}

static int check_value(struct parser *p, size_t at, struct filter_node *term)
{
	switch ((enum filter_key)term->key) {
	case FILTER_ID:
		if (text_parse_id(term->text, &term->number) != 0)
			return wrong(p, at, "that is no id: 13 letters and digits");
		return 0;
	case FILTER_STATE: return value_state(p, at, term);
	case FILTER_PRIORITY: return value_priority(p, at, term);
	case FILTER_CLIENT: return value_network(p, at, term);
	case FILTER_AGE:
		if (text_parse_duration(term->text, MINUTE_MS, &term->number) != 0)
			return wrong(p, at, "an age is a time such as 90s, 30m, 4h, 2d");
		return 0;
	case FILTER_SIZE:
		if (text_parse_size(term->text, &term->number) != 0)
			return wrong(p, at, "a size is a number of bytes such as 4096, 64K, 10M");
		return 0;
	case FILTER_ATTEMPTS:
		if (text_parse_u64(term->text, UINT32_MAX, &term->number) != 0)
			return wrong(p, at, "attempts is a number");
		return 0;
	default: return 0;
	}
}

/* ---- terms and their joining ---------------------------------------------------------------- */

static int add_node(struct parser *p, struct filter_node node, uint16_t *out)
{
	if (p->filter->count == FILTER_NODES) {
		wrong(p, p->at, "the filter is too long");
		return ERR_LIMIT;
	}
	*out = p->filter->count;
	p->filter->nodes[p->filter->count++] = node;
	return 0;
}

static int read_key(struct parser *p, struct filter_node *term)
{
	struct span name = peek_name(p);
	size_t at = p->at;
	if (!name.n)
		return wrong(p, at, "a term such as state=deferred belongs here");
	for (int i = 0; i < FILTER_KEYS; i++) {
		if (span_equal_nocase(name, span_str(filter_keys[i].name))) {
			term->key = (uint8_t)i;
			p->at += name.n;
			return 0;
		}
	}
	return wrong_key(p, at, name);
}

static int read_op(struct parser *p, struct filter_node *term)
{
	static const char hint[] = "after a key goes one of = != ~ !~ < > <= >=, without a blank";
	size_t at = p->at, best = 0;
	for (int i = 0; i < FILTER_OPS; i++) {
		size_t n = strlen(filter_ops[i]);
		if (n > best && p->in.n - at >= n && memcmp(p->in.p + at, filter_ops[i], n) == 0) {
			best = n;
			term->op = (uint8_t)i;
		}
	}
	if (!best)
		return wrong(p, at, hint);
	p->at += best;
	bool orders = term->op >= FILTER_LESS;
	bool contains = term->op == FILTER_CONTAINS || term->op == FILTER_NOT_CONTAINS;
	enum filter_type type = filter_keys[term->key].type;
	if (orders && type != FILTER_NUMBER)
		return wrong(p, at, "< and > are for age, size and attempts");
	if (contains && (type == FILTER_NUMBER || type == FILTER_WORD))
		return wrong(p, at, "~ is for text: sender, recipient, domain, transport, …");
	return 0;
}

static int read_term(struct parser *p, uint16_t *out)
{
	struct filter_node term = {.kind = FILTER_TERM};
	int err = read_key(p, &term);
	if (!err)
		err = read_op(p, &term);
	size_t at = p->at;
	if (!err)
		err = read_value(p, &term.text);
	if (!err)
		err = check_value(p, at, &term);
	return err ? err : add_node(p, term, out);
}

static int read_filter(struct parser *p, uint16_t *out);

static int deeper(struct parser *p)
{
	if (++p->depth <= FILTER_DEPTH)
		return 0;
	wrong(p, p->at, "too many parentheses or nots inside each other");
	return ERR_LIMIT;
}

static int read_item(struct parser *p, uint16_t *out)
{
	int err;
	size_t at = (skip_blanks(p), p->at);
	if (take_word(p, "not")) {
		uint16_t inner;
		err = deeper(p);
		if (!err)
			err = read_item(p, &inner);
		if (!err)
			err = add_node(
				p, (struct filter_node){.kind = FILTER_NOT, .left = inner}, out);
		p->depth--;
		return err;
	}
	if (!peek_char(p, '('))
		return read_term(p, out);
	p->at++;
	err = deeper(p);
	if (!err)
		err = read_filter(p, out);
	p->depth--;
	if (err)
		return err;
	if (!peek_char(p, ')'))
		return wrong(p, at, "this parenthesis is not closed");
	p->at++;
	return 0;
}

static int join(
	struct parser *p, enum filter_kind kind, uint16_t left, uint16_t right, uint16_t *out)
{
	return add_node(
		p, (struct filter_node){.kind = (uint8_t)kind, .left = left, .right = right}, out);
}

static int read_and(struct parser *p, uint16_t *out)
{
	uint16_t left, right;
	int err = read_item(p, &left);
	while (!err && !at_end(p) && !peek_char(p, ')') && !peek_word(p, "or")) {
		take_word(p, "and");
		err = read_item(p, &right);
		if (!err)
			err = join(p, FILTER_AND, left, right, &left);
	}
	if (!err)
		*out = left;
	return err;
}

static int read_filter(struct parser *p, uint16_t *out)
{
	uint16_t left, right;
	int err = read_and(p, &left);
	while (!err && take_word(p, "or")) {
		err = read_and(p, &right);
		if (!err)
			err = join(p, FILTER_OR, left, right, &left);
	}
	if (!err)
		*out = left;
	return err;
}

int filter_parse(struct span text, struct filter **out, struct buf *problem)
{
	struct parser p = {.in = text, .problem = problem};
	if (text.n > FILTER_BYTES) {
		wrong(&p, FILTER_BYTES, "the filter is longer than 4096 bytes");
		return ERR_LIMIT;
	}
	struct filter *filter = calloc(1, sizeof(*filter));
	if (!filter)
		return ERR_NOMEM;
	filter->root = FILTER_NONE;
	filter->text = malloc(text.n + 1);
	p.filter = filter;
	int err = filter->text ? 0 : ERR_NOMEM;
	if (!err && !at_end(&p))
		err = read_filter(&p, &filter->root);
	if (!err && !at_end(&p))
		err = wrong(&p, p.at,
			peek_char(&p, ')') ? "there is no opening parenthesis for this one"
					   : "a term such as state=deferred belongs here");
	if (err)
		filter_free(&filter);
	else
		*out = filter;
	return err;
}

void filter_free(struct filter **filter)
{
	if (*filter)
		free((*filter)->text);
	free(*filter);
	*filter = NULL;
}

/* ---- as text again -------------------------------------------------------------------------- */

static bool needs_quotes(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (strchr(" \t\r\n()\"\\", text.p[i]))
			return true;
	return text.n == 0;
}

static void format_value(const struct filter_node *term, struct buf *out)
{
	if (!needs_quotes(term->text)) {
		buf_add_span(out, term->text);
		return;
	}
	buf_add_char(out, '"');
	for (size_t i = 0; i < term->text.n; i++) {
		if (term->text.p[i] == '"' || term->text.p[i] == '\\')
			buf_add_char(out, '\\');
		buf_add_char(out, term->text.p[i]);
	}
	buf_add_char(out, '"');
}

/* Recursion is bounded by FILTER_NODES, as each call has a node of its own. */
static void format_node(const struct filter *filter, uint16_t at, bool inside_and, struct buf *out)
{
	const struct filter_node *node = &filter->nodes[at];
	switch ((enum filter_kind)node->kind) {
	case FILTER_TERM:
		buf_add_str(out, filter_keys[node->key].name);
		buf_add_str(out, filter_ops[node->op]);
		format_value(node, out);
		break;
	case FILTER_NOT: {
		bool joined = filter->nodes[node->left].kind == FILTER_AND ||
			      filter->nodes[node->left].kind == FILTER_OR;
		buf_add_str(out, joined ? "not (" : "not ");
		format_node(filter, node->left, false, out);
		buf_add_str(out, joined ? ")" : "");
		break;
	}
	case FILTER_AND:
		format_node(filter, node->left, true, out);
		buf_add_char(out, ' ');
		/* one that was put in parentheses on the right keeps them */
		if (filter->nodes[node->right].kind == FILTER_AND) {
			buf_add_char(out, '(');
			format_node(filter, node->right, false, out);
			buf_add_char(out, ')');
		} else {
			format_node(filter, node->right, true, out);
		}
		break;
	case FILTER_OR: {
		bool right_or = filter->nodes[node->right].kind == FILTER_OR;
		buf_add_str(out, inside_and ? "(" : "");
		format_node(filter, node->left, false, out);
		buf_add_str(out, right_or ? " or (" : " or ");
		format_node(filter, node->right, false, out);
		buf_add_str(out, right_or ? ")" : "");
		buf_add_str(out, inside_and ? ")" : "");
		break;
	}
	}
}

void filter_format(const struct filter *filter, struct buf *out)
{
	if (filter->root != FILTER_NONE)
		format_node(filter, filter->root, false, out);
}
