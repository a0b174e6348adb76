#include "role/notices.h"

#include "base/check.h"

#include <stdlib.h>

static int tell(struct notices *n, uint16_t type, const struct spool_notice *notices, size_t count)
{
	struct buf buf;

	buf_init(&buf, IO_CHANNEL_BYTES);
	for (size_t i = 0; i < count; i++)
		ipc_put_notice(&buf, &notices[i]);
	int err = ipc_send(n->port, type, 0, buf_span(&buf), NULL, 0);
	buf_done(&buf);
	return err;
}

/* ---- what waits ------------------------------------------------------------------------------ */

static void press(struct notices *n, bool on)
{
	if (n->is_pressed == on)
		return;
	n->is_pressed = on;
	n->pressed(n->context, on);
}

void notices_forget(struct notices *n)
{
	n->behind_count = 0;
	io_timer_stop(n->io, &n->timer);
	press(n, false);
}

static struct spool_notice *place_for(struct notices *n, uint32_t serial)
{
	for (size_t i = 0; i < n->behind_count; i++)
		if (n->behind[i].serial == serial)
			return &n->behind[i];
	if (n->behind_count == n->behind_room) {
		size_t room = MAX(n->behind_room * 2, (size_t)NOTICES_FILES);
		struct spool_notice *behind = realloc(n->behind, room * sizeof(*behind));

		/* Starting anew sets this right, since the files themselves are read then. */
		CHECK(behind);
		n->behind = behind;
		n->behind_room = room;
	}
	struct spool_notice *place = &n->behind[n->behind_count++];

	*place = (struct spool_notice){.serial = serial};
	return place;
}

static void keep_behind(struct notices *n, const struct spool_notice *notice)
{
	struct spool_notice *place = place_for(n, notice->serial);
	uint32_t before = place->messages;

	*place = *notice;
	place->messages += before;
	if (n->behind_count >= NOTICES_FILES)
		press(n, true);
	/* The next notice must not put this one off. */
	if (!timer_armed(&n->timer))
		(void)io_timer_after(n->io, &n->timer, NOTICES_MS);
}

/* As many as delivery reads of one message, oldest first. */
static bool tell_behind(struct notices *n)
{
	while (n->behind_count && ipc_port_idle(n->port)) {
		size_t count = MIN(n->behind_count, (size_t)IPC_NOTICES);

		if (tell(n, IPC_NOTICE, n->behind, count))
			return false;
		n->behind_count -= count;
		memmove(n->behind, n->behind + count, n->behind_count * sizeof(*n->behind));
	}
	return !n->behind_count;
}

static void behind_again(struct timer *timer)
{
	struct notices *n = CONTAINER_OF(timer, struct notices, timer);

	if (tell_behind(n))
		press(n, false);
	else if (n->port->channel)
		(void)io_timer_after(n->io, &n->timer, NOTICES_MS);
}

/* ---- notices --------------------------------------------------------------------------------- */

void notices_tell(struct notices *n, const struct spool_notice *notice)
{
	/* A delivery that is gone reads the files when it comes back. */
	if (!n->port->channel)
		return;
	if (n->behind_count || !ipc_port_idle(n->port) || tell(n, IPC_NOTICE, notice, 1) != 0)
		keep_behind(n, notice);
}

void notices_init(struct notices *n, struct io *io, struct ipc_port *port,
	void (*pressed)(void *context, bool on), void *context)
{
	*n = (struct notices){.io = io,
		.port = port,
		.pressed = pressed,
		.context = context,
		.timer.fire = behind_again};
}

void notices_begin(struct notices *n, const struct spool_notice *position)
{
	notices_forget(n);
	(void)tell(n, IPC_POSITION, position, 1);
}
