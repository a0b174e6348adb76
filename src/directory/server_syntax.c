#include "directory/server_syntax.h"

#include "base/err.h"
#include "base/netaddr.h"
#include "base/text.h"
#include "directory/names.h"

#define LOOKUP_MX "lookup-mx"

static int say(struct buf *why, const char *text)
{
	if (why)
		buf_add_str(why, text);
	return ERR_SYNTAX;
}

static int parse_port(struct span in, uint16_t *out)
{
	uint64_t port;

	if (text_parse_u64(in, UINT16_MAX, &port) < 0 || port == 0)
		return ERR_SYNTAX;
	*out = (uint16_t)port;
	return 0;
}

/* Parts at the colon. `rest` is that and what follows. */
static int split_host(struct span in, struct span *host, struct span *rest)
{
	struct netaddr address;
	size_t end = in.n;

	if (in.n && in.p[0] == '[') {
		end = span_find(in, ']');
		if (end == in.n)
			return ERR_SYNTAX;
		*host = span_of(in.p + 1, end - 1);
		*rest = span_skip(in, end + 1);
		if (netaddr_parse_ip(*host, &address) < 0 || (rest->n && rest->p[0] != ':'))
			return ERR_SYNTAX;
		return 0;
	}
	if (netaddr_parse_ip(in, &address) < 0)
		end = span_find(in, ':');
	*host = span_of(in.p, end);
	*rest = span_skip(in, end);
	return host->n ? 0 : ERR_SYNTAX;
}

int server_split(
	struct span in, uint16_t default_port, struct span *host, uint16_t *port, struct buf *why)
{
	struct span name, rest;
	uint16_t number = default_port;

	if (split_host(in, &name, &rest) < 0)
		return ERR_SYNTAX;
	struct span digits = span_skip(rest, 1);
	if (rest.n && parse_port(digits, &number) < 0)
		/* A second colon is another mistake. */
		return span_find(digits, ':') < digits.n
			       ? ERR_SYNTAX
			       : say(why, "the port is a number from 1 to 65535");
	*host = name;
	*port = number;
	return 0;
}

static int check_query(struct span list, struct arena *arena, struct buf *why)
{
	for (uint32_t count = 1;; count++) {
		size_t comma = span_find(list, ',');
		struct span host;
		uint16_t port;
		if (count > SERVER_QUERY_MOST)
			return say(why, "query= takes at most 8 servers");
		size_t told = why ? why->n : 0;
		int err = server_split(span_of(list.p, comma), SERVER_DNS_PORT, &host, &port, why);
		if (err == 0)
			err = name_host(host, arena, &host);
		if (err == ERR_SYNTAX && why && why->n > told)
			return err;
		if (err == ERR_SYNTAX)
			return say(why, "query= takes DNS servers, as in "
					"query=ns1.example.org,192.0.2.53:5353");
		if (err < 0)
			return err;
		if (comma == list.n)
			return 0;
		list = span_skip(list, comma + 1);
	}
}

struct lookup_seen {
	bool zone, query, port;
};

static int lookup_setting(struct span in, struct arena *arena, struct server *out,
	struct lookup_seen *seen, struct buf *why)
{
	size_t equals = span_find(in, '=');
	struct span key = span_of(in.p, equals), value = span_skip(in, equals + 1);
	int err = 0;

	if (span_equal(key, SPAN("zone")) && !seen->zone) {
		seen->zone = true;
		err = name_domain(value, arena, &out->zone);
		return err == ERR_SYNTAX ? say(why, "zone= takes a domain name") : err;
	}
	if (span_equal(key, SPAN("query")) && !seen->query) {
		seen->query = true;
		out->query = value;
		return check_query(value, arena, why);
	}
	if (span_equal(key, SPAN("port")) && !seen->port) {
		seen->port = true;
		err = parse_port(value, &out->port);
		return err == ERR_SYNTAX ? say(why, "port= takes a number from 1 to 65535") : err;
	}
	return say(why, "after \"" LOOKUP_MX
			":\" come zone=, query= and port=, each once, with \";\" between");
}

static int parse_lookup(struct span rest, struct arena *arena, struct server *out, struct buf *why)
{
	struct lookup_seen seen = {0};

	if (rest.n == 0)
		return 0;
	for (rest = span_skip(rest, 1);;) {
		size_t semicolon = span_find(rest, ';');
		int err = lookup_setting(span_of(rest.p, semicolon), arena, out, &seen, why);
		if (err < 0 || semicolon == rest.n)
			return err;
		rest = span_skip(rest, semicolon + 1);
	}
}

int server_parse(struct span in, struct arena *arena, struct server *out, struct buf *why)
{
	struct server server = {.port = SERVER_PORT};

	in = span_trim(in);
	if (in.n == 0)
		return say(why, "a host name, an address or \"" LOOKUP_MX "\" is needed");
	if (in.n > SERVER_TEXT_BYTES)
		return say(why, "longer than 1024 bytes");
	server.text = arena_copy(arena, in);
	if (!server.text.p)
		return ERR_NOMEM;
	struct span prefix = SPAN(LOOKUP_MX), rest = span_skip(server.text, prefix.n);
	int err;
	if (span_starts_nocase(server.text, prefix) && (rest.n == 0 || rest.p[0] == ':')) {
		err = parse_lookup(rest, arena, &server, why);
	} else {
		size_t told = why ? why->n : 0;

		err = server_split(server.text, SERVER_PORT, &server.host, &server.port, why);
		if (err == 0)
			err = name_host(server.host, arena, &server.host);
		if (err == ERR_SYNTAX && why && why->n == told)
			say(why, "neither host[:port] nor [IPv6 address]:port nor \"" LOOKUP_MX
				 "\"");
	}
	if (err < 0)
		return err;
	*out = server;
	return 0;
}
