/* The inside of the DSN builder: dsn.c the message, dsn_text.c the text for people, dsn_status.c
 * the status for machines, dsn_reason.c what both say of a verdict. */
#ifndef CODEC_DSN_PRIVATE_H
#define CODEC_DSN_PRIVATE_H

#include "codec/dsn.h"

#define DSN_VALUE 900 /* bytes of one value in a line; with its name it stays below 998 */

/* RFC 3463 as it is reported: the verdict's code, brought into the class that the action asks
 * for. */
struct enhanced_code dsn_status(const struct dsn_rcpt *rcpt);

/* Bytes that go into one line: no control bytes; over 0x7f only where `utf8` and valid, else
 * "?". */
void dsn_add_safe(struct buf *buf, struct span value, bool utf8);

bool dsn_has_8bit(struct span bytes);

/* The notification speaks UTF-8: an address in it cannot be written in ASCII (RFC 6533). */
bool dsn_is_utf8(const struct dsn *dsn);

/* Why, in words that anybody may read. */
void dsn_add_reason(struct buf *buf, const struct dsn *dsn, const struct dsn_rcpt *rcpt, bool utf8);

/* What the sender can do about it. */
const char *dsn_advice(const struct dsn_rcpt *rcpt);

void dsn_add_text(struct buf *buf, const struct dsn *dsn, bool utf8);
void dsn_add_status(struct buf *buf, const struct dsn *dsn, bool utf8);

#endif
