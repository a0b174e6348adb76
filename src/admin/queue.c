/* Queue work, which delivery does. */
#include "admin/core.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

static void answered(struct door *door, uint32_t party, struct span json)
{
	(void)party;
	if (!json.n) {
		door_refuse(door, QUEUE_UNREADABLE);
		return;
	}
	buf_clear(&door->out);
	buf_add_span(&door->out, json);
	door_reply(door);
}

/* A role that is just being restarted does not answer; nobody waits for it for ever. */
static void late(struct door *door)
{
	door_refuse(door, QUEUE_LATE);
}

static const struct asking queue_work = {answered, late};

const char *queue_why_not(int err)
{
	switch (err) {
	case ERR_CLOSED: return "delivery is just being started again; try again in a moment";
	case ERR_LIMIT:
		return "the request is too long for delivery, or too much waits for it; try again "
		       "in a moment";
	default: return err_text(err);
	}
}

int queue_ask(struct door *door, const json_t *request, const struct asking *asking)
{
	char *text = json_dumps(request, JSON_COMPACT);

	if (!text)
		return ERR_NOMEM;
	ask_begin(door, asking);
	int err = ask_party(door, ADMIN_DELIVERY, ADMIN_ASK_QUEUE, span_str(text));
	free(text);
	if (!err)
		ask_wait(door, ADMIN_ANSWER_MS);
	return err;
}

void cmd_queue(struct door *door)
{
	json_t *request = json_object_get(door->request, "request");
	const json_t *op = json_object_get(request, "op");

	if (!json_is_object(request)) {
		door_refuse(door, "request: an object is needed");
		return;
	}
	/* Who does it is not for the client to say. Nothing is done by a summary, in which "by"
	 * says what is added up. */
	bool summary = json_is_string(op) && strcmp(json_string_value(op), "summary") == 0;

	if (!summary && json_object_set_new(request, "by", json_string(door->actor))) {
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	if (queue_is_change(span_of(json_string_value(op), json_string_length(op)))) {
		queue_change_begin(door, request);
		return;
	}
	int err = queue_ask(door, request, &queue_work);

	if (err)
		door_refuse(door, queue_why_not(err));
}
