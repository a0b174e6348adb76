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

#define NOT_KNOWN UINT64_MAX

struct depends {
	uint32_t steps;
	uint32_t which;	   /* is being counted; of.shown: all together, which comes first */
	uint64_t messages; /* all together */
	uint64_t count;	   /* of what is being counted, so far */
	uint64_t each[PLAN_DEPENDS_MOST];
	bool known, whole; /* delivery answered; to the end of the queue */
	bool apart;	   /* each is known, too */
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

static void begin(struct door *door);
static void count(struct door *door);

static void counted(struct door *door)
{
	door->depends->counted = true;
	dispatch(door);
}

/* One of them was counted, or all together; NOT_KNOWN: delivery does not say how many. */
static void go_on(struct door *door, uint64_t messages)
{
	struct depends *d = door->depends;
	bool all = d->which == d->of.shown;

	if (all)
		d->messages = messages == NOT_KNOWN ? 0 : messages;
	else
		d->each[d->which] = messages;
	d->which = all ? 0 : d->which + 1;
	/* Which of several it is: only that is to be named. */
	bool asks = d->known && d->whole && d->messages && d->of.shown > 1 &&
		    messages != NOT_KNOWN && d->which < d->of.shown;

	/* The queue may be another one by now. */
	for (uint32_t i = 0; !asks && !all && i < d->of.shown; i++)
		d->apart = d->apart || d->each[i];
	if (messages == NOT_KNOWN)
		d->apart = false;
	if (asks)
		begin(door);
	else
		counted(door);
}

static void heard(struct door *door, struct span answer)
{
	struct depends *d = door->depends;
	bool all = d->which == d->of.shown;
	json_error_t error;
	json_t *json = json_loadb(answer.n ? answer.p : "", answer.n, 0, &error);
	const json_t *messages = json_object_get(json, "messages");
	const char *after = json_string_value(json_object_get(json, "after"));
	bool known = json_is_integer(messages) && json_integer_value(messages) >= 0;
	bool whole = !after;

	if (known)
		d->count += (uint64_t)json_integer_value(messages);
	if (after)
		snprintf(d->after, sizeof(d->after), "%s", after);
	json_decref(json);
	if (all) {
		d->known = known;
		d->whole = whole;
	}
	if (known && !whole && d->steps < DEPENDS_STEPS)
		count(door);
	else
		go_on(door, known && (whole || all) ? d->count : NOT_KNOWN);
}

static void count(struct door *door)
{
	struct depends *d = door->depends;
	struct span filter = d->which < d->of.shown ? plan_depends_filter(&d->of, d->which)
						    : buf_span(&d->of.filter);
	struct json_write json;
	struct buf request;

	d->steps++;
	buf_init(&request, DEPENDS_BYTES);
	json_write_init(&json, &request);
	json_open_object(&json, NULL);
	json_put_str(&json, "op", "count");
	json_put_string(&json, "filter", filter);
	if (d->after[0])
		json_put_str(&json, "after", d->after);
	json_close_object(&json);
	if (buf_ok(&request))
		door_ask(door, buf_span(&request), heard);
	else
		door_refuse(door, err_text(ERR_NOMEM));
	buf_done(&request);
}

static void begin(struct door *door)
{
	door->depends->count = 0;
	door->depends->after[0] = '\0';
	count(door);
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
	door->depends->which = of.shown;
	begin(door);
	return true;
}

/* Is it one that mail goes by, as far as that is known? */
static bool is_named(const struct depends *d, uint32_t which)
{
	return !d->apart || d->each[which];
}

static uint32_t add_names(const struct depends *d, struct buf *out)
{
	uint32_t named = 0, all = 0;

	for (uint32_t i = 0; i < d->of.shown; i++)
		all += is_named(d, i);
	for (uint32_t i = 0; i < d->of.shown; i++) {
		if (!is_named(d, i))
			continue;
		buf_add_str(out, named++ ? ", " : "");
		buf_add_span(out, plan_depends_name(&d->of, i));
		if (d->apart && all > 1)
			buf_printf(out, " (%llu)", (unsigned long long)d->each[i]);
	}
	if (d->of.more)
		buf_printf(out, " (and %u more, whose mail was not counted)", d->of.more);
	return named;
}

static void add_filter(const struct depends *d, struct buf *out)
{
	const char *before = "";

	for (uint32_t i = 0; i < d->of.shown; i++) {
		if (!is_named(d, i))
			continue;
		buf_add_str(out, before);
		buf_add_span(out, plan_depends_filter(&d->of, i));
		before = " or ";
	}
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
	uint32_t named = add_names(d, out);
	if (!d->known) {
		buf_add_str(out, " is not known: delivery does not answer");
		return true;
	}
	buf_printf(out, "; without %s, %s may bounce at once: see posternctl queue list '",
		named == 1 ? "it" : "them", d->messages == 1 ? "it" : "they");
	add_filter(d, out);
	buf_add_char(out, '\'');
	return true;
}
