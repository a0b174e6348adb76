/* Accounts, aliases, domain aliases, relay policies, the accept table; TLS of transports. */
#include "directory/config.h"
#include "objects_common.h"

#define SHA_A	"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
#define PIN_A	"sha256:" SHA_A
#define PIN_A64 "sha256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg="

/* The face that the issue gives. */
#define WHO                                                                                      \
	"relay:\n"                                                                               \
	"  mx:         { policy: addresses, from: [192.0.2.0/24, "                               \
	"\"198.51.100.7-198.51.100.20\"], to: [203.0.113.5] }\n"                                 \
	"  submission: { policy: none, advertise-auth: yes }\n"                                  \
	"accept: { hosts: [branch.example], users: [boss@elsewhere.example] }\n"                 \
	"accounts:\n"                                                                            \
	"  joe@c.example: { send-as: [sales@c.example, \"@D.example\"], roles: domain-owner }\n" \
	"  user@a.example: { disabled: yes }\n"                                                  \
	"domains: { d.example: { alias-of: c.example } }\n"                                      \
	"aliases:\n"                                                                             \
	"  Nick@C.example: [joe@c.example, Ann.Else@else.example]\n"                             \
	"  team@a.example: nick@D.example\n"                                                     \
	"transports:\n"                                                                          \
	"  site-b: { server: \"mx.b.example:25\", tls: verify, tls-ca: /etc/ssl/b.pem, "         \
	"tls-pin: [\"" PIN_A64 "\"] }\n"

static struct objects *who(void)
{
	struct objects *objects = sample();

	apply(&objects, WHO, NULL);
	return objects;
}

static const struct object *find(
	const struct objects *objects, enum object_kind kind, const char *name)
{
	const struct object *object = objects_find(objects, kind, span_str(name));

	if (!object)
		fail_msg("there is no %s %s", object_kind_name(kind), name);
	return object;
}

static void the_face(void **state)
{
	(void)state;
	struct objects *objects = who();
	const struct object_relay *mx = object_relay(find(objects, OBJECT_RELAY, "mx"));
	assert_int_equal(mx->policy, RELAY_ADDRESSES);
	assert_span(mx->from, "192.0.2.0/24\n198.51.100.7-198.51.100.20");
	assert_span(mx->to, "203.0.113.5");
	assert_true(mx->advertise_auth);
	assert_int_equal(mx->senders, RELAY_SENDERS_OWN);
	assert_int_equal(
		object_relay(find(objects, OBJECT_RELAY, "submission"))->policy, RELAY_NONE);
	assert_span(objects_accept(objects)->hosts, "branch.example");
	assert_span(objects_accept(objects)->users, "boss@elsewhere.example");
	const struct object_account *joe =
		object_account(find(objects, OBJECT_ACCOUNT, "joe@c.example"));
	assert_span(joe->send_as, "sales@c.example\n@d.example");
	assert_span(joe->roles, "domain-owner");
	assert_false(joe->disabled);
	assert_true(object_account(find(objects, OBJECT_ACCOUNT, "user@a.example"))->disabled);
	/* The local part elsewhere is somebody else's: its case is kept. */
	assert_span(object_alias(find(objects, OBJECT_ALIAS, "nick@c.example"))->to,
		"joe@c.example\nAnn.Else@else.example");
	assert_span(
		object_alias(find(objects, OBJECT_ALIAS, "team@a.example"))->to, "nick@d.example");
	assert_span(
		object_domain(find(objects, OBJECT_DOMAIN, "d.example"))->alias_of, "c.example");
	const struct object_transport *b =
		object_transport(find(objects, OBJECT_TRANSPORT, "site-b"));
	assert_int_equal(b->tls, TLS_VERIFY);
	assert_span(b->tls_ca, "/etc/ssl/b.pem");
	assert_span(b->tls_pin, PIN_A);
	objects_free(&objects);
}

static void exports_as_it_is_applied(void **state)
{
	(void)state;
	struct objects *objects = who(), *empty;
	struct buf out, words;
	buf_init(&out, 100000);
	buf_init(&words, 100000);
	objects_export(objects, &out);
	assert_has(&out, "  site-b: { server: \"mx.b.example:25\", tls: verify, "
			 "tls-ca: /etc/ssl/b.pem, tls-pin: [ \"" PIN_A "\" ] }\n");
	assert_has(&out, "  d.example: { alias-of: c.example }\n");
	assert_has(&out, "  joe@c.example: { send-as: [ sales@c.example, \"@d.example\" ], "
			 "roles: [ domain-owner ] }\n");
	assert_has(&out, "aliases:\n  nick@c.example: [ joe@c.example, Ann.Else@else.example ]\n"
			 "  team@a.example: [ nick@d.example ]\n");
	assert_has(&out, "relay:\n  mx: { policy: addresses, from: [ 192.0.2.0/24, "
			 "198.51.100.7-198.51.100.20 ], to: [ 203.0.113.5 ] }\n  submission: {}\n");
	assert_has(
		&out, "accept: { hosts: [ branch.example ], users: [ boss@elsewhere.example ] }\n");
	apply(&objects, text_of(&out), &words);
	assert_text(&words, "");
	apply_with(&objects, text_of(&out), &prune, &words);
	assert_text(&words, "");
	assert_int_equal(objects_new(&empty), 0);
	apply(&empty, text_of(&out), NULL);
	buf_clear(&words);
	objects_export(empty, &words);
	assert_string_equal(text_of(&words), text_of(&out));
	/* The JSON is YAML, too. */
	struct json_write json;
	buf_clear(&out);
	json_write_init(&json, &out);
	json_open_object(&json, NULL);
	objects_export_json(objects, &json);
	json_close_object(&json);
	apply_with(&empty, text_of(&out), &prune, &words);
	assert_text(&words, "");
	objects_free(&empty);
	objects_free(&objects);
	buf_done(&out);
	buf_done(&words);
}

static void what_is_left_out_goes(void **state)
{
	(void)state;
	struct objects *objects = who();
	struct buf words;
	buf_init(&words, 100000);
	apply_with(&objects, SAMPLE_OBJECTS, &prune, &words);
	assert_text(&words, "transport site-b: removed\n"
			    "domain d.example: removed\n"
			    "account joe@c.example: removed\n"
			    "account user@a.example: removed\n"
			    "alias nick@c.example: removed\n"
			    "alias team@a.example: removed\n"
			    "relay mx: removed\n"
			    "relay submission: removed\n"
			    "accept: hosts branch.example removed, users boss@elsewhere.example "
			    "removed\n");
	objects_free(&objects);
	buf_done(&words);
}

static void lists_in_words(void **state)
{
	(void)state;
	struct objects *objects = who();
	struct buf words;
	buf_init(&words, 100000);
	apply(&objects,
		"relay: { mx: { policy: addresses, from: [203.0.113.0/24, 192.0.2.0/24] } }\n",
		&words);
	assert_text(&words, "relay mx: from 203.0.113.0/24 added, 198.51.100.7-198.51.100.20 "
			    "removed, to 203.0.113.5 removed\n");
	apply(&objects,
		"relay: { mx: { policy: addresses, from: [192.0.2.0/24, 203.0.113.0/24] } }\n",
		&words);
	assert_text(&words, "relay mx: from in another order\n");
	apply(&objects,
		"relay: { mx: { policy: addresses, from: \"10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, "
		"10.0.0.5, 10.0.0.6, 10.0.0.7, 192.0.2.0/24, 203.0.113.0/24\" } }\n",
		&words);
	assert_text(&words, "relay mx: from 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5 and 2 "
			    "more added\n");
	apply(&objects,
		"relay: { new: { policy: addresses, from: [1.0.0.1, 1.0.0.2, 1.0.0.3, 1.0.0.4, "
		"1.0.0.5, 1.0.0.6, 1.0.0.7, 1.0.0.8, 1.0.0.9, 1.0.0.10, 1.0.0.11, 1.0.0.12] } }\n",
		&words);
	assert_has(&words, "1.0.0.10 and 2 more ] }\n");
	apply(&objects, "accept: { hosts: [branch.example, b2.example] }\n", &words);
	assert_text(&words, "accept: hosts b2.example added, users boss@elsewhere.example "
			    "removed\n");
	objects_free(&objects);
	buf_done(&words);
}

static void refused(void **state)
{
	static const char *const cases[][2] = {
		{"relay:\n  mx: { policy: adresses }\n",
			"objects.yaml:2:17: relay.mx.policy: \"adresses\" is not allowed; give one "
			"of: none, addresses, local-hosts, local-users, anyone"},
		{"relay:\n  mx: { policy: addresses, from: [192.0.2.1/24] }\n",
			"objects.yaml:2:35: relay.mx.from: \"192.0.2.1/24\" is refused: "},
		{"relay:\n  mx: { policy: addresses, from: [here, 192.0.2.9-192.0.2.1] }\n",
			"objects.yaml:2:35: relay.mx.from: \"here\" is refused: \"here\" is no IP "
			"address"},
		{"relay:\n  mx: { policy: addresses, from: [here, 192.0.2.9-192.0.2.1] }\n",
			"objects.yaml:2:41: relay.mx.from: \"192.0.2.9-192.0.2.1\" is refused: "},
		{"relay:\n  mx: { policy: addresses, from: [[192.0.2.1]] }\n",
			"an empty or nested value is not allowed"},
		{"relay:\n  mx: { from: 192.0.2.1 }\n",
			"objects.yaml:2:15: relay.mx.from: is for \"policy: addresses\" only"},
		{"relay:\n  mx: { policy: anyone, to: 192.0.2.1 }\n",
			"relay.mx.to: is for \"policy: addresses\" only"},
		{"relay:\n  a b: {}\n", "\"a b\" is no name of a listener"},
		{"accept: [a.example]\n", "accept: give fields in braces"},
		{"accept: { hosts: [bad_name] }\n",
			"objects.yaml:1:19: accept.hosts: \"bad_name\" is not allowed; give a "
			"domain name"},
		{"accept: { users: [boss] }\n", "give an address such as ann@c.example"},
		{"aliases: { x@c.example: [] }\n", "aliases.x@c.example.to: is missing"},
		{"aliases: { x@c.example: }\n", "aliases.x@c.example.to: is missing"},
		{"aliases: { x@c.example: { to: [] } }\n", "aliases.x@c.example.to: is missing"},
		{"aliases: { x@c.example: [ann@c.example, joe] }\n",
			"objects.yaml:1:41: aliases.x@c.example: \"joe\" is not allowed; give a "
			"mail "
			"address"},
		{"aliases: { x@z.example: ann@c.example }\n",
			"aliases.x@z.example: the domain \"z.example\" is not served here"},
		{"aliases: { x@c.example: bob@c.example }\n",
			"aliases.x@c.example.to: \"bob@c.example\" is neither an account nor an "
			"alias here"},
		{"aliases: { ann@c.example: bob@else.example }\n",
			"aliases.ann@c.example: is an account, too"},
		{"aliases: { x@c.example: x@C.example }\n", "leads back to itself"},
		{"aliases: { x@c.example: y@c.example, y@c.example: [ann@c.example, "
		 "z@a.example], z@a.example: X@c.example }\n",
			"leads back to itself"},
		{"domains: { d.example: { alias-of: c.example } }\n"
		 "aliases: { x@c.example: x@d.example }\n",
			"leads back to itself"},
		{"domains: { d.example: { alias-of: c.example } }\n"
		 "aliases: { x@d.example: ann@c.example }\n",
			"aliases.x@d.example: the domain \"d.example\" is another name of "
			"\"c.example\""},
		{"domains: { d.example: { alias-of: c.example } }\naccounts: { x@d.example: {} }\n",
			"accounts.x@d.example: the domain \"d.example\" is another name of "
			"\"c.example\""},
		{"domains: { d.example: { alias-of: nowhere.example } }\n",
			"domains.d.example.alias-of: there is no domain \"nowhere.example\""},
		{"domains: { d.example: { alias-of: d.example } }\n", "is the domain itself"},
		{"domains: { d.example: { alias-of: e.example }, e.example: { alias-of: c.example "
		 "} }\n",
			"domains.d.example.alias-of: \"e.example\" is only another name"},
		{"domains: { d.example: { alias-of: c.example, mailboxes: true } }\n",
			"domains.d.example.alias-of: an alias of a domain has neither"},
		{"domains: { d.example: { alias-of: c.example, transport: site-a } }\n",
			"domains.d.example.alias-of: an alias of a domain has neither"},
		{"accounts: { x@c.example: { roles: [boss] } }\n",
			"accounts.x@c.example.roles: \"boss\" is not allowed; give one of: "
			"administrator, domain-owner, read-only"},
		{"accounts: { x@c.example: { send-as: [\"@\"] } }\n",
			"give an address such as ann@c.example, or all of a domain"},
		{"transports: { t: { server: a.example, tls: verify, tls-ca: ssl/b.pem } }\n",
			"transports.t.tls-ca: give the full path"},
		{"transports: { t: { server: a.example, tls: verify, tls-ca: /etc/ssl/../x } }\n",
			"transports.t.tls-ca: give the full path"},
		{"transports: { t: { server: a.example, tls-ca: /etc/ssl/b.pem } }\n",
			"transports.t.tls-ca: is for \"tls: verify\" and \"tls: mta-sts\" only"},
		{"transports: { t: { server: a.example, tls: dane, tls-pin: \"" PIN_A "\" } }\n",
			"transports.t.tls-pin: is for \"tls: verify\" only"},
		{"transports: { t: { server: a.example, tls: verify, tls-pin: \"sha256:99\" } }\n",
			"transports.t.tls-pin: \"sha256:99\" is not allowed; give \"sha256:\" and"},
		{"transports: { t: { server: a.example, tls: yes } }\n",
			"give one of: none, opportunistic, require, verify, dane, mta-sts"},
	};
	(void)state;
	struct objects *objects = sample();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(objects, cases[i][0], cases[i][1]);
	objects_free(&objects);
}

static void a_bad_value_is_told_once(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct plan *plan = NULL;
	struct buf problems;
	buf_init(&problems, 100000);
	assert_int_equal(objects_plan_apply(objects, "f", SPAN("aliases: { x@c.example: [joe] }\n"),
				 &options, &problems, &plan),
		ERR_SYNTAX);
	assert_text(&problems, "f:1:26: aliases.x@c.example: \"joe\" is not allowed; give a mail "
			       "address such as ann@example.org\n");
	buf_done(&problems);
	objects_free(&objects);
}

static void removal(
	const struct objects *objects, enum object_kind kind, const char *name, const char *part)
{
	struct plan *plan = NULL;
	struct buf problems;
	buf_init(&problems, 100000);
	int err = objects_plan_remove(objects, kind, span_str(name), &options, &problems, &plan);
	if (part) {
		assert_true(err < 0);
		assert_has(&problems, part);
	} else {
		assert_int_equal(err, 0);
		plan_free(&plan);
	}
	buf_done(&problems);
}

static void what_is_needed_stays(void **state)
{
	(void)state;
	struct objects *objects = who();
	removal(objects, OBJECT_ACCOUNT, "joe@c.example",
		"accounts: \"joe@c.example\" cannot be removed: alias \"nick@c.example\" leads to "
		"it; change that first");
	removal(objects, OBJECT_ALIAS, "nick@c.example",
		"aliases: \"nick@c.example\" cannot be removed: alias \"team@a.example\" leads to "
		"it");
	removal(objects, OBJECT_DOMAIN, "c.example",
		"domains: \"c.example\" cannot be removed: domain \"d.example\" is another name of "
		"it");
	removal(objects, OBJECT_DOMAIN, "a.example",
		"the domain \"a.example\" is still needed for this alias; remove the alias first");
	removal(objects, OBJECT_ALIAS, "team@a.example", NULL);
	removal(objects, OBJECT_RELAY, "mx", NULL);
	removal(objects, OBJECT_RELAY, "other", "has no relay policy of its own");
	objects_free(&objects);
}

static void set(struct objects **objects, enum object_kind kind, const char *name,
	const char *setting, const struct plan_options *how, const char *words, const char *part)
{
	struct span settings[] = {span_str(setting)};
	struct plan *plan = NULL;
	struct buf out;
	buf_init(&out, 100000);
	int err = objects_plan_set(*objects, kind, span_str(name), settings, 1, how, &out, &plan);
	if (part) {
		assert_int_equal(err, ERR_SYNTAX);
		assert_has(&out, part);
	} else {
		if (err)
			fail_msg("%s", text_of(&out));
		plan_add_words(plan, &out);
		assert_text(&out, words);
		struct objects *next = plan_take(&plan);
		objects_free(objects);
		*objects = next;
	}
	buf_done(&out);
}

static void from_the_command_line(void **state)
{
	(void)state;
	struct objects *objects = who();
	set(&objects, OBJECT_RELAY, "mx", "from=10.0.0.0/8, 192.0.2.1,192.0.2.1", &options,
		"relay mx: from 10.0.0.0/8, 192.0.2.1 added, 192.0.2.0/24, "
		"198.51.100.7-198.51.100.20 removed\n",
		NULL);
	set(&objects, OBJECT_RELAY, "mx", "from=", &options,
		"relay mx: from 10.0.0.0/8, 192.0.2.1 removed\n", NULL);
	set(&objects, OBJECT_RELAY, "mx", "from=192.0.2.1,,192.0.2.2", &options, NULL,
		"an empty element is not allowed");
	/* A listener has its policy without an object, so it can be set at once. */
	set(&objects, OBJECT_RELAY, "other", "policy=local-users", &options,
		"relay other: added { policy: local-users }\n", NULL);
	set(&objects, OBJECT_ACCEPT, "", "hosts=one.example,two.example", &options,
		"accept: hosts one.example, two.example added, branch.example removed\n", NULL);
	set(&objects, OBJECT_ALIAS, "NICK@c.example", "to=\"a,b\"@else.example,ann@c.example",
		&options,
		"alias nick@c.example: to \"a,b\"@else.example, ann@c.example added, "
		"joe@c.example, "
		"Ann.Else@else.example removed\n",
		NULL);
	set(&objects, OBJECT_ALIAS, "nick@c.example", "to=", &options, NULL, "is missing");
	set(&objects, OBJECT_TRANSPORT, "site-b", "tls=require", &options, NULL, "tls-pin: is for");
	objects_free(&objects);
}

static void long_lists_have_bounds(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct buf text;
	buf_init(&text, 1 << 20);
	buf_add_str(&text, "aliases: { x@c.example: [");
	for (unsigned i = 0; i < OBJECTS_ALIAS_TARGETS; i++)
		buf_printf(&text, "u%u@else.example,", i);
	size_t full = text.n;
	buf_add_str(&text, "u0@else.example] }\n"); /* is there already */
	apply(&objects, text_of(&text), NULL);
	text.n = full;
	buf_add_str(&text, "more@else.example, most@else.example] }\n");
	assert_refused(objects, text_of(&text),
		"\"more@else.example\" is refused: the list is full; at most 1000 are allowed");
	buf_done(&text);
	objects_free(&objects);
}

/* As deep as routing follows them, and not deeper. */
static void aliases_of_aliases(void **state)
{
	(void)state;
	for (unsigned length = OBJECTS_ALIAS_DEPTH; length <= OBJECTS_ALIAS_DEPTH + 1; length++) {
		for (int backwards = 0; backwards < 2; backwards++) {
			struct objects *objects = sample();
			struct buf text;
			buf_init(&text, 10000);
			buf_add_str(&text, "aliases:\n");
			for (unsigned i = 0; i < length; i++) {
				unsigned at = backwards ? length - i : i;
				unsigned to = backwards ? at - 1 : at + 1;
				buf_printf(&text, "  n%02u@c.example: ", at);
				if (i == length - 1)
					buf_add_str(&text, "ann@c.example\n");
				else
					buf_printf(&text, "n%02u@c.example\n", to);
			}
			if (length > OBJECTS_ALIAS_DEPTH)
				assert_refused(objects, text_of(&text),
					"leads through more than 10 aliases");
			else
				apply(&objects, text_of(&text), NULL);
			buf_done(&text);
			objects_free(&objects);
		}
	}
}

/* ---- what depends on the start file ---------------------------------------------------------- */

static struct config *start_file(void)
{
	static const char text[] = "hostname: gw.example.test\nspool: s\ndirectory: d\ncontrol: c\n"
				   "listeners:\n"
				   "  mx: { address: 0.0.0.0:25 }\n"
				   "  open: { address: \"[::]:26\", open-relay: yes }\n"
				   "  local: { address: 127.0.0.1:2525 }\n"
				   "tls: { ca-folders: [/srv/ca, certs] }\n";
	struct config *config = NULL;
	struct buf problems;
	buf_init(&problems, 10000);
	if (config_parse("/opt/postern/postern.yaml", SPAN(text), &config, &problems) < 0)
		fail_msg("%s", text_of(&problems));
	buf_done(&problems);
	return config;
}

static void relay_knows_the_listeners(void **state)
{
	(void)state;
	struct objects *objects = sample();
	struct config *config = start_file();
	const struct plan_options with = {.now_ms = 1000, .start = config};
	assert_refused_with(objects, "relay: { mix: { policy: none } }\n", &with,
		"objects.yaml:1:10: relay.mix: the start file has no such listener; it has: mx, "
		"open, local");
	assert_refused_with(objects, "relay: { mx: { policy: anyone } }\n", &with,
		"relay.mx.policy: anyone who reaches this listener");
	/* The same by another name. */
	assert_refused_with(objects, "relay: { mx: { policy: addresses, from: 0.0.0.0/0 } }\n",
		&with, "relay.mx.from: anyone who reaches this listener");
	assert_refused_with(objects,
		"relay: { mx: { policy: addresses, from: [ 0.0.0.0/1, 128.0.0.0/1 ] } }\n", &with,
		"relay.mx.from: anyone who reaches this listener");
	assert_refused_with(objects, "relay: { mx: { policy: addresses, to: [\"::/0\"] } }\n",
		&with, "relay.mx.to: anyone who reaches this listener");
	apply_with(&objects,
		"relay: { local: { policy: anyone }, open: { policy: anyone }, mx: { policy: "
		"local-hosts } }\n",
		&with, NULL);
	objects_free(&objects);
	/* What was there before the start file changed does not stand in the way of other changes,
	 * nor of an export. */
	objects = who();
	apply_with(&objects, WHO, &with, NULL);
	apply_with(&objects, "domains: { e.example: { mailboxes: true } }\n", &with, NULL);
	set(&objects, OBJECT_RELAY, "submission", "senders=any", &with, NULL,
		"the start file has no such listener");
	objects_free(&objects);
	config_free(&config);
}

static void ca_files_lie_where_they_may(void **state)
{
	static const char *const paths[] = {"/etc/ssl/b.pem", "/usr/share/ca-certificates/x/y.crt",
		"/usr/local/share/ca-certificates/a.crt", "/srv/ca/a.pem", "/opt/postern/a.pem",
		"/opt/postern/certs/a.pem"};
	static const char *const bad[] = {"/etc/sslx/b.pem", "/etc/ssl", "/etc/passwd",
		"/srv/ca2/a.pem", "/opt/other/a.pem", "/srv/ca"};
	struct objects *objects = sample();
	struct config *config = start_file();
	const struct plan_options with = {.now_ms = 1000, .start = config};
	char text[200];
	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		snprintf(text, sizeof(text),
			"transports: { t: { server: b.example, tls: verify, tls-ca: %s } }\n",
			paths[i]);
		apply_with(&objects, text, &with, NULL);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text),
			"transports: { t: { server: b.example, tls: verify, tls-ca: %s } }\n",
			bad[i]);
		assert_refused_with(objects, text, &with, "lies where postern does not read");
	}
	objects_free(&objects);
	config_free(&config);
}

/* ---- the rest ------------------------------------------------------------------------------- */

static void mail_that_a_change_may_bounce(void **state)
{
	(void)state;
	struct objects *objects = who();
	struct plan_depends depends;
	struct plan *plan = NULL;
	struct buf problems;
	static const struct span settings[] = {SPAN("transport="), SPAN("alias-of=c.example")};
	buf_init(&problems, 10000);
	assert_int_equal(objects_plan_set(objects, OBJECT_DOMAIN, SPAN("b.example"), settings, 2,
				 &options, &problems, &plan),
		0);
	plan_depends(plan, &depends);
	assert_text(&depends.filter, "domain=\"b.example\"");
	plan_depends_done(&depends);
	plan_free(&plan);
	buf_done(&problems);
	objects_free(&objects);
}

static void an_alias_of_a_domain_is_paused_with_it(void **state)
{
	(void)state;
	struct objects *objects = who();
	struct plan *plan = NULL;
	struct buf problems;
	static const struct span settings[] = {SPAN("transport="), SPAN("alias-of=c.example")};
	buf_init(&problems, 10000);
	assert_int_equal(objects_plan_pause(objects, PAUSE_DOMAIN, SPAN("d.example"), SPAN("ann"),
				 SPAN(""), &options, &problems, &plan),
		ERR_SYNTAX);
	assert_text(&problems,
		"\"d.example\" is another name of \"c.example\"; pause or resume that\n");
	buf_clear(&problems);
	assert_int_equal(objects_plan_pause(objects, PAUSE_DOMAIN, SPAN("b.example"), SPAN("ann"),
				 SPAN(""), &options, &problems, &plan),
		0);
	struct objects *next = plan_take(&plan);
	objects_free(&objects);
	assert_int_equal(objects_plan_set(next, OBJECT_DOMAIN, SPAN("b.example"), settings, 2,
				 &options, &problems, &plan),
		0);
	plan_add_words(plan, &problems);
	assert_text(&problems, "domain b.example: transport mx-only → none, alias-of none → "
			       "c.example\ndomain b.example: resumed\n");
	plan_free(&plan);
	buf_done(&problems);
	objects_free(&next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_face),
		cmocka_unit_test(exports_as_it_is_applied),
		cmocka_unit_test(what_is_left_out_goes),
		cmocka_unit_test(lists_in_words),
		cmocka_unit_test(refused),
		cmocka_unit_test(a_bad_value_is_told_once),
		cmocka_unit_test(what_is_needed_stays),
		cmocka_unit_test(from_the_command_line),
		cmocka_unit_test(long_lists_have_bounds),
		cmocka_unit_test(aliases_of_aliases),
		cmocka_unit_test(relay_knows_the_listeners),
		cmocka_unit_test(ca_files_lie_where_they_may),
		cmocka_unit_test(mail_that_a_change_may_bounce),
		cmocka_unit_test(an_alias_of_a_domain_is_paused_with_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
