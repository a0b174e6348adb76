/*
 * The fetch role: gets and sends things by HTTPS for delivery, so that what parses strangers' HTTP
 * is not the process that reads everybody's mail. It has no files, knows no name server, and
 * connects to addresses that delivery looked up; of these to public ones only, unless delivery says
 * otherwise.
 */
#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "io/fetch_curl.h"
#include "role/fetch_message.h"
#include "role/role.h"
#include "route/public.h"

#include <stdlib.h>
#include <unistd.h>

#define EXCHANGES    1024u
#define ANSWER_BYTES (FETCH_BODY + 4096)

struct fetch_role {
	struct role *role;
	struct fetch *fetch;
	struct ipc_port delivery;
	struct list exchanges;
	uint32_t count;
	bool ready;
};

struct exchange {
	struct list node;
	struct fetch_role *f;
	uint32_t request;
	struct fetch_question *question;
};

static void exchange_free(struct exchange *exchange)
{
	fetch_cancel(&exchange->question);
	list_remove(&exchange->node);
	exchange->f->count--;
	free(exchange);
}

static void tell(struct fetch_role *f, uint32_t request, const struct fetch_answer *answer)
{
	struct buf bytes;

	buf_init(&bytes, ANSWER_BYTES);
	fetch_put_answer(&bytes, answer);
	if (buf_ok(&bytes))
		(void)ipc_send(&f->delivery, IPC_FETCH_ANSWER, request, buf_span(&bytes), NULL, 0);
	buf_done(&bytes);
}

static void heard(void *owner, const struct fetch_answer *answer)
{
	struct exchange *exchange = owner;

	exchange->question = NULL;
	tell(exchange->f, exchange->request, answer);
	exchange_free(exchange);
}

static void refuse(
	struct fetch_role *f, uint32_t request, enum fetch_result result, const char *detail)
{
	const struct fetch_answer answer = {.result = result, .detail = span_str(detail)};

	tell(f, request, &answer);
}

/* Delivery filtered them, and may have been taken over. */
static void keep_public(struct fetch_request *request)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < request->query.address_count; i++)
		if (request->query.private_hosts || route_is_public(&request->addresses[i]))
			request->addresses[kept++] = request->addresses[i];
	request->query.address_count = kept;
}

static void begin_exchange(struct fetch_role *f, uint32_t number, struct fetch_request *request)
{
	struct exchange *exchange = f->count < EXCHANGES ? calloc(1, sizeof(*exchange)) : NULL;

	if (!exchange) {
		refuse(f, number, FETCH_BROKEN, "too much is being fetched");
		return;
	}
	exchange->f = f;
	exchange->request = number;
	list_push_back(&f->exchanges, &exchange->node);
	f->count++;
	keep_public(request);
	int err = f->fetch ? fetch_ask(f->fetch, &request->query, heard, exchange,
				     &exchange->question)
			   : ERR_UNSUPPORTED;
	if (!err)
		return;
	exchange_free(exchange);
	refuse(f, number, err == ERR_SYNTAX ? FETCH_REFUSED : FETCH_BROKEN,
		err == ERR_SYNTAX ? "the URL or its host's addresses may not be used"
				  : err_text(err));
}

static void delivery_says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct fetch_role *f = owner;
	struct fetch_request request;
	(void)port;

	for (size_t i = 0; i < message->fd_count; i++)
		close(message->fds[i]);
	if (message->type != IPC_FETCH_QUERY)
		return;
	if (message->payload.n) {
		if (fetch_get_query(message->payload, &request) == 0)
			begin_exchange(f, message->request, &request);
		else
			refuse(f, message->request, FETCH_REFUSED, "the question cannot be read");
		return;
	}
	LIST_FOR_EACH(node, &f->exchanges)
	{
		struct exchange *exchange = CONTAINER_OF(node, struct exchange, node);

		if (exchange->request == message->request) {
			exchange_free(exchange);
			return;
		}
	}
}

static void forget_all(struct fetch_role *f)
{
	LIST_FOR_EACH(node, &f->exchanges)
	exchange_free(CONTAINER_OF(node, struct exchange, node));
}

static void delivery_gone(void *owner, struct ipc_port *port)
{
	(void)port;
	forget_all(owner);
}

static const struct ipc_port_calls delivery_calls = {delivery_says, delivery_gone};

static void channel(struct role *role, enum role_kind peer, uint8_t index, int fd)
{
	struct fetch_role *f = role->core;

	if (peer != ROLE_DELIVERY) {
		close(fd);
		return;
	}
	ipc_port_close(&f->delivery);
	forget_all(f);
	ipc_port_init(&f->delivery, peer, index, &delivery_calls, f);
	(void)role_open_port(role, fd, &f->delivery);
}

static bool written(void *core)
{
	(void)core;
	return true;
}

static void stop(struct role *role, uint32_t ms)
{
	(void)ms;
	role_end_when(role, written);
}

/* The system's trust anchors are read now, as no file can be later. Without any nothing can be
 * trusted, and all else goes on. */
static int make_fetch(struct fetch_role *f)
{
	int err = fetch_curl_new(f->role->loop, SPAN_NONE, &f->fetch);

	if (err != ERR_NOT_FOUND)
		return err;
	log_write(f->role->log, LOG_WARN,
		"this system has no trust anchors: MTA-STS policies cannot be fetched; install the "
		"package ca-certificates, then restart",
		LOG_STR("file", FETCH_CURL_ANCHORS));
	return 0;
}

static int begin(struct fetch_role *f)
{
	struct role *role = f->role;
	int err = make_fetch(f);

	if (err) {
		role_fatal(role, "cannot start", span_str(err_text(err)));
		return err;
	}
	err = role_enter(role);
	if (err)
		return err;
	role_take_channels(role);
	return role_ready(role);
}

int role_fetch_main(void)
{
	static const uint8_t no_index = 0;
	struct role role;
	struct fetch_role f = {.role = &role};

	if (role_start(&role, ROLE_FETCH, no_index) != 0)
		return ROLE_EXIT_FAILED;
	role.core = &f;
	role.channel = channel;
	role.stop = stop;
	list_init(&f.exchanges);
	ipc_port_init(&f.delivery, ROLE_DELIVERY, 0, &delivery_calls, &f);
	int err = begin(&f);
	if (err == 0)
		loop_run(role.loop);
	role_end(&role);
	return err ? ROLE_EXIT_FATAL : ROLE_EXIT_DONE;
}
