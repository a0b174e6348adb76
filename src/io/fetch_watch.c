/* libcurl's sockets and time, on our loop. */
#include "io/fetch_curl_impl.h"

#include <stdlib.h>

/* A socket that libcurl wants watched. */
struct watch {
	uv_poll_t poll; /* first */
	struct fetch_curl *curl;
	curl_socket_t socket;
};

static void run(struct fetch_curl *curl, curl_socket_t socket, int events)
{
	int left;

	loop_wake(curl->loop);
	(void)curl_multi_socket_action(curl->multi, socket, events, &left);
	fetch_reap(curl);
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

void fetch_watch(struct fetch_curl *curl)
{
	curl->timer.fire = on_time;
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
}
