/*
 * A small world around a queue: routes by domain, a clock, and a record of what the queue told.
 * Domains of transports whose name begins with "mx" are looked up (one destination each); all
 * others are fixed servers. Addresses that begin with "vip" are prioritised.
 */
#ifndef TESTS_UNIT_QUEUE_WORLD_H
#define TESTS_UNIT_QUEUE_WORLD_H

#include "base/check.h"
#include "base/err.h"
#include "queue/look.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WORLD_START  1800000000000ll /* wall clock at the beginning */
#define WORLD_RCPTS  16
#define WORLD_ROUTES 32
#define SECOND	     1000ll
#define MINUTE	     (60 * SECOND)
#define HOUR	     (60 * MINUTE)

struct world_end {
	uint64_t id;
	enum queue_end_why why;
	char transport[32];
	uint32_t rcpts[WORLD_RCPTS], rcpt_count, attempts;
	uint16_t code; /* of the verdict; 0: none */
	int64_t at, next_try, give_up;
};

struct world {
	struct queue *q;
	int64_t now;
	struct {
		char domain[32], transport[32];
	} routes[WORLD_ROUTES];
	size_t route_count;
	struct world_end *ends, *warnings;
	size_t end_count, warning_count;
	uint64_t *finished, *changed, *reroutes;
	size_t finished_count, changed_count, reroute_count;
	uint64_t gone;	  /* destinations forgotten */
	bool null_sender; /* of the messages that come in from now on */
};

void world_init(struct world *w, uint32_t connections);
void world_done(struct world *w);
/* Tells another queue, e.g. one after a restart, everything about routes. */
void world_open(struct world *w, uint32_t connections);
void world_route(struct world *w, const char *domain, const char *transport);

/* A transport with one repeated delay of an hour, 5 retries, 10 connections. */
struct transport world_transport(const char *name);
void world_set_transport(struct world *w, const struct transport *transport);

/* Recipients separated by blanks. */
struct world_mail {
	struct envelope envelope;
	struct envelope_rcpt rcpts[WORLD_RCPTS];
};
void world_mail(const struct world *w, struct world_mail *mail, uint64_t id, const char *rcpts);
int world_add(struct world *w, uint64_t id, const char *rcpts);
int world_add_state(struct world *w, uint64_t id, const char *rcpts, struct span state);

/* Runs what is due, takes the next. */
int world_next(struct world *w, struct queue_start *out);
/* One must be there, and be this message. */
struct queue_start world_expect(struct world *w, uint64_t id);
void world_expect_none(struct world *w);

struct verdict world_verdict(uint16_t code, const char *text);
void world_result(
	struct world *w, const struct queue_start *start, enum verdict_kind kind, uint16_t code);
/* "452 out of space" to DATA: not about this mail. */
void world_throttled(struct world *w, const struct queue_start *start);
void world_ok(struct world *w, const struct queue_start *start);
void world_failed(struct world *w, const struct queue_start *start);

/* Lets time pass, with all the calls that the queue asks for on the way. Starts nothing. */
void world_pass(struct world *w, int64_t ms);
void world_check(struct world *w);
/* Of the message's first unit. */
struct queue_why world_why(struct world *w, uint64_t id);
struct queue_unit_info world_unit(struct world *w, uint64_t id);
uint64_t world_count(struct world *w, enum queue_state state);
void world_pause(struct world *w, enum queue_scope scope, const char *name, bool on);

#endif
