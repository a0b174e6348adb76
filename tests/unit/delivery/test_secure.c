/*
 * How links are protected: what each policy lets through, and what no attacker between us and the
 * next hop can make of it.
 */
#include "route/mx.h"
#include "world.h"

#define BODY	  "Subject: hello\r\n\r\nhello\r\n"
#define TLS_EHLO  "250-hop.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 10000000"
#define TLSA_DATA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OBJECTS(tls)                                                                             \
	"transports:\n  mx: { server: lookup-mx, private-hosts: true, retry-delay: 1, tls: " tls \
	" }\n"                                                                                   \
	"  fixed: { server: \"192.0.2.9:2525\", retry-delay: 1, tls: " tls " }\n"                \
	"domains:\n  fixed.example: { transport: fixed }\n"                                      \
	"default-transport: mx\n"
#define POLICY_OF(mode) \
	"version: STSv1\r\nmode: " mode "\r\nmx: mx1.far.example\r\nmax_age: 604800\r\n"

static const struct dns_row plain_rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"mx1.far.example", DNS_A, 0, "198.51.100.1"}, {0}};
static const struct dns_row tlsa_rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
	{"_25._tcp.mx1.far.example", DNS_TLSA, 0, "3 1 1 " TLSA_DATA}, {0}};
static const struct dns_row useless_rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
	{"_25._tcp.mx1.far.example", DNS_TLSA, 0, "1 1 1 " TLSA_DATA}, {0}};
static const struct dns_row sts_rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"far.example", DNS_MX, 20, "evil.example"}, {"mx1.far.example", DNS_A, 0, "198.51.100.1"},
	{"evil.example", DNS_A, 0, "198.51.100.66"},
	{"_mta-sts.far.example", DNS_TXT, 0, "v=STSv1; id=20260101;"},
	{"mta-sts.far.example", DNS_A, 0, "198.51.100.80"},
	{"_smtp._tls.far.example", DNS_TXT, 0, "v=TLSRPTv1; rua=mailto:tls@reports.example"},
	{"reports.example", DNS_MX, 10, "mx.reports.example"},
	{"mx.reports.example", DNS_A, 0, "198.51.100.90"}, {0}};

static struct world *open_world(const char *objects, const struct dns_row *rows)
{
	struct world *w = calloc(1, sizeof(*w));

	world_init_with(w, objects);
	w->rows = rows;
	w->ehlo = TLS_EHLO;
	return w;
}

static void close_world(struct world *w)
{
	world_sound(w);
	world_done(w);
	free(w);
}

static void send_to_far(struct world *w)
{
	world_send(w, "ann@a.example", "bob@far.example", BODY);
	world_pass(w, 10 * SECOND);
}

static enum tls_failure fails(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	(void)want;
	return TLS_HANDSHAKE;
}

/* A certificate for nobody in particular: whoever checks it is not content. */
static enum tls_failure self_signed(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	return want->check == TLS_CHECK_NOTHING ? TLS_FINE : TLS_UNTRUSTED;
}

static bool wants_name(const struct tls_client *want, const char *name)
{
	for (size_t i = 0; i < want->name_count; i++)
		if (span_equal(want->names[i], span_str(name)))
			return true;
	return false;
}

/* The right TLSA record, the right chain for mx1.far.example. */
static enum tls_failure right(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	if (want->check == TLS_CHECK_DANE)
		return want->tlsa_count == 1 && want->tlsa[0].usage == 3 &&
				       want->tlsa[0].data.n == 32 &&
				       (uint8_t)want->tlsa[0].data.p[1] == 0x23
			       ? TLS_FINE
			       : TLS_NO_MATCH;
	if (want->check == TLS_CHECK_CHAIN)
		return wants_name(want, "mx1.far.example") ? TLS_FINE : TLS_NAME;
	return TLS_FINE;
}

static enum tls_failure wrong_key(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)w;
	(void)hop;
	return want->check == TLS_CHECK_DANE ? TLS_NO_MATCH : TLS_FINE;
}

/* ---- without a policy of the domain ------------------------------------------------------ */

static void opportunistic_takes_any_certificate(void **state)
{
	struct world *w = open_world(OBJECTS("opportunistic"), plain_rows);
	(void)state;

	w->handshake = self_signed;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].secured);
	assert_false(w->taken[0].verified);
	close_world(w);
}

static void opportunistic_goes_in_clear_where_the_handshake_fails(void **state)
{
	struct world *w = open_world(OBJECTS("opportunistic"), plain_rows);
	(void)state;

	w->handshake = fails;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_false(w->taken[0].secured);
	assert_int_equal(w->connects, 2);
	close_world(w);
}

static void opportunistic_goes_in_clear_where_nothing_is_offered(void **state)
{
	struct world *w = open_world(OBJECTS("opportunistic"), plain_rows);
	(void)state;

	w->ehlo = "250 hop.example";
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_false(w->taken[0].secured);
	close_world(w);
}

static void none_does_not_even_ask(void **state)
{
	struct world *w = open_world(OBJECTS("none"), plain_rows);
	(void)state;

	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_false(w->taken[0].secured);
	close_world(w);
}

/* Whoever sits on the line takes STARTTLS out of the reply. */
static void a_stripped_capability_never_brings_clear_text(void **state)
{
	static const char *const policies[] = {
		OBJECTS("require"), OBJECTS("verify"), OBJECTS("dane"), OBJECTS("mta-sts")};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct world *w = open_world(policies[i], tlsa_rows);

		w->dnssec = true;
		w->ehlo = "250-hop.example\r\n250 PIPELINING";
		send_to_far(w);
		world_pass(w, HOUR);
		assert_int_equal(w->taken_count, 0);
		assert_true(world_events(w, EVENT_TRANSIENT_FAILURE) > 0);
		assert_int_equal(world_queued(w), 1);
		close_world(w);
	}
}

static void a_failed_handshake_never_brings_clear_text(void **state)
{
	static const char *const policies[] = {
		OBJECTS("require"), OBJECTS("verify"), OBJECTS("dane"), OBJECTS("mta-sts")};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct world *w = open_world(policies[i], tlsa_rows);

		w->dnssec = true;
		w->handshake = fails;
		send_to_far(w);
		world_pass(w, HOUR);
		assert_int_equal(w->taken_count, 0);
		assert_int_equal(world_queued(w), 1);
		close_world(w);
	}
}

static void require_wants_tls_and_no_certificate(void **state)
{
	struct world *w = open_world(OBJECTS("require"), plain_rows);
	(void)state;

	w->handshake = self_signed;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].secured);
	close_world(w);
}

/* ---- verify ------------------------------------------------------------------------------ */

static char seen_names[1000];

static enum tls_failure note_names(struct world *w, struct hop *hop, const struct tls_client *want)
{
	size_t n = 0;
	(void)w;
	(void)hop;

	for (size_t i = 0; i < want->name_count; i++)
		n += (size_t)snprintf(seen_names + n, sizeof(seen_names) - n, "%.*s ",
			(int)want->names[i].n, want->names[i].p);
	assert_int_equal(want->check, TLS_CHECK_CHAIN);
	return TLS_FINE;
}

/* A name that came from the DNS without DNSSEC proves nothing. */
static void verify_trusts_only_names_that_are_vouched_for(void **state)
{
	(void)state;
	for (int dnssec = 0; dnssec < 2; dnssec++) {
		struct world *w = open_world(OBJECTS("verify"), plain_rows);

		w->dnssec = dnssec;
		w->handshake = note_names;
		send_to_far(w);
		assert_int_equal(w->taken_count, 1);
		assert_true(w->taken[0].verified);
		assert_string_equal(seen_names, dnssec ? "mx1.far.example far.example .far.example "
						       : "far.example .far.example ");
		close_world(w);
	}
}

static void verify_of_a_named_server_is_by_its_name(void **state)
{
	static const struct dns_row rows[] = {{"mx.b.example", DNS_A, 0, "192.0.2.77"}, {0}};
	struct world *w = open_world("transports:\n"
				     "  b: { server: \"mx.b.example:2525\", tls: verify }\n"
				     "domains:\n  b.example: { transport: b }\n",
		rows);
	(void)state;

	w->handshake = note_names;
	world_send(w, "ann@a.example", "bob@b.example", BODY);
	world_pass(w, 10 * SECOND);
	assert_int_equal(w->taken_count, 1);
	assert_string_equal(seen_names, "mx.b.example ");
	close_world(w);
}

/* Whoever reads it can mend it. */
static void a_tls_ca_that_cannot_be_read_is_named(void **state)
{
	static const struct dns_row rows[] = {{"mx.b.example", DNS_A, 0, "192.0.2.77"}, {0}};
	static const struct {
		int err;
		const char *says;
	} cases[] = {{ERR_DENIED, "permission denied"}, {ERR_NOT_FOUND, "not found"},
		{ERR_SYNTAX, "no certificates"}};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w =
			open_world("transports:\n"
				   "  b: { server: \"mx.b.example:2525\", tls: verify, tls-ca: "
				   "/etc/ssl/b.pem, retry-delay: 1 }\n"
				   "domains:\n  b.example: { transport: b }\n",
				rows);

		w->ca_error = cases[i].err;
		world_send(w, "ann@a.example", "bob@b.example", BODY);
		world_pass(w, 10 * SECOND);
		assert_int_equal(w->connects, 0);
		const char *reason = world_event(w, EVENT_TRANSIENT_FAILURE, 0)->text;
		assert_non_null(strstr(reason, "/etc/ssl/b.pem"));
		assert_non_null(strstr(reason, cases[i].says));
		assert_non_null(strstr(reason, "posternctl transport set b tls-ca="));
		assert_int_equal(w->warnings, 1);
		assert_non_null(strstr(w->warned, "file=/etc/ssl/b.pem"));
		w->ca_error = 0;
		world_pass(w, 10 * MINUTE);
		assert_int_equal(w->taken_count, 1);
		close_world(w);
	}
}

/* Strangers' domains may have many hosts, and the file with all authorities is long. */
static void a_tls_ca_is_read_once_for_all_hosts(void **state)
{
	static char names[MX_HOSTS][32];
	static struct dns_row rows[2 * MX_HOSTS + 1];
	(void)state;

	for (size_t i = 0; i < MX_HOSTS; i++) {
		snprintf(names[i], sizeof(names[i]), "mx%zu.far.example", i);
		rows[2 * i] = (struct dns_row){"far.example", DNS_MX, (uint16_t)i, names[i]};
		rows[2 * i + 1] = (struct dns_row){names[i], DNS_A, 0, "198.51.100.1"};
	}
	struct world *w = open_world(OBJECTS("verify, tls-ca: /etc/ssl/all.pem"), rows);

	w->ca_bytes = 500000;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(w->ca_reads, 1);
	close_world(w);
}

/* ---- DANE -------------------------------------------------------------------------------- */

static void dane_takes_the_right_key_only(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->dnssec = true;
	w->handshake = wrong_key;
	send_to_far(w);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(world_queued(w), 1);
	w->handshake = right;
	world_pass(w, 30 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].verified);
	close_world(w);
}

/* Records that DNSSEC does not vouch for are anybody's: RFC 7672 section 2.2. */
static void dane_ignores_records_without_dnssec(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->handshake = wrong_key;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].secured);
	assert_false(w->taken[0].verified);
	close_world(w);
}

/* RFC 7672 section 2.1.2: an answer that does not come is not the answer "none". */
static void dane_waits_while_records_cannot_be_looked_up(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->dnssec = true;
	w->dns_broken = "_25._tcp.mx1.far.example";
	w->handshake = right;
	send_to_far(w);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(w->connects, 0);
	assert_non_null(strstr(world_event(w, EVENT_TRANSIENT_FAILURE, 0)->text, "TLSA"));
	w->dns_broken = NULL;
	world_pass(w, 2 * HOUR);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].verified);
	close_world(w);
}

/* What could not be told is asked again with the next try, not when the hosts' addresses are old.
 */
static void dane_asks_again_with_the_next_try(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->dnssec = true;
	w->dns_broken = "_25._tcp.mx1.far.example";
	w->handshake = right;
	send_to_far(w);
	w->dns_broken = NULL;
	world_pass(w, 3 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	close_world(w);
}

/* Whoever keeps the answer about the root from us has not turned DANE off with it. */
static void dane_waits_for_word_of_dnssec(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->validated = DNSSEC_UNKNOWN;
	send_to_far(w);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(w->connects, 0);
	w->validated = DNSSEC_YES;
	w->dnssec = true;
	w->handshake = right;
	world_pass(w, 3 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].verified);
	/* Where there is none to be had, mail goes all the same. */
	w->validated = DNSSEC_UNKNOWN;
	w->dnssec = false;
	world_pass(w, 2 * HOUR);
	send_to_far(w);
	assert_int_equal(w->taken_count, 2);
	close_world(w);
}

/* After a restart it is known what was found out before, of the same servers. */
static void word_of_dnssec_outlasts_a_restart(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->dns_servers = 7;
	w->dnssec = true;
	w->handshake = right;
	send_to_far(w);
	world_pass(w, MINUTE);
	world_crash(w);
	assert_int_equal(w->believed, 7);
	/* Silence is no news; that it cannot be had any more is. */
	w->validated = DNSSEC_UNKNOWN;
	world_pass(w, HOUR);
	send_to_far(w);
	w->believed = 0;
	world_crash(w);
	assert_int_equal(w->believed, 7);
	w->validated = DNSSEC_NO;
	world_pass(w, HOUR);
	send_to_far(w);
	w->believed = 0;
	world_crash(w);
	assert_int_equal(w->believed, 0);
	close_world(w);
}

static void dane_without_records_is_opportunistic(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), plain_rows);
	(void)state;

	w->dnssec = true;
	w->handshake = fails;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_false(w->taken[0].secured);
	close_world(w);
}

/* ---- aliases (RFC 7672 section 2.2.3) ---------------------------------------------------- */

#define ALIASED                                                         \
	{"far.example", DNS_MX, 10, "mx1.far.example"},                 \
		{"mx1.far.example", DNS_CNAME, 0, "real.host.example"}, \
	{                                                               \
		"real.host.example", DNS_A, 0, "198.51.100.1"           \
	}
#define TLSA_AT(name)                                             \
	{                                                         \
		"_25._tcp." name, DNS_TLSA, 0, "3 1 1 " TLSA_DATA \
	}

static const struct dns_row at_end_rows[] = {ALIASED, TLSA_AT("real.host.example"), {0}};
static const struct dns_row at_alias_rows[] = {ALIASED, TLSA_AT("mx1.far.example"), {0}};
static const struct dns_row at_both_rows[] = {ALIASED,
	{"_25._tcp.mx1.far.example", DNS_TLSA, 0, "3 1 1 ff" TLSA_DATA},
	TLSA_AT("real.host.example"), {0}};

static char seen_sni[200];

static enum tls_failure right_and_named(
	struct world *w, struct hop *hop, const struct tls_client *want)
{
	snprintf(seen_sni, sizeof(seen_sni), "%.*s", (int)want->sni.n, want->sni.p);
	seen_names[0] = '\0';
	for (size_t i = 0; i < want->name_count; i++)
		snprintf(seen_names + strlen(seen_names), sizeof(seen_names) - strlen(seen_names),
			"%.*s ", (int)want->names[i].n, want->names[i].p);
	return right(w, hop, want);
}

static void dane_follows_aliases(void **state)
{
	static const struct {
		const struct dns_row *rows;
		const char *not_signed, *sni, *names;
	} cases[] = {
		{at_end_rows, NULL, "real.host.example", "real.host.example far.example "},
		{at_both_rows, NULL, "real.host.example", "real.host.example far.example "},
		{at_alias_rows, NULL, "mx1.far.example", "mx1.far.example far.example "},
		/* An alias that is signed, into a zone that is not. */
		{at_alias_rows, ".host.example", "mx1.far.example", "mx1.far.example far.example "},
	};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w = open_world(OBJECTS("dane"), cases[i].rows);

		w->dnssec = true;
		w->dns_unsigned = cases[i].not_signed;
		w->handshake = wrong_key;
		send_to_far(w);
		assert_int_equal(w->taken_count, 0);
		w->handshake = right_and_named;
		world_pass(w, 30 * MINUTE);
		assert_int_equal(w->taken_count, 1);
		assert_true(w->taken[0].verified);
		assert_string_equal(seen_sni, cases[i].sni);
		assert_string_equal(seen_names, cases[i].names);
		close_world(w);
	}
}

/* What is not signed at either end is anybody's. */
static void dane_ignores_aliases_without_dnssec(void **state)
{
	static const struct {
		const struct dns_row *rows;
		const char *not_signed;
	} cases[] = {{at_end_rows, ".host.example"}, {at_alias_rows, ".far.example"}};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w = open_world(OBJECTS("dane"), cases[i].rows);

		w->dnssec = true;
		w->dns_unsigned = cases[i].not_signed;
		w->handshake = wrong_key;
		send_to_far(w);
		assert_int_equal(w->taken_count, 1);
		assert_false(w->taken[0].verified);
		close_world(w);
	}
}

/* A domain that is an alias: its certificates may bear both names. */
static void dane_knows_the_domain_by_both_names(void **state)
{
	static const struct dns_row rows[] = {{"far.example", DNS_CNAME, 0, "other.example"},
		{"other.example", DNS_MX, 10, "mx1.far.example"},
		{"mx1.far.example", DNS_A, 0, "198.51.100.1"}, TLSA_AT("mx1.far.example"), {0}};
	struct world *w = open_world(OBJECTS("dane"), rows);
	(void)state;

	w->dnssec = true;
	w->handshake = right_and_named;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_string_equal(seen_names, "mx1.far.example far.example other.example ");
	close_world(w);
}

/* A server that an administrator named by an alias. */
static void dane_of_a_named_server_by_both_names(void **state)
{
	static const struct dns_row rows[] = {
		{"smart.b.example", DNS_CNAME, 0, "real.host.example"},
		{"real.host.example", DNS_A, 0, "192.0.2.77"},
		{"_2525._tcp.real.host.example", DNS_TLSA, 0, "3 1 1 " TLSA_DATA}, {0}};
	struct world *w = open_world("transports:\n"
				     "  b: { server: \"smart.b.example:2525\", tls: dane }\n"
				     "domains:\n  b.example: { transport: b }\n",
		rows);
	(void)state;

	w->dnssec = true;
	w->handshake = right_and_named;
	world_send(w, "ann@a.example", "bob@b.example", BODY);
	world_pass(w, 10 * SECOND);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].verified);
	assert_string_equal(seen_names, "real.host.example smart.b.example ");
	close_world(w);
}

/* RFC 7672 section 2.2: records, none of which can be used, still mean TLS. */
static void dane_with_useless_records_wants_tls(void **state)
{
	struct world *w = open_world(OBJECTS("dane"), useless_rows);
	(void)state;

	w->dnssec = true;
	w->handshake = fails;
	send_to_far(w);
	assert_int_equal(w->taken_count, 0);
	w->handshake = self_signed;
	world_pass(w, 30 * MINUTE);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].secured);
	close_world(w);
}

/* ---- sessions that are resumed ----------------------------------------------------------- */

static char seen_key[2][1024];

static enum tls_failure note_key(struct world *w, struct hop *hop, const struct tls_client *want)
{
	(void)hop;
	assert_in_range(want->session_key.n, 1, sizeof(seen_key[0]) - 1);
	memcpy(seen_key[w->connects % 2], want->session_key.p, want->session_key.n);
	seen_key[w->connects % 2][want->session_key.n] = '\0';
	/* io/tls.h: a text */
	assert_int_equal(strlen(seen_key[w->connects % 2]), want->session_key.n);
	return TLS_FINE;
}

static void the_same_is_asked_under_the_same_key(void **state)
{
	static const struct dns_row other_rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
		{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
		{"_25._tcp.mx1.far.example", DNS_TLSA, 0, "3 1 1 ff" TLSA_DATA}, {0}};
	struct world *w = open_world(OBJECTS("dane"), tlsa_rows);
	(void)state;

	w->dnssec = true;
	w->handshake = note_key;
	for (int i = 0; i < 2; i++) {
		send_to_far(w);
		world_pass(w, HOUR);
	}
	assert_int_equal(w->connects, 2);
	assert_string_equal(seen_key[0], seen_key[1]);
	w->rows = other_rows;
	send_to_far(w);
	assert_int_equal(w->connects, 3);
	assert_string_not_equal(seen_key[0], seen_key[1]);
	close_world(w);
}

/* RFC 8689 section 5: the sender would rather have it read by others than not at all. What the
 * recipient's domain wants, he may waive; what our administrator wants, he may not. */
static void a_sender_may_waive_what_the_domain_wants(void **state)
{
	static const struct {
		const char *objects;
		bool goes;
	} cases[] = {{OBJECTS("dane"), true}, {OBJECTS("mta-sts"), true},
		{OBJECTS("require"), false}, {OBJECTS("verify"), false}};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w = open_world(cases[i].objects, tlsa_rows);

		w->dnssec = true;
		w->handshake = fails;
		world_send(w, "ann@a.example", "strict@far.example", BODY);
		w->flags = ENVELOPE_TLS_OPTIONAL;
		send_to_far(w);
		world_pass(w, 30 * MINUTE);
		assert_int_equal(world_taken(w, "bob@far.example"), cases[i].goes);
		assert_int_equal(world_taken(w, "strict@far.example"), 0);
		assert_int_equal(world_queued(w), cases[i].goes ? 1 : 2);
		close_world(w);
	}
}

/* ---- MTA-STS ----------------------------------------------------------------------------- */

static const char *policy;
static const char *policy_type = "text/plain";

static void web(struct world *w, const struct fetch_query *query, struct fetch_answer *answer)
{
	(void)w;
	if (!span_equal(query->url, SPAN("https://mta-sts.far.example/.well-known/mta-sts.txt")) ||
		!policy)
		return;
	*answer = (struct fetch_answer){.result = FETCH_OK,
		.status = 200,
		.content_type = span_str(policy_type),
		.body = span_str(policy)};
}

static struct world *open_sts(const char *text)
{
	struct world *w = open_world(OBJECTS("mta-sts"), sts_rows);

	policy = text;
	w->web = web;
	w->handshake = right;
	return w;
}

static void sts_enforced(void **state)
{
	struct world *w = open_sts(POLICY_OF("enforce"));
	(void)state;

	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].verified);
	assert_string_equal(w->taken[0].ip, "198.51.100.1");
	close_world(w);
}

/* Whoever can change MX answers, but has no right certificate. */
static void sts_refuses_hosts_that_the_policy_does_not_name(void **state)
{
	struct world *w = open_sts(POLICY_OF("enforce"));
	(void)state;

	strcpy(w->dead[0], "198.51.100.1");
	send_to_far(w);
	world_pass(w, HOUR);
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(world_queued(w), 1);
	close_world(w);
}

static void sts_refuses_a_certificate_that_is_not_good(void **state)
{
	struct world *w = open_sts(POLICY_OF("enforce"));
	(void)state;

	w->handshake = self_signed;
	send_to_far(w);
	world_pass(w, HOUR);
	assert_int_equal(w->taken_count, 0);
	close_world(w);
}

static void sts_in_testing_only_reports(void **state)
{
	struct world *w = open_sts(POLICY_OF("testing"));
	(void)state;

	w->handshake = self_signed;
	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	assert_true(w->taken[0].secured);
	assert_false(w->taken[0].verified);
	close_world(w);
}

static void sts_that_cannot_be_fetched_is_none(void **state)
{
	static const struct {
		const char *body, *type;
	} cases[] = {
		{NULL, "text/plain"}, {"hello", "text/plain"}, {POLICY_OF("enforce"), "text/html"}};
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world *w = open_sts(cases[i].body);

		policy_type = cases[i].type;
		w->handshake = self_signed;
		send_to_far(w);
		policy_type = "text/plain";
		assert_int_equal(w->taken_count, 1);
		close_world(w);
	}
}

/* RFC 8461 section 10.2: what was learned once cannot be taken away by keeping us from the web
 * server or the DNS, nor by having us start anew. */
static void sts_is_kept_for_its_time(void **state)
{
	struct world *w = open_sts(POLICY_OF("enforce"));
	(void)state;

	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	world_pass(w, 5 * MINUTE);
	policy = NULL;
	w->dns_broken = "_mta-sts.far.example";
	world_crash(w);
	w->handshake = self_signed;
	send_to_far(w);
	world_pass(w, 3 * HOUR);
	assert_int_equal(w->taken_count, 1);
	assert_int_equal(world_queued(w), 1);
	/* It was good for a week. */
	world_pass(w, 24 * 7 * HOUR);
	assert_int_equal(world_queued(w), 0);
	close_world(w);
}

static void a_newer_policy_is_fetched(void **state)
{
	static const struct dns_row later[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
		{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
		{"_mta-sts.far.example", DNS_TXT, 0, "v=STSv1; id=20260202;"},
		{"mta-sts.far.example", DNS_A, 0, "198.51.100.80"}, {0}};
	struct world *w = open_sts(POLICY_OF("enforce"));
	(void)state;

	send_to_far(w);
	assert_int_equal(w->fetches, 1);
	world_pass(w, 2 * HOUR);
	send_to_far(w);
	assert_int_equal(w->fetches, 1);
	policy = "version: STSv1\nmode: none\nmax_age: 86400\n";
	w->rows = later;
	w->handshake = self_signed;
	world_pass(w, 2 * HOUR);
	send_to_far(w);
	world_pass(w, 3 * HOUR);
	send_to_far(w);
	assert_int_equal(w->fetches, 2);
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_taken(w, "far.example"), 4);
	close_world(w);
}

/* A bounce is told when its notification is written; the session may be gone by then. */
static void a_bounce_says_how_the_link_was_protected(void **state)
{
	struct world *w = open_world(OBJECTS("opportunistic"), plain_rows);
	(void)state;

	world_send(w, "ann@fixed.example", "bad@far.example", BODY);
	world_pass(w, 10 * SECOND);
	const struct seen *bounce = world_event(w, EVENT_BOUNCE, 0);
	assert_non_null(bounce);
	assert_string_equal(bounce->tls, "TLSv1.3 TLS_AES_128_GCM_SHA256, not verified");
	close_world(w);
}

/* ---- reports ----------------------------------------------------------------------------- */

static void what_happened_is_reported_after_the_day(void **state)
{
	struct world *w = open_sts(POLICY_OF("testing"));
	(void)state;

	send_to_far(w);
	w->handshake = self_signed;
	world_pass(w, 2 * HOUR);
	send_to_far(w);
	assert_int_equal(world_taken(w, "far.example"), 2);
	world_pass(w, 5 * MINUTE);
	world_crash(w);
	world_pass(w, 30 * HOUR);
	assert_int_equal(world_taken(w, "tls@reports.example"), 1);
	for (size_t i = 0; i < w->taken_count; i++) {
		if (!strstr(w->taken[i].rcpts, "tls@reports.example"))
			continue;
		assert_string_equal(w->taken[i].from, "");
		assert_non_null(strstr(w->taken[i].body, "TLS-Report-Domain: far.example\r\n"));
		assert_non_null(strstr(w->taken[i].body, "application/tlsrpt+gzip"));
	}
	/* Once. */
	world_pass(w, 48 * HOUR);
	assert_int_equal(world_taken(w, "tls@reports.example"), 1);
	close_world(w);
}

static const struct dns_row post_rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"mx1.far.example", DNS_A, 0, "198.51.100.1"},
	{"_smtp._tls.far.example", DNS_TXT, 0, "v=TLSRPTv1; rua=https://reports.example/tls"},
	{"reports.example", DNS_A, 0, "203.0.114.91"}, {0}};

static void take_post(struct world *w, const struct fetch_query *query, struct fetch_answer *answer)
{
	assert_true(span_equal(query->url, SPAN("https://reports.example/tls")));
	assert_true(span_equal(query->content_type, SPAN("application/tlsrpt+gzip")));
	assert_int_equal(query->address_count, 1);
	/* It is there at the second time. */
	*answer = w->fetches > 1 ? (struct fetch_answer){.result = FETCH_OK, .status = 201}
				 : (struct fetch_answer){.result = FETCH_STATUS, .status = 503};
}

static void reports_are_posted_and_tried_again(void **state)
{
	struct world *w = open_world(OBJECTS("opportunistic"), post_rows);
	(void)state;

	w->web = take_post;
	send_to_far(w);
	world_pass(w, 30 * HOUR);
	assert_int_equal(w->fetches, 2);
	assert_non_null(w->posted);
	assert_int_equal((unsigned char)w->posted[0], 0x1f);
	assert_int_equal((unsigned char)w->posted[1], 0x8b);
	close_world(w);
}

/* An administrator need not wait for the night; what comes later is another report. */
static void reports_are_sent_at_once_when_asked_for(void **state)
{
	struct world *w = open_world(OBJECTS("opportunistic"), sts_rows);
	(void)state;

	send_to_far(w);
	assert_int_equal(w->taken_count, 1);
	char *reply = world_control(w, "{\"op\":\"tls-report\"}");
	assert_string_equal(reply, "{\"domains\":1}");
	free(reply);
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, 2);
	assert_non_null(strstr(w->taken[1].rcpts, "tls@reports.example"));
	/* The report's own way was to a domain as well, which asks for none. */
	free(world_control(w, "{\"op\":\"tls-report\"}"));
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, 2);
	send_to_far(w);
	world_pass(w, HOUR);
	assert_int_equal(w->taken_count, 3); /* no further one before its time */
	free(world_control(w, "{\"op\":\"tls-report\"}"));
	world_pass(w, MINUTE);
	assert_int_equal(w->taken_count, 4);
	close_world(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opportunistic_takes_any_certificate),
		cmocka_unit_test(opportunistic_goes_in_clear_where_the_handshake_fails),
		cmocka_unit_test(opportunistic_goes_in_clear_where_nothing_is_offered),
		cmocka_unit_test(none_does_not_even_ask),
		cmocka_unit_test(a_stripped_capability_never_brings_clear_text),
		cmocka_unit_test(a_failed_handshake_never_brings_clear_text),
		cmocka_unit_test(require_wants_tls_and_no_certificate),
		cmocka_unit_test(verify_trusts_only_names_that_are_vouched_for),
		cmocka_unit_test(verify_of_a_named_server_is_by_its_name),
		cmocka_unit_test(a_tls_ca_that_cannot_be_read_is_named),
		cmocka_unit_test(a_tls_ca_is_read_once_for_all_hosts),
		cmocka_unit_test(dane_takes_the_right_key_only),
		cmocka_unit_test(dane_ignores_records_without_dnssec),
		cmocka_unit_test(dane_waits_while_records_cannot_be_looked_up),
		cmocka_unit_test(dane_asks_again_with_the_next_try),
		cmocka_unit_test(dane_waits_for_word_of_dnssec),
		cmocka_unit_test(word_of_dnssec_outlasts_a_restart),
		cmocka_unit_test(dane_without_records_is_opportunistic),
		cmocka_unit_test(dane_follows_aliases),
		cmocka_unit_test(dane_ignores_aliases_without_dnssec),
		cmocka_unit_test(dane_knows_the_domain_by_both_names),
		cmocka_unit_test(dane_of_a_named_server_by_both_names),
		cmocka_unit_test(dane_with_useless_records_wants_tls),
		cmocka_unit_test(the_same_is_asked_under_the_same_key),
		cmocka_unit_test(a_sender_may_waive_what_the_domain_wants),
		cmocka_unit_test(sts_enforced),
		cmocka_unit_test(sts_refuses_hosts_that_the_policy_does_not_name),
		cmocka_unit_test(sts_refuses_a_certificate_that_is_not_good),
		cmocka_unit_test(sts_in_testing_only_reports),
		cmocka_unit_test(sts_that_cannot_be_fetched_is_none),
		cmocka_unit_test(sts_is_kept_for_its_time),
		cmocka_unit_test(a_newer_policy_is_fetched),
		cmocka_unit_test(a_bounce_says_how_the_link_was_protected),
		cmocka_unit_test(what_happened_is_reported_after_the_day),
		cmocka_unit_test(reports_are_posted_and_tried_again),
		cmocka_unit_test(reports_are_sent_at_once_when_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
