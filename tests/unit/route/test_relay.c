/* Who may relay: forms of addresses against policies, from the command line that a client sends to
 * the decision. */
#include "fake_snapshot.h"
#include "route/relay.h"

#include "codec/smtp_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct transport transports[] = {
	{.index = 0, .name = SPAN("site-a"), .host = SPAN("127.0.0.1"), .port = 2626},
	{.index = 1, .name = SPAN("outbound"), .port = 25},
	{.index = 2, .name = SPAN("hub"), .host = SPAN("203.0.113.5"), .port = 25},
	{.index = 3, .name = SPAN("far-hub"), .host = SPAN("203.0.113.6"), .port = 25},
	{.index = 4, .name = SPAN("named"), .host = SPAN("hub.example"), .port = 25},
};
static const struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT, .transport = 0},
	{.name = SPAN("a2.example"),
		.kind = DOMAIN_TRANSPORT,
		.transport = 0,
		.alias_of = SPAN("a.example")},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
	{.name = SPAN("c2.example"), .kind = DOMAIN_MAILBOXES, .alias_of = SPAN("c.example")},
};
static const struct span accounts[] = {
	SPAN("ann@c.example"), SPAN("old@c.example"), SPAN("postmaster@c.example")};
static const struct span disabled[] = {SPAN("old@c.example")};
static const struct span of_nick[] = {SPAN("ann@c.example")};
static const struct span of_out[] = {SPAN("x@far.example")};
static const struct fake_alias aliases[] = {
	{SPAN("nick@c.example"), of_nick, 1},
	{SPAN("out@c.example"), of_out, 1},
};
static const struct span accept_hosts[] = {SPAN("branch.example")};
static const struct span accept_users[] = {SPAN("boss@elsewhere.example")};
static const struct fake_relay relays[] = {
	{.relay = {.listener = SPAN("none"), .policy = RELAY_NONE}},
	{.relay = {.listener = SPAN("addresses"), .policy = RELAY_ADDRESSES},
		.from = {"198.51.100.7-198.51.100.20", "2001:db8:1::/48"},
		.to = {"203.0.113.5", "203.0.113.16/28"}},
	{.relay = {.listener = SPAN("local-hosts"), .policy = RELAY_LOCAL_HOSTS}},
	{.relay = {.listener = SPAN("local-users"), .policy = RELAY_LOCAL_USERS}},
	{.relay = {.listener = SPAN("anyone"), .policy = RELAY_ANYONE}},
	{.relay = {.listener = SPAN("closed"), .policy = RELAY_ANYONE}},
	{.relay = {.listener = SPAN("pinned"),
		 .certificates = SPAN("sha256:0101010101010101010101010101010101010101010101010101"
				      "010101010101\nsha256:020202020202020202020202020202020202"
				      "0202020202020202020202020202")}},
};
#define DIRECTORY                                                                                \
	{                                                                                        \
		.domains = domains, .domain_count = COUNT(domains), .accounts = accounts,        \
		.account_count = COUNT(accounts), .transports = transports,                      \
		.transport_count = COUNT(transports), .default_transport = 1, .relays = relays,  \
		.relay_count = COUNT(relays), .aliases = aliases, .alias_count = COUNT(aliases), \
		.accept_hosts = accept_hosts, .accept_host_count = 1,                            \
		.accept_users = accept_users, .accept_user_count = 1, .disabled = disabled,      \
		.disabled_count = 1, .postmaster = SPAN("ann@c.example"),                        \
	}
static const struct snapshot directory = DIRECTORY;

static const struct config start = {
	.listeners = {{.name = SPAN("none")}, {.name = SPAN("addresses")},
		{.name = SPAN("local-hosts")}, {.name = SPAN("local-users")},
		{.name = SPAN("anyone"), .open_relay = true}, {.name = SPAN("closed")},
		{.name = SPAN("pinned")}},
	.listener_count = 7,
};
static struct netaddr listeners[2];
static const struct route_config config = {.hostname = SPAN("gw.example.test"),
	.listeners = listeners,
	.listener_count = 2,
	.start = &start};

static struct netaddr address(const char *text)
{
	struct netaddr a;
	assert_int_equal(netaddr_parse(span_str(text), 0, &a), 0);
	return a;
}

static int setup(void **state)
{
	(void)state;
	listeners[0] = address("127.0.0.1:2525");
	listeners[1] = address("[2001:db8::25]:25");
	return 0;
}

/* ---- the matrix ------------------------------------------------------------------------- */

enum class {
	TAKEN,	 /* for a domain served here */
	ROUTED,	 /* for one that a transport serves, and asks it for more */
	FOREIGN, /* for another domain */
	NOBODY,	 /* ours, and refused whoever asks */
	SYNTAX,	 /* no command at all */
};

struct form {
	const char *argument;
	size_t length; /* 0: it is a string */
	enum class class;
};

#define NUL_FORM(text, class)                 \
	{                                     \
		text, sizeof(text) - 1, class \
	}

static const struct form forms[] = {
	/* plain ones */
	{"<x@far.example>", 0, FOREIGN},
	{"<x@a.example>", 0, TAKEN},
	{"<ann@c.example>", 0, TAKEN},
	{"<nobody@c.example>", 0, NOBODY},
	{"<x@sub.a.example>", 0, FOREIGN},
	{"<x@xa.example>", 0, FOREIGN},
	{"<x@a.example.far.example>", 0, FOREIGN},
	{"<x@localhost>", 0, FOREIGN},
	{"<x@gw.example.test>", 0, NOBODY},
	{"x@far.example", 0, FOREIGN},
	{" <x@far.example>", 0, FOREIGN},
	{"<x@A.EXAMPLE>", 0, TAKEN},
	{"<X@FAR.EXAMPLE>", 0, FOREIGN},
	{"<x@far.example.>", 0, SYNTAX},
	{"<x@a.example.>", 0, SYNTAX},
	{"<x@.a.example>", 0, SYNTAX},
	{"<x@a..example>", 0, SYNTAX},
	{"<x@a.example..>", 0, SYNTAX},
	{"<@a.example>", 0, SYNTAX},
	{"<x@>", 0, SYNTAX},
	{"<>", 0, SYNTAX},
	/* domains and addresses by other names */
	{"<x@a2.example>", 0, TAKEN},
	{"<ann@c2.example>", 0, TAKEN},
	{"<nick@c.example>", 0, TAKEN},
	{"<NICK@c2.example>", 0, TAKEN},
	{"<out@c.example>", 0, TAKEN},
	/* source routes are dropped: the last address counts */
	{"<@a.example:x@far.example>", 0, FOREIGN},
	{"<@a.example,@c.example:x@far.example>", 0, FOREIGN},
	{"<@gw.example.test:x@far.example>", 0, FOREIGN},
	{"<@far.example:ann@c.example>", 0, TAKEN},
	{"<@a,@b:c@d>", 0, FOREIGN},
	{"<@[127.0.0.1]:x@far.example>", 0, SYNTAX},
	{"<@a.example:x%far.example@a.example>", 0, ROUTED},
	{"<@a.example:@far.example:x@a.example>", 0, SYNTAX},
	{"<@a.example x@far.example>", 0, SYNTAX},
	/* the percent hack */
	{"<x%far.example@a.example>", 0, ROUTED},
	{"<x%far.example@a2.example>", 0, ROUTED},
	{"<x%far.example@c.example>", 0, NOBODY},
	{"<x%far.example@gw.example.test>", 0, NOBODY},
	{"<x%far.example@[127.0.0.1]>", 0, NOBODY},
	{"<x%far.example@far2.example>", 0, FOREIGN},
	{"<x%far.example%b.example@a.example>", 0, ROUTED},
	{"<\"x%far.example\"@a.example>", 0, ROUTED},
	{"<x%far.example>", 0, SYNTAX},
	{"<50%@a.example>", 0, TAKEN},
	/* bang paths, UUCP */
	{"<far.example!x@a.example>", 0, ROUTED},
	{"<h1!h2!h3!x@a.example>", 0, ROUTED},
	{"<far.example!x@c.example>", 0, NOBODY},
	{"<far.example!x>", 0, SYNTAX},
	{"<a.example!far.example!x>", 0, SYNTAX},
	{"<\"far.example!x\"@a.example>", 0, ROUTED},
	{"<far.example!x%b.example@a.example>", 0, ROUTED},
	{"<wow!@a.example>", 0, TAKEN},
	{"<!x@a.example>", 0, TAKEN},
	/* quoted at-signs, quotes in quotes */
	{"<\"x@far.example\"@a.example>", 0, ROUTED},
	{"<\"x@far.example\"@c.example>", 0, NOBODY},
	{"<\"x@far.example\"@a2.example>", 0, ROUTED},
	{"<\"x@far.example\">", 0, SYNTAX},
	{"<\"x\\@far.example\"@a.example>", 0, ROUTED},
	{"<\"\\x\\@far.example\"@a.example>", 0, ROUTED},
	{"<\"\\\"x@far.example\\\"\"@a.example>", 0, ROUTED},
	{"<\"@far.example:x\"@a.example>", 0, ROUTED},
	{"<\"@b,@c:x@far.example\"@a.example>", 0, ROUTED},
	{"<\"<x@far.example>\"@a.example>", 0, ROUTED},
	{"<\"x@far.example>\"@a.example>", 0, ROUTED},
	{"<\"x@far.example> RCPT TO:<y\"@a.example>", 0, ROUTED},
	{"<\"x\"@far.example>", 0, FOREIGN},
	{"<\"ann\"@c.example>", 0, TAKEN},
	{"<\"|/bin/sh\"@a.example>", 0, TAKEN},
	{"<x@far.example@a.example>", 0, SYNTAX},
	{"<\"x\"\"y\"@a.example>", 0, SYNTAX},
	{"<<x@far.example>@a.example>", 0, SYNTAX},
	{"<x@a.example>@far.example", 0, SYNTAX},
	{"<x@far.example,y@a.example>", 0, SYNTAX},
	{"<x@a.example(far.example)>", 0, SYNTAX},
	{"<x:far.example@a.example>", 0, SYNTAX},
	{"<x;far.example@a.example>", 0, SYNTAX},
	NUL_FORM("<x@far.example\0@a.example>", SYNTAX),
	NUL_FORM("<\"x@far.example\0\"@a.example>", SYNTAX),
	/* literals */
	{"<x@[192.0.2.77]>", 0, FOREIGN},
	{"<x@[IPv6:2001:db8::77]>", 0, FOREIGN},
	{"<x@[IPv6:::ffff:192.0.2.77]>", 0, FOREIGN},
	{"<x@[127.0.0.1]>", 0, NOBODY},
	{"<ann@[127.0.0.1]>", 0, NOBODY},
	{"<x@[IPv6:2001:db8::25]>", 0, NOBODY},
	{"<x@[IPv6:::ffff:127.0.0.1]>", 0, NOBODY},
	{"<\"x@far.example\"@[127.0.0.1]>", 0, NOBODY},
	{"<x@[2130706433]>", 0, SYNTAX},
	{"<x@[127.0.0.1>", 0, SYNTAX},
	{"<x@[127.0.0.1].far.example>", 0, SYNTAX},
	/* postmasters */
	{"<postmaster>", 0, TAKEN},
	{"<PostMaster>", 0, TAKEN},
	{"<postmaster@gw.example.test>", 0, TAKEN},
	{"<postmaster@[127.0.0.1]>", 0, TAKEN},
	{"<postmaster@c2.example>", 0, TAKEN},
	{"<postmaster@far.example>", 0, FOREIGN},
	{"<postmaster%far.example>", 0, SYNTAX},
	{"<postmaster%far.example@gw.example.test>", 0, NOBODY},
	/* encoded words, Unicode */
	{"<=?utf-8?q?x=40far.example=3e?=@a.example>", 0, ROUTED},
	{"<=?utf-8?b?eEBmYXIuZXhhbXBsZQ?=@a.example>", 0, ROUTED},
	{"<=?utf-8?q?x=40far.example?=@c.example>", 0, NOBODY},
	{"<x\xef\xbc\xa0"
	 "far.example@a.example>",
		0, ROUTED},
	{"<x\xef\xbc\x85"
	 "far.example@a.example>",
		0, ROUTED},
	{"<far.example\xef\xbc\x81x@a.example>", 0, ROUTED},
	{"<x\xef\xb9\xab"
	 "far.example@a.example>",
		0, ROUTED},
	{"<x@\xd0\xb0.example>", 0, FOREIGN},	/* a Cyrillic a */
	{"<ann@\xd1\x81.example>", 0, FOREIGN}, /* a Cyrillic es */
	{"<x@\xef\xbd\x81.example>", 0, TAKEN}, /* a wide a is the same name */
	{"<x@a\xe3\x80\x82"
	 "example>",
		0, TAKEN}, /* so is an ideographic full stop */
	{"<x@far\xe3\x80\x82"
	 "example>",
		0, FOREIGN},
	{"<a\xd0\xbd\xd0\xbd@c.example>", 0, NOBODY},
	{"<x\xff@a.example>", 0, SYNTAX},
	/* what looks alike and is harmless */
	{"<x+far.example@a.example>", 0, TAKEN},
	{"<x=far.example@a.example>", 0, TAKEN},
	{"<\"x far.example\"@a.example>", 0, TAKEN},
	{"<x/far.example@a.example>", 0, TAKEN},
};

/* What the sender gives by itself, on the forgeable policies. */
static const struct sender {
	const char *argument;
	bool hosts, users;
} senders[] = {
	{"<evil@evil.example>", false, false},
	{"<>", false, false},
	{"<ann@c.example>", true, true},
	{"<ANN@C.EXAMPLE>", true, true},
	{"<\"ann\"@c.example>", true, true},
	{"<nobody@c.example>", true, false},
	{"<nick@c.example>", true, false},
	{"<old@c.example>", true, false},
	{"<x@a.example>", true, false},
	{"<x@a2.example>", true, false},
	{"<ann@c2.example>", true, false},
	{"<x@gw.example.test>", true, false},
	{"<x@branch.example>", true, false},
	{"<x@sub.branch.example>", false, false},
	{"<boss@elsewhere.example>", false, true},
	{"<Boss@elsewhere.example>", false, true},
	{"<other@elsewhere.example>", false, false},
	{"<ann%c.example@evil.example>", false, false},
	{"<c.example!ann@evil.example>", false, false},
	{"<\"ann@c.example\"@evil.example>", false, false},
	{"<\"ann\\@c.example\"@evil.example>", false, false},
	{"<@c.example:evil@evil.example>", false, false},
	{"<@evil.example:ann@c.example>", true, true},
	{"<ann@c.example.evil.example>", false, false},
	{"<ann@sub.c.example>", false, false},
	{"<ann@example>", false, false},
	{"<ann@[127.0.0.1]>", false, false},
	{"<ann@[192.0.2.99]>", false, false},
	{"<ann@\xd1\x81.example>", false, false},
	{"<=?utf-8?q?ann=40c.example?=@evil.example>", false, false},
	{"<\"evil@evil.example\"@c.example>", true, false},
	{"<ann%evil.example@c.example>", true, false},
};

/* Who hands it in. */
static const struct client {
	const char *address, *user;
	bool verified;
	bool may; /* on every listener */
	bool listed;
} clients[] = {
	{"192.0.2.99", "", false, false, false},
	{"198.51.100.6", "", false, false, false},
	{"198.51.100.21", "", false, false, false},
	{"2001:db8:2::1", "", false, false, false},
	{"198.51.100.7", "", false, false, true},
	{"198.51.100.20", "", false, false, true},
	{"2001:db8:1:ffff::1", "", false, false, true},
	{"192.0.2.99", "ann@c.example", false, true, false},
	{"192.0.2.99", "old@c.example", false, false, false},
	{"192.0.2.99", "gone@c.example", false, false, false},
	{"192.0.2.99", "", true, true, false},
	{"127.0.0.1", "", false, true, false},
	{"::1", "", false, true, false},
};

static int parse(const char *verb, const char *argument, size_t length, struct arena *arena,
	struct smtp_command *out)
{
	static const unsigned all = SMTP_WITH_SIZE | SMTP_WITH_8BITMIME | SMTP_WITH_BINARYMIME |
				    SMTP_WITH_SMTPUTF8 | SMTP_WITH_DSN | SMTP_WITH_AUTH |
				    SMTP_LENIENT;
	struct smtp_refusal refusal;
	struct buf line;

	buf_init(&line, SMTP_COMMAND_BYTES);
	buf_add_str(&line, verb);
	buf_add(&line, argument, length ? length : strlen(argument));
	if (verb[0] == 'M')
		buf_add_str(&line, " SMTPUTF8");
	char *copy = arena_alloc(arena, line.n);
	assert_non_null(copy);
	memcpy(copy, line.p, line.n);
	int err = smtp_command_parse(span_of(copy, line.n), all, arena, out, &refusal);
	buf_done(&line);
	return err;
}

struct seen {
	uint32_t count;
	bool outbound;
	char recipient[ROUTE_ADDRESS + 1];
};

static bool each(void *context, const struct route_decision *d)
{
	struct seen *seen = context;

	assert_true(d->kind == ROUTE_TRANSPORT || d->kind == ROUTE_MAILBOX);
	assert_int_equal(d->served, !(d->kind == ROUTE_TRANSPORT && d->transport.index == 1));
	seen->count++;
	seen->outbound |= !d->served;
	memcpy(seen->recipient, d->recipient.p, d->recipient.n);
	seen->recipient[d->recipient.n] = '\0';
	return true;
}

static bool has_right(
	enum relay_policy policy, const struct client *client, const struct sender *sender)
{
	return client->may || (policy == RELAY_ADDRESSES && client->listed) ||
	       (policy == RELAY_LOCAL_HOSTS && sender->hosts) ||
	       (policy == RELAY_LOCAL_USERS && sender->users) || policy == RELAY_ANYONE;
}

static char where[1024]; /* what is tried, for the one who reads of a failure */

static void expect(bool is, const char *what)
{
	if (!is)
		fail_msg("%s: %s is wrong", where, what);
}

static void expect_refused(
	const struct route_decision *d, const struct seen *seen, unsigned subject)
{
	expect(d->kind == ROUTE_REFUSED, "that it was not refused");
	expect(d->verdict.code == 550, "the code");
	expect(d->verdict.enhanced.subject == subject, "the enhanced code");
	expect(seen->count == 0, "that it was sent");
}

static void judge(const struct form *form, const struct route_decision *d, const struct seen *seen,
	bool right, bool asks)
{
	bool out = strstr(form->argument, "<out@") != NULL;

	switch (form->class) {
	case TAKEN:
		expect(d->kind == ROUTE_TRANSPORT || d->kind == ROUTE_MAILBOX ||
				d->kind == ROUTE_ALIAS,
			"that it was not taken");
		expect(seen->count == 1, "how often it is sent");
		expect(seen->outbound == out, "where it is sent");
		break;
	case NOBODY: expect_refused(d, seen, 1); break;
	case ROUTED:
	case FOREIGN:
		if (right) {
			expect(d->kind == ROUTE_TRANSPORT, "that it was refused");
			expect(seen->count == 1, "how often it is sent");
			expect(seen->outbound == (form->class == FOREIGN), "where it is sent");
		} else if (asks && form->class == FOREIGN) {
			expect(d->kind == ROUTE_ASK, "that next hops are not asked for");
			expect(d->transport.index == 1, "the transport to ask about");
			expect(seen->count == 0, "that it was sent");
		} else {
			expect_refused(d, seen, 7);
		}
		break;
	case SYNTAX: fail();
	}
}

static void try_form(const struct form *form, const struct smtp_command *rcpt,
	const struct smtp_command *mail, const struct sender *sender)
{
	static const char *const names[RELAY_POLICIES] = {
		"none", "addresses", "local-hosts", "local-users", "anyone"};
	static const struct route_certificate verified = {.verified = true};
	static const struct route_certificate stranger = {.verified = false};

	for (size_t i = 0; i < COUNT(clients) * RELAY_POLICIES; i++) {
		const struct client *client = &clients[i / RELAY_POLICIES];
		enum relay_policy policy = (enum relay_policy)(i % RELAY_POLICIES);
		struct route_query query = {.client = address(client->address),
			.listener = span_str(names[policy]),
			.user = span_str(client->user),
			.certificate = client->verified ? &verified : &stranger,
			.tls = true,
			.sender = mail->address.mailbox,
			.recipient = rcpt->address.mailbox};
		struct seen seen = {0};
		struct route_decision d;

		snprintf(where, sizeof(where), "%s from %s to %s by %s, user %s", names[policy],
			sender->argument, form->argument, client->address, client->user);
		memset(&d, 0xaa, sizeof(d)); /* nothing may be taken for granted */
		route_expand(&directory, &config, &query, NULL, each, &seen, &d);
		judge(form, &d, &seen, has_right(policy, client, sender),
			policy == RELAY_ADDRESSES);
	}
}

static void test_matrix(void **state)
{
	struct smtp_command mails[COUNT(senders)], rcpt;
	struct arena arena, each_arena;
	(void)state;
	assert_true(COUNT(forms) >= 40);
	arena_init(&arena, 1 << 20);
	for (size_t s = 0; s < COUNT(senders); s++)
		if (parse("MAIL FROM:", senders[s].argument, 0, &arena, &mails[s]) != 0)
			fail_msg("%s is no sender", senders[s].argument);
	for (size_t f = 0; f < COUNT(forms); f++) {
		arena_init(&each_arena, 1 << 16);
		int err = parse("RCPT TO:", forms[f].argument, forms[f].length, &each_arena, &rcpt);
		if ((err != 0) != (forms[f].class == SYNTAX))
			fail_msg("%s: %s", forms[f].argument, err ? "is no command" : "is one");
		for (size_t s = 0; err == 0 && s < COUNT(senders); s++)
			try_form(&forms[f], &rcpt, &mails[s], &senders[s]);
		arena_reset(&each_arena);
	}
	arena_reset(&arena);
}

static void test_more_than_one_sender_address_is_none(void **state)
{
	static const char *const bad[] = {"<ann@c.example@evil.example>", "<ann>", "<@c.example>",
		"<ann@c.example,evil@evil.example>", "<ann@c.example> <x@y.example>",
		"<evil@evil.example(ann@c.example)>", "ann@c.example x@y.example"};
	struct smtp_command mail;
	struct arena arena;
	(void)state;
	arena_init(&arena, 1 << 16);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (parse("MAIL FROM:", bad[i], 0, &arena, &mail) == 0)
			fail_msg("%s is a sender", bad[i]);
	arena_reset(&arena);
}

static void test_routed_local_parts(void **state)
{
	static const char *const routed[] = {"a%b", "a!b", "\"a@b\"", "\"@b:a\"", "\"@b\"", "a%b%c",
		"h!a%b", "x%y%", "!a!b", "=?utf-8?q?a?=", "x=?u?b?YQ==?=y", "h\xef\xbc\xa0x",
		"\"a b%c\""};
	static const char *const plain[] = {"", "a", "50%", "%", "!", "wow!", "!a", "%a", "\"a@\"",
		"\"\"", "\"", "a+b=c.example", "=?", "?=", "=?=", "a=?b", "\xef\xbc\xa0",
		"\xef\xbc", "\"%\""};
	(void)state;
	for (size_t i = 0; i < COUNT(routed); i++)
		if (!relay_is_routed(span_str(routed[i])))
			fail_msg("%s asks for a second hop", routed[i]);
	for (size_t i = 0; i < COUNT(plain); i++)
		if (relay_is_routed(span_str(plain[i])))
			fail_msg("%s asks for nothing", plain[i]);
}

/* ---- one policy at a time --------------------------------------------------------------- */

static struct route_trail trail;

static const char *said(void)
{
	static char text[ROUTE_TRAIL_TEXT + 2 * ROUTE_STEPS + 1];
	size_t n = 0;

	for (uint32_t i = 0; i < trail.count; i++) {
		memcpy(text + n, trail.steps[i].text.p, trail.steps[i].text.n);
		n += trail.steps[i].text.n;
		text[n++] = '\n';
	}
	text[n] = '\0';
	return text;
}

static void assert_said(const char *what)
{
	if (!strstr(said(), what))
		fail_msg("\"%s\" is not in:\n%s", what, said());
}

static enum route_kind decide(
	const struct snapshot *s, const struct route_query *query, struct route_decision *out)
{
	memset(out, 0xaa, sizeof(*out));
	route_trail_init(&trail);
	route_decide(s, &config, query, &trail, out);
	assert_false(trail.cut);
	return out->kind;
}

/* Backup MX: mail for a domain whose next hops are all listed. */
static void test_to(void **state)
{
	struct snapshot fixed = DIRECTORY;
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("addresses"),
		.recipient = SPAN("x@far.example")};
	struct netaddr in[2] = {address("203.0.113.5"), address("203.0.113.31")};
	struct netaddr one_out[2] = {address("203.0.113.5"), address("203.0.113.32")};
	struct route_hops hops = {.known = true, .addresses = in, .count = 2};
	struct route_decision d;
	(void)state;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_ASK);
	assert_true(span_equal(d.domain, SPAN("far.example")));
	query.hops = &hops;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	assert_said("Its next hop 203.0.113.31 is in 203.0.113.16/28, which to lists.");
	hops.addresses = one_out;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 550);
	assert_said("Its next hop 203.0.113.32 is not in to.");
	hops.count = 0;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 550);
	/* Whoever does not know it now is asked again. */
	hops.known = false;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 451);
	assert_int_equal(d.verdict.kind, VERDICT_TEMPORARY);
	/* Who may relay anyway needs no look-up. */
	query.hops = NULL;
	query.client = address("198.51.100.7");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	assert_said("The client 198.51.100.7 is in 198.51.100.7-198.51.100.20, which from lists.");
	/* A fixed server by its address needs none; by its name it does. */
	query.client = address("192.0.2.1");
	fixed.default_transport = 2;
	assert_int_equal(decide(&fixed, &query, &d), ROUTE_TRANSPORT);
	fixed.default_transport = 3;
	assert_int_equal(decide(&fixed, &query, &d), ROUTE_REFUSED);
	assert_int_equal(d.verdict.code, 550);
	fixed.default_transport = 4;
	assert_int_equal(decide(&fixed, &query, &d), ROUTE_ASK);
	/* No way out: whoever may not relay is not told. */
	fixed.default_transport = -1;
	assert_int_equal(decide(&fixed, &query, &d), ROUTE_REFUSED);
	assert_int_equal(d.verdict.enhanced.subject, 7);
	/* That a server is listed does not mean that it may be asked for a second hop. */
	fixed.default_transport = 2;
	query.recipient = SPAN("x%far.example@a.example");
	assert_int_equal(decide(&fixed, &query, &d), ROUTE_REFUSED);
	assert_int_equal(d.verdict.enhanced.subject, 7);
}

static void test_certificates(void **state)
{
	struct route_certificate certificate = {.verified = true};
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("pinned"),
		.certificate = &certificate,
		.recipient = SPAN("x@far.example")};
	struct route_decision d;
	(void)state;
	/* Where certificates are listed, that somebody's CA knows one is not enough. */
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("Neither the client's certificate nor its key is in certificates.");
	memset(certificate.key_hash, 2, sizeof(certificate.key_hash));
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	memset(certificate.key_hash, 0, sizeof(certificate.key_hash));
	memset(certificate.certificate_hash, 1, sizeof(certificate.certificate_hash));
	certificate.verified = false;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	/* Without such a list, the CA decides; also on a listener that the directory says nothing
	 * of. */
	query.listener = SPAN("none");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	certificate.verified = true;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	query.listener = SPAN("unheard-of");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	query.certificate = NULL;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
}

/* As the trace tells it; of what needs no right, and of what is refused, nothing. */
static void test_the_right_has_a_name(void **state)
{
	static const struct {
		const char *client, *listener, *user, *sender, *recipient, *right;
	} tries[] = {
		{"127.0.0.1", "none", "", "x@y.example", "x@far.example", "loopback"},
		{"192.0.2.1", "none", "ann@c.example", "ann@c.example", "x@far.example", "login"},
		{"198.51.100.8", "addresses", "", "x@y.example", "x@far.example", "from"},
		{"198.51.100.8", "addresses", "", "x@y.example", "x%y@a.example", "from"},
		{"192.0.2.1", "local-hosts", "", "x@a.example", "x@far.example", "local-hosts"},
		{"192.0.2.1", "local-hosts", "", "x@branch.example", "x@far.example",
			"accept.hosts"},
		{"192.0.2.1", "local-users", "", "ann@c.example", "x@far.example", "local-users"},
		{"192.0.2.1", "local-users", "", "boss@elsewhere.example", "x@far.example",
			"accept.users"},
		{"192.0.2.1", "anyone", "", "x@y.example", "x@far.example", "anyone"},
		{"127.0.0.1", "none", "ann@c.example", "ann@c.example", "ann@c.example", ""},
		{"192.0.2.1", "anyone", "", "x@y.example", "x@a.example", ""},
		{"192.0.2.1", "none", "", "x@y.example", "x@far.example", ""},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(tries); i++) {
		struct route_query query = {.client = address(tries[i].client),
			.listener = span_str(tries[i].listener),
			.user = span_str(tries[i].user),
			.sender = span_str(tries[i].sender),
			.recipient = span_str(tries[i].recipient)};
		struct route_decision d;
		memset(&d, 0xaa, sizeof(d));
		decide(&directory, &query, &d);
		assert_string_equal(route_right_name(d.right), tries[i].right);
	}
}

/* What does not help is not proposed. */
static void test_only_what_would_help_is_named(void **state)
{
	struct config file = start;
	struct route_config with_file = config;
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("none"),
		.recipient = SPAN("x@far.example")};
	struct route_decision d;
	(void)state;
	with_file.start = &file;
	route_trail_init(&trail);
	route_decide(&directory, &with_file, &query, &trail, &d);
	assert_said("served here. It would need to be on this machine.");
	file.listeners[0].tls.certificate = SPAN("gw.crt");
	route_trail_init(&trail);
	route_decide(&directory, &with_file, &query, &trail, &d);
	assert_said("It would need a login, or to be on this machine.");
	file.listeners[0].tls.client_ca = SPAN("ca.pem");
	route_trail_init(&trail);
	route_decide(&directory, &with_file, &query, &trail, &d);
	assert_said("It would need a login, a client certificate, or to be on this machine.");
}

/* The start file may have changed since the policy was set. */
static void test_anyone_needs_the_start_file(void **state)
{
	struct route_config no_file = config;
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("closed"),
		.recipient = SPAN("x@far.example")};
	struct route_decision d;
	(void)state;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("counts as none");
	query.listener = SPAN("anyone");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	no_file.start = NULL;
	route_decide(&directory, &no_file, &query, NULL, &d);
	assert_int_equal(d.kind, ROUTE_REFUSED);
}

static void test_login_ends_with_the_account(void **state)
{
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("none"),
		.user = SPAN("old@c.example"),
		.recipient = SPAN("x@far.example")};
	struct route_decision d;
	(void)state;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("The account old@c.example is disabled, so its login gives no right.");
	query.user = SPAN("removed@c.example");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("The account removed@c.example is not there any more");
}

static void test_what_would_be_needed(void **state)
{
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("local-users"),
		.sender = SPAN("nick@c.example"),
		.recipient = SPAN("x@far.example")};
	struct route_decision d;
	(void)state;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("The sender nick@c.example is no account, and not in accept.users. (Aliases do "
		    "not count.)");
	assert_said("It would need a sender with an account, or to be on this machine.");
	query.sender = SPAN_NONE;
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("The null sender is nobody's");
	query.listener = SPAN("local-hosts");
	query.sender = SPAN("x@evil.example");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_REFUSED);
	assert_said("The sender's domain evil.example is neither a domain of the directory nor");
	query.sender = SPAN("x@branch.example");
	assert_int_equal(decide(&directory, &query, &d), ROUTE_TRANSPORT);
	assert_said("The sender's domain branch.example is in accept.hosts. (Anybody can write");
}

static void test_damaged_directory(void **state)
{
	struct snapshot broken = DIRECTORY;
	struct route_query query = {.client = address("192.0.2.1"),
		.listener = SPAN("anyone"),
		.user = SPAN("ann@c.example"),
		.sender = SPAN("ann@c.example"),
		.recipient = SPAN("x@far.example")};
	struct verdict verdict = {.kind = VERDICT_OK};
	(void)state;
	broken.broken = ERR_CORRUPT;
	enum route_right right = ROUTE_RIGHT_NONE;
	assert_int_equal(
		relay_right(&broken, &config, &query, NULL, NULL, &right, &verdict), RELAY_NO);
	assert_int_equal(right, ROUTE_RIGHT_NONE);
	assert_int_equal(verdict.code, 451);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matrix),
		cmocka_unit_test(test_more_than_one_sender_address_is_none),
		cmocka_unit_test(test_routed_local_parts),
		cmocka_unit_test(test_to),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_the_right_has_a_name),
		cmocka_unit_test(test_only_what_would_help_is_named),
		cmocka_unit_test(test_anyone_needs_the_start_file),
		cmocka_unit_test(test_login_ends_with_the_account),
		cmocka_unit_test(test_what_would_be_needed),
		cmocka_unit_test(test_damaged_directory),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
