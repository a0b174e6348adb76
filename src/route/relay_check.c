/* What is dangerous about who may relay, as findings of `check`. */
#include "base/check.h"
#include "base/err.h"
#include "directory/snapshot_build.h"
#include "route/relay.h"

#define CHECK_WARNINGS (64u << 10) /* bytes */

void relay_check(const struct snapshot *snapshot, const struct config *start,
	void (*found)(void *context, const struct check_finding *finding), void *context)
{
	struct buf lines;

	buf_init(&lines, CHECK_WARNINGS);
	relay_add_warnings(snapshot, start, &lines);
	for (struct span rest = buf_span(&lines); rest.n;) {
		struct span line = span_of(rest.p, span_find(rest, '\n'));
		/* "listener mx: what is the matter": no name has a colon. */
		size_t colon = span_find(line, ':');
		const struct check_finding finding = {CHECK_WARNING, span_of(line.p, colon),
			span_skip(line, MIN(colon + 2, line.n))};

		found(context, &finding);
		rest = span_skip(rest, line.n + 1);
	}
	buf_done(&lines);
}

static int check_bytes(struct span bytes, const struct config *start,
	void (*found)(void *context, const struct check_finding *finding), void *context)
{
	struct snapshot *snapshot;
	int err = snapshot_from_bytes(bytes, &snapshot);

	if (err)
		return err;
	relay_check(snapshot, start, found, context);
	snapshot_release(&snapshot);
	return 0;
}

int relay_check_objects(const struct objects *objects, const struct config *start,
	void (*found)(void *context, const struct check_finding *finding), void *context)
{
	struct objects *none = NULL;
	struct buf bytes;
	int err = objects ? 0 : objects_new(&none);

	if (err)
		return err;
	buf_init(&bytes, SNAPSHOT_BYTES);
	err = snapshot_encode(objects ? objects : none, 1, &bytes);
	if (!err)
		err = buf_ok(&bytes) ? check_bytes(buf_span(&bytes), start, found, context)
				     : ERR_NOMEM;
	buf_done(&bytes);
	objects_free(&none);
	return err;
}
