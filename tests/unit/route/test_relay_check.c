/* What check says of who may relay, from an objects file and a start file to the words. */
#include "route/relay.h"

#include "directory/common.h"

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

static void check_listeners(const char *listeners, const char *text, struct buf *out)
{
	struct objects *objects = objects_of(text);
	struct config *config;
	struct buf file;
	buf_init(&file, 10000);
	buf_printf(&file,
		"hostname: gw.example.test\nspool: s\ndirectory: d\ncontrol: c\n"
		"listeners:\n%s",
		listeners);
	if (config_parse("f", buf_span(&file), &config, out) < 0)
		fail_msg("%s", text_of(out));
	buf_clear(out);
	assert_int_equal(relay_check_objects(objects, config, gather, out), 0);
	config_free(&config);
	objects_free(&objects);
	buf_done(&file);
}

#define CERTIFICATE "tls: { certificate: c, key: k }"

static void open_doors_are_told(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	/* nothing to say of what everybody has */
	check_listeners("  mx: { address: 0.0.0.0:25 }\n  s: { address: 0.0.0.0:465, " CERTIFICATE
			" }\n",
		"relay: { s: { policy: none }, mx: { policy: addresses, from: 192.0.2.0/24 } }\n",
		&out);
	assert_text(&out, "");
	/* the start file */
	check_listeners("  mx: { address: 0.0.0.0:25, open-relay: yes, auth-without-tls: yes }\n"
			"  in: { address: 127.0.0.1:25, open-relay: yes, auth-without-tls: yes }\n",
		"{}\n", &out);
	assert_has(&out,
		"warning listener mx: open-relay: yes in the start file is for the policy anyone");
	assert_has(&out, "warning listener mx: auth-without-tls takes passwords in clear");
	assert_null(strstr(text_of(&out), "listener in: auth"));
	/* policies */
	check_listeners("  mx: { address: 0.0.0.0:25 }\n",
		"relay: { mx: { policy: local-hosts } }\n", &out);
	assert_has(&out, "warning listener mx: the policy local-hosts relays for whoever writes");
	check_listeners("  mx: { address: 0.0.0.0:25 }\n",
		"relay: { mx: { policy: local-users } }\n", &out);
	assert_has(&out, "warning listener mx: the policy local-users relays for whoever writes");
	check_listeners(
		"  mx: { address: 0.0.0.0:25 }\n", "relay: { mx: { policy: anyone } }\n", &out);
	assert_has(&out, "warning listener mx: the policy anyone counts as none here");
	check_listeners(
		"  mx: { address: 127.0.0.1:25 }\n", "relay: { mx: { policy: anyone } }\n", &out);
	/* Where only this machine can connect, everybody may relay already. */
	assert_text(&out, "");
	buf_done(&out);
}

static void wide_ranges_are_told(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_listeners("  mx: { address: 0.0.0.0:25 }\n",
		"relay: { mx: { policy: addresses, from: [64.0.0.0/2, 10.0.0.0/8, "
		"\"2001:db8::/32\"], to: [\"2000::/3\"] } }\n",
		&out);
	assert_has(&out, "warning listener mx: from 64.0.0.0/2 is a great part of the Internet");
	assert_has(&out, "warning listener mx: to 2000::/3 is a great part of the Internet");
	assert_null(strstr(text_of(&out), "10.0.0.0"));
	assert_null(strstr(text_of(&out), "2001:db8"));
	check_listeners("  mx: { address: 0.0.0.0:25, " CERTIFICATE " }\n",
		"relay: { mx: { policy: addresses } }\n", &out);
	assert_text(&out,
		"warning listener mx: the policy addresses without from and to relays for no "
		"address; give them, or set none\n");
	buf_done(&out);
}

static void locked_doors_are_told(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 100000);
	check_listeners("  mx: { address: 0.0.0.0:25, " CERTIFICATE " }\n",
		"relay: { mx: { policy: none, advertise-auth: no } }\n", &out);
	assert_has(&out,
		"warning listener mx: advertise-auth: no hides AUTH, the one way to relay here");
	check_listeners(
		"  mx: { address: 0.0.0.0:25 }\n", "relay: { mx: { policy: none } }\n", &out);
	assert_has(&out,
		"warning listener mx: nobody but this machine can relay here: AUTH needs TLS");
	check_listeners("  mx: { address: 127.0.0.1:25, auth-without-tls: yes }\n",
		"relay: { mx: { policy: none } }\n", &out);
	assert_text(&out, "");
	check_listeners("  mx: { address: 0.0.0.0:25, tls: { certificate: c, key: k, client-ca: a "
			"} }\n",
		"relay: { mx: { advertise-auth: no } }\n", &out);
	assert_text(&out, "");
	check_listeners("  mx: { address: 0.0.0.0:25, " CERTIFICATE " }\n",
		"relay: { mx: { certificates: "
		"\"sha256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\" } }\n",
		&out);
	assert_has(&out, "warning listener mx: certificates has no effect");
	check_listeners("  mx: { address: 0.0.0.0:25, " CERTIFICATE " }\n",
		"relay: { submission: {} }\naccept: { users: [boss@else.example] }\n", &out);
	assert_has(&out, "warning listener submission: the directory has a relay policy for it, "
			 "but the start file no such");
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(open_doors_are_told),
		cmocka_unit_test(wide_ranges_are_told),
		cmocka_unit_test(locked_doors_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
