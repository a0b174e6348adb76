/*
 * Numbers, times and sizes as people write them. Strict: the whole input must be the thing.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

/* The value of a hexadecimal digit in either case; -1: it is none. */
int text_hex_digit(char c);

/* Decimal digits only, no sign; ERR_SYNTAX, or ERR_LIMIT above `most`. */
int text_parse_u64(struct span in, uint64_t most, uint64_t *out);

/* "90s", "5m", "4h", "2d", "1w", "500ms", sums such as "1h30m"; a number without unit counts in
 * `unit_ms`. Result in milliseconds. ERR_SYNTAX; ERR_LIMIT above 10 years. */
int text_parse_duration(struct span in, uint64_t unit_ms, uint64_t *out_ms);

/* The shortest exact form: "1h30m", "500ms", "0s". */
void text_add_duration(struct buf *buf, uint64_t ms);
/* How long something took, for people, who want three digits of it: "850us", "12.3ms", "35.7s",
 * "4m12s". */
void text_add_us(struct buf *buf, uint64_t us);

/* "512", "64K", "50M", "2G", "1T": bytes, powers of 1024. ERR_SYNTAX, ERR_LIMIT on overflow. */
int text_parse_size(struct span in, uint64_t *out_bytes);

/* The shortest exact form: "50M", "1536". */
void text_add_size(struct buf *buf, uint64_t bytes);

/* RFC 5322 section 3.3 date-time in UTC: "Sat, 21 Nov 2026 21:54:37 +0000". */
void text_add_date(struct buf *buf, int64_t wall_ms);

/* RFC 3339 in UTC with milliseconds: "2026-11-21T21:54:37.123Z". */
void text_add_time(struct buf *buf, int64_t wall_ms);

/* RFC 3339 (any offset, fraction optional) or a date alone; milliseconds since 1970. */
int text_parse_time(struct span in, int64_t *out_wall_ms);

/* A message's id as people see it: 13 digits of Crockford's base 32 in lower case, which sort
 * like the numbers. Parsing takes either case, and o, i and l for 0, 1 and 1. */
#define TEXT_ID_LENGTH 13
void text_add_id(struct buf *buf, uint64_t id);
int text_parse_id(struct span in, uint64_t *out_id);

/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms)? ASCII is. */
bool text_is_utf8(struct span in);

/* Bytes of the one valid UTF-8 sequence that `in` begins with; 0 where it does not. */
size_t text_utf8_length(struct span in);

/* Bytes (1 to 3) of the character that `in` begins with, where a terminal would obey it, not show
 * it, or turn the direction of reading at it, so that the text reads otherwise than it is; 0: it is
 * harmless, or not UTF-8. */
size_t text_hidden_length(struct span in);

#endif
