/*
 * The first header that is found in a file says where the log ended before that file: so a tail
 * whose sync failed stays out for good, and a file that was left in order needs no bodies read.
 */
#include "spool/index.h"

#include "base/check.h"
#include "base/err.h"

static void apply_seal(struct spool_index *index, size_t at, const struct format_batch *header)
{
	uint8_t owner = index->segments[at]->id.owner;

	while (at-- > 0) {
		struct segment *before = index->segments[at];
		if (before->id.owner != owner || before->id.serial < header->before_serial)
			break;
		bool last = before->id.serial == header->before_serial;
		uint64_t end = last ? header->before_end : 0;
		before->limit = MIN(before->limit, end);
		if (last)
			before->proven = MAX(before->proven, end);
	}
}

int index_take_seals(struct spool_index *index, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		struct segment *segment = index->segments[i];
		struct format_batch header;
		int err = index_walk(index, segment, 0);
		if (err == 0) {
			/* Also of a part that does not count itself: it was true when it was
			 * written. */
			index->walk.limit = WALK_ALL;
			err = walk_any_header(&index->walk, &header);
			index_walk_end(index, segment);
		}
		if (err == ERR_NOMEM || err == ERR_IO)
			return err;
		if (err == 0 && header.before_serial)
			apply_seal(index, i, &header);
	}
	return 0;
}
