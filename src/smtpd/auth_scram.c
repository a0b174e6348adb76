/* SCRAM-SHA-256 and -PLUS in an AUTH exchange (RFC 5802, RFC 7677). */
#include "base/check.h"
#include "base/err.h"
#include "io/tls.h"
#include "smtpd/exchange.h"

const uint8_t *scram_binding_of(const struct session *s)
{
	const struct tls_info *info = s->tls && s->conn ? io_conn_tls(s->conn) : NULL;

	return info && info->has_binding ? info->binding : NULL;
}

void scram_challenge(struct exchange *e, const struct auth_answer *answer)
{
	uint64_t random[SCRAM_NONCE / sizeof(uint64_t)];
	uint8_t nonce[SCRAM_NONCE];
	struct buf message;

	for (size_t i = 0; i < ARRAY_SIZE(random); i++)
		random[i] = io_random(e->s->smtpd->io);
	memcpy(nonce, random, sizeof(nonce));
	buf_init(&message, SCRAM_MESSAGE);
	int err = scram_server_challenge(&e->scram, nonce, answer->salt,
		MIN(answer->salt_bytes, (uint32_t)SCRAM_SALT_MOST), answer->iterations, &e->arena,
		&message);
	if (err != 0 || !buf_ok(&message))
		exchange_fail(e, AUTH_BROKEN);
	else
		exchange_challenge(e, buf_span(&message), SCRAM_FINAL);
	buf_done(&message);
}

/* RFC 4954 section 4: what the server says at its success goes as a challenge, which the client
 * answers with nothing. */
void scram_challenge_last(struct exchange *e, const struct auth_answer *answer)
{
	struct buf message;

	e->account = arena_copy(&e->arena, answer->account);
	buf_init(&message, SCRAM_MESSAGE);
	scram_server_success(answer->signature, &message);
	if (!e->account.n || !buf_ok(&message))
		exchange_fail(e, AUTH_BROKEN);
	else
		exchange_challenge(e, buf_span(&message), SCRAM_END);
	buf_done(&message);
}

void scram_take_first(struct exchange *e, struct span message)
{
	struct auth_query query = {.step = AUTH_SCRAM_SALT};
	bool plus = e->mechanism == SASL_SCRAM_SHA_256_PLUS;

	int err = scram_server_first(&e->scram, message, plus, &e->arena);

	if (err == ERR_NOMEM) {
		exchange_fail(e, AUTH_BROKEN);
		return;
	}
	if (err != 0) {
		exchange_malformed(e, "No first message of SCRAM");
		return;
	}
	e->user = e->scram.user;
	/* RFC 5802 section 6: it can bind, and saw no -PLUS in our offer. */
	bool robbed = e->scram.binding == SCRAM_NOT_OFFERED && e->s->plus_offered;
	if (robbed || !exchange_for_itself(e->scram.authzid, e->user))
		exchange_fail(e, AUTH_NO);
	else
		exchange_ask(e, &query);
}

void scram_take_final(struct exchange *e, struct span message)
{
	struct auth_query query = {.step = AUTH_SCRAM_PROOF};
	int err = scram_server_final(&e->scram, message, scram_binding_of(e->s), &e->arena,
		&query.auth_message, query.proof);

	if (err == 0)
		exchange_ask(e, &query);
	else if (err == ERR_DENIED)
		exchange_fail(e, AUTH_NO);
	else if (err == ERR_NOMEM)
		exchange_fail(e, AUTH_BROKEN);
	else
		exchange_malformed(e, "No final message of SCRAM");
}
