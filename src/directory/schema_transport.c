/* The fields of transports. */
#include "base/check.h"
#include "directory/objects_inner.h"

#define SINCE	   "0.1"
#define SECOND	   1000ull
#define DAY	   (24ull * 3600 * SECOND)
#define USER_BYTES 256 /* of a user's name at a next hop */
#define PATH_BYTES 4000

static const char *const give_ups[] = {[GIVE_UP_DSN] = "dsn", [GIVE_UP_DISCARD] = "discard", NULL};
static const char *const tls_policies[] = {[TLS_NONE] = "none",
	[TLS_OPPORTUNISTIC] = "opportunistic",
	[TLS_REQUIRE] = "require",
	[TLS_VERIFY] = "verify",
	[TLS_DANE] = "dane",
	[TLS_MTA_STS] = "mta-sts",
	NULL};
static const struct schema_field a_pin = {.type = SCHEMA_PIN};

#define AT(member) offsetof(struct object_transport, member)
static const struct schema_field sasl_fields[] = {
	{.name = "user",
		.type = SCHEMA_TEXT,
		.offset = AT(sasl_user),
		.least = 1,
		.most = USER_BYTES,
		.since = SINCE,
		.doc = "Who to log in as at the next hop (AUTH), over TLS only. Its secret must be "
		       "given with it; where it changes, a new one."},
	{.name = "secret",
		.type = SCHEMA_SECRET,
		.offset = AT(sasl_secret),
		.least = 1,
		.most = SECRET_BYTES,
		.since = SINCE,
		.doc = "The password of that user. It is never shown, and posternctl transport set "
		       "takes it from the standard input only; an objects file without it leaves "
		       "the present one."},
};

static const struct schema sasl_schema = {
	.kind = "sasl",
	.doc = "How to log in at the next hop.",
	.size = sizeof(struct object_transport),
	.fields = sasl_fields,
	.count = ARRAY_SIZE(sasl_fields),
};

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
		.least = 60ull * SECOND,
		.most = 30ull * DAY,
		.zero_is_off = true,
		.unit_ms = 60ull * SECOND,
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
	{.name = "tls",
		.type = SCHEMA_ENUM,
		.offset = AT(tls),
		.value = "opportunistic",
		.choices = tls_policies,
		.since = SINCE,
		.doc = "How the link is protected: never by TLS (none); by TLS where the next hop "
		       "offers it (opportunistic); always by TLS, whoever answers (require); by "
		       "TLS with the name and the chain of the certificate checked, or against the "
		       "pins of tls-pin (verify); by the TLSA records of a signed zone, and "
		       "without such as opportunistic (dane, RFC 7672); by the policy that the "
		       "recipient's domain publishes, and without one as opportunistic (mta-sts, "
		       "RFC 8461)."},
	{.name = "tls-ca",
		.type = SCHEMA_PATH,
		.offset = AT(tls_ca),
		.most = PATH_BYTES,
		.since = SINCE,
		.doc = "With tls verify or mta-sts: a PEM file with the authorities to trust, by "
		       "its full path; where none is given, the system's. It lies below "
		       "/etc/ssl, /usr/share/ca-certificates, /usr/local/share/ca-certificates, "
		       "the folder of the start file, or its tls.ca-folders.",
		.example = "/etc/ssl/b.pem"},
	{.name = "tls-pin",
		.type = SCHEMA_LIST,
		.offset = AT(tls_pin),
		.item = &a_pin,
		.most = TRANSPORT_PINS,
		.since = SINCE,
		.doc = "With tls verify: the next hop must show one of these certificates or "
		       "public keys (SPKI); its name, its chain and when it ends are not looked "
		       "at then.",
		.example = "[ \"sha256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\" ]"},
	{.name = "sasl",
		.type = SCHEMA_GROUP,
		.sub = &sasl_schema,
		.since = SINCE,
		.doc = "How to log in at the next hop."},
};
#undef AT

const struct schema schema_transport = {
	.kind = "transport",
	.plural = "transports",
	.doc = "How mail leaves: where to, how often it is tried, what then.",
	.size = sizeof(struct object_transport),
	.fields = transport_fields,
	.count = ARRAY_SIZE(transport_fields),
};
