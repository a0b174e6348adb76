/*
 * A DNS of a table: answers after a delay, sometimes not at all.
 */
#ifndef SIM_DNS_H
#define SIM_DNS_H

#include "io/dns.h"
#include "sim_io.h"

#define SIM_DNS_RECORDS 64

struct sim_dns_record {
	const char *name;
	enum dns_type type;
	uint16_t preference;
	const char *value; /* MX: a name, "" for the root; A, AAAA: an address */
};

/* Questions of one process. `records` ends with a NULL name; a name that is in no record does not
 * exist. */
struct dns *sim_dns_new(struct sim_process *process, const struct sim_dns_record *records);

#endif
