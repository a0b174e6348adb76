/* What is kept of a password, and which are taken. */
#include "admin/password.h"

#include "base/err.h"
#include "directory/secrets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <crypt.h>

static const uint8_t some[PASSWORD_RANDOM] = "0123456789abcdef0123456789ABCDEF";

static int prepare(const char *password, size_t n, bool weak, struct buf *out, const char **why)
{
	buf_init(out, SCRAM_PREPARED);
	return password_prepare(span_of(password, n), weak, out, why);
}

static void assert_refused(const char *password, bool weak, const char *words)
{
	struct buf out;
	const char *why;

	assert_int_equal(prepare(password, strlen(password), weak, &out, &why), ERR_SYNTAX);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
	buf_done(&out);
}

static void assert_taken(const char *password, bool weak, const char *prepared)
{
	struct buf out;
	const char *why;

	if (prepare(password, strlen(password), weak, &out, &why))
		fail_msg("%s", why);
	assert_true(span_equal(buf_span(&out), span_str(prepared)));
	buf_done(&out);
}

static void which_are_taken(void **state)
{
	char text[PASSWORD_MOST + 2];
	(void)state;

	assert_refused("", true, "empty");
	assert_refused("1234567", false, "at least 8 characters");
	assert_taken("1234567", true, "1234567");
	assert_taken("12345678", false, "12345678");
	/* Characters, not bytes. */
	assert_refused("äöüäöüä", false, "at least 8");
	assert_taken("äöüäöüäö", false, "äöüäöüäö");
	assert_taken(" blanks   ", false, " blanks   ");
	assert_taken("ﬁnal answer", false, "final answer"); /* RFC 4013: NFKC */
	assert_refused("with\ttab-inside", true, "cannot be used");
	assert_refused("\xff\xfe-no-utf8", true, "cannot be used");
	memset(text, 'x', sizeof(text));
	text[PASSWORD_MOST] = '\0';
	assert_taken(text, false, text);
	text[PASSWORD_MOST] = 'x';
	text[PASSWORD_MOST + 1] = '\0';
	assert_refused(text, false, "at most 1024 bytes");
}

static void make(const char *password, size_t n, const uint8_t *random,
	char value[SECRET_BYTES + 1], struct password_verifiers *out)
{
	struct buf made = {.p = value, .room = SECRET_BYTES, .bound = SECRET_BYTES};

	assert_int_equal(password_make(span_of(password, n), random, &made), 0);
	assert_true(buf_ok(&made));
	assert_int_equal(verifiers_parse(buf_span(&made), out), 0);
	value[made.n] = '\0';
}

static void both_check_the_password(void **state)
{
	char value[SECRET_BYTES + 1], other_value[SECRET_BYTES + 1], hash[SECRET_CRYPT + 1];
	uint8_t others[PASSWORD_RANDOM];
	struct password_verifiers made, other;
	struct scram_verifier again;
	struct crypt_data data = {.initialized = 0};
	(void)state;

	make("pencil and paper", 16, some, value, &made);
	assert_true(made.has_scram && made.crypt.n > 0);
	assert_memory_equal(made.crypt.p, "$y$", 3);
	snprintf(hash, sizeof(hash), "%.*s", (int)made.crypt.n, made.crypt.p);
	assert_string_equal(crypt_rn("pencil and paper", hash, &data, sizeof(data)), hash);
	assert_string_not_equal(crypt_rn("pencil and pager", hash, &data, sizeof(data)), hash);
	assert_int_equal(made.scram.iterations, SCRAM_ITERATIONS);
	assert_int_equal(made.scram.salt_bytes, SCRAM_SALT);
	assert_int_equal(scram_verifier_make(SPAN("pencil and paper"), made.scram.salt, SCRAM_SALT,
				 SCRAM_ITERATIONS, &again),
		0);
	assert_memory_equal(again.stored_key, made.scram.stored_key, SCRAM_HASH);
	assert_null(strstr(value, "pencil"));

	/* Each half of the random bytes is one salt. */
	memcpy(others, some, sizeof(others));
	others[0] ^= 1;
	make("pencil and paper", 16, others, other_value, &other);
	assert_false(span_equal(made.crypt, other.crypt));
	assert_memory_equal(made.scram.salt, other.scram.salt, SCRAM_SALT);
	others[0] ^= 1;
	others[PASSWORD_RANDOM - 1] ^= 1;
	make("pencil and paper", 16, others, other_value, &other);
	assert_true(span_equal(made.crypt, other.crypt));
	assert_memory_not_equal(made.scram.salt, other.scram.salt, SCRAM_SALT);
}

static void a_long_one_is_kept_whole(void **state)
{
	char value[SECRET_BYTES + 1], text[CRYPT_MAX_PASSPHRASE_SIZE];
	struct password_verifiers made;
	(void)state;

	memset(text, 'x', sizeof(text));
	make(text, sizeof(text) - 1, some, value, &made);
	assert_true(made.crypt.n && made.has_scram);
	/* crypt(3) would forget its end. */
	make(text, sizeof(text), some, value, &made);
	assert_true(!made.crypt.n && made.has_scram);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_are_taken),
		cmocka_unit_test(both_check_the_password),
		cmocka_unit_test(a_long_one_is_kept_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
