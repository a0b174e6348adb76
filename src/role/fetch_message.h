/*
 * What delivery asks role fetch (io/fetch.h), and how it answers, as bytes.
 *
 *   query   bytes16 url, u8 private hosts, bytes16 content type, u8 how many addresses, u8 family
 * and 16 bytes of each, bytes32 body answer  u8 result, u32 status, bytes16 content type, bytes16
 * detail, bytes32 body
 */
#ifndef ROLE_FETCH_MESSAGE_H
#define ROLE_FETCH_MESSAGE_H

#include "base/buf.h"
#include "io/fetch.h"

struct fetch_request {
	struct fetch_query query; /* spans point into the message */
	struct netaddr addresses[FETCH_ADDRESSES];
};

void fetch_put_query(struct buf *out, const struct fetch_query *query);
/* ERR_CORRUPT. */
int fetch_get_query(struct span in, struct fetch_request *out);
void fetch_put_answer(struct buf *out, const struct fetch_answer *answer);
/* ERR_CORRUPT; spans point into `in`. */
int fetch_get_answer(struct span in, struct fetch_answer *out);

#endif
