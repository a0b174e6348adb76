/* The fields of a listener in the start file. */
#include "base/check.h"
#include "directory/config_inner.h"

#define SINCE	   "0.1"
#define AT(member) offsetof(struct config_listener, member)

static const char *const modes[] = {
	[CONFIG_TLS_STARTTLS] = "starttls", [CONFIG_TLS_IMPLICIT] = "implicit", NULL};

static const struct schema_field a_range = {.type = SCHEMA_RANGE};

#define PATH(name_, offset_, doc_)                                         \
	{                                                                  \
		.name = (name_), .type = SCHEMA_PATH, .offset = (offset_), \
		.most = CONFIG_PATH_BYTES, .since = SINCE, .doc = (doc_)   \
	}

static const struct schema_field sni_fields[] = {
	PATH("certificate", offsetof(struct config_sni, certificate),
		"PEM file with the certificate for this name, and its chain."),
	PATH("key", offsetof(struct config_sni, key), "PEM file with its private key."),
};

static const struct schema sni_schema = {
	.kind = "name",
	.doc = "A certificate by the name that a client asks for (SNI).",
	.size = sizeof(struct config_sni),
	.fields = sni_fields,
	.count = ARRAY_SIZE(sni_fields),
};

static const struct schema_field tls_fields[] = {
	PATH("certificate", AT(tls.certificate),
		"PEM file with the certificate, and its chain. Without one there is no TLS on this "
		"listener."),
	PATH("key", AT(tls.key),
		"PEM file with its private key. Only the role keys keeps it; it may belong to root "
		"alone."),
	{.name = "mode",
		.type = SCHEMA_ENUM,
		.offset = AT(tls.mode),
		.choices = modes,
		.since = SINCE,
		.doc = "TLS on demand after a start in clear, or from the first byte (RFC 8314). "
		       "Where it is not given: implicit on port 465, else starttls."},
	{.name = "names",
		.type = SCHEMA_MAP,
		.offset = AT(tls.names),
		.count_offset = AT(tls.name_count),
		.most = CONFIG_SNI,
		.sub = &sni_schema,
		.since = SINCE,
		.doc = "Other certificates, by the name that a client asks for (SNI): a host name, "
		       "or \"*.\" and a domain for all names of one label below it.",
		.example = "mail.b.example: { certificate: b.crt, key: b.key }"},
	PATH("client-ca", AT(tls.client_ca),
		"PEM file with authorities: clients are asked for a certificate, and one of theirs "
		"gives the right to relay. See certificates of the relay policy."),
};

static const struct schema tls_schema = {
	.kind = "tls",
	.doc = "TLS on this listener.",
	.size = sizeof(struct config_listener),
	.fields = tls_fields,
	.count = ARRAY_SIZE(tls_fields),
};

static const struct schema_field listener_fields[] = {
	{.name = "address",
		.type = SCHEMA_ADDRESS,
		.offset = AT(address),
		.least = 25,
		.required = true,
		.since = SINCE,
		.doc = "Where to listen; port 25 where none is given.",
		.example = "\"0.0.0.0:25\""},
	{.name = "tls",
		.type = SCHEMA_GROUP,
		.sub = &tls_schema,
		.since = SINCE,
		.doc = "TLS on this listener.",
		.example = "{ certificate: gw.crt, key: gw.key }"},
	{.name = "open-relay",
		.type = SCHEMA_BOOL,
		.offset = AT(open_relay),
		.value = "false",
		.since = SINCE,
		.doc = "The relay policy anyone is allowed here, though the address is not a "
		       "loopback one: whoever reaches it may send mail to anybody."},
	{.name = "auth-without-tls",
		.type = SCHEMA_BOOL,
		.offset = AT(auth_without_tls),
		.value = "false",
		.since = SINCE,
		.doc = "Passwords are taken in clear, too."},
	{.name = "proxy",
		.type = SCHEMA_LIST,
		.offset = AT(proxy),
		.item = &a_range,
		.most = CONFIG_PEERS,
		.since = SINCE,
		.doc = "Load balancers, which must begin with a PROXY header (version 1 or 2) and "
		       "are believed who the client is.",
		.example = "[ 192.0.2.7 ]"},
	{.name = "xclient",
		.type = SCHEMA_LIST,
		.offset = AT(xclient),
		.item = &a_range,
		.most = CONFIG_PEERS,
		.since = SINCE,
		.doc = "Peers that may say who the client is by XCLIENT: filters and front ends, "
		       "which speak for themselves. Nobody may behind a PROXY header; and what "
		       "rights its certificate gives such a peer, its clients do not have."},
};

const struct schema config_listener_schema = {
	.kind = "listener",
	.doc = "An address on which mail comes in.",
	.size = sizeof(struct config_listener),
	.fields = listener_fields,
	.count = ARRAY_SIZE(listener_fields),
};
