/*
 * A document as a tree: what YAML (start file, objects) and JSON (database rows, the API) are read
 * into before the schema looks at it. Scalars stay text; the schema gives them their type.
 *
 * Lives in an arena. Bounded in depth, nodes and bytes. Order is kept; keys are unique in a
 * mapping.
 */
#ifndef DIRECTORY_NODE_H
#define DIRECTORY_NODE_H

#include "base/arena.h"
#include "base/span.h"
#include "directory/problems.h"

#include <stdbool.h>
#include <stdint.h>

#define NODE_DEPTH	12
#define NODE_TEXT_BYTES (64u << 20) /* of a document */
#define NODE_MOST	4000000u    /* nodes of a document */
#define NODE_ARENA	(1024u << 20)

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAP };

struct node {
	enum node_kind kind;
	uint32_t count; /* of children */
	struct place at;
	struct place key_at; /* in a mapping */
	struct span key;     /* in a mapping, else empty */
	struct span text;    /* of a scalar; a NUL follows it */
	struct node *first;  /* child */
	struct node *next;   /* sibling */
};

/* The value of a key, or NULL. Linear: for mappings of fields, not of objects. */
const struct node *node_get(const struct node *map, const char *key);

/* Reads one YAML document. No anchors, aliases, tags, merge keys, no second document, no duplicate
 * keys; keys are scalars. An empty document is NODE_NULL. ERR_SYNTAX, ERR_LIMIT, ERR_NOMEM, each
 * with a line in problems. */
int node_read_yaml(
	struct span text, struct arena *arena, struct problems *problems, struct node **out);

/* The same for JSON; places are not known. */
int node_read_json(
	struct span text, struct arena *arena, struct problems *problems, struct node **out);

/* Scalars as YAML flow text: plain where that reads back as the same text, else in double
 * quotes. */
void node_add_yaml_scalar(struct buf *buf, struct span text);

#endif
