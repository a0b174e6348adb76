/*
 * The PROXY header: from the peers that the listener names it must come first, and says for whom
 * they connect; from anybody else it is no command. Nothing is said before it is there.
 */
#include "codec/proxy_header.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/range.h"
#include "smtpd/session.h"

#define V1_LEAST 15 /* bytes of "PROXY UNKNOWN\r\n", the shortest line */
#define V2_FIXED \
	16 /* bytes of version 2 before addresses and extensions; the last two count these */
#define V2_BEGIN '\r'

bool proxy_expected(const struct session *s)
{
	struct span peers = session_listener(s)->proxy;

	return peers.n && range_list_holds(peers, &s->client);
}

size_t proxy_wants(const struct session *s)
{
	const unsigned char *p = (const unsigned char *)s->held.p;
	size_t n = s->held.n;

	if (n < V1_LEAST)
		return V1_LEAST - n;
	/* The end of version 1 is where its LF is: it comes byte by byte, after most of it. */
	if (p[0] != V2_BEGIN)
		return 1;
	if (n < V2_FIXED)
		return V2_FIXED - n;
	size_t whole = V2_FIXED + ((size_t)p[14] << 8 | p[15]);
	/* What is too long was refused, so some of it is missing. */
	return whole > n ? whole - n : 1;
}

void proxy_failed(struct session *s, const char *why)
{
	refuse_simple(s, SMTPD_REFUSED_PROXY, 421, "4.7.0", why, SPAN_NONE);
	/* Without a reply: the peer speaks something else. */
	s->ending = true;
}

size_t proxy_take(struct session *s, struct span in)
{
	struct proxy_header header;
	size_t used;
	int err = proxy_header_parse(in, &header, &used);

	if (err == ERR_MORE && in.n < PROXY_HEADER_MOST)
		return 0;
	if (err != 0) {
		proxy_failed(s, "No valid PROXY header");
		return in.n;
	}
	/* What speaks for itself is the proxy: a health check. */
	s->phase = session_first_phase(s);
	if (!header.local) {
		s->client = header.client;
		s->proxied = true;
		if (!smtpd_admit_client(s))
			return in.n;
	}
	session_open(s);
	return used;
}
