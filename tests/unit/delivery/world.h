/*
 * A small world around a delivery core: simulated time, the real queue and store on disks in
 * memory, a DNS of a table, and next hops that the test scripts. Everything that the core says to
 * people (events) and to next hops (messages) is written down.
 */
#ifndef TEST_DELIVERY_WORLD_H
#define TEST_DELIVERY_WORLD_H

#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "base/prng.h"
#include "base/text.h"
#include "delivery/delivery.h"
#include "directory/objects.h"
#include "io/fetch.h"
#include "io/tls.h"
#include "sim_disk.h"
#include "spool/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define WORLD_WALL    1800000000000ll
#define WORLD_LOCAL   "192.0.2.250"
#define WORLD_EVENTS  512
#define WORLD_TAKEN   256
#define WORLD_ANSWERS 64 /* records of one name */
#define WORLD_LINE    1024
#define SECOND	      1000ull
#define MINUTE	      (60 * SECOND)
#define HOUR	      (60 * MINUTE)

struct world;

/* One connection, seen from the next hop. */
struct hop {
	struct io_conn base; /* first */
	struct list node;
	struct world *world;
	const struct io_conn_handler *handler;
	void *owner;
	char ip[64];
	bool answered, closed_by_us, told, paused;
	bool handshakes; /* secured() is due */
	struct tls_info tls;
	bool secured;
	bool body;
	struct buf in, out;
	char from[300], rcpts[2000];
	uint32_t accepted, mails;
};

struct seen {
	enum event_kind kind;
	uint64_t id, dsn, parent;
	char rcpts[1000], text[400], destination[300], action[40], tls[100];
	uint16_t code;
	uint32_t attempt;
	int64_t next_try_ms;
};

struct taken {
	char ip[64], from[300], rcpts[2000];
	bool secured, verified; /* the link it came over */
	char *body;
};

struct dns_row {
	const char *name;
	enum dns_type type;
	uint16_t preference;
	const char *value;
};

struct question;
struct fetching;

struct world {
	struct io io; /* first */
	struct prng prng;
	struct io_job *jobs[IO_LANES];
	bool jobs_wait; /* helper threads are busy elsewhere */
	struct list hops;
	struct sim_disk *spool, *boxes;
	struct dns dns;
	const struct dns_row *rows;
	struct question *questions;
	bool dns_waits, dns_fails;
	bool dnssec;		  /* all that it says is vouched for … */
	const char *dns_unsigned; /* … but names that end so */
	enum dns_dnssec validated;
	uint64_t dns_servers, believed; /* which they are; in a former life: 0: never */
	const char *dns_broken;		/* but nothing is known of this name */
	uint64_t dns_asked;
	struct config *config;
	struct netaddr listener;
	struct route_config route;
	struct objects *objects;
	uint64_t generation;
	struct delivery *d;
	struct spool_writer *writer;
	struct event_sink sink;
	struct log log;
	uint32_t warnings;
	char warned[WORLD_LINE]; /* the last one, with its fields */
	int ca_error;		 /* of every tls-ca file */
	unsigned ca_reads;	 /* … so often */
	size_t ca_bytes;	 /* so much more than a word is in it */
	struct seen events[WORLD_EVENTS];
	size_t event_count;
	struct taken taken[WORLD_TAKEN];
	size_t taken_count;
	/* next hops */
	char dead[4][64];	/* addresses that refuse connections */
	const char *only_alive; /* all but this one do; NULL: no matter */
	int refuse_connect;	/* io_connect() itself fails with this */
	uint64_t connects;
	const char *ehlo;
	/* Writes a reply ("DROP": hangs up, "SILENT": says nothing), or leaves it empty for the
	 * ordinary one. `line` is "CONNECT", a command, or "." for the end of a body. */
	void (*script)(struct world *w, struct hop *hop, const char *line, char *reply);
	int scratch; /* of the script */
	/* What comes of a handshake; NULL: it succeeds. */
	enum tls_failure (*handshake)(
		struct world *w, struct hop *hop, const struct tls_client *want);
	struct fetch fetch;
	struct fetching *fetching;
	/* Who answers by HTTPS; NULL: nobody does. */
	void (*web)(struct world *w, const struct fetch_query *query, struct fetch_answer *answer);
	char *posted; /* the last body that was sent to him */
	size_t posted_bytes;
	uint32_t fetches;
	bool web_waits; /* he takes his time */
	/* What clients hand in says that its header is longer than the whole: no reader takes that.
	 */
	bool bad_envelopes;
	uint32_t flags; /* of their envelopes */
	enum envelope_return ret;
	const char *user; /* who logged in to send them; NULL: nobody */
	bool stuffed;	  /* their bodies are stored dot-stuffed, as the test gives them */
	bool stopped;
	bool full;
	char *answer; /* to delivery_hosts(), the last one */
	uint32_t answered;
};

/* The objects of world_objects, a started core. */
extern const char world_objects[];
void world_init(struct world *w);
/* The same with other objects. */
void world_init_with(struct world *w, const char *objects);
void world_done(struct world *w);
/* The core dies, with all that its journal does not have yet, and begins anew. */
void world_crash(struct world *w);
/* The two halves of it: the directory may change between them. */
void world_kill(struct world *w);
void world_begin(struct world *w);
/* The lowest bit of the first of these bytes in the writer's file is changed. */
void world_flip(struct world *w, const char *text);
void world_settle(struct world *w);
void world_pass(struct world *w, uint64_t ms);

/* A new directory; false: it was refused. */
bool world_apply(struct world *w, const char *objects);
void world_pause(struct world *w, enum pause_scope scope, const char *name, bool on);

/* Hands a message in, from a client; `rcpts` are separated by blanks, each may end in
 * "/success", "/never", "/delay", "/failure". Returns its id. */
uint64_t world_send(struct world *w, const char *from, const char *rcpts, const char *body);

/* The nth (0: first) event of a kind, or NULL. */
const struct seen *world_event(const struct world *w, enum event_kind kind, size_t nth);
size_t world_events(const struct world *w, enum event_kind kind);
/* Messages taken whose recipients have that text in them. */
size_t world_taken(const struct world *w, const char *rcpt);
/* A control request; the reply is to be freed. */
char *world_control(struct world *w, const char *request);
uint64_t world_queued(const struct world *w);
/* Every invariant holds. */
void world_sound(struct world *w);
/* Connections that are open. */
size_t world_open(const struct world *w);

#endif
