/* The fields of the start file. */
#include "base/check.h"
#include "base/log.h"
#include "directory/config.h"
#include "directory/config_inner.h"

#define AT(member)    offsetof(struct config, member)
#define LIMIT(member) offsetof(struct config, limits.member)
#define TIME(member)  offsetof(struct config, timeouts.member)
#define SINCE	      "0.1"

#define KIB	     1024ull
#define MIB	     (1024ull * KIB)
#define GIB	     (1024ull * MIB)
#define SECOND	     1000ull
#define MINUTE	     (60 * SECOND)
#define HOUR	     (60 * MINUTE)
#define DAY	     (24 * HOUR)
#define PATH_BYTES   CONFIG_PATH_BYTES
#define SOCKET_BYTES 107 /* sun_path of a Unix socket, without its NUL */

#define LIMIT_U32(name_, member, value_, least_, most_, zero, doc_)                              \
	{                                                                                        \
		.name = (name_), .type = SCHEMA_U32, .offset = LIMIT(member), .value = (value_), \
		.least = (least_), .most = (most_), .zero_is_off = (zero), .since = SINCE,       \
		.doc = (doc_)                                                                    \
	}
#define LIMIT_SIZE(name_, member, value_, least_, most_, doc_)                                    \
	{                                                                                         \
		.name = (name_), .type = SCHEMA_SIZE, .offset = LIMIT(member), .value = (value_), \
		.least = (least_), .most = (most_), .since = SINCE, .doc = (doc_)                 \
	}

static const struct schema_field limit_fields[] = {
	LIMIT_SIZE("message-size", message_size, "50M", 64 * KIB, 2 * GIB,
		"The longest message that is taken (SIZE, RFC 1870)."),
	LIMIT_U32("hops", hops, "50", 5, 1000, false,
		"Received fields; a message with more is in a loop and bounces."),
	LIMIT_U32("recipients", recipients, "1000", 100, 50000, false,
		"Recipients of one message; more are told 452 (RFC 5321 section 4.5.3.1.8)."),
	LIMIT_U32("connections", connections, "10000", 1, 1000000, false,
		"Connections held by one worker; more are told 421."),
	LIMIT_U32("connections-per-client", connections_per_client, "200", 1, 1000000, true,
		"Connections of one worker with one client address, loopback not counted; 0: no "
		"limit."),
	LIMIT_U32("connections-per-site", connections_per_site, "1000", 1, 1000000, true,
		"Connections of one worker with the IPv6 clients of one site, a /48, beside those "
		"of each; a client is a /64, and a site has 65,536 of them. 0: no limit."),
	LIMIT_U32("errors", errors, "20", 1, 10000, false,
		"Bad commands in one connection before it is closed with 421."),
	LIMIT_U32("refused-recipients", refused_recipients, "200", 10, 1000000, true,
		"Recipients refused for good in one connection without a message, before it is "
		"closed with 421; after more than half as many the client waits a second each "
		"time; 0: no limit."),
	LIMIT_U32("commands", commands, "2000", 10, 1000000, true,
		"Commands in one connection without a message, before it is closed with 421; 0: no "
		"limit."),
	LIMIT_U32("line", line, "65536", 998, 16777216, false,
		"Bytes of one line of a message, its CRLF not counted."),
	LIMIT_U32("header-bytes", header_bytes, "1048576", 16384, 67108864, false,
		"Bytes of a message's header section."),
	LIMIT_SIZE("memory", memory, "256M", 4 * MIB, 64 * GIB,
		"Message bodies held in memory by one worker; beyond it clients wait."),
	LIMIT_SIZE("inline-bytes", inline_bytes, "1M", 4 * KIB, 64 * MIB,
		"Longer bodies get a spool file of their own and are not held in memory."),
	LIMIT_SIZE("dsn-return-bytes", dsn_return_bytes, "64K", 0, 64 * MIB,
		"Longer messages come back in a bounce with their header only."),
	LIMIT_U32("outbound-connections", outbound_connections, "1000", 1, 100000, false,
		"Connections to next hops, all together. Hosts that the DNS names (lookup-mx) "
		"share three quarters of them, mail from the null sender to such hosts a quarter, "
		"one host an eighth."),
	{.name = "queue-messages",
		.type = SCHEMA_U64,
		.offset = LIMIT(queue_messages),
		.value = "2000000",
		.least = 1000,
		.most = 100000000,
		.zero_is_off = true,
		.since = SINCE,
		.doc = "Messages in the queue; with more, new ones are told 452; 0: no limit."},
};

static const struct schema limits_schema = {
	.kind = "limits",
	.doc = "What is taken, held and tried at most.",
	.size = sizeof(struct config),
	.fields = limit_fields,
	.count = ARRAY_SIZE(limit_fields),
};

#define TIMEOUT(name_, member, value_, least_, most_, zero, doc_)                             \
	{                                                                                     \
		.name = (name_), .type = SCHEMA_DURATION, .offset = TIME(member),             \
		.value = (value_), .least = (least_), .most = (most_), .zero_is_off = (zero), \
		.unit_ms = SECOND, .since = SINCE, .doc = (doc_)                              \
	}

static const struct schema_field timeout_fields[] = {
	TIMEOUT("command", command, "5m", SECOND, HOUR, false,
		"Server: the next command (RFC 5321 section 4.5.3.2.7)."),
	TIMEOUT("data-block", data_block, "3m", SECOND, HOUR, false,
		"Server: some more bytes of a body."),
	TIMEOUT("transaction", transaction, "2h", 10 * SECOND, 2 * DAY, false,
		"Server: from MAIL to the end of the body."),
	TIMEOUT("session", session, "1d", 10 * SECOND, 30 * DAY, true,
		"Server: the whole connection; 0: no limit."),
	TIMEOUT("connect", connect, "30s", SECOND, HOUR, false, "Client: the connection stands."),
	TIMEOUT("greeting", greeting, "5m", SECOND, HOUR, false,
		"Client: the greeting (RFC 5321 section 4.5.3.2.1)."),
	TIMEOUT("ehlo", ehlo, "5m", SECOND, HOUR, false, "Client: the reply to EHLO."),
	TIMEOUT("mail", mail, "5m", SECOND, HOUR, false,
		"Client: the reply to MAIL (section 4.5.3.2.2)."),
	TIMEOUT("rcpt", rcpt, "5m", SECOND, HOUR, false,
		"Client: the reply to RCPT (section 4.5.3.2.3)."),
	TIMEOUT("data", data, "2m", SECOND, HOUR, false,
		"Client: the reply to DATA (section 4.5.3.2.4)."),
	TIMEOUT("body", body, "3m", SECOND, HOUR, false,
		"Client: the peer takes some more of a body (section 4.5.3.2.5); all of it in ten "
		"times "
		"this and a second for each KiB."),
	TIMEOUT("body-end", body_end, "10m", SECOND, 2 * HOUR, false,
		"Client: the reply to the end of a body (section 4.5.3.2.6)."),
	TIMEOUT("rset", rset, "30s", SECOND, HOUR, false, "Client: the reply to RSET."),
	TIMEOUT("quit", quit, "10s", SECOND, HOUR, false, "Client: the reply to QUIT."),
	TIMEOUT("idle", idle, "5s", 100, HOUR, false,
		"Client: a connection is kept open this long for the next message."),
	TIMEOUT("dns", dns, "20s", SECOND, 10 * MINUTE, false,
		"One DNS question, all its tries together."),
};

static const struct schema timeouts_schema = {
	.kind = "timeouts",
	.doc = "How long is waited, and never longer: absolute deadlines. A bare number is "
	       "seconds.",
	.size = sizeof(struct config),
	.fields = timeout_fields,
	.count = ARRAY_SIZE(timeout_fields),
};

static const char *const log_formats[] = {
	[CONFIG_LOG_TEXT] = "text", [CONFIG_LOG_JSON] = "json", NULL};
static const char *const log_levels[] = {[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
	NULL};

static const struct schema_field log_fields[] = {
	{.name = "format",
		.type = SCHEMA_ENUM,
		.offset = AT(log_format),
		.value = "text",
		.choices = log_formats,
		.since = SINCE,
		.doc = "Log lines for people, or JSON objects."},
	{.name = "level",
		.type = SCHEMA_ENUM,
		.offset = AT(log_level),
		.value = "info",
		.choices = log_levels,
		.since = SINCE,
		.doc = "The least important lines that are written."},
};

static const struct schema log_schema = {
	.kind = "log",
	.doc = "Lines on the standard error stream.",
	.size = sizeof(struct config),
	.fields = log_fields,
	.count = ARRAY_SIZE(log_fields),
};

static const struct schema_field trace_fields[] = {
	{.name = "path",
		.type = SCHEMA_PATH,
		.offset = AT(trace),
		.most = PATH_BYTES,
		.since = SINCE,
		.doc = "Folder of the trace files. Where it is not given: \"trace\" beside the "
		       "spool."},
	{.name = "size",
		.type = SCHEMA_SIZE,
		.offset = AT(trace_bytes),
		.value = "1G",
		.least = 4 * MIB,
		.most = 1024 * GIB,
		.since = SINCE,
		.doc = "All trace files together; the oldest go first."},
	{.name = "age",
		.type = SCHEMA_DURATION,
		.offset = AT(trace_age_ms),
		.value = "30d",
		.least = HOUR,
		.most = 3650 * DAY,
		.unit_ms = DAY,
		.since = SINCE,
		.doc = "Older trace files are removed. A bare number is days."},
};

static const struct schema trace_schema = {
	.kind = "trace",
	.doc = "The story of each message, kept in a ring of files.",
	.size = sizeof(struct config),
	.fields = trace_fields,
	.count = ARRAY_SIZE(trace_fields),
};

static const struct schema_field user_fields[] = {
	{.name = "smtpd",
		.type = SCHEMA_USER,
		.offset = AT(user_smtpd),
		.value = "postern-smtpd",
		.since = SINCE,
		.doc = "Runs the SMTP servers."},
	{.name = "delivery",
		.type = SCHEMA_USER,
		.offset = AT(user_delivery),
		.value = "postern-delivery",
		.since = SINCE,
		.doc = "Runs the queue and the deliveries."},
	{.name = "admin",
		.type = SCHEMA_USER,
		.offset = AT(user_admin),
		.value = "postern-admin",
		.since = SINCE,
		.doc = "Runs the directory and the control socket."},
	{.name = "keys",
		.type = SCHEMA_USER,
		.offset = AT(user_keys),
		.value = "postern-keys",
		.since = SINCE,
		.doc = "Holds the private keys, and what passwords are checked by."},
	{.name = "fetch",
		.type = SCHEMA_USER,
		.offset = AT(user_fetch),
		.value = "postern-fetch",
		.since = SINCE,
		.doc = "Fetches MTA-STS policies, and hands in TLS reports, over HTTPS."},
	{.name = "group",
		.type = SCHEMA_USER,
		.offset = AT(group),
		.value = "postern",
		.since = SINCE,
		.doc = "Its members may use posternctl and read mailboxes; no role is in it."},
};

static const struct schema users_schema = {
	.kind = "users",
	.doc = "Who the roles run as when posternd is started by root.",
	.size = sizeof(struct config),
	.fields = user_fields,
	.count = ARRAY_SIZE(user_fields),
};

static const struct schema_field dns_fields[] = {
	{.name = "servers",
		.type = SCHEMA_SERVERS,
		.offset = AT(dns_servers),
		.most = 8,
		.since = SINCE,
		.doc = "DNS servers to ask. Where none is given: those of /etc/resolv.conf.",
		.example = "[ 192.0.2.53, \"127.0.0.1:5353\" ]"},
	{.name = "trust-anchor",
		.type = SCHEMA_PATH,
		.offset = AT(dnssec_anchor),
		.most = PATH_BYTES,
		.since = SINCE,
		.doc = "File with the DNSSEC keys to trust, as DS or DNSKEY records. Where none is "
		       "given: those of the root zone that postern came with.",
		.example = "/usr/share/dns/root.key"},
};

static const struct schema dns_schema = {
	.kind = "dns",
	.doc = "Where names are looked up.",
	.size = sizeof(struct config),
	.fields = dns_fields,
	.count = ARRAY_SIZE(dns_fields),
};

static const struct schema_field a_folder = {.type = SCHEMA_PATH, .most = PATH_BYTES};

static const struct schema_field tls_fields[] = {
	{.name = "ca-folders",
		.type = SCHEMA_LIST,
		.offset = AT(tls_ca_folders),
		.item = &a_folder,
		.most = CONFIG_CA_FOLDERS,
		.since = SINCE,
		.doc = "Folders where the tls-ca of a transport may lie, besides /etc/ssl, "
		       "/usr/share/ca-certificates, /usr/local/share/ca-certificates and the "
		       "folder of this file."},
};

static const struct schema tls_schema = {
	.kind = "tls",
	.doc = "What holds for TLS everywhere.",
	.size = sizeof(struct config),
	.fields = tls_fields,
	.count = ARRAY_SIZE(tls_fields),
};

static const struct schema_field storage_fields[] = {
	{.name = "segment-size",
		.type = SCHEMA_SIZE,
		.offset = AT(segment_bytes),
		.value = "64M",
		.least = MIB,
		.most = 4 * GIB - 1,
		.since = SINCE,
		.doc = "A spool file is closed when it is longer. Each worker and delivery set two "
		       "of that length aside, the one in use and the next, so that mail flows on "
		       "a full disk: with one worker four times this must be free on the spool's "
		       "disk, or mail is refused as if that were full."},
	{.name = "journal-delay",
		.type = SCHEMA_DURATION,
		.offset = AT(journal_ms),
		.value = "50ms",
		.least = 1,
		.most = 10 * SECOND,
		.zero_is_off = true,
		.unit_ms = 1,
		.since = SINCE,
		.doc = "Completed deliveries are gathered this long between two syncs; a power cut "
		       "repeats at most these. A bare number is milliseconds."},
};

static const struct schema storage_schema = {
	.kind = "storage",
	.doc = "How the spool writes.",
	.size = sizeof(struct config),
	.fields = storage_fields,
	.count = ARRAY_SIZE(storage_fields),
};

static const char *const sandboxes[] = {[CONFIG_SANDBOX_REQUIRED] = "required",
	[CONFIG_SANDBOX_OPTIONAL] = "optional",
	[CONFIG_SANDBOX_OFF] = "off",
	NULL};

static const struct schema_field config_fields[] = {
	{.name = "hostname",
		.type = SCHEMA_FQDN,
		.offset = AT(hostname),
		.required = true,
		.since = SINCE,
		.doc = "This gateway's own name: in greetings, EHLO, Received fields and DSNs.",
		.example = "gw.example.org"},
	{.name = "spool",
		.type = SCHEMA_PATH,
		.offset = AT(spool),
		.most = PATH_BYTES,
		.required = true,
		.since = SINCE,
		.doc = "Folder where messages lie until they are delivered."},
	{.name = "directory",
		.type = SCHEMA_PATH,
		.offset = AT(directory),
		.most = PATH_BYTES,
		.required = true,
		.since = SINCE,
		.doc = "The database of domains, transports and accounts."},
	{.name = "control",
		.type = SCHEMA_PATH,
		.offset = AT(control),
		.most = SOCKET_BYTES,
		.required = true,
		.since = SINCE,
		.doc = "The socket on which posternctl talks to posternd."},
	{.name = "mailboxes",
		.type = SCHEMA_PATH,
		.offset = AT(mailboxes),
		.most = PATH_BYTES,
		.since = SINCE,
		.doc = "Folder of the Maildirs. Where it is not given: \"mail\" beside the spool."},
	{.name = "workers",
		.type = SCHEMA_U32,
		.offset = AT(workers),
		.value = "1",
		.least = 1,
		.most = CONFIG_WORKERS,
		.since = SINCE,
		.doc = "SMTP server processes. Fewer share their syncs among more mail: one for "
		       "two processor "
		       "cores is a good choice, as delivery works beside them."},
	{.name = "listeners",
		.type = SCHEMA_MAP,
		.offset = AT(listeners),
		.count_offset = AT(listener_count),
		.most = CONFIG_LISTENERS,
		.sub = &config_listener_schema,
		.required = true,
		.since = SINCE,
		.doc = "Where mail comes in, each under a name of its own.",
		.example = "mx: { address: \"0.0.0.0:25\" }"},
	{.name = "limits",
		.type = SCHEMA_GROUP,
		.sub = &limits_schema,
		.since = SINCE,
		.doc = "What is taken, held and tried at most."},
	{.name = "timeouts",
		.type = SCHEMA_GROUP,
		.sub = &timeouts_schema,
		.since = SINCE,
		.doc = "How long is waited."},
	{.name = "log",
		.type = SCHEMA_GROUP,
		.sub = &log_schema,
		.since = SINCE,
		.doc = "Lines on the standard error stream."},
	{.name = "trace",
		.type = SCHEMA_GROUP,
		.sub = &trace_schema,
		.since = SINCE,
		.doc = "The story of each message."},
	{.name = "storage",
		.type = SCHEMA_GROUP,
		.sub = &storage_schema,
		.since = SINCE,
		.doc = "How the spool writes."},
	{.name = "sandbox",
		.type = SCHEMA_ENUM,
		.offset = AT(sandbox),
		.value = "required",
		.choices = sandboxes,
		.since = SINCE,
		.doc = "Landlock and seccomp: refuse to start without them, use what the kernel "
		       "has, or use none."},
	{.name = "users",
		.type = SCHEMA_GROUP,
		.sub = &users_schema,
		.since = SINCE,
		.doc = "Who the roles run as when posternd is started by root."},
	{.name = "dns",
		.type = SCHEMA_GROUP,
		.sub = &dns_schema,
		.since = SINCE,
		.doc = "Where names are looked up."},
	{.name = "tls",
		.type = SCHEMA_GROUP,
		.sub = &tls_schema,
		.since = SINCE,
		.doc = "What holds for TLS everywhere."},
};

static const struct schema schema = {
	.kind = "start file",
	.doc = "What is fixed while posternd runs.",
	.size = sizeof(struct config),
	.fields = config_fields,
	.count = ARRAY_SIZE(config_fields),
};

const struct schema *config_schema(void)
{
	return &schema;
}
