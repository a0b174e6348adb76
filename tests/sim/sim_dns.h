/*
 * A DNS of a table, and of what sim_trust says: answers after a delay, sometimes not at all. What
 * lies in a signed zone is told so, and cannot be forged; other answers may be.
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
	const char *value; /* MX: a name, "" for the root; A, AAAA: an address; TXT */
};

/* Questions of one process. `records` ends with a NULL name; a name that is in no record does not
 * exist. */
struct sim_trust;
struct dns *sim_dns_new(
	struct sim_process *process, struct sim_trust *trust, const struct sim_dns_record *records);

#endif
