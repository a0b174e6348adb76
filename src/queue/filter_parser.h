/*
 * What the files of the filter's parser share.
 */
#ifndef QUEUE_FILTER_PARSER_H
#define QUEUE_FILTER_PARSER_H

#include "queue/filter_node.h"

struct parser {
	struct span in;
	size_t at;
	unsigned depth;
	struct filter *filter;
	struct buf *problem;
	uint16_t bare_id; /* the node of the id that was the last item; FILTER_NONE: it was none */
};

/* Says what is wrong and where; ERR_SYNTAX. The first problem is the one that counts. */
int filter_wrong(struct parser *p, size_t at, const char *text);

/* ---- filter_parse.c -------------------------------------------------------------------------- */

/* The letters that come next, without moving on. */
struct span filter_peek_name(struct parser *p);
int filter_add_node(struct parser *p, struct filter_node node, uint16_t *out);

/* ---- filter_bare.c --------------------------------------------------------------------------- */

/* A word without an operator, which comes next; empty: a term does. */
struct span filter_peek_bare(struct parser *p);
int filter_read_bare(struct parser *p, struct span word, uint16_t *out);

/* ---- filter_value.c ------------------------------------------------------------------------- */

/* What stands after the operator, without its quotes. */
int filter_read_value(struct parser *p, struct span *out);
/* It goes with its key; fills in the number, the network. */
int filter_check_value(struct parser *p, size_t at, struct filter_node *term);

#endif
