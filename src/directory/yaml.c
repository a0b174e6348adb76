/* YAML by libyaml's events: the tree is ours, so that every node knows its place. */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "directory/node.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct level {
	struct node *node;
	struct node *last; /* child */
	bool have_key;
	struct span key;
	struct place key_at;
};

struct reader {
	yaml_parser_t parser;
	struct arena *arena;
	struct problems *problems;
	struct level levels[NODE_DEPTH];
	uint32_t depth;
	uint32_t nodes;
	uint32_t documents;
	bool done;
	struct node *root;
};

static struct place place_of(const yaml_mark_t *mark)
{
	return (struct place){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

static int fail(struct reader *reader, struct place at, int err, const char *text)
{
	problem_line(reader->problems, at, NULL, text);
	return err;
}

/* A bracket or quote that nothing closes is noticed where the lines after it make no sense: the
 * place to look at is where it begins. */
static bool is_left_open(const yaml_parser_t *parser)
{
	static const char flow[] = "while parsing a flow ", quote[] = "while scanning a quoted";

	return parser->context && parser->problem_mark.line > parser->context_mark.line &&
	       (strncmp(parser->context, flow, sizeof(flow) - 1) == 0 ||
		       strncmp(parser->context, quote, sizeof(quote) - 1) == 0);
}

static int library_error(struct reader *reader)
{
	const yaml_parser_t *parser = &reader->parser;

	if (parser->error == YAML_MEMORY_ERROR)
		return fail(reader, (struct place){0}, ERR_NOMEM, "out of memory");
	bool open = is_left_open(parser);
	problem_begin(reader->problems,
		place_of(open ? &parser->context_mark : &parser->problem_mark), NULL);
	problem_say(reader->problems,
		open ? "not valid YAML: what begins here is not closed: " : "not valid YAML: ");
	problem_say(reader->problems, parser->problem ? parser->problem : "unknown problem");
	if (open) {
		buf_printf(reader->problems->out, " up to line %u",
			place_of(&parser->problem_mark).line);
	} else if (parser->context) {
		problem_say(reader->problems, " ");
		problem_say(reader->problems, parser->context);
	}
	problem_end(reader->problems);
	return ERR_SYNTAX;
}

static int compare_keys(const void *a, const void *b)
{
	const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
	size_t n = MIN(x->key.n, y->key.n);
	int order = n ? memcmp(x->key.p, y->key.p, n) : 0;

	if (order == 0 && x->key.n != y->key.n)
		order = x->key.n < y->key.n ? -1 : 1;
	if (order == 0 && x->key_at.line != y->key_at.line)
		order = x->key_at.line < y->key_at.line ? -1 : 1;
	return order ? order
		     : (x->key_at.column > y->key_at.column) -
			       (x->key_at.column < y->key_at.column);
}

/* Sorting, since a mapping may have 100,000 keys. */
static int check_duplicates(struct reader *reader, const struct node *map)
{
	if (map->count < 2)
		return 0;
	const struct node **sorted = malloc(map->count * sizeof(struct node *));
	if (!sorted)
		return fail(reader, map->at, ERR_NOMEM, "out of memory");
	size_t n = 0;
	for (const struct node *child = map->first; child; child = child->next)
		sorted[n++] = child;
	qsort(sorted, n, sizeof(struct node *), compare_keys);
	int err = 0;
	for (size_t i = 1; i < n; i++) {
		if (!span_equal(sorted[i - 1]->key, sorted[i]->key))
			continue;
		problem_begin(reader->problems, sorted[i]->key_at, NULL);
		problem_quote(reader->problems, sorted[i]->key);
		buf_printf(reader->problems->out, " is here twice (first in line %u); keep one",
			sorted[i - 1]->key_at.line);
		problem_end(reader->problems);
		err = ERR_SYNTAX;
	}
	free(sorted);
	return err;
}

/* Puts a value where it belongs: a new node, or a key that waits for its value. */
static int add_node(struct reader *reader, enum node_kind kind, struct place at, struct span text,
	struct node **out)
{
	struct level *level = reader->depth ? &reader->levels[reader->depth - 1] : NULL;

	if (level && level->node->kind == NODE_MAP && !level->have_key) {
		if (kind == NODE_MAP || kind == NODE_LIST)
			return fail(reader, at, ERR_SYNTAX, "a key must be a plain text");
		level->have_key = true;
		level->key = text;
		level->key_at = at;
		*out = NULL;
		return 0;
	}
	if (++reader->nodes > NODE_MOST)
		return fail(reader, at, ERR_LIMIT, "the document has too many values");
	struct node *node = arena_alloc(reader->arena, sizeof(*node));
	if (!node)
		return fail(reader, at, ERR_NOMEM, "the document needs too much memory");
	*node = (struct node){.kind = kind, .at = at, .text = text};
	if (!level) {
		reader->root = node;
	} else {
		node->key = level->key;
		node->key_at = level->key_at;
		level->have_key = false;
		if (level->last)
			level->last->next = node;
		else
			level->node->first = node;
		level->last = node;
		level->node->count++;
	}
	*out = node;
	return 0;
}

static bool plain_null(const yaml_event_t *event)
{
	struct span text = span_of(event->data.scalar.value, event->data.scalar.length);

	return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (text.n == 0 || span_equal(text, SPAN("~")) || span_equal(text, SPAN("null")));
}

static int on_scalar(struct reader *reader, const yaml_event_t *event, struct place at)
{
	struct node *node;

	if (event->data.scalar.anchor || event->data.scalar.tag)
		return fail(reader, at, ERR_SYNTAX, "anchors (&) and tags (!) are not used here");
	struct span text = arena_copy(
		reader->arena, span_of(event->data.scalar.value, event->data.scalar.length));
	if (!text.p)
		return fail(reader, at, ERR_NOMEM, "the document needs too much memory");
	return add_node(reader, plain_null(event) ? NODE_NULL : NODE_SCALAR, at, text, &node);
}

static int on_start(struct reader *reader, enum node_kind kind, bool marked, struct place at)
{
	struct node *node;

	if (marked)
		return fail(reader, at, ERR_SYNTAX, "anchors (&) and tags (!) are not used here");
	if (reader->depth == NODE_DEPTH)
		return fail(reader, at, ERR_LIMIT, "nested too deep");
	int err = add_node(reader, kind, at, SPAN_NONE, &node);
	if (err == 0)
		reader->levels[reader->depth++] = (struct level){.node = node};
	return err;
}

static int on_event(struct reader *reader, const yaml_event_t *event)
{
	struct place at = place_of(&event->start_mark);

	switch (event->type) {
	case YAML_SCALAR_EVENT: return on_scalar(reader, event, at);
	case YAML_MAPPING_START_EVENT:
		return on_start(reader, NODE_MAP,
			event->data.mapping_start.anchor || event->data.mapping_start.tag, at);
	case YAML_SEQUENCE_START_EVENT:
		return on_start(reader, NODE_LIST,
			event->data.sequence_start.anchor || event->data.sequence_start.tag, at);
	case YAML_MAPPING_END_EVENT:
		return check_duplicates(reader, reader->levels[--reader->depth].node);
	case YAML_SEQUENCE_END_EVENT: reader->depth--; return 0;
	case YAML_ALIAS_EVENT: return fail(reader, at, ERR_SYNTAX, "aliases (*) are not used here");
	case YAML_DOCUMENT_START_EVENT:
		if (reader->documents++)
			return fail(reader, at, ERR_SYNTAX,
				"a second document begins here; one is read");
		return 0;
	case YAML_STREAM_END_EVENT: reader->done = true; return 0;
	default: return 0;
	}
}

int node_read_yaml(
	struct span text, struct arena *arena, struct problems *problems, struct node **out)
{
	struct reader reader = {.arena = arena, .problems = problems};
	int err = 0;

	if (text.n > NODE_TEXT_BYTES)
		return fail(
			&reader, (struct place){0}, ERR_LIMIT, "the document is longer than 64M");
	if (!text_is_utf8(text))
		return fail(&reader, (struct place){0}, ERR_SYNTAX, "not UTF-8 text");
	if (!yaml_parser_initialize(&reader.parser))
		return fail(&reader, (struct place){0}, ERR_NOMEM, "out of memory");
	yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&reader.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
	while (err == 0 && !reader.done) {
		yaml_event_t event;
		if (!yaml_parser_parse(&reader.parser, &event)) {
			err = library_error(&reader);
			break;
		}
		err = on_event(&reader, &event);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&reader.parser);
	if (err == 0 && !reader.root) {
		reader.root = arena_alloc(arena, sizeof(*reader.root));
		if (!reader.root)
			return fail(&reader, (struct place){0}, ERR_NOMEM, "out of memory");
		reader.root->at = (struct place){1, 1};
	}
	if (err == 0)
		*out = reader.root;
	return err;
}
