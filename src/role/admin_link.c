#include "role/admin_link.h"

#include "base/check.h"
#include "base/err.h"
#include "base/json_write.h"

#include <unistd.h>

static void take_directory(struct admin_link *link, int fd)
{
	struct snapshot *snapshot;
	int err = snapshot_open(fd, &snapshot);

	if (err == 0) {
		err = link->directory(link->role->core, snapshot);
		snapshot_release(&snapshot);
	}
	if (err)
		log_write(link->role->log, LOG_ERROR,
			"a generation of the directory cannot be used; the one before stays",
			LOG_STR("reason", err_text(err)));
}

/* ---- the trace, before a search ---------------------------------------------------------------
 */

/* And what is missing in it. */
static void answer_flush(struct admin_link *link, uint32_t request)
{
	struct trace_gaps gaps = {.count = 0};
	struct json_write json;
	struct buf buf;

	if (link->world->trace)
		gaps = trace_writer_gaps(link->world->trace);
	buf_init(&buf, IO_CHANNEL_BYTES);
	json_write_init(&json, &buf);
	json_open_object(&json, NULL);
	json_open_array(&json, "lost");
	for (size_t i = 0; i < gaps.count; i++) {
		const struct trace_gap *gap = &gaps.list[i];

		json_open_object(&json, NULL);
		json_put_u64(&json, "lines", gap->lines);
		json_put_i64(&json, "first_ms", gap->first_ms);
		json_put_i64(&json, "last_ms", gap->last_ms);
		json_put_str(&json, "why", gap->err ? err_text(gap->err) : "the disk was too slow");
		json_close_object(&json);
	}
	json_close_array(&json);
	json_close_object(&json);
	admin_link_answer(link, IPC_TRACE_REPLY, request, buf_span(&buf));
	buf_done(&buf);
}

static void answer_flushes(struct admin_link *link)
{
	size_t kept = 0;

	for (size_t i = 0; i < link->flush_count; i++) {
		if (trace_writer_wrote(link->world->trace, link->flushes[i].mark))
			answer_flush(link, link->flushes[i].request);
		else
			link->flushes[kept++] = link->flushes[i];
	}
	link->flush_count = kept;
	if (kept)
		(void)io_timer_after(link->role->io, &link->flush_timer, ADMIN_LINK_FLUSH_MS);
}

static void look_again(struct timer *timer)
{
	answer_flushes(CONTAINER_OF(timer, struct admin_link, flush_timer));
}

static void flush(struct admin_link *link, uint32_t request)
{
	if (!link->world->trace || link->flush_count == ADMIN_LINK_FLUSHES) {
		answer_flush(link, request);
		return;
	}
	link->flushes[link->flush_count].request = request;
	link->flushes[link->flush_count++].mark = trace_writer_flush(link->world->trace);
	answer_flushes(link);
}

/* ---- what admin says --------------------------------------------------------------------------
 */

static void says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct admin_link *link = owner;
	size_t taken = 0;
	(void)port;

	if (message->type == IPC_SNAPSHOT && message->fd_count) {
		taken = 1;
		take_directory(link, message->fds[0]);
	} else if (message->type == IPC_SECRETS && message->fd_count && link->secrets) {
		taken = 1;
		link->secrets(link->role->core, message->fds[0]);
	} else if (message->type == IPC_TRACE_REQUEST) {
		flush(link, message->request);
	} else {
		link->asked(link->role->core, message);
	}
	for (size_t i = taken; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void gone(void *owner, struct ipc_port *port)
{
	struct admin_link *link = owner;
	(void)port;

	link->flush_count = 0;
}

static const struct ipc_port_calls calls = {says, gone};

void admin_link_init(struct admin_link *link, struct role *role, struct world *world,
	int (*directory)(void *core, struct snapshot *snapshot),
	void (*asked)(void *core, const struct ipc_message *message))
{
	*link = (struct admin_link){.role = role,
		.world = world,
		.directory = directory,
		.asked = asked,
		.flush_timer.fire = look_again};
	ipc_port_init(&link->port, ROLE_ADMIN, 0, &calls, link);
}

void admin_link_open(struct admin_link *link, int fd)
{
	ipc_port_close(&link->port);
	link->flush_count = 0;
	ipc_port_init(&link->port, ROLE_ADMIN, 0, &calls, link);
	(void)role_open_port(link->role, fd, &link->port);
}

void admin_link_answer(struct admin_link *link, uint16_t type, uint32_t request, struct span answer)
{
	int err = ipc_send(&link->port, type, request, answer, NULL, 0);

	/* One that is gone asks no more. */
	if (err && err != ERR_CLOSED)
		log_write(link->role->log, LOG_ERROR, "admin does not take an answer",
			LOG_STR("type", ipc_type_name(type)), LOG_STR("reason", err_text(err)));
}
