/* One batch of messages: what goes into it, and its bytes. */
#include "spool/writer.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* What is written is believed when it is read. */
_Static_assert(
	WRITER_BATCH_RECORDS + FORMAT_RECORD_BYTES + 2 * FORMAT_RECORD <= FORMAT_WORKER_RECORDS,
	"records of a batch");
_Static_assert(FORMAT_BATCH_HEADER + FORMAT_WORKER_RECORDS + WRITER_BATCH_BYTES +
			       FORMAT_INLINE_BYTES + FORMAT_END_BYTES <=
		       FORMAT_BATCH_BYTES,
	"a batch");

bool writer_is_of(const struct spool_draft *draft, const struct log_file *file)
{
	return file->made.io && format_id_serial(draft->id) == file->made.id.serial;
}

/* What a job has done counts once the loop knows it: until then the file is the job's. */
static bool is_ready(const struct spool_draft *draft)
{
	return !draft->file || (!draft->file->busy && draft->file->durable);
}

void writer_gather(struct spool_writer *writer, struct writer_batch *g)
{
	*g = (struct writer_batch){.parts = 1};
	LIST_FOR_EACH(node, &writer->queue)
	{
		struct spool_draft *draft = CONTAINER_OF(node, struct spool_draft, node);
		if (g->bodies >= WRITER_BATCH_BYTES || g->records >= WRITER_BATCH_RECORDS)
			break;
		if (!writer_is_of(draft, &writer->log.file) || !is_ready(draft))
			continue;
		list_remove(node);
		list_push_back(&writer->flight, node);
		draft->state = DRAFT_FLIGHT;
		g->messages++;
		g->records += format_record_bytes(FORMAT_MESSAGE_FIXED + draft->envelope.n);
		if (draft->file)
			continue;
		g->bodies += draft->bytes + FORMAT_END_BYTES;
		g->parts += MAX(draft->chunks, 1u);
	}
}

/* Chunks have room for the end of the body behind their bytes, so it needs no part of its own. */
static struct iovec *add_body(struct iovec *part, struct spool_draft *draft)
{
	static const char end[] = FORMAT_END;

	for (struct chunk *chunk = draft->first; chunk; chunk = chunk->next)
		*part++ = (struct iovec){chunk->bytes, chunk->used};
	if (draft->last) {
		memcpy(draft->last->bytes + draft->last->used, end, FORMAT_END_BYTES);
		part[-1].iov_len += FORMAT_END_BYTES;
	} else {
		*part++ = (struct iovec){(void *)(uintptr_t)end, FORMAT_END_BYTES};
	}
	return part;
}

static size_t build(struct spool_writer *writer, const struct writer_batch *g)
{
	const struct log_file *file = &writer->log.file;
	uint64_t body_at = file->end + FORMAT_BATCH_HEADER + g->records;
	struct iovec *part = writer->parts + 1;
	char fixed[FORMAT_MESSAGE_FIXED];

	buf_wrote(&writer->head, FORMAT_BATCH_HEADER);
	LIST_FOR_EACH(node, &writer->flight)
	{
		struct spool_draft *draft = CONTAINER_OF(node, struct spool_draft, node);
		struct format_message message = {
			.id = draft->id,
			.body_bytes = draft->bytes,
			.body_hash = draft->body_hash,
		};
		if (draft->file) {
			message.body_owner = draft->file->owner;
			message.body_serial = draft->file->serial;
			message.body_number = draft->file->number;
		} else {
			message.body_offset = body_at;
			body_at += draft->bytes + FORMAT_END_BYTES;
			part = add_body(part, draft);
		}
		format_put_message(fixed, &message);
		const struct format_record record = {
			.type = FORMAT_MESSAGE,
			.sequence = file->sequence,
			.id = draft->id,
			.payload = span_of(fixed, sizeof(fixed)),
		};
		format_put_record(
			&writer->head, &record, buf_span(&draft->envelope), file->made.id.salt);
	}
	CHECK(buf_ok(&writer->head) && writer->head.n == FORMAT_BATCH_HEADER + g->records);
	writer->parts[0] = (struct iovec){writer->head.p, writer->head.n};
	return (size_t)(part - writer->parts);
}

static int make_parts(struct spool_writer *writer, size_t count)
{
	if (count <= writer->part_room)
		return 0;
	struct iovec *parts = realloc(writer->parts, count * sizeof(*parts));
	if (!parts)
		return ERR_NOMEM;
	writer->parts = parts;
	writer->part_room = count;
	return 0;
}

int writer_build(struct spool_writer *writer, const struct writer_batch *g, size_t *out_parts)
{
	buf_clear(&writer->head);
	if (make_parts(writer, g->parts) != 0 ||
		!buf_reserve(&writer->head, FORMAT_BATCH_HEADER + g->records)) {
		buf_clear(&writer->head);
		return ERR_NOMEM;
	}
	*out_parts = build(writer, g);
	return 0;
}
