/* From objects to the bytes of a snapshot: what the files of the encoder share. */
#ifndef DIRECTORY_SNAPSHOT_ENCODER_H
#define DIRECTORY_SNAPSHOT_ENCODER_H

#include "directory/objects_inner.h"
#include "directory/snapshot_build.h"
#include "directory/snapshot_format.h"

/* Records that others refer to: they are gathered while those are written. */
enum encoder_gathered {
	GATHER_PAUSED_DOMAINS,
	GATHER_ALIAS_TARGETS,
	GATHER_PINS,
	GATHER_RANGES,
	GATHERED
};

struct encoder {
	const struct objects *objects;
	struct buf *out;
	size_t start; /* where the snapshot begins in out */
	struct buf texts;
	struct buf gathered[GATHERED];
	uint32_t domains;
	struct snapshot_header header;
};

/* All that does not fit is found at the end: nothing here fails. */
struct snapshot_text encoder_text(struct encoder *e, struct span text);
/* Into the hash of the routes: of a transport or a domain, or of something else. */
void encoder_hash(struct encoder *e, struct span text);
void encoder_hash_as(struct encoder *e, enum object_kind kind, struct span text);
/* A section of so many records begins here. */
void encoder_begin(struct encoder *e, enum snapshot_section section, size_t count);
/* A section with a record for each object of a kind. */
void encoder_records(struct encoder *e, enum snapshot_section section, enum object_kind kind,
	void (*add)(struct encoder *e, const struct object *object));

/* A list of pins, and where they are. */
void encoder_pins(struct encoder *e, struct span list, uint32_t *first, uint32_t *count);
/* Aliases, relay policies, the accept table. */
void encoder_who(struct encoder *e);

#endif
