/*
 * The world around the machine: which domains there are, where they go, which hosts answer, and
 * what the administrator of the simulated gateway wrote.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/buf.h"
#include "sim_dns.h"
#include "sim_ledger.h"

struct sim_domain {
	const char *name;
	bool mailboxes;
	bool foreign;	 /* not served: mail for it is relayed */
	bool full_boxes; /* some of its mailboxes are full for ever, which is no matter of the
			    others */
	bool may_fail;	 /* its hops may refuse for good, or be down for ever */
	bool seven_bit;	 /* its hop cannot take 8-bit text: a bounce is as good as a conversion */
	bool discards;	 /* given up without a word */
	bool no_utf8;	 /* its hop has no SMTPUTF8 */
	bool warns;	 /* a delay is told of long before it is given up */
	uint64_t patience_ns; /* from reception to giving up, for one that gives up */
};

#define WORLD_BOXES  4
#define WORLD_SENDER "sender.example"
#define WORLD_BRANCH "branch.example" /* another one, in accept.hosts */
#define WORLD_HOST   "gw.example.test"
#define WORLD_CA     "/etc/ssl/private-authority.pem"
/* Of the transport that logs in. */
#define WORLD_USER   "gateway"
#define WORLD_SECRET "open-sesame"

extern const struct sim_domain world_domains[];
extern const size_t world_domain_count;
extern const struct sim_dns_record world_dns[];
extern const char world_config[];
/* What the administrator of the simulated gateway wrote (sim_world_objects.c). */
void world_put_objects(struct buf *out);

struct netaddr world_address(const char *text);

/* The hosts that take mail, from the start of the run. */
struct sim_hops;
struct sim_hops *world_hops_new(struct sim *sim, struct sim_net *net, struct ledger *ledger);
/* No more trouble. */
void world_hops_calm(struct sim_hops *hops);

#endif
