/*
 * What a worker asks delivery of next hops (smtpd/hops.h), and how it answers, as bytes.
 *
 *   query   bytes16 transport, bytes16 domain
 *   answer  u8 known, u32 seconds to keep it, then u8 family and 16 bytes of each address
 */
#ifndef ROLE_HOPS_MESSAGE_H
#define ROLE_HOPS_MESSAGE_H

#include "base/buf.h"
#include "smtpd/hops.h"

#define HOPS_TRANSPORT 64  /* bytes of a transport's name */
#define HOPS_DOMAIN    256 /* of a domain, or an address literal */

struct hops_reply {
	bool known;
	uint32_t ttl_s;
	uint32_t count;
	struct netaddr addresses[HOPS_ADDRESSES];
};

void hops_put_query(struct buf *out, struct span transport, struct span domain);
/* ERR_CORRUPT; spans point into `in`. */
int hops_get_query(struct span in, struct span *transport, struct span *domain);
void hops_put_reply(struct buf *out, const struct hops_reply *reply);
int hops_get_reply(struct span in, struct hops_reply *out);

/* From what delivery_hosts() answers (delivery/delivery.h). What cannot be read, a failure of the
 * DNS: not known. A permanent one: known, and no address. */
void hops_from_json(struct span json, struct hops_reply *out);
/* What it is asked. */
void hops_add_request(struct buf *out, struct span transport, struct span domain);

#endif
