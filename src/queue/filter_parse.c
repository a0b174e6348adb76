/*
 * The grammar of filters.
 */
#include "queue/filter_parser.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#include <stdlib.h>

int filter_wrong(struct parser *p, size_t at, const char *text)
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

struct span filter_peek_name(struct parser *p)
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
	struct span name = filter_peek_name(p);
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

/* ---- terms and their joining ---------------------------------------------------------------- */

int filter_add_node(struct parser *p, struct filter_node node, uint16_t *out)
{
	if (p->filter->count == FILTER_NODES) {
		filter_wrong(p, p->at, "the filter is too long");
		return ERR_LIMIT;
	}
	*out = p->filter->count;
	p->filter->nodes[p->filter->count++] = node;
	return 0;
}

static int read_key(struct parser *p, struct filter_node *term)
{
	struct span name = filter_peek_name(p);
	size_t at = p->at;
	if (!name.n)
		return filter_wrong(p, at, "a term such as state=deferred belongs here");
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
		return filter_wrong(p, at, hint);
	p->at += best;
	bool orders = term->op >= FILTER_LESS;
	bool contains = term->op == FILTER_CONTAINS || term->op == FILTER_NOT_CONTAINS;
	enum filter_type type = filter_keys[term->key].type;
	if (orders && type != FILTER_NUMBER)
		return filter_wrong(p, at, "< and > are for age, size and attempts");
	if (contains && (type == FILTER_NUMBER || type == FILTER_WORD))
		return filter_wrong(
			p, at, "~ is for text: sender, recipient, domain, transport, user, …");
	return 0;
}

static int read_term(struct parser *p, uint16_t *out)
{
	struct filter_node term = {.kind = FILTER_TERM};
	struct span bare = filter_peek_bare(p);
	if (bare.n)
		return filter_read_bare(p, bare, out);
	int err = read_key(p, &term);
	if (!err)
		err = read_op(p, &term);
	size_t at = p->at;
	if (!err)
		err = filter_read_value(p, &term.text);
	if (!err)
		err = filter_check_value(p, at, &term);
	return err ? err : filter_add_node(p, term, out);
}

static int read_filter(struct parser *p, uint16_t *out);

static int deeper(struct parser *p)
{
	if (++p->depth <= FILTER_DEPTH)
		return 0;
	filter_wrong(p, p->at, "too many parentheses or nots inside each other");
	return ERR_LIMIT;
}

static int read_item(struct parser *p, uint16_t *out)
{
	int err;
	size_t at = (skip_blanks(p), p->at);
	if (take_word(p, "not")) {
		uint16_t inner, bare_id = p->bare_id;
		p->bare_id = FILTER_NONE;
		err = deeper(p);
		if (!err)
			err = read_item(p, &inner);
		p->bare_id = bare_id;
		if (!err)
			err = filter_add_node(
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
		return filter_wrong(p, at, "this parenthesis is not closed");
	p->at++;
	return 0;
}

static int join(
	struct parser *p, enum filter_kind kind, uint16_t left, uint16_t right, uint16_t *out)
{
	return filter_add_node(
		p, (struct filter_node){.kind = (uint8_t)kind, .left = left, .right = right}, out);
}

static int read_and(struct parser *p, uint16_t *out)
{
	uint16_t left, right;
	p->bare_id = FILTER_NONE;
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
	struct parser p = {.in = text, .problem = problem, .bare_id = FILTER_NONE};
	if (text.n > FILTER_BYTES) {
		filter_wrong(&p, FILTER_BYTES, "the filter is longer than 4096 bytes");
		return ERR_LIMIT;
	}
	struct filter *filter = calloc(1, sizeof(*filter));
	if (!filter)
		return ERR_NOMEM;
	filter->root = FILTER_NONE;
	/* "@domain" takes a byte more than the input has of it. */
	filter->text = malloc(text.n + text.n / 2 + 2);
	p.filter = filter;
	int err = filter->text ? 0 : ERR_NOMEM;
	if (!err && !at_end(&p))
		err = read_filter(&p, &filter->root);
	if (!err && !at_end(&p))
		err = filter_wrong(&p, p.at,
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
