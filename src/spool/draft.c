#include "spool/writer.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

int spool_draft_new(struct spool_writer *writer, struct spool_draft **out)
{
	CHECK_MAGIC(writer, WRITER_MAGIC);
	struct spool_draft *draft = LIST_FIRST(&writer->spare, struct spool_draft, node);

	if (draft) {
		list_remove(&draft->node);
		writer->spare_count--;
	} else {
		draft = calloc(1, sizeof(*draft));
		XXH3_state_t *hash = draft ? XXH3_createState() : NULL;
		if (!hash) {
			free(draft);
			return ERR_NOMEM;
		}
		draft->hash = hash;
		buf_init(&draft->envelope, ENVELOPE_BYTES);
		list_init(&draft->node);
		draft->writer = writer;
	}
	draft->magic = DRAFT_MAGIC;
	XXH3_64bits_reset(draft->hash);
	*out = draft;
	return 0;
}

static void free_spare(struct spool_draft *draft)
{
	buf_done(&draft->envelope);
	XXH3_freeState(draft->hash);
	free(draft);
}

void draft_free(struct spool_draft *draft)
{
	struct spool_writer *writer = draft->writer;
	struct buf envelope = draft->envelope;
	XXH3_state_t *hash = draft->hash;
	bool held = draft->first != NULL;

	list_remove(&draft->node);
	if (draft->file)
		body_file_free(draft);
	chunk_give(&writer->pool, draft->first);
	/* Nothing of one message shows up in the next. */
	memset(draft, 0, sizeof(*draft));
	list_init(&draft->node);
	draft->writer = writer;
	draft->envelope = envelope;
	draft->hash = hash;
	if (envelope.room > WRITER_ENVELOPE_KEEP) {
		buf_done(&draft->envelope);
		buf_init(&draft->envelope, ENVELOPE_BYTES);
	}
	buf_clear(&draft->envelope);
	if (writer->spare_count < WRITER_SPARE_DRAFTS) {
		list_push_front(&writer->spare, &draft->node);
		writer->spare_count++;
	} else {
		free_spare(draft);
	}
	if (held)
		writer_memory_freed(writer);
}

void draft_spares_done(struct spool_writer *writer)
{
	LIST_FOR_EACH(node, &writer->spare)
	{
		list_remove(node);
		free_spare(CONTAINER_OF(node, struct spool_draft, node));
	}
	writer->spare_count = 0;
}

void draft_answer(struct spool_draft *draft, int err)
{
	void (*committed)(void *, int) = draft->committed;
	void *owner = draft->committed_owner;

	list_remove(&draft->node);
	draft->committed = NULL;
	/* In doubt, the file is left: its message may be found at recovery. */
	if (draft->file && err && err != ERR_CLOSED)
		body_file_drop(draft);
	else
		draft_free(draft);
	if (committed)
		committed(owner, err);
}

void draft_wake(struct spool_draft *draft)
{
	void (*room)(void *) = draft->room;

	if (!room)
		return;
	list_remove(&draft->node);
	draft->room = NULL;
	room(draft->room_owner);
}

/* ---- filling ---------------------------------------------------------------------------- */

static struct iovec tail_room(struct spool_draft *draft)
{
	struct chunk *last = draft->last;

	return (struct iovec){last->bytes + last->used, last->size - last->used};
}

static struct iovec add_chunk(struct spool_draft *draft, struct chunk *chunk)
{
	if (draft->last)
		draft->last->next = chunk;
	else
		draft->first = chunk;
	draft->last = chunk;
	draft->chunks++;
	return tail_room(draft);
}

static struct iovec wait_for_room(struct spool_draft *draft, void (*room)(void *), void *owner)
{
	draft->room = room;
	draft->room_owner = owner;
	return (struct iovec){0};
}

struct iovec spool_draft_room(struct spool_draft *draft, void (*room)(void *owner), void *owner)
{
	CHECK(draft->magic == DRAFT_MAGIC && draft->state == DRAFT_OPEN);
	struct spool_writer *writer = draft->writer;
	struct chunk *last = draft->last;

	list_remove(&draft->node);
	draft->room = NULL;
	if (draft->err && last)
		last->used = 0; /* its bytes are lost anyway; wrote() says so */
	if (last && last->used < last->size)
		return tail_room(draft);
	if (last && !draft->file && draft->bytes >= writer->config.inline_bytes)
		draft->err = body_file_start(draft);
	if (draft->file)
		body_file_push(draft);
	if (!draft->file || draft->chunks < WRITER_BODY_CHUNKS) {
		struct chunk *chunk = chunk_take(&writer->pool, !last && !draft->file);
		if (chunk)
			return add_chunk(draft, chunk);
	}
	/* No memory. A draft that holds some goes to a file and goes on with what it holds, so that
	 * drafts that are half in can never wait for each other. */
	if (last && !draft->file && !draft->err) {
		draft->err = body_file_start(draft);
		if (!draft->err)
			body_file_push(draft);
	}
	if (draft->err && draft->last) {
		draft->last->used = 0;
		return tail_room(draft);
	}
	if (!draft->file || !draft->file->busy)
		list_push_back(&writer->waiting, &draft->node);
	return wait_for_room(draft, room, owner);
}

int spool_draft_wrote(struct spool_draft *draft, size_t n)
{
	CHECK(draft->magic == DRAFT_MAGIC && draft->state == DRAFT_OPEN);
	if (draft->err)
		return draft->err;
	if (n == 0)
		return 0;
	struct chunk *last = draft->last;
	CHECK(last && n <= last->size - last->used);
	XXH3_64bits_update(draft->hash, last->bytes + last->used, n);
	last->used += (uint32_t)n;
	draft->bytes += n;
	return 0;
}

uint64_t spool_draft_bytes(const struct spool_draft *draft)
{
	return draft->bytes;
}

/* ---- the end ---------------------------------------------------------------------------- */

uint64_t spool_draft_id(const struct spool_draft *draft)
{
	const struct log_file *tail = writer_tail(draft->writer);

	return tail ? SPOOL_ID(tail->made.id.serial, draft->writer->config.owner, tail->place) : 0;
}

int spool_draft_commit(struct spool_draft *draft, struct envelope *envelope,
	void (*committed)(void *owner, int err), void *owner)
{
	CHECK(draft->magic == DRAFT_MAGIC && draft->state == DRAFT_OPEN);
	struct spool_writer *writer = draft->writer;
	struct log_file *tail = writer_tail(writer);

	if (draft->err)
		return draft->err;
	if (!tail)
		return writer->log.health == SPOOL_SICK ? ERR_IO : ERR_NO_SPACE;
	uint64_t id = spool_draft_id(draft);
	uint64_t hash = XXH3_64bits_digest(draft->hash);
	envelope->id = id;
	envelope->body_bytes = draft->bytes;
	envelope->body_hash = hash;
	buf_clear(&draft->envelope);
	envelope_encode(&draft->envelope, envelope);
	if (!buf_ok(&draft->envelope))
		return ERR_NOMEM;
	tail->place++;
	draft->id = id;
	draft->body_hash = hash;
	draft->committed = committed;
	draft->committed_owner = owner;
	draft->room = NULL;
	draft->state = DRAFT_QUEUED;
	list_remove(&draft->node);
	list_push_back(&writer->queue, &draft->node);
	if (draft->file)
		body_file_finish(draft);
	io_turn_end(writer->config.io, &writer->turn);
	return 0;
}

void spool_draft_abort(struct spool_draft **at)
{
	struct spool_draft *draft = *at;

	*at = NULL;
	if (!draft)
		return;
	CHECK(draft->magic == DRAFT_MAGIC);
	if (draft->state != DRAFT_OPEN) {
		draft->committed = NULL;
		return;
	}
	list_remove(&draft->node);
	draft->room = NULL;
	if (draft->file)
		body_file_drop(draft);
	else
		draft_free(draft);
}
