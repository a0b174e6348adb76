#include "role/world.h"

#include "base/check.h"
#include "base/err.h"
#include "io/disk_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <unistd.h>

static void own_addresses(struct world *world)
{
	struct ifaddrs *all;
	uint32_t count = 0;

	if (getifaddrs(&all) < 0)
		return;
	for (struct ifaddrs *i = all; i && count < WORLD_ADDRESSES; i = i->ifa_next) {
		if (!i->ifa_addr)
			continue;
		socklen_t size = i->ifa_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								    : sizeof(struct sockaddr_in);
		if (netaddr_from_sockaddr(i->ifa_addr, size, &world->addresses[count]) == 0)
			count++;
	}
	freeifaddrs(all);
	world->route.addresses = world->addresses;
	world->route.address_count = count;
}

static void own_names(struct world *world)
{
	const struct config *config = world->role->config;

	for (uint32_t i = 0; i < config->listener_count; i++)
		world->listeners[i] = config->listeners[i].address;
	world->route.hostname = config->hostname;
	world->route.start = config;
	world->route.listeners = world->listeners;
	world->route.listener_count = config->listener_count;
	own_addresses(world);
}

static int open_disk(struct world *world, size_t which)
{
	char path[64];

	/* By its descriptor: the folders above it may be closed to this role's user. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", world->role->directories[which]);
	return disk_posix_new(path, &world->disks[which]);
}

static void event_line(void *context, struct span json, struct span text)
{
	struct role *role = context;

	if (role->log->least <= LOG_INFO)
		logsink_line(role->sink, json, text);
}

static int open_trace(struct world *world)
{
	struct role *role = world->role;
	/* Delivery tells most of the story; smtpd workers share the rest. */
	uint64_t share = role->kind == ROLE_SMTPD
				 ? role->config->trace_bytes / 2 / role->boot.workers
				 : role->config->trace_bytes / 2;
	const struct trace_writer_config config = {
		.io = role->io,
		.disk = world->disks[IPC_DIRECTORY_TRACE],
		.bytes = share,
		.refusals = role->kind == ROLE_SMTPD,
		.age_ms = role->config->trace_age_ms,
		.log = role->log,
		.line = event_line,
		.context = role,
		.text = role->config->log_format == CONFIG_LOG_TEXT,
	};

	return trace_writer_new(&config, &world->trace);
}

int world_open(struct world *world, struct role *role)
{
	int err = 0;

	*world = (struct world){.role = role};
	own_names(world);
	loop_set_file_fd(role->loop, disk_posix_fd);
	for (size_t i = 0; i < IPC_DIRECTORIES && err == 0; i++)
		if (role->directories[i] >= 0)
			err = open_disk(world, i);
	if (err == 0 && world->disks[IPC_DIRECTORY_TRACE])
		err = open_trace(world);
	return err;
}

struct event_sink *world_events(struct world *world)
{
	return world->trace ? trace_writer_sink(world->trace) : NULL;
}

bool world_flushed(struct world *world)
{
	if (!world->trace || !trace_writer_busy(world->trace))
		return true;
	trace_writer_flush(world->trace);
	return false;
}

int world_allow(struct world *world, enum ipc_directory which, const char *name, unsigned access)
{
	struct role *role = world->role;

	if (role->directories[which] < 0)
		return ERR_NOT_FOUND;
	int fd = *name ? openat(role->directories[which], name,
				 O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
		       : role->directories[which];
	if (fd < 0)
		return err_from_errno(errno);
	sandbox_add_fd(&role->sandbox, fd, access);
	return 0;
}
