#include "base/check.h"
#include "base/err.h"
#include "spool/format.h"
#include "spool/log.h"
#include "spool/spool.h"

struct search {
	uint64_t most; /* greater ones are not believed */
	uint32_t highest;
};

static int on_name(void *arg, const char *name)
{
	struct search *search = arg;
	uint32_t serial, number;

	if (format_parse_name(name, &serial, &number) == FORMAT_NAME_LOG && serial <= search->most)
		search->highest = MAX(search->highest, serial);
	return 0;
}

static int highest_of(struct disk *disk, uint8_t owner, uint64_t most, uint32_t *out)
{
	struct search search = {.most = most};
	char dir[FORMAT_PATH];

	format_dir(dir, owner);
	int err = disk_list(disk, dir, on_name, &search);
	*out = search.highest;
	return err == ERR_NOT_FOUND ? 0 : err;
}

uint32_t serial_most(int64_t wall_ms, uint32_t base)
{
	uint64_t seconds = wall_ms > 0 ? (uint64_t)wall_ms / 1000 : 0;
	uint64_t most = MAX(MIN(seconds, (uint64_t)LOG_SERIAL_CLOCK), (uint64_t)base);

	return (uint32_t)MIN(most + SPOOL_SERIAL_AHEAD, (uint64_t)LOG_SERIAL_LAST);
}

/*
 * The headers of the files are not looked at: whoever can make a name can make a header, and the
 * supervisor, which asks, reads nothing that a worker wrote. A name counts for little anyway.
 */
int spool_serials(struct disk *disk, uint8_t owner, int64_t wall_ms, struct spool_serials *out)
{
	uint32_t journal = 0, own = 0;

	int err = highest_of(disk, SPOOL_OWNER_DELIVERY, UINT32_MAX, &journal);
	if (err == 0)
		err = highest_of(disk, owner, serial_most(wall_ms, journal), &own);
	if (err)
		return err;
	uint32_t highest = MAX(own, journal);
	*out = (struct spool_serials){
		.least = highest < UINT32_MAX ? highest + 1 : highest,
		.base = journal,
	};
	return 0;
}
