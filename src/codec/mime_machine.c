#include "base/check.h"
#include "codec/mime_private.h"

#define LONG_LINE 998 /* RFC 5322 section 2.1.1, without CRLF */

/* ---- output, in the second pass
 * --------------------------------------------------------------- */

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
	const struct mime_entity *e = &d->entity;

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

/* ---- entities
 * --------------------------------------------------------------------------------- */

static void entity_begin(struct mime_downgrade *d, bool message)
{
	uint32_t index = d->entities++;
	bool digest = !message && d->depth && d->levels[d->depth - 1].digest;

	mime_plan_grow(d, index);
	d->entity = (struct mime_entity){
		.index = index,
		.message = message,
		.default_message = digest,
		.action = d->out && index < d->room ? (enum mime_action)d->plan[index] : KEEP,
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
		mime_plan_leaf(d);
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
	bool around = mime_sealed(d);
	struct mime_level *level = &d->levels[d->depth++];

	level->sealed = around || type->kind == MIME_SEALED;
	level->digest = type->kind == MIME_DIGEST;
	level->boundary_n = type->boundary_n;
	memcpy(level->boundary, type->boundary, type->boundary_n);
	d->place = IN_BETWEEN;
}

static void field_end(struct mime_downgrade *d);

static void header_end(struct mime_downgrade *d)
{
	struct mime_entity *e = &d->entity;

	field_end(d);
	emit_fields(d);
	d->place = IN_LEAF;
	if (e->encoding == ENCODING_OTHER || e->type_bad)
		return; /* encoded as a whole, or not understood: not looked into */
	bool multipart = e->type.kind == MIME_MULTIPART || e->type.kind == MIME_DIGEST ||
			 e->type.kind == MIME_SEALED;
	if (!(multipart && d->depth < MIME_DEPTH) && e->type.kind != MIME_MESSAGE)
		return;
	if (mime_label_too_wide(d) && !mime_sealed(d))
		mime_plan_set(d, e->index, RELABEL);
	if (multipart)
		multipart_begin(d);
}

/* ---- header sections
 * -------------------------------------------------------------------------- */

static void field_end(struct mime_downgrade *d)
{
	struct mime_entity *e = &d->entity;
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
		enum mime_field field;
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
	if (!d->out && (facts & mime_bad_facts(d) & (uint8_t)~FACT_LONG))
		mime_give_up(d, MIME_HEADER);
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

/* ---- bodies
 * ----------------------------------------------------------------------------------- */

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
	uint8_t bad = facts & mime_bad_facts(d) & (uint8_t)~FACT_LONG;

	if (!bad) {
		emit(d, piece);
		return;
	}
	if (mime_sealed(d) && !d->out)
		mime_give_up(d, MIME_SIGNED);
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
		const struct mime_level *level = &d->levels[i];
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

/* ---- lines
 * ------------------------------------------------------------------------------------ */

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

void mime_machine_piece(struct mime_downgrade *d, struct span piece, bool last, bool whole)
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

void mime_machine_end(struct mime_downgrade *d)
{
	if (d->place == IN_LEAF)
		leaf_end(d, false);
	else if (d->place == IN_HEADER)
		field_end(d);
}

void mime_machine_start(struct mime_downgrade *d)
{
	d->entities = 0;
	d->depth = 0;
	d->line_begun = false;
	d->line_length = 0;
	buf_clear(&d->value);
	entity_begin(d, true);
}
