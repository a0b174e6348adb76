/*
 * What DNS records hold (RFC 1035 section 3.3, RFC 3596), and how names and server lists are
 * written. Pure; every byte may be hostile.
 */
#ifndef IO_DNS_RDATA_H
#define IO_DNS_RDATA_H

#include "io/dns.h"

#define DNS_LABEL   63 /* bytes of a label */
#define DNS_SERVERS 16 /* entries of a list of servers; more are ERR_LIMIT */
#define DNS_PORT    53

/*
 * A host or domain name as text in one form: lower case, no final dot, letters, digits, hyphen and
 * underscore in labels of 1 to 63 bytes. `to` takes DNS_NAME + 1 bytes, with a NUL. "." is no name.
 * ERR_SYNTAX, and nothing is written.
 */
int dns_name_normal(struct span in, char to[DNS_NAME + 1], size_t *out_length);

/*
 * A name in wire form without compression, which must fill `in` to its last byte, as text in the
 * form above. The root gives length 0. ERR_SYNTAX.
 */
int dns_name_from_wire(struct span in, char to[DNS_NAME + 1], size_t *out_length);

/* Records of one type, parsed. Big (about 40 KiB): one per resolver. */
struct dns_records {
	uint32_t count;
	uint32_t dropped;
	union {
		struct netaddr addresses[DNS_RECORDS];
		struct dns_mx mx[DNS_RECORDS];
		struct span rdata[DNS_RECORDS];
	} u;
	char names[DNS_RECORDS][DNS_NAME + 1];
};

void dns_records_clear(struct dns_records *records);
/* Adds one, or counts it as dropped. The raw bytes of other types stay where they are. */
void dns_records_add(struct dns_records *records, enum dns_type type, struct span rdata);
/* Sets the answer's count, dropped, and the array that fits. */
void dns_records_into(
	const struct dns_records *records, enum dns_type type, struct dns_answer *answer);

/* One entry of a list of DNS servers: an address with port, or a name and a port. */
struct dns_server {
	struct netaddr address; /* NETADDR_NONE: a name */
	struct span name;	/* points into the input */
	uint16_t port;
};

/* "ns1.example.org,192.0.2.53:5353,[::1]:53"; blanks around entries are ignored. ERR_SYNTAX,
 * ERR_LIMIT. An empty list is ERR_SYNTAX. */
int dns_servers_parse(struct span in, struct dns_server to[DNS_SERVERS], uint32_t *out_count);

/* The "nameserver" lines of a resolv.conf(5), in order, with the usual port; what is no address is
 * passed over. Returns how many. */
uint32_t dns_resolv_conf_parse(struct span text, struct netaddr to[DNS_SERVERS]);

#endif
