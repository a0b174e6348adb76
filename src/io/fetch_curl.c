#include "io/fetch_curl.h"

#include "base/check.h"
#include "base/err.h"
#include "io/fetch_curl_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANCHOR_BYTES (4u << 20)

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

void fetch_reap(struct fetch_curl *curl)
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
	if (!fetch_set_up(exchange) || curl_multi_add_handle(curl->multi, easy) != CURLM_OK)
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

/* ---- what is asked --------------------------------------------------------------------------- */

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
	int err = fetch_fill(exchange, query);
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
	fetch_reap(curl);
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
	fetch_watch(curl);
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
