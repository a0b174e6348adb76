/*
 * The first header that is found in a file says where the log ended before that file: so a tail
 * whose sync failed stays out for good, and a file that was left in order needs no bodies read.
 */
#include "spool/index.h"

#include "base/check.h"
#include "base/err.h"

static void apply_seal(struct spool_index *index, const struct segment *segment)
{
	struct segment *before = segment->before_serial ? index_before(index, segment) : NULL;

	for (; before && before->id.serial >= segment->before_serial;
		before = index_before(index, before)) {
		bool last = before->id.serial == segment->before_serial;
		uint64_t end = last ? segment->before_end : 0;
		before->limit = MIN(before->limit, end);
		if (last)
			before->proven = MAX(before->proven, end);
	}
}

bool index_awaits_seal(const struct spool_index *index, const struct segment *segment)
{
	for (size_t i = index_first(index, segment->id.owner);
		i < index_last(index, segment->id.owner); i++) {
		const struct segment *later = index->segments[i];
		if (later->id.serial <= segment->id.serial)
			continue;
		if (later->seal_waits)
			return true;
		if (later->seal_known && later->before_serial)
			return false; /* it is said already */
	}
	return false;
}

int index_find_seal(
	struct spool_index *index, struct walk *walk, struct segment *segment, uint64_t reach)
{
	struct format_batch header;

	if (!segment->seal_known) {
		/* Also of a part that does not count itself: it was true when it was written. */
		walk->limit = WALK_ALL;
		int err = walk_any_header(walk, reach, &header);
		if (err)
			return err == ERR_NOT_FOUND ? 0 : err;
		segment->seal_known = true;
		segment->before_serial = header.before_serial;
		segment->before_end = header.before_end;
	}
	apply_seal(index, segment);
	return 0;
}

int index_take_seal(
	struct spool_index *index, struct segment *segment, uint64_t reach, uint64_t *effort)
{
	struct walk *walk = &index->walk;

	/* Files that it speaks of may have become known since. */
	if (segment->seal_known)
		return index_find_seal(index, walk, segment, reach);
	int err = index_walk(index, walk, segment, 0);
	if (err == 0) {
		err = index_find_seal(index, walk, segment, reach);
		*effort += walk->effort;
		index_walk_end(index, walk, segment);
	}
	return err == ERR_NOMEM || err == ERR_IO ? err : 0;
}

int index_take_seals(struct spool_index *index, size_t from, size_t to)
{
	for (size_t i = from; i < to; i++) {
		uint64_t effort = 0;
		struct segment *segment = index->segments[i];
		int err = index_take_seal(
			index, segment, index_seal_reach(segment->id.owner), &effort);
		if (err)
			return err;
	}
	return 0;
}
