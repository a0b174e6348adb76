#include "directory/secrets.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/prng.h"
#include "common.h"
#include "directory/secrets_inner.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#define KEY	    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" /* 32 bytes */
#define SCRAM_VALUE "scram-sha-256:10000:c2FsdHNhbHRzYWx0c2FsdA==:" KEY ":" KEY
#define CRYPT_VALUE \
	"crypt:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC"

static const struct secret few[] = {
	{SPAN("site-b"), SPAN("s3cret")},
	{SPAN("site"), SPAN("")},
	{SPAN("a"), SPAN("another one, with spaces")},
};

static struct secrets *opened(const struct secret *list, uint32_t count)
{
	struct secrets *secrets;
	int fd;

	assert_int_equal(secrets_make_memfd(list, count, &fd), 0);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(secrets_open(fd, &secrets), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken over */
	return secrets;
}

static void through_a_sealed_memfd(void **state)
{
	struct secrets *secrets = opened(few, ARRAY_SIZE(few));
	struct span name, value;
	(void)state;

	assert_int_equal(secrets_count(secrets), 3);
	assert_int_equal(secrets_find(secrets, SPAN("site-b"), &value), 0);
	assert_span(value, "s3cret");
	assert_int_equal(secrets_find(secrets, SPAN("site"), &value), 0);
	assert_int_equal(value.n, 0);
	assert_int_equal(secrets_find(secrets, SPAN("a"), &value), 0);
	assert_span(value, "another one, with spaces");
	static const char *const absent[] = {"", "b", "site-", "site-bb", "SITE-B"};
	for (size_t i = 0; i < ARRAY_SIZE(absent); i++)
		assert_int_equal(secrets_find(secrets, span_str(absent[i]), &value), ERR_NOT_FOUND);
	assert_span(value, "another one, with spaces"); /* untouched */
	static const char *const in_order[] = {"a", "site", "site-b"};
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(secrets_at(secrets, i, &name, &value), 0);
		assert_span(name, in_order[i]);
	}
	assert_span(value, "s3cret");
	assert_int_equal(secrets_at(secrets, 3, &name, &value), ERR_NOT_FOUND);
	secrets_free(&secrets);
	assert_null(secrets);
	secrets_free(&secrets);
}

static void none_at_all(void **state)
{
	struct secrets *secrets = opened(NULL, 0);
	struct span name, value;
	(void)state;

	assert_int_equal(secrets_count(secrets), 0);
	assert_int_equal(secrets_find(secrets, SPAN("a"), &value), ERR_NOT_FOUND);
	assert_int_equal(secrets_find(secrets, SPAN_NONE, &value), ERR_NOT_FOUND);
	assert_int_equal(secrets_at(secrets, 0, &name, &value), ERR_NOT_FOUND);
	secrets_free(&secrets);
}

static void what_cannot_be(void **state)
{
	const struct secret twice[] = {
		{SPAN("a"), SPAN("1")}, {SPAN("b"), SPAN("2")}, {SPAN("a"), SPAN("3")}};
	char *text = test_calloc(1, SECRET_BYTES + 1);
	struct secret long_value = {SPAN("a"), {text, SECRET_BYTES + 1}};
	struct secret long_name = {{text, SECRETS_NAME + 1}, SPAN("")};
	struct secrets *secrets;
	struct buf small;
	int fd = -7;
	(void)state;

	assert_int_equal(secrets_make_memfd(twice, 3, &fd), ERR_EXISTS);
	assert_int_equal(secrets_make_memfd(&long_value, 1, &fd), ERR_LIMIT);
	assert_int_equal(secrets_make_memfd(&long_name, 1, &fd), ERR_LIMIT);
	assert_int_equal(fd, -7);
	long_value.value.n--;
	long_name.name.n--;
	secrets = opened(&long_value, 1);
	secrets_free(&secrets);
	secrets = opened(&long_name, 1);
	secrets_free(&secrets);
	buf_init(&small, 50);
	assert_int_equal(secrets_encode(few, 3, &small), ERR_LIMIT);
	buf_done(&small);
	test_free(text);
}

static void without_seals_it_is_refused(void **state)
{
	struct secrets *secrets;
	struct buf bytes;
	(void)state;

	buf_init(&bytes, 10000);
	assert_int_equal(secrets_encode(few, 3, &bytes), 0);
	int fd = memfd_create("x", MFD_ALLOW_SEALING);
	assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
	assert_int_equal(secrets_open(fd, &secrets), ERR_CORRUPT);
	assert_int_equal(secrets_open(-1, &secrets), ERR_CORRUPT);
	fd = memfd_create("x", MFD_ALLOW_SEALING);
	assert_int_equal(
		fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
		0);
	assert_int_equal(secrets_open(fd, &secrets), ERR_CORRUPT); /* empty */
	buf_done(&bytes);
}

#define MANY 50000

static void fifty_thousand(void **state)
{
	struct secret *list = test_calloc(MANY, sizeof(*list));
	char(*names)[48] = test_calloc(MANY, sizeof(*names));
	struct span value;
	char name[48];
	(void)state;

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "user-%u@c.example", i * 7919 % MANY);
		list[i] = (struct secret){span_str(names[i]), span_str(names[i])};
	}
	struct secrets *secrets = opened(list, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "user-%u@c.example", i);
		assert_int_equal(secrets_find(secrets, span_str(name), &value), 0);
		assert_span(value, name);
	}
	assert_int_equal(
		secrets_find(secrets, SPAN("user-50000@c.example"), &value), ERR_NOT_FOUND);
	secrets_free(&secrets);
	test_free(names);
	test_free(list);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void any_changed_byte_is_found(void **state)
{
	struct secrets *secrets;
	struct buf bytes;
	(void)state;

	buf_init(&bytes, 10000);
	assert_int_equal(secrets_encode(few, 3, &bytes), 0);
	for (size_t i = 0; i < bytes.n; i++) {
		bytes.p[i] ^= 0x10;
		assert_int_equal(secrets_from_bytes(buf_span(&bytes), &secrets), ERR_CORRUPT);
		bytes.p[i] ^= 0x10;
	}
	for (size_t n = 0; n < bytes.n; n++)
		assert_int_equal(secrets_from_bytes(span_of(bytes.p, n), &secrets), ERR_CORRUPT);
	assert_int_equal(secrets_from_bytes(buf_span(&bytes), &secrets), 0);
	secrets_free(&secrets);
	buf_done(&bytes);
}

static void touch(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		(void)*(const volatile char *)&text.p[i];
}

/* Wrong inside, with a checksum that is right. */
static void hostile_bytes_never_crash(void **state)
{
	struct buf bytes;
	struct prng prng;
	unsigned opened_count = 0;
	(void)state;

	buf_init(&bytes, 10000);
	assert_int_equal(secrets_encode(few, 3, &bytes), 0);
	prng_seed(&prng, 3);
	for (int round = 0; round < 20000; round++) {
		struct secrets_header header;
		struct secrets *secrets;
		char *copy = test_malloc(bytes.n);
		memcpy(copy, bytes.p, bytes.n);
		for (int i = 0; i < 2; i++) {
			uint32_t value = (uint32_t)prng_u64(&prng) >> prng_below(&prng, 32);
			memcpy(copy + (16 + prng_below(&prng, bytes.n - 20)) / 4 * 4, &value, 4);
		}
		memcpy(&header, copy, sizeof(header));
		header.checksum =
			XXH3_64bits(copy + SECRETS_CHECKED_FROM, bytes.n - SECRETS_CHECKED_FROM);
		memcpy(copy, &header, sizeof(header));
		if (secrets_from_bytes(span_of(copy, bytes.n), &secrets) == 0) {
			struct span name, value;
			opened_count++;
			for (uint32_t i = 0; i < 3; i++) {
				if (secrets_find(secrets, few[i].name, &value) == 0)
					touch(value);
				if (secrets_at(secrets, i, &name, &value) == 0)
					touch(name);
			}
			secrets_free(&secrets);
		}
		test_free(copy);
	}
	assert_true(opened_count > 1000);
	buf_done(&bytes);
}

/* ---- a value of an account ------------------------------------------------------------------- */

static void verifiers_there_and_back(void **state)
{
	static const char *const values[] = {CRYPT_VALUE, SCRAM_VALUE, CRYPT_VALUE " " SCRAM_VALUE,
		"crypt:$6$salt$hash./", "crypt:abJnggxhB/yWI"};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		struct password_verifiers v;
		struct buf text;
		assert_int_equal(verifiers_parse(span_str(values[i]), &v), 0);
		assert_int_equal(v.crypt.n > 0, strstr(values[i], "crypt:") != NULL);
		assert_int_equal(v.has_scram, strstr(values[i], "scram") != NULL);
		buf_init(&text, SECRET_BYTES);
		verifiers_add(&text, &v);
		assert_text(&text, values[i]);
		buf_done(&text);
	}
	struct password_verifiers v;
	assert_int_equal(verifiers_parse(SPAN(SCRAM_VALUE " crypt:ab"), &v), 0);
	assert_span(v.crypt, "ab");
	assert_int_equal(v.scram.iterations, 10000);
	assert_int_equal(v.scram.salt_bytes, 16);
	assert_memory_equal(v.scram.salt, "saltsaltsaltsalt", 16);
	assert_memory_equal(v.scram.server_key, "01234567890123456789012345678901", 32);
}

static void verifiers_that_are_none(void **state)
{
	static const char *const values[] = {
		"",
		" ",
		"crypt:",
		"crypt:*",
		"crypt:!$y$j9T$x",
		"crypt:a:b",
		"crypt:a\\b",
		"crypt:a\x7f",
		"crypt:a crypt:b",
		"Crypt:a",
		"plain:secret",
		"secret",
		"crypt:a ",
		" crypt:a",
		"crypt:a  " SCRAM_VALUE,
		"crypt:a\n",
		SCRAM_VALUE " " SCRAM_VALUE,
		SCRAM_VALUE ":",
		SCRAM_VALUE ":" KEY,
		"scram-sha-256:",
		"scram-sha-256:10000",
		"scram-sha-256:10000:c2FsdA==:" KEY,
		"scram-sha-256:10000::" KEY ":" KEY,
		"scram-sha-256:4095:c2FsdA==:" KEY ":" KEY,
		"scram-sha-256:1000001:c2FsdA==:" KEY ":" KEY,
		"scram-sha-256:-5000:c2FsdA==:" KEY ":" KEY,
		"scram-sha-256:5000:c2FsdA=:" KEY ":" KEY,
		"scram-sha-256:5000:c2FsdA==:c2FsdA==:" KEY,
		"scram-sha-256:5000:c2FsdA==:" KEY ":c2FsdA==",
		"scram-sha-256:5000:c2FsdA==:" KEY "AAAA:" KEY,
		"scram-sha-256:5000:" KEY ":" KEY ":" KEY ":" KEY,
	};
	struct password_verifiers v = {.crypt = SPAN("as before")};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		if (verifiers_parse(span_str(values[i]), &v) != ERR_SYNTAX)
			fail_msg("%s", values[i]);
	assert_span(v.crypt, "as before");

	struct buf text;
	buf_init(&text, 10000);
	buf_add_str(&text, "crypt:");
	for (int i = 0; i < SECRET_CRYPT; i++)
		buf_add_char(&text, 'a');
	assert_int_equal(verifiers_parse(buf_span(&text), &v), 0);
	buf_add_char(&text, 'a');
	assert_int_equal(verifiers_parse(buf_span(&text), &v), ERR_SYNTAX);
	buf_clear(&text);
	buf_add_str(&text, "scram-sha-256:5000:");
	/* One byte more of salt than anybody may have. */
	static const char salt[SCRAM_SALT_MOST + 1];
	base64_add(&text, span_of(salt, sizeof(salt)));
	buf_add_str(&text, ":" KEY ":" KEY);
	assert_int_equal(verifiers_parse(buf_span(&text), &v), ERR_SYNTAX);
	buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(through_a_sealed_memfd),
		cmocka_unit_test(none_at_all),
		cmocka_unit_test(what_cannot_be),
		cmocka_unit_test(without_seals_it_is_refused),
		cmocka_unit_test(fifty_thousand),
		cmocka_unit_test(any_changed_byte_is_found),
		cmocka_unit_test(hostile_bytes_never_crash),
		cmocka_unit_test(verifiers_there_and_back),
		cmocka_unit_test(verifiers_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
