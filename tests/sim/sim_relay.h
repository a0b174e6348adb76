/*
 * Who may relay, as SPEC section 2 has it: a table of the settings that the operator gives to
 * listeners, and what each lets pass. It shares no code with route/, and knows which generation of
 * the directory had which setting.
 */
#ifndef SIM_RELAY_H
#define SIM_RELAY_H

#include "sim_ledger.h"

/* The listeners of world_config, in its order. */
enum sim_door {
	DOOR_MX,
	DOOR_SUBMISSION, /* TLS from the first byte; knows clients' certificates */
	DOOR_PROXIED,	 /* believes RELAY_PROXY and RELAY_XCLIENT */
	DOOR_OPEN,	 /* may be an open relay */
	DOORS
};

#define RELAY_PROXY    200 /* 198.51.100.200 */
#define RELAY_XCLIENT  201
#define RELAY_ACCOUNTS 4  /* box0@c.example … */
#define RELAY_USERS    40 /* s0@branch.example … are in accept.users */

/* A client, as the gateway ought to see it. */
struct sim_who {
	enum sim_door door;
	uint8_t last; /* 198.51.100.last */
	bool loopback, withheld;
	int account; /* that logged in; -1: none */
	bool told;   /* … says somebody by XCLIENT */
	/* By a password: between these generations. */
	uint64_t login_from, login_to;
	bool certificate; /* one that the listener's client-ca knows */
};

enum sim_may { MAY_NOT = 1, MAY = 2, MAY_BOTH = MAY_NOT | MAY };

struct sim_relay;

struct sim_relay *sim_relay_new(struct sim *sim);

/* The directory's next change is one of these; settings are put into `out`, as for
 * machine_directory.
 */
#define RELAY_SETTINGS 4
const char *sim_relay_choose(struct sim_relay *relay, const char *out[RELAY_SETTINGS]);
/* … and was made in this generation. */
void sim_relay_chosen(struct sim_relay *relay, uint64_t generation);
/* box1@c.example is closed, or open again. */
bool sim_relay_close_account(struct sim_relay *relay);
void sim_relay_closed(struct sim_relay *relay, uint64_t generation, bool closed);

/* In the generations from … to: */
/* May he send mail to a domain that is not served here? */
enum sim_may sim_relay_may(const struct sim_relay *relay, uint64_t from, uint64_t to,
	const struct sim_who *who, const char *sender, const char *domain);
/* May he, who logged in, send as this one? */
enum sim_may sim_relay_may_send(const struct sim_relay *relay, uint64_t from, uint64_t to,
	const struct sim_who *who, const char *sender);

#endif
