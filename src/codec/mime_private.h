/*
 * The inside of the conversion, shared by its files: mime_downgrade.c cuts the input into lines,
 * mime_machine.c follows the structure of the message, mime_plan.c keeps what the first pass found.
 */
#ifndef CODEC_MIME_PRIVATE_H
#define CODEC_MIME_PRIVATE_H

#include "codec/mime_downgrade.h"
#include "codec/mime_encode.h"
#include "codec/mime_field.h"

/* What is done to an entity: found by the scan, obeyed by the feed. */
enum mime_action {
	KEEP,
	RELABEL, /* its Content-Transfer-Encoding says more than is true of it now */
	TO_QP,
	TO_BASE64,
};

enum mime_place { IN_HEADER, IN_LEAF, IN_BETWEEN }; /* preambles and epilogues */

/* Facts about a leaf's bytes. */
enum mime_fact { FACT_8BIT = 1, FACT_NUL = 2, FACT_BARE = 4, FACT_LONG = 8 };

/* A field that is being gathered, and what was seen before it. */
enum mime_field { FIELD_OTHER, FIELD_TYPE, FIELD_ENCODING, FIELD_VERSION };

struct mime_level {
	bool sealed; /* it, or one around it */
	bool digest;
	uint16_t boundary_n;
	char boundary[MIME_BOUNDARY];
};

struct mime_entity {
	uint32_t index;
	bool message; /* the header section of a message, not of a part */
	bool default_message;
	bool type_seen, encoding_seen, version_seen;
	bool type_bad;
	enum mime_encoding encoding;
	struct mime_type type;
	uint8_t facts;
	enum mime_action action; /* second pass */
};

struct mime_downgrade {
	enum mime_target target;
	enum mime_reason reason; /* the first one */
	bool needed;
	bool second;	 /* the second pass has begun */
	struct buf *out; /* NULL: first pass */

	uint8_t *plan; /* enum mime_action by entity */
	uint32_t entities, room;

	uint32_t depth;
	struct mime_level levels[MIME_DEPTH];
	struct mime_entity entity;
	enum mime_place place;
	struct mime_encode encode;
	bool line_end_held; /* of the leaf: whether it is content depends on the next line */

	enum mime_field field;
	struct buf value; /* of the field, when it matters */

	bool line_begun; /* a first part of this line was handled */
	uint64_t line_length;
	size_t line_n;
	char line[MIME_LINE];
};

/* ---- mime_plan.c */
void mime_give_up(struct mime_downgrade *d, enum mime_reason reason);
void mime_plan_set(struct mime_downgrade *d, uint32_t index, enum mime_action action);
void mime_plan_grow(struct mime_downgrade *d, uint32_t index);
void mime_plan_leaf(struct mime_downgrade *d);
bool mime_sealed(const struct mime_downgrade *d);
uint8_t mime_bad_facts(const struct mime_downgrade *d);
bool mime_label_too_wide(const struct mime_downgrade *d);

/* ---- mime_machine.c */
void mime_machine_start(struct mime_downgrade *d);
/* A line, or as much of it as fits into MIME_LINE. `last`: it ends with CRLF; `whole`: this is all
 * of the line. */
void mime_machine_piece(struct mime_downgrade *d, struct span piece, bool last, bool whole);
void mime_machine_end(struct mime_downgrade *d);

#endif
