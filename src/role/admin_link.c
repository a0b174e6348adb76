#include "role/admin_link.h"

#include "base/check.h"
#include "base/err.h"

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

static void says(void *owner, struct ipc_port *port, const struct ipc_message *message)
{
	struct admin_link *link = owner;
	size_t taken = 0;
	(void)port;

	if (message->type == IPC_SNAPSHOT && message->fd_count) {
		taken = 1;
		take_directory(link, message->fds[0]);
	} else {
		link->asked(link->role->core, message);
	}
	for (size_t i = taken; i < message->fd_count; i++)
		close(message->fds[i]);
}

static void gone(void *owner, struct ipc_port *port)
{
	(void)owner;
	(void)port;
}

static const struct ipc_port_calls calls = {says, gone};

void admin_link_init(struct admin_link *link, struct role *role,
	int (*directory)(void *core, struct snapshot *snapshot),
	void (*asked)(void *core, const struct ipc_message *message))
{
	*link = (struct admin_link){.role = role, .directory = directory, .asked = asked};
	ipc_port_init(&link->port, ROLE_ADMIN, 0, &calls, link);
}

void admin_link_open(struct admin_link *link, int fd)
{
	ipc_port_close(&link->port);
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
