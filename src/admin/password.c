#include "admin/password.h"

#include "base/err.h"
#include "base/text.h"
#include "directory/secrets.h"

#include <crypt.h>
#include <string.h>

#define YESCRYPT     "$y$" /* with the costs that its library thinks right today */
#define CRYPT_RANDOM 16

_Static_assert(CRYPT_RANDOM + SCRAM_SALT == PASSWORD_RANDOM, "a salt for each");
_Static_assert(CRYPT_OUTPUT_SIZE <= SECRET_CRYPT, "a hash fits");

static size_t characters(struct span text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.n; i++)
		count += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return count;
}

int password_prepare(struct span password, bool weak, struct buf *out, const char **why)
{
	*why = NULL;
	if (!password.n)
		*why = "the password is empty";
	else if (password.n > PASSWORD_MOST)
		*why = "the password is too long: at most 1024 bytes";
	if (*why)
		return ERR_SYNTAX;
	int err = scram_prepare(password, out);
	if (err == ERR_NOMEM)
		return err;
	if (err)
		*why = "the password cannot be used: control characters, unassigned ones and such "
		       "as nobody can type, or letters of both directions, are in it, or nothing "
		       "else";
	else if (!weak && characters(buf_span(out)) < PASSWORD_LEAST)
		*why = "the password is too short: at least 8 characters; --weak takes it all the "
		       "same";
	return *why ? ERR_SYNTAX : 0;
}

static int hash(struct span password, const uint8_t random[CRYPT_RANDOM], char out[SECRET_CRYPT])
{
	char phrase[CRYPT_MAX_PASSPHRASE_SIZE], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data data;

	if (!crypt_gensalt_rn(
		    YESCRYPT, 0, (const char *)random, CRYPT_RANDOM, setting, sizeof(setting)))
		return ERR_UNSUPPORTED;
	memset(&data, 0, sizeof(data));
	memcpy(phrase, password.p, password.n);
	phrase[password.n] = '\0';
	const char *made = crypt_rn(phrase, setting, &data, sizeof(data));
	if (made)
		memcpy(out, made, strlen(made) + 1);
	explicit_bzero(phrase, sizeof(phrase));
	explicit_bzero(&data, sizeof(data));
	return made ? 0 : ERR_NOMEM;
}

int password_make(
	struct span prepared, const uint8_t random[PASSWORD_RANDOM], struct buf *verifiers)
{
	struct password_verifiers made = {.has_scram = true};
	char crypted[SECRET_CRYPT] = "";
	int err = 0;

	if (prepared.n < CRYPT_MAX_PASSPHRASE_SIZE)
		err = hash(prepared, random, crypted);
	made.crypt = span_str(crypted);
	if (!err)
		err = scram_verifier_make(
			prepared, random + CRYPT_RANDOM, SCRAM_SALT, SCRAM_ITERATIONS, &made.scram);
	if (!err)
		verifiers_add(verifiers, &made);
	explicit_bzero(&made, sizeof(made));
	explicit_bzero(crypted, sizeof(crypted));
	return err;
}
