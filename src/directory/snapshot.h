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

#define TRANSPORT_PINS 16

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
	struct span tls_ca; /* path of a file with trust anchors; empty: the system's */
	uint8_t tls_pins[TRANSPORT_PINS][32]; /* SHA-256 of certificates or keys */
	uint32_t tls_pin_count;
	struct span sasl_user;		  /* empty: no AUTH. The secret is in struct secrets */
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
	struct span alias_of; /* not empty: another name of that domain, whose kind, transport and
			       * pause stand here */
};

struct account {
	struct span address; /* canonical */
	bool disabled;	     /* takes mail, but nobody can log in */
	/* May send as these, too: addresses, or "@domain", one a line; canonical. */
	struct span send_as;
	/* Another number than at any time before whenever the password was set or taken away, or
	 * the account was disabled, enabled or made: a login counts as long as it has not changed.
	 * 0: it has no password. */
	uint64_t logins_since;
};

/* ---- who may relay --------------------------------------------------------------------------- */

enum relay_policy {
	RELAY_NONE,
	RELAY_ADDRESSES,
	RELAY_LOCAL_HOSTS, /* forgeable */
	RELAY_LOCAL_USERS, /* forgeable */
	RELAY_ANYONE,
	RELAY_POLICIES
};

/* As whom somebody who logged in may send. */
enum relay_senders {
	RELAY_SENDERS_OWN, /* his address, aliases that lead to him alone, and the account's send-as
			    */
	RELAY_SENDERS_ANY,
};

/* Addresses from first to last, of one family; port 0. */
struct address_range {
	struct netaddr first, last;
};

/* Of one listener; where the directory has none, RELAY_NONE with AUTH advertised. */
struct relay {
	struct span listener;
	enum relay_policy policy;
	uint32_t index;		       /* in this generation: for snapshot_relay_from() and _to() */
	uint32_t from_count, to_count; /* ranges */
	bool advertise_auth;
	enum relay_senders senders;
	struct span certificates; /* pins, one a line: client certificates with the right to relay;
				   * empty: each that the listener's client-ca verifies */
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
 * transport, aliases), accounts, aliases, the default transport and all fields of transports that
 * say where (server, zone, query, port, private hosts), not retry times, links' protection or
 * pauses. What is queued is routed anew when it changes. */
uint64_t snapshot_routes_hash(const struct snapshot *s);
/* By the listener's name. ERR_NOT_FOUND: *out has the defaults. */
int snapshot_relay(const struct snapshot *s, struct span listener, struct relay *out);
/* By position, 0 first; ERR_NOT_FOUND: no more. */
int snapshot_relay_at(const struct snapshot *s, uint32_t at, struct relay *out);
/* Is the address in one of its ranges? ERR_NOT_FOUND: no. A binary search. */
int snapshot_relay_from(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out);
int snapshot_relay_to(const struct snapshot *s, const struct relay *relay,
	const struct netaddr *address, struct address_range *out);
/* The ranges by position, sorted, merged. ERR_NOT_FOUND: no more. */
int snapshot_relay_range(const struct snapshot *s, const struct relay *relay, bool to, uint32_t at,
	struct address_range *out);
/* The accept table: remote hosts and users that count as local. ERR_NOT_FOUND. */
int snapshot_accept_host(const struct snapshot *s, struct span domain);
int snapshot_accept_user(const struct snapshot *s, struct span address);
/* An alias by its canonical address; *count: how many addresses it means. */
int snapshot_alias(const struct snapshot *s, struct span address, uint32_t *index, uint32_t *count);
/* One of them, canonical. ERR_NOT_FOUND: no more. */
int snapshot_alias_target(const struct snapshot *s, uint32_t index, uint32_t at, struct span *out);
uint32_t snapshot_priority_count(const struct snapshot *s);
int snapshot_priority(const struct snapshot *s, uint32_t at, struct priority_rule *out);

#endif
