/*
 * Inside of io/fetch_curl. See there.
 *
 *   fetch_curl.c     what is asked, and what has its turn
 *   fetch_request.c  a query, as libcurl has it
 *   fetch_watch.c    libcurl's sockets and time
 */
#ifndef IO_FETCH_CURL_IMPL_H
#define IO_FETCH_CURL_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "io/fetch_curl.h"
#include "io/loop_impl.h"

#include <curl/curl.h>

#define HOST_ROOM 256
#define TYPE_ROOM 128

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

/* fetch_request.c. Takes the query in. ERR_SYNTAX, ERR_NOMEM. */
int fetch_fill(struct exchange *exchange, const struct fetch_query *query);
/* False: libcurl has no memory. */
bool fetch_set_up(struct exchange *exchange);

/* fetch_watch.c. */
void fetch_watch(struct fetch_curl *curl);

/* fetch_curl.c. After a call into libcurl that may have brought something to its end. */
void fetch_reap(struct fetch_curl *curl);

#endif
