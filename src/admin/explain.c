/* explain: what would happen to a message. */
#include "route/explain.h"

#include "admin/core.h"
#include "base/err.h"

#include <stdlib.h>

#define EXPLAIN_TEXT (1u << 20)
#define EXPLAIN_WHY  4096

static void reply(struct door *door, const struct explain *explain)
{
	struct buf text;

	buf_init(&text, EXPLAIN_TEXT);
	explain_text(explain, &text);
	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "text", buf_span(&text));
	explain_json(explain, &door->json);
	json_close_object(&door->json);
	bool shown = buf_ok(&text);
	buf_done(&text);
	if (shown)
		door_reply(door);
	else
		door_refuse(door, err_text(ERR_NOMEM));
}

void cmd_explain(struct door *door)
{
	struct admin *admin = door->admin;
	struct explain_query query = {
		.client = request_text(door, "client"),
		.listener = request_text(door, "listener"),
		.user = request_text(door, "user"),
		.sender = request_text(door, "from"),
		.recipient = request_text(door, "to"),
		.tls = request_flag(door, "tls"),
	};
	struct explain *explain = calloc(1, sizeof(*explain));
	struct buf why;

	if (!explain) {
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	buf_init(&why, EXPLAIN_WHY);
	if (explain_run(admin->snapshot, admin->config.route, admin->config.config, &query, explain,
		    &why))
		door_refuse_span(door, buf_span(&why));
	else
		reply(door, explain);
	buf_done(&why);
	free(explain);
}
