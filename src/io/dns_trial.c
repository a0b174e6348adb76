/*
 * Can what these servers say be validated? libunbound itself is asked for the name servers of the
 * root: "secure" says that signatures come through, that our keys are the right ones, and that the
 * clock is. "Bogus" says that one of that is not so; then, validating would turn all names into
 * forgeries and keep all mail here. No answer, as by servers that know private zones only, says
 * nothing, and for them the root's keys are no use either.
 *
 * The first questions wait for the outcome, but not long. Later on it is tried again with some
 * question, at intervals; where it was "yes", only after something was bogus, and "no" is believed
 * only when it was said several times: who can forge answers for a moment must not turn validation
 * off. (Who can for long can: that is what an anchor for the root in the start file is against.)
 * What it was in a former life counts as such a "yes", and for a day against silence, too: or
 * whoever keeps one answer from us while we start had turned it off.
 */
#include "io/dns_context.h"

#define HOLD_MS	      2000 /* questions wait so long at most; a quarter of their time at most */
#define AGAIN_MS      (10ull * 60 * 1000)
#define AGAIN_SOON_MS (2ull * 60 * 1000) /* where nothing was said */
#define AGAINST	      3			 /* times "no", AGAIN_MS apart, outweigh a "yes" */
#define TYPE_NS	      2

/* The administrator says that they are fit. */
static bool is_trusted(const struct context *context)
{
	return context->all->own_root && !context->key.n;
}

static uint64_t now(const struct context *context)
{
	return context->all->loop->io.now_ns;
}

static struct span servers_of(const struct context *context)
{
	if (context->key.n)
		return context->key;
	return context->all->given ? SPAN("those of the start file") : SPAN("the system's");
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void tell(const struct context *context, enum dns_dnssec said, struct span why)
{
	struct log *log = context->all->log;
	/* A transport's own servers may well have private zones only. */
	enum log_level level = context->key.n ? LOG_INFO : LOG_WARN;

	switch (said) {
	case DNSSEC_YES:
		log_write(log, LOG_INFO, "DNSSEC: what these DNS servers say is validated",
			LOG_SPAN("servers", servers_of(context)));
		return;
	case DNSSEC_NO:
		log_write(log, level,
			"DNSSEC: what these DNS servers say cannot be validated and is believed as "
			"it is; no link is protected by DANE: ask servers that pass signatures on, "
			"and see that the clock is right",
			LOG_SPAN("servers", servers_of(context)), LOG_SPAN("why", why));
		return;
	case DNSSEC_UNKNOWN:
		log_write(log, level,
			"DNSSEC: these DNS servers do not answer for the root, so what they say is "
			"not validated, and no link is protected by DANE",
			LOG_SPAN("servers", servers_of(context)));
		return;
	}
}

/* No more questions wait for it. */
static void over(struct context *context, uint64_t again_ms)
{
	struct trial *trial = &context->trial;

	engine_retire(&trial->engine);
	trial->next_ns = now(context) + again_ms * NS_PER_MS;
	trial->doubted = false;
	io_timer_stop(&context->all->loop->io, &trial->timer);
	if (!context->open)
		probe_stop(context);
	context_touch(context);
}

static void said_yes(struct context *context)
{
	struct trial *trial = &context->trial;

	trial->against = 0;
	if (trial->said != DNSSEC_YES || trial->believed)
		tell(context, DNSSEC_YES, SPAN_NONE);
	trial->believed = false;
	if (trial->said != DNSSEC_YES) {
		trial->said = DNSSEC_YES;
		engine_retire(&context->engine);
		context->engine = trial->engine;
		trial->engine = NULL;
	}
	over(context, AGAIN_MS);
}

static void said_no(struct context *context, struct span why)
{
	struct trial *trial = &context->trial;
	bool was = trial->said == DNSSEC_YES;

	if (was && ++trial->against < AGAINST) {
		over(context, AGAIN_MS);
		trial->doubted = true; /* whatever else is asked meanwhile */
		return;
	}
	if (was)
		engine_retire(&context->engine);
	trial->believed = false;
	if (trial->said != DNSSEC_NO)
		tell(context, DNSSEC_NO, why);
	trial->said = DNSSEC_NO;
	trial->against = 0;
	over(context, AGAIN_MS);
}

static void believed_and_silent(struct context *context)
{
	struct trial *trial = &context->trial;

	if (now(context) < trial->until_ns) {
		if (!trial->next_ns)
			log_write(context->all->log, LOG_WARN,
				"DNSSEC: these DNS servers do not answer for the root now; what "
				"they say is validated all the same, as it could be before the "
				"restart, and mail waits where that fails",
				LOG_SPAN("servers", servers_of(context)));
		over(context, AGAIN_SOON_MS);
		trial->doubted = true;
		return;
	}
	trial->believed = false;
	trial->said = DNSSEC_UNKNOWN;
	engine_retire(&context->engine);
	tell(context, DNSSEC_UNKNOWN, SPAN_NONE);
	over(context, AGAIN_SOON_MS);
}

static void said_nothing(struct context *context)
{
	if (context->trial.believed) {
		believed_and_silent(context);
		return;
	}
	if (context->trial.said == DNSSEC_UNKNOWN && !context->trial.next_ns)
		tell(context, DNSSEC_UNKNOWN, SPAN_NONE);
	over(context, AGAIN_SOON_MS);
}

static void on_answer(void *arg, int err, struct ub_result *result)
{
	struct context *context = arg;

	context->probe.answered_ns = now(context);
	context->trial.engine->open--;
	if (err == 0 && result->secure && result->havedata)
		said_yes(context);
	else if (err == 0 && result->bogus)
		said_no(context, result->why_bogus ? span_str(result->why_bogus) : SPAN_NONE);
	else
		said_nothing(context);
	if (result)
		ub_resolve_free(result);
}

/* ---- when ------------------------------------------------------------------------------------ */

static void held_long_enough(struct timer *timer)
{
	context_touch(CONTAINER_OF(timer, struct context, trial.timer));
}

void trial_init(struct context *context)
{
	context->trial.timer.fire = held_long_enough;
}

static bool is_due(const struct context *context)
{
	const struct trial *trial = &context->trial;

	return !trial->engine && now(context) >= trial->next_ns &&
	       (trial->said != DNSSEC_YES || trial->doubted);
}

static int begin(struct context *context)
{
	struct trial *trial = &context->trial;
	struct io *io = &context->all->loop->io;
	uint64_t hold_ms = MIN(context->all->timeout_ms / 4, (uint64_t)HOLD_MS);
	int err = engine_new(context, true, &trial->engine);

	if (err)
		return err;
	trial->engine->open++;
	if (engine_ask(trial->engine, ".", TYPE_NS, context, on_answer, &trial->async_id)) {
		trial->engine->open--;
		over(context, AGAIN_SOON_MS);
		return 0;
	}
	/* Without a timer they do not wait. */
	if (!context->engine && trial->said != DNSSEC_YES)
		(void)io_timer_after(io, &trial->timer, hold_ms);
	return 0;
}

int trial_turn(struct context *context)
{
	int err = 0;

	if (is_trusted(context)) {
		context->trial.said = DNSSEC_YES;
		return context->engine ? 0 : engine_new(context, true, &context->engine);
	}
	if (is_due(context))
		err = begin(context);
	if (err || context->engine || trial_holds(context))
		return err;
	return engine_new(context, context->trial.said == DNSSEC_YES, &context->engine);
}

bool trial_holds(const struct context *context)
{
	return timer_armed(&context->trial.timer);
}

void trial_doubt(struct context *context)
{
	context->trial.doubted = true;
}

void trial_stop(struct context *context)
{
	struct trial *trial = &context->trial;

	io_timer_stop(&context->all->loop->io, &trial->timer);
	if (!trial->engine)
		return;
	ub_cancel(trial->engine->ub, trial->async_id);
	trial->engine->open--;
	engine_retire(&trial->engine);
}

enum dns_dnssec dns_unbound_dnssec(const struct dns *dns)
{
	return CONTAINER_OF(dns, const struct unbound, base)->system->trial.said;
}

void dns_unbound_believe(struct dns *dns, uint64_t servers)
{
	struct context *context = unbound_of(dns)->system;
	struct trial *trial = &context->trial;

	if (trial->said != DNSSEC_UNKNOWN || servers != dns_unbound_servers(dns))
		return;
	trial->said = DNSSEC_YES;
	trial->believed = true;
	trial->doubted = true; /* tried with the first question */
	trial->until_ns = now(context) + DNS_BELIEVED_MS * NS_PER_MS;
	engine_retire(&context->engine);
	io_timer_stop(&context->all->loop->io, &trial->timer);
	context_touch(context);
}
