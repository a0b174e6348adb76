/*
 * libunbound says SERVFAIL to whatever it got no answer for: servers that are silent, that refuse,
 * that fail themselves, or whose answer leads nowhere. Who has to mend it must know which. So a few
 * of the servers are asked the same question once more, directly, only for the reason that people
 * read; no answer is ever taken from here.
 */
#include "base/check.h"
#include "io/dns_context.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOKS	     8	 /* at a time; others fail without */
#define LOOK_SERVERS 3	 /* of a list that are asked */
#define LOOK_WAIT_MS 500 /* for their answers */

#define HEADER	     12 /* bytes: RFC 1035 section 4.1.1 */
#define QUESTION     (HEADER + DNS_NAME + 2 + 4)
#define CLASS_IN     1
#define FLAG_RECURSE 0x01
#define FLAG_ANSWER  0x80
#define RCODE_BITS   0x0f

struct look {
	struct flight *flight;
	struct timer timer;
	uint32_t open, heard, refused, failed;
	uv_poll_t *polls[LOOK_SERVERS];
	size_t length;
	unsigned char question[QUESTION];
};

static void poll_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_poll(struct look *look, size_t at)
{
	uv_poll_t *poll = look->polls[at];
	uv_os_fd_t fd;

	if (!poll)
		return;
	look->polls[at] = NULL;
	look->open--;
	bool open = uv_fileno((uv_handle_t *)poll, &fd) == 0;
	uv_close((uv_handle_t *)poll, poll_closed);
	if (open)
		close(fd);
}

void look_end(struct flight *flight)
{
	struct look *look = flight->look;
	struct unbound *all = flight->context->all;

	if (!look)
		return;
	flight->look = NULL;
	all->looks--;
	io_timer_stop(&all->loop->io, &look->timer);
	for (size_t i = 0; i < LOOK_SERVERS; i++)
		close_poll(look, i);
	free(look);
}

static void put_u16(unsigned char *to, unsigned value)
{
	to[0] = (unsigned char)(value >> 8);
	to[1] = (unsigned char)value;
}

/* The name is in the form of dns_name_normal(): it fits. */
static void write_question(struct look *look, uint16_t id)
{
	struct span name = span_of(look->flight->name, look->flight->name_length);
	unsigned char *to = look->question + HEADER;

	put_u16(look->question, id);
	look->question[2] = FLAG_RECURSE;
	put_u16(look->question + 4, 1);
	while (name.n) {
		size_t label = span_find(name, '.');

		*to++ = (unsigned char)label;
		memcpy(to, name.p, label);
		to += label;
		name = span_skip(name, label + 1);
	}
	*to++ = 0;
	put_u16(to, (unsigned)look->flight->type);
	put_u16(to + 2, CLASS_IN);
	look->length = (size_t)(to + 4 - look->question);
	CHECK(look->length <= sizeof(look->question));
}

static const char *reason(const struct look *look)
{
	if (!look->heard)
		return "the DNS servers do not answer";
	if (look->refused == look->heard)
		return "the DNS servers refuse to answer (REFUSED)";
	if (look->refused + look->failed == look->heard)
		return "the DNS servers fail (SERVFAIL)";
	return "the DNS servers give no usable answer";
}

static void tell(struct look *look)
{
	struct flight *flight = look->flight;
	const char *why = reason(look);

	look_end(flight);
	flight_fail(flight, why);
}

static void waited(struct timer *timer)
{
	tell(CONTAINER_OF(timer, struct look, timer));
}

static void hear(struct look *look, const unsigned char *answer, ssize_t n)
{
	if (n < HEADER || memcmp(answer, look->question, 2) != 0 || !(answer[2] & FLAG_ANSWER))
		return;
	look->heard++;
	look->refused += (answer[3] & RCODE_BITS) == RCODE_REFUSED;
	look->failed += (answer[3] & RCODE_BITS) == RCODE_SERVFAIL;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct look *look = poll->data;
	unsigned char answer[HEADER] = {0};
	size_t at = 0;
	uv_os_fd_t fd;

	(void)status;
	(void)events;
	loop_wake(look->flight->context->all->loop);
	if (uv_fileno((uv_handle_t *)poll, &fd) == 0)
		hear(look, answer, recv(fd, answer, sizeof(answer), MSG_DONTWAIT));
	while (look->polls[at] != poll)
		at++;
	close_poll(look, at);
	if (!look->open)
		tell(look);
}

static void ask(struct look *look, size_t at, const struct netaddr *server)
{
	struct sockaddr_storage to;
	socklen_t size = netaddr_to_sockaddr(server, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	uv_poll_t *poll = fd < 0 ? NULL : calloc(1, sizeof(*poll));

	if (!poll || uv_poll_init(&look->flight->context->all->loop->uv, poll, fd) < 0) {
		free(poll);
		if (fd >= 0)
			close(fd);
		return;
	}
	poll->data = look;
	uv_unref((uv_handle_t *)poll);
	look->polls[at] = poll;
	look->open++;
	if (connect(fd, (struct sockaddr *)&to, size) < 0 ||
		send(fd, look->question, look->length, MSG_NOSIGNAL) < 0 ||
		uv_poll_start(poll, UV_READABLE, on_readable) < 0)
		close_poll(look, at);
}

void look_begin(struct flight *flight)
{
	struct context *context = flight->context;
	struct unbound *all = context->all;
	struct look *look = all->looks < LOOKS ? calloc(1, sizeof(*look)) : NULL;

	if (!look) {
		flight_fail(flight, "the DNS servers fail, refuse or do not answer");
		return;
	}
	flight->look = look;
	all->looks++;
	look->flight = flight;
	look->timer.fire = waited;
	write_question(look, (uint16_t)(all->loop->io.now_ns >> 10));
	for (uint32_t i = 0; i < context->address_count && i < LOOK_SERVERS; i++)
		ask(look, i, &context->addresses[i]);
	if (!look->open || io_timer_after(&all->loop->io, &look->timer, LOOK_WAIT_MS) < 0)
		tell(look);
}
