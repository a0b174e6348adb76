#include "base/err.h"
#include "io/dns_context.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROBE_AFTER_MS 250  /* without any answer to the context */
#define PROBE_WAIT_MS  2000 /* for what the servers, or the network, say to it */

/* A question that every server can answer from its head: the name servers of the root, without
 * recursion (RFC 1035 section 4.1). */
static const char question[] = "PN\0\0\0\1\0\0\0\0\0\0\0\0\2\0\1";

static void poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_poll(struct context *context, size_t at)
{
	uv_poll_t *poll = context->probe.polls[at];
	uv_os_fd_t fd;

	if (!poll)
		return;
	context->probe.polls[at] = NULL;
	bool open = uv_fileno((uv_handle_t *)poll, &fd) == 0;
	uv_close((uv_handle_t *)poll, poll_closed);
	if (open)
		close(fd);
}

static void end_asking(struct context *context)
{
	for (size_t i = 0; i < context->address_count; i++)
		close_poll(context, i);
	context->probe.asks = false;
}

static void arm(struct context *context, uint64_t ms)
{
	struct probe *probe = &context->probe;

	probe->armed_ns = context->all->loop->io.now_ns;
	/* Without it the questions end by their timeout. */
	(void)io_timer_after(&context->all->loop->io, &probe->timer, ms);
}

static bool is_refusal(int error)
{
	return error == ECONNREFUSED || error == EHOSTUNREACH || error == ENETUNREACH;
}

static void refused(struct context *context)
{
	if (++context->probe.refused < context->address_count)
		return;
	probe_stop(context);
	trial_stop(context);
	flights_fail(context, "no DNS server listens there (connection refused)");
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct context *context = poll->data;
	char answer[16];
	uv_os_fd_t fd;
	size_t at = 0;

	(void)status;
	(void)events;
	loop_wake(context->all->loop);
	if (uv_fileno((uv_handle_t *)poll, &fd) != 0)
		return;
	ssize_t n = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
	if (n < 0 && !is_refusal(errno))
		return;
	if (n >= 0) { /* somebody is there: the answers will come */
		end_asking(context);
		return;
	}
	while (context->probe.polls[at] != poll)
		at++;
	close_poll(context, at);
	refused(context);
}

/* False where the server cannot even be asked, or the refusal is known at once. */
static bool ask(struct context *context, size_t at)
{
	struct sockaddr_storage to;
	socklen_t size = netaddr_to_sockaddr(&context->addresses[at], &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	uv_poll_t *poll = fd < 0 ? NULL : calloc(1, sizeof(*poll));

	if (!poll || uv_poll_init(&context->all->loop->uv, poll, fd) < 0) {
		free(poll);
		if (fd >= 0)
			close(fd);
		return true; /* our own trouble says nothing of the server */
	}
	poll->data = context;
	uv_unref((uv_handle_t *)poll);
	context->probe.polls[at] = poll;
	bool fits = connect(fd, (struct sockaddr *)&to, size) == 0 &&
		    send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL) >= 0;
	if (!fits && is_refusal(errno)) {
		close_poll(context, at);
		return false;
	}
	(void)uv_poll_start(poll, UV_READABLE, on_readable);
	return true;
}

static void due(struct timer *timer)
{
	struct context *context = CONTAINER_OF(timer, struct context, probe.timer);
	struct probe *probe = &context->probe;
	bool silent = probe->answered_ns < probe->armed_ns;

	/* Who waited was cancelled. */
	if (!context->open && !trial_holds(context)) {
		probe_stop(context);
		return;
	}

	if (probe->asks || !silent) {
		end_asking(context);
		arm(context, PROBE_AFTER_MS + (silent ? PROBE_WAIT_MS : 0));
		return;
	}
	probe->asks = true;
	probe->refused = 0;
	arm(context, PROBE_WAIT_MS);
	uint32_t at_once = 0;
	for (size_t i = 0; i < context->address_count; i++)
		at_once += !ask(context, i);
	while (at_once--)
		refused(context);
}

void probe_init(struct context *context)
{
	context->probe.timer.fire = due;
}

void probe_begin(struct context *context)
{
	if ((context->open || trial_holds(context)) && !timer_armed(&context->probe.timer))
		arm(context, PROBE_AFTER_MS);
}

void probe_stop(struct context *context)
{
	io_timer_stop(&context->all->loop->io, &context->probe.timer);
	end_asking(context);
}
