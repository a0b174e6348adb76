/* relay: who may relay now, and why. */
#include "route/relay.h"

#include "admin/core.h"
#include "base/err.h"

void cmd_relay(struct door *door)
{
	const struct admin *admin = door->admin;
	struct buf text;

	buf_init(&text, ADMIN_REPLY / 2);
	relay_show_text(admin->snapshot, admin->config.config, &text);
	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "text", buf_span(&text));
	relay_show_json(admin->snapshot, admin->config.config, &door->json);
	json_close_object(&door->json);
	bool shown = buf_ok(&text);
	buf_done(&text);
	if (shown)
		door_reply(door);
	else
		door_refuse(door, err_text(ERR_NOMEM));
}
