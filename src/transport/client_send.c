#include "transport/client_private.h"

#define CODE_CLOSING	421 /* RFC 5321 section 3.8: the server ends the session */
#define CODE_BODY	354
#define CODE_TOO_MANY	452 /* RFC 5321 section 4.5.3.1.10 … */
#define CODE_TOO_MANY_5 552 /* … and as old servers say it */
#define CODE_MAILBOX	450

/* RFC 3463 section 2, the second number */
#define SUBJECT_SYSTEM	3
#define SUBJECT_NETWORK 4
#define SUBJECT_POLICY	7

static bool pipelining(const struct client *client)
{
	return client->caps.can & CLIENT_PIPELINING;
}

static bool by_data(const struct client *client)
{
	return client->plan.form == FORM_DATA_COPY || client->plan.form == FORM_DATA_PUMP;
}

/* ---- what goes out --------------------------------------------------------------------------- */

/* The next recipient that is to be sent: its place in the picks, or pick_count. */
static uint32_t next_rcpt(struct client *client)
{
	const struct client_job *job = client->job;

	while (client->sent < job->pick_count && client_settled(&job->results[client->sent]))
		client->sent++;
	return client->refused ? job->pick_count : client->sent;
}

static bool rcpts_sent(struct client *client)
{
	return next_rcpt(client) >= client->job->pick_count;
}

static void add_rcpts(struct client *client)
{
	const struct client_job *job = client->job;
	uint32_t window = pipelining(client) ? CLIENT_WINDOW : 1;

	/* A window is refilled when half of it was answered, so that packets stay full. */
	if (client->in_flight > window / 2)
		return;
	while (client->in_flight < window && !rcpts_sent(client)) {
		client_add_rcpt(
			&client->out, client, &job->envelope->rcpts[job->picks[client->sent]]);
		client->sent++;
		client->in_flight++;
	}
}

/* Everything that may go out now. With PIPELINING that is MAIL, all RCPT and DATA in one packet;
 * without, one command (RFC 2920 section 3.1). */
static void push(struct client *client)
{
	bool ahead = pipelining(client);

	if (client->due == DUE_RSET && !client->rset_sent) {
		buf_add_str(&client->out, "RSET\r\n");
		client->rset_sent = true;
	}
	if (!client->mail_sent && (ahead || client->due == DUE_MAIL)) {
		client_add_mail(&client->out, client);
		client->mail_sent = true;
	}
	if (client->mail_sent && (ahead || client->due == DUE_RCPT))
		add_rcpts(client);
	if (by_data(client) && !client->data_sent && client->mail_sent && rcpts_sent(client) &&
		!client->refused && (client->accepted || client->in_flight) &&
		(ahead || client->due == DUE_DATA)) {
		buf_add_str(&client->out, "DATA\r\n");
		client->data_sent = true;
	}
	if (client->out.n)
		client_send_out(client);
}

static void wait_for_due(struct client *client)
{
	switch (client->due) {
	case DUE_RSET:
	case DUE_MAIL: client_wait(client, CLIENT_AT_MAIL); return;
	case DUE_RCPT: client_wait(client, CLIENT_AT_RCPT); return;
	case DUE_DATA: client_wait(client, CLIENT_AT_DATA); return;
	case DUE_END: /* client_body.c waits */
	case DUE_NOTHING: return;
	}
}

/*
 * Something came that no command asked for. With pipelining it would be taken for the reply to
 * MAIL, that for the one to the first RCPT, and so on to a recipient delivered to who was refused.
 * What this turn has read up to the last byte needs no second look. Nobody can tell a late reply
 * that comes after MAIL is on its way from the reply to it: RFC 5321 gives replies no name.
 */
static bool out_of_step(const struct client *client)
{
	return client->emptied_ns != client->io->now_ns && io_conn_arrived(client->conn);
}

void client_transaction_begin(struct client *client)
{
	if (out_of_step(client)) {
		client_fail_step(client);
		client_soon(client);
		return;
	}
	client->due = client->dirty ? DUE_RSET : DUE_MAIL;
	client->rset_sent = client->mail_sent = client->data_sent = client->refused = false;
	client->sent = client->answered = client->in_flight = client->accepted = 0;
	client->mails++;
	push(client);
	wait_for_due(client);
}

void client_transaction_more(struct client *client)
{
	push(client);
	wait_for_due(client);
}

void client_finish(struct client *client, bool usable)
{
	struct client_job *job = client->job;

	/* RFC 9422 section 4.2.1: the server would refuse the next one. */
	if (client->caps.mail_most && client->mails >= client->caps.mail_most)
		usable = false;
	job->usable = usable;
	job->stage = client->waiting;
	client->due = DUE_NOTHING;
	client->outcome = OUTCOME_DONE;
}

/* ---- what comes back ------------------------------------------------------------------------- */

/* Would it have said so to any mail? Without an enhanced code the basic one tells what is meant
 * (RFC 5321 section 4.2.3): 450 is of mailboxes, the others are of the server. */
static bool is_of_server(const struct client *client, const struct verdict *verdict)
{
	const struct enhanced_code *e = &verdict->enhanced;

	if (verdict->kind != VERDICT_TEMPORARY)
		return false;
	if (!e->class || !e->subject)
		return verdict->code != CODE_MAILBOX;
	if (e->subject == SUBJECT_POLICY)
		return client->due == DUE_MAIL;
	return e->subject == SUBJECT_SYSTEM || e->subject == SUBJECT_NETWORK;
}

/* The reply decides for all that are undecided. */
static void settle_by(struct client *client, const struct smtp_reply *reply)
{
	struct verdict verdict;

	smtp_reply_verdict(reply, &verdict);
	if (is_of_server(client, &verdict))
		client_settle_session(client, &verdict);
	else
		client_settle_all(client, &verdict);
}

static void server_leaves(struct client *client, const struct smtp_reply *reply)
{
	struct verdict verdict;

	smtp_reply_verdict(reply, &verdict);
	client_settle_session(client, &verdict);
	client_finish(client, false);
}

/* All RCPTs may be answered now: what follows? */
static void after_rcpt(struct client *client)
{
	if (client->in_flight || !rcpts_sent(client))
		return;
	if (!client->data_sent && (client->refused || !client->accepted)) {
		client_finish(client, true);
	} else if (client->data_sent || by_data(client)) {
		client->due = DUE_DATA; /* push() sends it, where it is not yet sent */
	} else {
		client->due = DUE_END;
		client_body_send(client);
	}
}

static void mail_reply(struct client *client, const struct smtp_reply *reply)
{
	if (reply->code / 100 == 2) {
		client->due = DUE_RCPT;
		client->dirty = true;
		return;
	}
	/* What was sent ahead will be refused too; its replies are only counted. */
	settle_by(client, reply);
	client->due = DUE_RCPT;
	client->refused = true;
	after_rcpt(client);
}

/* The server takes some of the recipients now, and would take these in another transaction. */
static bool too_many(const struct client *client, const struct smtp_reply *reply)
{
	const struct enhanced_code *e = &reply->enhanced;
	bool says_so = e->class && e->subject == 5 && e->detail == 3;

	if (!client->accepted)
		return false;
	if (reply->code == CODE_TOO_MANY)
		return says_so || !e->class;
	return reply->code == CODE_TOO_MANY_5 && says_so;
}

static void rcpt_reply(struct client *client, const struct smtp_reply *reply)
{
	struct client_job *job = client->job;

	client->in_flight--;
	if (!client->refused) {
		while (client_settled(&job->results[client->answered]))
			client->answered++;

		struct client_result *result = &job->results[client->answered++];
		if (reply->code / 100 == 2) {
			client->accepted++;
		} else if (too_many(client, reply)) {
			result->not_tried = true;
			for (uint32_t i = client->sent; i < job->pick_count; i++)
				if (!client_settled(&job->results[i]))
					job->results[i].not_tried = true;
		} else {
			smtp_reply_verdict(reply, &result->verdict);
		}
	}
	after_rcpt(client);
}

static void data_reply(struct client *client, const struct smtp_reply *reply)
{
	if (reply->code != CODE_BODY) {
		settle_by(client, reply);
		client_finish(client, true);
		return;
	}
	client->due = DUE_END;
	if (client->accepted && !client->refused) {
		client_body_send(client);
		return;
	}
	/* DATA went ahead and nobody was accepted: nothing must be sent (RFC 2920 section 3.1). */
	client->refused = true;
	client_body_empty(client);
}

static void end_reply(struct client *client, const struct smtp_reply *reply)
{
	bool whole = client_body_whole(client);

	if (!whole && reply->code / 100 == 2) {
		client_fail_protocol(client, reply); /* nobody can have taken half a message */
		return;
	}
	/* With nobody accepted, all is settled, and whatever this says is of no account. */
	settle_by(client, reply);
	client->dirty = false;
	client_finish(client, whole);
}

/* Was the command sent that this would answer, and can this be an answer to it? */
static bool makes_sense(const struct client *client, const struct smtp_reply *reply)
{
	uint32_t class = reply->code / 100;
	bool final = class == 2 || class == 4 || class == 5;

	switch (client->due) {
	case DUE_RSET: return final && client->rset_sent;
	case DUE_MAIL: return final && client->mail_sent;
	case DUE_RCPT: return final && client->in_flight;
	case DUE_DATA:
		return client->data_sent && class != 2 && (final || reply->code == CODE_BODY);
	case DUE_END:
	case DUE_NOTHING: break;
	}
	return final;
}

void client_transaction_reply(struct client *client, const struct smtp_reply *reply)
{
	uint32_t class = reply->code / 100;

	/* A 421 may come at any time, asked or not. */
	if (reply->code != CODE_CLOSING && !makes_sense(client, reply)) {
		client_fail_protocol(client, reply);
		return;
	}
	if (reply->code == CODE_CLOSING && client->due != DUE_NOTHING) {
		server_leaves(client, reply);
		return;
	}
	switch (client->due) {
	case DUE_RSET:
		if (class != 2) {
			client_fail_reply(client, reply);
			return;
		}
		client->dirty = false;
		client->due = DUE_MAIL;
		return;
	case DUE_MAIL: mail_reply(client, reply); return;
	case DUE_RCPT: rcpt_reply(client, reply); return;
	case DUE_DATA: data_reply(client, reply); return;
	case DUE_END: end_reply(client, reply); return;
	case DUE_NOTHING: client_fail_reply(client, reply); return;
	}
}
