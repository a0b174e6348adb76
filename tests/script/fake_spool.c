/* The spool writer of the world: behind spool/spool.h, in memory. */
#include "world.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

struct spool_draft {
	struct list node;
	struct spool_writer *writer;
	struct buf body;
	char *room;
	size_t room_bytes;
	void (*wants)(void *owner);
	void *wants_owner;
	void (*committed)(void *owner, int err);
	void *owner;
	bool committing;
	uint32_t message; /* place in world->messages */
};

enum spool_health spool_writer_health(const struct spool_writer *writer)
{
	return writer->health;
}

int spool_draft_new(struct spool_writer *writer, struct spool_draft **out)
{
	if (writer->new_err != 0)
		return writer->new_err;
	struct spool_draft *draft = calloc(1, sizeof(*draft));
	CHECK(draft);
	draft->writer = writer;
	buf_init(&draft->body, 64u << 20);
	list_push_back(&writer->drafts, &draft->node);
	writer->open_drafts++;
	*out = draft;
	return 0;
}

static void draft_free(struct spool_draft *draft)
{
	draft->writer->open_drafts--;
	list_remove(&draft->node);
	buf_done(&draft->body);
	free(draft->room);
	free(draft);
}

struct iovec spool_draft_room(struct spool_draft *draft, void (*room)(void *owner), void *owner)
{
	struct spool_writer *writer = draft->writer;
	struct prng *prng = &writer->world->prng;

	CHECK(!draft->committing);
	if (!draft->room) {
		uint32_t most = writer->room_most ? writer->room_most : 65536;

		if (writer->starve || prng_below(prng, 256) < writer->short_of_memory) {
			draft->wants = room;
			draft->wants_owner = owner;
			return (struct iovec){NULL, 0};
		}
		draft->room_bytes = writer->room_random ? 1 + prng_below(prng, most) : most;
		draft->room = malloc(draft->room_bytes);
		CHECK(draft->room);
	}
	return (struct iovec){draft->room, draft->room_bytes};
}

int spool_draft_wrote(struct spool_draft *draft, size_t n)
{
	CHECK(draft->room && n > 0 && n <= draft->room_bytes);
	buf_add(&draft->body, draft->room, n);
	free(draft->room);
	draft->room = NULL;
	return draft->writer->wrote_err;
}

uint64_t spool_draft_bytes(const struct spool_draft *draft)
{
	return draft->body.n;
}

uint64_t spool_draft_id(const struct spool_draft *draft)
{
	return SPOOL_ID(0x6b000000u, 1, draft->writer->ordinal);
}

int spool_draft_commit(struct spool_draft *draft, struct envelope *envelope,
	void (*committed)(void *owner, int err), void *owner)
{
	struct world *world = draft->writer->world;

	CHECK(!draft->committing);
	if (draft->writer->commit_err != 0)
		return draft->writer->commit_err;
	envelope->id = SPOOL_ID(0x6b000000u, 1, draft->writer->ordinal++);
	envelope->body_bytes = draft->body.n;
	draft->committing = true;
	draft->committed = committed;
	draft->owner = owner;
	draft->message = world->message_count;
	if (world->message_count < WORLD_MESSAGES) {
		struct world_message *m = &world->messages[world->message_count++];

		buf_init(&m->encoded, ENVELOPE_BYTES);
		buf_init(&m->body, 64u << 20);
		arena_init(&m->arena, ENVELOPE_BYTES);
		envelope_encode(&m->encoded, envelope);
		CHECK(buf_ok(&m->encoded));
		CHECK(envelope_decode(buf_span(&m->encoded), &m->arena, &m->envelope) == 0);
		buf_add_span(&m->body, buf_span(&draft->body));
	}
	return 0;
}

void spool_draft_abort(struct spool_draft **draft)
{
	if (*draft)
		draft_free(*draft);
	*draft = NULL;
}

void world_commit(struct world *world, int err)
{
	LIST_FOR_EACH(node, &world->writer.drafts)
	{
		struct spool_draft *draft = CONTAINER_OF(node, struct spool_draft, node);

		if (draft->committing) {
			draft->committed(draft->owner, err);
			draft_free(draft);
		}
	}
}

void world_give_room(struct world *world)
{
	LIST_FOR_EACH(node, &world->writer.drafts)
	{
		struct spool_draft *draft = CONTAINER_OF(node, struct spool_draft, node);
		void (*wants)(void *) = draft->wants;

		draft->wants = NULL;
		if (wants)
			wants(draft->wants_owner);
	}
}
