/*
 * A small file beside the journal (`d/<name>`) for what should outlive a restart, and costs no mail
 * where it does not: written whole or not at all, with a checksum, by a job, and again later where
 * the disk does not take it.
 *
 *   file = checksum (8 bytes, XXH3 of the rest) | what encode() made
 *
 * Owner: whoever embeds it. Its calls are made on the loop.
 */
#ifndef DELIVERY_KEPT_H
#define DELIVERY_KEPT_H

#include "base/buf.h"
#include "base/timers.h"

#include <stdbool.h>
#include <stdint.h>

#define KEPT_AGAIN_MS 60000 /* after a write that failed */

struct delivery;
struct kept_job;

struct kept_kind {
	const char *file, *fresh; /* "d/pauses", and the name while it is written */
	size_t most;		  /* bytes */
	/* Grows with each change of what is to be kept. */
	uint64_t (*version)(const void *owner);
	void (*encode)(const void *owner, struct buf *out);
	/* ERR_CORRUPT. */
	int (*restore)(void *owner, struct span bytes);
	const char *unreadable, *unwritable; /* log lines: what it means */
};

struct kept {
	struct delivery *delivery;
	const struct kept_kind *kind;
	void *owner;
	bool loaded;
	bool told;	      /* that it cannot be written */
	uint64_t version;     /* that is on disk */
	struct kept_job *job; /* writes another one; NULL: none */
	struct timer again;
};

void kept_init(
	struct kept *kept, struct delivery *delivery, const struct kept_kind *kind, void *owner);
/* Reads it, and calls restore(); nothing is written before. Blocks a little: at the start only. */
void kept_load(struct kept *kept);
/* It may have changed: it is written where it has. */
void kept_keep(struct kept *kept);
/* The same within `ms`, together with what changes until then. */
void kept_soon(struct kept *kept, uint64_t ms);
bool kept_busy(const struct kept *kept);
/* Nothing is written any more; a job under way ends by itself. */
void kept_done(struct kept *kept);

#endif
