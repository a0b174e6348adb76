/* tls: certificates and keys are read again; the supervisor does it, who alone may. */
#include "admin/core.h"
#include "base/err.h"

static void answered(struct door *door, uint32_t party, struct span json)
{
	(void)party;
	if (!json.n) {
		door_refuse(door, "the server gave an answer that cannot be read; see the log");
		return;
	}
	buf_add_span(&door->out, json);
	door_reply(door);
}

static void late(struct door *door)
{
	door_refuse(door, "the files were not read in time; see the log");
}

static const struct asking asking = {answered, late};

void cmd_tls(struct door *door)
{
	struct buf why;

	if (!span_equal(request_text(door, "op"), SPAN("reload"))) {
		door_refuse(door, "op: unknown");
		return;
	}
	/* What the whole gateway shows to its peers is on record. */
	buf_init(&why, 4096);
	int err = change_note(door, SPAN("certificates and keys: to be read again"), &why);
	ask_begin(door, &asking);
	if (!err)
		err = ask_tls_reload(door);
	if (err)
		refuse_lines(door, err, &why);
	else
		ask_wait(door, ADMIN_ANSWER_MS);
	buf_done(&why);
}
