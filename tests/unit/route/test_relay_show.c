/* What is said about who may relay: in plain words, and as warnings. */
#include "fake_snapshot.h"
#include "route/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>

static struct fake_relay relays[3];
static struct snapshot directory;
static struct config start;
static char text[65536];

/* One listener, "mx", on an address; its policy is relays[0]. */
static int setup(void **state)
{
	(void)state;
	relays[0] = (struct fake_relay){
		.relay = {.listener = SPAN("mx"), .policy = RELAY_NONE, .advertise_auth = true}};
	directory = (struct snapshot){.relays = relays, .relay_count = 1};
	memset(&start, 0, sizeof(start));
	start.hostname = SPAN("gw.example.test");
	start.listener_count = 1;
	start.listeners[0].name = SPAN("mx");
	assert_int_equal(netaddr_parse(SPAN("0.0.0.0:25"), 25, &start.listeners[0].address), 0);
	start.listeners[0].tls.certificate = SPAN("/gw.crt");
	start.listeners[0].tls.key = SPAN("/gw.key");
	return 0;
}

static void keep(struct buf *out)
{
	assert_true(buf_ok(out));
	assert_true(out->n < sizeof(text));
	if (out->n)
		memcpy(text, out->p, out->n);
	text[out->n] = '\0';
	buf_done(out);
}

static void warn(void)
{
	struct buf out;

	buf_init(&out, sizeof(text));
	relay_add_warnings(&directory, &start, &out);
	keep(&out);
}

static void show(void)
{
	struct buf out;

	buf_init(&out, sizeof(text));
	relay_show_text(&directory, &start, &out);
	keep(&out);
}

static void assert_says(const char *what)
{
	if (!strstr(text, what))
		fail_msg("\"%s\" is not in:\n%s", what, text);
}

static void assert_warns(const char *what)
{
	warn();
	assert_says(what);
	if (!strchr(text, '\n') || strchr(text, '\n')[1])
		fail_msg("one warning is enough:\n%s", text);
}

static void assert_quiet(void)
{
	warn();
	assert_string_equal(text, "");
}

static void on(const char *address)
{
	assert_int_equal(netaddr_parse(span_str(address), 25, &start.listeners[0].address), 0);
}

static void test_nothing_to_say(void **state)
{
	(void)state;
	assert_quiet();
	directory.relay_count = 0;
	assert_quiet();
	/* As a fresh installation is: no TLS, no policy. */
	start.listeners[0].tls.certificate = SPAN_NONE;
	assert_quiet();
	directory.relay_count = 1;
	relays[0].relay.policy = RELAY_ADDRESSES;
	relays[0].from[0] = "10.0.0.0/8";
	relays[0].to[0] = "203.0.113.5";
	relays[0].relay.advertise_auth = false;
	assert_quiet();
}

static void test_forgeable(void **state)
{
	(void)state;
	relays[0].relay.policy = RELAY_LOCAL_HOSTS;
	assert_warns(
		"listener mx: the policy local-hosts relays for whoever writes a local domain");
	relays[0].relay.policy = RELAY_LOCAL_USERS;
	assert_warns(
		"listener mx: the policy local-users relays for whoever writes a user's address");
}

static void test_anyone(void **state)
{
	(void)state;
	relays[0].relay.policy = RELAY_ANYONE;
	assert_warns("listener mx: the policy anyone counts as none here");
	start.listeners[0].open_relay = true;
	assert_warns("listener mx: THIS IS AN OPEN RELAY");
	/* Nobody else comes to a loopback address; but a proxy brings them. */
	on("127.0.0.1:25");
	assert_quiet();
	start.listeners[0].proxy = SPAN("127.0.0.1");
	assert_warns("listener mx: THIS IS AN OPEN RELAY");
	on("0.0.0.0:25");
	start.listeners[0].proxy = SPAN_NONE;
	relays[0].relay.policy = RELAY_NONE;
	assert_warns("listener mx: open-relay: yes in the start file is for the policy anyone");
}

/* The whole Internet, by whatever words. */
static void test_everything_is_listed(void **state)
{
	static const char *const wide[] = {"0.0.0.0/0", "::/0", "2000::/3",
		"1.0.0.0-223.255.255.255", "128.0.0.0/1", "0.0.0.0/1"};
	static const char *const great[] = {"128.0.0.0/2", "2000::/4", "10.0.0.0-11.255.255.255"};
	static const char *const narrow[] = {"10.0.0.0/8", "fc00::/7", "2001:db8::/32"};
	(void)state;
	relays[0].relay.policy = RELAY_ADDRESSES;
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		relays[0].from[0] = wide[i];
		assert_warns("listener mx: THIS IS AN OPEN RELAY by another name: from holds");
	}
	for (size_t i = 0; i < sizeof(narrow) / sizeof(narrow[0]); i++) {
		relays[0].from[0] = narrow[i];
		assert_quiet();
	}
	for (size_t i = 0; i < sizeof(great) / sizeof(great[0]); i++) {
		relays[0].from[0] = great[i];
		assert_warns(" is a great part of the Internet: for it, this is an open relay");
	}
	relays[0].from[0] = NULL;
	relays[0].to[0] = "2000::/3";
	assert_warns("listener mx: to 2000::/3 is a great part of the Internet");
	relays[0].to[0] = NULL;
	assert_warns("listener mx: the policy addresses without from and to relays for no address");
	relays[0].from[0] = "0.0.0.0/2";
	relays[0].from[1] = "128.0.0.0/2";
	assert_warns("THIS IS AN OPEN RELAY by another name");
	/* It lies there unused. */
	relays[0].relay.policy = RELAY_NONE;
	assert_quiet();
}

static void test_peers_that_are_believed(void **state)
{
	(void)state;
	start.listeners[0].xclient = SPAN("192.0.2.1\n::/0");
	assert_warns("xclient believes a large part of the Internet");
	start.listeners[0].xclient = SPAN("192.0.2.1");
	start.listeners[0].proxy = SPAN("0.0.0.0/0");
	assert_warns("proxy believes a large part of the Internet");
	start.listeners[0].proxy = SPAN("0.0.0.0/2\n64.0.0.0/2");
	assert_warns("proxy believes a large part of the Internet");
	start.listeners[0].proxy = SPAN("10.0.0.0/8");
	assert_quiet();
}

static void test_locked_out(void **state)
{
	(void)state;
	relays[0].relay.advertise_auth = false;
	assert_warns("listener mx: advertise-auth: no hides AUTH, the one way to relay here");
	start.listeners[0].tls.client_ca = SPAN("/ca.pem");
	assert_quiet();
	start.listeners[0].tls.client_ca = SPAN_NONE;
	/* No certificate: nobody can log in. */
	relays[0].relay.advertise_auth = true;
	start.listeners[0].tls.certificate = SPAN_NONE;
	assert_warns("listener mx: nobody but this machine can relay here: AUTH needs TLS");
	start.listeners[0].auth_without_tls = true;
	assert_warns("listener mx: auth-without-tls takes passwords in clear");
	on("127.0.0.1:25");
	assert_quiet();
	start.listeners[0].auth_without_tls = false;
	relays[0].relay.policy = RELAY_ADDRESSES;
	assert_warns("nobody but this machine can relay here");
	relays[0].from[0] = "192.0.2.1";
	assert_quiet();
	relays[0].relay.certificates =
		SPAN("sha256:0101010101010101010101010101010101010101010101010101010101010101");
	assert_warns("listener mx: certificates has no effect");
}

static void test_listener_is_gone(void **state)
{
	(void)state;
	directory.relay_count = 2;
	relays[1].relay.listener = SPAN("old");
	assert_warns("listener old: the directory has a relay policy for it, but the start file no "
		     "such listener");
}

static void test_damaged(void **state)
{
	(void)state;
	directory.broken = ERR_CORRUPT;
	assert_warns("listener mx: its relay policy cannot be read");
	show();
	assert_says("listener mx, 0.0.0.0:25: the directory cannot be read");
}

static void test_show(void **state)
{
	(void)state;
	relays[0].relay.policy = RELAY_ADDRESSES;
	relays[0].from[0] = "192.0.2.0/24";
	relays[0].from[1] = "198.51.100.7-198.51.100.20";
	relays[0].to[0] = "203.0.113.5";
	start.listener_count = 3;
	start.listeners[1].name = SPAN("submission");
	assert_int_equal(
		netaddr_parse(SPAN("[2001:db8::1]:465"), 0, &start.listeners[1].address), 0);
	start.listeners[1].tls = start.listeners[0].tls;
	start.listeners[1].tls.mode = CONFIG_TLS_IMPLICIT;
	start.listeners[1].tls.client_ca = SPAN("/ca.pem");
	relays[1] = (struct fake_relay){
		.relay = {.listener = SPAN("submission"), .senders = RELAY_SENDERS_ANY}};
	start.listeners[2].name = SPAN("plain");
	assert_int_equal(netaddr_parse(SPAN("127.0.0.1:2525"), 0, &start.listeners[2].address), 0);
	directory.relay_count = 2;
	show();
	assert_string_equal(text,
		"Mail for the domains served here is taken from anybody. To other domains may "
		"send:\n\n"
		"listener mx, 0.0.0.0:25: policy addresses\n"
		"  clients on this machine (loopback addresses)\n"
		"  clients with an address in 192.0.2.0/24, 198.51.100.7-198.51.100.20\n"
		"  anybody, to domains whose next hops are all in 203.0.113.5\n"
		"  whoever logs in, after STARTTLS, as his own addresses; AUTH is offered: PLAIN, "
		"LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS\n\n"
		"listener submission, [2001:db8::1]:465: policy none\n"
		"  clients on this machine (loopback addresses)\n"
		"  clients with a certificate that client-ca verifies\n"
		"  whoever logs in, over TLS, as any sender; AUTH is hidden, but understood: "
		"PLAIN, "
		"LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS\n\n"
		"listener plain, 127.0.0.1:2525: policy none (the default)\n"
		"  clients on this machine (loopback addresses)\n"
		"  nobody by logging in: AUTH needs TLS, and the listener has no certificate\n\n"
		"Nothing about this is dangerous.\n");
}

/* They decide in the place of everything else that is shown. */
static void test_show_who_is_believed(void **state)
{
	(void)state;
	start.listeners[0].proxy = SPAN("192.0.2.7\n10.0.0.0/8");
	show();
	assert_says("  whomever a PROXY header from 192.0.2.7, 10.0.0.0/8 gives such an address\n");
	start.listeners[0].xclient = SPAN("192.0.2.8");
	show();
	assert_says("  whomever XCLIENT from 192.0.2.8 gives such an address, or a login\n");
	start.listeners[0].proxy = start.listeners[0].xclient = SPAN_NONE;
}

static void test_show_dangers(void **state)
{
	(void)state;
	relays[0].relay.policy = RELAY_ANYONE;
	start.listeners[0].open_relay = true;
	start.listeners[0].auth_without_tls = true;
	show();
	assert_says("listener mx, 0.0.0.0:25: policy anyone, AN OPEN RELAY\n");
	assert_says("\n  EVERYBODY\n");
	assert_says("whoever logs in, in clear or after STARTTLS");
	assert_says("listener mx: THIS IS AN OPEN RELAY");
	assert_null(strstr(text, "Nothing about this"));
	relays[0].relay.policy = RELAY_LOCAL_HOSTS;
	show();
	assert_says("  WHOEVER WRITES such a sender: one at a domain of the directory, at "
		    "gw.example.test, or at one of accept.hosts\n");
	relays[0].relay.policy = RELAY_LOCAL_USERS;
	show();
	assert_says("  WHOEVER WRITES such a sender: the address of an account");
	relays[0].relay.policy = RELAY_ADDRESSES;
	relays[0].from[0] = "0.0.0.0/0";
	show();
	assert_says("policy addresses, AN OPEN RELAY\n");
	assert_says("  ANYBODY, as most of the Internet is in 0.0.0.0/0\n");
}

static void test_json(void **state)
{
	struct json_write json;
	struct buf out;
	json_error_t error;
	(void)state;
	relays[0].relay.policy = RELAY_ADDRESSES;
	relays[0].from[0] = "0.0.0.0/0";
	relays[0].to[0] = "203.0.113.5";
	start.listeners[0].proxy = SPAN("192.0.2.7\n10.0.0.0/8");
	start.listeners[0].xclient = SPAN("192.0.2.8");
	start.listener_count = 2;
	start.listeners[1].name = SPAN("plain");
	assert_int_equal(netaddr_parse(SPAN("127.0.0.1:2525"), 0, &start.listeners[1].address), 0);
	buf_init(&out, sizeof(text));
	json_write_init(&json, &out);
	json_open_object(&json, NULL);
	relay_show_json(&directory, &start, &json);
	json_close_object(&json);
	json_t *root = json_loadb(out.p, out.n, 0, &error);
	assert_non_null(root);
	json_t *mx = json_array_get(json_object_get(root, "listeners"), 0);
	assert_string_equal(json_string_value(json_object_get(mx, "name")), "mx");
	assert_string_equal(json_string_value(json_object_get(mx, "policy")), "addresses");
	assert_string_equal(json_string_value(json_object_get(mx, "tls")), "starttls");
	assert_true(json_is_true(json_object_get(mx, "open_relay")));
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(mx, "from"), 0)), "0.0.0.0/0");
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(mx, "to"), 0)), "203.0.113.5");
	json_t *proxy = json_object_get(mx, "proxy");
	assert_int_equal(json_array_size(proxy), 2);
	assert_string_equal(json_string_value(json_array_get(proxy, 0)), "192.0.2.7");
	assert_string_equal(json_string_value(json_array_get(proxy, 1)), "10.0.0.0/8");
	json_t *xclient = json_object_get(mx, "xclient");
	assert_int_equal(json_array_size(xclient), 1);
	assert_string_equal(json_string_value(json_array_get(xclient, 0)), "192.0.2.8");
	/* Nobody is believed: an empty list, not none. */
	json_t *plain = json_array_get(json_object_get(root, "listeners"), 1);
	assert_true(json_is_array(json_object_get(plain, "proxy")));
	assert_int_equal(json_array_size(json_object_get(plain, "proxy")), 0);
	assert_true(json_is_array(json_object_get(plain, "xclient")));
	assert_int_equal(json_array_size(json_object_get(plain, "xclient")), 0);
	json_t *auth = json_object_get(mx, "auth");
	assert_true(json_is_true(json_object_get(auth, "advertised")));
	assert_int_equal(json_array_size(json_object_get(auth, "mechanisms")), 4);
	assert_int_equal(json_array_size(json_object_get(root, "warnings")), 1);
	json_decref(root);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_nothing_to_say, setup),
		cmocka_unit_test_setup(test_forgeable, setup),
		cmocka_unit_test_setup(test_anyone, setup),
		cmocka_unit_test_setup(test_everything_is_listed, setup),
		cmocka_unit_test_setup(test_peers_that_are_believed, setup),
		cmocka_unit_test_setup(test_locked_out, setup),
		cmocka_unit_test_setup(test_listener_is_gone, setup),
		cmocka_unit_test_setup(test_damaged, setup),
		cmocka_unit_test_setup(test_show, setup),
		cmocka_unit_test_setup(test_show_who_is_believed, setup),
		cmocka_unit_test_setup(test_show_dangers, setup),
		cmocka_unit_test_setup(test_json, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
