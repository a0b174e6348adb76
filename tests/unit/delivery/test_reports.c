/*
 * What TLS reports say of what happened (RFC 8460 sections 4.3 and 4.4): the report that a domain's
 * server takes is unpacked and read.
 */
#include "world.h"

#include <jansson.h>
#include <zlib.h>

#define BODY	  "Subject: hello\r\n\r\nhello\r\n"
#define TLSA_DATA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OBJECTS                                                                               \
	"transports:\n  mx: { server: lookup-mx, private-hosts: true, retry-delay: 1h, tls: " \
	"mta-sts }\ndefault-transport: mx\n"
#define POLICY_OF(mode, mx) "version: STSv1\r\nmode: " mode "\r\nmx: " mx "\r\nmax_age: 604800\r\n"
#define JSON_ROOM	    65536

#define HOST                                                            \
	{"far.example", DNS_MX, 10, "mx1.far.example"},                 \
		{"mx1.far.example", DNS_A, 0, "198.51.100.1"},          \
		{"mta-sts.far.example", DNS_A, 0, "198.51.100.80"},     \
		{"_smtp._tls.far.example", DNS_TXT, 0,                  \
			"v=TLSRPTv1; rua=https://reports.example/tls"}, \
	{                                                               \
		"reports.example", DNS_A, 0, "203.0.114.91"             \
	}
static const struct dns_row plain_rows[] = {HOST, {0}};
static const struct dns_row sts_rows[] = {
	HOST, {"_mta-sts.far.example", DNS_TXT, 0, "v=STSv1; id=1;"}, {0}};
static const struct dns_row tlsa_rows[] = {
	HOST, {"_25._tcp.mx1.far.example", DNS_TLSA, 0, "3 1 1 " TLSA_DATA}, {0}};
static const struct dns_row useless_rows[] = {
	HOST, {"_25._tcp.mx1.far.example", DNS_TLSA, 0, "1 1 1 " TLSA_DATA}, {0}};
static const struct dns_row useless_sts_rows[] = {HOST,
	{"_25._tcp.mx1.far.example", DNS_TLSA, 0, "1 1 1 " TLSA_DATA},
	{"_mta-sts.far.example", DNS_TXT, 0, "v=STSv1; id=1;"}, {0}};

static struct fetch_answer page;

static void web(struct world *w, const struct fetch_query *query, struct fetch_answer *answer)
{
	(void)w;
	*answer = query->content_type.n ? (struct fetch_answer){.result = FETCH_OK, .status = 201}
					: page;
}

static struct fetch_answer policy(const char *text)
{
	return (struct fetch_answer){.result = FETCH_OK,
		.status = 200,
		.content_type = SPAN("text/plain"),
		.body = span_str(text)};
}

static enum tls_failure self_signed(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	return want->check == TLS_CHECK_NOTHING ? TLS_FINE : TLS_UNTRUSTED;
}

static enum tls_failure no_match(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	return want->check == TLS_CHECK_DANE ? TLS_NO_MATCH : TLS_FINE;
}

/* One message to the domain, and the report of it. */
static json_t *report_of(struct world *w)
{
	static char text[JSON_ROOM];
	z_stream z = {0};

	world_send(w, "ann@a.example", "bob@far.example", BODY);
	world_pass(w, SECOND);
	free(world_control(w, "{\"op\":\"tls-report\"}"));
	world_pass(w, MINUTE);
	assert_non_null(w->posted);
	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_in = (unsigned char *)w->posted;
	z.avail_in = (unsigned)w->posted_bytes;
	z.next_out = (unsigned char *)text;
	z.avail_out = sizeof(text);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	json_t *json = json_loadb(text, z.total_out, 0, NULL);
	inflateEnd(&z);
	assert_non_null(json);
	return json;
}

static const json_t *policy_of_type(const json_t *report, const char *type)
{
	size_t i;
	const json_t *one;

	json_array_foreach(json_object_get(report, "policies"), i, one)
	{
		const json_t *said = json_object_get(json_object_get(one, "policy"), "policy-type");

		if (!strcmp(json_string_value(said), type))
			return one;
	}
	return NULL;
}

static int counted(const json_t *one, const char *what)
{
	return (int)json_integer_value(json_object_get(json_object_get(one, "summary"), what));
}

struct expected {
	const char *type;
	int successes, failures;
	const char *result; /* NULL: none */
};

static void expect(const json_t *report, const struct expected *want)
{
	const json_t *one = policy_of_type(report, want->type);

	assert_non_null(one);
	assert_int_equal(counted(one, "total-successful-session-count"), want->successes);
	assert_int_equal(counted(one, "total-failure-session-count"), want->failures);
	const json_t *details = json_object_get(one, "failure-details");
	assert_int_equal(json_array_size(details), want->result ? 1 : 0);
	if (want->result)
		assert_string_equal(json_string_value(json_object_get(
					    json_array_get(details, 0), "result-type")),
			want->result);
}

static const char *detail_of(const json_t *report, const char *type, const char *key)
{
	const json_t *details = json_object_get(policy_of_type(report, type), "failure-details");

	return json_string_value(json_object_get(json_array_get(details, 0), key));
}

static struct world *open_world(const struct dns_row *rows)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init_with(w, OBJECTS);
	w->rows = rows;
	w->dnssec = true;
	w->ehlo = "250-hop.example\r\n250-STARTTLS\r\n250 SIZE 10000000";
	w->web = web;
	page = (struct fetch_answer){.result = FETCH_UNREACHABLE};
	return w;
}

static void close_world(struct world *w)
{
	world_sound(w);
	world_done(w);
	free(w);
}

static void check(struct world *w, const struct expected *want, bool goes)
{
	json_t *report = report_of(w);

	expect(report, want);
	assert_int_equal(world_taken(w, "bob@far.example"), goes);
	json_decref(report);
	close_world(w);
}

static void without_a_policy(void **state)
{
	(void)state;
	check(open_world(plain_rows), &(struct expected){"no-policy-found", 1, 0, NULL}, true);
	struct world *w = open_world(plain_rows);
	w->ehlo = "250 hop.example";
	check(w, &(struct expected){"no-policy-found", 0, 1, "starttls-not-supported"}, true);
}

/* Where both ends of a failure are known, they are told. */
static void a_failure_names_both_ends(void **state)
{
	struct world *w = open_world(sts_rows);
	(void)state;

	page = policy(POLICY_OF("enforce", "mx1.far.example"));
	w->handshake = self_signed;
	json_t *report = report_of(w);
	expect(report, &(struct expected){"sts", 0, 1, "certificate-not-trusted"});
	assert_string_equal(detail_of(report, "sts", "sending-mta-ip"), WORLD_LOCAL);
	assert_string_equal(detail_of(report, "sts", "receiving-ip"), "198.51.100.1");
	assert_string_equal(detail_of(report, "sts", "receiving-mx-hostname"), "mx1.far.example");
	json_decref(report);
	close_world(w);
}

/* In mode testing what would fail is told as if it had (RFC 8461 section 5), an exchanger that the
 * policy does not name, too. */
static void a_policy_that_is_tested(void **state)
{
	static const struct {
		const char *mode;
		struct expected want;
		bool goes;
	} cases[] = {
		{POLICY_OF("enforce", "mx1.far.example"), {"sts", 1, 0, NULL}, true},
		{POLICY_OF("testing", "mx1.far.example"), {"sts", 1, 0, NULL}, true},
		{POLICY_OF("enforce", "other.far.example"), {"sts", 0, 1, "validation-failure"},
			false},
		{POLICY_OF("testing", "other.far.example"), {"sts", 0, 1, "validation-failure"},
			true},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w = open_world(sts_rows);

		page = policy(cases[i].mode);
		check(w, &cases[i].want, cases[i].goes);
	}
}

/* RFC 8460 section 4.3.2.2: the domain has a policy, and mail goes without. */
static void a_policy_that_cannot_be_had(void **state)
{
	static const struct {
		struct fetch_answer page;
		const char *result;
	} cases[] = {
		{{.result = FETCH_UNREACHABLE}, "sts-policy-fetch-error"},
		{{.result = FETCH_STATUS, .status = 404}, "sts-policy-fetch-error"},
		{{.result = FETCH_TLS}, "sts-webpki-invalid"},
		{{.result = FETCH_OK,
			 .status = 200,
			 .content_type = SPAN("text/plain"),
			 .body = SPAN("nonsense")},
			"sts-policy-invalid"},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w = open_world(sts_rows);

		page = cases[i].page;
		json_t *report = report_of(w);
		expect(report, &(struct expected){"sts", 0, 1, cases[i].result});
		expect(report, &(struct expected){"no-policy-found", 1, 0, NULL});
		assert_int_equal(world_taken(w, "bob@far.example"), 1);
		json_decref(report);
		close_world(w);
	}
}

static void dane(void **state)
{
	struct world *w;
	(void)state;

	check(open_world(tlsa_rows), &(struct expected){"tlsa", 1, 0, NULL}, true);
	w = open_world(tlsa_rows);
	w->handshake = no_match;
	check(w, &(struct expected){"tlsa", 0, 1, "validation-failure"}, false);
	/* "None of the records in the RRset were found to be valid." */
	check(open_world(useless_rows), &(struct expected){"tlsa", 0, 1, "tlsa-invalid"}, true);
	w = open_world(tlsa_rows);
	w->dns_broken = "_25._tcp.mx1.far.example";
	check(w, &(struct expected){"tlsa", 0, 1, "dnssec-invalid"}, false);
}

/* Records that say nothing do not take a policy away (RFC 8461 section 2: they do not override it
 * by passing, either). */
static void useless_records_beside_a_policy(void **state)
{
	struct world *w = open_world(useless_sts_rows);
	(void)state;

	page = policy(POLICY_OF("enforce", "mx1.far.example"));
	w->handshake = self_signed;
	check(w, &(struct expected){"sts", 0, 1, "certificate-not-trusted"}, false);
	/* TLS there must be, even where the policy is tested only. */
	w = open_world(useless_sts_rows);
	page = policy(POLICY_OF("testing", "mx1.far.example"));
	w->ehlo = "250 hop.example";
	check(w, &(struct expected){"sts", 0, 1, "starttls-not-supported"}, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_policy),
		cmocka_unit_test(a_failure_names_both_ends),
		cmocka_unit_test(a_policy_that_is_tested),
		cmocka_unit_test(a_policy_that_cannot_be_had),
		cmocka_unit_test(dane),
		cmocka_unit_test(useless_records_beside_a_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
