/*
 * How MTA-STS policies come and stay (RFC 8461 sections 3.3, 5.1, 10.2): mail waits for the first
 * word about a domain, and for nothing after that.
 */
#include "world.h"

#include "delivery/sts.h"

#define BODY "Subject: hello\r\n\r\nhello\r\n"
#define DAY  (24 * HOUR)
#define OBJECTS                                                                              \
	"transports:\n  mx: { server: lookup-mx, private-hosts: true, retry-delay: 1, tls: " \
	"mta-sts }\ndefault-transport: mx\n"
#define POLICY_OF(mode, age) \
	"version: STSv1\r\nmode: " mode "\r\nmx: mx1.far.example\r\nmax_age: " age "\r\n"

#define ROWS(id)                                                                     \
	{                                                                            \
		{"far.example", DNS_MX, 10, "mx1.far.example"},                      \
			{"mx1.far.example", DNS_A, 0, "198.51.100.1"},               \
			{"_mta-sts.far.example", DNS_TXT, 0, "v=STSv1; id=" id ";"}, \
			{"mta-sts.far.example", DNS_A, 0, "198.51.100.80"},          \
			{"none.example", DNS_MX, 10, "mx1.far.example"},             \
		{                                                                    \
			0                                                            \
		}                                                                    \
	}

static const struct dns_row rows[] = ROWS("1"), newer_rows[] = ROWS("2");

static const char *policy;
static uint32_t policy_status = 200;

static void web(struct world *w, const struct fetch_query *query, struct fetch_answer *answer)
{
	(void)w;
	(void)query;
	if (policy)
		*answer = (struct fetch_answer){.result = FETCH_OK,
			.status = policy_status,
			.content_type = SPAN("text/plain"),
			.body = span_str(policy)};
}

static enum tls_failure self_signed(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	return want->check == TLS_CHECK_NOTHING ? TLS_FINE : TLS_UNTRUSTED;
}

static struct world *open_world(const char *text)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init_with(w, OBJECTS);
	w->rows = rows;
	w->ehlo = "250-hop.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 10000000";
	w->web = web;
	policy = text;
	return w;
}

static void close_world(struct world *w)
{
	world_sound(w);
	world_done(w);
	free(w);
}

/* It goes, or not, within a second. */
static bool goes_at_once(struct world *w)
{
	size_t before = w->taken_count;

	world_send(w, "ann@a.example", "bob@far.example", BODY);
	world_pass(w, SECOND);
	return w->taken_count > before;
}

/* ---- a policy that cannot be had --------------------------------------------------------- */

static void mail_waits_once_for_a_silent_policy_host(void **state)
{
	struct world *w = open_world(NULL);
	(void)state;

	w->web_waits = true;
	assert_false(goes_at_once(w));
	world_pass(w, STS_WAIT_MS);
	assert_int_equal(w->taken_count, 1);
	/* It is silent still, and the time is up for all. */
	world_pass(w, 6 * MINUTE);
	assert_true(goes_at_once(w));
	assert_int_equal(w->fetches, 1);
	close_world(w);
}

/* Mail to many domains at once: whoever finds all searches under way waits for one to end, and does
 * not go without the policy that there is. */
static void nobody_goes_without_as_so_many_are_looked_for(void **state)
{
	static char names[STS_SEARCHES][4][40];
	static struct dns_row many[3 * STS_SEARCHES + ARRAY_SIZE(rows)];
	size_t n = 0;
	(void)state;

	for (size_t i = 0; i < STS_SEARCHES; i++) {
		snprintf(names[i][0], 40, "d%zu.example", i);
		snprintf(names[i][1], 40, "_mta-sts.d%zu.example", i);
		snprintf(names[i][2], 40, "mta-sts.d%zu.example", i);
		snprintf(names[i][3], 40, "bob@d%zu.example", i);
		many[n++] = (struct dns_row){names[i][0], DNS_MX, 10, "mx1.far.example"};
		many[n++] = (struct dns_row){names[i][1], DNS_TXT, 0, "v=STSv1; id=1;"};
		many[n++] = (struct dns_row){names[i][2], DNS_A, 0, "198.51.100.80"};
	}
	memcpy(many + n, rows, sizeof(rows));
	struct world *w = open_world(POLICY_OF("enforce", "604800"));

	w->rows = many;
	w->web_waits = true;
	for (size_t i = 0; i < STS_SEARCHES; i++)
		world_send(w, "ann@a.example", names[i][3], BODY);
	world_pass(w, SECOND);
	world_send(w, "ann@a.example", "bob@far.example", BODY);
	world_pass(w, SECOND);
	w->web_waits = false;
	world_pass(w, 10 * SECOND);
	assert_int_equal(w->taken_count, STS_SEARCHES + 1);
	for (size_t i = 0; i < w->taken_count; i++)
		assert_true(w->taken[i].verified);
	close_world(w);
}

static void a_failure_is_remembered(void **state)
{
	struct world *w = open_world(NULL);
	(void)state;

	assert_true(goes_at_once(w));
	assert_int_equal(w->fetches, 1);
	/* What is tried again is none of mail's business. */
	world_pass(w, STS_FAILED_MS + SECOND);
	w->web_waits = true;
	assert_true(goes_at_once(w));
	assert_int_equal(w->fetches, 2);
	world_pass(w, MINUTE);
	assert_true(goes_at_once(w));
	close_world(w);
}

static void a_silent_dns_is_remembered(void **state)
{
	struct world *w = open_world(NULL);
	(void)state;

	w->dns_broken = "_mta-sts.far.example";
	assert_true(goes_at_once(w));
	world_pass(w, STS_FAILED_MS + SECOND);
	w->dns_broken = NULL;
	w->web_waits = true;
	assert_true(goes_at_once(w));
	close_world(w);
}

/* Two days of mail every five minutes. */
static void failures_are_tried_again_less_and_less(void **state)
{
	struct world *w = open_world(NULL);
	uint32_t day = 0;
	(void)state;

	for (uint64_t ms = 0; ms < 2 * DAY; ms += 10 * MINUTE) {
		if (ms == DAY)
			day = w->fetches;
		assert_true(goes_at_once(w));
		for (size_t i = 0; i < w->taken_count; i++)
			free(w->taken[i].body);
		w->taken_count = 0;
		w->event_count = 0;
		world_pass(w, 10 * MINUTE - SECOND);
	}
	assert_in_range(day, 5, 10);
	assert_in_range(w->fetches - day, 1, 2);
	close_world(w);
}

/* RFC 8461 section 3.3: "… per version ID": another one may be fetched at once. */
static void a_new_id_ends_the_wait(void **state)
{
	struct world *w = open_world(NULL);
	(void)state;

	for (int i = 0; i < 12; i++) {
		assert_true(goes_at_once(w));
		world_pass(w, 2 * HOUR);
	}
	uint32_t fetches = w->fetches;
	assert_true(goes_at_once(w));
	world_pass(w, 2 * HOUR);
	assert_int_equal(w->fetches, fetches);
	w->rows = newer_rows;
	policy = POLICY_OF("enforce", "604800");
	assert_true(goes_at_once(w));
	assert_int_equal(w->fetches, fetches + 1);
	world_pass(w, MINUTE);
	w->handshake = self_signed;
	assert_false(goes_at_once(w));
	close_world(w);
}

/* What was found meanwhile counts for the next mail, not when the hosts' addresses are old. */
static void what_comes_of_it_counts_soon(void **state)
{
	struct world *w = open_world(NULL);
	(void)state;

	w->handshake = self_signed;
	assert_true(goes_at_once(w));
	world_pass(w, STS_FAILED_MS + SECOND);
	policy = POLICY_OF("enforce", "604800");
	assert_true(goes_at_once(w));
	world_pass(w, 30 * SECOND);
	assert_false(goes_at_once(w));
	close_world(w);
}

/* RFC 8461 section 3.3: "only valid if the HTTP response code is 200". */
static void another_success_brings_no_policy(void **state)
{
	struct world *w = open_world(POLICY_OF("enforce", "604800"));
	(void)state;

	policy_status = 203;
	w->handshake = self_signed;
	assert_true(goes_at_once(w));
	policy_status = 200;
	close_world(w);
}

/* ---- a policy that is there -------------------------------------------------------------- */

static void a_policy_is_renewed_while_mail_goes_on(void **state)
{
	static const char *const ages[] = {
		POLICY_OF("enforce", "604800"), POLICY_OF("enforce", "3600")};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(ages); i++) {
		struct world *w = open_world(ages[i]);
		uint64_t step = i ? 20 * MINUTE : 20 * HOUR;

		assert_true(goes_at_once(w));
		w->web_waits = true;
		for (int k = 0; k < 6; k++) {
			world_pass(w, step - MINUTE);
			assert_true(goes_at_once(w));
			assert_true(w->taken[w->taken_count - 1].verified);
			/* He answers after a while. */
			w->web_waits = false;
			world_pass(w, MINUTE - SECOND);
			w->web_waits = true;
		}
		assert_true(w->fetches > 2);
		close_world(w);
	}
}

/* RFC 8461 section 10.2: daily, so that whoever keeps us from the web server on the day when there
 * is mail gains nothing. */
static void a_policy_is_renewed_without_mail(void **state)
{
	struct world *w = open_world(POLICY_OF("enforce", "604800"));
	(void)state;

	assert_true(goes_at_once(w));
	world_pass(w, 20 * DAY);
	assert_in_range(w->fetches, 15, 25);
	policy = NULL;
	w->handshake = self_signed;
	w->dns_broken = "_mta-sts.far.example";
	assert_false(goes_at_once(w));
	world_crash(w);
	world_pass(w, DAY);
	assert_int_equal(w->taken_count, 1);
	close_world(w);
}

/* One of ten minutes is not fetched for a month, in the place of those that are worth it. */
static void a_short_policy_is_not_renewed_without_mail(void **state)
{
	struct world *w = open_world(POLICY_OF("enforce", "598"));
	(void)state;

	assert_true(goes_at_once(w));
	world_pass(w, DAY);
	assert_in_range(w->fetches, 2, 12);
	close_world(w);
}

/* But not for ever: nobody has sent mail there for long. */
static void a_policy_that_nobody_needs_ends(void **state)
{
	struct world *w = open_world(POLICY_OF("enforce", "604800"));
	(void)state;

	assert_true(goes_at_once(w));
	world_pass(w, 60 * DAY);
	uint32_t fetches = w->fetches;
	world_pass(w, 20 * DAY);
	assert_int_equal(w->fetches, fetches);
	close_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_waits_once_for_a_silent_policy_host),
		cmocka_unit_test(nobody_goes_without_as_so_many_are_looked_for),
		cmocka_unit_test(a_failure_is_remembered),
		cmocka_unit_test(a_silent_dns_is_remembered),
		cmocka_unit_test(failures_are_tried_again_less_and_less),
		cmocka_unit_test(a_new_id_ends_the_wait),
		cmocka_unit_test(what_comes_of_it_counts_soon),
		cmocka_unit_test(another_success_brings_no_policy),
		cmocka_unit_test(a_policy_is_renewed_while_mail_goes_on),
		cmocka_unit_test(a_policy_is_renewed_without_mail),
		cmocka_unit_test(a_short_policy_is_not_renewed_without_mail),
		cmocka_unit_test(a_policy_that_nobody_needs_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
