/*
 * A filter as text again.
 */
#include "queue/filter_node.h"

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
