#include "objects_common.h"

#include <stdio.h>

static void the_sample_file(void **state)
{
	(void)state;
	struct objects *objects = sample();
	assert_int_equal(objects_count(objects, OBJECT_TRANSPORT), 3);
	assert_int_equal(objects_count(objects, OBJECT_DOMAIN), 3);
	assert_int_equal(objects_count(objects, OBJECT_ACCOUNT), 1);
	assert_span(objects_default_transport(objects), "outbound");
	const struct object_transport *t =
		object_transport(objects_find(objects, OBJECT_TRANSPORT, SPAN("mx-only")));
	assert_span(t->server.zone, "customer.example.org");
	assert_span(t->server.query, "127.0.0.1:5353");
	assert_int_equal(t->retry_delay.count, 3);
	assert_true(
		object_domain(objects_find(objects, OBJECT_DOMAIN, SPAN("c.example")))->mailboxes);
	assert_int_equal(objects_transport_users(objects, SPAN("outbound")), 1);
	objects_free(&objects);
}

static void export_is_the_same_form(void **state)
{
	(void)state;
	struct objects *objects = sample(), *empty;
	struct buf out, words;

	buf_init(&out, 100000);
	buf_init(&words, 100000);
	objects_export(objects, &out);
	assert_text(&out, "transports:\n"
			  "  mx-only: { server: "
			  "\"lookup-mx:zone=customer.example.org;query=127.0.0.1:5353\", "
			  "retry-delay: \"1m, 5m*2, 1h*3\" }\n"
			  "  outbound: { server: lookup-mx }\n"
			  "  site-a: { server: \"127.0.0.1:2626\", retry-delay: \"60,120,180\", "
			  "retry-count: 30 }\n"
			  "domains:\n"
			  "  a.example: { transport: site-a }\n"
			  "  b.example: { transport: mx-only }\n"
			  "  c.example: { mailboxes: true }\n"
			  "accounts:\n"
			  "  ann@c.example: {}\n"
			  "default-transport: outbound\n"
			  "postmaster: ann@c.example\n");
	apply(&objects, text_of(&out), &words);
	assert_text(&words, "");
	apply_with(&objects, text_of(&out), &prune, &words);
	assert_text(&words, "");
	/* and from nothing it builds the same */
	assert_int_equal(objects_new(&empty), 0);
	apply(&empty, text_of(&out), NULL);
	buf_clear(&words);
	objects_export(empty, &words);
	assert_string_equal(text_of(&words), text_of(&out));
	objects_free(&empty);
	objects_free(&objects);
	buf_done(&out);
	buf_done(&words);
}

static void empty_export_applies(void **state)
{
	(void)state;
	struct objects *objects;
	struct buf out, words;
	buf_init(&out, 1000);
	buf_init(&words, 1000);
	assert_int_equal(objects_new(&objects), 0);
	objects_export(objects, &out);
	apply(&objects, text_of(&out), &words);
	assert_text(&words, "");
	objects_free(&objects);
	buf_done(&out);
	buf_done(&words);
}

static void changes_in_words(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf words;
	buf_init(&words, 100000);
	apply(&objects,
		"transports:\n"
		"  site-a: { server: \"127.0.0.1:2626\", retry-delay: \"60,120,180\", retry-count: "
		"12 }\n"
		"  new: { server: mail.example.org, helo: out.example.org }\n"
		"domains:\n"
		"  a.example: { transport: outbound }\n"
		"default-transport: new\n",
		&words);
	assert_text(&words,
		"transport new: added { server: mail.example.org, helo: out.example.org }\n"
		"transport site-a: retry-count 30 → 12\n"
		"domain a.example: transport site-a → outbound\n"
		"default-transport outbound → new\n");
	/* what the file did not name is still there */
	assert_int_equal(objects_count(objects, OBJECT_TRANSPORT), 4);
	assert_non_null(objects_find(objects, OBJECT_ACCOUNT, SPAN("ann@c.example")));
	apply(&objects, "default-transport: ''\n", &words);
	assert_text(&words, "default-transport new → none\n");
	apply(&objects, "postmaster: '\"Bob\"@MAIL.Example'\n", &words);
	assert_text(&words, "postmaster ann@c.example → Bob@mail.example\n");
	/* an object in a file is replaced whole: helo goes back to its default */
	apply(&objects, "transports: { new: { server: mail.example.org } }\n", &words);
	assert_text(&words, "transport new: helo out.example.org → none\n");
	objects_free(&objects);
	buf_done(&words);
}

static void times_are_kept(void **state)
{
	(void)state;
	const struct plan_options later = {.now_ms = 5000};
	struct objects *objects = sample();
	apply_with(&objects, "transports: { outbound: { server: lookup-mx, connections: 5 } }\n",
		&later, NULL);
	const struct object *changed = objects_find(objects, OBJECT_TRANSPORT, SPAN("outbound"));
	assert_int_equal(changed->created_ms, 1000);
	assert_int_equal(changed->changed_ms, 5000);
	const struct object *same = objects_find(objects, OBJECT_TRANSPORT, SPAN("site-a"));
	assert_int_equal(same->changed_ms, 1000);
	objects_free(&objects);
}

static void prune_makes_it_exact(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf words;
	buf_init(&words, 100000);
	apply_with(&objects,
		"transports:\n  outbound: { server: lookup-mx }\n"
		"domains:\n  a.example: { transport: outbound }\n",
		&prune, &words);
	assert_text(&words, "transport mx-only: removed\n"
			    "transport site-a: removed\n"
			    "domain a.example: transport site-a → outbound\n"
			    "domain b.example: removed\n"
			    "domain c.example: removed\n"
			    "account ann@c.example: removed\n"
			    "default-transport outbound → none, postmaster ann@c.example → none\n");
	assert_refused_with(objects, "", &prune, "not an objects file");
	objects_free(&objects);
	buf_done(&words);
}

static void names_become_canonical(void **state)
{
	(void)state;
	struct objects *objects = sample();
	apply(&objects,
		"domains: { B\xc3\x9c"
		"cher.Example: { mailboxes: true } }\n"
		"accounts: { Bob@b\xc3\xbc"
		"cher.example: {} }\n",
		NULL);
	assert_non_null(objects_find(objects, OBJECT_DOMAIN, SPAN("xn--bcher-kva.example")));
	assert_non_null(objects_find(objects, OBJECT_ACCOUNT, SPAN("bob@xn--bcher-kva.example")));
	assert_refused(objects,
		"domains:\n  d.example: { mailboxes: yes }\n  D.Example: { mailboxes: yes }\n",
		"objects.yaml:3:3: domains: \"d.example\" is here twice");
	objects_free(&objects);
}

static void refused_with_file_line_and_field(void **state)
{
	(void)state;
	struct objects *objects = sample();
	assert_refused(objects, "transports:\n  x: { server: \"a b\" }\n",
		"objects.yaml:2:16: transports.x.server: \"a b\" is refused");
	assert_refused(objects, "transports:\n  x: { retry-count: 3 }\n",
		"objects.yaml:2:3: transports.x.server: is missing");
	assert_refused(objects, "transports:\n  x: { server: a.example, retry-cuont: 3 }\n",
		"objects.yaml:2:27: transports.x.retry-cuont: transport has no such field; did you "
		"mean "
		"\"retry-count\"?");
	assert_refused(objects, "transports:\n  X y: { server: a.example }\n",
		"objects.yaml:2:3: transports: \"X y\" is no name for a transport");
	assert_refused(objects, "domains:\n  d.example: { transport: nowhere }\n",
		"objects.yaml:2:27: domains.d.example.transport: there is no transport "
		"\"nowhere\"");
	assert_refused(objects, "domains:\n  d.example: {}\n",
		"objects.yaml:2:3: domains.d.example: needs either");
	assert_refused(objects, "domains:\n  d.example: { transport: site-a, mailboxes: true }\n",
		"objects.yaml:2:46: domains.d.example.mailboxes: a domain has a transport or "
		"mailboxes");
	assert_refused(objects, "domains:\n  bad_name: { mailboxes: true }\n",
		"objects.yaml:2:3: domains: \"bad_name\" is no domain name");
	assert_refused(objects, "accounts:\n  bob@z.example: {}\n",
		"objects.yaml:2:3: accounts.bob@z.example: the domain \"z.example\" is not served "
		"here; add it first");
	assert_refused(objects, "accounts:\n  bob: {}\n", "\"bob\" is no address for an account");
	assert_refused(objects, "accounts:\n  bob@c.example: { quota: 5 }\n",
		"objects.yaml:2:20: accounts.bob@c.example.quota: account has no such field; it "
		"has: disabled, send-as");
	assert_refused(objects, "default-transport: nowhere\n",
		"objects.yaml:1:20: default-transport: there is no transport \"nowhere\"");
	assert_refused(objects, "postmaster: nobody\n",
		"objects.yaml:1:13: postmaster: \"nobody\" is not allowed; give a mail address "
		"such as ann@example.org");
	assert_refused(objects, "postmaster: [1]\n", "objects.yaml:1:13: postmaster: ");
	assert_refused(objects, "postmaster: <ann@c.example>\n", "a mail address such as");
	assert_refused(objects, "postmaster: jörg@c.example\n", "a mail address such as");
	assert_refused(objects, "domain:\n  d.example: { mailboxes: true }\n",
		"objects.yaml:1:1: domain: is no part of an objects file; did you mean "
		"\"domains\"?");
	assert_refused(objects, "domains: [a.example]\n",
		"objects.yaml:1:10: domains: give objects by their names");
	assert_refused(objects, "[1]\n", "not an objects file");
	assert_refused(objects, "domains:\n  d.example: { mailboxes: maybe }\n",
		"domains.d.example.mailboxes: \"maybe\" is not allowed; give true or false");
	assert_int_equal(objects_count(objects, OBJECT_DOMAIN), 3);
	objects_free(&objects);
}

/* Not one kind after the other: who mends a file wants to do it once. */
static void all_mistakes_are_told_at_once(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan = NULL;
	struct buf problems;
	static const char text[] = "transports:\n"
				   "  x: { server: \"a b\" }\n"
				   "domains:\n"
				   "  d.example: { transport: nowhere }\n"
				   "  e.example: { transport: x }\n"
				   "  a.example: { mailboxes: true, colour: red }\n"
				   "accounts:\n"
				   "  bob@a.example: {}\n"
				   "  bob@z.example: {}\n"
				   "default-transport: outbond\n";

	buf_init(&problems, 100000);
	assert_int_equal(objects_plan_apply(objects, "f", SPAN(text), &options, &problems, &plan),
		ERR_SYNTAX);
	assert_null(plan);
	assert_has(&problems, "f:2:16: transports.x.server: \"a b\" is refused");
	assert_has(&problems, "f:4:27: domains.d.example.transport: there is no transport");
	assert_has(&problems, "f:6:");
	assert_has(&problems, "f:9:3: accounts.bob@z.example: ");
	assert_has(&problems, "f:10:20: default-transport: there is no transport \"outbond\"");
	/* What only goes by a mistake elsewhere is none of its own. */
	assert_null(strstr(text_of(&problems), "e.example"));
	assert_null(strstr(text_of(&problems), "bob@a.example"));
	buf_clear(&problems);
	assert_int_equal(
		objects_plan_apply(objects, "f", SPAN(text), &prune, &problems, &plan), ERR_SYNTAX);
	assert_null(strstr(text_of(&problems), "cannot be removed"));
	assert_has(&problems, "f:4:27: ");
	buf_done(&problems);
	objects_free(&objects);
}

static void nothing_in_use_goes(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan = NULL;
	struct buf problems;
	buf_init(&problems, 10000);
	assert_int_equal(objects_plan_remove(objects, OBJECT_TRANSPORT, SPAN("site-a"), &options,
				 &problems, &plan),
		ERR_SYNTAX);
	assert_has(&problems, "\"site-a\" cannot be removed: domain \"a.example\" uses it");
	buf_clear(&problems);
	assert_int_equal(objects_plan_remove(objects, OBJECT_TRANSPORT, SPAN("outbound"), &options,
				 &problems, &plan),
		ERR_SYNTAX);
	assert_has(&problems, "\"outbound\" cannot be removed: default-transport uses it");
	buf_clear(&problems);
	assert_int_equal(objects_plan_remove(objects, OBJECT_DOMAIN, SPAN("c.example"), &options,
				 &problems, &plan),
		ERR_SYNTAX);
	assert_has(&problems, "remove the account first");
	assert_null(plan);
	buf_done(&problems);
	objects_free(&objects);
}

static void adopt(struct objects **objects, struct plan **plan, const char *words)
{
	struct buf out;
	buf_init(&out, 10000);
	plan_add_words(*plan, &out);
	assert_text(&out, words);
	buf_done(&out);
	struct objects *next = plan_take(plan);
	objects_free(objects);
	*objects = next;
}

static void one_at_a_time(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan;
	struct buf problems;
	buf_init(&problems, 10000);

	const struct span add[] = {SPAN("server=mail.example.org:26"), SPAN("give-up=discard")};
	assert_int_equal(objects_plan_add(objects, OBJECT_TRANSPORT, SPAN("x"), add, 2, &options,
				 &problems, &plan),
		0);
	adopt(&objects, &plan,
		"transport x: added { server: \"mail.example.org:26\", give-up: discard }\n");
	assert_int_equal(objects_plan_add(objects, OBJECT_TRANSPORT, SPAN("x"), add, 2, &options,
				 &problems, &plan),
		ERR_EXISTS);
	assert_has(&problems, "transport \"x\" is there already");
	buf_clear(&problems);

	const struct span set[] = {SPAN("retry-count=5"), SPAN("give-up=")};
	assert_int_equal(objects_plan_set(objects, OBJECT_TRANSPORT, SPAN("x"), set, 2, &options,
				 &problems, &plan),
		0);
	adopt(&objects, &plan, "transport x: retry-count 41 → 5, give-up discard → dsn\n");
	assert_span(
		object_transport(objects_find(objects, OBJECT_TRANSPORT, SPAN("x")))->server.host,
		"mail.example.org");
	assert_int_equal(objects_plan_set(objects, OBJECT_TRANSPORT, SPAN("y"), set, 2, &options,
				 &problems, &plan),
		ERR_NOT_FOUND);
	assert_has(&problems, "there is no transport of that name: \"y\"; ");
	buf_clear(&problems);
	const struct span bad[] = {SPAN("retry-count"), SPAN("server=")};
	assert_int_equal(objects_plan_set(objects, OBJECT_TRANSPORT, SPAN("x"), bad, 1, &options,
				 &problems, &plan),
		ERR_SYNTAX);
	assert_has(&problems, "x: \"retry-count\" is no setting; give field=value");
	buf_clear(&problems);
	assert_int_equal(objects_plan_set(objects, OBJECT_TRANSPORT, SPAN("x"), bad + 1, 1,
				 &options, &problems, &plan),
		ERR_SYNTAX);
	assert_has(&problems, "x.server: is missing");
	buf_clear(&problems);

	assert_int_equal(objects_plan_add(objects, OBJECT_ACCOUNT, SPAN("Bob@C.example"), NULL, 0,
				 &options, &problems, &plan),
		0);
	adopt(&objects, &plan, "account bob@c.example: added\n");
	assert_int_equal(objects_plan_remove(objects, OBJECT_ACCOUNT, SPAN("bob@c.example"),
				 &options, &problems, &plan),
		0);
	adopt(&objects, &plan, "account bob@c.example: removed\n");
	assert_int_equal(objects_plan_remove(objects, OBJECT_ACCOUNT, SPAN("bob@c.example"),
				 &options, &problems, &plan),
		ERR_NOT_FOUND);

	const struct span setting[] = {SPAN("default-transport=x")};
	assert_int_equal(objects_plan_set(objects, OBJECT_SETTINGS, SPAN(""), setting, 1, &options,
				 &problems, &plan),
		0);
	adopt(&objects, &plan, "default-transport outbound → x\n");
	buf_done(&problems);
	objects_free(&objects);
}

static void priorities_are_a_set(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan;
	struct buf words;
	buf_init(&words, 10000);
	apply(&objects,
		"priorities:\n"
		"  - { sender: \"@A.Example\", client: 192.0.2.0/24 }\n"
		"  - { domain: \"*.a.example\" }\n"
		"  - { domain: \"*.a.example\" }\n",
		&words);
	assert_text(&words, "priority domain=*.a.example: added\n"
			    "priority sender=@a.example client=192.0.2.0/24: added\n");
	buf_clear(&words);
	objects_export(objects, &words);
	assert_has(&words, "priorities:\n"
			   "  - { domain: \"*.a.example\" }\n"
			   "  - { sender: \"@a.example\", client: 192.0.2.0/24 }\n");
	struct buf again;
	buf_init(&again, 10000);
	apply_with(&objects, text_of(&words), &prune, &again);
	assert_text(&again, "");
	buf_done(&again);
	assert_refused(objects, "priorities:\n  - {}\n",
		"objects.yaml:2:5: priorities: a rule without fields");
	assert_refused(objects, "priorities:\n  - { transport: gone }\n",
		"there is no transport \"gone\"");
	assert_refused(
		objects, "priorities:\n  - { client: 10.0.0.0/33 }\n", "an address or a network");
	buf_clear(&words);
	assert_int_equal(objects_plan_remove(objects, OBJECT_PRIORITY, SPAN("domain=*.a.example"),
				 &options, &words, &plan),
		0);
	adopt(&objects, &plan, "priority domain=*.a.example: removed\n");
	buf_done(&words);
	objects_free(&objects);
}

static void pauses(void **state)
{
	(void)state;
	struct objects *objects = sample();
	const struct plan_options later = {.now_ms = 9000};
	struct plan *plan;
	struct buf problems;
	buf_init(&problems, 10000);

	assert_int_equal(objects_plan_pause(objects, PAUSE_DOMAIN, SPAN("A.example"), SPAN("ann"),
				 SPAN("server moves"), &options, &problems, &plan),
		0);
	adopt(&objects, &plan, "domain a.example: paused by ann, server moves\n");
	const struct object *pause = objects_pause(objects, PAUSE_DOMAIN, SPAN("a.example"));
	assert_non_null(pause);
	assert_int_equal(object_pause(pause)->since_ms, 1000);
	assert_null(objects_pause(objects, PAUSE_TRANSPORT, SPAN("a.example")));
	/* a second pause leaves the first one's time */
	assert_int_equal(objects_plan_pause(objects, PAUSE_DOMAIN, SPAN("a.example"), SPAN("bob"),
				 SPAN(""), &later, &problems, &plan),
		0);
	adopt(&objects, &plan, "");
	/* nor does one with another reason, which is kept, and whose it is */
	assert_int_equal(objects_plan_pause(objects, PAUSE_DOMAIN, SPAN("a.example"), SPAN("bob"),
				 SPAN("disk full"), &later, &problems, &plan),
		0);
	adopt(&objects, &plan, "domain a.example: paused by bob, disk full\n");
	pause = objects_pause(objects, PAUSE_DOMAIN, SPAN("a.example"));
	assert_int_equal(object_pause(pause)->since_ms, 1000);
	assert_span(object_pause(pause)->by, "bob");
	assert_span(object_pause(pause)->reason, "disk full");
	assert_int_equal(objects_plan_pause(objects, PAUSE_DOMAIN, SPAN("a.example"), SPAN("bob"),
				 SPAN("disk full"), &later, &problems, &plan),
		0);
	adopt(&objects, &plan, "");
	/* apply knows nothing of pauses, even when it prunes */
	struct buf out;
	buf_init(&out, 10000);
	objects_export(objects, &out);
	assert_null(strstr(text_of(&out), "pause"));
	apply_with(&objects, text_of(&out), &prune, &problems);
	assert_text(&problems, "");
	assert_non_null(objects_pause(objects, PAUSE_DOMAIN, SPAN("a.example")));
	buf_done(&out);

	assert_int_equal(objects_plan_pause(objects, PAUSE_ALL, SPAN(""), SPAN("ann"), SPAN(""),
				 &options, &problems, &plan),
		0);
	adopt(&objects, &plan, "everything: paused by ann\n");
	assert_int_equal(
		objects_plan_resume(objects, PAUSE_ALL, SPAN(""), &options, &problems, &plan), 0);
	adopt(&objects, &plan, "everything: resumed\n");
	assert_int_equal(
		objects_plan_resume(objects, PAUSE_ALL, SPAN(""), &options, &problems, &plan), 0);
	adopt(&objects, &plan, "");
	assert_int_equal(objects_plan_pause(objects, PAUSE_TRANSPORT, SPAN("nope"), SPAN("ann"),
				 SPAN(""), &options, &problems, &plan),
		ERR_NOT_FOUND);
	assert_has(&problems,
		"there is no transport of that name: \"nope\"; there are 3 transports, "
		"\"posternctl transport list\" shows them");
	/* a pause goes with its domain */
	assert_int_equal(objects_plan_remove(objects, OBJECT_DOMAIN, SPAN("a.example"), &options,
				 &problems, &plan),
		0);
	adopt(&objects, &plan, "domain a.example: removed\ndomain a.example: resumed\n");
	assert_int_equal(objects_count(objects, OBJECT_PAUSE), 0);
	buf_done(&problems);
	objects_free(&objects);
}

static void json_of_an_object(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct json_write json;
	struct buf out;
	buf_init(&out, 10000);
	json_write_init(&json, &out);
	object_json(objects, objects_find(objects, OBJECT_DOMAIN, SPAN("a.example")), NULL, &json);
	assert_text(&out, "{\"name\":\"a.example\",\"transport\":\"site-a\",\"mailboxes\":false,"
			  "\"alias-of\":null,\"created\":\"1970-01-01T00:00:01.000Z\",\"changed\":"
			  "\"1970-01-01T00:00:01.000Z\","
			  "\"pause\":null}");
	buf_done(&out);
	objects_free(&objects);
}

static void problems_are_bounded(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf text, problems;
	struct plan *plan;
	buf_init(&text, 1 << 20);
	buf_init(&problems, 1 << 20);
	buf_add_str(&text, "domains:\n");
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "  d%d.example: { transport: gone }\n", i);
	assert_int_equal(
		objects_plan_apply(objects, "f", buf_span(&text), &options, &problems, &plan),
		ERR_SYNTAX);
	size_t lines = 0;
	for (const char *p = text_of(&problems); *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 21);
	buf_done(&text);
	buf_done(&problems);
	objects_free(&objects);
}

static void assert_depends(
	const struct objects *objects, const char *text, const char *filter, const char *names)
{
	struct buf problems;
	struct plan_depends depends;
	struct plan *plan;

	buf_init(&problems, 100000);
	if (objects_plan_apply(objects, "f", span_str(text), &prune, &problems, &plan) < 0)
		fail_msg("%s", text_of(&problems));
	plan_depends(plan, &depends);
	assert_text(&depends.filter, filter);
	assert_text(&depends.names, names);
	plan_depends_done(&depends);
	plan_free(&plan);
	buf_done(&problems);
}

/* What is only changed, or added, loses nobody's mail. */
static void what_waiting_mail_goes_by(void **state)
{
	(void)state;
	struct objects *objects = sample();

	assert_depends(objects, SAMPLE_OBJECTS, "", "");
	assert_depends(objects,
		"transports: { site-a: { server: b.example }, mx-only: { server: x.example } }\n"
		"domains: { a.example: { transport: mx-only }, b.example: { mailboxes: true } }\n",
		"transport=\"outbound\" or domain=\"b.example\" or domain=\"c.example\" or "
		"(domain=\"c.example\" recipient=\"ann@c.example\")",
		"transport outbound, domain b.example, domain c.example, account ann@c.example");
	objects_free(&objects);
	objects = sample();
	apply(&objects, "domains: { d.example: { transport: outbound } }\n", NULL);
	struct buf problems;
	struct plan_depends depends;
	struct plan *plan;
	static const struct span unset[] = {SPAN("default-transport=")};
	buf_init(&problems, 100000);
	assert_int_equal(objects_plan_set(objects, OBJECT_SETTINGS, SPAN_NONE, unset, 1, &options,
				 &problems, &plan),
		0);
	plan_depends(plan, &depends);
	assert_text(&depends.filter, "transport=\"outbound\"");
	plan_depends_done(&depends);
	plan_free(&plan);
	buf_done(&problems);
	objects_free(&objects);
}

static void what_waiting_mail_goes_by_is_bounded(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan_depends depends;
	struct buf text, problems;
	struct plan *plan;

	buf_init(&text, 1 << 20);
	buf_init(&problems, 100000);
	buf_add_str(&text, "accounts:\n");
	for (int i = 0; i < 30; i++)
		buf_printf(&text, "  u%d@c.example: {}\n", i);
	apply(&objects, text_of(&text), NULL);
	assert_int_equal(
		objects_plan_apply(objects, "f", SPAN(SAMPLE_OBJECTS), &prune, &problems, &plan),
		0);
	plan_depends(plan, &depends);
	assert_int_equal(depends.shown, PLAN_DEPENDS_MOST);
	assert_int_equal(depends.more, 30 - PLAN_DEPENDS_MOST);
	assert_true(buf_ok(&depends.filter) && depends.filter.n < 4096);
	plan_depends_done(&depends);
	plan_free(&plan);
	objects_free(&objects);
	buf_done(&text);
	buf_done(&problems);
}

static void looking_up_as_typed(void **state)
{
	(void)state;
	struct objects *objects = sample();
	const struct object *found = NULL;
	struct buf problems;
	apply(&objects, "domains: { \"müller.example\": { transport: site-a } }\n", NULL);
	buf_init(&problems, 100000);
	assert_int_equal(
		objects_look_up(objects, OBJECT_DOMAIN, SPAN("Müller.example."), &problems, &found),
		0);
	assert_span(found->name, "xn--mller-kva.example");
	assert_int_equal(
		objects_look_up(objects, OBJECT_ACCOUNT, SPAN("ann@C.example"), &problems, &found),
		0);
	assert_int_equal(
		objects_look_up(objects, OBJECT_SETTINGS, SPAN_NONE, &problems, &found), 0);
	assert_int_equal(problems.n, 0);
	found = NULL;
	assert_int_equal(
		objects_look_up(objects, OBJECT_DOMAIN, SPAN("x.example"), &problems, &found),
		ERR_NOT_FOUND);
	assert_text(&problems,
		"there is no domain of that name: \"x.example\"; there are 4 domains, "
		"\"posternctl domain list\" shows them\n");
	buf_clear(&problems);
	assert_int_equal(
		objects_look_up(objects, OBJECT_ACCOUNT, SPAN("b@c.example"), &problems, &found),
		ERR_NOT_FOUND);
	assert_has(&problems, "there is 1 account, \"posternctl account list\" shows it\n");
	buf_clear(&problems);
	assert_int_equal(objects_look_up(objects, OBJECT_DOMAIN, SPAN("a b"), &problems, &found),
		ERR_SYNTAX);
	assert_has(&problems, "\"a b\" is no domain name");
	assert_null(found);
	objects_free(&objects);
	assert_int_equal(objects_new(&objects), 0);
	buf_clear(&problems);
	assert_int_equal(
		objects_look_up(objects, OBJECT_DOMAIN, SPAN("x.example"), &problems, &found),
		ERR_NOT_FOUND);
	assert_has(&problems, "there is none yet, \"posternctl domain add\" makes one\n");
	buf_clear(&problems);
	assert_int_equal(objects_look_up(objects, OBJECT_SETTINGS, SPAN_NONE, &problems, &found),
		ERR_NOT_FOUND);
	assert_text(&problems, "there are no settings yet\n");
	objects_free(&objects);
	buf_done(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looking_up_as_typed),
		cmocka_unit_test(what_waiting_mail_goes_by),
		cmocka_unit_test(what_waiting_mail_goes_by_is_bounded),
		cmocka_unit_test(the_sample_file),
		cmocka_unit_test(export_is_the_same_form),
		cmocka_unit_test(empty_export_applies),
		cmocka_unit_test(changes_in_words),
		cmocka_unit_test(times_are_kept),
		cmocka_unit_test(prune_makes_it_exact),
		cmocka_unit_test(names_become_canonical),
		cmocka_unit_test(refused_with_file_line_and_field),
		cmocka_unit_test(all_mistakes_are_told_at_once),
		cmocka_unit_test(nothing_in_use_goes),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(priorities_are_a_set),
		cmocka_unit_test(pauses),
		cmocka_unit_test(json_of_an_object),
		cmocka_unit_test(problems_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
