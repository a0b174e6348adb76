/*
 * tls: certificates and keys are read again; the supervisor does it, who alone may. What was
 * gathered for TLS reports goes out now; delivery does that.
 */
#include "admin/core.h"
#include "base/err.h"

#define WORDS_BYTES (66u << 10) /* more than the supervisor says */

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

/* It was asked for, says the audit already: then also that it was not done. */
static void reloaded(struct door *door, uint32_t party, struct span json)
{
	json_error_t error;
	json_t *answer = json_loadb(json.n ? json.p : "", json.n, 0, &error);
	const char *why = json_string_value(json_object_get(answer, "text"));
	struct buf words, ignored;

	if (json_is_false(json_object_get(answer, "done"))) {
		buf_init(&words, WORDS_BYTES);
		buf_init(&ignored, WORDS_BYTES);
		buf_add_str(&words, "certificates and keys: not read again: ");
		buf_add_str(&words, why ? why : "?");
		if (buf_ok(&words))
			(void)change_note(door, buf_span(&words), &ignored);
		buf_done(&words);
		buf_done(&ignored);
	}
	json_decref(answer);
	answered(door, party, json);
}

static void late(struct door *door)
{
	door_refuse(door, "the files were not read in time; see the log");
}

static const struct asking asking = {reloaded, late};

static void delivery_late(struct door *door)
{
	door_refuse(door, "delivery does not answer; see the log");
}

static const struct asking asking_delivery = {answered, delivery_late};

static int begin_reload(struct door *door, struct buf *why)
{
	/* What the whole gateway shows to its peers is on record. */
	int err = change_note(door, SPAN("certificates and keys: asked to be read again"), why);

	ask_begin(door, &asking);
	return err ? err : ask_tls_reload(door);
}

/* So is what it tells them. */
static int begin_report(struct door *door, struct buf *why)
{
	static const struct span request = SPAN("{\"op\":\"tls-report\"}");
	int err = change_note(door, SPAN("TLS reports: to be sent now"), why);

	ask_begin(door, &asking_delivery);
	return err ? err : ask_party(door, ADMIN_DELIVERY, ADMIN_ASK_QUEUE, request);
}

void cmd_tls(struct door *door)
{
	struct span op = request_text(door, "op");
	struct buf why;
	int err;

	buf_init(&why, 4096);
	if (span_equal(op, SPAN("reload"))) {
		err = begin_reload(door, &why);
	} else if (span_equal(op, SPAN("report"))) {
		err = begin_report(door, &why);
	} else {
		door_refuse(door, "op: unknown");
		return;
	}
	if (err)
		refuse_lines(door, err, &why);
	else
		ask_wait(door, ADMIN_ANSWER_MS);
	buf_done(&why);
}
