/*
 * The PROXY protocol's header (versions 1 and 2), by which a proxy says for whom it connects. Pure;
 * whoever reads decides from which peers it is believed.
 */
#ifndef CODEC_PROXY_HEADER_H
#define CODEC_PROXY_HEADER_H

#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stddef.h>

#define PROXY_V1_BYTES	  107  /* of a line with CRLF, at most */
#define PROXY_HEADER_MOST 2064 /* of version 2: 16, and addresses with extensions up to here */

struct proxy_header {
	bool local; /* LOCAL, or UNKNOWN: the proxy speaks for itself (a health check) */
	struct netaddr client;
	struct netaddr server; /* what the client connected to */
};

/* The beginning of a connection. 0: *used bytes are the header. ERR_MORE: not whole yet.
 * ERR_SYNTAX: no such header; ERR_LIMIT: too long; ERR_UNSUPPORTED: a version, command or family
 * that is not ours (version 2: a Unix socket, a datagram). Extensions (TLVs) are skipped; a CRC32C
 * among them is checked: ERR_CORRUPT. */
int proxy_header_parse(struct span in, struct proxy_header *out, size_t *used);

#endif
