#include "base/check.h"
#include "base/err.h"
#include "spool/format.h"
#include "spool/spool.h"

struct search {
	struct disk *disk;
	uint32_t highest;
};

static int on_name(void *arg, const char *name)
{
	struct search *search = arg;
	uint32_t serial, number;

	if (format_parse_name(name, &serial, &number) != FORMAT_NAME_OTHER)
		search->highest = MAX(search->highest, serial);
	return 0;
}

static int on_dir(void *arg, const char *name)
{
	struct search *search = arg;
	uint8_t owner;

	return format_parse_dir(name, &owner) == 0 ? disk_list(search->disk, name, on_name, search)
						   : 0;
}

int spool_least_serial(struct disk *disk, uint32_t *out)
{
	struct search search = {.disk = disk};

	int err = disk_list(disk, "", on_dir, &search);
	if (err)
		return err;
	if (search.highest == UINT32_MAX)
		return ERR_LIMIT;
	*out = search.highest + 1;
	return 0;
}
