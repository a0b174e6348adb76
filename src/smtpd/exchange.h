/* An AUTH exchange that runs, for auth_exchange.c and auth_scram.c alone. */
#ifndef SMTPD_EXCHANGE_H
#define SMTPD_EXCHANGE_H

#include "codec/sasl.h"
#include "smtpd/session.h"

#define BY_SCRAM (SASL_SCRAM_SHA_256 | SASL_SCRAM_SHA_256_PLUS)

/* What the next line of the client is. */
enum awaited { PLAIN_ALL, LOGIN_USER, LOGIN_PASSWORD, SCRAM_FIRST, SCRAM_FINAL, SCRAM_END };

struct exchange {
	struct session *s;
	unsigned mechanism;
	enum awaited awaited;
	bool refused; /* the bad news wait */
	struct auth_question *question;
	/* That counted when the question was asked, NULL: none. Whoever knows the passwords has
	 * those of a directory before it comes here: a change meanwhile makes the login an old one.
	 */
	struct snapshot *asked;
	struct span user;    /* as the client gave it, in the arena */
	struct span account; /* SCRAM: who it is, told when the client has seen our proof */
	uint64_t since;	     /* of the account, when it was asked about */
	struct scram_server scram;
	struct arena arena;
	bool has_tried;
	uint8_t tried[SESSION_WRONG]; /* name and password that were asked about */
};

/* Each of these may end the exchange, and with it `e`. */
void exchange_ask(struct exchange *e, struct auth_query *query);
/* "334 " and the message in base64. */
void exchange_challenge(struct exchange *e, struct span message, enum awaited awaited);
void exchange_fail(struct exchange *e, enum auth_result why);
void exchange_malformed(struct exchange *e, const char *text);

/* Who logs in speaks for himself alone. */
static inline bool exchange_for_itself(struct span authzid, struct span user)
{
	return !authzid.n || span_equal(authzid, user);
}

/* ---- auth_again.c --------------------------------------------------------------------------- */

/* This is asked about. */
void again_note(struct exchange *e, struct span password);
/* Was it just now, and wrong? Then it counts as repeated. */
bool again_is(struct exchange *e);
/* It was wrong: whoever knows the passwords said so. */
void again_was_wrong(struct exchange *e);

/* ---- auth_scram.c --------------------------------------------------------------------------- */

/* What the link can be bound by; NULL: it cannot. */
const uint8_t *scram_binding_of(const struct session *s);
void scram_take_first(struct exchange *e, struct span message);
void scram_take_final(struct exchange *e, struct span message);
/* The salt is there. */
void scram_challenge(struct exchange *e, const struct auth_answer *answer);
/* The proof was right. */
void scram_challenge_last(struct exchange *e, const struct auth_answer *answer);

#endif
