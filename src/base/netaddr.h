/*
 * An IP address with an optional port, small enough to sit in every session and every trace
 * event, and pure: names are resolved elsewhere. IPv4-mapped IPv6 addresses become IPv4, so that
 * one host has one form.
 */
#ifndef BASE_NETADDR_H
#define BASE_NETADDR_H

#include "base/buf.h"
#include "base/span.h"

#include <netinet/in.h>
#include <stdint.h>

enum netaddr_family { NETADDR_NONE = 0, NETADDR_V4 = 4, NETADDR_V6 = 6 };

struct netaddr {
	uint8_t family; /* enum netaddr_family */
	uint8_t ip[16]; /* network order; v4 uses the first 4, the rest is zero */
	uint16_t port;	/* host order; 0: none */
	uint32_t scope; /* of an IPv6 link-local address, else 0 */
};

/* "192.0.2.1" or "2001:db8::1" (also with %scope as a number), no port. ERR_SYNTAX. */
int netaddr_parse_ip(struct span in, struct netaddr *out);

/* "192.0.2.1:25", "[2001:db8::1]:25", or an address alone (then default_port). */
int netaddr_parse(struct span in, uint16_t default_port, struct netaddr *out);

void netaddr_add_ip(struct buf *buf, const struct netaddr *a); /* "2001:db8::1" (RFC 5952) */
void netaddr_add(struct buf *buf, const struct netaddr *a);    /* "[2001:db8::1]:25" */
/* RFC 5321 section 4.1.3: "[192.0.2.1]", "[IPv6:2001:db8::1]" */
void netaddr_add_literal(struct buf *buf, const struct netaddr *a);

bool netaddr_same_ip(const struct netaddr *a, const struct netaddr *b);
bool netaddr_is_loopback(const struct netaddr *a);

struct sockaddr_storage;
/* Returns the length for bind() and connect(), 0 where the family is none. */
socklen_t netaddr_to_sockaddr(const struct netaddr *a, struct sockaddr_storage *out);
int netaddr_from_sockaddr(const struct sockaddr *in, socklen_t length, struct netaddr *out);

#endif
