/* The PROXY header, versions 1 and 2, and XCLIENT: who is believed, and what it changes. */
#include "fixture.h"

#include "smtpd/session.h"

#define FROM_PROXY "PROXY TCP4 198.51.100.9 203.0.113.1 4711 25\r\n"
#define ATTRIBUTES "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n"

static const char v2[] =
	"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x09\xcb\0\x71\x01\x12\x67\0\x19";
static const char v2_local[] = "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

static void start(struct fixture *f)
{
	f->listener->proxy = SPAN("192.0.2.0/24\n2001:db8::/32");
	world_start(&f->world);
}

static struct peer *connect_proxy(struct fixture *f)
{
	struct peer *peer = world_connect(&f->world, "192.0.2.7", NULL);

	assert_non_null(peer);
	expect(f, peer, "");
	return peer;
}

static void expect_client(struct fixture *f, uint32_t message, const char *address)
{
	struct netaddr want;

	assert_int_equal(netaddr_parse_ip(span_str(address), &want), 0);
	assert_true(message < f->world.message_count);
	const struct envelope *e = &f->world.messages[message].envelope;
	assert_true(netaddr_same_ip(&e->client, &want));
	assert_non_null(memmem(e->prepend.p, e->prepend.n, address, strlen(address)));
	assert_true(netaddr_same_ip(&last_event(f)->client, &want));
}

#define MESSAGE \
	"HELO c.example\r\nMAIL FROM:<bob@b.example>\r\nRCPT TO:<x@a.example>\r\nDATA\r\n.\r\n"

static void the_client_is_whom_the_proxy_names(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = connect_proxy(f);
	say(f, peer, FROM_PROXY, GREETING);
	peer_send_str(peer, MESSAGE);
	expect_client(f, 0, "198.51.100.9");
	/* All in one packet, and byte by byte. */
	peer = connect_proxy(f);
	peer_send(peer, span_of(v2, sizeof(v2) - 1));
	expect(f, peer, GREETING);
	peer_send_str(peer, MESSAGE);
	expect_client(f, 1, "198.51.100.9");
	peer = connect_proxy(f);
	peer_send_str(peer, FROM_PROXY MESSAGE);
	expect_client(f, 2, "198.51.100.9");
	peer = connect_proxy(f);
	for (size_t i = 0; i < sizeof(v2) - 1; i++)
		peer_send(peer, span_of(v2 + i, 1));
	expect(f, peer, GREETING);
	/* The proxy speaks for itself. */
	peer = connect_proxy(f);
	peer_send(peer, span_of(v2_local, sizeof(v2_local) - 1));
	expect(f, peer, GREETING);
	peer_send_str(peer, MESSAGE);
	expect_client(f, 3, "192.0.2.7");
}

static void no_header_no_greeting(void **state)
{
	struct fixture *f = *state;
	static const char *const wrong[] = {EHLO, "PROXY TCP4 x y 1 2\r\n", "\r\n\r\nQUIT\r\n",
		"PROXY TCP4 198.51.100.9 203.0.113.1 4711 25\n", "QUIT\r\nQUIT\r\nQUIT\r\n"};

	start(f);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct peer *peer = connect_proxy(f);

		say(f, peer, wrong[i], "");
		assert_true(peer->closed);
		assert_int_equal(refused(f, SMTPD_REFUSED_PROXY), i + 1);
	}
	struct peer *peer = connect_proxy(f);
	say(f, peer, "PROXY TCP4 198.51.100.9 ", "");
	world_pass_ms(&f->world, 9999);
	assert_false(peer->closed);
	world_pass_ms(&f->world, 1);
	assert_true(peer->closed);
	expect(f, peer, "");
	assert_int_equal(refused(f, SMTPD_REFUSED_PROXY), 6);
	/* A look whether the port is open is no news. */
	peer = connect_proxy(f);
	peer_eof(peer, 0);
	assert_true(peer->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_PROXY), 6);
	assert_int_equal(figures(f).sessions_now, 0);
}

static void others_are_not_believed(void **state)
{
	struct fixture *f = *state;

	start(f);
	struct peer *peer = greeted(f, "203.0.113.7");
	say(f, peer, "PROXY TCP4 127.0.0.1 127.0.0.1 1 25\r\n", "500 5.5.1 Command not known\r\n");
	peer_send_str(peer, MESSAGE);
	expect_client(f, 0, "203.0.113.7");
}

static void the_clients_are_counted_and_the_proxy_is_not(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.connections_per_client = 2;
	start(f);
	struct peer *peers[4];
	for (size_t i = 0; i < 4; i++)
		peers[i] = connect_proxy(f);
	say(f, peers[0], FROM_PROXY, GREETING);
	say(f, peers[1], FROM_PROXY, GREETING);
	say(f, peers[2], FROM_PROXY,
		"421 4.7.0 gw.example.test Too many connections from your address\r\n");
	assert_true(peers[2]->closed);
	assert_int_equal(refused(f, SMTPD_REFUSED_CONNECTION), 1);
	say(f, peers[0], "QUIT\r\n", "221 2.0.0 Bye\r\n");
	say(f, peers[3], FROM_PROXY, GREETING);
}

static void the_header_comes_before_the_handshake(void **state)
{
	struct fixture *f = *state;

	f->listener->tls.mode = CONFIG_TLS_IMPLICIT;
	start(f);
	world_give_tls(&f->world);
	struct peer *peer = connect_proxy(f);
	assert_false(peer->shaking);
	say(f, peer, FROM_PROXY, "");
	assert_true(peer->shaking);
	peer_handshake(peer, 0);
	expect(f, peer, GREETING);
	/* The client's hello may come with it: not a byte of that is read here. */
	peer = connect_proxy(f);
	buf_add_str(&peer->input, FROM_PROXY "hello");
	while (!peer->shaking) {
		struct iovec to = peer->handler->buffer(peer->owner);
		size_t n = MIN(to.iov_len, peer->input.n);

		assert_true(n > 0 && peer->input.n > strlen("hello"));
		memcpy(to.iov_base, peer->input.p, n);
		buf_drop(&peer->input, n);
		peer->handler->received(peer->owner, n);
	}
	assert_int_equal(peer->input.n, strlen("hello"));
	buf_clear(&peer->input);
	peer_handshake(peer, 0);
	expect(f, peer, GREETING);
}

static void drained(void *arg)
{
	*(bool *)arg = true;
}

static void stopping(void **state)
{
	struct fixture *f = *state;
	bool over = false;

	start(f);
	struct peer *peer = connect_proxy(f);
	smtpd_drain(f->world.smtpd, 1000, drained, &over);
	world_settle(&f->world);
	expect(f, peer, "");
	assert_true(peer->closed && over);
}

/* ---- XCLIENT -------------------------------------------------------------------------------- */

static struct peer *filter(struct fixture *f)
{
	f->listener->xclient = SPAN("192.0.2.7");
	if (!f->world.smtpd)
		world_start(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	say(f, peer, EHLO, CAPS ATTRIBUTES HELP);
	return peer;
}

static void a_filter_speaks_for_others(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = filter(f);

	say(f, peer, "XCLIENT NAME=mx.d.example ADDR=198.51.100.9 PORT=4711\r\n", GREETING);
	say(f, peer, "MAIL FROM:<bob@b.example>\r\n", "503 5.5.1 Say EHLO or HELO first\r\n");
	peer_send_str(peer, MESSAGE);
	expect_client(f, 0, "198.51.100.9");
	/* The next client of the same connection. */
	buf_clear(&peer->replies);
	say(f, peer, "XCLIENT ADDR=IPV6:2001:db8::1 PROTO=ESMTP HELO=host.d.example\r\n", GREETING);
	peer_send_str(peer,
		"MAIL FROM:<bob@b.example> SIZE=10\r\nRCPT TO:<x@a.example>\r\nDATA\r\n.\r\n");
	expect_client(f, 1, "2001:db8::1");
	assert_true(span_equal(f->world.messages[1].envelope.helo, SPAN("host.d.example")));
	assert_true(span_equal(f->world.messages[1].envelope.protocol, SPAN("ESMTP")));
}

static void a_filter_says_who_logged_in(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = filter(f);

	say(f, peer, "XCLIENT ADDR=198.51.100.9 LOGIN=ann@C.example\r\n" EHLO,
		GREETING CAPS ATTRIBUTES HELP);
	say(f, peer, "MAIL FROM:<ann@c.example>\r\nRCPT TO:<far@b.example>\r\nDATA\r\n.\r\n",
		"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
		"250 2.0.0 Ok: queued as 6p000000g0000\r\n");
	assert_true(span_equal(f->world.messages[0].envelope.user, SPAN("ann@c.example")));
	/* The next one did not. */
	peer_send_str(peer, "XCLIENT ADDR=198.51.100.10\r\n" EHLO
			    "MAIL FROM:<ann@c.example>\r\nRCPT TO:<far@b.example>\r\n");
	assert_non_null(strstr(peer_replies(peer, &f->text), "\r\n550 5.7.1 "));
}

/* A client of which nothing is known has not the rights of the filter on this host. */
static void an_address_that_is_withheld(void **state)
{
	struct fixture *f = *state;

	f->listener->xclient = SPAN("127.0.0.1");
	world_start(&f->world);
	struct peer *peer = greeted(f, "127.0.0.1");
	peer_send_str(peer, EHLO "XCLIENT ADDR=[UNAVAILABLE]\r\n" EHLO
				 "MAIL FROM:<bob@b.example>\r\nRCPT TO:<far@b.example>\r\n");
	assert_non_null(strstr(peer_replies(peer, &f->text), "\r\n550 5.7.1 "));
}

static void xclient_where_it_does_not_belong(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = filter(f);

	say(f, peer, "MAIL FROM:<bob@b.example>\r\nXCLIENT ADDR=198.51.100.9\r\n",
		"250 2.1.0 Ok\r\n503 5.5.1 Not in a transaction\r\n");
	say(f, peer, "RSET\r\nXCLIENT ADDR=x\r\n",
		"250 2.0.0 Ok\r\n501 5.5.4 Syntax: XCLIENT attribute=value ...\r\n");
	say(f, peer, "XCLIENT FOO=bar\r\n", "501 5.5.4 Syntax: XCLIENT attribute=value ...\r\n");
	say(f, peer, "XCLIENT\r\n", "501 5.5.4 This command needs an argument\r\n");
	peer = greeted(f, "192.0.2.8");
	say(f, peer, EHLO "XCLIENT ADDR=127.0.0.1\r\n", CAPS HELP "502 5.5.1 Not offered here\r\n");
}

/* By the connection's own peer, not by whom a PROXY header or XCLIENT named. */
static void rights_are_the_peers(void **state)
{
	struct fixture *f = *state;

	f->listener->xclient = SPAN("198.51.100.9");
	start(f);
	struct peer *peer = connect_proxy(f);
	say(f, peer, FROM_PROXY EHLO "XCLIENT ADDR=127.0.0.1\r\n",
		GREETING CAPS HELP "502 5.5.1 Not offered here\r\n");
}

/* Strangers behind a load balancer that is listed as both speak over its connection. */
static void nobody_behind_a_proxy_speaks_for_others(void **state)
{
	struct fixture *f = *state;

	f->listener->xclient = SPAN("192.0.2.0/24\n198.51.100.9");
	start(f);
	struct peer *peer = connect_proxy(f);
	say(f, peer, FROM_PROXY EHLO "XCLIENT ADDR=127.0.0.1\r\n",
		GREETING CAPS HELP "502 5.5.1 Not offered here\r\n");
	say(f, peer, "XCLIENT LOGIN=ann@c.example\r\n", "502 5.5.1 Not offered here\r\n");
	/* Nobody is behind it. */
	peer = connect_proxy(f);
	peer_send(peer, span_of(v2_local, sizeof(v2_local) - 1));
	expect(f, peer, GREETING);
	say(f, peer, "XCLIENT ADDR=198.51.100.10\r\n", GREETING);
}

/* The certificate is the filter's own. */
static void a_filters_certificate_is_not_its_clients(void **state)
{
	struct fixture *f = *state;
	static const char far[] =
		"MAIL FROM:<bob@b.example>\r\nRCPT TO:<far@b.example>\r\nRSET\r\n";

	f->listener->tls.certificate = SPAN("gw.crt");
	f->listener->xclient = SPAN("192.0.2.7");
	f->world.tls_info.peer_certificate = f->world.tls_info.peer_verified = true;
	memset(f->world.tls_info.peer_certificate_hash, 0xab, 32);
	world_start(&f->world);
	world_give_tls(&f->world);
	struct peer *peer = greeted(f, "192.0.2.7");
	peer_send_str(peer, EHLO "STARTTLS\r\n");
	peer_handshake(peer, 0);
	buf_clear(&peer->replies);
	peer_send_str(peer, EHLO);
	buf_clear(&peer->replies);
	say(f, peer, far, "250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.0.0 Ok\r\n");
	peer_send_str(peer, "MAIL FROM:<bob@b.example>\r\nRCPT TO:<far@b.example>\r\n"
			    "DATA\r\n.\r\n");
	assert_string_equal(last_event(f)->relay, "certificate sha256:"
						  "abababababababababababababababab"
						  "abababababababababababababababab");
	peer_send_str(peer, "XCLIENT ADDR=198.51.100.9\r\n" EHLO);
	buf_clear(&peer->replies);
	peer_send_str(peer, far);
	assert_non_null(strstr(peer_replies(peer, &f->text), "\r\n550 5.7.1 "));
}

/* Whoever was before him on the same connection did not do it for him. */
static void what_a_client_did_is_not_the_next_ones(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.errors = 3;
	struct peer *peer = filter(f);
	for (int i = 0; i < 3; i++) {
		peer_send_str(peer, "XCLIENT ADDR=198.51.100.9\r\nWHAT\r\nWHAT\r\n");
		assert_null(strstr(peer_replies(peer, &f->text), "421"));
	}
	/* What does not say who comes begins nothing anew. */
	peer_send_str(peer, "XCLIENT HELO=other.example\r\nWHAT\r\n");
	assert_non_null(strstr(peer_replies(peer, &f->text), "421 4.7.0 "));
	assert_true(peer->closed);
}

static void one_connection_is_not_for_ever(void **state)
{
	struct fixture *f = *state;
	struct peer *peer = filter(f);

	for (unsigned i = 0; i < SESSION_CLIENTS; i++) {
		peer_send_str(peer, "XCLIENT ADDR=198.51.100.9\r\n");
		buf_clear(&peer->replies);
	}
	assert_false(peer->closed);
	say(f, peer, "XCLIENT ADDR=198.51.100.9\r\n",
		"421 4.5.3 gw.example.test Too many clients in one session\r\n");
	assert_true(peer->closed);
}

static void xclient_and_limits(void **state)
{
	struct fixture *f = *state;

	f->world.config.limits.connections_per_client = 1;
	struct peer *one = filter(f);
	say(f, one, "XCLIENT ADDR=198.51.100.9\r\n", GREETING);
	struct peer *two = filter(f);
	say(f, two, "XCLIENT ADDR=198.51.100.9\r\n",
		"421 4.7.0 gw.example.test Too many connections from your address\r\n");
	assert_true(two->closed);
	say(f, one, "XCLIENT ADDR=198.51.100.9\r\n", GREETING);
	assert_int_equal(figures(f).sessions_now, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_client_is_whom_the_proxy_names),
		TEST(no_header_no_greeting),
		TEST(others_are_not_believed),
		TEST(the_clients_are_counted_and_the_proxy_is_not),
		TEST(the_header_comes_before_the_handshake),
		TEST(stopping),
		TEST(a_filter_speaks_for_others),
		TEST(a_filter_says_who_logged_in),
		TEST(an_address_that_is_withheld),
		TEST(xclient_where_it_does_not_belong),
		TEST(rights_are_the_peers),
		TEST(nobody_behind_a_proxy_speaks_for_others),
		TEST(a_filters_certificate_is_not_its_clients),
		TEST(xclient_and_limits),
		TEST(what_a_client_did_is_not_the_next_ones),
		TEST(one_connection_is_not_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
