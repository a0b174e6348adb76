/*
 * What delivery reaches besides the spool: the DNS, certificates that others are checked by, and
 * the web by role fetch. What has to be read from files is read before the sandbox closes, or lies
 * where the sandbox lets it be read.
 */
#ifndef ROLE_REACH_H
#define ROLE_REACH_H

#include "codec/pin.h"
#include "io/dns.h"
#include "role/fetch_link.h"
#include "role/role.h"

#define REACH_GOOD_CA 8 /* files that were parsed lately, and need not be again */

struct reach {
	struct role *role;
	struct dns *dns;
	struct fetch_link fetch;
	struct ipc_port port; /* to role fetch */
	char *folders[CONFIG_CA_FOLDERS +
		      1]; /* where tls-ca files may lie, besides the usual ones */
	size_t folder_count;
	/* Hashes of what was good: long lists take tens of milliseconds. */
	uint8_t good_ca[REACH_GOOD_CA][PIN_BYTES];
	uint32_t good_ca_next;
};

/* Before role_enter(). `problem` says what is wrong with which file. */
int reach_open(struct reach *reach, struct role *role, struct buf *problem);
/* The (new) channel to role fetch; takes the descriptor. */
void reach_channel(struct reach *reach, uint8_t index, int fd);
/* The system's list of DNS servers may be another one now; takes the descriptor. */
void reach_resolv_conf(struct reach *reach, int fd);
/* The text of a transport's tls-ca file. Blocks a little. ERR_SYNTAX: no certificates;
 * ERR_NOT_FOUND, ERR_DENIED, ERR_LIMIT, … */
int reach_read_ca(struct reach *reach, struct span path, struct buf *out);
/* What is wrong with it, as words that follow its name; false: nothing. */
bool reach_check_ca(struct reach *reach, struct span path, struct buf *why);

#endif
