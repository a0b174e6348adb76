#include "base/log.h"
#include "directory/config.h"

#include "common.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MINIMAL                                   \
	"# postern.yaml\n"                        \
	"hostname: gw.example.test\n"             \
	"spool: /tmp/p/spool\n"                   \
	"directory: /tmp/p/directory.db\n"        \
	"control: /tmp/p/control.sock\n"          \
	"workers: 2\n"                            \
	"listeners:\n"                            \
	"  mx: { address: \"127.0.0.1:2525\" }\n" \
	"limits: { message-size: 50M, hops: 50 }\n"

static struct config *parsed(const char *file, const char *text)
{
	struct config *config = NULL;
	struct buf problems;

	buf_init(&problems, 100000);
	if (config_parse(file, span_str(text), &config, &problems) < 0)
		fail_msg("%s", text_of(&problems));
	assert_int_equal(problems.n, 0);
	buf_done(&problems);
	return config;
}

static void assert_refused(const char *text, const char *part)
{
	struct config *config = NULL;
	struct buf problems;

	buf_init(&problems, 100000);
	assert_int_equal(
		config_parse("postern.yaml", span_str(text), &config, &problems), ERR_SYNTAX);
	assert_null(config);
	assert_has(&problems, part);
	buf_done(&problems);
}

static void the_minimal_file(void **state)
{
	(void)state;
	struct config *config = parsed("postern.yaml", MINIMAL);
	assert_span(config->hostname, "gw.example.test");
	assert_span(config->spool, "/tmp/p/spool");
	assert_span(config->directory, "/tmp/p/directory.db");
	assert_span(config->control, "/tmp/p/control.sock");
	assert_span(config->mailboxes, "/tmp/p/mail");
	assert_span(config->trace, "/tmp/p/trace");
	assert_int_equal(config->workers, 2);
	assert_int_equal(config->listener_count, 1);
	assert_span(config->listeners[0].name, "mx");
	assert_int_equal(config->listeners[0].address.port, 2525);
	assert_true(netaddr_is_loopback(&config->listeners[0].address));
	assert_int_equal(config->limits.message_size, 50 << 20);
	assert_int_equal(config->limits.hops, 50);
	config_free(&config);
	assert_null(config);
}

/* RFC 5321 sections 4.5.3.1.8 and 4.5.3.2 give the least that is right. */
static void defaults_follow_the_rfc(void **state)
{
	(void)state;
	struct config *config = parsed("postern.yaml", MINIMAL);
	const struct config_timeouts *t = &config->timeouts;
	assert_true(config->limits.recipients >= 100);
	assert_true(config->limits.line >= 998);
	assert_true(t->command >= 300000 && t->greeting >= 300000 && t->mail >= 300000 &&
		    t->rcpt >= 300000);
	assert_true(t->data >= 120000 && t->body >= 180000 && t->body_end >= 600000);
	assert_true(t->transaction > 0 && t->dns > 0 && t->connect > 0 && t->idle > 0);
	assert_int_equal(config->sandbox, CONFIG_SANDBOX_REQUIRED);
	assert_int_equal(config->log_level, LOG_INFO);
	assert_int_equal(config->log_format, CONFIG_LOG_TEXT);
	assert_int_equal(config->trace_bytes, 1 << 30);
	assert_true(config->trace_age_ms == 30ull * 86400000);
	assert_span(config->user_smtpd, "postern-smtpd");
	assert_int_equal(config->dns_servers.n, 0);
	config_free(&config);
}

static void every_group(void **state)
{
	(void)state;
	struct config *config = parsed("/etc/postern/postern.yaml",
		"hostname: GW.Example.Test\n"
		"spool: spool/\n"
		"directory: db/directory.db\n"
		"control: control.sock\n"
		"mailboxes: /srv/mail\n"
		"listeners:\n"
		"  mx: { address: 0.0.0.0 }\n"
		"  six: { address: \"[::]:2525\" }\n"
		"limits: { message-size: 10M, recipients: 200, connections-per-client: 0 }\n"
		"timeouts: { command: 90, idle: 500ms, session: 0 }\n"
		"log: { format: json, level: debug }\n"
		"trace: { path: traces, size: 2G, age: 7 }\n"
		"storage: { segment-size: 16M, journal-delay: 10 }\n"
		"sandbox: optional\n"
		"users: { smtpd: mta-in, group: mta }\n"
		"dns: { servers: [ 127.0.0.1, \"[::1]:5353\" ] }\n");
	assert_span(config->hostname, "gw.example.test");
	assert_span(config->spool, "/etc/postern/spool");
	assert_span(config->directory, "/etc/postern/db/directory.db");
	assert_span(config->control, "/etc/postern/control.sock");
	assert_span(config->mailboxes, "/srv/mail");
	assert_span(config->trace, "/etc/postern/traces");
	assert_int_equal(config->listeners[0].address.port, 25);
	assert_int_equal(config->listeners[1].address.family, NETADDR_V6);
	assert_int_equal(config->limits.connections_per_client, 0);
	assert_int_equal(config->timeouts.command, 90000);
	assert_int_equal(config->timeouts.idle, 500);
	assert_int_equal(config->timeouts.session, 0);
	assert_int_equal(config->log_format, CONFIG_LOG_JSON);
	assert_int_equal(config->log_level, LOG_DEBUG);
	assert_true(config->trace_age_ms == 7ull * 86400000);
	assert_int_equal(config->journal_ms, 10);
	assert_int_equal(config->sandbox, CONFIG_SANDBOX_OPTIONAL);
	assert_span(config->user_smtpd, "mta-in");
	assert_span(config->user_admin, "postern-admin");
	assert_span(config->dns_servers, "127.0.0.1,[::1]:5353");
	config_free(&config);
}

static void paths_beside_a_relative_file(void **state)
{
	(void)state;
	struct config *config = parsed("etc/postern.yaml",
		"hostname: gw.example.test\nspool: spool\ndirectory: d.db\ncontrol: c.sock\n"
		"listeners: { mx: { address: 127.0.0.1:2525 } }\n");
	assert_span(config->spool, "etc/spool");
	assert_span(config->mailboxes, "etc/mail");
	config_free(&config);
}

static void refused_with_place(void **state)
{
	(void)state;
	assert_refused("", "postern.yaml:1:1: hostname: is missing; give a fully qualified name");
	assert_refused(
		MINIMAL "hostname: b.example\n", "postern.yaml:10:1: \"hostname\" is here twice");
	assert_refused(MINIMAL "wokers: 3\n", "postern.yaml:10:1: wokers: start file has no such "
					      "field; did you mean \"workers\"?");
	assert_refused("hostname: localhost\n", "postern.yaml:1:11: hostname: \"localhost\" is not "
						"allowed; give a fully qualified name");
	assert_refused(MINIMAL "log: { level: loud }\n",
		"postern.yaml:10:15: log.level: \"loud\" is not "
		"allowed; give one of: debug, info, warn, error");
	assert_refused("listeners:\n  mx: { address: localhost }\n",
		"postern.yaml:2:18: listeners.mx.address: \"localhost\" is not allowed; give an IP "
		"address");
	assert_refused(
		"listeners:\n  mx: {}\n", "postern.yaml:2:3: listeners.mx.address: is missing");
	assert_refused("listeners: {}\n", "listeners: is missing; give 1 to 64 entries");
	assert_refused(
		MINIMAL "timeouts: 5\n", "postern.yaml:10:11: timeouts: give fields in braces");
	assert_refused(MINIMAL "timeouts: { command: 10h }\n",
		"timeouts.command: \"10h\" is not allowed; give a time from 1s to 1h");
	assert_refused(MINIMAL "timeouts: { command: }\n", "timeouts.command: is empty");
	assert_refused(MINIMAL "sandbox: [off]\n", "sandbox: is not one value");
	assert_refused(MINIMAL "dns: { servers: [ns1.example.org] }\n", "dns.servers");
	assert_refused("- a\n", "postern.yaml:1:1: give fields in braces");
	assert_refused("\xff", "not UTF-8");
}

static void all_problems_at_once(void **state)
{
	(void)state;
	struct config *config;
	struct buf problems;
	buf_init(&problems, 100000);
	assert_int_equal(
		config_parse("p", SPAN("workers: 0\nlimits: { hops: x }\n"), &config, &problems),
		ERR_SYNTAX);
	assert_has(&problems, "p:1:10: workers");
	assert_has(&problems, "p:2:17: limits.hops");
	assert_has(&problems, "hostname: is missing");
	assert_has(&problems, "listeners: is missing");
	buf_done(&problems);
}

static void two_things_in_one_place(void **state)
{
	(void)state;
	assert_refused("hostname: gw.example.test\nspool: /s\ndirectory: /s\ncontrol: /c\n"
		       "listeners: { mx: { address: 127.0.0.1:2525 } }\n",
		"directory: is the same path as spool");
	assert_refused("hostname: gw.example.test\nspool: /s\ndirectory: /s/d.db\ncontrol: /c\n"
		       "listeners: { mx: { address: 127.0.0.1:2525 } }\n",
		"directory: lies within the spool");
	assert_refused("hostname: gw.example.test\nspool: /s\ndirectory: /d\ncontrol: /c\n"
		       "listeners:\n  a: { address: 127.0.0.1:25 }\n  b: { address: 127.0.0.1 }\n",
		"postern.yaml:7:3: listeners.b: has the same address as \"a\"");
}

static void a_bad_port_is_said_to_be_that(void **state)
{
	(void)state;
	assert_refused("hostname: gw.example.test\nspool: /s\ndirectory: /d\ncontrol: /c\n"
		       "listeners: { mx: { address: 127.0.0.1:99999 } }\n",
		"the port is a number from 1 to 65535");
	assert_refused("hostname: gw.example.test\nspool: /s\ndirectory: /d\ncontrol: /c\n"
		       "listeners: { mx: { address: 127.0.0.1 } }\n"
		       "dns: { servers: [ \"127.0.0.1:0\" ] }\n",
		"the port is a number from 1 to 65535");
}

static void control_fits_a_socket_address(void **state)
{
	char text[1000];
	(void)state;
	snprintf(text, sizeof(text),
		"hostname: gw.example.test\nspool: /s\ndirectory: /d\ncontrol: /%0120d\n"
		"listeners: { mx: { address: 127.0.0.1:2525 } }\n",
		0);
	assert_refused(text, "a path of at most 107 bytes");
}

static void loading(void **state)
{
	char path[] = "/tmp/postern-test-XXXXXX", file[64];
	struct config *config;
	struct buf problems;

	(void)state;
	buf_init(&problems, 10000);
	assert_non_null(mkdtemp(path));
	snprintf(file, sizeof(file), "%s/postern.yaml", path);
	assert_int_equal(config_load(file, &config, &problems), ERR_NOT_FOUND);
	assert_has(&problems, "postern.yaml: cannot be read: not found");
	FILE *out = fopen(file, "w");
	fputs("hostname: gw.example.test\nspool: spool\ndirectory: d.db\ncontrol: c.sock\n"
	      "listeners: { mx: { address: 127.0.0.1:2525 } }\n",
		out);
	fclose(out);
	buf_clear(&problems);
	assert_int_equal(config_load(file, &config, &problems), 0);
	assert_true(config->spool.p[0] == '/');
	config_free(&config);
	assert_int_equal(config_load(path, &config, &problems), ERR_UNSUPPORTED);
	unlink(file);
	rmdir(path);
	buf_done(&problems);
}

/* What posternctl compares with what the server runs: each field once, by its full name, in a form
 * that does not depend on how it was written. */
static void each_field_has_a_name_and_a_value(void **state)
{
	(void)state;
	struct config *config = parsed("postern.yaml",
		MINIMAL "dns: { servers: [ 192.0.2.53, \"127.0.0.1:5353\" ] }\n"
			"storage: { segment-size: 65536K }\n");
	struct json_write json;
	struct buf buf;

	buf_init(&buf, 100000);
	json_write_init(&json, &buf);
	json_open_object(&json, NULL);
	config_add_json(&json, "it", config);
	json_close_object(&json);
	assert_true(buf_ok(&buf));
	static const char *const members[] = {"\"hostname\":\"gw.example.test\"",
		"\"spool\":\"/tmp/p/spool\"", "\"workers\":\"2\"",
		"\"limits.message-size\":\"50M\"", "\"limits.hops\":\"50\"",
		"\"listeners.mx.address\":\"127.0.0.1:2525\"", "\"storage.segment-size\":\"64M\"",
		"\"trace.path\":\"/tmp/p/trace\"", "\"timeouts.command\":\"5m\"",
		"\"log.level\":\"info\"", "\"dns.servers\":\"192.0.2.53",
		"\"users.group\":\"postern\""};
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		assert_has(&buf, members[i]);
	buf_done(&buf);
	config_free(&config);
}

/* Four files for one worker: its own and delivery's, the one in use and the next. */
static void the_reserve_grows_with_the_workers(void **state)
{
	(void)state;
	struct config *config = parsed("postern.yaml", MINIMAL);

	assert_int_equal(config_reserve_files(config), 6);
	config->workers = 1;
	assert_int_equal(config_reserve_files(config), 4);
	config_free(&config);
}

/* ---- TLS and who is believed ----------------------------------------------------------------- */

#define HEAD "hostname: gw.example.test\nspool: s\ndirectory: d\ncontrol: c\n"

static void listeners_with_tls(void **state)
{
	(void)state;
	struct config *config = parsed("/etc/postern/postern.yaml", HEAD
		"listeners:\n"
		"  mx: { address: 0.0.0.0:25, tls: { certificate: gw.crt, key: /keys/gw.key } }\n"
		"  smtps: { address: 0.0.0.0:465, tls: { certificate: gw.crt, key: gw.key } }\n"
		"  odd: { address: 0.0.0.0:1465, tls: { certificate: gw.crt, key: gw.key, mode: "
		"implicit } }\n"
		"  even: { address: \"[::]:465\", tls: { certificate: gw.crt, key: gw.key, mode: "
		"starttls } }\n"
		"  names:\n"
		"    address: 0.0.0.0:587\n"
		"    tls:\n"
		"      certificate: gw.crt\n"
		"      key: gw.key\n"
		"      client-ca: ca.pem\n"
		"      names:\n"
		"        Mail.B.example: { certificate: b.crt, key: b.key }\n"
		"        \"*.Münich.example\": { certificate: m.crt, key: m.key }\n"
		"  plain: { address: 127.0.0.1:2525, auth-without-tls: yes, open-relay: yes,\n"
		"    proxy: [192.0.2.7, \"2001:db8::/64\"], xclient: 127.0.0.1 }\n"
		"users: { keys: k-user }\n"
		"tls: { ca-folders: [/srv/ca/, certs] }\n"
		"dns: { trust-anchor: root.key }\n");
	const struct config_listener *l = config->listeners;
	assert_span(config->folder, "/etc/postern/");
	assert_int_equal(config->listener_count, 6);
	assert_span(l[0].tls.certificate, "/etc/postern/gw.crt");
	assert_span(l[0].tls.key, "/keys/gw.key");
	assert_int_equal(l[0].tls.mode, CONFIG_TLS_STARTTLS);
	assert_false(l[0].open_relay);
	assert_false(l[0].auth_without_tls);
	assert_int_equal(l[0].proxy.n, 0);
	assert_int_equal(l[1].tls.mode, CONFIG_TLS_IMPLICIT); /* RFC 8314 section 3.3 */
	assert_int_equal(l[2].tls.mode, CONFIG_TLS_IMPLICIT);
	assert_int_equal(l[3].tls.mode, CONFIG_TLS_STARTTLS);
	assert_span(l[4].tls.client_ca, "/etc/postern/ca.pem");
	assert_int_equal(l[4].tls.name_count, 2);
	assert_span(l[4].tls.names[0].name, "mail.b.example");
	assert_span(l[4].tls.names[0].certificate, "/etc/postern/b.crt");
	assert_span(l[4].tls.names[0].key, "/etc/postern/b.key");
	assert_span(l[4].tls.names[1].name, "*.xn--mnich-kva.example");
	assert_int_equal(l[5].tls.certificate.n, 0);
	assert_true(l[5].auth_without_tls && l[5].open_relay);
	assert_span(l[5].proxy, "192.0.2.7\n2001:db8::/64");
	assert_span(l[5].xclient, "127.0.0.1");
	assert_ptr_equal(config_find_listener(config, SPAN("plain")), &l[5]);
	assert_null(config_find_listener(config, SPAN("nope")));
	assert_true(config_is_reachable(&l[0]));
	assert_false(config_is_reachable(&l[5]));
	assert_span(config->user_keys, "k-user");
	assert_span(config->user_fetch, "postern-fetch");
	assert_span(config->tls_ca_folders, "/srv/ca\n/etc/postern/certs");
	assert_span(config->dnssec_anchor, "/etc/postern/root.key");
	config_free(&config);
}

static void listeners_refused(void **state)
{
	static const char *const cases[][2] = {
		{"tls: { certificate: a }",
			"postern.yaml:5:58: listeners.mx.tls.certificate: needs its private key"},
		{"tls: { key: a }",
			"postern.yaml:5:50: listeners.mx.tls.key: needs its certificate"},
		{"tls: { mode: implicit }",
			"postern.yaml:5:51: listeners.mx.tls.mode: means nothing without a "
			"certificate"},
		{"tls: { client-ca: a }", "listeners.mx.tls.client-ca: means nothing without"},
		{"tls: { certificate: a, key: b, mode: tls }", "give one of: starttls, implicit"},
		{"tls: { certificate: a, key: b, names: { a.example: { certificate: c } } }",
			"listeners.mx.tls.names.a.example.certificate: needs its private key"},
		{"tls: { certificate: a, key: b, names: { a.example: {} } }",
			"postern.yaml:5:78: listeners.mx.tls.names.a.example: give its certificate "
			"and key"},
		{"tls: { certificate: a, key: b, names: { \"a b\": { certificate: c, key: d } } }",
			"listeners.mx.tls.names.a b: is no host name"},
		{"tls: { certificate: a, key: b, names: { \"a.*.b\": { certificate: c, key: d } } "
		 "}",
			"is no host name"},
		{"tls: { certificate: a, key: b, names: { a.example: { certificate: c, key: d }, "
		 "A.Example: { certificate: c, key: d } } }",
			"listeners.mx.tls.names.A.Example: is here twice"},
		{"tls: { certificate: a, key: b, names: { a.example: { crt: c } } }",
			"listeners.mx.tls.names.a.example.crt: name has no such field"},
		{"tls: gw.crt", "listeners.mx.tls: give fields in braces"},
		{"proxy: [10.0.0.1, lb.example]", "listeners.mx.proxy: \"lb.example\" is refused"},
		{"xclient: { a: b }", "listeners.mx.xclient: is not one value"},
	};
	char text[400];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), HEAD "listeners: { mx: { address: 1.2.3.4, %s } }\n",
			cases[i][0]);
		assert_refused(text, cases[i][1]);
	}
}

static void find_name(void *context, struct span name, struct span value)
{
	struct buf *out = context;
	buf_printf(out, "%.*s=%.*s\n", (int)name.n, name.p, (int)value.n, value.p);
}

/* Also the longest name does not keep what follows it from being told. */
static void fields_within_fields_have_names(void **state)
{
	(void)state;
	char label[64], text[1000];
	struct buf out;
	memset(label, 'x', 63);
	label[63] = 0;
	snprintf(text, sizeof(text),
		HEAD "listeners: { %s: { address: 1.2.3.4, tls: { certificate: a, key: b, names: { "
		     "%s.%s.%s.example: { certificate: c, key: d } } } } }\n",
		label, label, label, label);
	struct config *config = parsed("/e/postern.yaml", text);
	buf_init(&out, 100000);
	config_each_field(config, find_name, &out);
	assert_has(&out, ".example.certificate=/e/c\n");
	assert_has(&out, "tls.mode=starttls\n");
	assert_has(&out, "users.fetch=postern-fetch\n");
	buf_done(&out);
	config_free(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_minimal_file),
		cmocka_unit_test(defaults_follow_the_rfc),
		cmocka_unit_test(every_group),
		cmocka_unit_test(paths_beside_a_relative_file),
		cmocka_unit_test(refused_with_place),
		cmocka_unit_test(all_problems_at_once),
		cmocka_unit_test(two_things_in_one_place),
		cmocka_unit_test(a_bad_port_is_said_to_be_that),
		cmocka_unit_test(control_fits_a_socket_address),
		cmocka_unit_test(loading),
		cmocka_unit_test(each_field_has_a_name_and_a_value),
		cmocka_unit_test(the_reserve_grows_with_the_workers),
		cmocka_unit_test(listeners_with_tls),
		cmocka_unit_test(listeners_refused),
		cmocka_unit_test(fields_within_fields_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
