#include "base/check.h"
#include "base/err.h"
#include "codec/mime_private.h"

#include <stdlib.h>

/* ---- lines
 * ------------------------------------------------------------------------------------ */

/* The line buffer is full without a line end in it. A CR at its end may be half of one. */
static void flush_full(struct mime_downgrade *d)
{
	bool cr = d->line[d->line_n - 1] == '\r';

	mime_machine_piece(d, span_of(d->line, d->line_n - cr), false, false);
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
			mime_machine_piece(d, span_of(d->line, d->line_n), true, true);
			d->line_n = 0;
		} else if (d->line_n == sizeof(d->line)) {
			flush_full(d);
		}
	}
}

static void finish(struct mime_downgrade *d)
{
	if (d->line_n)
		mime_machine_piece(d, span_of(d->line, d->line_n), false, true);
	d->line_n = 0;
	mime_machine_end(d);
}

static void restart(struct mime_downgrade *d)
{
	d->line_n = 0;
	mime_machine_start(d);
}

/* ---- the face
 * --------------------------------------------------------------------------------- */

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
