/*
 * A next hop: a small SMTP server of its own making, which shares no code with Postern's parsers.
 * It writes down in the ledger what it took over, and can misbehave in every way that servers do.
 */
#ifndef SIM_HOP_H
#define SIM_HOP_H

#include "sim_cert.h"
#include "sim_ledger.h"

enum sim_hop_extensions {
	HOP_ESMTP = 1,
	HOP_PIPELINING = 2,
	HOP_8BITMIME = 4,
	HOP_CHUNKING = 8,
	HOP_BINARYMIME = 16,
	HOP_DSN = 32,
	HOP_SIZE = 64,
	HOP_ENHANCED = 128,
	HOP_SMTPUTF8 = 256,
	HOP_ALL = 511,
	HOP_REQUIRETLS = 512,
};

struct sim_hop_kind {
	const char *name, *address;
	unsigned extensions;
	unsigned trouble; /* in 1000ths, at every step */
	unsigned refuses; /* in 1000ths: recipients and messages refused for good */
	bool greylists;
	bool full_boxes;    /* 452 4.2.2 to those recipients that the ledger says are full */
	bool down;	    /* for hours, at times */
	const char *host;   /* as the DNS names it */
	enum sim_cert cert; /* CERT_NONE: no STARTTLS */
	bool login;	    /* takes mail from who logged in only */
	unsigned attacked;  /* in 1000ths of its sessions */
};

struct sim_hop;

struct sim_hop *sim_hop_new(struct sim *sim, struct sim_net *net, struct ledger *ledger,
	const struct sim_hop_kind *kind);
void sim_hop_calm(struct sim_hop *hop);

#endif
