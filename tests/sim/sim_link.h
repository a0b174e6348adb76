/*
 * The links over which mail left, and whether it could leave like that.
 */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include "sim_cert.h"
#include "sim_ledger.h"

/* A session as a next hop saw it. */
struct sim_link {
	const char *hop;
	const char *host; /* as the DNS names it; NULL: it does not */
	const char *helo; /* what EHLO said last */
	uint64_t opened_ns;
	enum sim_cert shown; /* by the server; CERT_NONE: in clear */
	bool offered, asked; /* STARTTLS: to the gateway, by it */
	bool failed_lately;  /* a handshake with this server did */
	bool meddled;	     /* bytes in clear behind the reply to STARTTLS */
	bool logged_in;
};

/* `mail` may be NULL: a notification. */
void sim_link_judge(struct ledger *ledger, const struct sim_link *link,
	const struct ledger_mail *mail, const char *rcpt);

/* It came back for want of a host that it could go to by REQUIRETLS (RFC 8689). */
void sim_link_judge_return(struct ledger *ledger, struct span transport, const char *rcpt);

#endif
