/*
 * SCRAM as the client plays it over AUTH (RFC 5802, RFC 7677): the messages are codec/scram's. The
 * server decides how often the password is hashed, so that is done on a helper thread.
 */
#include "base/err.h"
#include "transport/client_auth.h"

int client_scram_first(struct client *client)
{
	struct client_auth *auth = client->auth;
	const struct tls_info *info = &client->link.info;
	uint8_t nonce[SCRAM_NONCE];

	for (size_t at = 0; at < sizeof(nonce); at += sizeof(uint64_t)) {
		uint64_t some = io_random(client->io);

		memcpy(nonce + at, &some, sizeof(some));
	}
	return scram_client_first(&auth->scram, span_of(auth->user, auth->user_n),
		info->has_binding ? info->binding : NULL,
		auth->mechanism == SASL_SCRAM_SHA_256_PLUS, nonce, &auth->arena, &auth->raw);
}

static void hash(struct io_job *job)
{
	struct client_auth *auth = CONTAINER_OF(job, struct client_auth, job);

	auth->err = scram_client_final(&auth->scram, span_of(auth->secret, auth->secret_n),
		auth->challenge, &auth->arena, &auth->raw);
}

static const char *hash_problem(int err)
{
	switch (err) {
	case ERR_LIMIT: return "SCRAM: the server wants too few or too many iterations";
	case ERR_UNSUPPORTED: return "SCRAM: the server wants an extension that nobody knows";
	case ERR_DENIED: return "SCRAM: the server answers somebody else's message";
	case ERR_NOMEM: return "SCRAM: no memory";
	default:
		return "SCRAM: the server's challenge makes no sense, or the secret has characters "
		       "that are not allowed";
	}
}

static void hashed(struct io_job *job)
{
	struct client_auth *auth = CONTAINER_OF(job, struct client_auth, job);
	struct client *client = auth->client;

	auth->running = false;
	if (!client) {
		client_auth_free(auth);
		return;
	}
	if (auth->err) {
		client_auth_cancel(client, hash_problem(auth->err));
	} else {
		auth->step = STEP_PROOF;
		client_auth_send(client, "", buf_span(&auth->raw));
	}
	/* Not within a read: what is read next may be the answer. */
	client->asked_now = false;
	client_settle(client);
}

static void challenge(struct client *client, struct span message)
{
	struct client_auth *auth = client->auth;

	auth->challenge = arena_copy(&auth->arena, message);
	buf_clear(&auth->raw);
	auth->job = (struct io_job){.run = hash, .done = hashed};
	if (auth->arena.overflow || io_submit(client->io, IO_LANE_HASH, &auth->job)) {
		client_auth_cancel(client, "no memory");
		return;
	}
	auth->running = true;
	client_wait(client, CLIENT_AT_AUTH);
}

static void proof(struct client *client, struct span message)
{
	if (scram_client_verify(&client->auth->scram, message)) {
		client_auth_cancel(client,
			"SCRAM: the server does not prove that it knows the password: "
			"this may be another server than it should be");
		return;
	}
	client->auth->step = STEP_PROVEN;
	client_auth_send(client, "", SPAN_NONE);
}

void client_scram_message(struct client *client, struct span text)
{
	struct client_auth *auth = client->auth;
	struct span message;

	if (sasl_decode(span_trim(text), SCRAM_MESSAGE, &auth->arena, &message))
		client_auth_cancel(client, "SCRAM: the server's message is no base64");
	else if (auth->step == STEP_BEGUN)
		challenge(client, message);
	else
		proof(client, message);
}
