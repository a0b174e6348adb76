#include "io/fetch_curl.h"

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "io/loop_impl.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANCHOR_BYTES (4u << 20)
#define DEFAULT_PORT 443u
#define HOST_ROOM    256
#define TYPE_ROOM    128

struct exchange {
	struct fetch_question base; /* first */
	struct fetch_curl *curl;
	struct list node; /* in running or waiting */
	fetch_done *done;
	void *owner;
	CURL *easy; /* NULL: it waits for its turn */
	struct curl_slist *resolve, *headers;
	struct netaddr addresses[FETCH_ADDRESSES];
	uint32_t address_count;
	bool too_big;
	struct buf body;
	char host[HOST_ROOM], type[TYPE_ROOM], error[CURL_ERROR_SIZE];
	size_t send_bytes;
	char *send; /* what is posted; NULL: a GET */
	char url[FETCH_URL + 1];
};

/* A socket that libcurl wants watched. */
struct watch {
	uv_poll_t poll; /* first */
	struct fetch_curl *curl;
	curl_socket_t socket;
};

struct fetch_curl {
	struct fetch base; /* first */
	struct loop *loop;
	CURLM *multi;
	struct timer timer; /* libcurl's */
	struct timer start; /* what waits has its turn */
	struct list running, waiting;
	uint32_t running_count, waiting_count;
	struct buf anchors;
};

static struct fetch_curl *curl_of(struct fetch *fetch)
{
	return (struct fetch_curl *)(void *)fetch;
}

/* ---- exchanges ------------------------------------------------------------------------------- */

static void exchange_free(struct exchange *exchange)
{
	struct fetch_curl *curl = exchange->curl;

	if (exchange->easy) {
		curl_multi_remove_handle(curl->multi, exchange->easy);
		curl_easy_cleanup(exchange->easy);
		curl->running_count--;
	} else {
		curl->waiting_count--;
	}
	curl_slist_free_all(exchange->resolve);
	curl_slist_free_all(exchange->headers);
	list_remove(&exchange->node);
	buf_done(&exchange->body);
	free(exchange->send);
	free(exchange);
}

/* "text/plain" of "Text/Plain; charset=utf-8" */
static struct span plain_type(struct exchange *exchange)
{
	const char *given = NULL;
	size_t n = 0;

	if (curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_TYPE, &given) != CURLE_OK || !given)
		return SPAN_NONE;
	for (; given[n] > ' ' && given[n] != ';' && n < sizeof(exchange->type); n++)
		exchange->type[n] = ascii_lower(given[n]);
	return span_of(exchange->type, n);
}

static enum fetch_result result_of(const struct exchange *exchange, CURLcode code, long status)
{
	if (exchange->too_big)
		return FETCH_TOO_BIG;
	switch (code) {
	case CURLE_OK: return status >= 200 && status < 300 ? FETCH_OK : FETCH_STATUS;
	case CURLE_OPERATION_TIMEDOUT: return FETCH_TIMEOUT;
	case CURLE_FILESIZE_EXCEEDED: return FETCH_TOO_BIG;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR: return FETCH_TLS;
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: return FETCH_REFUSED;
	case CURLE_OUT_OF_MEMORY: return FETCH_BROKEN;
	default: return FETCH_UNREACHABLE;
	}
}

static void start_waiting(struct fetch_curl *curl);

static void finish(struct exchange *exchange, CURLcode code)
{
	struct fetch_curl *curl = exchange->curl;
	fetch_done *done = exchange->done;
	void *owner = exchange->owner;
	long status = 0;
	(void)curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	struct fetch_answer answer = {
		.result = result_of(exchange, code, status),
		.status = (uint32_t)status,
		.content_type = plain_type(exchange),
		.body = buf_span(&exchange->body),
		.detail = span_str(exchange->error[0] ? exchange->error : curl_easy_strerror(code)),
	};

	done(owner, &answer);
	exchange_free(exchange);
	start_waiting(curl);
}

/* After a call into libcurl that may have brought something to its end. */
static void reap(struct fetch_curl *curl)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(curl->multi, &left))) {
		struct exchange *exchange = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
		CHECK(exchange);
		finish(exchange, code);
	}
}

/* ---- libcurl's sockets and time -------------------------------------------------------------- */

static void run(struct fetch_curl *curl, curl_socket_t socket, int events)
{
	int left;

	loop_wake(curl->loop);
	(void)curl_multi_socket_action(curl->multi, socket, events, &left);
	reap(curl);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = (struct watch *)(void *)poll;
	int what = 0;

	if (status < 0)
		what |= CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	run(watch->curl, watch->socket, what);
}

static void on_time(struct timer *timer)
{
	run(CONTAINER_OF(timer, struct fetch_curl, timer), CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *context)
{
	struct fetch_curl *curl = context;
	(void)multi;

	io_timer_stop(&curl->loop->io, &curl->timer);
	if (ms >= 0 && io_timer_after(&curl->loop->io, &curl->timer, (uint64_t)ms))
		return -1;
	return 0;
}

static void watch_closed(uv_handle_t *handle)
{
	free(handle);
}

static struct watch *watch_new(struct fetch_curl *curl, curl_socket_t socket)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->curl = curl;
	watch->socket = socket;
	if (uv_poll_init_socket(&curl->loop->uv, &watch->poll, socket)) {
		free(watch);
		return NULL;
	}
	curl_multi_assign(curl->multi, socket, watch);
	return watch;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known)
{
	struct fetch_curl *curl = context;
	struct watch *watch = known;
	int events = 0;
	(void)easy;

	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			curl_multi_assign(curl->multi, socket, NULL);
			uv_close((uv_handle_t *)&watch->poll, watch_closed);
		}
		return 0;
	}
	if (!watch)
		watch = watch_new(curl, socket);
	if (!watch)
		return -1;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watch->poll, events, on_poll) ? -1 : 0;
}

/* ---- one exchange ---------------------------------------------------------------------------- */

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

#define SET(option, value)                                                       \
	do {                                                                     \
		if (curl_easy_setopt(exchange->easy, option, value) != CURLE_OK) \
			return false;                                            \
	} while (0)

static bool set_up(struct exchange *exchange)
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

static int start(struct exchange *exchange)
{
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before is out of the list */
	struct fetch_curl *curl = exchange->curl;

	CURL *easy = curl_easy_init();
	if (!easy)
		return ERR_NOMEM;
	exchange->easy = easy;
	curl->running_count++;
	curl->waiting_count--;
	list_remove(&exchange->node);
	list_push_back(&curl->running, &exchange->node);
	if (!set_up(exchange) || curl_multi_add_handle(curl->multi, easy) != CURLM_OK)
		return ERR_NOMEM;
	return 0;
}

static void start_waiting(struct fetch_curl *curl)
{
	while (curl->running_count < FETCH_CURL_MOST && !list_empty(&curl->waiting)) {
		struct exchange *next = LIST_FIRST(&curl->waiting, struct exchange, node);

		if (start(next)) {
			const struct fetch_answer broken = {
				.result = FETCH_BROKEN, .detail = SPAN("out of memory")};

			next->done(next->owner, &broken);
			exchange_free(next);
		}
	}
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

static int fill(struct exchange *exchange, const struct fetch_query *query)
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

static bool has_control(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f)
			return true;
	return false;
}

static int ask(struct fetch *fetch, const struct fetch_query *query, fetch_done *done, void *owner,
	struct fetch_question **out)
{
	struct fetch_curl *curl = curl_of(fetch);

	if (query->url.n > FETCH_URL || !query->address_count || query->body.n > FETCH_SEND ||
		query->content_type.n >= TYPE_ROOM || has_control(query->url) ||
		has_control(query->content_type))
		return ERR_SYNTAX;
	if (curl->waiting_count == FETCH_CURL_WAITING)
		return ERR_LIMIT;
	struct exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return ERR_NOMEM;
	exchange->base.fetch = fetch;
	exchange->curl = curl;
	exchange->done = done;
	exchange->owner = owner;
	buf_init(&exchange->body, FETCH_BODY);
	curl->waiting_count++;
	list_push_back(&curl->waiting, &exchange->node);
	int err = fill(exchange, query);
	/* From the loop, since libcurl may know at once that it fails. */
	if (!err)
		err = io_timer_after(&curl->loop->io, &curl->start, 0);
	if (err) {
		exchange_free(exchange);
		return err;
	}
	*out = &exchange->base;
	return 0;
}

static void cancel(struct fetch_question **question)
{
	struct exchange *exchange = (struct exchange *)(void *)*question;
	struct fetch_curl *curl = exchange->curl;

	*question = NULL;
	exchange_free(exchange);
	if (!list_empty(&curl->waiting))
		(void)io_timer_after(&curl->loop->io, &curl->start, 0);
}

static const struct fetch_ops ops = {ask, cancel};

static void start_now(struct timer *timer)
{
	struct fetch_curl *curl = CONTAINER_OF(timer, struct fetch_curl, start);

	start_waiting(curl);
	reap(curl);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int read_anchors(struct buf *out)
{
	FILE *file = fopen(FETCH_CURL_ANCHORS, "re");
	char piece[4096];
	size_t n;

	if (!file)
		return ERR_NOT_FOUND;
	while ((n = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_add(out, piece, n);
	fclose(file);
	return buf_ok(out) ? 0 : ERR_NOMEM;
}

int fetch_curl_new(struct loop *loop, struct span ca_pem, struct fetch **out)
{
	struct fetch_curl *curl = calloc(1, sizeof(*curl));

	if (!curl)
		return ERR_NOMEM;
	curl->base.ops = &ops;
	curl->loop = loop;
	curl->timer.fire = on_time;
	curl->start.fire = start_now;
	list_init(&curl->running);
	list_init(&curl->waiting);
	buf_init(&curl->anchors, ANCHOR_BYTES);
	buf_add_span(&curl->anchors, ca_pem);
	int err = ca_pem.n ? 0 : read_anchors(&curl->anchors);
	if (!err)
		err = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : ERR_NOMEM;
	curl->multi = err ? NULL : curl_multi_init();
	if (!curl->multi) {
		buf_done(&curl->anchors);
		free(curl);
		return err ? err : ERR_NOMEM;
	}
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
	*out = &curl->base;
	return 0;
}

void fetch_curl_free(struct fetch **fetch)
{
	struct fetch_curl *curl = curl_of(*fetch);

	*fetch = NULL;
	LIST_FOR_EACH(node, &curl->running)
	exchange_free(CONTAINER_OF(node, struct exchange, node));
	LIST_FOR_EACH(waiting, &curl->waiting)
	exchange_free(CONTAINER_OF(waiting, struct exchange, node));
	curl_multi_cleanup(curl->multi);
	io_timer_stop(&curl->loop->io, &curl->timer);
	io_timer_stop(&curl->loop->io, &curl->start);
	buf_done(&curl->anchors);
	free(curl);
}
