/*
 * Writes JSON straight into a buffer: for events and listings, where building a document first
 * would cost more than the text. Reading JSON is jansson's work.
 *
 * Strings that are valid UTF-8 are written as such; a byte that is not is written as U+FFFD, so
 * that the output is always valid JSON. Commas are the writer's concern.
 */
#ifndef BASE_JSON_WRITE_H
#define BASE_JSON_WRITE_H

#include "base/buf.h"

#define JSON_DEPTH 16 /* levels of nesting */

struct json_write {
	struct buf *buf;
	uint32_t depth;
	bool comma; /* an element stands before the next one */
};

void json_write_init(struct json_write *json, struct buf *buf);

/* The key is NULL inside an array and for the outermost value. */
void json_open_object(struct json_write *json, const char *key);
void json_close_object(struct json_write *json);
void json_open_array(struct json_write *json, const char *key);
void json_close_array(struct json_write *json);
void json_put_string(struct json_write *json, const char *key, struct span value);
void json_put_str(struct json_write *json, const char *key, const char *value); /* NULL: null */
void json_put_u64(struct json_write *json, const char *key, uint64_t value);
void json_put_i64(struct json_write *json, const char *key, int64_t value);
void json_put_bool(struct json_write *json, const char *key, bool value);
void json_put_null(struct json_write *json, const char *key);
void json_put_id(struct json_write *json, const char *key, uint64_t id);       /* text_add_id */
void json_put_time(struct json_write *json, const char *key, int64_t wall_ms); /* text_add_time */
/* A value that is JSON text already. */
void json_put_raw(struct json_write *json, const char *key, struct span value);

#endif
