#include "transport/client.h"

#include "base/err.h"
#include "transport/client_private.h"

#include <stdio.h>
#include <stdlib.h>

/* RFC 3463 */
#define NO_ANSWER      ((struct enhanced_code){4, 4, 1})
#define BAD_CONNECTION ((struct enhanced_code){4, 4, 2})
#define PROTOCOL_ERROR ((struct enhanced_code){4, 5, 0})

/* ---- deadlines ------------------------------------------------------------------------------- */

static uint64_t patience(const struct client *client, enum client_stage stage)
{
	const struct config_timeouts *t = client->timeouts;

	switch (stage) {
	case CLIENT_AT_CONNECT: return t->connect;
	case CLIENT_AT_GREETING: return t->greeting;
	case CLIENT_AT_EHLO:
	case CLIENT_AT_STARTTLS:
	case CLIENT_AT_AUTH: return t->ehlo;
	case CLIENT_AT_TLS: return t->ehlo + CLIENT_TLS_GRACE_MS;
	case CLIENT_AT_MAIL: return client->due == DUE_RSET ? t->rset : t->mail;
	case CLIENT_AT_RCPT: return t->rcpt;
	case CLIENT_AT_DATA: return t->data;
	case CLIENT_AT_BODY: return t->body;
	case CLIENT_AT_END: return t->body_end;
	case CLIENT_AT_IDLE: break;
	}
	return t->idle;
}

void client_wait(struct client *client, enum client_stage stage)
{
	uint64_t at = client->io->now_ns + patience(client, stage) * NS_PER_MS;

	if (stage == CLIENT_AT_BODY)
		at = MIN(at, client->body_until_ns);
	client->waiting = stage;
	if (timers_arm(&client->io->timers, &client->deadline, at))
		client->broken = ERR_NOMEM;
	if (client->broken)
		client_soon(client);
}

static void deadline_fire(struct timer *timer)
{
	struct client *client = CONTAINER_OF(timer, struct client, deadline);
	char what[64];

	CHECK_MAGIC(client, CLIENT_MAGIC);
	bool too_slow =
		client->waiting == CLIENT_AT_BODY && client->io->now_ns >= client->body_until_ns;
	/* A body may take long while it moves (RFC 5321 section 4.5.3.2.5), but not for ever. */
	if (client->waiting == CLIENT_AT_BODY && !too_slow &&
		io_conn_unsent(client->conn) < client->unsent_before) {
		client->unsent_before = io_conn_unsent(client->conn);
		client_wait(client, CLIENT_AT_BODY);
		return;
	}
	client_tls_broke(client, TLS_TIMEOUT);
	client_auth_broke(client);
	if (client->state == CLIENT_CONNECTING) {
		client_fail(client, NO_ANSWER, "connecting timed out:");
	} else if (too_slow) {
		client_fail(client, BAD_CONNECTION, "too slow in taking the body:");
	} else {
		snprintf(what, sizeof(what), "timed out (%s), waiting for",
			client_stage_name(client->waiting));
		client_fail(client, BAD_CONNECTION, what);
	}
	client_settle(client);
}

/* ---- work for the next turn ------------------------------------------------------------------ */

void client_soon(struct client *client)
{
	/* Without memory for a timer nothing can be promised any more; the role ends and the
	 * supervisor starts it again. */
	CHECK(io_timer_after(client->io, &client->tick, 0) == 0);
}

static void lost(struct client *client, int err)
{
	char what[128];

	snprintf(what, sizeof(what), "connection lost (%s: %s), talking to",
		client_stage_name(client->waiting), err ? err_text(err) : "closed by the server");
	client_fail(client, BAD_CONNECTION, what);
}

static void tick_fire(struct timer *timer)
{
	struct client *client = CONTAINER_OF(timer, struct client, tick);

	CHECK_MAGIC(client, CLIENT_MAGIC);
	if (client->broken && client->outcome == OUTCOME_NONE)
		lost(client, client->broken);
	if (client->outcome == OUTCOME_NONE && client_body_waits(client))
		client_body_more(client);
	client_settle(client);
}

void client_send_bytes(struct client *client, struct span bytes, bool more)
{
	struct iovec part = {(void *)(uintptr_t)bytes.p, bytes.n};

	if (client->broken)
		return;
	client->broken = io_conn_send(client->conn, &part, 1, more);
	if (client->broken)
		client_soon(client);
}

void client_send_out(struct client *client)
{
	CHECK(buf_ok(&client->out)); /* CLIENT_OUT holds a whole window of the longest commands */
	client_send_bytes(client, buf_span(&client->out), false);
	buf_clear(&client->out);
}

/* ---- events of the connection ---------------------------------------------------------------- */

static void on_connected(void *owner, int err)
{
	struct client *client = owner;
	char what[128];

	if (err) {
		snprintf(what, sizeof(what), "no connection (%s) to", err_text(err));
		client_fail(client, NO_ANSWER, what);
		client_settle(client);
		return;
	}
	client->state = CLIENT_GREETING;
	client_wait(client, CLIENT_AT_GREETING);
}

static struct iovec on_buffer(void *owner)
{
	struct client *client = owner;

	return (struct iovec){client->in, sizeof(client->in)};
}

static void on_reply(struct client *client, const struct smtp_reply *reply)
{
	switch (client->state) {
	case CLIENT_GREETING:
	case CLIENT_EHLO:
	case CLIENT_HELO: client_hello_reply(client, reply); return;
	case CLIENT_ASKED_TLS: client_tls_reply(client, reply); return;
	case CLIENT_PROVING: client_auth_reply(client, reply); return;
	case CLIENT_BUSY: client_transaction_reply(client, reply); return;
	default: return;
	}
}

/* Can this be the answer to what was sent since the read began? */
static bool too_early(const struct client *client, const struct smtp_reply *reply)
{
	if (!client->asked_now || reply->code == 421)
		return false;
	return reply->code / 100 == 2 || client->state == CLIENT_ASKED_TLS ||
	       client->state == CLIENT_PROVING;
}

static void on_received(void *owner, size_t n)
{
	struct client *client = owner;
	struct span in = span_of(client->in, n);
	bool moved = false;

	CHECK_MAGIC(client, CLIENT_MAGIC);
	client->asked_now = false;
	client->emptied_ns = n < sizeof(client->in) ? client->io->now_ns : 0;
	/* Nothing was asked: 421, or unasked talk, were it only half a line. */
	if (client->state == CLIENT_IDLE)
		client->outcome = OUTCOME_GONE;
	/* The io speaks TLS at the moment, and not to us. */
	if (client->state == CLIENT_SECURING)
		client_fail_step(client);
	while (in.n && client->outcome == OUTCOME_NONE && client->state != CLIENT_SECURING) {
		struct smtp_reply reply;
		size_t used;
		int err = smtp_reply_feed(&client->parser, in, &used, &reply);

		in = span_skip(in, used);
		if (err == 0 && too_early(client, &reply)) {
			client_fail_step(client);
		} else if (err == 0) {
			on_reply(client, &reply);
			moved = true;
		} else if (err != ERR_MORE) {
			client_fail(client, PROTOCOL_ERROR, "what was sent is no SMTP reply, by");
		}
	}
	/* Bytes behind the last reply that is due: whatever they are, the two sides are not in
	 * step. */
	if (in.n && client->outcome == OUTCOME_DONE)
		client->job->usable = false;
	if (in.n && client->outcome == OUTCOME_READY) {
		client->state = CLIENT_GREETING;
		client->outcome = OUTCOME_NONE;
		client_fail_step(client);
	}
	if (client->outcome == OUTCOME_NONE && client->state == CLIENT_SECURING)
		client_tls_handshake(client, in.n != 0);
	/* Half a reply moves no deadline: a server cannot hold us by dripping. */
	if (moved && client->outcome == OUTCOME_NONE && client->state == CLIENT_BUSY)
		client_transaction_more(client);
	client_settle(client);
}

static void on_drained(void *owner)
{
	struct client *client = owner;

	if (client->state != CLIENT_BUSY || client->waiting != CLIENT_AT_BODY)
		return;
	if (client_body_waits(client))
		client_body_more(client);
	else
		client_wait(client, CLIENT_AT_END);
	client_settle(client);
}

static void on_closed(void *owner, int err)
{
	struct client *client = owner;

	client_tls_broke(client, TLS_LOST);
	client_auth_broke(client);
	lost(client, err);
	client_settle(client);
}

static const struct io_conn_handler handler = {
	.connected = on_connected,
	.buffer = on_buffer,
	.received = on_received,
	.drained = on_drained,
	.closed = on_closed,
	.secured = client_tls_secured,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void set_who(struct client *client, const struct client_config *config)
{
	struct buf buf;

	buf_init(&buf, sizeof(client->who) - 1);
	if (config->peer_name.n) {
		buf_add_escaped(&buf, config->peer_name, CLIENT_NAME);
		buf_add_char(&buf, ' ');
	}
	netaddr_add(&buf, &config->peer);
	if (buf.n)
		memcpy(client->who, buf.p, buf.n);
	client->who[buf.n] = '\0';
	buf_done(&buf);
}

int client_new(struct io *io, const struct client_config *config, const struct client_ops *ops,
	void *owner, struct client **out)
{
	if (!config->helo.n || config->helo.n >= CLIENT_NAME)
		return ERR_LIMIT;
	CHECK(config->tls == CLIENT_TLS_NONE || config->security);

	struct client *client = calloc(1, sizeof(*client));
	if (!client)
		return ERR_NOMEM;
	client->magic = CLIENT_MAGIC;
	client->io = io;
	client->ops = ops;
	client->owner = owner;
	client->timeouts = config->timeouts;
	client->tls = config->tls;
	client->tls_wanted = config->security;
	client->sasl_user = config->sasl_user;
	client->sasl_secret = config->sasl_secret;
	client->state = CLIENT_CONNECTING;
	client->deadline.fire = deadline_fire;
	client->tick.fire = tick_fire;
	client->due = DUE_NOTHING;
	buf_init(&client->out, CLIENT_OUT);
	smtp_reply_init(&client->parser);
	set_who(client, config);
	memcpy(client->helo, config->helo.p, config->helo.n);

	int err = io_connect(io, &config->local, &config->peer, &handler, client, &client->conn);
	if (err) {
		free(client);
		return err;
	}
	client_wait(client, CLIENT_AT_CONNECT);
	*out = client;
	return 0;
}

void client_send(struct client *client, struct client_job *job)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	CHECK(client_idle(client));
	CHECK(job->pick_count > 0);
	client->state = CLIENT_BUSY;
	client->job = job;
	client->waiting = CLIENT_AT_MAIL;
	client->body_left = false;
	job->usable = true;
	job->converted = false;
	job->stage = CLIENT_AT_MAIL;
	job->dsn_passed = client->caps.can & CLIENT_DSN;
	for (uint32_t i = 0; i < job->pick_count; i++) {
		job->results[i].not_tried = false;
		job->results[i].of_server = false;
		job->results[i].verdict.code = 0;
	}
	if (!client_plan_make(client)) {
		client_finish(client, true);
		client_soon(client);
		return;
	}
	if (client->plan.form == FORM_DATA_PUMP || client->plan.form == FORM_BDAT_PUMP) {
		/* The first pass, if there is one, begins in the next turn. */
		if (client_pump_start(client))
			client->broken = ERR_NOMEM;
		client_soon(client);
		return;
	}
	client_transaction_begin(client);
}

void client_die(struct client *client)
{
	client->state = CLIENT_DEAD;
	io_conn_close(&client->conn, false);
	io_timer_stop(client->io, &client->deadline);
	io_timer_stop(client->io, &client->tick);
	client_pump_free(client);
	client_auth_stop(client);
}

void client_close(struct client **client, bool polite)
{
	struct client *c = *client;

	if (!c)
		return;
	CHECK_MAGIC(c, CLIENT_MAGIC);
	if (polite && client_idle(c)) {
		client_send_bytes(c, SPAN("QUIT\r\n"), false);
		io_conn_close(&c->conn, true);
	}
	client_die(c);
	buf_done(&c->out);
	c->magic = 0;
	free(c);
	*client = NULL;
}

const struct client_caps *client_caps(const struct client *client)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	return &client->caps;
}

bool client_idle(const struct client *client)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	return client->state == CLIENT_IDLE;
}
