/* A query as libcurl has it: where it may connect to, what it sends, what it takes. */
#include "base/check.h"
#include "base/err.h"
#include "io/fetch_curl_impl.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT 443u

/* ---- the query ------------------------------------------------------------------------------- */

/* "host:443:192.0.2.1,[2001:db8::1]" */
static bool set_addresses(struct exchange *exchange, unsigned port)
{
	struct buf text;

	buf_init(&text, HOST_ROOM + 32 + FETCH_ADDRESSES * 64);
	buf_printf(&text, "%s:%u:", exchange->host, port);
	for (uint32_t i = 0; i < exchange->address_count; i++) {
		bool v6 = exchange->addresses[i].family == NETADDR_V6;

		buf_add_str(&text, i ? "," : "");
		buf_add_str(&text, v6 ? "[" : "");
		netaddr_add_ip(&text, &exchange->addresses[i]);
		buf_add_str(&text, v6 ? "]" : "");
	}
	buf_add_char(&text, '\0');
	exchange->resolve = buf_ok(&text) ? curl_slist_append(NULL, text.p) : NULL;
	buf_done(&text);
	return exchange->resolve != NULL;
}

static bool set_headers(struct exchange *exchange)
{
	char line[TYPE_ROOM + 32];
	struct curl_slist *list;

	/* "100 Continue" is waited for by nobody. */
	list = curl_slist_append(NULL, "Expect:");
	snprintf(line, sizeof(line), "Content-Type: %s", exchange->type);
	exchange->headers = list ? curl_slist_append(list, line) : NULL;
	if (!exchange->headers)
		curl_slist_free_all(list);
	return exchange->headers != NULL;
}

/* Host and port of an URL; false: no such URL. */
static bool parse_url(struct exchange *exchange, unsigned *port)
{
	CURLU *url = curl_url();
	char *host = NULL, *number = NULL, *scheme = NULL, *user = NULL;
	bool good = url && curl_url_set(url, CURLUPART_URL, exchange->url, 0) == CURLUE_OK &&
		    curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		    curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		    curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK &&
		    strcmp(scheme, "https") == 0 && strlen(host) < HOST_ROOM && host[0] != '[';

	*port = DEFAULT_PORT;
	if (good && curl_url_get(url, CURLUPART_PORT, &number, 0) == CURLUE_OK)
		*port = (unsigned)strtoul(number, NULL, 10);
	if (good)
		snprintf(exchange->host, sizeof(exchange->host), "%s", host);
	curl_free(host);
	curl_free(number);
	curl_free(scheme);
	curl_free(user);
	curl_url_cleanup(url);
	return good;
}

int fetch_fill(struct exchange *exchange, const struct fetch_query *query)
{
	unsigned port;

	memcpy(exchange->url, query->url.p, query->url.n);
	if (!parse_url(exchange, &port))
		return ERR_SYNTAX;
	exchange->address_count = MIN(query->address_count, FETCH_ADDRESSES);
	memcpy(exchange->addresses, query->addresses,
		exchange->address_count * sizeof(exchange->addresses[0]));
	if (!set_addresses(exchange, port))
		return ERR_NOMEM;
	if (!query->content_type.n)
		return 0;
	memcpy(exchange->type, query->content_type.p, query->content_type.n);
	exchange->send_bytes = query->body.n;
	exchange->send = malloc(query->body.n + 1);
	if (!exchange->send || !set_headers(exchange))
		return ERR_NOMEM;
	if (query->body.n)
		memcpy(exchange->send, query->body.p, query->body.n);
	return 0;
}

/* ---- what libcurl is told -------------------------------------------------------------------- */

/* Whatever libcurl makes of the URL and the list of addresses, it connects to no other. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct exchange *exchange = context;
	struct netaddr address;

	if (purpose != CURLSOCKTYPE_IPCXN ||
		netaddr_from_sockaddr(&to->addr, to->addrlen, &address) != 0)
		return CURL_SOCKET_BAD;
	for (uint32_t i = 0; i < exchange->address_count; i++)
		if (netaddr_same_ip(&exchange->addresses[i], &address))
			return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	return CURL_SOCKET_BAD;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
	struct exchange *exchange = context;
	size_t n = size * count;

	buf_add(&exchange->body, bytes, n);
	if (buf_ok(&exchange->body))
		return n;
	exchange->too_big = true;
	return 0;
}

#define SET(option, value)                                                       \
	do {                                                                     \
		if (curl_easy_setopt(exchange->easy, option, value) != CURLE_OK) \
			return false;                                            \
	} while (0)

bool fetch_set_up(struct exchange *exchange)
{
	struct curl_blob anchors = {
		.data = exchange->curl->anchors.p, .len = exchange->curl->anchors.n};

	SET(CURLOPT_PRIVATE, exchange);
	SET(CURLOPT_URL, exchange->url);
	SET(CURLOPT_PROTOCOLS_STR, "https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TIMEOUT_MS, (long)FETCH_TIME_MS);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	SET(CURLOPT_CAINFO_BLOB, &anchors);
	SET(CURLOPT_CAPATH, NULL);
	SET(CURLOPT_RESOLVE, exchange->resolve);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, exchange);
	SET(CURLOPT_MAXFILESIZE, (long)FETCH_BODY);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, exchange);
	SET(CURLOPT_ERRORBUFFER, exchange->error);
	SET(CURLOPT_USERAGENT, "Postern");
	SET(CURLOPT_FRESH_CONNECT, 1L);
	SET(CURLOPT_FORBID_REUSE, 1L);
	if (exchange->send) {
		SET(CURLOPT_HTTPHEADER, exchange->headers);
		SET(CURLOPT_POSTFIELDS, exchange->send);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)exchange->send_bytes);
	}
	return true;
}
