/* Files that nothing refers to: bodies whose message never was durable, logs that were never
 * finished. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define ORPHAN_NUMBERS \
	(1u << 24) /* greater numbers do not fit the key: such files are left alone */

static uint64_t body_key(uint8_t owner, uint32_t serial, uint32_t number)
{
	return (uint64_t)owner << 56 | (uint64_t)serial << 24 | number;
}

static int note_references(struct spool_store *store, struct segment *segment, struct idmap *known,
	uint32_t *looked_at)
{
	for (uint32_t i = 0; i < segment->place_count; i++) {
		const struct place *place = &segment->places[i];
		struct format_record record;
		struct format_message message;
		if ((place->flags & (PLACE_USED | PLACE_FILE | PLACE_FREE)) !=
			(PLACE_USED | PLACE_FILE))
			continue;
		/* Reading millions of records is not worth a file that the next start removes. */
		if (++*looked_at > STORE_REFERENCES)
			return ERR_LIMIT;
		int err = index_read(&store->index, segment, place, &record, &message);
		if (err)
			return err;
		if (message.body_number < ORPHAN_NUMBERS)
			err = idmap_put(known,
				body_key(message.body_owner, message.body_serial,
					message.body_number),
				1);
		if (err)
			return err;
	}
	return 0;
}

/* A body may be an orphan only because the record that refers to it cannot be read. */
static bool may_hide(const struct spool_store *store, uint8_t owner)
{
	if (store->loader.damaged[owner] || store->loader.damaged[SPOOL_OWNER_DELIVERY])
		return true;
	for (size_t i = 0; i < store->index.count; i++) {
		const struct segment *segment = store->index.segments[i];
		if ((segment->damaged || segment->orphan || segment->lost) &&
			(segment->id.owner == owner || segment->id.owner == SPOOL_OWNER_DELIVERY))
			return true;
	}
	return false;
}

void store_orphans(struct spool_store *store)
{
	struct loader *loader = &store->loader;
	struct idmap known = {0};
	uint64_t found;
	uint32_t looked_at = 0;
	bool bodies = false;
	int err = 0;

	for (size_t i = 0; i < loader->orphan_count; i++)
		bodies = bodies || !loader->orphans[i].log;
	for (size_t i = 0; i < store->index.count && !err && bodies; i++)
		err = note_references(store, store->index.segments[i], &known, &looked_at);
	for (size_t i = 0; i < loader->orphan_count && !err; i++) {
		const struct store_orphan *orphan = &loader->orphans[i];
		bool over = !loader->live[orphan->owner] ||
			    (orphan->log && orphan->serial < store->newest[orphan->owner]);
		if (!over || store_is_ahead(store, orphan->owner, orphan->serial))
			continue;
		if (orphan->log) {
			clean_log_file(store, orphan->owner, orphan->serial);
			continue;
		}
		if (orphan->number >= ORPHAN_NUMBERS || may_hide(store, orphan->owner) ||
			idmap_get(&known, body_key(orphan->owner, orphan->serial, orphan->number),
				&found))
			continue;
		clean_body_file(store, orphan->owner, orphan->serial, orphan->number);
	}
	idmap_done(&known);
	free(loader->orphans);
	loader->orphans = NULL;
	loader->orphan_count = loader->orphan_room = 0;
}
