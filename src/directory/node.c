#include "directory/node.h"

#include <string.h>

const struct node *node_get(const struct node *map, const char *key)
{
	struct span name = span_str(key);

	if (!map || map->kind != NODE_MAP)
		return NULL;
	for (const struct node *node = map->first; node; node = node->next)
		if (span_equal(node->key, name))
			return node;
	return NULL;
}

/* Letters, digits and a few marks that mean nothing to YAML, and not a word that it reads as
 * something other than text. Numbers read back as the same text here, so they may be plain. */
static bool plain_is_safe(struct span text)
{
	static const char *const words[] = {
		"null", "true", "false", "yes", "no", "on", "off", "y", "n"};

	if (text.n == 0 || text.p[0] == '-' || text.p[0] == '.')
		return false;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		bool alnum =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!alnum && !(c && strchr("-._/+", c)) && !(c == '@' && i > 0))
			return false;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_equal_nocase(text, span_str(words[i])))
			return false;
	return true;
}

void node_add_yaml_scalar(struct buf *buf, struct span text)
{
	if (plain_is_safe(text)) {
		buf_add_span(buf, text);
		return;
	}
	buf_add_char(buf, '"');
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '"' || c == '\\') {
			buf_add_char(buf, '\\');
			buf_add_char(buf, (char)c);
		} else if (c < ' ' || c == 0x7f) {
			buf_printf(buf, "\\x%02X", c);
		} else {
			buf_add_char(buf, (char)c);
		}
	}
	buf_add_char(buf, '"');
}
