/* What the files of posternctl queue share. */
#ifndef CTL_QUEUE_H
#define CTL_QUEUE_H

#include "ctl/ctl.h"

/* A request to delivery, to be filled in by queue_put() and to be sent by ctl_ask(). */
json_t *queue_request(const char *op);
/* Nothing where the value is NULL. */
void queue_put(json_t *request, const char *key, const char *value);
void queue_put_json(json_t *request, const char *key, json_t *value); /* taken over */
/* What is no UTF-8 has no place in a request, and must not just be missing from it. NULLs fit. */
bool queue_all_utf8(const struct ctl *ctl, const char *a, const char *b, const char *c);
/* "recipient", "recipients" */
const char *plural(json_int_t n, const char *one, const char *many);

/* ---- queue_summary.c --------------------------------------------------------------------------
 */

/* What waits, by the names of transports, a group each; NULL, without a word, where delivery does
 * not answer. */
json_t *queue_by_transport(struct ctl *ctl);
json_int_t queue_units(const json_t *group);

/* ---- queue_ids.c ---------------------------------------------------------------------------- */

bool is_id(const char *text);
/* The ids that the arguments from `from` on are, or, where the only one is "-", that stand on
 * standard input, as an array; what else stands there is added to problems, {"id", "error"} each.
 * NULL: they are no ids; *code: it cannot be read, and that was said. */
json_t *queue_ids(const struct ctl *ctl, int from, json_t *problems, int *code);

/* ---- queue_sum.c ---------------------------------------------------------------------------- */

#define QUEUE_COUNTED 8 /* numbers of a reply */

/* What is asked for. */
struct queue_order {
	const char *op, *reason, *transport;
	bool dry;
};

/* What all replies together say. */
struct queue_sum {
	json_int_t n[QUEUE_COUNTED];
	json_t *problems; /* what is wrong with single ids */
	json_t *warnings; /* what was not as it should be otherwise */
};

void queue_sum_add(struct queue_sum *sum, const json_t *reply);
/* One of the numbers, such as "messages". */
json_int_t queue_sum_of(const struct queue_sum *sum, const char *key);
void queue_sum_show(const struct ctl *ctl, const struct queue_order *order,
	const struct queue_sum *sum, bool ids);

/* ---- the commands --------------------------------------------------------------------------- */

int queue_list(struct ctl *ctl);
int queue_show(struct ctl *ctl, bool why);
/* `part`: header, body or message. */
int queue_content(struct ctl *ctl, const char *id, const char *part);
int queue_summary(struct ctl *ctl);
int queue_probe(struct ctl *ctl);
int queue_change(struct ctl *ctl, const char *op);

#endif
