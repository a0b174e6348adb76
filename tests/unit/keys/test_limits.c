/* Who is wrong about passwords too often, by address and by account. */
#include "base/check.h"
#include "keys/keys.h"
#include "keys/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t now = 1000000;

static struct limits_who who(const char *client, const char *account)
{
	static const uint8_t secret[KEYED_SECRET] = {1};
	uint8_t digest[KEYED_DIGEST];
	struct limits_who out;
	struct netaddr address;
	struct keyed *keyed;

	assert_int_equal(netaddr_parse_ip(span_str(client), &address), 0);
	assert_int_equal(keyed_new(secret, &keyed), 0);
	keyed_digest(keyed, 'n', span_str(account), digest);
	limits_who(keyed, &address, digest, strncmp(account, "nobody", 6) != 0, &out);
	keyed_free(&keyed);
	return out;
}

/* The delay of a wrong one in ms, or 0: too soon. */
static uint64_t wrong(struct limits *l, const char *client, const char *account)
{
	struct limits_who w = who(client, account);

	return limits_begin(l, &w, now) ? limits_wrong(l, &w, now) : 0;
}

static bool right(struct limits *l, const char *client, const char *account)
{
	struct limits_who w = who(client, account);

	if (!limits_begin(l, &w, now))
		return false;
	limits_right(l, &w, now);
	return true;
}

static struct limits *fresh(void)
{
	struct limits *l;

	assert_int_equal(limits_new(&l), 0);
	return l;
}

static void each_failure_waits_longer_and_then_none_is_tried(void **state)
{
	static const uint64_t delays[LIMITS_ADDRESS] = {
		1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000, 30000, 30000};
	struct limits *l = fresh();
	(void)state;

	for (int i = 0; i < LIMITS_ADDRESS; i++)
		assert_int_equal(wrong(l, "192.0.2.1", "joe@c.example"), delays[i]);
	assert_int_equal(wrong(l, "192.0.2.1", "joe@c.example"), 0);
	/* Another account from there neither; another client is free to try another one. */
	assert_int_equal(wrong(l, "192.0.2.1", "ann@c.example"), 0);
	assert_int_equal(wrong(l, "192.0.2.2", "ann@c.example"), 1000);
	limits_free(&l);
}

static void a_block_ends_and_the_next_is_longer(void **state)
{
	struct limits *l = fresh();
	(void)state;

	for (int i = 0; i < LIMITS_ADDRESS; i++)
		wrong(l, "192.0.2.1", "x");
	now += LIMITS_BLOCK_FIRST_S - 1;
	assert_int_equal(wrong(l, "192.0.2.1", "x"), 0);
	now += 1;
	assert_int_equal(wrong(l, "192.0.2.1", "x"), LIMITS_DELAY_MOST);
	now += 2 * LIMITS_BLOCK_FIRST_S - 1;
	assert_int_equal(wrong(l, "192.0.2.1", "x"), 0);
	now += 1;
	assert_true(wrong(l, "192.0.2.1", "x") > 0);
	/* They grow to an hour and no further. */
	for (int i = 0; i < 8; i++) {
		now += LIMITS_BLOCK_MOST_S;
		while (wrong(l, "192.0.2.1", "x"))
			;
	}
	now += LIMITS_BLOCK_MOST_S - 1;
	assert_int_equal(wrong(l, "192.0.2.1", "x"), 0);
	now += 1;
	assert_true(wrong(l, "192.0.2.1", "x") > 0);
	limits_free(&l);
}

static void failures_of_long_ago_do_not_count(void **state)
{
	struct limits *l = fresh();
	(void)state;

	for (int i = 0; i < 3 * LIMITS_ADDRESS; i++) {
		assert_int_equal(wrong(l, "192.0.2.1", "joe"), 1000);
		now += LIMITS_WINDOW_S;
	}
	limits_free(&l);
}

/* As many connections as one likes are no way around. */
static void tries_at_the_same_time_count_while_they_last(void **state)
{
	struct limits_who w[LIMITS_ADDRESS + 1];
	struct limits *l = fresh();
	(void)state;

	for (int i = 0; i <= LIMITS_ADDRESS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "user%d", i);
		w[i] = who("192.0.2.1", name);
		assert_int_equal(limits_begin(l, &w[i], now), i < LIMITS_ADDRESS);
	}
	/* One that came to no end gives its place back, one that was right, too. */
	limits_void(l, &w[0]);
	assert_true(limits_begin(l, &w[LIMITS_ADDRESS], now));
	limits_right(l, &w[1], now);
	assert_true(limits_begin(l, &w[0], now));
	limits_free(&l);
}

static void one_64_of_ipv6_is_one_client(void **state)
{
	struct limits *l = fresh();
	(void)state;

	for (int i = 0; i < LIMITS_ADDRESS; i++) {
		char client[32];
		snprintf(client, sizeof(client), "2001:db8:1:2::%x", i + 1);
		assert_true(wrong(l, client, "joe") > 0);
	}
	assert_int_equal(wrong(l, "2001:db8:1:2:ffff::1", "ann"), 0);
	assert_true(wrong(l, "2001:db8:1:3::1", "ann") > 0);
	limits_free(&l);
}

/* A customer who was given a /48 has 65,536 clients to choose from. */
static void a_48_of_ipv6_has_some_times_the_tries_of_one_client(void **state)
{
	struct limits *l = fresh();
	char client[32], name[16];
	(void)state;

	/* Its delays begin with one client's, and grow by as many more failures. */
	for (int i = 0; i < LIMITS_SITE; i++) {
		snprintf(client, sizeof(client), "2001:db8:1:%x::1", i);
		snprintf(name, sizeof(name), "user%d", i);
		uint64_t most = LIMITS_DELAY_FIRST << MIN(i / LIMITS_SITE_TIMES, 5);
		assert_int_equal(wrong(l, client, name), MIN(most, LIMITS_DELAY_MOST));
	}
	assert_int_equal(wrong(l, "2001:db8:1:ffff::1", "ann"), 0);
	assert_false(right(l, "2001:db8:1:ffff::1", "ann"));
	/* Its neighbours are others, and IPv4 has no such sites. */
	assert_int_equal(wrong(l, "2001:db8:2::1", "ann"), 1000);
	for (int i = 0; i < 2 * LIMITS_SITE; i++) {
		snprintf(client, sizeof(client), "192.0.2.%d", i);
		snprintf(name, sizeof(name), "other%d", i);
		assert_int_equal(wrong(l, client, name), 1000);
	}
	/* It is blocked like a client: for a minute, then for two. */
	now += LIMITS_BLOCK_FIRST_S - 1;
	assert_int_equal(wrong(l, "2001:db8:1:fffe::1", "bob"), 0);
	now += 1;
	assert_int_equal(wrong(l, "2001:db8:1:fffe::1", "bob"), LIMITS_DELAY_MOST);
	now += 2 * LIMITS_BLOCK_FIRST_S - 1;
	assert_int_equal(wrong(l, "2001:db8:1:fffd::1", "bob"), 0);
	now += 1;
	assert_int_equal(wrong(l, "2001:db8:1:fffd::1", "bob"), LIMITS_DELAY_MOST);
	limits_free(&l);
}

/* Every try is work for who checks passwords: one site must not be all who gets a turn. */
static void tries_of_a_48_at_the_same_time_count_while_they_last(void **state)
{
	struct limits_who w[LIMITS_SITE + 1];
	struct limits *l = fresh();
	(void)state;

	assert_true(LIMITS_SITE < KEYS_STRANGERS);
	for (int i = 0; i <= LIMITS_SITE; i++) {
		char client[32], name[16];
		snprintf(client, sizeof(client), "2001:db8:1:%x::1", i);
		snprintf(name, sizeof(name), "user%d", i);
		w[i] = who(client, name);
		assert_int_equal(limits_begin(l, &w[i], now), i < LIMITS_SITE);
	}
	limits_void(l, &w[0]);
	assert_true(limits_begin(l, &w[LIMITS_SITE], now));
	assert_false(limits_begin(l, &w[0], now));
	limits_right(l, &w[1], now);
	assert_true(limits_begin(l, &w[0], now));
	limits_free(&l);
}

/* Who shares it with a guesser keeps his way in. */
static void a_blocked_48_does_not_lock_out_who_is_known_there(void **state)
{
	struct limits *l = fresh();
	char client[32], name[16];
	(void)state;

	assert_true(right(l, "2001:db8:1:abcd::1", "joe"));
	for (int i = 0; i < LIMITS_SITE; i++) {
		snprintf(client, sizeof(client), "2001:db8:1:%x::1", i);
		snprintf(name, sizeof(name), "user%d", i);
		assert_true(wrong(l, client, name) > 0);
	}
	assert_false(right(l, "2001:db8:1:abce::1", "joe"));
	assert_true(right(l, "2001:db8:1:abcd::2", "joe"));
	limits_free(&l);
}

static void many_clients_cannot_guess_at_one_account(void **state)
{
	struct limits *l = fresh();
	char client[32];
	(void)state;

	for (int i = 0; i < LIMITS_ACCOUNT; i++) {
		snprintf(client, sizeof(client), "198.51.100.%d", i + 1);
		assert_true(wrong(l, client, "joe@c.example") > 0);
	}
	assert_int_equal(wrong(l, "203.0.113.9", "joe@c.example"), 0);
	assert_false(right(l, "203.0.113.9", "joe@c.example"));
	assert_int_equal(wrong(l, "203.0.113.9", "ann@c.example"), 1000);
	limits_free(&l);
}

static void strangers_do_not_lock_the_owner_out(void **state)
{
	struct limits *l = fresh();
	char client[32];
	(void)state;

	assert_true(right(l, "192.0.2.7", "joe@c.example"));
	for (int i = 0; i < 100; i++) {
		snprintf(client, sizeof(client), "198.51.100.%d", i + 1);
		wrong(l, client, "joe@c.example");
	}
	assert_int_equal(wrong(l, "198.51.100.200", "joe@c.example"), 0);
	assert_true(right(l, "192.0.2.7", "joe@c.example"));
	/* Nor does somebody else in his house. */
	while (wrong(l, "192.0.2.7", "ann@c.example"))
		;
	assert_true(right(l, "192.0.2.7", "joe@c.example"));
	/* But there, too, guessing has its end. */
	for (int i = 0; i < LIMITS_ADDRESS; i++)
		assert_true(wrong(l, "192.0.2.7", "joe@c.example") > 0);
	assert_false(right(l, "192.0.2.7", "joe@c.example"));
	/* And the trust as well. */
	now += LIMITS_KNOWN_S + LIMITS_FORGIVE_S;
	for (int i = 0; i < 100; i++) {
		snprintf(client, sizeof(client), "198.51.100.%d", i + 1);
		wrong(l, client, "joe@c.example");
	}
	assert_false(right(l, "192.0.2.7", "joe@c.example"));
	limits_free(&l);
}

/* A telephone that does not know of the new password takes only its owner's turns. */
static void an_old_password_somewhere_blocks_no_office(void **state)
{
	struct limits *l = fresh();
	(void)state;

	assert_true(right(l, "192.0.2.7", "joe@c.example"));
	while (wrong(l, "192.0.2.7", "joe@c.example"))
		;
	assert_true(right(l, "192.0.2.7", "ann@c.example"));
	limits_free(&l);
}

static void who_is_known_while_another_try_runs_changes_no_count(void **state)
{
	struct limits *l = fresh();
	(void)state;

	struct limits_who a = who("192.0.2.7", "joe"), b = who("192.0.2.7", "joe");
	assert_true(limits_begin(l, &a, now));
	assert_true(limits_begin(l, &b, now));
	limits_right(l, &a, now);
	limits_void(l, &b);
	for (int i = 0; i < LIMITS_ADDRESS; i++)
		assert_true(wrong(l, "192.0.2.7", "ann") > 0);
	limits_free(&l);
}

static void a_webmail_on_this_machine_is_not_one_client(void **state)
{
	struct limits *l = fresh();
	char account[32];
	(void)state;

	for (int i = 0; i < 100; i++) {
		snprintf(account, sizeof(account), "user%d", i);
		assert_int_equal(wrong(l, "127.0.0.1", account), 1000);
	}
	while (wrong(l, "::1", "joe"))
		;
	assert_false(right(l, "127.0.0.1", "joe"));
	limits_free(&l);
}

static void the_tables_are_bounded_and_the_oldest_goes(void **state)
{
	struct limits *l = fresh();
	char client[32];
	(void)state;

	for (int i = 0; i < LIMITS_ADDRESS; i++)
		wrong(l, "192.0.2.1", "a");
	for (unsigned i = 0; i < LIMITS_ENTRIES - 1; i++) {
		snprintf(client, sizeof(client), "10.%u.%u.1", i / 256, i % 256);
		wrong(l, client, "b");
		struct limits_who w = who(client, client);
		(void)limits_begin(l, &w, now);
	}
	assert_int_equal(wrong(l, "192.0.2.1", "c"), 0);
	for (unsigned i = 0; i < LIMITS_ENTRIES + 10; i++) {
		snprintf(client, sizeof(client), "11.%u.%u.1", i / 256, i % 256);
		assert_true(wrong(l, client, client) > 0);
	}
	assert_int_equal(wrong(l, "192.0.2.1", "c"), 1000);
	limits_free(&l);
}

/* Who could make an account's failures forgotten, by many names that are nobody's, could guess at
 * it for ever: a worker that was taken over claims any client, too. */
static void made_up_names_push_no_account_out(void **state)
{
	struct limits *l = fresh();
	char client[32], name[32];
	(void)state;

	for (int i = 0; i < LIMITS_ACCOUNT; i++) {
		snprintf(client, sizeof(client), "10.0.0.%d", i);
		assert_true(wrong(l, client, "joe") > 0);
	}
	for (unsigned i = 0; i < LIMITS_ENTRIES + 10; i++) {
		snprintf(client, sizeof(client), "11.%u.%u.1", i / 256, i % 256);
		snprintf(name, sizeof(name), "nobody%u", i);
		assert_int_equal(wrong(l, client, name), 1000);
	}
	assert_int_equal(wrong(l, "10.1.0.1", "joe"), 0);
	/* A name that is nobody's is counted by the same rules. */
	for (int i = 0; i < LIMITS_ACCOUNT; i++) {
		snprintf(client, sizeof(client), "12.0.0.%d", i);
		assert_true(wrong(l, client, "nobody") > 0);
	}
	assert_int_equal(wrong(l, "10.1.0.1", "nobody"), 0);
	limits_free(&l);
}

/* Who has one account, and addresses without end, must not make all others unknown. */
static void one_account_pushes_out_nobody_else_where_he_is_known(void **state)
{
	struct limits *l = fresh();
	char client[32];
	(void)state;

	assert_true(right(l, "192.0.2.7", "joe"));
	for (unsigned i = 0; i < LIMITS_ENTRIES + 10; i++) {
		snprintf(client, sizeof(client), "10.%u.%u.1", i / 256, i % 256);
		assert_true(right(l, client, "eve"));
	}
	while (wrong(l, "127.0.0.1", "joe"))
		;
	assert_false(right(l, "198.51.100.1", "joe"));
	assert_true(right(l, "192.0.2.7", "joe"));
	limits_free(&l);
}

/* Logs in as eve from the places numbered so, one second after the other. */
static void eve_from(struct limits *l, unsigned first, unsigned count)
{
	char client[32];

	for (unsigned i = first; i < first + count; i++) {
		snprintf(client, sizeof(client), "10.%u.%u.1", i / 256, i % 256);
		now++;
		assert_true(right(l, client, "eve"));
	}
}

static void an_account_is_known_where_it_was_lately(void **state)
{
	struct limits *l = fresh();
	(void)state;

	eve_from(l, 0, LIMITS_PAIRS);
	eve_from(l, 0, 1); /* so it is not the oldest one */
	eve_from(l, LIMITS_PAIRS, LIMITS_PAIRS / 2);
	while (wrong(l, "127.0.0.1", "eve"))
		;
	assert_true(right(l, "10.0.0.1", "eve"));
	for (unsigned i = 1; i < 3 * LIMITS_PAIRS / 2; i++) {
		char client[32];
		snprintf(client, sizeof(client), "10.%u.%u.1", i / 256, i % 256);
		assert_int_equal(right(l, client, "eve"), i > LIMITS_PAIRS / 2);
	}
	limits_free(&l);
}

/* A failure that ends after its place was given away counts to the account's places, too. */
static void late_failures_add_no_places(void **state)
{
	struct limits_who late[LIMITS_PAIRS];
	struct limits *l = fresh();
	(void)state;

	assert_true(right(l, "192.0.2.7", "joe"));
	for (unsigned round = 0; round < LIMITS_ENTRIES / LIMITS_PAIRS + 1; round++) {
		unsigned first = round * LIMITS_PAIRS;

		eve_from(l, first, LIMITS_PAIRS);
		for (unsigned i = 0; i < LIMITS_PAIRS; i++) {
			char client[32];
			snprintf(client, sizeof(client), "10.%u.%u.1", (first + i) / 256,
				(first + i) % 256);
			late[i] = who(client, "eve");
			assert_true(limits_begin(l, &late[i], now));
		}
		eve_from(l, first + 65536 / 2, LIMITS_PAIRS);
		for (unsigned i = 0; i < LIMITS_PAIRS; i++)
			assert_int_equal(limits_wrong(l, &late[i], now), 1000);
	}
	while (wrong(l, "127.0.0.1", "joe"))
		;
	assert_true(right(l, "192.0.2.7", "joe"));
	limits_free(&l);
}

/* ---- patience ------------------------------------------------------------------------------- */

/* Blocks the account for an hour: the blocks before it are over. */
static void block_for_an_hour(struct limits *l, const char *account)
{
	char client[32];

	now += LIMITS_FORGIVE_S;
	for (unsigned i = 0, blocks = 0; blocks < 8; i++) {
		snprintf(client, sizeof(client), "198.18.%u.%u", i / 256, i % 256);
		if (wrong(l, client, account))
			continue;
		uint64_t s = (uint64_t)LIMITS_BLOCK_FIRST_S << blocks++;
		if (blocks < 8)
			now += MIN(s, LIMITS_BLOCK_MOST_S);
	}
}

static void an_owner_somewhere_new_gets_in_with_patience(void **state)
{
	struct limits *l = fresh();
	(void)state;

	block_for_an_hour(l, "joe@c.example");
	assert_false(right(l, "203.0.113.1", "joe@c.example"));
	now += LIMITS_PATIENCE_S - 1;
	assert_false(right(l, "203.0.113.1", "joe@c.example"));
	now += 1;
	assert_true(right(l, "203.0.113.1", "joe@c.example"));
	/* One of all for the minute; where he is known now, he needs none. */
	assert_false(right(l, "203.0.113.2", "joe@c.example"));
	assert_true(right(l, "203.0.113.1", "joe@c.example"));
	now += LIMITS_PATIENCE_S;
	/* Not from an address that was wrong about anything within the hour. */
	assert_true(wrong(l, "203.0.113.3", "ann@c.example") > 0);
	assert_false(right(l, "203.0.113.3", "joe@c.example"));
	/* Nor from this machine, where all look alike. */
	assert_false(right(l, "127.0.0.1", "joe@c.example"));
	assert_true(right(l, "2001:db8::1", "joe@c.example"));
	limits_free(&l);
}

/* Whoever has more addresses than there are seconds. */
static void patience_gives_guessers_one_guess_a_minute(void **state)
{
	struct limits *l = fresh();
	char client[32];
	unsigned guesses = 0;
	uint64_t began, longest = 0;
	(void)state;

	block_for_an_hour(l, "joe@c.example");
	began = now;
	for (; now < began + LIMITS_BLOCK_MOST_S - 1; now++) {
		snprintf(client, sizeof(client), "10.%u.%u.1", (unsigned)((now - began) / 256),
			(unsigned)((now - began) % 256));
		uint64_t delay = wrong(l, client, "joe@c.example");
		guesses += delay > 0;
		longest = MAX(longest, delay);
	}
	assert_true(guesses > 0 && guesses <= LIMITS_BLOCK_MOST_S / LIMITS_PATIENCE_S);
	/* They wait for their news as for any other. */
	assert_int_equal(longest, LIMITS_DELAY_MOST);
	/* The block is no longer for it. */
	now = began + LIMITS_BLOCK_MOST_S;
	assert_true(right(l, "203.0.113.1", "joe@c.example"));
	limits_free(&l);
}

/* Nobody learns by it who has an account. */
static void a_name_of_nobody_has_the_same_patience(void **state)
{
	struct limits *l = fresh();
	(void)state;

	block_for_an_hour(l, "nobody@c.example");
	assert_int_equal(wrong(l, "203.0.113.1", "nobody@c.example"), 0);
	now += LIMITS_PATIENCE_S;
	assert_true(wrong(l, "203.0.113.1", "nobody@c.example") > 0);
	assert_int_equal(wrong(l, "203.0.113.2", "nobody@c.example"), 0);
	limits_free(&l);
}

/* A try that does not come to its end leaves the account as it was. */
static void patience_that_comes_to_nothing(void **state)
{
	struct limits *l = fresh();
	struct limits_who w = who("203.0.113.1", "joe@c.example");
	(void)state;

	block_for_an_hour(l, "joe@c.example");
	now += LIMITS_PATIENCE_S;
	assert_true(limits_begin(l, &w, now));
	limits_void(l, &w);
	assert_true(limits_begin(l, &w, now));
	struct limits_who other = who("203.0.113.2", "joe@c.example");
	assert_false(limits_begin(l, &other, now));
	limits_right(l, &w, now);
	limits_free(&l);
}

/* ---- seen and lifted ------------------------------------------------------------------------ */

struct sight {
	unsigned count[4];
	struct limits_seen last[4];
};

static void see(void *context, const struct limits_seen *seen)
{
	struct sight *sight = context;

	sight->count[seen->kind]++;
	sight->last[seen->kind] = *seen;
}

static struct sight look(struct limits *l, bool blocked)
{
	struct sight sight = {{0}};

	limits_see(l, now, blocked, see, &sight);
	return sight;
}

static void who_failed_is_seen_until_it_does_not_count(void **state)
{
	struct limits *l = fresh();
	struct sight sight;
	uint64_t began;
	(void)state;

	now += LIMITS_FORGIVE_S;
	began = now;
	wrong(l, "2001:db8:1:2:3::4", "joe@c.example");
	now += 60;
	wrong(l, "2001:db8:1:2::5", "joe@c.example");
	wrong(l, "192.0.2.9", "nobody@c.example");
	sight = look(l, true);
	assert_int_equal(sight.count[0] + sight.count[1] + sight.count[2] + sight.count[3], 0);
	sight = look(l, false);
	assert_int_equal(sight.count[LIMITS_OF_ADDRESS], 2);
	assert_int_equal(sight.count[LIMITS_OF_SITE], 1);
	assert_int_equal(sight.count[LIMITS_OF_ACCOUNT], 1);
	assert_int_equal(sight.count[LIMITS_OF_PAIR], 0);
	assert_int_equal(limits_see_nobodies(l, now), 1);
	/* The older one comes behind the newer. */
	const struct limits_seen *address = &sight.last[LIMITS_OF_ADDRESS];
	assert_int_equal(address->client.family, NETADDR_V6);
	assert_int_equal(address->client.bits, 64);
	assert_memory_equal(address->client.ip, "\x20\x01\x0d\xb8\0\1\0\2\0\0\0\0\0\0\0\0", 16);
	assert_int_equal(address->failures, 2);
	assert_int_equal(address->since_s, began);
	assert_int_equal(address->last_s, now);
	assert_int_equal(sight.last[LIMITS_OF_SITE].client.bits, 48);
	struct limits_who w = who("192.0.2.1", "joe@c.example");
	assert_memory_equal(sight.last[LIMITS_OF_ACCOUNT].account, w.account, LIMITS_DIGEST);
	now = began + LIMITS_WINDOW_S;
	sight = look(l, false);
	assert_int_equal(sight.last[LIMITS_OF_ADDRESS].failures, 1);
	now += 60;
	sight = look(l, false);
	assert_int_equal(sight.count[LIMITS_OF_ADDRESS] + sight.count[LIMITS_OF_ACCOUNT], 0);
	limits_free(&l);
}

static void a_block_is_seen_with_its_end(void **state)
{
	struct limits *l = fresh();
	struct sight sight;
	char name[16];
	(void)state;

	assert_true(right(l, "192.0.2.7", "joe@c.example"));
	for (int i = 0; i < LIMITS_ADDRESS; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		assert_true(wrong(l, "192.0.2.1", name) > 0);
		assert_true(wrong(l, "192.0.2.7", "joe@c.example") > 0);
	}
	sight = look(l, true);
	assert_int_equal(sight.count[LIMITS_OF_ADDRESS], 1);
	assert_int_equal(sight.last[LIMITS_OF_ADDRESS].blocked_until_s, now + LIMITS_BLOCK_FIRST_S);
	assert_int_equal(sight.count[LIMITS_OF_ACCOUNT], 0);
	/* From where the owner is known, it is the two together. */
	assert_int_equal(sight.count[LIMITS_OF_PAIR], 1);
	assert_int_equal(sight.last[LIMITS_OF_PAIR].client.ip[3], 7);
	assert_non_null(sight.last[LIMITS_OF_PAIR].account);
	limits_free(&l);
}

/* The office behind one address. */
static void what_is_lifted_is_forgotten_and_nothing_else(void **state)
{
	struct limits *l = fresh();
	struct limits_who joe = who("192.0.2.1", "joe@c.example");
	struct netaddr office;
	char client[32], name[16];
	(void)state;

	assert_int_equal(netaddr_parse_ip(SPAN("192.0.2.1"), &office), 0);
	for (int i = 0; i < LIMITS_ADDRESS; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		assert_true(wrong(l, "192.0.2.1", name) > 0);
		assert_true(wrong(l, "192.0.2.2", name) > 0);
	}
	assert_int_equal(wrong(l, "192.0.2.1", "ann@c.example"), 0);
	assert_int_equal(limits_lift_address(l, &office, 0, now), 1);
	assert_int_equal(limits_lift_address(l, &office, 0, now), 0);
	assert_int_equal(wrong(l, "192.0.2.1", "ann@c.example"), LIMITS_DELAY_FIRST);
	assert_int_equal(wrong(l, "192.0.2.2", "ann@c.example"), 0);
	/* The next block is a first one again. */
	for (int i = 1; i < LIMITS_ADDRESS; i++)
		wrong(l, "192.0.2.1", name);
	now += LIMITS_BLOCK_FIRST_S;
	assert_true(wrong(l, "192.0.2.1", "x") > 0);

	for (int i = 0; i < LIMITS_ACCOUNT; i++) {
		snprintf(client, sizeof(client), "198.51.100.%d", i);
		assert_true(wrong(l, client, "joe@c.example") > 0);
	}
	assert_int_equal(wrong(l, "203.0.113.1", "joe@c.example"), 0);
	assert_int_equal(limits_lift_account(l, joe.account, now), 1);
	assert_true(right(l, "203.0.113.1", "joe@c.example"));
	/* It is known there now, also when what it does wrong is forgotten again. */
	for (int i = 0; i < LIMITS_ADDRESS; i++)
		wrong(l, "203.0.113.1", "joe@c.example");
	assert_false(right(l, "203.0.113.1", "joe@c.example"));
	assert_int_equal(limits_lift_account(l, joe.account, now), 1);
	struct limits_who w = who("203.0.113.1", "joe@c.example");
	assert_true(limits_begin(l, &w, now));
	assert_true(w.by_pair);
	limits_free(&l);
}

static void of_ipv6_a_client_or_a_whole_site_is_lifted(void **state)
{
	struct limits *l = fresh();
	struct netaddr address;
	char client[32], name[16];
	(void)state;

	for (int i = 0; i < LIMITS_SITE; i++) {
		snprintf(client, sizeof(client), "2001:db8:1:%x::1", i % 4);
		snprintf(name, sizeof(name), "user%d", i);
		assert_true(wrong(l, client, name) > 0);
	}
	assert_int_equal(wrong(l, "2001:db8:1:ffff::1", "ann"), 0);
	assert_int_equal(netaddr_parse_ip(SPAN("2001:db8:1:2::77"), &address), 0);
	/* Of the client alone: the site is blocked still. */
	assert_int_equal(limits_lift_address(l, &address, 64, now), 1);
	assert_int_equal(wrong(l, "2001:db8:1:2::1", "ann"), 0);
	assert_int_equal(limits_lift_address(l, &address, 0, now), 1);
	assert_true(wrong(l, "2001:db8:1:2::1", "ann") > 0);
	assert_int_equal(wrong(l, "2001:db8:1:3::1", "ann"), 0);
	/* All of it: three clients, one that was wrong since, and the site. */
	assert_int_equal(limits_lift_address(l, &address, 48, now), 5);
	assert_true(wrong(l, "2001:db8:1:3::1", "ann") > 0);
	limits_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_failure_waits_longer_and_then_none_is_tried),
		cmocka_unit_test(a_block_ends_and_the_next_is_longer),
		cmocka_unit_test(failures_of_long_ago_do_not_count),
		cmocka_unit_test(tries_at_the_same_time_count_while_they_last),
		cmocka_unit_test(one_64_of_ipv6_is_one_client),
		cmocka_unit_test(a_48_of_ipv6_has_some_times_the_tries_of_one_client),
		cmocka_unit_test(tries_of_a_48_at_the_same_time_count_while_they_last),
		cmocka_unit_test(a_blocked_48_does_not_lock_out_who_is_known_there),
		cmocka_unit_test(many_clients_cannot_guess_at_one_account),
		cmocka_unit_test(strangers_do_not_lock_the_owner_out),
		cmocka_unit_test(an_old_password_somewhere_blocks_no_office),
		cmocka_unit_test(who_is_known_while_another_try_runs_changes_no_count),
		cmocka_unit_test(a_webmail_on_this_machine_is_not_one_client),
		cmocka_unit_test(the_tables_are_bounded_and_the_oldest_goes),
		cmocka_unit_test(made_up_names_push_no_account_out),
		cmocka_unit_test(one_account_pushes_out_nobody_else_where_he_is_known),
		cmocka_unit_test(an_account_is_known_where_it_was_lately),
		cmocka_unit_test(late_failures_add_no_places),
		cmocka_unit_test(who_failed_is_seen_until_it_does_not_count),
		cmocka_unit_test(a_block_is_seen_with_its_end),
		cmocka_unit_test(what_is_lifted_is_forgotten_and_nothing_else),
		cmocka_unit_test(of_ipv6_a_client_or_a_whole_site_is_lifted),
		cmocka_unit_test(an_owner_somewhere_new_gets_in_with_patience),
		cmocka_unit_test(patience_gives_guessers_one_guess_a_minute),
		cmocka_unit_test(a_name_of_nobody_has_the_same_patience),
		cmocka_unit_test(patience_that_comes_to_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
