/*
 * What the roles open of the real world besides the loop: disks, the trace, our own addresses.
 */
#ifndef ROLE_WORLD_H
#define ROLE_WORLD_H

#include "io/disk.h"
#include "role/role.h"
#include "route/self.h"
#include "trace/writer.h"

#define WORLD_ADDRESSES 256 /* of this machine's interfaces; more are not known as ours */

struct world {
	struct role *role;
	struct disk *disks[IPC_DIRECTORIES]; /* NULL: not given */
	struct trace_writer *trace;
	struct route_config route;
	struct netaddr listeners[CONFIG_LISTENERS];
	struct netaddr addresses[WORLD_ADDRESSES];
};

/* Before role_enter(): it looks at interfaces and opens folders. The path of a disk needs no
 * passable parents, since the supervisor opened it. */
int world_open(struct world *world, struct role *role);

/* NULL where there is no trace. */
struct event_sink *world_events(struct world *world);

/* Writes what waits of the trace; call again until it says true. */
bool world_flushed(struct world *world);

/* Leaves the role a name below one of its folders, or ("") the folder. */
int world_allow(struct world *world, enum ipc_directory which, const char *name, unsigned access);

#endif
