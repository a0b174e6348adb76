/*
 * A listener and its relay policy, and what follows from both; for use within route/.
 */
#ifndef ROUTE_RELAY_VIEW_H
#define ROUTE_RELAY_VIEW_H

#include "route/relay.h"

/* A listener's `from` that holds so much of the Internet is an open relay by another name. */
#define RELAY_WIDE_V4 (UINT64_C(1) << 31) /* addresses */
#define RELAY_WIDE_V6 32 /* of the 256 blocks of a /8: as many as are in use (2000::/3) */

struct relay_view {
	const struct config_listener *listener;
	struct relay relay;
	int err;	   /* the directory cannot be read; else 0 */
	bool in_directory; /* has an object of its own */
	bool inside;	   /* on a loopback address, and no peer speaks for clients elsewhere */
	bool tls;
	bool login;	  /* somebody can log in */
	bool certificate; /* clients are asked for a certificate, and it may give the right */
	bool wide;	  /* from holds most of the Internet */
	bool open;	  /* anybody may relay */
};

void relay_view(const struct snapshot *snapshot, const struct config_listener *listener,
	struct relay_view *out);
/* For AUTH, in the order in which they are offered; NULL: no more. */
const char *relay_mechanism(const struct relay_view *view, uint32_t at);

#endif
