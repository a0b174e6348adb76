/*
 * Whoever reads keys and hands them on keeps nothing of them: the memory of this process is
 * searched for what only another one, which made the key, should know. It tells masked what to look
 * for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../io/tls_fixture.h"
#include "base/err.h"
#include "io/tls.h"
#include "role/tls_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MASK	 0x5a
#define NEEDLE	 24
#define NEEDLES	 4
#define PAIRS	 12 /* so many that memory for them has to grow */
#define CHUNK	 (1u << 20)
#define MAP_MOST (1ull << 32) /* what ASan reserves is more */

static char folder[] = "/tmp/postern-wiped-XXXXXX";

struct secrets {
	uint8_t needles[NEEDLES][NEEDLE];
};

static void mask(uint8_t to[NEEDLE], const uint8_t *from)
{
	for (size_t i = 0; i < NEEDLE; i++)
		to[i] = from[i] ^ MASK;
}

static void write_text(const char *name, int number, const char *text)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/%s%d", folder, name, number);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* In a process of its own: a key, and masked some of its bytes, as OpenSSL has numbers in memory,
 * as they lie in DER, and as text. */
static void make_keys(int to)
{
	struct secrets secrets;
	struct identity made;
	uint8_t bytes[512];
	BIGNUM *prime = NULL;

	/* The first one is searched for, as it lies where others come behind it. */
	for (int i = PAIRS - 1; i >= 0; i--) {
		identity_make(&made, &(struct wish){.kind = KEY_RSA, .subject = "s", .to_days = 9});
		write_text("crt", i, made.chain_pem);
		write_text("key", i, made.key_pem);
	}
	BIO *in = BIO_new_mem_buf(made.key_pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	if (!key || EVP_PKEY_get_bn_param(key, "rsa-factor1", &prime) != 1)
		_exit(1);
	BN_bn2bin(prime, bytes);
	mask(secrets.needles[0], bytes);
	BN_bn2lebinpad(prime, bytes, BN_num_bytes(prime));
	mask(secrets.needles[1], bytes);
	mask(secrets.needles[2], (const uint8_t *)made.key_pem + 400);
	mask(secrets.needles[3], (const uint8_t *)made.key_pem + 1000);
	_exit(write(to, &secrets, sizeof(secrets)) == sizeof(secrets) ? 0 : 1);
}

/* Compared masked, so that the search finds nothing of its own. */
static bool is_in(const uint8_t *chunk, size_t n, const uint8_t needle[NEEDLE])
{
	const uint8_t *at = chunk, *end = chunk + n;

	while ((at = memchr(at, needle[0] ^ MASK, (size_t)(end - at))) && end - at >= NEEDLE) {
		size_t i = 1;

		while (i < NEEDLE && (at[i] ^ MASK) == needle[i])
			i++;
		if (i == NEEDLE)
			return true;
		at++;
	}
	return false;
}

static unsigned search_map(int memory, uint64_t from, uint64_t to, const struct secrets *secrets)
{
	static uint8_t chunk[CHUNK];
	unsigned found = 0;

	for (uint64_t at = from; at < to; at += CHUNK - NEEDLE) {
		size_t want = (size_t)MIN(to - at, (uint64_t)CHUNK);
		bool own = at < (uint64_t)(uintptr_t)chunk + CHUNK &&
			   (uint64_t)(uintptr_t)chunk < at + want;
		ssize_t n = own ? 0 : pread(memory, chunk, want, (off_t)at);

		for (unsigned i = 0; n > 0 && i < NEEDLES; i++)
			found |= is_in(chunk, (size_t)n, secrets->needles[i]) ? 1u << i : 0;
	}
	memset(chunk, 0, sizeof(chunk));
	return found;
}

/* Which of them lie in our memory. */
static unsigned search(const struct secrets *secrets)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	char line[400];
	unsigned found = 0;

	assert_non_null(maps);
	assert_true(memory >= 0);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long from, to;
		char rights[5];

		if (sscanf(line, "%llx-%llx %4s", &from, &to, rights) == 3 && rights[0] == 'r' &&
			rights[1] == 'w' && to - from < MAP_MOST)
			found |= search_map(memory, from, to, secrets);
	}
	close(memory);
	fclose(maps);
	return found;
}

static void read_config(struct config **config)
{
	struct buf text, problems;
	char place[sizeof(folder) + 1];

	buf_init(&text, 1u << 16);
	buf_init(&problems, 4096);
	buf_add_str(&text,
		"hostname: gw.example.test\nspool: s\ndirectory: d\ncontrol: c\n"
		"listeners:\n  mx: { address: \"127.0.0.1:25\", tls: { certificate: crt0, "
		"key: key0, names: { ");
	for (int i = 1; i < PAIRS; i++)
		buf_printf(&text, "n%d.example: { certificate: crt%d, key: key%d }, ", i, i, i);
	buf_add_str(&text, "} } }\n");
	snprintf(place, sizeof(place), "%s/", folder);
	assert_int_equal(config_parse_in("postern.yaml", span_str(place), buf_span(&text), config,
				 &problems),
		0);
	buf_done(&text);
	buf_done(&problems);
}

static void nothing_of_a_key_stays(void **state)
{
	struct tls_files files = TLS_FILES_NONE;
	struct config *config;
	struct secrets secrets;
	struct buf problem, warnings;
	uint32_t number = 1;
	int ends[2], status;
	(void)state;

	assert_non_null(mkdtemp(folder));
	assert_int_equal(pipe(ends), 0);
	pid_t child = fork();
	if (child == 0)
		make_keys(ends[1]);
	assert_int_equal(read(ends[0], &secrets, sizeof(secrets)), sizeof(secrets));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(ends[0]);
	close(ends[1]);
	/* The search finds what is there. */
	uint8_t *bait = malloc(NEEDLE);
	assert_non_null(bait);
	for (size_t i = 0; i < NEEDLE; i++)
		bait[i] = secrets.needles[3][i] ^ MASK;
	assert_int_equal(search(&secrets), 1u << 3);
	explicit_bzero(bait, NEEDLE);
	free(bait);
	assert_int_equal(search(&secrets), 0);

	read_config(&config);
	buf_init(&problem, 4096);
	buf_init(&warnings, 4096);
	assert_int_equal(tls_files_read(config, &number, &files, &problem, &warnings), 0);
	assert_int_equal(files.expiry_count, PAIRS);
	assert_int_equal(search(&secrets), 0);
	tls_files_done(&files);
	buf_done(&problem);
	buf_done(&warnings);
	config_free(&config);
	char command[100];
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	(void)!system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_of_a_key_stays)};

	if (tls_wipe_freed())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
