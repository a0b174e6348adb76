#include "codec/mime_downgrade.h"

#include "base/check.h"
#include "base/err.h"
#include "codec/mime_encode.h"
#include "codec/mime_field.h"

#include <stdlib.h>

#define LONG_LINE  998 /* RFC 5322 section 2.1.1, without CRLF */
#define PLAN_FIRST 16  /* entities in the first allocation */

/* What is done to an entity: found by the scan, obeyed by the feed. */
enum action {
	KEEP,
	RELABEL, /* its Content-Transfer-Encoding says more than is true of it now */
	TO_QP,
	TO_BASE64,
};

enum place { IN_HEADER, IN_LEAF, IN_BETWEEN }; /* preambles and epilogues */

/* Facts about a leaf's bytes. */
enum fact { FACT_8BIT = 1, FACT_NUL = 2, FACT_BARE = 4, FACT_LONG = 8 };

/* A field that is being gathered, and what was seen before it. */
enum field { FIELD_OTHER, FIELD_TYPE, FIELD_ENCODING, FIELD_VERSION };

struct level {
	bool sealed; /* it, or one around it */
	bool digest;
	uint16_t boundary_n;
	char boundary[MIME_BOUNDARY];
};

struct entity {
	uint32_t index;
	bool message; /* the header section of a message, not of a part */
	bool default_message;
	bool type_seen, encoding_seen, version_seen;
	bool type_bad;
	enum mime_encoding encoding;
	struct mime_type type;
	uint8_t facts;
	enum action action; /* second pass */
};

struct mime_downgrade {
	enum mime_target target;
	enum mime_reason reason; /* the first one */
	bool needed;
	bool second;	 /* the second pass has begun */
	struct buf *out; /* NULL: first pass */

	uint8_t *plan; /* enum action by entity */
	uint32_t entities, room;

	uint32_t depth;
	struct level levels[MIME_DEPTH];
	struct entity entity;
	enum place place;
	struct mime_encode encode;
	bool line_end_held; /* of the leaf: whether it is content depends on the next line */

	enum field field;
	struct buf value; /* of the field, when it matters */

	bool line_begun; /* a first part of this line was handled */
	uint64_t line_length;
	size_t line_n;
	char line[MIME_LINE];
};

/* ---- the plan -------------------------------------------------------------------------------- */

static void give_up(struct mime_downgrade *d, enum mime_reason reason)
{
	if (d->reason == MIME_FINE)
		d->reason = reason;
}

static void plan_set(struct mime_downgrade *d, uint32_t index, enum action action)
{
	if (d->out || index >= d->room)
		return;
	d->plan[index] = (uint8_t)action;
	if (action != KEEP)
		d->needed = true;
}

/* Room for the plan of one more entity. */
static void plan_grow(struct mime_downgrade *d, uint32_t index)
{
	bool within = index < MIME_ENTITIES;

	if (within && index < d->room)
		return;
	uint32_t room = d->room ? d->room * 2 : PLAN_FIRST;
	uint8_t *plan = within ? realloc(d->plan, room) : NULL;
	if (!plan) {
		give_up(d, MIME_COMPLEX);
		return;
	}
	memset(plan + d->room, KEEP, room - d->room);
	d->plan = plan;
	d->room = room;
}

static bool sealed(const struct mime_downgrade *d)
{
	return d->depth && d->levels[d->depth - 1].sealed;
}

/* What the target does not carry. */
static uint8_t bad_facts(const struct mime_downgrade *d)
{
	uint8_t bad = FACT_NUL | FACT_BARE | FACT_LONG;

	return d->target == MIME_TO_7BIT ? bad | FACT_8BIT : bad;
}

static bool label_too_wide(const struct mime_downgrade *d)
{
	enum mime_encoding e = d->entity.encoding;

	return e == ENCODING_BINARY || (e == ENCODING_8BIT && d->target == MIME_TO_7BIT);
}

static void plan_leaf(struct mime_downgrade *d)
{
	struct entity *e = &d->entity;
	uint8_t bad = e->facts & bad_facts(d);

	if (!bad) {
		if (label_too_wide(d) && !sealed(d))
			plan_set(d, e->index, RELABEL);
		return;
	}
	if (sealed(d))
		give_up(d, MIME_SIGNED);
	else if (e->type_bad)
		give_up(d, MIME_COMPLEX);
	else if (e->encoding == ENCODING_OTHER || e->type.kind != MIME_LEAF)
		give_up(d, MIME_ENCODED);
	plan_set(d, e->index, bad & (FACT_NUL | FACT_BARE) ? TO_BASE64 : TO_QP);
}

/* ---- output, in the second pass -------------------------------------------------------------- */

static void emit(struct mime_downgrade *d, struct span bytes)
{
	if (d->out)
		buf_add_span(d->out, bytes);
}

static const char *encoding_name(const struct mime_downgrade *d)
{
	switch (d->entity.action) {
	case TO_QP: return "quoted-printable";
	case TO_BASE64: return "base64";
	case KEEP:
	case RELABEL: break;
	}
	return d->target == MIME_TO_7BIT ? "7bit" : "8bit";
}

/* At the end of an entity's header section. */
static void emit_fields(struct mime_downgrade *d)
{
	const struct entity *e = &d->entity;

	if (!d->out || e->action == KEEP)
		return;
	if (e->message && !e->version_seen)
		buf_add_str(d->out, "MIME-Version: 1.0\r\n");
	if (!e->type_seen && !e->default_message && e->action != RELABEL)
		buf_add_str(d->out,
			"Content-Type: text/plain; charset=unknown-8bit\r\n"); /* RFC 1428 */
	buf_add_str(d->out, "Content-Transfer-Encoding: ");
	buf_add_str(d->out, encoding_name(d));
	buf_add_str(d->out, "\r\n");
}

/* ---- entities -------------------------------------------------------------------------------- */

static void entity_begin(struct mime_downgrade *d, bool message)
{
	uint32_t index = d->entities++;
	bool digest = !message && d->depth && d->levels[d->depth - 1].digest;

	plan_grow(d, index);
	d->entity = (struct entity){
		.index = index,
		.message = message,
		.default_message = digest,
		.action = d->out && index < d->room ? (enum action)d->plan[index] : KEEP,
	};
	if (digest)
		d->entity.type.kind = MIME_MESSAGE;
	d->place = IN_HEADER;
	d->field = FIELD_OTHER;
	d->line_end_held = false;
	mime_encode_init(&d->encode);
}

/* `joined`: a delimiter follows; the line end before it is the delimiter's (RFC 2046
 * section 5.1.1). */
static void leaf_end(struct mime_downgrade *d, bool joined)
{
	bool held = d->line_end_held;

	d->line_end_held = false;
	if (!d->out) {
		plan_leaf(d);
		return;
	}
	if (d->entity.action == TO_QP) {
		if (held && !joined)
			mime_qp_line(&d->encode, d->out);
		mime_qp_end(&d->encode, d->out, joined);
		if (held && joined)
			buf_add_str(d->out, "\r\n");
	} else if (d->entity.action == TO_BASE64) {
		if (held && !joined)
			mime_base64_add(&d->encode, d->out, SPAN("\r\n"));
		mime_base64_end(&d->encode, d->out);
	}
}

static void multipart_begin(struct mime_downgrade *d)
{
	const struct mime_type *type = &d->entity.type;
	bool around = sealed(d);
	struct level *level = &d->levels[d->depth++];

	level->sealed = around || type->kind == MIME_SEALED;
	level->digest = type->kind == MIME_DIGEST;
	level->boundary_n = type->boundary_n;
	memcpy(level->boundary, type->boundary, type->boundary_n);
	d->place = IN_BETWEEN;
}

static void field_end(struct mime_downgrade *d);

static void header_end(struct mime_downgrade *d)
{
	struct entity *e = &d->entity;

	field_end(d);
	emit_fields(d);
	d->place = IN_LEAF;
	if (e->encoding == ENCODING_OTHER || e->type_bad)
		return; /* encoded as a whole, or not understood: not looked into */
	bool multipart = e->type.kind == MIME_MULTIPART || e->type.kind == MIME_DIGEST ||
			 e->type.kind == MIME_SEALED;
	if (!(multipart && d->depth < MIME_DEPTH) && e->type.kind != MIME_MESSAGE)
		return;
	if (label_too_wide(d) && !sealed(d))
		plan_set(d, e->index, RELABEL);
	if (multipart)
		multipart_begin(d);
}

/* ---- header sections ------------------------------------------------------------------------- */

static void field_end(struct mime_downgrade *d)
{
	struct entity *e = &d->entity;
	struct span value = buf_span(&d->value);

	if (d->field == FIELD_TYPE && !e->type_seen) {
		e->type_seen = true;
		e->type_bad = !buf_ok(&d->value) || mime_type_parse(value, &e->type);
	} else if (d->field == FIELD_ENCODING && !e->encoding_seen) {
		e->encoding_seen = true;
		e->encoding = buf_ok(&d->value) ? mime_encoding_parse(value) : ENCODING_OTHER;
	} else if (d->field == FIELD_VERSION) {
		e->version_seen = true;
	}
	d->field = FIELD_OTHER;
	buf_clear(&d->value);
}

static void field_begin(struct mime_downgrade *d, struct span line)
{
	static const struct {
		struct span name;
		enum field field;
	} names[] = {
		{{"Content-Type", 12}, FIELD_TYPE},
		{{"Content-Transfer-Encoding", 25}, FIELD_ENCODING},
		{{"MIME-Version", 12}, FIELD_VERSION},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct span value = mime_field_value(line, names[i].name);
		if (!value.p)
			continue;
		d->field = names[i].field;
		buf_add_span(&d->value, value);
	}
}

static void header_piece(
	struct mime_downgrade *d, struct span piece, uint8_t facts, bool first, bool last)
{
	if (!d->out && (facts & bad_facts(d) & (uint8_t)~FACT_LONG))
		give_up(d, MIME_HEADER);
	if (first && last && piece.n == 2) { /* the empty line */
		header_end(d);
		emit(d, piece);
		if (d->place == IN_LEAF && d->entity.type.kind == MIME_MESSAGE &&
			d->entity.encoding != ENCODING_OTHER && !d->entity.type_bad)
			entity_begin(d, true);
		return;
	}
	bool continues = !first || piece.p[0] == ' ' || piece.p[0] == '\t';
	if (!continues) {
		field_end(d);
		field_begin(d, piece);
	} else if (d->field != FIELD_OTHER) {
		buf_add_span(&d->value, piece);
	}
	/* The label that is replaced goes away; the new one comes last. */
	if (d->field != FIELD_ENCODING || d->entity.action == KEEP)
		emit(d, piece);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static void leaf_piece(struct mime_downgrade *d, struct span piece, uint8_t facts, bool last)
{
	struct span content = span_of(piece.p, piece.n - (last ? 2 : 0));
	bool held = d->line_end_held;

	d->entity.facts |= facts;
	d->line_end_held = last;
	if (!d->out)
		return;
	switch (d->entity.action) {
	case KEEP:
	case RELABEL: buf_add_span(d->out, piece); return;
	case TO_QP:
		if (held)
			mime_qp_line(&d->encode, d->out);
		mime_qp_add(&d->encode, d->out, content);
		return;
	case TO_BASE64:
		if (held)
			mime_base64_add(&d->encode, d->out, SPAN("\r\n"));
		mime_base64_add(&d->encode, d->out, content);
		return;
	}
}

/* Preambles and epilogues are nobody's content (RFC 2046 section 5.1.1) and have no encoding: bytes
 * that cannot pass become question marks. */
static void between_piece(struct mime_downgrade *d, struct span piece, uint8_t facts, bool last)
{
	uint8_t bad = facts & bad_facts(d) & (uint8_t)~FACT_LONG;

	if (!bad) {
		emit(d, piece);
		return;
	}
	if (sealed(d) && !d->out)
		give_up(d, MIME_SIGNED);
	d->needed = true;
	if (!d->out)
		return;
	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.p[i];
		bool line_end = last && i + 2 >= piece.n;
		bool lost = c == '\0' || c == '\r' || c == '\n' ||
			    ((c & 0x80) && d->target == MIME_TO_7BIT);
		buf_add_char(d->out, lost && !line_end ? '?' : c);
	}
}

/* Its length without blanks at the end. */
static size_t trimmed(struct span in)
{
	while (in.n && (in.p[in.n - 1] == ' ' || in.p[in.n - 1] == '\t'))
		in.n--;
	return in.n;
}

/* The level whose delimiter this line is, or -1; *closing: the last delimiter. */
static int delimiter(const struct mime_downgrade *d, struct span line, bool *closing)
{
	if (line.n < 2 || line.p[0] != '-' || line.p[1] != '-')
		return -1;
	line = span_skip(line, 2);
	if (line.n >= 2 && line.p[line.n - 2] == '\r' && line.p[line.n - 1] == '\n')
		line.n -= 2;
	line = span_of(line.p, trimmed(line)); /* RFC 2046 section 5.1.1: padding of transports */
	for (uint32_t i = d->depth; i-- > 0;) {
		const struct level *level = &d->levels[i];
		struct span rest;

		if (line.n < level->boundary_n ||
			memcmp(line.p, level->boundary, level->boundary_n) != 0)
			continue;
		rest = span_skip(line, level->boundary_n);
		*closing = span_equal(rest, SPAN("--"));
		if (*closing || rest.n == 0)
			return (int)i;
	}
	return -1;
}

static void at_delimiter(struct mime_downgrade *d, struct span line, uint32_t level, bool closing)
{
	if (d->place == IN_LEAF)
		leaf_end(d, true);
	else if (d->place == IN_HEADER)
		field_end(d);
	emit(d, line);
	d->line_end_held = false;
	d->depth = closing ? level : level + 1;
	if (closing)
		d->place = IN_BETWEEN;
	else
		entity_begin(d, false);
}

/* ---- lines ----------------------------------------------------------------------------------- */

static uint8_t facts_of(struct span piece, bool last)
{
	size_t content = piece.n - (last ? 2 : 0);
	uint8_t facts = 0;

	for (size_t i = 0; i < content; i++) {
		char c = piece.p[i];

		if (c & 0x80)
			facts |= FACT_8BIT;
		else if (c == '\0')
			facts |= FACT_NUL;
		else if (c == '\r' || c == '\n')
			facts |= FACT_BARE;
	}
	return facts;
}

/* A line, or as much of it as fits into MIME_LINE. `last`: it ends with CRLF. */
static void on_piece(struct mime_downgrade *d, struct span piece, bool last, bool whole)
{
	bool first = !d->line_begun, closing = false;
	uint8_t facts = facts_of(piece, last);

	d->line_length += piece.n - (last ? 2 : 0);
	if (d->line_length > LONG_LINE)
		facts |= FACT_LONG;
	d->line_begun = !last;
	if (last)
		d->line_length = 0;

	int level = first && whole ? delimiter(d, piece, &closing) : -1;
	if (level >= 0) {
		at_delimiter(d, piece, (uint32_t)level, closing);
		return;
	}
	switch (d->place) {
	case IN_HEADER: header_piece(d, piece, facts, first, last); return;
	case IN_LEAF: leaf_piece(d, piece, facts, last); return;
	case IN_BETWEEN: between_piece(d, piece, facts, last); return;
	}
}

/* The line buffer is full without a line end in it. A CR at its end may be half of one. */
static void flush_full(struct mime_downgrade *d)
{
	bool cr = d->line[d->line_n - 1] == '\r';

	on_piece(d, span_of(d->line, d->line_n - cr), false, false);
	d->line[0] = '\r';
	d->line_n = cr;
}

static void lines(struct mime_downgrade *d, struct span in)
{
	while (in.n && !(d->reason != MIME_FINE && !d->out)) {
		size_t room = sizeof(d->line) - d->line_n;
		size_t n = span_find(span_of(in.p, MIN(in.n, room)), '\n');
		bool found = n < MIN(in.n, room);

		n += found;
		memcpy(d->line + d->line_n, in.p, n);
		d->line_n += n;
		in = span_skip(in, n);
		if (found && d->line_n >= 2 && d->line[d->line_n - 2] == '\r') {
			on_piece(d, span_of(d->line, d->line_n), true, true);
			d->line_n = 0;
		} else if (d->line_n == sizeof(d->line)) {
			flush_full(d);
		}
	}
}

static void finish(struct mime_downgrade *d)
{
	if (d->line_n)
		on_piece(d, span_of(d->line, d->line_n), false, true);
	d->line_n = 0;
	if (d->place == IN_LEAF)
		leaf_end(d, false);
	else if (d->place == IN_HEADER)
		field_end(d);
}

static void restart(struct mime_downgrade *d)
{
	d->entities = 0;
	d->depth = 0;
	d->line_n = 0;
	d->line_begun = false;
	d->line_length = 0;
	buf_clear(&d->value);
	entity_begin(d, true);
}

/* ---- the face -------------------------------------------------------------------------------- */

int mime_downgrade_new(enum mime_target target, struct mime_downgrade **out)
{
	struct mime_downgrade *d = calloc(1, sizeof(*d));

	if (!d)
		return ERR_NOMEM;
	d->target = target;
	buf_init(&d->value, MIME_FIELD);
	restart(d);
	*out = d;
	return 0;
}

void mime_downgrade_free(struct mime_downgrade **downgrade)
{
	struct mime_downgrade *d = *downgrade;

	if (!d)
		return;
	buf_done(&d->value);
	free(d->plan);
	free(d);
	*downgrade = NULL;
}

void mime_downgrade_scan(struct mime_downgrade *d, struct span in)
{
	lines(d, in);
}

int mime_downgrade_scan_end(struct mime_downgrade *d, bool *needed)
{
	finish(d);
	if (d->reason != MIME_FINE)
		return ERR_UNSUPPORTED;
	*needed = d->needed;
	return 0;
}

enum mime_reason mime_downgrade_reason(const struct mime_downgrade *d)
{
	return d->reason;
}

const char *mime_reason_text(enum mime_reason reason)
{
	switch (reason) {
	case MIME_FINE: return "it can";
	case MIME_SIGNED: return "the part in question is signed or encrypted";
	case MIME_HEADER: return "its header holds bytes that are not ASCII";
	case MIME_ENCODED: return "the part in question does not allow another encoding";
	case MIME_COMPLEX: return "its structure cannot be understood";
	}
	return "?";
}

static void second_pass(struct mime_downgrade *d, struct buf *out)
{
	d->out = out;
	if (d->second)
		return;
	d->second = true;
	restart(d);
}

void mime_downgrade_feed(struct mime_downgrade *d, struct span in, struct buf *out)
{
	second_pass(d, out);
	lines(d, in);
}

void mime_downgrade_end(struct mime_downgrade *d, struct buf *out)
{
	second_pass(d, out);
	finish(d);
}
