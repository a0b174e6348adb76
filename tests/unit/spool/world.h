/*
 * A small world around the spool for tests: writers and a store on a disk in memory, clients that
 * hand messages in, a queue that keeps states and finishes messages, and a ledger of what was
 * promised to whom. world_check() says whether the promises hold.
 */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include "fake_io.h"
#include "sim_disk.h"
#include "spool/spool.h"

#define WORLD_WRITERS  3
#define WORLD_MESSAGES 4096
#define WORLD_SEGMENT  (160u << 10)
#define WORLD_INLINE   (64u << 10)
#define WORLD_WALL     1800000000000ll
#define WORLD_TRIES    50   /* at loading from a disk that cannot be read */
#define WORLD_STOP_MS  2000 /* an end in good order takes no longer */

enum fate {
	FATE_NONE,    /* no such message */
	FATE_OPEN,    /* on its way in, or committed and not answered */
	FATE_TAKEN,   /* answered 0: must be there until done */
	FATE_REFUSED, /* answered with an error: must never be seen */
	FATE_DOUBT,   /* ERR_CLOSED, or a crash before the answer: may be there, whole */
};

struct world;

struct ticket {
	struct world *world;
	enum fate fate;
	uint32_t number;
	uint32_t length; /* of its body */
	uint8_t owner;
	struct spool_draft *draft; /* not committed yet */
	uint32_t sent;
	bool wants_room;
	uint64_t id;
	bool is_dsn;
	uint32_t about; /* a DSN: made together with that message's end */
	bool known;	/* the store has given it to the queue in this life */
	bool done_asked, done_durable;
	uint64_t done_mark;
	uint32_t dsn;			     /* its DSN's number */
	uint32_t state_asked, state_durable; /* numbers of its states; 0: none */
	uint64_t state_mark;
	bool damaged; /* reported */
};

struct world {
	struct fake_io io;
	struct sim_disk *disk;
	struct spool_writer *writers[WORLD_WRITERS];
	struct spool_store *store;
	struct prng prng;
	struct ticket tickets[WORLD_MESSAGES];
	uint32_t count;
	uint64_t durable_mark;
	uint64_t damage_reports;
	bool damage_expected;
	bool dead; /* answers are heard by nobody any more */
	bool deaf; /* notices of this writer do not reach the store */
	uint8_t deaf_to;
	bool mute;  /* how far writers are is not known when the store starts */
	bool rough; /* the disk fails now and then: notices may not be readable at once */
	uint64_t segment_bytes, memory_bytes, sync_ms;
	int64_t wall_shift; /* of the next life's clock */
	uint32_t lives;
	bool quiet;	   /* faults are expected: not a word about them */
	const char *fault; /* the first broken promise */
	uint32_t fault_number;
	uint64_t seed;
	enum spool_health health[WORLD_WRITERS], store_health;
	uint32_t health_calls;
	uint32_t load_tries;			 /* at the last start, that found a failing disk */
	void (*after_step)(struct world *world); /* of loading */
	bool hostile;	    /* somebody writes messages that no client sent … */
	uint32_t strangers; /* … so many of which came to the queue … */
	uint64_t stranger;  /* … this one last */
	uint64_t checked;   /* the body that the store has checked last */
	void (*between_tries)(struct world *world);
	void (*after_notice)(struct world *world);
};

void world_init(struct world *world, uint64_t seed);
void world_done(struct world *world);

/* Starts writers and store, and loads; false where the disk fails. */
bool world_up(struct world *world, uint32_t writers);
/* Takes all down without another word to the disk. */
void world_down(struct world *world);
/* All ends in good order: messages under way are answered, and every log's end is on record. */
void world_stop(struct world *world);
/* One writer dies and another takes its place. */
void world_replace_writer(struct world *world, uint32_t at);

/* The store ends, as a process does, and a new one starts beside the writers. */
bool world_new_store(struct world *world);

/* A client begins; world_feed() sends a part of the body and commits at the end. */
struct ticket *world_client(struct world *world, uint8_t owner, uint32_t length);
void world_feed(struct world *world, struct ticket *ticket, uint32_t most);
/* All of it at once. */
struct ticket *world_send(struct world *world, uint8_t owner, uint32_t length);
void world_abort(struct ticket *ticket);

void world_state(struct ticket *ticket);
/* Done, with a DSN in the same turn where asked. */
void world_finish(struct ticket *ticket, bool dsn);

/* Every promise, as far as the running store can tell. */
void world_check(struct world *world);
/* Compares a message's body with what was sent. */
void world_check_body(struct world *world, struct ticket *ticket);
/* Runs spool_verify(); no damage may be found. */
void world_check_verify(struct world *world);
void world_blame(struct world *world, uint32_t number, const char *what);

uint32_t world_live(const struct world *world);

#endif
