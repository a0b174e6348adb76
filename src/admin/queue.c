/* Queue work, which delivery does. */
#include "admin/core.h"

#include "base/err.h"

#include <stdlib.h>

static void answered(struct door *door, uint32_t party, struct span json)
{
	(void)party;
	if (!json.n) {
		door_refuse(door, "delivery gave an answer that cannot be read; see the log");
		return;
	}
	buf_clear(&door->out);
	buf_add_span(&door->out, json);
	door_reply(door);
}

/* A role that is just being restarted does not answer; nobody waits for it for ever. */
static void late(struct door *door)
{
	door_refuse(door, "delivery does not answer; see the log, and posternctl status");
}

static const struct asking queue_work = {answered, late};

void cmd_queue(struct door *door)
{
	json_t *request = json_object_get(door->request, "request");

	if (!json_is_object(request)) {
		door_refuse(door, "request: an object is needed");
		return;
	}
	/* Who does it is not for the client to say. */
	bool named = json_object_set_new(request, "by", json_string(door->actor)) == 0;
	char *text = named ? json_dumps(request, JSON_COMPACT) : NULL;
	ask_begin(door, &queue_work);
	int err =
		text ? ask_party(door, ADMIN_DELIVERY, ADMIN_ASK_QUEUE, span_str(text)) : ERR_NOMEM;
	free(text);
	if (err)
		door_refuse(door,
			err == ERR_CLOSED  ? "delivery is just being started again; try again in a "
					     "moment"
			: err == ERR_LIMIT ? "the request is too long for delivery, or too much "
					     "waits for it; try again in a moment"
					   : err_text(err));
	else
		ask_wait(door, ADMIN_ANSWER_MS);
}
