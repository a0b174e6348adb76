/* From a draft to the next generation: merge, check, compare. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"

#include <stdlib.h>
#include <string.h>

#define PAUSE_TRANSPORTS SPAN("transport/")
#define PAUSE_DOMAINS	 SPAN("domain/")

/* ---- the draft ------------------------------------------------------------------------------ */

void draft_init(struct draft *draft, const struct objects *now, const struct plan_options *options,
	struct span file, struct buf *problems)
{
	*draft = (struct draft){
		.now = now, .options = options, .problems = {.out = problems, .file = file}};
	draft->secrets_end = &draft->secrets;
	arena_init(&draft->arena, DRAFT_ARENA);
}

void draft_done(struct draft *draft)
{
	for (size_t i = 0; i < draft->count; i++)
		object_release(&draft->changes[i].after);
	free(draft->changes);
	arena_reset(&draft->arena);
}

static int draft_add(struct draft *draft, const struct draft_change *change)
{
	if (draft->count == draft->room) {
		size_t room = draft->room ? draft->room * 2 : 16;
		struct draft_change *changes = realloc(draft->changes, room * sizeof(*changes));
		if (!changes)
			return ERR_NOMEM;
		draft->changes = changes;
		draft->room = room;
	}
	draft->changes[draft->count] = *change;
	draft->changes[draft->count].order = (uint32_t)draft->count;
	draft->count++;
	return 0;
}

/* Settings that nobody set need no object. */
static bool is_nothing(enum object_kind kind, const void *fields)
{
	return object_is_single(kind) && schema_all_default(object_schema(kind), fields);
}

int draft_put_packed(struct draft *draft, enum object_kind kind, struct span name,
	const void *fields, const struct node *node)
{
	const struct object *before = objects_find(draft->now, kind, name);
	int64_t now_ms = draft->options->now_ms;
	struct draft_change change = {.kind = kind, .node = node};

	if (!before && is_nothing(kind, fields))
		return 0;
	int err = object_new(
		kind, name, fields, before ? before->created_ms : now_ms, now_ms, &change.after);
	if (err < 0)
		return err;
	change.name = change.after->name;
	err = draft_add(draft, &change);
	if (err < 0)
		object_release(&change.after);
	return err;
}

int draft_break(struct draft *draft, enum object_kind kind, struct span name)
{
	struct draft_broken *broken = arena_alloc(&draft->arena, sizeof(*broken));

	if (!broken)
		return ERR_NOMEM;
	*broken = (struct draft_broken){draft->broken, kind, arena_copy(&draft->arena, name)};
	if (!broken->name.p)
		return ERR_NOMEM;
	draft->broken = broken;
	return 0;
}

int draft_remove(struct draft *draft, enum object_kind kind, struct span name)
{
	struct draft_change change = {.kind = kind, .name = arena_copy(&draft->arena, name)};

	return change.name.p ? draft_add(draft, &change) : ERR_NOMEM;
}

static int compare_changes(const void *a, const void *b)
{
	const struct draft_change *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	int order = object_name_compare(x->name, y->name);
	return order ? order : (x->order > y->order) - (x->order < y->order);
}

/* Two spellings of one domain or address are one object: the later one is refused. Rules of the
 * prioritised queue are a set, so one that is there twice does no harm. */
static int drop_duplicates(struct draft *draft)
{
	struct draft_change *changes = draft->changes;
	size_t kept = 0;
	int err = 0;

	if (draft->count == 0)
		return 0;
	CHECK(changes != NULL);
	for (size_t i = 0; i < draft->count; i++) {
		struct draft_change *change = &changes[i];
		struct draft_change *before = kept ? &changes[kept - 1] : NULL;
		if (!before || before->kind != change->kind ||
			!span_equal(before->name, change->name)) {
			changes[kept++] = *change;
			continue;
		}
		if (change->kind != OBJECT_PRIORITY) {
			struct place at = change->node ? change->node->key_at : (struct place){0};
			struct path path = {NULL, span_str(object_schema(change->kind)->plural)};
			problem_begin(&draft->problems, at, &path);
			problem_quote(&draft->problems, change->name);
			problem_say(&draft->problems, " is here twice, in two spellings; keep one");
			problem_end(&draft->problems);
			err = ERR_SYNTAX;
		}
		object_release(&change->after);
	}
	draft->count = kept;
	return err;
}

/* ---- the plan ------------------------------------------------------------------------------- */

static int plan_add(
	struct plan *plan, enum object_kind kind, struct object *before, struct object *after)
{
	if (plan->count == plan->room) {
		size_t room = plan->room ? plan->room * 2 : 16;
		struct change *changes = realloc(plan->changes, room * sizeof(*changes));
		if (!changes)
			return ERR_NOMEM;
		plan->changes = changes;
		plan->room = room;
	}
	plan->changes[plan->count++] = (struct change){
		kind, before ? object_hold(before) : NULL, after ? object_hold(after) : NULL};
	return 0;
}

/* One step of the merge: what is there, what is changed, or both, of one name. */
static int merge_one(struct plan *plan, struct object_set *to, struct object *old,
	const struct draft_change *change)
{
	struct object *keep = change ? change->after : old;

	if (change && old && keep && object_same(old, keep))
		keep = old;
	if (keep)
		to->items[to->count++] = object_hold(keep);
	return keep == old ? 0 : plan_add(plan, change->kind, old, keep);
}

static int merge(struct plan *plan, const struct object_set *from, struct object_set *to,
	const struct draft_change *changes, size_t count)
{
	size_t i = 0, k = 0;

	int err = object_set_room(to, from->count + count);
	if (err < 0)
		return err;
	while (i < from->count || k < count) {
		int order = i == from->count ? 1
			    : k == count
				    ? -1
				    : object_name_compare(from->items[i]->name, changes[k].name);
		struct object *old = order <= 0 ? from->items[i++] : NULL;
		err = merge_one(plan, to, old, order >= 0 ? &changes[k++] : NULL);
		if (err < 0)
			return err;
	}
	return 0;
}

/* An alias of a domain has that one's pause. */
static bool takes_pause(const struct object *object)
{
	return object && !(object->kind == OBJECT_DOMAIN && object_domain(object)->alias_of.n);
}

/* A pause ends with the transport or domain that it stops. */
static int drop_pauses(struct plan *plan)
{
	struct object_set *pauses = &plan->next->sets[OBJECT_PAUSE];
	size_t kept = 0;

	for (size_t i = 0; i < pauses->count; i++) {
		struct object *pause = pauses->items[i];
		enum object_kind kind = OBJECT_TRANSPORT;
		struct span name = span_skip(pause->name, PAUSE_TRANSPORTS.n);
		bool all = span_equal(pause->name, SPAN("all"));
		if (span_starts_nocase(pause->name, PAUSE_DOMAINS)) {
			kind = OBJECT_DOMAIN;
			name = span_skip(pause->name, PAUSE_DOMAINS.n);
		}
		if (all || takes_pause(objects_find(plan->next, kind, name))) {
			pauses->items[kept++] = pause;
			continue;
		}
		int err = plan_add(plan, OBJECT_PAUSE, pause, NULL);
		if (err < 0) {
			memmove(&pauses->items[kept], &pauses->items[i],
				(pauses->count - i) * sizeof(struct object *));
			pauses->count -= i - kept;
			return err;
		}
		object_release(&pause);
	}
	pauses->count = kept;
	return 0;
}

static int build(struct draft *draft, struct plan *plan)
{
	size_t at = 0;

	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		size_t end = at;
		while (end < draft->count && draft->changes[end].kind == (enum object_kind)kind)
			end++;
		int err = merge(plan, &draft->now->sets[kind], &plan->next->sets[kind],
			draft->changes ? draft->changes + at : NULL, end - at);
		if (err < 0)
			return err;
		at = end;
	}
	int err = objects_validate(plan->next, draft, &draft->problems);
	if (err == 0)
		err = drop_pauses(plan);
	return err ? err : plan_build_secrets(plan, draft);
}

int draft_plan(struct draft *draft, struct plan **out)
{
	if (draft->count)
		qsort(draft->changes, draft->count, sizeof(draft->changes[0]), compare_changes);
	int err = drop_duplicates(draft);
	if (err < 0)
		return err;
	struct plan *plan = calloc(1, sizeof(*plan));
	if (!plan)
		return ERR_NOMEM;
	plan->base = draft->now;
	err = objects_new(&plan->next);
	if (err == 0) {
		objects_number(plan->next, draft->now->generation + 1);
		err = build(draft, plan);
	}
	if (err < 0) {
		plan_free(&plan);
		return err;
	}
	*out = plan;
	return 0;
}

size_t plan_count(const struct plan *plan)
{
	return plan->count;
}

const struct change *plan_change(const struct plan *plan, size_t at)
{
	CHECK(at < plan->count);
	return &plan->changes[at];
}

struct objects *plan_take(struct plan **plan)
{
	struct objects *next = (*plan)->next;

	(*plan)->next = NULL;
	plan_free(plan);
	return next;
}

void plan_free(struct plan **plan)
{
	if (!*plan)
		return;
	for (size_t i = 0; i < (*plan)->count; i++) {
		/* The references are the plan's own; const is for its readers. */
		struct object *before = (struct object *)(*plan)->changes[i].before;
		struct object *after = (struct object *)(*plan)->changes[i].after;
		object_release(&before);
		object_release(&after);
	}
	free((*plan)->changes);
	plan_free_secrets(*plan);
	objects_free(&(*plan)->next);
	free(*plan);
	*plan = NULL;
}
