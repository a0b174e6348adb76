#include "role/notices.h"

#include "base/check.h"

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

static void keep_behind(struct notices *n, const struct spool_notice *notice)
{
	size_t i = 0;

	while (i < n->behind_count && n->behind[i].serial != notice->serial)
		i++;
	/* Gigabytes that delivery has not looked at: it hangs. Starting anew sets this right, since
	 * the files themselves are read then. */
	CHECK(i < NOTICES_FILES);
	uint32_t before = i < n->behind_count ? n->behind[i].messages : 0;
	n->behind[i] = *notice;
	n->behind[i].messages += before;
	n->behind_count = MAX(n->behind_count, i + 1);
	(void)io_timer_after(n->role->io, &n->timer, NOTICES_MS);
}

static void behind_again(struct timer *timer)
{
	struct notices *n = CONTAINER_OF(timer, struct notices, timer);

	if (ipc_port_idle(n->port) && tell(n, IPC_NOTICE, n->behind, n->behind_count) == 0)
		n->behind_count = 0;
	else if (n->port->channel)
		(void)io_timer_after(n->role->io, &n->timer, NOTICES_MS);
}

void notices_tell(struct notices *n, const struct spool_notice *notice)
{
	/* A delivery that is gone reads the files when it comes back. */
	if (!n->port->channel)
		return;
	if (n->behind_count || !ipc_port_idle(n->port) || tell(n, IPC_NOTICE, notice, 1) != 0)
		keep_behind(n, notice);
}

void notices_init(struct notices *n, struct role *role, struct ipc_port *port)
{
	*n = (struct notices){.role = role, .port = port, .timer.fire = behind_again};
}

void notices_begin(struct notices *n, const struct spool_notice *position)
{
	n->behind_count = 0;
	(void)tell(n, IPC_POSITION, position, 1);
}

void notices_forget(struct notices *n)
{
	n->behind_count = 0;
	io_timer_stop(n->role->io, &n->timer);
}
