/* From a value to text, and what else one may ask of it. */
#include "directory/schema_value.h"

#include "base/check.h"
#include "base/text.h"

size_t schema_value_bytes(const struct schema_field *field)
{
	switch (field->type) {
	case SCHEMA_BOOL: return sizeof(bool);
	case SCHEMA_U32: return sizeof(uint32_t);
	case SCHEMA_U64:
	case SCHEMA_SIZE:
	case SCHEMA_DURATION: return sizeof(uint64_t);
	case SCHEMA_TIME: return sizeof(int64_t);
	case SCHEMA_ENUM: return sizeof(int);
	case SCHEMA_ADDRESS: return sizeof(struct netaddr);
	case SCHEMA_SERVER: return sizeof(struct server);
	case SCHEMA_RETRY: return sizeof(struct retry_list);
	case SCHEMA_GROUP:
	case SCHEMA_MAP: return 0;
	default: return sizeof(struct span);
	}
}

bool schema_value_is_span(const struct schema_field *field)
{
	return (field->type >= SCHEMA_TEXT && field->type <= SCHEMA_SECRET) ||
	       field->type == SCHEMA_SERVERS || field->type == SCHEMA_LIST;
}

size_t schema_value_spans(
	const struct schema_field *field, void *at, struct span *out[SCHEMA_VALUE_SPANS])
{
	if (schema_value_is_span(field)) {
		out[0] = at;
		return 1;
	}
	if (field->type == SCHEMA_RETRY) {
		out[0] = &((struct retry_list *)at)->text;
		return 1;
	}
	if (field->type == SCHEMA_SERVER) {
		struct server *server = at;
		out[0] = &server->text;
		out[1] = &server->host;
		out[2] = &server->zone;
		out[3] = &server->query;
		return 4;
	}
	return 0;
}

bool schema_value_same(const struct schema_field *field, const void *a, const void *b)
{
	if (field->type == SCHEMA_SECRET)
		return !((const struct span *)a)->n == !((const struct span *)b)->n;
	if (schema_value_is_span(field))
		return span_equal(*(const struct span *)a, *(const struct span *)b);
	switch (field->type) {
	case SCHEMA_BOOL: return *(const bool *)a == *(const bool *)b;
	case SCHEMA_U32: return *(const uint32_t *)a == *(const uint32_t *)b;
	case SCHEMA_U64:
	case SCHEMA_SIZE:
	case SCHEMA_DURATION: return *(const uint64_t *)a == *(const uint64_t *)b;
	case SCHEMA_TIME: return *(const int64_t *)a == *(const int64_t *)b;
	case SCHEMA_ENUM: return *(const int *)a == *(const int *)b;
	case SCHEMA_ADDRESS: {
		const struct netaddr *x = a, *y = b;
		return netaddr_same_ip(x, y) && x->port == y->port && x->scope == y->scope;
	}
	case SCHEMA_SERVER:
		return span_equal(
			((const struct server *)a)->text, ((const struct server *)b)->text);
	case SCHEMA_RETRY:
		return span_equal(
			((const struct retry_list *)a)->text, ((const struct retry_list *)b)->text);
	default: return true;
	}
}

bool schema_value_is_empty(const struct schema_field *field, const void *at)
{
	if (schema_value_is_span(field))
		return ((const struct span *)at)->n == 0;
	switch (field->type) {
	case SCHEMA_SERVER: return ((const struct server *)at)->text.n == 0;
	case SCHEMA_RETRY: return ((const struct retry_list *)at)->count == 0;
	case SCHEMA_ADDRESS: return ((const struct netaddr *)at)->family == NETADDR_NONE;
	default: return false;
	}
}

static void add_list(struct buf *buf, struct span list)
{
	for (bool first = true; list.n; first = false) {
		if (!first)
			buf_add_str(buf, ", ");
		buf_add_span(buf, schema_list_next(&list));
	}
}

void schema_value_add(struct buf *buf, const struct schema_field *field, const void *at)
{
	if (field->type == SCHEMA_LIST) {
		add_list(buf, *(const struct span *)at);
		return;
	}
	if (field->type == SCHEMA_SECRET) {
		if (((const struct span *)at)->n)
			buf_add_span(buf, SCHEMA_SECRET_SET);
		return;
	}
	if (schema_value_is_span(field)) {
		buf_add_span(buf, *(const struct span *)at);
		return;
	}
	switch (field->type) {
	case SCHEMA_BOOL: buf_add_str(buf, *(const bool *)at ? "true" : "false"); break;
	case SCHEMA_U32: buf_add_u64(buf, *(const uint32_t *)at); break;
	case SCHEMA_U64: buf_add_u64(buf, *(const uint64_t *)at); break;
	case SCHEMA_SIZE: text_add_size(buf, *(const uint64_t *)at); break;
	case SCHEMA_DURATION: text_add_duration(buf, *(const uint64_t *)at); break;
	case SCHEMA_TIME: text_add_time(buf, *(const int64_t *)at); break;
	case SCHEMA_ENUM: buf_add_str(buf, field->choices[*(const int *)at]); break;
	case SCHEMA_ADDRESS: netaddr_add(buf, at); break;
	case SCHEMA_SERVER: buf_add_span(buf, ((const struct server *)at)->text); break;
	case SCHEMA_RETRY: buf_add_span(buf, ((const struct retry_list *)at)->text); break;
	default: break;
	}
}
