/*
 * The same wrong password again. Many programs try one by PLAIN, and when that fails by LOGIN: it
 * is one mistake, which is counted once and waited for once. What is kept of the last one of a
 * connection is a digest under a key that this process drew and nobody else has; a password is not.
 */
#include "base/check.h"
#include "smtpd/exchange.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

static void draw_key(struct smtpd *smtpd)
{
	uint64_t random;

	for (size_t i = 0; i < sizeof(smtpd->wrong_key); i += sizeof(random)) {
		random = io_random(smtpd->io);
		memcpy(smtpd->wrong_key + i, &random, sizeof(random));
	}
	smtpd->has_wrong_key = true;
}

void again_note(struct exchange *e, struct span password)
{
	struct smtpd *smtpd = e->s->smtpd;
	uint8_t text[AUTH_USER + 1 + AUTH_PASSWORD], whole[EVP_MAX_MD_SIZE];

	if (e->user.n > AUTH_USER || password.n > AUTH_PASSWORD)
		return;
	if (!smtpd->has_wrong_key)
		draw_key(smtpd);
	/* Neither has a NUL in it. */
	if (e->user.n)
		memcpy(text, e->user.p, e->user.n);
	text[e->user.n] = 0;
	if (password.n)
		memcpy(text + e->user.n + 1, password.p, password.n);
	CHECK(HMAC(EVP_sha256(), smtpd->wrong_key, sizeof(smtpd->wrong_key), text,
		e->user.n + 1 + password.n, whole, NULL));
	memcpy(e->tried, whole, sizeof(e->tried));
	e->has_tried = true;
	OPENSSL_cleanse(text, sizeof(text));
	OPENSSL_cleanse(whole, sizeof(whole));
}

bool again_is(struct exchange *e)
{
	struct session *s = e->s;

	if (!e->has_tried || !s->has_wrong || s->repeats == SESSION_REPEATS ||
		CRYPTO_memcmp(e->tried, s->wrong, sizeof(s->wrong)) != 0)
		return false;
	s->repeats++;
	return true;
}

void again_was_wrong(struct exchange *e)
{
	struct session *s = e->s;

	if (!e->has_tried)
		return;
	memcpy(s->wrong, e->tried, sizeof(s->wrong));
	s->has_wrong = true;
}
