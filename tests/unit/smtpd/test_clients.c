/* How many sessions a client has, against a plain table of the same. */
#include "smtpd/clients.h"

#include "base/err.h"
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct netaddr v4(uint32_t host)
{
	return (struct netaddr){.family = NETADDR_V4,
		.ip = {10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host}};
}

/* No limit for sites. */
static int add(struct clients *clients, const struct netaddr *client, uint32_t limit)
{
	return clients_add(clients, client, &(struct clients_limits){.per_client = limit});
}

static void a_client_has_its_limit(void **state)
{
	(void)state;
	struct clients clients;
	struct netaddr a = v4(1), b = v4(2);

	assert_int_equal(clients_init(&clients, 100, 7), 0);
	assert_int_equal(add(&clients, &a, 2), 0);
	assert_int_equal(add(&clients, &a, 2), 0);
	assert_int_equal(add(&clients, &a, 2), ERR_LIMIT);
	assert_int_equal(add(&clients, &b, 2), 0);
	clients_remove(&clients, &a);
	assert_int_equal(add(&clients, &a, 2), 0);
	for (int i = 0; i < 50; i++)
		assert_int_equal(add(&clients, &a, 0), 0);
	clients_done(&clients);
}

static void an_ipv6_host_is_its_network(void **state)
{
	(void)state;
	struct clients clients;
	struct netaddr a = {.family = NETADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 1}};
	struct netaddr b = a, c = a;

	b.ip[8] = 9;
	c.ip[7] = 9;
	assert_int_equal(clients_init(&clients, 100, 7), 0);
	assert_int_equal(add(&clients, &a, 1), 0);
	assert_int_equal(add(&clients, &b, 1), ERR_LIMIT);
	assert_int_equal(add(&clients, &c, 1), 0);
	clients_done(&clients);
}

/* Who has a /48 has 65,536 clients, but no more connections than a site may have. */
static void a_site_has_its_limit(void **state)
{
	(void)state;
	static const struct clients_limits limits = {.per_client = 2, .per_site = 5};
	struct clients clients;
	struct netaddr a = {.family = NETADDR_V6, .ip = {0x20, 1, 0xd, 0xb8, 0, 7, [15] = 1}};
	struct netaddr other = a, old = v4(1);

	other.ip[5] = 8;
	assert_int_equal(clients_init(&clients, 100, 7), 0);
	for (uint8_t i = 0; i < 5; i++) {
		a.ip[6] = i;
		assert_int_equal(clients_add(&clients, &a, &limits), 0);
	}
	for (uint8_t i = 4; i < 20; i++) {
		a.ip[7] = i;
		assert_int_equal(clients_add(&clients, &a, &limits), ERR_LIMIT);
		assert_int_equal(clients_count(&clients, &a), 0);
	}
	assert_int_equal(clients_add(&clients, &other, &limits), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(clients_add(&clients, &old, &limits), 0);
	assert_int_equal(clients_add(&clients, &old, &limits), ERR_LIMIT);
	a.ip[7] = 0;
	clients_remove(&clients, &a); /* the fifth one */
	a.ip[6] = 77;
	assert_int_equal(clients_add(&clients, &a, &limits), 0);
	a.ip[6] = 78;
	assert_int_equal(clients_add(&clients, &a, &limits), ERR_LIMIT);
	clients_done(&clients);
}

/* As many different clients of different sites as the table was made for. */
static void a_table_full_of_sites(void **state)
{
	(void)state;
	enum { HOSTS = 1000 };
	static const struct clients_limits limits = {.per_client = 1, .per_site = 1};
	struct clients clients;

	assert_int_equal(clients_init(&clients, HOSTS, 7), 0);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < HOSTS; i++) {
			struct netaddr a = {.family = NETADDR_V6,
				.ip = {0x20, 1, [4] = (uint8_t)(i >> 8), (uint8_t)i}};
			assert_int_equal(clients_add(&clients, &a, &limits), 0);
			assert_int_equal(clients_add(&clients, &a, &limits), ERR_LIMIT);
		}
		for (int i = 0; i < HOSTS; i++) {
			struct netaddr a = {.family = NETADDR_V6,
				.ip = {0x20, 1, [4] = (uint8_t)(i >> 8), (uint8_t)i}};
			clients_remove(&clients, &a);
			assert_int_equal(clients_count(&clients, &a), 0);
		}
	}
	assert_int_equal(clients.used, 0);
	clients_done(&clients);
}

static void the_table_never_fills(void **state)
{
	(void)state;
	struct clients clients;

	assert_int_equal(clients_init(&clients, 10, 7), 0);
	for (uint32_t i = 0; i < 10; i++) {
		struct netaddr a = v4(i);
		assert_int_equal(add(&clients, &a, 0), 0);
	}
	struct netaddr more = v4(10);
	assert_int_equal(add(&clients, &more, 0), ERR_LIMIT);
	clients_done(&clients);
}

static void coming_and_going_counts_right(void **state)
{
	(void)state;
	enum { HOSTS = 300, STEPS = 200000 };
	static uint32_t counts[HOSTS];
	struct clients clients;
	struct prng prng;

	prng_seed(&prng, 42);
	assert_int_equal(clients_init(&clients, HOSTS, prng_u64(&prng)), 0);
	for (int i = 0; i < STEPS; i++) {
		uint32_t host = (uint32_t)prng_below(&prng, HOSTS);
		struct netaddr a = v4(host * 7919);

		assert_int_equal(clients_count(&clients, &a), counts[host]);
		if (prng_below(&prng, 2) && counts[host] < 3) {
			assert_int_equal(add(&clients, &a, 3), 0);
			counts[host]++;
		} else if (counts[host]) {
			clients_remove(&clients, &a);
			counts[host]--;
		}
	}
	clients_done(&clients);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_has_its_limit),
		cmocka_unit_test(an_ipv6_host_is_its_network),
		cmocka_unit_test(a_site_has_its_limit),
		cmocka_unit_test(a_table_full_of_sites),
		cmocka_unit_test(the_table_never_fills),
		cmocka_unit_test(coming_and_going_counts_right),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
