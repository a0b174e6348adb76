/*
 * One generation of the directory as the other roles see it: immutable, mapped read-only from a
 * sealed memfd that admin made, shared by all roles at no cost per role, however many domains
 * there are. A transaction keeps the generation it began with (snapshot_hold()).
 *
 * What comes back points into the mapping and lives as long as the snapshot is held. The bytes are
 * bounds-checked when it is opened and when it is read: a damaged one gives ERR_CORRUPT, never a
 * crash.
 */
#ifndef DIRECTORY_SNAPSHOT_H
#define DIRECTORY_SNAPSHOT_H

#include "base/netaddr.h"
#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

struct snapshot;

enum tls_policy { TLS_NONE, TLS_OPPORTUNISTIC, TLS_REQUIRE, TLS_VERIFY, TLS_DANE, TLS_MTA_STS };
enum give_up { GIVE_UP_DSN, GIVE_UP_DISCARD };

/* A step of a retry schedule: wait this long, so many times; the last step repeats for ever. */
struct retry_step {
	uint32_t delay_s;
	uint32_t times;
};
#define RETRY_STEPS 16

/* Why and since when something is paused; since_ms 0: it is not. */
struct pause {
	int64_t since_ms;
	struct span by;
	struct span reason;
};

struct transport {
	uint32_t index; /* in this generation only: names are what lasts */
	struct span name;
	/* server: one of the two */
	struct span host;   /* name or address literal without brackets; empty: lookup-mx */
	uint16_t port;	    /* 25 by default, for lookup-mx too */
	struct span zone;   /* lookup-mx:zone=…; empty: none */
	struct span query;  /* lookup-mx:query=…, the comma list as given; empty: the system's */
	bool private_hosts; /* lookup-mx may lead to addresses that are not public */
	struct span retry_text; /* as given: "1m, 5m*2, 1h" */
	struct retry_step retry[RETRY_STEPS];
	uint32_t retry_steps;
	uint32_t retry_count;
	enum give_up give_up;
	uint32_t delay_warning_s; /* 0: never */
	enum tls_policy tls;
	struct span source_v4, source_v6; /* address to send from; empty: the system's choice */
	struct span helo;		  /* empty: the host name */
	uint32_t connections;		  /* to one destination at a time */
	uint32_t messages_per_connection;
	uint32_t rate_per_minute; /* messages to one destination; 0: no limit */
	struct pause pause;
};

enum domain_kind { DOMAIN_TRANSPORT, DOMAIN_MAILBOXES };

struct domain {
	struct span name; /* lower case, A-labels */
	enum domain_kind kind;
	uint32_t transport; /* index; only for DOMAIN_TRANSPORT */
	struct pause pause;
};

struct account {
	struct span address; /* canonical */
};

/* A rule of the prioritised queue; an empty field matches everything. */
struct priority_rule {
	struct span sender, recipient, domain, transport; /* address, "@domain" or "*"-pattern */
	struct span client;				  /* CIDR */
};

/* Takes the descriptor over in any case. */
int snapshot_open(int memfd, struct snapshot **out);
struct snapshot *snapshot_hold(struct snapshot *snapshot);
void snapshot_release(struct snapshot **snapshot);
uint64_t snapshot_generation(const struct snapshot *snapshot);

/* Names are looked up in canonical form. ERR_NOT_FOUND. */
int snapshot_domain(const struct snapshot *s, struct span name, struct domain *out);
int snapshot_account(const struct snapshot *s, struct span address, struct account *out);
int snapshot_transport(const struct snapshot *s, uint32_t index, struct transport *out);
int snapshot_transport_by_name(const struct snapshot *s, struct span name, struct transport *out);
/* The one for mail to domains that are not ours; ERR_NOT_FOUND where none is set. */
int snapshot_default_transport(const struct snapshot *s, struct transport *out);
/* Who gets mail to our postmaster, a canonical address; ERR_NOT_FOUND where nobody is set. */
int snapshot_postmaster(const struct snapshot *s, struct span *out);
uint32_t snapshot_transport_count(const struct snapshot *s);
/* Everything is paused? */
void snapshot_pause(const struct snapshot *s, struct pause *out);
/* Paused domains by position, 0 first; ERR_NOT_FOUND: no more. */
int snapshot_paused_domain(const struct snapshot *s, uint32_t at, struct domain *out);
/* Equal for two generations that send every recipient the same way: covers domains (kind,
 * transport), accounts, the default transport and all fields of transports that say where (server,
 * zone, query, port, private hosts), not retry times or pauses. What is queued is routed anew when
 * it changes. */
uint64_t snapshot_routes_hash(const struct snapshot *s);
uint32_t snapshot_priority_count(const struct snapshot *s);
int snapshot_priority(const struct snapshot *s, uint32_t at, struct priority_rule *out);

#endif
