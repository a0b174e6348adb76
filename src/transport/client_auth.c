/*
 * AUTH (RFC 4954), once the link is protected and before anything else is said: the strongest
 * mechanism that the server offers and we know. A password never goes, in whatever form, over a
 * link in clear, and a server that takes part in SCRAM has to prove that it knows the password,
 * too.
 *
 * A refusal is temporary, whatever its code: what is wrong is a setting, here or there, and mail
 * must not come back to its senders for it.
 */
#include "transport/client_auth.h"
#include "base/base64.h"
#include "codec/fixed_buf.h"

#include <stdio.h>
#include <stdlib.h>

#define CODE_DONE      235
#define CODE_CHALLENGE 334
#define CODE_CLOSING   421
#define CODE_REFUSED   454

/* RFC 3463 section 3.8, RFC 4954 section 6 */
#define NOT_SUPPORTED	((struct enhanced_code){4, 7, 4})
#define BAD_CREDENTIALS ((struct enhanced_code){4, 7, 8})
#define NEEDS_TLS	((struct enhanced_code){4, 7, 11})

#define AUTH_USER 64 /* bytes of the user name in texts */

/* So that the compiler does not leave it out: nobody reads it afterwards. */
static void wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}

void client_auth_free(struct client_auth *auth)
{
	arena_reset(&auth->arena);
	wipe(auth, sizeof(*auth));
	free(auth);
}

void client_auth_stop(struct client *client)
{
	struct client_auth *auth = client->auth;

	client->auth = NULL;
	client->sasl_user = client->sasl_secret = SPAN_NONE;
	if (!auth)
		return;
	if (auth->running)
		auth->client = NULL; /* its end frees it */
	else
		client_auth_free(auth);
}

/* ---- failures ------------------------------------------------------------------------------- */

/* "… as gw at mx.example …": who could not log in where, and why. */
static void fail_login(
	struct client *client, struct enhanced_code enhanced, const char *why, struct span said)
{
	char text[VERDICT_TEXT];
	struct span user = client->sasl_user;

	client->waiting = CLIENT_AT_AUTH;
	snprintf(text, sizeof(text), "cannot log in as %.*s at %s: %s%s%.*s",
		(int)MIN(user.n, (size_t)AUTH_USER), user.p, client->who, why, said.n ? ": " : "",
		(int)said.n, said.n ? said.p : "");
	client_fail_as(client, CODE_REFUSED, enhanced, text);
}

static void refused(struct client *client, const struct smtp_reply *reply)
{
	struct verdict said;
	char why[128];

	smtp_reply_verdict(reply, &said);
	snprintf(why, sizeof(why), "the server refuses (%s, %u; check the transport's sasl)",
		sasl_name(client->auth->mechanism), reply->code);
	fail_login(client, BAD_CREDENTIALS, why, verdict_text(&said));
}

/* ---- what goes out -------------------------------------------------------------------------- */

void client_auth_send(struct client *client, const char *command, struct span raw)
{
	struct buf line = fixed_buf(client->auth->line, sizeof(client->auth->line));

	buf_add_str(&line, command);
	base64_add(&line, raw);
	buf_add_str(&line, "\r\n");
	CHECK(buf_ok(&line)); /* AUTH_LINE holds the longest command and AUTH_RAW */
	client_send_bytes(client, buf_span(&line), false);
	client->asked_now = true;
	client_wait(client, CLIENT_AT_AUTH);
}

/* RFC 4954 section 4: "*" where an answer is due, and the server's 501 ends it. */
void client_auth_cancel(struct client *client, const char *why)
{
	client->auth->step = STEP_CANCELLED;
	client->auth->cancelled_for = why;
	client_auth_send(client, "*", SPAN_NONE);
}

void client_auth_broke(struct client *client)
{
	if (client->auth && client->auth->step == STEP_CANCELLED)
		fail_login(client, BAD_CREDENTIALS, client->auth->cancelled_for, SPAN_NONE);
}

static void say_auth(struct client *client)
{
	struct client_auth *auth = client->auth;
	char command[64];

	client->state = CLIENT_PROVING;
	if (auth->mechanism == SASL_LOGIN) {
		client_auth_send(client, "AUTH LOGIN", SPAN_NONE);
		return;
	}
	if (auth->mechanism == SASL_PLAIN) {
		sasl_plain_add(&auth->raw, span_of(auth->user, auth->user_n),
			span_of(auth->secret, auth->secret_n));
	} else if (client_scram_first(client)) {
		fail_login(client, BAD_CREDENTIALS,
			"SCRAM does not allow such a user name (sasl of the transport)", SPAN_NONE);
		return;
	}
	snprintf(command, sizeof(command), "AUTH %s ", sasl_name(auth->mechanism));
	client_auth_send(client, command, buf_span(&auth->raw));
}

/* The strongest; 0: none. */
static unsigned choose(const struct client *client)
{
	unsigned set = client->caps.mechanisms;

	if (!client->link.info.has_binding)
		set &= ~(unsigned)SASL_SCRAM_SHA_256_PLUS;
	for (unsigned bit = 1u << SASL_MECHANISMS; bit >>= 1;)
		if (set & bit)
			return bit;
	return 0;
}

static bool may_begin(struct client *client)
{
	if (!client->link.tls) {
		fail_login(client, NEEDS_TLS,
			"the link is not protected by TLS, and a password is never sent in clear "
			"(check the transport's tls)",
			SPAN_NONE);
		return false;
	}
	if (!choose(client)) {
		fail_login(client, NOT_SUPPORTED,
			"the server offers no AUTH with SCRAM-SHA-256, PLAIN or LOGIN", SPAN_NONE);
		return false;
	}
	if (client->sasl_user.n <= AUTH_TEXT && client->sasl_secret.n <= AUTH_TEXT &&
		client->sasl_secret.n)
		return true;
	fail_login(client, BAD_CREDENTIALS,
		client->sasl_secret.n ? "the user name or the secret is too long"
				      : "the transport's sasl has no secret",
		SPAN_NONE);
	return false;
}

bool client_auth_begin(struct client *client)
{
	if (!client->sasl_user.n)
		return false;
	if (!may_begin(client))
		return true;
	struct client_auth *auth = calloc(1, sizeof(*auth));

	if (!auth) {
		fail_login(client, BAD_CREDENTIALS, "no memory", SPAN_NONE);
		return true;
	}
	auth->client = client;
	auth->mechanism = (enum sasl_mechanism)choose(client);
	auth->raw = fixed_buf(auth->raw_bytes, sizeof(auth->raw_bytes));
	arena_init(&auth->arena, AUTH_ARENA);
	auth->user_n = client->sasl_user.n;
	auth->secret_n = client->sasl_secret.n;
	memcpy(auth->user, client->sasl_user.p, auth->user_n);
	memcpy(auth->secret, client->sasl_secret.p, auth->secret_n);
	client->auth = auth;
	say_auth(client);
	return true;
}

/* ---- what comes back ------------------------------------------------------------------------ */

static void challenge(struct client *client, struct span text)
{
	struct client_auth *auth = client->auth;
	bool scram = auth->mechanism >= SASL_SCRAM_SHA_256;

	if (scram && (auth->step == STEP_BEGUN || auth->step == STEP_PROOF)) {
		client_scram_message(client, text);
	} else if (auth->mechanism == SASL_LOGIN && auth->step == STEP_BEGUN) {
		/* "Username:", in words that differ. */
		auth->step = STEP_USER;
		client_auth_send(client, "", span_of(auth->user, auth->user_n));
	} else if (auth->mechanism == SASL_LOGIN && auth->step == STEP_USER) {
		auth->step = STEP_SECRET;
		client_auth_send(client, "", span_of(auth->secret, auth->secret_n));
	} else if (auth->step == STEP_CANCELLED) {
		fail_login(client, BAD_CREDENTIALS, auth->cancelled_for, SPAN_NONE);
	} else {
		client_auth_cancel(client, "the server wants more than the mechanism has");
	}
}

/* All was said that the mechanism has. */
static bool is_complete(const struct client_auth *auth)
{
	switch (auth->mechanism) {
	case SASL_PLAIN: return auth->step == STEP_BEGUN;
	case SASL_LOGIN: return auth->step == STEP_SECRET;
	default: return auth->step == STEP_PROVEN;
	}
}

static void succeeded(struct client *client)
{
	if (!is_complete(client->auth)) {
		fail_login(client, BAD_CREDENTIALS,
			"the server is content before it proved that it knows the password, or "
			"got it: this may be another server than it should be",
			SPAN_NONE);
		return;
	}
	client_auth_stop(client);
	client->link.authenticated = true;
	client_ready(client);
}

void client_auth_reply(struct client *client, const struct smtp_reply *reply)
{
	struct client_auth *auth = client->auth;
	uint32_t class = reply->code / 100;

	if (reply->code == CODE_CLOSING)
		client_fail_reply(client, reply);
	else if (auth->running)
		client_fail_step(client);
	else if (reply->code == CODE_CHALLENGE)
		challenge(client, reply->text);
	else if (class != 4 && class != 5 && reply->code != CODE_DONE)
		client_fail_protocol(client, reply);
	else if (auth->step == STEP_CANCELLED)
		fail_login(client, BAD_CREDENTIALS, auth->cancelled_for, SPAN_NONE);
	else if (reply->code == CODE_DONE)
		succeeded(client);
	else
		refused(client, reply);
}
