/* JSON by jansson, into the same tree. */
#include "base/err.h"
#include "directory/node.h"

#include <jansson.h>
#include <stdio.h>

struct reader {
	struct arena *arena;
	uint32_t nodes;
};

static int scalar(struct reader *reader, struct node *node, const char *text, size_t n)
{
	node->kind = NODE_SCALAR;
	node->text = arena_copy(reader->arena, span_of(text, n));
	return node->text.p ? 0 : ERR_NOMEM;
}

static int convert(struct reader *reader, json_t *json, uint32_t depth, struct node **out);

static int append(struct reader *reader, struct node *parent, struct node ***tail, json_t *json,
	struct span key, uint32_t depth)
{
	struct node *child;
	int err = convert(reader, json, depth + 1, &child);

	if (err != 0)
		return err;
	child->key = key.p ? arena_copy(reader->arena, key) : key;
	if (key.p && !child->key.p)
		return ERR_NOMEM;
	**tail = child;
	*tail = &child->next;
	parent->count++;
	return 0;
}

static int convert_children(struct reader *reader, json_t *json, uint32_t depth, struct node *node)
{
	struct node **tail = &node->first;

	if (depth == NODE_DEPTH)
		return ERR_LIMIT;
	if (json_is_array(json)) {
		node->kind = NODE_LIST;
		for (size_t i = 0; i < json_array_size(json); i++) {
			int err = append(
				reader, node, &tail, json_array_get(json, i), SPAN_NONE, depth);
			if (err < 0)
				return err;
		}
		return 0;
	}
	node->kind = NODE_MAP;
	for (void *at = json_object_iter(json); at; at = json_object_iter_next(json, at)) {
		int err = append(reader, node, &tail, json_object_iter_value(at),
			span_of(json_object_iter_key(at), json_object_iter_key_len(at)), depth);
		if (err < 0)
			return err;
	}
	return 0;
}

static int convert(struct reader *reader, json_t *json, uint32_t depth, struct node **out)
{
	struct node *node = arena_alloc(reader->arena, sizeof(*node));
	char number[40];
	int n, err = 0;

	if (!node || ++reader->nodes > NODE_MOST)
		return ERR_NOMEM;
	switch (json_typeof(json)) {
	case JSON_OBJECT:
	case JSON_ARRAY: err = convert_children(reader, json, depth, node); break;
	case JSON_STRING:
		err = scalar(reader, node, json_string_value(json), json_string_length(json));
		break;
	case JSON_INTEGER:
		n = snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(json));
		err = scalar(reader, node, number, (size_t)n);
		break;
	case JSON_REAL:
		n = snprintf(number, sizeof(number), "%.17g", json_real_value(json));
		err = scalar(reader, node, number, (size_t)n);
		break;
	case JSON_TRUE: err = scalar(reader, node, "true", 4); break;
	case JSON_FALSE: err = scalar(reader, node, "false", 5); break;
	case JSON_NULL: break;
	}
	if (err == 0)
		*out = node;
	return err;
}

int node_read_json(
	struct span text, struct arena *arena, struct problems *problems, struct node **out)
{
	struct reader reader = {.arena = arena};
	json_error_t error;

	if (text.n > NODE_TEXT_BYTES) {
		problem_line(problems, (struct place){0}, NULL, "the document is longer than 64M");
		return ERR_LIMIT;
	}
	json_t *json = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &error);
	if (!json) {
		struct place at = {error.line > 0 ? (uint32_t)error.line : 0,
			error.column > 0 ? (uint32_t)error.column : 0};
		problem_begin(problems, at, NULL);
		problem_say(problems, "not valid JSON: ");
		buf_add_escaped(problems->out, span_str(error.text), PROBLEM_QUOTE);
		problem_end(problems);
		return ERR_SYNTAX;
	}
	int err = convert(&reader, json, 0, out);
	json_decref(json);
	if (err < 0)
		problem_line(problems, (struct place){0}, NULL,
			err == ERR_LIMIT ? "nested too deep"
					 : "the document needs too much memory");
	return err;
}
