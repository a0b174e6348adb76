/* The files with certificates and keys: what is handed over, what is wrong, what changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../io/tls_fixture.h"
#include "base/err.h"
#include "directory/snapshot_memfd.h"
#include "role/tls_files.h"
#include "role/tls_set.h"

#include <stdio.h>
#include <sys/stat.h>

struct fixture {
	char folder[64];
	struct identity one, other, soon;
	struct config *config;
	struct tls_files files;
	uint32_t number;
	struct buf problem, warnings;
};

static void write_file(struct fixture *f, const char *name, const char *text)
{
	char path[128], fresh[160];

	/* As tools do that renew certificates: another file of the same name. */
	snprintf(path, sizeof(path), "%s/%s", f->folder, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	FILE *file = fopen(fresh, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(fresh, 0640), 0);
	assert_int_equal(rename(fresh, path), 0);
}

static void configure(struct fixture *f, const char *listeners)
{
	char text[1024];

	snprintf(text, sizeof(text),
		"hostname: gw.example.test\nspool: s\ndirectory: d\ncontrol: c\nlisteners:\n%s",
		listeners);
	config_free(&f->config);
	struct buf problems;
	buf_init(&problems, 4096);
	char folder[80];
	snprintf(folder, sizeof(folder), "%s/", f->folder);
	int err = config_parse_in(
		"postern.yaml", span_str(folder), span_str(text), &f->config, &problems);
	if (err)
		fail_msg("%.*s", (int)problems.n, problems.p);
	buf_done(&problems);
}

#define MX "  mx: { address: \"127.0.0.1:25\", tls: { certificate: one.crt, key: one.key } }\n"
#define SUBMISSION_AGAIN \
	"  sub2: { address: \"127.0.0.1:466\", tls: { certificate: soon.crt, key: soon.key } }\n"
#define SUBMISSION                                                                 \
	"  sub: { address: \"127.0.0.1:465\", tls: { certificate: soon.crt, key: " \
	"soon.key, mode: implicit, client-ca: ca.crt, names: { other.example: { "  \
	"certificate: other.crt, key: other.key } } } }\n"

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->folder, "/tmp/postern-tls-files-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	identity_make(&f->one, &(struct wish){.kind = KEY_P256,
				       .subject = "one",
				       .names = "DNS:gw.example.test",
				       .to_days = 100});
	identity_make(&f->other, &(struct wish){.kind = KEY_ED25519,
					 .subject = "other",
					 .names = "DNS:other.example",
					 .to_days = 100});
	identity_make(&f->soon, &(struct wish){.kind = KEY_RSA,
					.subject = "soon",
					.names = "DNS:gw.example.test",
					.to_days = 13});
	write_file(f, "one.crt", f->one.chain_pem);
	write_file(f, "one.key", f->one.key_pem);
	write_file(f, "other.crt", f->other.chain_pem);
	write_file(f, "other.key", f->other.key_pem);
	write_file(f, "soon.crt", f->soon.chain_pem);
	write_file(f, "soon.key", f->soon.key_pem);
	write_file(f, "ca.crt", f->one.chain_pem);
	f->files = TLS_FILES_NONE;
	f->number = 5;
	buf_init(&f->problem, 4096);
	buf_init(&f->warnings, 4096);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	tls_files_done(&f->files);
	config_free(&f->config);
	buf_done(&f->problem);
	buf_done(&f->warnings);
	identity_done(&f->one);
	identity_done(&f->other);
	identity_done(&f->soon);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	(void)!system(command);
	free(f);
	return 0;
}

static int read_them(struct fixture *f)
{
	buf_clear(&f->problem);
	buf_clear(&f->warnings);
	tls_files_done(&f->files);
	return tls_files_read(f->config, &f->number, &f->files, &f->problem, &f->warnings);
}

static const char *text(struct buf *buf)
{
	buf_add_char(buf, 0);
	return buf->p;
}

static void keys_and_certificates_go_different_ways(void **state)
{
	static struct tls_set_listener set;
	struct fixture *f = *state;
	struct span keys, certificates, pem;
	uint32_t number;

	configure(f, MX SUBMISSION "  plain: { address: \"127.0.0.1:26\" }\n");
	assert_true(tls_files_wanted(f->config));
	assert_int_equal(read_them(f), 0);
	assert_int_equal(f->warnings.n, 0);
	assert_int_equal(f->number, 8);

	assert_int_equal(memfd_map(f->files.keys, TLS_SET_BYTES, &keys), 0);
	assert_int_equal(memfd_map(f->files.certificates, TLS_SET_BYTES, &certificates), 0);
	struct cursor in = cursor_of(keys);
	const struct identity *expected[] = {&f->one, &f->soon, &f->other};
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(tls_set_get_key(&in, &number, &pem), 0);
		assert_int_equal(number, 5 + i);
		assert_true(span_equal(pem, span_str(expected[i]->key_pem)));
	}
	in = cursor_of(certificates);
	assert_int_equal(tls_set_get_listener(&in, &set), 0);
	assert_int_equal(set.place, 0);
	assert_int_equal(set.count, 1);
	assert_int_equal(set.client_ca.n, 0);
	assert_int_equal(tls_set_get_listener(&in, &set), 0);
	assert_int_equal(set.place, 1);
	assert_int_equal(set.count, 2);
	assert_true(span_equal(set.client_ca, span_str(f->one.chain_pem)));
	assert_true(span_equal(set.certificates[1].name, SPAN("other.example")));
	assert_int_equal(set.certificates[1].key_number, 7);
	assert_true(span_equal(set.certificates[1].chain, span_str(f->other.chain_pem)));
	assert_int_equal(tls_set_get_listener(&in, &set), ERR_NOT_FOUND);
	/* No worker gets a key. */
	assert_null(memmem(certificates.p, certificates.n, "PRIVATE", 7));
	memfd_unmap(keys);
	memfd_unmap(certificates);
	/* Numbers are never used again. */
	assert_int_equal(read_them(f), 0);
	assert_int_equal(f->number, 11);
	configure(f, "  plain: { address: \"127.0.0.1:26\" }\n");
	assert_false(tls_files_wanted(f->config));
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *file, *text, *said;
	} cases[] = {
		{"one.key", NULL, "one.crt with "}, /* of another certificate */
		{"one.crt", "nonsense", "one.crt with "},
		{"one.crt", "", "one.crt"},
		{"ca.crt", "nonsense", "client-ca"},
		{"soon.key", "-----BEGIN PRIVATE KEY-----\nnonsense\n", "soon.key"},
	};
	struct fixture *f = *state;
	char path[128];

	configure(f, MX SUBMISSION);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_file(f, "one.crt", f->one.chain_pem);
		write_file(f, "one.key", f->one.key_pem);
		write_file(f, "ca.crt", f->one.chain_pem);
		write_file(f, "soon.key", f->soon.key_pem);
		write_file(f, cases[i].file, cases[i].text ? cases[i].text : f->other.key_pem);
		assert_true(read_them(f) < 0);
		if (!strstr(text(&f->problem), cases[i].said) || !strstr(f->problem.p, "listener "))
			fail_msg("case %zu: %s", i, f->problem.p);
		assert_int_equal(f->files.keys, -1);
	}
	/* Missing, a folder, far too long. */
	write_file(f, "soon.key", f->soon.key_pem);
	snprintf(path, sizeof(path), "%s/one.key", f->folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(read_them(f), ERR_NOT_FOUND);
	assert_non_null(strstr(text(&f->problem), "No such file"));
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(read_them(f) < 0);
	assert_non_null(strstr(text(&f->problem), "is no file"));
	assert_int_equal(rmdir(path), 0);
	write_file(f, "one.key", "");
	assert_int_equal(truncate(path, TLS_PEM_BYTES + 1), 0);
	assert_true(read_them(f) < 0);
	assert_non_null(strstr(text(&f->problem), "longer than"));
}

static void what_surprises_is_told(void **state)
{
	struct fixture *f = *state;
	char path[128];

	configure(f, MX SUBMISSION);
	snprintf(path, sizeof(path), "%s/one.key", f->folder);
	assert_int_equal(chmod(path, 0644), 0);
	write_file(f, "other.crt", f->one.chain_pem);
	write_file(f, "other.key", f->one.key_pem);
	assert_int_equal(read_them(f), 0);
	assert_non_null(strstr(text(&f->warnings), "everybody on this machine may read"));
	assert_non_null(strstr(f->warnings.p, "is no certificate for other.example"));
}

/* Whoever has a certificate of any of them may relay. */
static void a_list_of_public_authorities_is_told(void **state)
{
	struct fixture *f = *state;
	static char all[64 * 1024];
	char *at = all;

	for (int i = 0; i < 21; i++) {
		struct identity one;

		identity_make(&one, &(struct wish){.subject = "a public CA", .to_days = 100});
		at = stpcpy(at, one.chain_pem);
		identity_done(&one);
		if (i != 19 && i != 20)
			continue;
		write_file(f, "ca.crt", all);
		configure(f, SUBMISSION);
		assert_int_equal(read_them(f), 0);
		assert_int_equal(
			strstr(text(&f->warnings), "ca.crt holds 21 authorities") != NULL, i == 20);
	}
}

static void an_end_is_told_two_weeks_before(void **state)
{
	struct fixture *f = *state;
	int64_t now = (int64_t)time(NULL) * 1000, day = INT64_C(86400000);

	configure(f, MX SUBMISSION SUBMISSION_AGAIN);
	assert_int_equal(read_them(f), 0);
	tls_files_expiries(&f->files, now, &f->warnings);
	assert_non_null(strstr(text(&f->warnings), "soon.crt: the certificate ends soon, on "));
	assert_null(strstr(f->warnings.p, "one.crt"));
	/* Once, though two listeners have it. */
	assert_null(strstr(strstr(f->warnings.p, "soon.crt") + 1, "soon.crt"));
	buf_clear(&f->warnings);
	tls_files_expiries(&f->files, now - 2 * day, &f->warnings);
	assert_int_equal(f->warnings.n, 0);
	tls_files_expiries(&f->files, now + 14 * day, &f->warnings);
	assert_non_null(strstr(text(&f->warnings), "soon.crt: the certificate has ended"));
}

static void a_change_is_seen(void **state)
{
	static const char *const all[] = {
		"one.crt", "one.key", "soon.crt", "soon.key", "other.crt", "other.key", "ca.crt"};
	struct tls_stamp looked[7];
	struct fixture *f = *state;
	char path[128];

	configure(f, MX SUBMISSION);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(read_them(f), 0);
		assert_int_equal(f->files.stamp_count, 7);
		assert_false(tls_files_changed(f->config, &f->files, looked));
		snprintf(path, sizeof(path), "%s/%s", f->folder, all[i]);
		char kept[8192] = "";
		FILE *file = fopen(path, "r");
		(void)!fread(kept, 1, sizeof(kept) - 1, file);
		fclose(file);
		assert_int_equal(unlink(path), 0);
		assert_true(tls_files_changed(f->config, &f->files, looked));
		write_file(f, all[i], kept);
		assert_true(tls_files_changed(f->config, &f->files, looked));
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_and_certificates_go_different_ways),
		TEST(what_is_wrong_is_said),
		TEST(what_surprises_is_told),
		TEST(a_list_of_public_authorities_is_told),
		TEST(an_end_is_told_two_weeks_before),
		TEST(a_change_is_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
