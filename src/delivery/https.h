/*
 * One exchange by HTTPS: the host of the URL is looked up here, and role fetch (io/fetch.h)
 * connects to one of its addresses.
 */
#ifndef DELIVERY_HTTPS_H
#define DELIVERY_HTTPS_H

#include "delivery/core.h"
#include "io/fetch.h"

struct https;

struct https_query {
	struct span url;
	bool private_hosts;	  /* addresses that are not public are used, too */
	struct span content_type; /* POST of `body`; empty: GET */
	struct span body;
};

/* Everything is copied. done() comes from the loop, once, with whatever fetch says; or, of our own,
 * FETCH_REFUSED (no such URL, no address that may be used), FETCH_UNREACHABLE (the name cannot be
 * looked up) or FETCH_BROKEN. ERR_NOMEM; ERR_SYNTAX: no such URL. */
int https_start(struct delivery *delivery, const struct https_query *query, fetch_done *done,
	void *owner, struct https **out);
/* No harm where it is NULL. */
void https_cancel(struct https **https);

#endif
