/*
 * REQUIRETLS (RFC 8689) where a domain has several hosts: which of them get the message, what
 * becomes of it where none may have it, and that other mail does not suffer.
 */
#include "world.h"

#define BODY	"Subject: hello\r\n\r\nhello\r\n"
#define EHLO	"250-hop.example\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 10000000"
#define HAS_IT	"250-hop.example\r\n250-PIPELINING\r\n250-REQUIRETLS\r\n250 SIZE 10000000"
#define CUTS_IT "250-hop.example\r\n250-REQUIRETLS\r\n250 LIMITS RCPTMAX=1"
#define TLSA	"3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OBJECTS(more)                                                                        \
	"transports:\n  mx: { server: lookup-mx, private-hosts: true, retry-delay: 10m" more \
	" }\ndefault-transport: mx\n"
#define HOSTS 3
#define LACKS "198.51.100.1"

static const struct dns_row rows[] = {{"far.example", DNS_MX, 10, "mx1.far.example"},
	{"far.example", DNS_MX, 20, "mx2.far.example"},
	{"far.example", DNS_MX, 30, "mx3.far.example"}, {"mx1.far.example", DNS_A, 0, LACKS},
	{"mx2.far.example", DNS_A, 0, "198.51.100.2"},
	{"mx3.far.example", DNS_A, 0, "198.51.100.3"},
	{"_25._tcp.mx1.far.example", DNS_TLSA, 0, TLSA},
	{"_25._tcp.mx2.far.example", DNS_TLSA, 0, TLSA},
	{"_25._tcp.mx3.far.example", DNS_TLSA, 0, TLSA}, {0}};

/* What the hosts are like, and what was seen of them. */
static struct {
	const char *has[HOSTS + 1]; /* EHLO reply over TLS; NULL: without REQUIRETLS */
	bool silent[HOSTS + 1];	    /* says nothing when it is connected to */
	unsigned connects[HOSTS + 1], asked[HOSTS + 1], quits[HOSTS + 1];
	size_t open_most;
} hosts;

static void script(struct world *w, struct hop *hop, const char *line, char *reply)
{
	size_t at = (size_t)(hop->ip[strlen(hop->ip) - 1] - '0');

	assert_in_range(at, 1, HOSTS);
	if (strcmp(line, "CONNECT") == 0) {
		hosts.connects[at]++;
		hosts.open_most = MAX(hosts.open_most, world_open(w));
		if (hosts.silent[at])
			strcpy(reply, "SILENT");
	} else if (strncmp(line, "EHLO", 4) == 0 && hop->secured && hosts.has[at]) {
		strcpy(reply, hosts.has[at]);
	} else if (strncmp(line, "MAIL", 4) == 0) {
		hosts.asked[at] += strstr(line, " REQUIRETLS") != NULL;
	} else if (strcmp(line, "QUIT") == 0) {
		hosts.quits[at]++;
	}
}

static struct world *open_world(const char *objects)
{
	struct world *w = calloc(1, sizeof(*w));

	memset(&hosts, 0, sizeof(hosts));
	world_init_with(w, objects);
	w->rows = rows;
	w->ehlo = EHLO;
	w->script = script;
	w->dnssec = true;
	return w;
}

static void close_world(struct world *w)
{
	world_sound(w);
	world_done(w);
	free(w);
}

static uint64_t send_required(struct world *w, const char *from, const char *to)
{
	w->flags = ENVELOPE_REQUIRETLS;
	uint64_t id = world_send(w, from, to, BODY);
	w->flags = 0;
	world_pass(w, SECOND);
	world_sound(w);
	return id;
}

static void send_plain(struct world *w, const char *to)
{
	world_send(w, "ann@a.example", to, BODY);
	world_pass(w, SECOND);
	world_sound(w);
}

static const char *where(const struct world *w, const char *rcpt)
{
	for (size_t i = 0; i < w->taken_count; i++)
		if (strstr(w->taken[i].rcpts, rcpt))
			return w->taken[i].ip;
	return "nowhere";
}

static void connected(unsigned one, unsigned two, unsigned three)
{
	assert_int_equal(hosts.connects[1], one);
	assert_int_equal(hosts.connects[2], two);
	assert_int_equal(hosts.connects[3], three);
}

/* ---- other hosts --------------------------------------------------------------------------- */

static void the_host_that_has_it_gets_it(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[3] = HAS_IT;
	send_required(w, "ann@a.example", "bob@far.example");
	assert_string_equal(where(w, "bob@"), "198.51.100.3");
	assert_int_equal(hosts.asked[3], 1);
	connected(1, 1, 1);
	/* Those that lack it were left in good manners. */
	assert_int_equal(hosts.quits[2], 1);
	/* Other mail goes where it would have gone. */
	send_plain(w, "eve@far.example");
	assert_string_equal(where(w, "eve@"), LACKS);
	close_world(w);
}

static void a_kept_session_of_the_wrong_host_goes_on_with_other_mail(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[2] = HAS_IT;
	send_plain(w, "one@far.example");
	for (int i = 0; i < 3; i++)
		send_required(w, "ann@a.example", "bob@far.example");
	assert_int_equal(world_taken(w, "bob@far.example"), 3);
	assert_string_equal(where(w, "bob@"), "198.51.100.2");
	send_plain(w, "two@far.example");
	assert_string_equal(where(w, "two@"), LACKS);
	assert_int_equal(hosts.connects[3], 0);
	close_world(w);
}

static void where_no_host_has_it_it_comes_back(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	send_required(w, "ann@a.example", "bob@far.example carl@far.example");
	connected(1, 1, 1);
	const struct seen *bounce = world_event(w, EVENT_BOUNCE, 0);
	assert_non_null(bounce);
	assert_int_equal(bounce->code, 550);
	assert_non_null(strstr(bounce->text, "REQUIRETLS"));
	assert_non_null(strstr(bounce->rcpts, "bob@far.example"));
	assert_non_null(strstr(bounce->rcpts, "carl@far.example"));
	assert_int_equal(world_taken(w, "far.example"), 0);
	send_plain(w, "eve@far.example");
	assert_string_equal(where(w, "eve@"), LACKS);
	/* Nobody has to be asked again for the next one. */
	send_required(w, "ann@a.example", "dora@far.example");
	connected(2, 1, 1);
	assert_int_equal(world_queued(w), 0);
	assert_int_equal(world_taken(w, "dora@far.example"), 0);
	close_world(w);
}

/* Where nobody's certificate is looked at, nobody is asked in vain. */
static void without_verification_there_is_nothing_to_try(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: opportunistic"));
	(void)state;

	hosts.has[1] = hosts.has[2] = hosts.has[3] = HAS_IT;
	send_required(w, "ann@a.example", "bob@far.example");
	connected(1, 0, 0);
	const struct seen *bounce = world_event(w, EVENT_BOUNCE, 0);
	assert_non_null(bounce);
	assert_non_null(strstr(bounce->text, "verified"));
	/* Nor does the null sender's go there. */
	send_required(w, "", "carl@far.example");
	assert_int_equal(w->taken_count, 0);
	assert_int_equal(world_queued(w), 0);
	close_world(w);
}

/* One that cannot be reached may have it. Other mail does not wait for it. */
static void a_host_that_is_down_is_waited_for(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[2] = HAS_IT;
	strcpy(w->dead[0], "198.51.100.2");
	send_required(w, "ann@a.example", "bob@far.example");
	assert_int_equal(world_events(w, EVENT_BOUNCE), 0);
	const struct seen *failure = world_event(w, EVENT_TRANSIENT_FAILURE, 0);
	assert_non_null(failure);
	assert_non_null(strstr(failure->text, "REQUIRETLS"));
	send_plain(w, "eve@far.example");
	assert_string_equal(where(w, "eve@"), LACKS);
	connected(2, 0, 1);
	w->dead[0][0] = '\0';
	world_pass(w, 30 * MINUTE);
	assert_string_equal(where(w, "bob@"), "198.51.100.2");
	assert_int_equal(hosts.asked[2], 1);
	close_world(w);
}

/* Nor is one left out of which the DNS says nothing at the moment. */
static void a_host_without_an_address_is_waited_for(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[2] = HAS_IT;
	w->dns_broken = "mx2.far.example";
	send_required(w, "ann@a.example", "bob@far.example");
	connected(1, 0, 1);
	assert_int_equal(world_events(w, EVENT_BOUNCE), 0);
	w->dns_broken = NULL;
	world_pass(w, 30 * MINUTE);
	assert_string_equal(where(w, "bob@"), "198.51.100.2");
	close_world(w);
}

/* A destination that was down is there again, whatever this message needs. */
static void a_probe_that_lacks_only_this_is_no_failure(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	w->only_alive = "203.0.113.99";
	send_required(w, "ann@a.example", "bob@far.example");
	assert_null(strstr(world_event(w, EVENT_TRANSIENT_FAILURE, 0)->text, "REQUIRETLS"));
	w->only_alive = LACKS;
	for (int i = 0; i < 600 && world_events(w, EVENT_TRANSIENT_FAILURE) < 2; i++)
		world_pass(w, SECOND / 5);
	assert_non_null(strstr(world_event(w, EVENT_TRANSIENT_FAILURE, 1)->text, "REQUIRETLS"));
	send_plain(w, "eve@far.example");
	assert_string_equal(where(w, "eve@"), LACKS);
	assert_int_equal(world_queued(w), 1);
	close_world(w);
}

/* ---- the null sender ----------------------------------------------------------------------- */

static void mail_of_the_null_sender_goes_without_it(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	/* Better with it … */
	hosts.has[3] = HAS_IT;
	send_required(w, "", "bob@far.example");
	assert_string_equal(where(w, "bob@"), "198.51.100.3");
	assert_int_equal(hosts.asked[3], 1);
	close_world(w);
	/* … than without, but so rather than not at all. */
	for (int down = 0; down < 2; down++) {
		w = open_world(OBJECTS(", tls: dane"));
		if (down)
			strcpy(w->dead[0], "198.51.100.3");
		send_required(w, "", "bob@far.example");
		send_required(w, "", "carl@far.example");
		assert_int_equal(w->taken_count, 2);
		assert_true(w->taken[0].verified && w->taken[1].verified);
		assert_int_equal(hosts.asked[1] + hosts.asked[2] + hosts.asked[3], 0);
		assert_int_equal(world_queued(w), 0);
		close_world(w);
	}
}

/* What others sent beside it is bounced, and not sent. */
static void nobody_else_goes_without_it(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	send_plain(w, "eve@far.example");
	w->flags = ENVELOPE_REQUIRETLS;
	world_send(w, "ann@a.example", "carl@far.example", BODY);
	world_send(w, "", "bob@far.example", BODY);
	world_send(w, "ann@a.example", "dora@far.example", BODY);
	w->flags = 0;
	world_pass(w, MINUTE);
	assert_int_equal(world_taken(w, "bob@far.example"), 1);
	assert_int_equal(world_taken(w, "carl@far.example"), 0);
	assert_int_equal(world_taken(w, "dora@far.example"), 0);
	assert_int_equal(world_queued(w), 0);
	close_world(w);
}

/* ---- with all that sessions go through ----------------------------------------------------- */

static void recipients_may_need_several_transactions(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[2] = CUTS_IT;
	send_required(w, "ann@a.example", "bob@far.example carl@far.example dora@far.example");
	assert_int_equal(w->taken_count, 3);
	assert_int_equal(hosts.asked[2], 3);
	assert_int_equal(world_queued(w), 0);
	close_world(w);
}

static void every_message_may_need_a_session_of_its_own(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane, messages-per-connection: 1"));
	(void)state;

	hosts.has[2] = HAS_IT;
	w->flags = ENVELOPE_REQUIRETLS;
	for (int i = 0; i < 6; i++)
		world_send(w, "ann@a.example", "bob@far.example", BODY);
	w->flags = 0;
	world_pass(w, MINUTE);
	assert_int_equal(world_taken(w, "bob@far.example"), 6);
	assert_int_equal(hosts.asked[2], 6);
	close_world(w);
}

static void limits_of_connections_hold(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane, connections: 1"));
	(void)state;

	hosts.has[3] = HAS_IT;
	for (int i = 0; i < 3; i++) {
		send_plain(w, "eve@far.example");
		send_required(w, "ann@a.example", "bob@far.example");
	}
	assert_int_equal(world_taken(w, "eve@far.example"), 3);
	assert_int_equal(world_taken(w, "bob@far.example"), 3);
	assert_int_equal(hosts.open_most, 1);
	close_world(w);
}

/* A shortage of our own counts for nothing. */
static void without_a_descriptor_it_waits(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[2] = HAS_IT;
	send_plain(w, "eve@far.example");
	size_t events = w->event_count;
	w->refuse_connect = ERR_NOMEM;
	send_required(w, "ann@a.example", "bob@far.example");
	assert_int_equal(w->event_count, events);
	w->refuse_connect = 0;
	world_pass(w, MINUTE);
	assert_string_equal(where(w, "bob@"), "198.51.100.2");
	close_world(w);
}

static void a_new_directory_begins_anew(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.has[2] = HAS_IT;
	hosts.silent[2] = true;
	send_required(w, "ann@a.example", "bob@far.example");
	assert_int_equal(hosts.connects[2], 1);
	hosts.silent[2] = false;
	assert_true(world_apply(
		w, OBJECTS(", tls: dane, messages-per-connection: 5, helo: x.example")));
	world_pass(w, SECOND);
	assert_string_equal(where(w, "bob@"), "198.51.100.2");
	close_world(w);
}

/* Nobody is waited for without end. */
static void hosts_that_say_nothing(void **state)
{
	struct world *w = open_world(OBJECTS(", tls: dane"));
	(void)state;

	hosts.silent[2] = hosts.silent[3] = true;
	send_required(w, "ann@a.example", "bob@far.example");
	world_pass(w, 8 * MINUTE);
	assert_int_equal(world_events(w, EVENT_TRANSIENT_FAILURE), 1);
	assert_true(hosts.connects[2] <= 1 && hosts.connects[3] <= 1);
	send_plain(w, "eve@far.example");
	assert_string_equal(where(w, "eve@"), LACKS);
	close_world(w);
}

static void stopping_puts_it_back(void **state)
{
	(void)state;
	for (int killed = 0; killed < 2; killed++) {
		struct world *w = open_world(OBJECTS(", tls: dane"));

		hosts.has[2] = HAS_IT;
		hosts.silent[2] = true;
		send_required(w, "ann@a.example", "bob@far.example");
		assert_int_equal(hosts.connects[2], 1);
		if (killed) {
			world_crash(w);
		} else {
			delivery_stop(w->d, 10, NULL, NULL);
			world_pass(w, SECOND);
			world_sound(w);
		}
		assert_int_equal(world_queued(w), 1);
		assert_int_equal(w->taken_count, 0);
		w->stopped = !killed;
		close_world(w);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_host_that_has_it_gets_it),
		cmocka_unit_test(a_kept_session_of_the_wrong_host_goes_on_with_other_mail),
		cmocka_unit_test(where_no_host_has_it_it_comes_back),
		cmocka_unit_test(without_verification_there_is_nothing_to_try),
		cmocka_unit_test(a_host_that_is_down_is_waited_for),
		cmocka_unit_test(a_host_without_an_address_is_waited_for),
		cmocka_unit_test(a_probe_that_lacks_only_this_is_no_failure),
		cmocka_unit_test(mail_of_the_null_sender_goes_without_it),
		cmocka_unit_test(nobody_else_goes_without_it),
		cmocka_unit_test(recipients_may_need_several_transactions),
		cmocka_unit_test(every_message_may_need_a_session_of_its_own),
		cmocka_unit_test(limits_of_connections_hold),
		cmocka_unit_test(without_a_descriptor_it_waits),
		cmocka_unit_test(a_new_directory_begins_anew),
		cmocka_unit_test(hosts_that_say_nothing),
		cmocka_unit_test(stopping_puts_it_back),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
