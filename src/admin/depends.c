/*
 * Before something is taken away: how many messages in the queue go by it? Delivery counts them, a
 * step at a time; then the request is begun again, and finds the number here.
 */
#include "admin/core.h"

#include "base/err.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>

#define DEPENDS_STEPS 1000 /* questions: of a million messages */
#define DEPENDS_BYTES 8192 /* of one */

struct depends {
	uint32_t steps;
	uint64_t messages;
	bool known, whole; /* delivery answered; to the end of the queue */
	bool counted;
	char after[TEXT_ID_LENGTH + 1];
	struct plan_depends of;
};

void depends_forget(struct door *door)
{
	if (!door->depends)
		return;
	plan_depends_done(&door->depends->of);
	free(door->depends);
	door->depends = NULL;
}

static void count(struct door *door);

static void counted(struct door *door)
{
	door->depends->counted = true;
	dispatch(door);
}

static void heard(struct door *door, struct span answer)
{
	struct depends *d = door->depends;
	json_error_t error;
	json_t *json = json_loadb(answer.n ? answer.p : "", answer.n, 0, &error);
	const json_t *messages = json_object_get(json, "messages");
	const char *after = json_string_value(json_object_get(json, "after"));

	d->known = json_is_integer(messages) && json_integer_value(messages) >= 0;
	if (d->known)
		d->messages += (uint64_t)json_integer_value(messages);
	d->whole = !after;
	if (after)
		snprintf(d->after, sizeof(d->after), "%s", after);
	json_decref(json);
	if (d->known && !d->whole && d->steps < DEPENDS_STEPS)
		count(door);
	else
		counted(door);
}

static void count(struct door *door)
{
	struct depends *d = door->depends;
	struct json_write json;
	struct buf request;

	d->steps++;
	buf_init(&request, DEPENDS_BYTES);
	json_write_init(&json, &request);
	json_open_object(&json, NULL);
	json_put_str(&json, "op", "count");
	json_put_string(&json, "filter", buf_span(&d->of.filter));
	if (d->after[0])
		json_put_str(&json, "after", d->after);
	json_close_object(&json);
	if (buf_ok(&request))
		door_ask(door, buf_span(&request), heard);
	else
		door_refuse(door, err_text(ERR_NOMEM));
	buf_done(&request);
}

bool depends_first(struct door *door, const struct plan *plan)
{
	struct depends *d = door->depends;
	struct plan_depends of;

	plan_depends(plan, &of);
	bool asks = of.filter.n > 0;
	/* Somebody may have changed the directory meanwhile: then it is another question. */
	if (asks && d && d->counted && span_equal(buf_span(&of.filter), buf_span(&d->of.filter)))
		asks = false;
	if (!asks) {
		if (!of.filter.n)
			depends_forget(door);
		plan_depends_done(&of);
		return false;
	}
	depends_forget(door);
	door->depends = calloc(1, sizeof(*door->depends));
	if (!door->depends || !buf_ok(&of.filter) || !buf_ok(&of.names)) {
		plan_depends_done(&of);
		free(door->depends);
		door->depends = NULL;
		door_refuse(door, err_text(ERR_NOMEM));
		return true;
	}
	door->depends->of = of;
	count(door);
	return true;
}

bool depends_add_words(const struct door *door, struct buf *out)
{
	const struct depends *d = door->depends;

	if (!d || (d->known && d->whole && !d->messages))
		return false;
	if (!d->known)
		buf_add_str(out, "how many messages in the queue go by ");
	else
		buf_printf(out, "%s%llu message%s in the queue %s by ", d->whole ? "" : "at least ",
			(unsigned long long)d->messages, d->messages == 1 ? "" : "s",
			d->messages == 1 ? "goes" : "go");
	buf_add_span(out, buf_span(&d->of.names));
	if (d->of.more)
		buf_printf(out, " (and %u more, whose mail was not counted)", d->of.more);
	if (!d->known) {
		buf_add_str(out, " is not known: delivery does not answer");
		return true;
	}
	buf_printf(out, "; without %s, %s may bounce at once: see posternctl queue list '",
		d->of.shown == 1 ? "it" : "them", d->messages == 1 ? "it" : "they");
	buf_add_span(out, buf_span(&d->of.filter));
	buf_add_char(out, '\'');
	return true;
}
