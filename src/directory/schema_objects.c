/* The fields of the objects. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects.h"

#define SINCE	      "0.1"
#define SECOND	      1000ull
#define HOUR	      (3600 * SECOND)
#define DAY	      (24 * HOUR)
#define PATTERN_BYTES 320 /* RFC 5321 section 4.5.3.1: local part, "@", domain */
#define BY_BYTES      256
#define REASON_BYTES  512

static const char *const give_ups[] = {[GIVE_UP_DSN] = "dsn", [GIVE_UP_DISCARD] = "discard", NULL};

#define AT(member) offsetof(struct object_transport, member)
static const struct schema_field transport_fields[] = {
	{.name = "server",
		.type = SCHEMA_SERVER,
		.offset = AT(server),
		.required = true,
		.since = SINCE,
		.doc = "The next hop: a host or address with optional port, or lookup-mx, alone or "
		       "followed by a colon and zone=NAME (appended to the recipient's domain when "
		       "its "
		       "mail exchangers, or else its own addresses, are looked up; the "
		       "exchangers' names are looked up as they stand), query=SERVERS (DNS "
		       "servers to ask for all of these) and port=NUMBER, with semicolons "
		       "between.",
		.example = "\"lookup-mx:zone=customer.example.org;query=ns1.example.org\""},
	{.name = "private-hosts",
		.type = SCHEMA_BOOL,
		.offset = AT(private_hosts),
		.value = "false",
		.since = SINCE,
		.doc = "With lookup-mx: mail also goes to hosts, and to address literals as "
		       "recipient domains, whose address is not a public one but loopback, "
		       "private, link-local, shared or reserved. Needed where zone or query "
		       "lead to servers in a network of one's own. Elsewhere leave it false: a "
		       "stranger's DNS could send mail to any host in that network. A fixed "
		       "server needs no such leave."},
	{.name = "retry-delay",
		.type = SCHEMA_RETRY,
		.offset = AT(retry_delay),
		.value = "1m,5m*2,15m*2,30m*2,1h*4,3h",
		.since = SINCE,
		.doc = "How long to wait before each retry: minutes, or units and repeats; the "
		       "last value repeats.",
		.example = "\"60,120,180\""},
	{.name = "retry-count",
		.type = SCHEMA_U32,
		.offset = AT(retry_count),
		.value = "41",
		.least = 0,
		.most = RETRY_COUNT_MOST,
		.since = SINCE,
		.doc = "Retries after the first attempt, before the message is given up."},
	{.name = "give-up",
		.type = SCHEMA_ENUM,
		.offset = AT(give_up),
		.value = "dsn",
		.choices = give_ups,
		.since = SINCE,
		.doc = "After the last retry: tell the sender (RFC 3464), or discard the message "
		       "with a line in the trace."},
	{.name = "delay-warning",
		.type = SCHEMA_DURATION,
		.offset = AT(delay_warning_ms),
		.value = "4h",
		.least = 60 * SECOND,
		.most = 30 * DAY,
		.zero_is_off = true,
		.unit_ms = 60 * SECOND,
		.since = SINCE,
		.doc = "A sender whose message waits longer is told so once; 0: never. A bare "
		       "number is minutes."},
	{.name = "source-v4",
		.type = SCHEMA_IPV4,
		.offset = AT(source_v4),
		.since = SINCE,
		.doc = "The IPv4 address to send from. Where none is given: the system's choice."},
	{.name = "source-v6",
		.type = SCHEMA_IPV6,
		.offset = AT(source_v6),
		.since = SINCE,
		.doc = "The IPv6 address to send from. Where none is given: the system's choice."},
	{.name = "helo",
		.type = SCHEMA_FQDN,
		.offset = AT(helo),
		.since = SINCE,
		.doc = "The name for EHLO. Where none is given: the gateway's hostname."},
	{.name = "connections",
		.type = SCHEMA_U32,
		.offset = AT(connections),
		.value = "20",
		.least = 1,
		.most = 10000,
		.since = SINCE,
		.doc = "Connections to one destination at a time."},
	{.name = "messages-per-connection",
		.type = SCHEMA_U32,
		.offset = AT(messages_per_connection),
		.value = "1000",
		.least = 1,
		.most = 1000000,
		.since = SINCE,
		.doc = "A connection is closed after this many messages."},
	{.name = "rate-per-minute",
		.type = SCHEMA_U32,
		.offset = AT(rate_per_minute),
		.value = "0",
		.least = 0,
		.most = 10000000,
		.zero_is_off = true,
		.since = SINCE,
		.doc = "Messages to one destination in a minute; 0: no limit."},
};
#undef AT

#define AT(member) offsetof(struct object_domain, member)
static const struct schema_field domain_fields[] = {
	{.name = "transport",
		.type = SCHEMA_NAME,
		.offset = AT(transport),
		.since = SINCE,
		.doc = "The transport by which mail for this domain leaves. Either this or "
		       "mailboxes is given.",
		.example = "site-a"},
	{.name = "mailboxes",
		.type = SCHEMA_BOOL,
		.offset = AT(mailboxes),
		.value = "false",
		.since = SINCE,
		.doc = "Mail for this domain is kept here, in the mailboxes of its accounts."},
};
#undef AT

#define AT(member) offsetof(struct object_priority, member)
static const struct schema_field priority_fields[] = {
	{.name = "sender",
		.type = SCHEMA_PATTERN,
		.offset = AT(sender),
		.most = PATTERN_BYTES,
		.since = SINCE,
		.doc = "The envelope sender.",
		.example = "\"@a.example\""},
	{.name = "recipient",
		.type = SCHEMA_PATTERN,
		.offset = AT(recipient),
		.most = PATTERN_BYTES,
		.since = SINCE,
		.doc = "A recipient."},
	{.name = "domain",
		.type = SCHEMA_PATTERN,
		.offset = AT(domain),
		.most = PATTERN_BYTES,
		.since = SINCE,
		.doc = "A recipient's domain.",
		.example = "\"*.a.example\""},
	{.name = "transport",
		.type = SCHEMA_NAME,
		.offset = AT(transport),
		.since = SINCE,
		.doc = "The transport by which the message leaves."},
	{.name = "client",
		.type = SCHEMA_CIDR,
		.offset = AT(client),
		.since = SINCE,
		.doc = "The address of the client that handed the message in.",
		.example = "192.0.2.0/24"},
};
#undef AT

static const struct schema_field settings_fields[] = {
	{.name = "default-transport",
		.type = SCHEMA_NAME,
		.offset = offsetof(struct object_settings, default_transport),
		.since = SINCE,
		.doc = "The transport for mail to domains that are not served here. Where none is "
		       "given, such mail is refused.",
		.example = "outbound"},
	{.name = "postmaster",
		.type = SCHEMA_MAILBOX,
		.offset = offsetof(struct object_settings, postmaster),
		.since = SINCE,
		.doc = "Who gets mail to postmaster, without a domain or at the host name, and at "
		       "domains with mailboxes that have no account of that name. Where none is "
		       "given, such mail is refused, though RFC 5321 (section 4.5.1) wants it "
		       "taken.",
		.example = "ann@c.example"},
};

#define AT(member) offsetof(struct object_pause, member)
static const struct schema_field pause_fields[] = {
	{.name = "since",
		.type = SCHEMA_TIME,
		.offset = AT(since_ms),
		.since = SINCE,
		.doc = "When the pause began."},
	{.name = "by",
		.type = SCHEMA_TEXT,
		.offset = AT(by),
		.least = 1,
		.most = BY_BYTES,
		.since = SINCE,
		.doc = "Who paused."},
	{.name = "reason",
		.type = SCHEMA_TEXT,
		.offset = AT(reason),
		.least = 1,
		.most = REASON_BYTES,
		.since = SINCE,
		.doc = "Why."},
};
#undef AT

static const struct schema schemas[OBJECT_KINDS] = {
	[OBJECT_TRANSPORT] = {.kind = "transport",
		.plural = "transports",
		.doc = "How mail leaves: where to, how often it is tried, what then.",
		.size = sizeof(struct object_transport),
		.fields = transport_fields,
		.count = ARRAY_SIZE(transport_fields)},
	[OBJECT_DOMAIN] = {.kind = "domain",
		.plural = "domains",
		.doc = "A domain that is served here: by a transport, or by mailboxes.",
		.size = sizeof(struct object_domain),
		.fields = domain_fields,
		.count = ARRAY_SIZE(domain_fields)},
	[OBJECT_ACCOUNT] = {.kind = "account",
		.plural = "accounts",
		.doc = "A mailbox of a domain with mailboxes, named by its address.",
		.size = sizeof(struct object_account)},
	[OBJECT_PRIORITY] = {.kind = "priority",
		.plural = "priorities",
		.doc = "Rules for the prioritised queue, a list: a message that matches all fields "
		       "of one rule is sent before others.",
		.size = sizeof(struct object_priority),
		.fields = priority_fields,
		.count = ARRAY_SIZE(priority_fields)},
	[OBJECT_SETTINGS] = {.kind = "settings",
		.doc = "Keys of their own at the top of an objects file.",
		.size = sizeof(struct object_settings),
		.fields = settings_fields,
		.count = ARRAY_SIZE(settings_fields)},
	[OBJECT_PAUSE] = {.kind = "pause",
		.doc = "Deliveries are stopped; paused time does not count against retries.",
		.size = sizeof(struct object_pause),
		.fields = pause_fields,
		.count = ARRAY_SIZE(pause_fields)},
};

const struct schema *object_schema(enum object_kind kind)
{
	CHECK((unsigned)kind < OBJECT_KINDS);
	return &schemas[kind];
}

const char *object_kind_name(enum object_kind kind)
{
	return object_schema(kind)->kind;
}

int object_kind_parse(struct span in, enum object_kind *out)
{
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		if (span_equal(in, span_str(schemas[kind].kind)) ||
			(schemas[kind].plural && span_equal(in, span_str(schemas[kind].plural)))) {
			*out = (enum object_kind)kind;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}
