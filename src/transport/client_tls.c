/*
 * STARTTLS (RFC 3207): the command, the handshake, and what is known of the link.
 *
 * What comes in clear can be written by anybody on the way. So nothing that was said before the
 * handshake counts after it, and bytes that lie behind the reply to STARTTLS, which somebody may
 * have put there to be taken for protected ones, end the session. That the server does not offer
 * STARTTLS is such a word, too: with CLIENT_TLS_MUST it ends the session before any mail is named.
 */
#include "transport/client_private.h"

#include "codec/fixed_buf.h"
#include "codec/pin.h"

#include <stdio.h>

#define CODE_GO	     220
#define CODE_CLOSING 421
#define CODE_NOT_NOW 451

#define KEY_SHOWN "the key that it shows is "

/* RFC 3463 section 3.8 */
#define NOT_SUPPORTED ((struct enhanced_code){4, 7, 4})
#define CRYPTO_FAILED ((struct enhanced_code){4, 7, 5})

/* ---- what is known of the link -------------------------------------------------------------- */

static struct span keep(char *to, size_t room, struct span from)
{
	size_t n = MIN(from.n, room);

	if (n)
		memcpy(to, from.p, n);
	return span_of(to, n);
}

static void keep_info(struct client_link *link, const struct tls_info *info)
{
	link->has_info = true;
	link->info = *info;
	link->info.sni = SPAN_NONE; /* a server's business */
	link->info.detail = keep(link->detail, sizeof(link->detail), info->detail);
	link->info.version = keep(link->version, sizeof(link->version), info->version);
	link->info.cipher = keep(link->cipher, sizeof(link->cipher), info->cipher);
	link->info.peer_subject = keep(link->subject, sizeof(link->subject), info->peer_subject);
}

/* The io said nothing more than this. */
static void keep_failure(struct client_link *link, enum tls_failure failure)
{
	link->has_info = true;
	if (link->info.failure == TLS_FINE)
		link->info.failure = failure;
}

void client_security(const struct client *client, struct client_security *out)
{
	const struct client_link *link = &client->link;

	CHECK_MAGIC(client, CLIENT_MAGIC);
	*out = (struct client_security){
		.tls = link->tls,
		.verified = link->verified,
		.offered = link->offered,
		.info = link->has_info ? &link->info : NULL,
		.authenticated = link->authenticated,
	};
}

void client_local(const struct client *client, struct netaddr *out)
{
	CHECK_MAGIC(client, CLIENT_MAGIC);
	*out = client->link.local;
	if (client->conn)
		io_conn_ends(client->conn, out, NULL);
}

/* ---- STARTTLS ------------------------------------------------------------------------------- */

static void not_offered(struct client *client)
{
	char text[VERDICT_TEXT];

	client->waiting = CLIENT_AT_STARTTLS;
	snprintf(text, sizeof(text),
		"TLS is required, but is not offered (no STARTTLS) by %s: nothing is sent in "
		"clear; its administrator has to offer TLS, or the transport's tls be made "
		"weaker",
		client->who);
	client_fail_as(client, CODE_NOT_NOW, NOT_SUPPORTED, text);
}

bool client_tls_begin(struct client *client)
{
	if (client->link.tls)
		return false;
	client->link.offered = client->caps.can & CLIENT_STARTTLS;
	if (client->tls == CLIENT_TLS_NONE)
		return false;
	if (!client->link.offered) {
		if (client->tls == CLIENT_TLS_MAY)
			return false;
		not_offered(client);
		return true;
	}
	client->state = CLIENT_ASKED_TLS;
	client_send_bytes(client, SPAN("STARTTLS\r\n"), false);
	client->asked_now = true;
	client_wait(client, CLIENT_AT_STARTTLS);
	return true;
}

static void refused(struct client *client, const struct smtp_reply *reply)
{
	struct verdict said;
	char text[VERDICT_TEXT];

	smtp_reply_verdict(reply, &said);
	snprintf(text, sizeof(text),
		"TLS is required, but STARTTLS was refused (%u %.*s) by %s: nothing is sent in "
		"clear; its administrator has to mend its TLS, or the transport's tls be made "
		"weaker",
		reply->code, MIN((int)said.length, VERDICT_TEXT / 4), said.text, client->who);
	client_fail_as(client, CODE_NOT_NOW, CRYPTO_FAILED, text);
}

void client_tls_reply(struct client *client, const struct smtp_reply *reply)
{
	uint32_t class = reply->code / 100;

	if (reply->code == CODE_GO) {
		client->state = CLIENT_SECURING;
	} else if (reply->code == CODE_CLOSING) {
		client_fail_reply(client, reply);
	} else if (class != 4 && class != 5) {
		client_fail_protocol(client, reply);
	} else if (client->tls == CLIENT_TLS_MUST) {
		refused(client, reply);
	} else { /* RFC 3207 section 4.1: it is for the client to decide */
		client_hello_done(client);
	}
}

/* ---- the handshake -------------------------------------------------------------------------- */

static void injected(struct client *client)
{
	client->waiting = CLIENT_AT_STARTTLS;
	client_fail(client, CRYPTO_FAILED,
		"more came in clear, behind the reply to STARTTLS, than may (is somebody meddling "
		"with the connection?), from");
}

static void failed(struct client *client)
{
	const struct tls_info *info = &client->link.info;
	struct span detail = info->detail;
	char text[VERDICT_TEXT], memory[sizeof(KEY_SHOWN) + PIN_TEXT];
	struct buf key = fixed_buf(memory, sizeof(memory));

	/* Whoever has to say whether it is a new key or another server can compare it. */
	if (info->failure == TLS_PIN && info->peer_certificate) {
		buf_add_str(&key, KEY_SHOWN);
		pin_add(&key, info->peer_key_hash);
		detail = buf_span(&key);
	}
	snprintf(text, sizeof(text), "no TLS with %s: %s%s%.*s", client->who,
		tls_failure_text(info->failure), detail.n ? ": " : "", (int)detail.n, detail.p);
	client_fail_as(client, CODE_NOT_NOW, CRYPTO_FAILED, text);
}

void client_tls_handshake(struct client *client, bool behind)
{
	/* STARTTLS itself not gone yet: who let us begin did not hear it. */
	if (behind || io_conn_unsent(client->conn)) {
		injected(client);
		return;
	}
	int err = io_conn_secure_client(client->conn, client->tls_wanted, client->timeouts->ehlo);

	if (err == ERR_BUSY) {
		injected(client);
		return;
	}
	client_wait(client, CLIENT_AT_TLS);
	if (err) {
		keep_failure(&client->link, err == ERR_CLOSED ? TLS_LOST : TLS_OURS);
		failed(client);
	}
}

static enum tls_failure failure_of(int err)
{
	switch (err) {
	case ERR_TIMEOUT: return TLS_TIMEOUT;
	case ERR_CLOSED: return TLS_LOST;
	case ERR_NOMEM: return TLS_OURS;
	default: return TLS_HANDSHAKE;
	}
}

void client_tls_broke(struct client *client, enum tls_failure failure)
{
	if (client->state != CLIENT_SECURING)
		return;
	keep_failure(&client->link, failure);
	failed(client);
}

void client_tls_secured(void *owner, int err, const struct tls_info *info)
{
	struct client *client = owner;
	struct client_link *link = &client->link;

	CHECK_MAGIC(client, CLIENT_MAGIC);
	CHECK(client->state == CLIENT_SECURING);
	if (info)
		keep_info(link, info);
	if (err)
		keep_failure(link, failure_of(err));
	if (err || !info || link->info.failure != TLS_FINE) {
		keep_failure(link, TLS_HANDSHAKE);
		failed(client);
		client_settle(client);
		return;
	}
	link->tls = true;
	link->verified = client->tls_wanted->check != TLS_CHECK_NOTHING;
	/* RFC 3207 section 4.2: what was learnt in clear is forgotten. */
	client->caps = (struct client_caps){0};
	smtp_reply_init(&client->parser);
	client->emptied_ns = 0;
	client_hello(client);
	client_settle(client);
}
