/*
 * The `server` of a transport (SPEC 3): "mail.example.org", "192.0.2.1:2525", "[2001:db8::1]:25",
 * or "lookup-mx", which may be followed by ":" and settings with ";" between them:
 * "zone=customer.example.org", "query=ns1.example.org,[2001:db8::53]:5353" (at most
 * SERVER_QUERY_MOST servers), "port=2525".
 */
#ifndef DIRECTORY_SERVER_SYNTAX_H
#define DIRECTORY_SERVER_SYNTAX_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

#include <stdint.h>

#define SERVER_TEXT_BYTES 1024u
#define SERVER_QUERY_MOST 8
#define SERVER_PORT	  25
#define SERVER_DNS_PORT	  53

struct server {
	struct span text;  /* as given, blanks around it removed */
	struct span host;  /* canonical name, or address without brackets; empty: lookup-mx */
	struct span zone;  /* canonical; empty: none */
	struct span query; /* comma list; empty: the system's DNS servers */
	uint16_t port;
};

/* Everything in `out` lives in the arena. On ERR_SYNTAX `why` (may be NULL) gets what is wrong, a
 * part of a sentence. ERR_NOMEM. */
int server_parse(struct span in, struct arena *arena, struct server *out, struct buf *why);

/* host[:port] or [v6][:port]; the bare v6 address too. `host` points into `in`, brackets removed.
 * Checks the shape alone, not the name. `why` (may be NULL) is told where only the port is wrong.
 */
int server_split(
	struct span in, uint16_t default_port, struct span *host, uint16_t *port, struct buf *why);

#endif
