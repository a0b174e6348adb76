/*
 * Promises that are broken on purpose inside the gateway: calls between its folders that the linker
 * leads through here (meson.build lists them). Without a mutation they do what they always do.
 */
#include "sim_wrap.h"

#include "queue/look.h"
#include "spool/format.h"
#include "spool/spool.h"

static struct {
	enum sim_mutation mutation;
	uint64_t drop_state; /* of that message: the next one is lost */
} wrap;

void sim_wrap_set(enum sim_mutation mutation)
{
	wrap.mutation = mutation;
	sim_wrap_tls_set(mutation);
	sim_wrap_who_set(mutation);
}

int __real_queue_add(
	struct queue *queue, const struct envelope *envelope, struct span state, int64_t now);
int __wrap_queue_add(
	struct queue *queue, const struct envelope *envelope, struct span state, int64_t now);
int __real_queue_set_pause(struct queue *queue, enum queue_scope scope, struct span name,
	const struct pause *pause, int64_t now);
int __wrap_queue_set_pause(struct queue *queue, enum queue_scope scope, struct span name,
	const struct pause *pause, int64_t now);
void __real_queue_unit_partly(
	struct queue *queue, uint32_t unit, const enum verdict_kind *kinds, int64_t now);
void __wrap_queue_unit_partly(
	struct queue *queue, uint32_t unit, const enum verdict_kind *kinds, int64_t now);
int __real_spool_store_add(struct spool_store *store, struct envelope *envelope, struct span body);
int __wrap_spool_store_add(struct spool_store *store, struct envelope *envelope, struct span body);
void __real_format_put_extent(char bytes[FORMAT_EXTENT_BYTES], const struct format_extent *extent);
void __wrap_format_put_extent(char bytes[FORMAT_EXTENT_BYTES], const struct format_extent *extent);
int __real_spool_store_state(struct spool_store *store, uint64_t id, struct span state);
int __wrap_spool_store_state(struct spool_store *store, uint64_t id, struct span state);

/* A hold is not known any more after a restart. */
int __wrap_queue_add(
	struct queue *queue, const struct envelope *envelope, struct span state, int64_t now)
{
	int err = __real_queue_add(queue, envelope, state, now);

	if (!err && state.n && wrap.mutation == MUTATION_FORGET_HOLD)
		(void)queue_release(queue, envelope->id, QUEUE_ALL_UNITS, now);
	return err;
}

/* Clocks go on during a pause: they catch up at its end. */
int __wrap_queue_set_pause(struct queue *queue, enum queue_scope scope, struct span name,
	const struct pause *pause, int64_t now)
{
	static int64_t since_ms;
	int err = __real_queue_set_pause(queue, scope, name, pause, now);

	if (wrap.mutation != MUTATION_COUNT_PAUSE)
		return err;
	if (pause->since_ms) {
		since_ms = since_ms ? since_ms : now;
		return err;
	}
	for (int64_t at = since_ms; since_ms && at < now; at += QUEUE_GAP_MOST_MS)
		queue_run(queue, now + at - since_ms);
	since_ms = 0;
	return err;
}

/* What the first transaction of several decided is not recorded. */
void __wrap_queue_unit_partly(
	struct queue *queue, uint32_t unit, const enum verdict_kind *kinds, int64_t now)
{
	struct queue_unit_info info;

	if (wrap.mutation == MUTATION_DROP_PARTLY && !queue_unit_info(queue, unit, now, &info))
		wrap.drop_state = info.id;
	__real_queue_unit_partly(queue, unit, kinds, now);
}

int __wrap_spool_store_state(struct spool_store *store, uint64_t id, struct span state)
{
	if (wrap.drop_state == id && id) {
		wrap.drop_state = 0;
		return 0;
	}
	return __real_spool_store_state(store, id, state);
}

/* A notification never gets into the record of what caused it. */
int __wrap_spool_store_add(struct spool_store *store, struct envelope *envelope, struct span body)
{
	if (wrap.mutation == MUTATION_DROP_DSN && envelope->flags & ENVELOPE_DSN)
		return 0;
	return __real_spool_store_add(store, envelope, body);
}

/* How far the logs were durable is not on record. */
void __wrap_format_put_extent(char bytes[FORMAT_EXTENT_BYTES], const struct format_extent *extent)
{
	static const struct format_extent nothing = {0};
	bool broken = wrap.mutation == MUTATION_NO_EXTENT || wrap.mutation == MUTATION_NO_PROOF;

	__real_format_put_extent(bytes, broken && !extent->final ? &nothing : extent);
}
