/*
 * What a worker has of role keys and of certificates: whom it asks about passwords, who signs for
 * it, and what each of its listeners shows.
 */
#ifndef ROLE_SMTPD_KEYS_H
#define ROLE_SMTPD_KEYS_H

#include "keys/link.h"
#include "role/role.h"
#include "role/signer.h"
#include "smtpd/smtpd.h"

struct smtpd_keys {
	struct role *role;
	struct smtpd *smtpd;
	struct ipc_port port;
	struct keys_link *link;
	struct signer signer;
	struct tls_server *servers[CONFIG_LISTENERS];
	struct tls_tickets tickets;
	bool certified; /* certificates came, or no listener has any */
};

int smtpd_keys_init(struct smtpd_keys *keys, struct role *role);
/* The (new) channel to role keys; takes the descriptor. */
void smtpd_keys_open(struct smtpd_keys *keys, int fd);
/* What the supervisor says of certificates and tickets; false: it is something else. Descriptors
 * stay the caller's. */
bool smtpd_keys_told(struct smtpd_keys *keys, const struct ipc_message *message);

#endif
