/* Inner header of directory/config* and schema_config*. */
#ifndef DIRECTORY_CONFIG_INNER_H
#define DIRECTORY_CONFIG_INNER_H

#include "directory/config.h"
#include "directory/schema.h"

#define CONFIG_PATH_BYTES 4000u

extern const struct schema config_listener_schema;

/* What the listeners' fields mean together; defaults that depend on others are filled in.
 * ERR_SYNTAX, ERR_NOMEM. `root`: the file. */
int config_finish_listeners(struct config *config, const struct node *root, struct arena *arena,
	struct problems *problems);

#endif
