/*
 * The state of an AUTH exchange, for client_auth.c and client_scram.c alone. It has copies of what
 * it needs, since a helper thread works on it while the session may end, and is wiped when it goes.
 */
#ifndef TRANSPORT_CLIENT_AUTH_H
#define TRANSPORT_CLIENT_AUTH_H

#include "codec/sasl.h"
#include "codec/scram.h"
#include "transport/client_private.h"

#define AUTH_TEXT  SCRAM_PREPARE /* bytes of a user name, or of a secret */
#define AUTH_RAW   4096		 /* bytes of a message: of PLAIN, or SCRAM_MESSAGE */
#define AUTH_LINE  6144		 /* bytes of a line: that in base64 behind the command */
#define AUTH_ARENA 32768	 /* bytes of SCRAM's messages, all together */

/* What was sent last. */
enum auth_step {
	STEP_BEGUN,  /* AUTH, with the first message where the mechanism has one */
	STEP_USER,   /* LOGIN: the user name */
	STEP_SECRET, /* LOGIN: the password */
	STEP_PROOF,  /* SCRAM: our proof */
	STEP_PROVEN, /* SCRAM: nothing, since the server's proof is right */
	STEP_CANCELLED,
};

struct client_auth {
	struct client *client; /* NULL: the session ended while the job is run */
	struct io_job job;
	bool running;
	int err; /* of the job */
	enum sasl_mechanism mechanism;
	enum auth_step step;
	const char *cancelled_for;
	struct scram_client scram;
	struct arena arena;
	struct span challenge; /* SCRAM: server-first-message, in the arena */
	struct buf raw;	       /* over raw_bytes */
	size_t user_n, secret_n;
	char user[AUTH_TEXT], secret[AUTH_TEXT];
	char raw_bytes[AUTH_RAW], line[AUTH_LINE];
};

void client_auth_free(struct client_auth *auth);
/* The command, and the message in base64 behind it. */
void client_auth_send(struct client *client, const char *command, struct span raw);
/* An answer is due, and there is none: the session will fail for this reason. */
void client_auth_cancel(struct client *client, const char *why);

/* ---- client_scram.c */
/* client-first-message, into auth->raw. ERR_SYNTAX, ERR_LIMIT: no such user name can be; ERR_NOMEM.
 */
int client_scram_first(struct client *client);
/* What a server's 334 brings, which is due. */
void client_scram_message(struct client *client, struct span text);

#endif
