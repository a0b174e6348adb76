/* The fields of objects that say who: accounts, aliases, relay policies, the accept table. */
#include "base/check.h"
#include "directory/objects_inner.h"

#define SINCE "0.1"

static const char *const roles[] = {[ACCOUNT_ADMINISTRATOR] = "administrator",
	[ACCOUNT_DOMAIN_OWNER] = "domain-owner",
	[ACCOUNT_READ_ONLY] = "read-only",
	NULL};
static const char *const relay_policies[] = {[RELAY_NONE] = "none",
	[RELAY_ADDRESSES] = "addresses",
	[RELAY_LOCAL_HOSTS] = "local-hosts",
	[RELAY_LOCAL_USERS] = "local-users",
	[RELAY_ANYONE] = "anyone",
	NULL};
static const char *const relay_senders[] = {
	[RELAY_SENDERS_OWN] = "own", [RELAY_SENDERS_ANY] = "any", NULL};

/* Elements of lists. */
static const struct schema_field a_range = {.type = SCHEMA_RANGE};
static const struct schema_field a_pin = {.type = SCHEMA_PIN};
static const struct schema_field a_sender = {.type = SCHEMA_SENDER};
static const struct schema_field a_domain = {.type = SCHEMA_DOMAIN};
static const struct schema_field an_account = {.type = SCHEMA_ACCOUNT};
static const struct schema_field a_mailbox = {.type = SCHEMA_MAILBOX};
static const struct schema_field a_role = {.type = SCHEMA_ENUM, .choices = roles};

#define AT(member) offsetof(struct object_account, member)
static const struct schema_field account_fields[] = {
	{.name = "disabled",
		.type = SCHEMA_BOOL,
		.offset = AT(disabled),
		.value = "false",
		.since = SINCE,
		.doc = "Nobody can log in; mail is still taken."},
	{.name = "send-as",
		.type = SCHEMA_LIST,
		.offset = AT(send_as),
		.item = &a_sender,
		.most = OBJECTS_SEND_AS,
		.since = SINCE,
		.doc = "Senders that may be used after logging in, beside the own address and the "
		       "aliases that lead to it alone.",
		.example = "[ sales@c.example, \"@d.example\" ]"},
	{.name = "roles",
		.type = SCHEMA_LIST,
		.offset = AT(roles),
		.item = &a_role,
		.most = ARRAY_SIZE(roles) - 1,
		.since = SINCE,
		.doc = "What the account may do over the API."},
	{.name = "verifiers",
		.type = SCHEMA_SECRET,
		.offset = AT(verifiers),
		.least = 1,
		.most = SECRET_BYTES,
		.since = SINCE,
		.doc = "What a password is checked by, as posternctl export --secrets writes it: "
		       "no "
		       "password, which posternctl user password sets. It is never shown, and an "
		       "objects file without it leaves the present one."},
};
#undef AT

static const struct schema_field alias_fields[] = {
	{.name = "to",
		.type = SCHEMA_LIST,
		.offset = offsetof(struct object_alias, to),
		.item = &a_mailbox,
		.most = OBJECTS_ALIAS_TARGETS,
		.required = true,
		.since = SINCE,
		.doc = "Who gets its mail: accounts here, other aliases, or any address elsewhere. "
		       "It may stand alone in an objects file, without braces.",
		.example = "[ joe@c.example, ann@else.example ]"},
};

#define AT(member) offsetof(struct object_relay, member)
static const struct schema_field relay_fields[] = {
	{.name = "policy",
		.type = SCHEMA_ENUM,
		.offset = AT(policy),
		.value = "none",
		.choices = relay_policies,
		.since = SINCE,
		.doc = "Whom mail for domains that are not served here is taken from, besides who "
		       "logged in: nobody; the addresses of from, and anybody for the next hops "
		       "of to; who claims a sender at a domain served here or in the accept "
		       "table (local-hosts), or a sender with an account here or in that table "
		       "(local-users), both of which anybody can claim; everybody (anyone), "
		       "which but on a loopback address needs open-relay in the start file."},
	{.name = "from",
		.type = SCHEMA_LIST,
		.offset = AT(from),
		.item = &a_range,
		.most = OBJECTS_RANGES,
		.since = SINCE,
		.doc = "With policy addresses: clients that may relay.",
		.example = "[ 192.0.2.0/24, 198.51.100.7-198.51.100.20, \"2001:db8::/32\" ]"},
	{.name = "to",
		.type = SCHEMA_LIST,
		.offset = AT(to),
		.item = &a_range,
		.most = OBJECTS_RANGES,
		.since = SINCE,
		.doc = "With policy addresses: next hops to which anybody may relay, as a backup "
		       "MX or a gateway needs it."},
	{.name = "advertise-auth",
		.type = SCHEMA_BOOL,
		.offset = AT(advertise_auth),
		.value = "true",
		.since = SINCE,
		.doc = "AUTH stands in the reply to EHLO. Without, only clients that try it "
		       "unasked can log in."},
	{.name = "senders",
		.type = SCHEMA_ENUM,
		.offset = AT(senders),
		.value = "own",
		.choices = relay_senders,
		.since = SINCE,
		.doc = "Whom somebody who logged in may send as: his own address, aliases that "
		       "lead to him alone, and the account's send-as; or any sender."},
	{.name = "certificates",
		.type = SCHEMA_LIST,
		.offset = AT(certificates),
		.item = &a_pin,
		.most = OBJECTS_CERTIFICATES,
		.since = SINCE,
		.doc = "Client certificates, or their public keys, that give the right to relay. "
		       "Where none is given: each that the listener's client-ca verifies."},
};
#undef AT

#define AT(member) offsetof(struct object_accept, member)
static const struct schema_field accept_fields[] = {
	{.name = "hosts",
		.type = SCHEMA_LIST,
		.offset = AT(hosts),
		.item = &a_domain,
		.most = OBJECTS_ACCEPT,
		.since = SINCE,
		.doc = "Domains elsewhere that count as served here for policy local-hosts."},
	{.name = "users",
		.type = SCHEMA_LIST,
		.offset = AT(users),
		.item = &an_account,
		.most = OBJECTS_ACCEPT,
		.since = SINCE,
		.doc = "Addresses elsewhere that count as accounts here for policy local-users."},
};
#undef AT

const struct schema schema_account = {
	.kind = "account",
	.plural = "accounts",
	.doc = "Somebody who can log in, named by an address in a domain that is served "
	       "here. In a domain with mailboxes that is a mailbox, too; in one with a "
	       "transport it is the login alone, and mail takes no notice of it.",
	.size = sizeof(struct object_account),
	.fields = account_fields,
	.count = ARRAY_SIZE(account_fields),
};

const struct schema schema_alias = {
	.kind = "alias",
	.plural = "aliases",
	.doc = "An address that means others.",
	.size = sizeof(struct object_alias),
	.fields = alias_fields,
	.count = ARRAY_SIZE(alias_fields),
	.sole = true,
};

const struct schema schema_relay = {
	.kind = "relay",
	.plural = "relay",
	.doc = "Who may relay, by the listener of the start file on which he comes in. One "
	       "that is not named here has the defaults.",
	.size = sizeof(struct object_relay),
	.fields = relay_fields,
	.count = ARRAY_SIZE(relay_fields),
};

const struct schema schema_accept = {
	.kind = "accept",
	.doc = "The accept table, one for the whole: who elsewhere counts as local for the "
	       "relay policies local-hosts and local-users.",
	.size = sizeof(struct object_accept),
	.fields = accept_fields,
	.count = ARRAY_SIZE(accept_fields),
};
