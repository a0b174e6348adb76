/*
 * Does the time that role keys takes tell whether there is an account? Known name with a wrong
 * password, against a name that nobody has: inside the process, where nothing else is in the way.
 * Beside many accounts, as after an import.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "keys/keys.h"
#include "keys/limits.h"
#include "keys/message.h"
#include "keys/verify.h"
#include "welch.h"

#include <crypt.h>

#define ACCOUNTS 2048 /* of each directory */
#define NAMES	 512  /* of them that are tried */
#define SPREAD	 (ACCOUNTS / NAMES)

/*
 * Two directories: who has an account in the one is nobody in the other. So what a name costs by
 * itself (where what belongs to it lies in memory, what has the same place in a table) is there on
 * both sides and cancels out; what is left is whether the name is there.
 */
struct fixture {
	struct keyed *keyed;
	struct roster *accounts[2];
	char names[2][ACCOUNTS][32]; /* in the order of their digests */
	unsigned at;
};

/* One try: in which directory, and of which one the name. */
struct aim {
	int directory, names;
	unsigned i;
};

static const uint8_t secret[VERIFY_SECRET] = "a secret";

/* `setting` of crypt(3), all with SCRAM beside it. */
static struct secrets *make_accounts(const char *setting, char names[ACCOUNTS][32])
{
	static struct secret list[ACCOUNTS];
	static struct buf value;
	struct password_verifiers v = {.has_scram = true};
	struct crypt_data data = {0};
	uint8_t salt[SCRAM_SALT] = {1};
	struct secrets *out;
	int memfd;

	v.crypt = span_str(crypt_rn("a password", setting, &data, sizeof(data)));
	assert_non_null(v.crypt.p);
	assert_int_equal(scram_verifier_make(SPAN("a password"), salt, sizeof(salt),
				 SCRAM_ITERATIONS, &v.scram),
		0);
	buf_init(&value, SECRET_BYTES);
	verifiers_add(&value, &v);
	for (unsigned i = 0; i < ACCOUNTS; i++)
		list[i] = (struct secret){span_str(names[i]), buf_span(&value)};
	assert_int_equal(secrets_make_memfd(list, ACCOUNTS, &memfd), 0);
	assert_int_equal(secrets_open(memfd, &out), 0);
	buf_done(&value);
	return out;
}

static void digest(void *context, struct span name, uint8_t out[KEYED_DIGEST])
{
	keyed_digest(context, 'n', name, out);
}

struct dealt {
	uint64_t hash;
	char name[32];
};

static int by_hash(const void *a, const void *b)
{
	uint64_t x = ((const struct dealt *)a)->hash, y = ((const struct dealt *)b)->hash;

	return (x > y) - (x < y);
}

/* In turn, by their digests, as the directory is searched: so each name of nobody has an account of
 * its own that stands in for it. */
static void deal(struct keyed *keyed, char names[2][ACCOUNTS][32])
{
	static struct dealt all[2 * ACCOUNTS];

	for (unsigned i = 0; i < 2 * ACCOUNTS; i++) {
		uint8_t whole[KEYED_DIGEST];

		snprintf(all[i].name, sizeof(all[i].name), "user%04u@c.example", i);
		digest(keyed, span_str(all[i].name), whole);
		memcpy(&all[i].hash, whole, sizeof(all[i].hash));
	}
	qsort(all, 2 * ACCOUNTS, sizeof(all[0]), by_hash);
	for (unsigned i = 0; i < 2 * ACCOUNTS; i++)
		memcpy(names[i % 2][i / 2], all[i].name, sizeof(all[i].name));
}

static void begin(struct fixture *f, const char *setting)
{
	*f = (struct fixture){.keyed = NULL};
	assert_int_equal(keyed_new(secret, &f->keyed), 0);
	deal(f->keyed, f->names);
	for (int i = 0; i < 2; i++)
		assert_int_equal(roster_new(make_accounts(setting, f->names[i]), digest, f->keyed,
					 &f->accounts[i]),
			0);
}

static void end(struct fixture *f)
{
	roster_free(&f->accounts[0]);
	roster_free(&f->accounts[1]);
	keyed_free(&f->keyed);
}

/* `which`: of somebody, or of nobody. */
static struct aim aim_at(unsigned *at, int which)
{
	struct aim aim = {.i = *at % NAMES * SPREAD, .directory = (int)(*at / NAMES % 2)};

	aim.names = which ? aim.directory : 1 - aim.directory;
	++*at;
	return aim;
}

static struct span pick(struct fixture *f, int which, struct verify *out)
{
	struct aim aim = aim_at(&f->at, which);
	struct span name = span_str(f->names[aim.names][aim.i]);
	uint8_t hash[KEYED_DIGEST];
	struct roster_found found;

	digest(f->keyed, name, hash);
	roster_find(f->accounts[aim.directory], hash, name, &found);
	assert_int_equal(found.known, which);
	verify_pick(&found, out);
	return name;
}

static void try_password(void *context, int which)
{
	struct verify v;

	pick(context, which, &v);
	assert_false(verify_password(&v, SPAN("a wrong one")));
}

static void try_salt(void *context, int which)
{
	uint8_t salt[SCRAM_SALT_MOST];
	uint32_t iterations, bytes;
	struct verify v;

	struct span name = pick(context, which, &v);
	verify_salt(&v, secret, name, &iterations, &bytes, salt);
}

static void try_proof(void *context, int which)
{
	uint8_t proof[SCRAM_HASH] = {0}, signature[SCRAM_HASH];
	struct verify v;

	pick(context, which, &v);
	assert_false(verify_proof(
		&v, SPAN("n=user,r=nonce,r=nonce,s=salt,i=1,c=biws,r=nonce"), proof, signature));
}

static void passwords(const char *name, const char *setting, size_t tries)
{
	static struct fixture f;

	begin(&f, setting);
	assert_true(welch_median(name, tries, try_password, &f) < WELCH_MOST);
	end(&f);
}

static void the_time_of_a_password_tells_nothing(void **state)
{
	(void)state;
	passwords("password, yescrypt", "$y$j9T$saltsaltsaltsalt", 400);
	passwords("password, quick yescrypt", "$y$j75$saltsaltsaltsalt", 10000);
	passwords("password, sha512crypt", "$6$rounds=1000$saltsalt", 10000);
}

static void the_time_of_scram_tells_nothing(void **state)
{
	static struct fixture f;
	(void)state;

	begin(&f, "$6$rounds=1000$saltsalt");
	double salt = welch_median("SCRAM, salt", 100000, try_salt, &f);
	double proof = welch_median("SCRAM, proof", 100000, try_proof, &f);
	end(&f);
	assert_true(salt < WELCH_MOST && proof < WELCH_MOST);
}

/* ---- role keys' whole way ------------------------------------------------------------------- */

/* Bytes in, bytes out: what a worker asks and what it is told, with the limits between. */
struct desk {
	struct io io;
	struct keys *keys[2];
	struct buf queries[2][NAMES];
	unsigned at, answers;
};

static bool enabled(void *context, struct span account)
{
	(void)context;
	return account.n > 0;
}

static void answer(void *context, uint8_t worker, uint32_t request, struct span bytes)
{
	struct desk *d = context;
	struct auth_answer got;
	(void)worker;
	(void)request;

	assert_int_equal(keys_get_answer(bytes, &got), 0);
	/* Each waits the same, so each was counted. */
	assert_true(got.result == AUTH_YES ||
		    (got.result == AUTH_NO && got.delay_ms == LIMITS_DELAY_FIRST));
	d->answers++;
}

static void desk_begin(struct desk *d, enum auth_step step)
{
	static const struct io_ops ops = {.submit = NULL};
	struct keys_config config = {
		.io = &d->io, .context = d, .enabled = enabled, .answer = answer};
	static const char setting[] = "$6$rounds=1000$saltsalt";
	static struct fixture f; /* with the same digests: the secret is the same */

	begin(&f, setting);
	*d = (struct desk){.at = 0};
	io_init(&d->io, &ops);
	d->io.now_ns = LIMITS_FORGIVE_S * NS_PER_S;
	memcpy(config.secret, secret, sizeof(secret));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(keys_new(&config, &d->keys[i]), 0);
		assert_int_equal(
			keys_set_accounts(d->keys[i], make_accounts(setting, f.names[i])), 0);
	}
	/* In turn, so that what is asked lies alike in memory. */
	for (unsigned i = 0; i < NAMES; i++)
		for (int names = 0; names < 2; names++) {
			struct auth_query query = {.step = step,
				.user = span_str(f.names[names][i * SPREAD]),
				.auth_message = SPAN("n=user,r=nonce,r=nonce,s=salt,i=1,c=biws")};
			struct buf *to = &d->queries[names][i];
			/* Of both kinds the same clients. */
			query.client = (struct netaddr){.family = NETADDR_V4,
				.ip = {192, 0, (uint8_t)(i >> 8), (uint8_t)i}};
			buf_init(to, 4096);
			keys_put_query(to, &query);
			assert_true(buf_ok(to));
		}
	end(&f);
}

static void desk_end(struct desk *d)
{
	for (int which = 0; which < 2; which++) {
		keys_free(&d->keys[which]);
		for (unsigned i = 0; i < NAMES; i++)
			buf_done(&d->queries[which][i]);
	}
	timers_done(&d->io.timers);
}

static void try_desk(void *context, int which)
{
	struct desk *d = context;
	struct aim aim = aim_at(&d->at, which);

	/* The last failure of any of them is forgotten. */
	d->io.now_ns += LIMITS_WINDOW_S * NS_PER_S;
	keys_ask(
		d->keys[aim.directory], 0, d->at, buf_span(&d->queries[aim.names][aim.i / SPREAD]));
}

static void the_time_of_an_answer_tells_nothing(void **state)
{
	static struct desk d;
	(void)state;

	desk_begin(&d, AUTH_SCRAM_SALT);
	double salt = welch_median("answer, salt", 100000, try_desk, &d);
	desk_end(&d);
	desk_begin(&d, AUTH_SCRAM_PROOF);
	double proof = welch_median("answer, proof", 100000, try_desk, &d);
	assert_int_equal(d.answers, d.at);
	desk_end(&d);
	assert_true(salt < WELCH_MOST && proof < WELCH_MOST);
}

/* ---- what that costs ------------------------------------------------------------------------ */

#define MANY	     100000
#define MANY_MOST_MS 100 /* role keys does nothing else meanwhile */

static void many_accounts_are_taken_over_quickly(void **state)
{
	struct secret *list = calloc(MANY, sizeof(*list));
	char(*names)[32] = calloc(MANY, sizeof(*names));
	struct keyed *keyed;
	struct roster *roster;
	struct secrets *accounts;
	int memfd;
	(void)state;

	assert_true(list && names);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "user%06u@c.example", i);
		list[i] = (struct secret){span_str(names[i]), SPAN("crypt:x")};
	}
	assert_int_equal(secrets_make_memfd(list, MANY, &memfd), 0);
	assert_int_equal(secrets_open(memfd, &accounts), 0);
	assert_int_equal(keyed_new(secret, &keyed), 0);
	uint64_t began = welch_now_ns();
	assert_int_equal(roster_new(accounts, digest, keyed, &roster), 0);
	uint64_t ms = (welch_now_ns() - began) / 1000000;
	printf("%u accounts                                %10llu ms\n", MANY,
		(unsigned long long)ms);
	roster_free(&roster);
	keyed_free(&keyed);
	free(names);
	free(list);
	assert_true(ms < MANY_MOST_MS);
}

/* With an argument: the tests that it names, by cmocka's pattern. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_accounts_are_taken_over_quickly),
		cmocka_unit_test(the_time_of_a_password_tells_nothing),
		cmocka_unit_test(the_time_of_scram_tells_nothing),
		cmocka_unit_test(the_time_of_an_answer_tells_nothing),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
