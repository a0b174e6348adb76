/*
 * Certificates of the simulated world: a table of who is called what, and who vouches for it. What
 * the real ones prove by signatures is taken on trust here; what is checked of them is not.
 */
#ifndef SIM_CERT_H
#define SIM_CERT_H

#include "io/tls.h"

enum sim_cert {
	CERT_NONE,  /* no TLS, or none was shown */
	CERT_SELF,  /* of a server that nobody checks */
	CERT_EVIL,  /* somebody in between, who signs for himself */
	CERT_ROGUE, /* somebody in between with a good certificate of his own name */
	CERT_V,	    /* mx.v.example … */
	CERT_V_OLD, /* … whose time is over */
	CERT_V_NEW,
	CERT_P, /* pinned */
	CERT_P_NEW,
	CERT_T1, /* by TLSA records */
	CERT_T2,
	CERT_X1,
	CERT_S1, /* by a policy */
	CERT_S2,
	CERT_L, /* of a server where one logs in */
	CERT_GATEWAY,
	CERT_CLIENT, /* a client's: the gateway's client-ca knows it … */
	CERT_OTHER,  /* … and not this one */
	CERTS
};

/* What a tls-ca file of the simulated gateway says, and one for clients. */
#define CERT_PRIVATE_CA "the private authority"

void sim_cert_hash(enum sim_cert cert, uint8_t out[TLS_HASH_BYTES]);
void sim_cert_key_hash(enum sim_cert cert, uint8_t out[TLS_HASH_BYTES]);
/* Names end with NULL. */
const char *const *sim_cert_names(enum sim_cert cert);
/* By an authority that everybody knows, and not too old. */
bool sim_cert_is_good(enum sim_cert cert);
bool sim_cert_has_name(enum sim_cert cert, struct span name);
/* What a client finds that wants this of a server. */
enum tls_failure sim_cert_check(enum sim_cert cert, const struct tls_client *want);

#endif
