/*
 * Who may relay: the arguments of MAIL and RCPT, as a client sends them, go through the parser to
 * the decision. Without a right nothing leaves by the default transport, and nothing that could be
 * read as a route goes to a domain's own server; what the sender or the recipient looks like
 * changes neither. explain has to come to the same end.
 *
 * Input: a byte for the policy, then the two arguments with a line end between.
 */
#include "../unit/route/fake_snapshot.h"

#include "base/check.h"
#include "codec/smtp_command.h"
#include "route/explain.h"
#include "route/relay.h"

#include <stdlib.h>

void snapshot_pause(const struct snapshot *s, struct pause *out)
{
	(void)s;
	*out = (struct pause){0};
}

static const struct transport transports[] = {
	{.index = 0,
		.name = SPAN("site"),
		.host = SPAN("192.0.2.25"),
		.port = 25,
		.retry_steps = 1},
	{.index = 1, .name = SPAN("out"), .port = 25, .retry_steps = 1},
};
static const struct domain domains[] = {
	{.name = SPAN("a.example"), .kind = DOMAIN_TRANSPORT},
	{.name = SPAN("b.example"), .kind = DOMAIN_TRANSPORT, .alias_of = SPAN("a.example")},
	{.name = SPAN("c.example"), .kind = DOMAIN_MAILBOXES},
};
static const struct span accounts[] = {SPAN("ann@c.example"), SPAN("postmaster@c.example")};
static const struct span of_nick[] = {SPAN("ann@c.example"), SPAN("x@b.example")};
static const struct fake_alias aliases[] = {{SPAN("nick@c.example"), of_nick, 2}};
static const struct span hosts[] = {SPAN("branch.example")};
static const struct span users[] = {SPAN("boss@elsewhere.example")};
static const struct fake_relay relays[] = {
	{.relay = {.listener = SPAN("0"), .policy = RELAY_NONE}},
	{.relay = {.listener = SPAN("1"), .policy = RELAY_ADDRESSES}, .from = {"198.51.100.0/24"}},
	{.relay = {.listener = SPAN("2"), .policy = RELAY_LOCAL_HOSTS}},
	{.relay = {.listener = SPAN("3"), .policy = RELAY_LOCAL_USERS}},
	{.relay = {.listener = SPAN("4"), .policy = RELAY_ANYONE}},
};
static const struct snapshot directory = {
	.domains = domains,
	.domain_count = 3,
	.accounts = accounts,
	.account_count = 2,
	.transports = transports,
	.transport_count = 2,
	.default_transport = 1,
	.relays = relays,
	.relay_count = 5,
	.aliases = aliases,
	.alias_count = 1,
	.accept_hosts = hosts,
	.accept_host_count = 1,
	.accept_users = users,
	.accept_user_count = 1,
};
static const struct config start = {
	.listeners = {{.name = SPAN("0")}, {.name = SPAN("1")}, {.name = SPAN("2")},
		{.name = SPAN("3")}, {.name = SPAN("4")}},
	.listener_count = 5,
};
static const struct netaddr listener = {NETADDR_V4, {192, 0, 2, 1}, 25, 0};
static const struct route_config config = {.hostname = SPAN("gw.example"),
	.listeners = &listener,
	.listener_count = 1,
	.start = &start};

struct question {
	bool right;
	uint32_t count;
};

/* In the plainest words: everything behind a mark, and before it unless it is "@". */
static bool could_be_a_route(struct span local)
{
	bool quoted = local.n >= 2 && local.p[0] == '"';
	size_t first = quoted ? 1 : 0, last = local.n - (quoted ? 1 : 0);

	for (size_t i = first; i + 1 < last; i++)
		if (local.p[i] == '@' || (i > first && (local.p[i] == '%' || local.p[i] == '!')))
			return true;
	return false;
}

static bool each(void *context, const struct route_decision *d)
{
	struct question *question = context;
	struct span local = d->recipient;

	CHECK(d->kind == ROUTE_MAILBOX || d->kind == ROUTE_TRANSPORT);
	CHECK(d->recipient.n > 0 && d->recipient.n <= ADDRESS_MAILBOX_BYTES);
	while (local.n && local.p[local.n - 1] != '@')
		local.n--;
	local.n -= local.n > 0;
	if (!question->right && d->kind == ROUTE_TRANSPORT) {
		CHECK(d->transport.index == 0 && d->served);
		CHECK(span_equal(d->domain, SPAN("a.example")));
		CHECK(!could_be_a_route(local));
	}
	question->count++;
	return true;
}

static bool parse(const char *verb, struct span argument, struct arena *arena, struct address *out)
{
	char line[SMTP_COMMAND_BYTES];
	struct buf text = {.p = line, .room = sizeof(line), .bound = sizeof(line)};
	struct smtp_command command;
	struct smtp_refusal refusal;

	buf_add_str(&text, verb);
	buf_add_span(&text, argument);
	if (!buf_ok(&text) || smtp_command_parse(buf_span(&text), SMTP_LENIENT | SMTP_WITH_SMTPUTF8,
				      arena, &command, &refusal) < 0)
		return false;
	*out = command.address;
	out->mailbox = arena_copy(arena, command.address.mailbox);
	return !arena->overflow;
}

/* The domain behind the last "@" of the canonical sender decides, or all of it. */
static bool is_local(unsigned policy, struct span sender)
{
	static const struct span names[] = {SPAN("@a.example"), SPAN("@b.example"),
		SPAN("@c.example"), SPAN("@gw.example"), SPAN("@branch.example")};

	if (policy == RELAY_LOCAL_USERS)
		return span_equal_nocase(sender, SPAN("ann@c.example")) ||
		       span_equal_nocase(sender, SPAN("postmaster@c.example")) ||
		       span_equal_nocase(sender, SPAN("boss@elsewhere.example"));
	for (size_t i = 0; policy == RELAY_LOCAL_HOSTS && i < ARRAY_SIZE(names); i++)
		if (span_ends_nocase(sender, names[i]))
			return true;
	return false;
}

static void explain_too(
	const struct route_query *query, struct span from, struct span to, enum route_kind kind)
{
	struct explain *explain = calloc(1, sizeof(*explain));
	const struct explain_query asked = {.client = SPAN("203.0.113.9"),
		.listener = query->listener,
		.sender = from,
		.recipient = to};
	struct buf text;

	if (!explain)
		return;
	buf_init(&text, 1u << 20);
	CHECK(explain_run(&directory, &config, &start, &asked, explain, &text) == 0);
	if (explain->parsed)
		CHECK((explain->decision.kind == ROUTE_REFUSED) == (kind == ROUTE_REFUSED));
	explain_text(explain, &text);
	CHECK(buf_ok(&text));
	buf_done(&text);
	free(explain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"0", "1", "2", "3", "4"};
	struct span input = span_of(data, size);
	struct address sender, recipient;
	struct route_decision decision;
	struct arena arena;

	if (size < 2)
		return 0;
	unsigned policy = (uint8_t)(data[0] - '0') % RELAY_POLICIES;
	input = span_skip(input, 1);
	size_t end = span_find(input, '\n');
	struct span from = span_of(input.p, end), to = span_skip(input, end + 1);

	arena_init(&arena, 1u << 16);
	if (parse("MAIL FROM:", from, &arena, &sender) &&
		parse("RCPT TO:", to, &arena, &recipient)) {
		struct route_query query = {.client = {NETADDR_V4, {203, 0, 113, 9}, 0, 0},
			.listener = span_str(names[policy]),
			.sender = sender.mailbox,
			.recipient = recipient.mailbox};
		struct question question = {.right = is_local(policy, sender.mailbox)};

		route_expand(&directory, &config, &query, NULL, each, &question, &decision);
		CHECK((decision.kind == ROUTE_REFUSED) == (question.count == 0));
		explain_too(&query, sender.mailbox, recipient.mailbox, decision.kind);
	}
	arena_reset(&arena);
	return 0;
}
