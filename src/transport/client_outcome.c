#include "transport/client_private.h"

#include <stdio.h>

/* RFC 3463 */
#define PROTOCOL_ERROR ((struct enhanced_code){4, 5, 0})

#define CODE_LOST 421 /* stands for a session that failed without a reply */

const char *client_stage_name(enum client_stage stage)
{
	switch (stage) {
	case CLIENT_AT_CONNECT: return "connect";
	case CLIENT_AT_GREETING: return "greeting";
	case CLIENT_AT_EHLO: return "EHLO";
	case CLIENT_AT_STARTTLS: return "STARTTLS";
	case CLIENT_AT_TLS: return "TLS handshake";
	case CLIENT_AT_AUTH: return "AUTH";
	case CLIENT_AT_IDLE: return "idle";
	case CLIENT_AT_MAIL: return "MAIL";
	case CLIENT_AT_RCPT: return "RCPT";
	case CLIENT_AT_DATA: return "DATA";
	case CLIENT_AT_BODY: return "body";
	case CLIENT_AT_END: return "end of body";
	}
	return "?";
}

/* ---- what is told to the owner --------------------------------------------------------------- */

static void tell_failed(struct client *client)
{
	struct client_job *job = client->job;
	struct verdict verdict = client->verdict; /* the owner may close the client, and read on */

	if (job) {
		job->usable = false;
		job->stage = client->waiting;
		client_settle_session(client, &verdict);
	}
	client->job = NULL;
	/* Reports about TLS name both ends. */
	if (client->waiting == CLIENT_AT_STARTTLS || client->waiting == CLIENT_AT_TLS)
		io_conn_ends(client->conn, &client->link.local, NULL);
	client_die(client);
	client->ops->failed(client->owner, job, &verdict, client->waiting);
}

/* The last act of every event: nothing of the client may be touched after a call to the owner. */
void client_settle(struct client *client)
{
	struct client_job *job = client->job;
	enum client_outcome outcome = client->outcome;

	client->outcome = OUTCOME_NONE;
	switch (outcome) {
	case OUTCOME_NONE: return;
	case OUTCOME_READY: client->ops->ready(client->owner, &client->caps); return;
	case OUTCOME_DONE:
		client->job = NULL;
		client->state = CLIENT_IDLE;
		io_timer_stop(client->io, &client->deadline);
		client_pump_free(client);
		if (!job->usable)
			client_die(client);
		client->ops->done(client->owner, job);
		return;
	case OUTCOME_FAILED: tell_failed(client); return;
	case OUTCOME_GONE:
		client_die(client);
		client->ops->gone(client->owner);
		return;
	}
}

void client_fail_as(
	struct client *client, uint16_t code, struct enhanced_code enhanced, const char *text)
{
	if (client->outcome == OUTCOME_FAILED)
		return;			       /* the first reason is the true one */
	if (client->outcome == OUTCOME_DONE) { /* all was decided before */
		client->job->usable = false;
		return;
	}
	if (client->state == CLIENT_IDLE) {
		client->outcome = OUTCOME_GONE;
		return;
	}
	verdict_set(&client->verdict, VERDICT_TEMPORARY, code, enhanced, false, span_str(text));
	client->outcome = OUTCOME_FAILED;
}

void client_fail(struct client *client, struct enhanced_code enhanced, const char *what)
{
	char text[VERDICT_TEXT];

	snprintf(text, sizeof(text), "%s %s", what, client->who);
	client_fail_as(client, CODE_LOST, enhanced, text);
}

void client_fail_reply(struct client *client, const struct smtp_reply *reply)
{
	if (reply->code / 100 != 4 && reply->code / 100 != 5) {
		client_fail_protocol(client, reply);
		return;
	}
	smtp_reply_verdict(reply, &client->verdict);
	/* About the session, not about a recipient: whatever the code, another try may do
	 * better. */
	client->verdict.kind = VERDICT_TEMPORARY;
	client->outcome = OUTCOME_FAILED;
}

void client_fail_step(struct client *client)
{
	client_fail(client, PROTOCOL_ERROR, "more replies than commands, from");
}

void client_fail_protocol(struct client *client, const struct smtp_reply *reply)
{
	char text[VERDICT_TEXT];

	snprintf(text, sizeof(text),
		"protocol error: code %u makes no sense as the reply to %s, from %s", reply->code,
		client_stage_name(client->waiting), client->who);
	client_fail_as(client, 451, PROTOCOL_ERROR, text);
}
