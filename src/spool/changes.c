/* What the queue asks for, and what waits for the next journal batch. */
#include "spool/store.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct change *change_new(enum change_kind kind, uint64_t id, size_t bytes)
{
	struct change *change = calloc(1, sizeof(*change) + bytes);

	if (!change)
		return NULL;
	list_init(&change->node);
	change->kind = kind;
	change->id = id;
	change->bytes = span_of(change + 1, bytes);
	return change;
}

void change_free(struct change *change)
{
	list_remove(&change->node);
	free(change->body);
	free(change);
}

static uint64_t cost(const struct change *change)
{
	return sizeof(*change) + change->bytes.n + change->body_bytes;
}

void journal_forget(struct journal *journal, struct change *change)
{
	journal->pending -= cost(change);
	change_free(change);
}

struct change *journal_gathered_state(const struct journal *journal, uint64_t id)
{
	uint64_t found;

	return idmap_get(&journal->states, id, &found) ? (struct change *)(uintptr_t)found : NULL;
}

int journal_add(struct spool_store *store, struct change *change)
{
	struct journal *journal = &store->journal;
	/* Completions free memory and space; they are never turned away. */
	bool bounded = change->kind != CHANGE_DONE;

	if (bounded && journal->pending + cost(change) > STORE_PENDING_BYTES)
		return ERR_LIMIT;
	if (change->kind == CHANGE_STATE) {
		struct change *old = journal_gathered_state(journal, change->id);
		if (idmap_put(&journal->states, change->id, (uintptr_t)change) != 0)
			return ERR_NOMEM;
		if (old)
			journal_forget(journal, old);
	}
	journal->pending += cost(change);
	list_push_back(&journal->gather, &change->node);
	journal_wake(store);
	return 0;
}

int spool_store_state(struct spool_store *store, uint64_t id, struct span state)
{
	struct segment *segment;
	uint64_t place_id;

	if (state.n > SPOOL_STATE_BYTES)
		return ERR_LIMIT;
	if (!index_message(&store->index, id, &place_id, &segment))
		return ERR_NOT_FOUND;
	struct change *change = change_new(CHANGE_STATE, id, state.n);
	if (!change)
		return ERR_NOMEM;
	if (state.n)
		memcpy(change + 1, state.p, state.n);
	int err = journal_add(store, change);
	if (err)
		change_free(change);
	return err;
}

/* Which file its body lies in, to be removed after the message. */
static int note_body_file(struct spool_store *store, struct segment *segment, struct place *place,
	struct change *change)
{
	struct format_record record;
	struct format_message message;

	if (!(place->flags & PLACE_FILE))
		return 0;
	int err = index_read(&store->index, segment, place, &record, &message);
	/* Unreadable: the file is found to be an orphan at the next start. */
	if (err == 0)
		change->body_file = message;
	return err == ERR_NOMEM ? err : 0;
}

int spool_store_done(struct spool_store *store, uint64_t id)
{
	struct journal *journal = &store->journal;
	struct segment *segment;
	uint64_t place_id;

	struct place *place = index_message(&store->index, id, &place_id, &segment);
	if (!place)
		return ERR_NOT_FOUND;
	struct change *change = change_new(CHANGE_DONE, id, 0);
	if (!change)
		return ERR_NOMEM;
	int err = note_body_file(store, segment, place, change);
	if (err) {
		change_free(change);
		return err;
	}
	struct change *state = journal_gathered_state(journal, id);
	if (state) {
		idmap_remove(&journal->states, id);
		journal_forget(journal, state);
	}
	place->flags |= PLACE_DONE;
	return journal_add(store, change);
}

int spool_store_add(struct spool_store *store, struct envelope *envelope, struct span body)
{
	struct buf encoded;

	envelope->id = 0; /* its place is known when it is written */
	envelope->body_bytes = body.n;
	envelope->body_hash = format_hash(body, 0);
	buf_init(&encoded, ENVELOPE_BYTES);
	envelope_encode(&encoded, envelope);
	struct change *change = buf_ok(&encoded) ? change_new(CHANGE_ADD, 0, encoded.n) : NULL;
	char *copy = change ? malloc(body.n + FORMAT_END_BYTES) : NULL;
	int err = copy ? 0 : ERR_NOMEM;
	if (err == 0) {
		memcpy(change + 1, encoded.p, encoded.n);
		if (body.n)
			memcpy(copy, body.p, body.n);
		memcpy(copy + body.n, FORMAT_END, FORMAT_END_BYTES);
		change->body = copy;
		change->body_bytes = body.n + FORMAT_END_BYTES;
		change->message.body_bytes = body.n;
		change->message.body_hash = envelope->body_hash;
		err = journal_add(store, change);
	}
	buf_done(&encoded);
	if (err && change)
		change_free(change);
	return err;
}

uint64_t spool_store_mark(const struct spool_store *store)
{
	const struct journal *journal = &store->journal;

	/* What is gathered, or else what was gathered last. */
	return list_empty(&journal->gather) ? journal->mark - 1 : journal->mark;
}
