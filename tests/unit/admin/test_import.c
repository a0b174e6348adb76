/* Lines of files of accounts, as other programs write them. */
#include "admin/import.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define YESCRYPT "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC"
#define GOST	 "$gy$j9T$F5Jx5fExrKuPp53xLKQ..1$Dogv.jai3UfiqXFIeQV0FWiA2xx/QPuuov.EGnMByDD"
#define SCRYPT	 "$7$CU..../....abc$aq9nTbuadDKl/OmAH9ktvpXiAjiuBYpB578rVYQ/6K/"
#define SHA512                                                                     \
	"$6$abcdefgh$yVfUwsw5T.JApa8POvClA1pQ5peiq97DUNyXCZN5IrF.BMSkiaLQ5kvpuEm/" \
	"VQ1Tvh/KV2TcaWh8qinoW5dhA1"
#define SHA256 "$5$abc$6va2Z4O.keO7R84v9g0B9d2NkB7NOyTy0sMeQ5Z3LLA"
#define BCRYPT "$2b$05$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu"
#define MD5    "$1$abc$BXBqpb9BZcZhXLgbee.0s/"

static char memory[SECRET_BYTES];

static enum import_line read_line(enum import_format format, const char *line,
	struct import_account *out, struct span *verifiers, const char **why)
{
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	/* Of its own, so that a byte too far is seen. */
	size_t n = strlen(line);
	static char *copy;

	free(copy);
	copy = malloc(n ? n : 1);
	memcpy(copy, line, n);
	*out = (struct import_account){0};
	*why = "";
	enum import_line kind = import_read(format, span_of(copy, n), out, &buf, why);
	*verifiers = buf_span(&buf);
	return kind;
}

static void assert_account(
	enum import_format format, const char *line, const char *user, const char *kept, bool weak)
{
	struct password_verifiers parsed;
	struct import_account account;
	struct span verifiers;
	const char *why;

	if (read_line(format, line, &account, &verifiers, &why) != IMPORT_ACCOUNT)
		fail_msg("%s: %s", line, why);
	assert_true(span_equal(account.user, span_str(user)));
	assert_true(span_equal(verifiers, span_str(kept)));
	assert_int_equal(account.weak, weak);
	/* The directory takes it. */
	assert_int_equal(verifiers_parse(verifiers, &parsed), 0);
}

static void assert_wrong(enum import_format format, const char *line, const char *words)
{
	struct import_account account;
	struct span verifiers;
	const char *why;

	if (read_line(format, line, &account, &verifiers, &why) != IMPORT_WRONG)
		fail_msg("%s: is taken", line);
	if (!strstr(why, words))
		fail_msg("%s: \"%s\" does not say \"%s\"", line, why, words);
}

static void all_forms_of_crypt(void **state)
{
	static const struct {
		const char *hash;
		bool weak;
	} forms[] = {{YESCRYPT, false}, {GOST, false}, {SCRYPT, false}, {SHA512, false},
		{SHA256, false}, {BCRYPT, false},
		{"$2y$10$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu", false},
		{"$2a$10$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu", false},
		{"$2x$10$abcdefghijklmnopqrstuuWG29KuyeAicPCJODk1zjyGvyQUU2awu", true},
		{"$5$rounds=5000$abc$6va2Z4O.keO7R84v9g0B9d2NkB7NOyTy0sMeQ5Z3LLA", false},
		{MD5, true}, {"$sha1$1000$abcd$V29ltwRRPNmiBHJAXi9iWzrF2rVi", true},
		{"$md5,rounds=904$abcdefgh$$YLx5tT5RTD41RbeEjXbpp0", true},
		{"$3$$8846f7eaee8fb117ad06bdd830b7586c", true}, {"_J9..abcdIPPmXD22F8s", true},
		{"abJnggxhB/yWI", true}};
	char line[512], kept[512];
	(void)state;

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		snprintf(line, sizeof(line), "joe:%s", forms[i].hash);
		snprintf(kept, sizeof(kept), "crypt:%s", forms[i].hash);
		assert_account(IMPORT_HTPASSWD, line, "joe", kept, forms[i].weak);
	}
}

static void what_stands_around_it(void **state)
{
	(void)state;
	assert_account(
		IMPORT_HTPASSWD, "joe@c.example:" BCRYPT, "joe@c.example", "crypt:" BCRYPT, false);
	assert_account(IMPORT_HTPASSWD, "  joe:" BCRYPT " \t\r", "joe", "crypt:" BCRYPT, false);
	assert_account(
		IMPORT_SHADOW, "joe:" SHA512 ":19000:0:99999:7:::", "joe", "crypt:" SHA512, false);
	assert_account(IMPORT_PASSWD, "joe:" MD5 ":1000:1000:Joe,,,:/home/joe:/bin/sh", "joe",
		"crypt:" MD5, true);
	assert_account(
		IMPORT_DOVECOT, "joe:{CRYPT}" SHA256 ":1:1::/:", "joe", "crypt:" SHA256, false);
	assert_account(IMPORT_DOVECOT, "joe:{blf-crypt}" BCRYPT, "joe", "crypt:" BCRYPT, false);
	assert_account(IMPORT_DOVECOT, "joe:" BCRYPT, "joe", "crypt:" BCRYPT, false);
	assert_account(IMPORT_DOVECOT,
		"joe:{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
		"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
		"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=::",
		"joe",
		"scram-sha-256:4096:W22ZaJ0SNY7soEsUEjb6gQ==:"
		"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
		"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
		false);
}

static void nothing_and_locked(void **state)
{
	static const char *const nothing[] = {"", "  ", "\r", "# joe:x", "\t# x"};
	static const char *const locked[] = {
		"root:*:1::", "root:!:1", "root:!!", "root:!$1$abc$BXBqpb9BZcZhXLgbee.0s/:1"};
	struct import_account account;
	struct span verifiers;
	const char *why;
	(void)state;

	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		assert_int_equal(read_line(IMPORT_HTPASSWD, nothing[i], &account, &verifiers, &why),
			IMPORT_NOTHING);
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++) {
		assert_int_equal(read_line(IMPORT_SHADOW, locked[i], &account, &verifiers, &why),
			IMPORT_LOCKED);
		assert_int_equal(read_line(IMPORT_PASSWD, locked[i], &account, &verifiers, &why),
			IMPORT_LOCKED);
		/* Where nobody is kept out in this way it is a mistake. */
		assert_wrong(IMPORT_HTPASSWD, locked[i], "no password");
	}
}

static void what_is_refused(void **state)
{
	static char longest[IMPORT_LINE + 2];
	(void)state;

	assert_wrong(IMPORT_HTPASSWD, "joe:$apr1$abcdefgh$ZBFpAtMzYLSKqOVjpEsaA1", "$apr1$");
	assert_wrong(IMPORT_HTPASSWD, "joe:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "scheme");
	assert_wrong(IMPORT_DOVECOT, "joe:{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "scheme");
	assert_wrong(IMPORT_DOVECOT, "joe:{PLAIN}hello", "not hashed");
	assert_wrong(IMPORT_DOVECOT, "joe:{ARGON2ID}$argon2id$v=19$m=1$a$b", "scheme");
	assert_wrong(IMPORT_HTPASSWD, "joe:$argon2id$v=19$m=1$a$b", "Argon2");
	assert_wrong(IMPORT_DOVECOT, "joe:{CRYPT}", "no password");
	assert_wrong(IMPORT_DOVECOT, "joe:{CRYPT", "no hash");
	assert_wrong(IMPORT_DOVECOT, "joe:{SCRAM-SHA-256}4096,a,b", "SCRAM");
	assert_wrong(IMPORT_PASSWD, "joe:x:1000:1000::/:/bin/sh", "shadow");
	assert_wrong(IMPORT_HTPASSWD, "joe:", "no password");
	assert_wrong(IMPORT_SHADOW, "joe::1:2", "no password");
	assert_wrong(IMPORT_HTPASSWD, "joe", "user:hash");
	assert_wrong(IMPORT_HTPASSWD, ":" BCRYPT, "user:hash");
	assert_wrong(IMPORT_HTPASSWD, "joe:hello", "no hash");
	/* Cut, or with something in it that no hash has. */
	assert_wrong(IMPORT_HTPASSWD, "joe:$y$j9T$F5Jx5fExrKuPp53xLKQ..1", "no hash");
	assert_wrong(IMPORT_HTPASSWD, "joe:$y$j9T$F5Jx5fExrKuPp53xLKQ..1$short", "no hash");
	assert_wrong(IMPORT_HTPASSWD, "joe:$6$abcdefgh$", "no hash");
	assert_wrong(IMPORT_HTPASSWD, "joe:" BCRYPT "x", "no hash");
	assert_wrong(IMPORT_HTPASSWD, "joe:" SHA256 " x", "no hash");
	assert_wrong(IMPORT_HTPASSWD, "joe:thirteen=char", "no hash");
	memset(longest, 'a', sizeof(longest) - 1);
	assert_wrong(IMPORT_HTPASSWD, longest, "too long");
	longest[400] = '\0';
	memcpy(longest + 390, ":x", 2);
	assert_wrong(IMPORT_HTPASSWD, longest, "user:hash"); /* no address is so long */
}

static void a_line_with_nul_is_no_text(void **state)
{
	static const char line[] = "joe:abJnggxhB\0yWI";
	struct buf buf = {.p = memory, .room = sizeof(memory), .bound = sizeof(memory)};
	struct import_account account;
	const char *why;
	(void)state;

	assert_int_equal(
		import_read(IMPORT_HTPASSWD, span_of(line, sizeof(line) - 1), &account, &buf, &why),
		IMPORT_WRONG);
}

static void names_of_formats(void **state)
{
	enum import_format format;
	(void)state;

	assert_int_equal(import_format_parse(SPAN("htpasswd"), &format), 0);
	assert_int_equal(format, IMPORT_HTPASSWD);
	assert_int_equal(import_format_parse(SPAN("dovecot"), &format), 0);
	assert_int_equal(format, IMPORT_DOVECOT);
	assert_int_equal(import_format_parse(SPAN("ldif"), &format), ERR_NOT_FOUND);
	assert_int_equal(import_format_parse(SPAN(""), &format), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_forms_of_crypt),
		cmocka_unit_test(what_stands_around_it),
		cmocka_unit_test(nothing_and_locked),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(a_line_with_nul_is_no_text),
		cmocka_unit_test(names_of_formats),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
