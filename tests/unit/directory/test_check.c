#include "directory/check.h"

#include "common.h"

static void gather(void *context, const struct check_finding *finding)
{
	struct buf *out = context;
	buf_printf(out, "%s %.*s: %.*s\n", check_severity_name(finding->severity),
		(int)finding->about.n, finding->about.p, (int)finding->text.n, finding->text.p);
}

static struct objects *objects_of(const char *text)
{
	const struct plan_options options = {.now_ms = 1000};
	struct objects *objects, *next;
	struct buf problems;
	struct plan *plan;
	buf_init(&problems, 10000);
	assert_int_equal(objects_new(&objects), 0);
	if (objects_plan_apply(objects, "f", span_str(text), &options, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	next = plan_take(&plan);
	objects_free(&objects);
	buf_done(&problems);
	return next;
}

static void check_objects(const char *text, struct buf *out)
{
	struct objects *objects = objects_of(text);
	check_all(NULL, objects, false, gather, out);
	objects_free(&objects);
}

static void a_good_directory_is_quiet(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_objects(SAMPLE_OBJECTS, &out);
	assert_text(&out, "");
	buf_done(&out);
}

static void what_is_found(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_objects("transports:\n"
		      "  quick: { server: a.example, retry-delay: 1, retry-count: 3 }\n"
		      "  slow: { server: a.example, retry-delay: 1d, retry-count: 30, give-up: "
		      "discard }\n"
		      "domains:\n"
		      "  c.example: { mailboxes: true }\n"
		      "  d.example: { transport: slow }\n",
		&out);
	assert_has(&out, "warning default-transport: is not set");
	assert_has(&out, "warning transport quick: gives up after 3 min;");
	assert_has(&out, "warning transport slow: gives up after 720 hours (30 days);");
	assert_has(&out, "warning transport slow: discards mail");
	assert_has(&out, "note transport quick: is used by no domain");
	assert_has(&out, "warning domain c.example: has mailboxes but no account");
	assert_has(&out, "warning postmaster: is not set, and c.example has no such account");
	assert_null(strstr(text_of(&out), "note transport slow"));
	buf_clear(&out);
	check_objects("{}\n", &out);
	assert_has(&out, "warning domains: there is none");
	buf_done(&out);
}

static void check_with_config(const char *hostname, const char *text, struct buf *out)
{
	struct objects *objects = objects_of(text);
	struct config *config;
	struct buf file;
	buf_init(&file, 1000);
	buf_printf(&file,
		"hostname: %s\nspool: s\ndirectory: d\ncontrol: c\n"
		"listeners: { mx: { address: 0.0.0.0:2525 } }\n",
		hostname);
	assert_int_equal(config_parse("p", buf_span(&file), &config, out), 0);
	buf_clear(out);
	check_postmaster(config, objects, gather, out);
	config_free(&config);
	objects_free(&objects);
	buf_done(&file);
}

/* RFC 5321 section 4.5.1 */
static void postmaster_must_be_reachable(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_with_config("gw.example.test",
		"domains: { c.example: { mailboxes: true } }\n"
		"accounts: { postmaster@c.example: {} }\n",
		&out);
	assert_text(&out,
		"warning postmaster: is not set, and gw.example.test has no such account: mail to "
		"postmaster there is refused, which RFC 5321 section 4.5.1 forbids; set "
		"postmaster to the address that is to get it\n");
	/* One line, however many domains. */
	check_with_config("c.example",
		"domains:\n  a.example: { mailboxes: true }\n  b.example: { mailboxes: true }\n"
		"  c.example: { mailboxes: true }\n  d.example: { mailboxes: true }\n"
		"accounts: { postmaster@b.example: {}, ann@c.example: {} }\n",
		&out);
	assert_text(&out,
		"warning postmaster: is not set, and c.example, a.example, d.example have no such "
		"account: mail to postmaster there is refused, which RFC 5321 section 4.5.1 "
		"forbids; set postmaster to the address that is to get it\n");
	/* What takes all takes that, too. */
	check_with_config("a.example",
		"transports: { t: { server: 192.0.2.1 } }\n"
		"domains: { a.example: { transport: t } }\n",
		&out);
	assert_text(&out, "");
	check_with_config("gw.example.test", SAMPLE_OBJECTS, &out);
	assert_text(&out, "");
	check_with_config("gw.example.test", "postmaster: ann@far.example\n", &out);
	assert_text(&out, "");
	/* Set to what cannot be reached. */
	check_with_config("gw.example.test",
		"domains: { c.example: { mailboxes: true } }\n"
		"postmaster: eve@c.example\n",
		&out);
	assert_text(&out,
		"warning postmaster: is set to eve@c.example, which is no account here: its mail "
		"is refused; add the account, or set another address\n");
	check_with_config("gw.example.test", "postmaster: postmaster@gw.example.test\n", &out);
	assert_has(&out, "is set to postmaster@gw.example.test, which is no account here");
	buf_done(&out);
}

static void the_domains_that_are_named_are_few(void **state)
{
	(void)state;
	struct buf text, out;
	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_add_str(&text, "domains:\n");
	for (int i = 0; i < 500; i++)
		buf_printf(&text, "  d%03d.example: { mailboxes: true }\n", i);
	check_with_config("gw.example.test", text_of(&text), &out);
	assert_has(&out, "and gw.example.test, d000.example, d001.example, d002.example and 497 "
			 "more have no such account");
	buf_done(&text);
	buf_done(&out);
}

static void private_hosts_of_strangers(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_objects("transports:\n"
		      "  inside: { server: \"lookup-mx:zone=z.example\", private-hosts: yes }\n"
		      "  fixed: { server: 10.0.0.1, private-hosts: yes }\n"
		      "  out: { server: lookup-mx, private-hosts: yes }\n"
		      "domains:\n"
		      "  a.example: { transport: inside }\n"
		      "  b.example: { transport: fixed }\n"
		      "default-transport: out\n",
		&out);
	assert_text(&out,
		"note transport fixed: has a fixed server, for which private-hosts says nothing; "
		"leave it out\n"
		"warning transport out: is the default-transport, and private-hosts lets any "
		"stranger's domain lead mail to hosts of your network; keep that for a transport "
		"of "
		"your own domains\n");
	buf_done(&out);
}

static void findings_are_bounded(void **state)
{
	(void)state;
	struct buf text, out;
	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	buf_add_str(&text, "domains:\n");
	for (int i = 0; i < 500; i++)
		buf_printf(&text, "  d%d.example: { mailboxes: true }\n", i);
	check_objects(text_of(&text), &out);
	assert_has(&out, "note : and 480 more of the kind\n");
	buf_done(&text);
	buf_done(&out);
}

static void start_files(void **state)
{
	(void)state;
	struct config *config;
	struct buf out;
	buf_init(&out, 100000);
	assert_int_equal(
		config_parse("p",
			SPAN("hostname: gw.example.test\nspool: s\ndirectory: d\ncontrol: c\n"
			     "listeners: { mx: { address: 127.0.0.1:25 } }\nsandbox: off\n"
			     "limits: { hops: 10 }\n"),
			&config, &out),
		0);
	check_all(config, NULL, false, gather, &out);
	assert_has(&out, "warning listeners.mx: port 25 needs root");
	assert_has(&out, "note listeners: all are on loopback");
	assert_has(&out, "warning sandbox: is off");
	assert_has(&out, "warning limits.hops: 10 is less");
	buf_clear(&out);
	check_all(config, NULL, true, gather, &out);
	assert_null(strstr(text_of(&out), "needs root"));
	config_free(&config);
	buf_done(&out);
}

static void accepted_for_nothing(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_objects("accept: { users: [boss@else.example] }\n", &out);
	assert_has(&out, "note accept: users are not looked at: no listener has the relay policy "
			 "local-users");
	buf_done(&out);
}

static void links_and_aliases(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_objects("transports:\n"
		      "  a: { server: a.example, sasl: { user: u, secret: s } }\n"
		      "  b: { server: b.example, tls: verify, sasl: { user: u, secret: s } }\n"
		      "  c: { server: lookup-mx, tls: verify }\n"
		      "domains:\n  c.example: { mailboxes: true }\n  d.example: { transport: a }\n"
		      "aliases: { postmaster@c.example: ann@else.example }\n",
		&out);
	assert_has(&out, "warning transport a: gives its password to whoever answers");
	assert_has(&out, "note transport c: verifies names that lookup-mx has from the DNS");
	assert_null(strstr(text_of(&out), "transport b: gives"));
	/* an alias is somebody who gets mail */
	assert_null(strstr(text_of(&out), "has mailboxes but no account"));
	assert_null(strstr(text_of(&out), "warning postmaster"));
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_directory_is_quiet),
		cmocka_unit_test(what_is_found),
		cmocka_unit_test(postmaster_must_be_reachable),
		cmocka_unit_test(the_domains_that_are_named_are_few),
		cmocka_unit_test(private_hosts_of_strangers),
		cmocka_unit_test(findings_are_bounded),
		cmocka_unit_test(start_files),
		cmocka_unit_test(accepted_for_nothing),
		cmocka_unit_test(links_and_aliases),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
