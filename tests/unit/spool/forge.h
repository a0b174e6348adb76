/*
 * What a worker that was taken over writes: logs with right checksums and wrong contents, planted
 * on the simulated disk. Nothing here asks whether a thing makes sense.
 */
#ifndef TEST_FORGE_H
#define TEST_FORGE_H

#include "base/buf.h"
#include "sim_disk.h"
#include "spool/format.h"

struct forge {
	struct sim_disk *disk;
	char path[FORMAT_PATH];
	uint8_t owner;
	uint32_t serial;
	uint32_t sequence;
	uint64_t at; /* where the next batch goes */
	struct buf records, bodies;
	uint32_t count;
};

/* The file, with its header page. */
void forge_begin(struct forge *forge, struct sim_disk *disk, uint8_t owner, uint32_t serial);
void forge_end(struct forge *forge);

/* An honest message, the only one in its batch; its body lies in it. Returns its id. */
uint64_t forge_message(struct forge *forge, uint32_t place, const char *sender, uint32_t body);
/* A record with this fixed part, whatever it says; of an envelope of `body_bytes`. */
void forge_record(struct forge *forge, uint64_t id, const struct format_message *message);
/* Any bytes where records are. */
void forge_raw(struct forge *forge, struct span bytes);
/* The head of a record that claims to be so long, and has no right checksum. */
void forge_head(char head[FORMAT_RECORD], uint64_t id, uint32_t sequence, uint32_t length);

/* The batch is written; its header claims `length` bytes, 0: as many as it has. */
void forge_batch(struct forge *forge, uint64_t length);
/* Where the first body of the batch will lie when no record comes any more. */
uint64_t forge_bodies_at(const struct forge *forge);

#endif
