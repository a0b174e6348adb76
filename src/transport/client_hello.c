#include "transport/client_private.h"

static void hello(struct client *client, enum client_state state, const char *verb)
{
	client->state = state;
	buf_add_str(&client->out, verb);
	buf_add_str(&client->out, client->helo);
	buf_add_str(&client->out, "\r\n");
	client_send_out(client);
	client->asked_now = true;
	client_wait(client, CLIENT_AT_EHLO);
}

void client_hello(struct client *client)
{
	hello(client, CLIENT_EHLO, "EHLO ");
}

void client_ready(struct client *client)
{
	client->state = CLIENT_IDLE;
	client->outcome = OUTCOME_READY;
	client->tls_wanted = NULL;
	client->sasl_user = client->sasl_secret = SPAN_NONE;
	io_timer_stop(client->io, &client->deadline);
}

void client_hello_done(struct client *client)
{
	if (!client_auth_begin(client))
		client_ready(client);
}

static void learnt(struct client *client)
{
	if (!client_tls_begin(client))
		client_hello_done(client);
}

void client_hello_reply(struct client *client, const struct smtp_reply *reply)
{
	uint32_t class = reply->code / 100;

	switch (client->state) {
	case CLIENT_GREETING:
		if (class != 2)
			client_fail_reply(client, reply);
		else
			client_hello(client);
		return;
	case CLIENT_EHLO:
		if (class == 2) {
			client_caps_parse(reply->text, &client->caps);
			learnt(client);
		} else if (class == 5) { /* RFC 5321 section 3.2: a server of the old kind */
			hello(client, CLIENT_HELO, "HELO ");
		} else {
			client_fail_reply(client, reply);
		}
		return;
	default:
		client->caps = (struct client_caps){0};
		if (class == 2)
			learnt(client);
		else
			client_fail_reply(client, reply);
		return;
	}
}
