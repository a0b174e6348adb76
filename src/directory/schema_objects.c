/* The fields of the other objects, and the table of all kinds. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"

#define SINCE	      "0.1"
#define PATTERN_BYTES 320 /* RFC 5321 section 4.5.3.1: local part, "@", domain */
#define BY_BYTES      256
#define REASON_BYTES  512

#define AT(member) offsetof(struct object_domain, member)
static const struct schema_field domain_fields[] = {
	{.name = "transport",
		.type = SCHEMA_NAME,
		.offset = AT(transport),
		.since = SINCE,
		.doc = "The transport by which mail for this domain leaves. One of this, mailboxes "
		       "and alias-of is given.",
		.example = "site-a"},
	{.name = "mailboxes",
		.type = SCHEMA_BOOL,
		.offset = AT(mailboxes),
		.value = "false",
		.since = SINCE,
		.doc = "Mail for this domain is kept here, in the mailboxes of its accounts."},
	{.name = "alias-of",
		.type = SCHEMA_DOMAIN,
		.offset = AT(alias_of),
		.since = SINCE,
		.doc = "Another name of that domain, which has a transport or mailboxes: each "
		       "address here means the same one there.",
		.example = "c.example"},
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

static const struct schema schema_domain = {
	.kind = "domain",
	.plural = "domains",
	.doc = "A domain that is served here: by a transport, by mailboxes, or as another "
	       "name of one that is.",
	.size = sizeof(struct object_domain),
	.fields = domain_fields,
	.count = ARRAY_SIZE(domain_fields),
};

static const struct schema schema_priority = {
	.kind = "priority",
	.plural = "priorities",
	.doc = "Rules for the prioritised queue, a list: a message that matches all fields "
	       "of one rule is sent before others.",
	.size = sizeof(struct object_priority),
	.fields = priority_fields,
	.count = ARRAY_SIZE(priority_fields),
};

static const struct schema schema_settings = {
	.kind = "settings",
	.doc = "Keys of their own at the top of an objects file.",
	.size = sizeof(struct object_settings),
	.fields = settings_fields,
	.count = ARRAY_SIZE(settings_fields),
};

static const struct schema schema_pause = {
	.kind = "pause",
	.doc = "Deliveries are stopped; paused time does not count against retries.",
	.size = sizeof(struct object_pause),
	.fields = pause_fields,
	.count = ARRAY_SIZE(pause_fields),
};

static const struct schema *const schemas[OBJECT_KINDS] = {
	[OBJECT_TRANSPORT] = &schema_transport,
	[OBJECT_DOMAIN] = &schema_domain,
	[OBJECT_ACCOUNT] = &schema_account,
	[OBJECT_ALIAS] = &schema_alias,
	[OBJECT_RELAY] = &schema_relay,
	[OBJECT_PRIORITY] = &schema_priority,
	[OBJECT_ACCEPT] = &schema_accept,
	[OBJECT_SETTINGS] = &schema_settings,
	[OBJECT_PAUSE] = &schema_pause,
};

const struct schema *object_schema(enum object_kind kind)
{
	CHECK((unsigned)kind < OBJECT_KINDS);
	return schemas[kind];
}

const char *object_kind_name(enum object_kind kind)
{
	return object_schema(kind)->kind;
}

int object_kind_parse(struct span in, enum object_kind *out)
{
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		if (span_equal(in, span_str(schemas[kind]->kind)) ||
			(schemas[kind]->plural &&
				span_equal(in, span_str(schemas[kind]->plural)))) {
			*out = (enum object_kind)kind;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}
