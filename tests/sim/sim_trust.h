/*
 * Whom one can trust in the simulated world, and how that changes: which certificates hosts show,
 * what signed zones say of them, which policies domains publish, and where somebody meddles with
 * the DNS. The hosts, the DNS and the web ask it; the judge (sim_link.c) asks what was true when.
 *
 *   t.example, x.example   signed zones with TLSA records
 *   s.example, x.example   publish MTA-STS policies
 *   u.example, s.example   not signed: their answers may be forged
 */
#ifndef SIM_TRUST_H
#define SIM_TRUST_H

#include "sim_cert.h"
#include "sim_machine.h"

#define TRUST_EVIL_ADDRESS "203.0.113.66" /* of whoever forges answers */
#define TRUST_EVIL_HOST	   "mx.evil.example"
#define TRUST_WEB_ADDRESS  "192.0.2.110" /* of the policies' web servers */
#define TRUST_TLSA	   2		 /* records of a host, at most */

enum sim_tlsa_kind {
	TLSA_RIGHT,
	TLSA_BOTH, /* one that does not fit beside one that does, as while keys are changed */
	TLSA_WRONG,
	TLSA_USELESS, /* none can be used: TLS, whoever it is */
	TLSA_MISSING,
	TLSA_KINDS
};

enum sim_sts_mode { STS_ABSENT, STS_NONE, STS_TESTING, STS_ENFORCE, STS_MODES };

enum sim_web {
	WEB_FINE,
	WEB_DOWN,
	WEB_CERTIFICATE, /* not its own */
	WEB_REDIRECT,
	WEB_NONSENSE,
	WEB_TYPE, /* not text/plain */
	WEBS
};

/* What a domain publishes. */
struct sim_sts {
	const char *domain;
	enum sim_sts_mode mode;
	bool all; /* "*.s.example", and not mx1.s.example alone */
	uint32_t max_age_s;
	unsigned id;
	enum sim_web web;
	bool blocked; /* nobody gets an answer to the question for its record */
};

/* A policy that delivery has got. */
struct sim_fetched {
	const char *domain;
	uint64_t at_ns;
	uint64_t jumps; /* of the clock, until then */
	size_t life;	/* of delivery */
	enum sim_sts_mode mode;
	bool all;
	uint32_t max_age_s;
};

struct sim_trust;

struct sim_trust *sim_trust_new(struct sim *sim, enum sim_focus focus);
/* From now on all is as it should be. */
void sim_trust_calm(struct sim_trust *trust);

/* ---- the world ------------------------------------------------------------------------------- */

/* What the host shows to whom this belongs. */
enum sim_cert sim_trust_shown(const struct sim_trust *trust, enum sim_cert right);
bool sim_trust_is_signed(const char *name);
/* "_25._tcp.mx1.t.example": its records as the DNS has them; -1: no such name. */
int sim_trust_tlsa(const struct sim_trust *trust, const char *name,
	uint8_t out[TRUST_TLSA][3 + TLS_HASH_BYTES]);
/* Somebody answers this question in the place of those who should. */
bool sim_trust_forges(struct sim_trust *trust, const char *name);
/* By the domain; NULL: it publishes none. */
const struct sim_sts *sim_trust_sts(const struct sim_trust *trust, struct span domain);

/* ---- what the gateway knows ------------------------------------------------------------------ */

void sim_trust_delivery_begins(struct sim_trust *trust);
void sim_trust_delivery_ends(struct sim_trust *trust);
void sim_trust_delivery_knows(struct sim_trust *trust, uint64_t generation);
void sim_trust_fetched(struct sim_trust *trust, const struct sim_sts *sts);

/* ---- what was true --------------------------------------------------------------------------- */

/* The directory that delivery knew then; 0: none. */
uint64_t sim_trust_generation(const struct sim_trust *trust, uint64_t at_ns);
/* The kinds that it was between the two times, as bits. False: the host has no such records ever.
 */
bool sim_trust_tlsa_kinds(const struct sim_trust *trust, const char *host, uint64_t from_ns,
	uint64_t to_ns, unsigned *kinds, enum sim_cert *right);
/* The policies of a domain, in the order in which they were got; *life: delivery's at the time
 * `at_ns`. NULL: no more. */
const struct sim_fetched *sim_trust_policy(
	const struct sim_trust *trust, const char *domain, size_t at);
size_t sim_trust_life(const struct sim_trust *trust, uint64_t at_ns);
/* When that life of delivery ended; UINT64_MAX: it goes on. */
uint64_t sim_trust_life_end(const struct sim_trust *trust, size_t life);

#endif
