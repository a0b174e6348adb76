/* What is not even read: requests and answers that would take much memory, or stack, to parse. */
#include "admin/core.h"

/* Each value takes many times its bytes in memory: a request may be long, by the text in it, but
 * never needs many of them. */
bool json_has_few_values(struct span line)
{
	size_t values = 0;
	bool quoted = false;

	for (size_t i = 0; i < line.n && values <= ADMIN_VALUES; i++) {
		switch (line.p[i]) {
		case '"': quoted = !quoted; break;
		case '\\': i += quoted; break;
		case '[':
		case '{':
		case ',': values += !quoted; break;
		}
	}
	return values <= ADMIN_VALUES;
}

bool json_depth_fits(struct span text)
{
	size_t depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < text.n && depth <= ADMIN_DEPTH; i++) {
		switch (text.p[i]) {
		case '"': quoted = !quoted; break;
		case '\\': i += quoted; break;
		case '[':
		case '{': depth += !quoted; break;
		case ']':
		case '}': depth -= !quoted && depth; break;
		}
	}
	return depth <= ADMIN_DEPTH;
}
