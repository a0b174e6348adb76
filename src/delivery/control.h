/* What the files of control share: one request on its way to its reply. */
#ifndef DELIVERY_CONTROL_H
#define DELIVERY_CONTROL_H

#include "base/json_write.h"
#include "delivery/core.h"
#include "queue/filter.h"

#include <jansson.h>

#define CONTROL_DAMAGED "damaged" /* the state of what no queue has */
#define CONTROL_PICKS                                                              \
	65536 /* recipients that one call may find; a client gives no message more \
	       */
#define CONTROL_HITS	 CONTROL_PICKS /* units of them */
#define CONTROL_CA_FILES 10000 /* in a question about them; a path takes two bytes at least */
#define CONTROL_TEXT	 4096  /* bytes of a text in a request, but for filters */

struct control {
	struct delivery *d;
	json_t *request;
	struct json_write json;
	struct buf *reply;
	struct buf bytes; /* of the envelope that was read last */
	struct arena arena;
	struct envelope envelope;
	uint64_t envelope_id;
};

/* ---- control.c ------------------------------------------------------------------------------ */

/* The reply is why not, and nothing else. */
void control_refuse(struct control *c, const char *text);
struct span control_text(const struct control *c, const char *key);
/* Of the message; stays until another one's is read. */
int control_envelope(struct control *c, uint64_t id);
/* For filter_select(). */
int control_load_subject(struct filter_subject *subject);
/* NULL, false: the request is refused. */
struct filter *control_filter(struct control *c);
/* The message of "id", which is queued; false: the request is refused. */
bool control_queued(struct control *c, uint64_t *id);
bool control_after(struct control *c, uint64_t *after);
void control_put_after(struct control *c, uint64_t cursor);

/* ---- the requests --------------------------------------------------------------------------- */

void control_list(struct control *c);
void control_show(struct control *c);
void control_summary(struct control *c);
void control_count(struct control *c);
void control_ages(struct control *c);
void control_content(struct control *c);
void control_probe(struct control *c);
void control_status(struct control *c);
void control_change(struct control *c, struct span op);

/* ---- control_put.c: what a message looks like ----------------------------------------------- */

void control_put_verdict(struct json_write *json, const char *key, const struct verdict *verdict);
/* Some recipients of it; at most `most` are named. */
void control_put_unit(struct control *c, const struct queue_unit_info *unit, const uint32_t *rcpts,
	uint32_t count, uint32_t most);
void control_put_message_head(struct control *c, const struct queue_message_info *info);
/* All of one that is damaged and not queued. */
void control_put_damaged(struct control *c, const struct damaged *damaged);

#endif
