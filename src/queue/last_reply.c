/*
 * Last replies, kept once for all units that got the same one. In memory a reply is its codes and
 * then its text; when strangers' texts take more than QUEUE_REPLY_POOL, only the codes are kept of
 * new ones (the trace has the text).
 */
#include "queue/internal.h"

#define REPLY_CODES 9 /* bytes before the text */

uint32_t last_reply_take(struct queue *q, const struct verdict *verdict)
{
	unsigned char bytes[REPLY_CODES + VERDICT_TEXT];
	size_t length = MIN(verdict->length, VERDICT_TEXT);
	const struct enhanced_code *e = &verdict->enhanced;

	if (q->replies.text_bytes > QUEUE_REPLY_POOL)
		length = 0;
	bytes[0] = (unsigned char)verdict->kind;
	bytes[1] = verdict->remote;
	bytes[2] = (unsigned char)(verdict->code >> 8);
	bytes[3] = (unsigned char)verdict->code;
	bytes[4] = e->class;
	bytes[5] = (unsigned char)(e->subject >> 8);
	bytes[6] = (unsigned char)e->subject;
	bytes[7] = (unsigned char)(e->detail >> 8);
	bytes[8] = (unsigned char)e->detail;
	memcpy(bytes + REPLY_CODES, verdict->text, length);
	uint32_t reply;
	return intern_take(&q->replies, &q->mem, span_of(bytes, REPLY_CODES + length), &reply)
		       ? reply
		       : 0;
}

bool last_reply_verdict(const struct queue *q, uint32_t reply, struct verdict *out)
{
	if (!reply)
		return false;
	struct span text = intern_text(&q->replies, reply);
	const unsigned char *bytes = (const unsigned char *)text.p;
	*out = (struct verdict){
		.kind = (enum verdict_kind)bytes[0],
		.remote = bytes[1] != 0,
		.code = (uint16_t)(bytes[2] << 8 | bytes[3]),
		.enhanced = {bytes[4], (uint16_t)(bytes[5] << 8 | bytes[6]),
			(uint16_t)(bytes[7] << 8 | bytes[8])},
		.length = (uint16_t)(text.n - REPLY_CODES),
	};
	memcpy(out->text, bytes + REPLY_CODES, text.n - REPLY_CODES);
	return true;
}

void last_reply_set(struct queue *q, uint32_t *reply, uint32_t to)
{
	uint32_t was = *reply;
	*reply = to;
	intern_give(&q->replies, &q->mem, was);
}
