/*
 * Words of a filter that are no terms: ids and addresses.
 */
#include "queue/filter_parser.h"

#include "base/err.h"
#include "base/text.h"

static int wrong_word(struct parser *p, size_t at, struct span word)
{
	buf_printf(p->problem, "column %zu: \"", at + 1);
	buf_add_escaped(p->problem, word, 40);
	buf_add_str(p->problem, "\" is neither an id (13 letters and digits) nor an address nor a "
				"term such as state=deferred\n");
	return ERR_SYNTAX;
}

struct span filter_peek_bare(struct parser *p)
{
	struct span name = filter_peek_name(p);
	size_t n = 0;

	for (; p->at + n < p->in.n && !strchr(" \t\r\n()", p->in.p[p->at + n]); n++)
		if (strchr("=!~<>\"", p->in.p[p->at + n]))
			return SPAN_NONE;
	for (int i = 0; i < FILTER_KEYS && n == name.n; i++)
		if (span_equal_nocase(name, span_str(filter_keys[i].name)))
			return SPAN_NONE;
	return span_of(p->in.p + p->at, n);
}

static struct span keep_text(struct parser *p, struct span text)
{
	char *to = p->filter->text + p->filter->text_bytes;

	memcpy(to, text.p, text.n);
	p->filter->text_bytes += text.n;
	return span_of(to, text.n);
}

/* As in a search of the trace: of the sender or of a recipient; "@domain": of all of a domain. */
static int read_address(struct parser *p, struct span word, uint16_t *out)
{
	struct filter_node term = {.kind = FILTER_TERM, .op = FILTER_EQUAL};
	uint16_t sender, recipient;

	if (word.p[0] == '@') {
		struct span star = keep_text(p, SPAN("*"));

		word = keep_text(p, word);
		term.text = span_of(star.p, star.n + word.n);
	} else {
		term.text = keep_text(p, word);
	}
	p->filter->bare_address = true;
	term.key = FILTER_SENDER;
	int err = filter_add_node(p, term, &sender);
	term.key = FILTER_RECIPIENT;
	if (!err)
		err = filter_add_node(p, term, &recipient);
	return err ? err
		   : filter_add_node(p,
			     (struct filter_node){
				     .kind = FILTER_OR, .left = sender, .right = recipient},
			     out);
}

static int read_id(struct parser *p, size_t at, struct span word, uint16_t *out)
{
	struct filter_node term = {.kind = FILTER_TERM, .key = FILTER_ID, .op = FILTER_EQUAL};

	if (text_parse_id(word, &term.number))
		return wrong_word(p, at, word);
	if (p->bare_id != FILTER_NONE)
		return filter_wrong(p, at, "several ids are joined by or");
	term.text = keep_text(p, word);
	int err = filter_add_node(p, term, out);
	if (!err)
		p->bare_id = *out;
	return err;
}

int filter_read_bare(struct parser *p, struct span word, uint16_t *out)
{
	size_t at = p->at;

	p->at += word.n;
	if (memchr(word.p, '@', word.n))
		return read_address(p, word, out);
	return read_id(p, at, word, out);
}
