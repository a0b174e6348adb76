/* Secrets beside a draft and a plan: what objects hold in their place, and what becomes of them. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"

#include <stdlib.h>
#include <string.h>

/* ---- the draft ------------------------------------------------------------------------------ */

static int refuse(struct draft *draft, enum object_kind kind, struct span name,
	const struct node *node, const char *text)
{
	const struct node *verifiers = node_get(node, "verifiers");
	struct path plural = {NULL, span_str(object_schema(kind)->plural)}, path = {&plural, name};

	problem_line(&draft->problems, verifiers ? verifiers->at : (struct place){0},
		&(struct path){&path, SPAN("verifiers")}, text);
	return ERR_SYNTAX;
}

int draft_secret(struct draft *draft, enum object_kind kind, struct span name, struct span value,
	const struct node *node)
{
	struct draft_secret *secret = arena_alloc(&draft->arena, sizeof(*secret));
	struct password_verifiers verifiers;

	if (!secret)
		return ERR_NOMEM;
	if (value.n > SECRET_BYTES)
		return ERR_LIMIT;
	if (kind == OBJECT_ACCOUNT && value.n && verifiers_parse(value, &verifiers) < 0)
		return refuse(draft, kind, name, node,
			"are not as posternctl export --secrets writes them; a password is set by "
			"posternctl user password");
	*secret = (struct draft_secret){.kind = kind,
		.name = arena_copy(&draft->arena, name),
		.value = arena_copy(&draft->arena, value)};
	if (!secret->name.p || !secret->value.p)
		return ERR_NOMEM;
	*draft->secrets_end = secret;
	draft->secrets_end = &secret->next;
	return 0;
}

/* Is the present secret one for the object as it is to be? That of a transport belongs to its
 * user. */
static bool stays(const struct object *before, const void *fields)
{
	if (before->kind == OBJECT_ACCOUNT)
		return object_account(before)->verifiers.n > 0;
	const struct object_transport *old = object_transport(before), *new = fields;
	return old->sasl_secret.n > 0 && new->sasl_user.n > 0 &&
	       span_equal(old->sasl_user, new->sasl_user);
}

int draft_put(struct draft *draft, enum object_kind kind, struct span name, void *fields,
	const struct node *node)
{
	const struct object *before = objects_find(draft->now, kind, name);
	struct span *secret = object_secret(kind, fields);
	int err = 0;

	if (secret && secret->n) {
		err = draft_secret(draft, kind, name, *secret, node);
		*secret = SCHEMA_SECRET_SET;
	} else if (secret && before && stays(before, fields)) {
		*secret = SCHEMA_SECRET_SET;
	}
	return err ? err : draft_put_packed(draft, kind, name, fields, node);
}

/* ---- the plan ------------------------------------------------------------------------------- */

static int copy(struct span from, struct span *out)
{
	char *to = malloc(from.n + 1);

	if (!to)
		return ERR_NOMEM;
	if (from.n)
		memcpy(to, from.p, from.n);
	to[from.n] = '\0';
	*out = span_of(to, from.n);
	return 0;
}

static void wipe(struct span *text)
{
	char *at = (char *)text->p; /* a copy of ours */

	if (at)
		explicit_bzero(at, text->n);
	free(at);
	*text = SPAN_NONE;
}

static int add(
	struct plan *plan, enum object_kind kind, struct span name, struct span value, bool told)
{
	struct secret_change change = {.kind = object_secret_kind(kind), .told = told};

	if (plan->secret_count == plan->secret_room) {
		size_t room = plan->secret_room ? plan->secret_room * 2 : 16;
		struct secret_change *secrets = realloc(plan->secrets, room * sizeof(*secrets));
		if (!secrets)
			return ERR_NOMEM;
		plan->secrets = secrets;
		plan->secret_room = room;
	}
	int err = copy(name, &change.name);
	if (err == 0)
		err = copy(value, &change.value);
	if (err < 0) {
		wipe(&change.name);
		return err;
	}
	plan->secrets[plan->secret_count++] = change;
	return 0;
}

static bool has_secret(const struct object *object)
{
	union object_fields fields;

	if (!object)
		return false;
	memcpy(&fields, object->fields, object_schema(object->kind)->size);
	return object_secret(object->kind, &fields)->n > 0;
}

/* Who has one no longer. */
static int add_removed(struct plan *plan)
{
	size_t count = plan->count;
	int err = 0;

	for (size_t i = 0; i < count && err == 0; i++) {
		const struct change *change = &plan->changes[i];
		if (change->kind != OBJECT_TRANSPORT && change->kind != OBJECT_ACCOUNT)
			continue;
		if (has_secret(change->before) && !has_secret(change->after))
			err = add(plan, change->kind, change->before->name, SPAN_NONE, true);
	}
	return err;
}

static bool is_present(const struct draft *draft, const struct draft_secret *secret)
{
	const struct secret_source *present = draft->options->present;

	return present &&
	       span_equal(secret->value, present->find(present->context,
						 object_secret_kind(secret->kind), secret->name));
}

/* Those that are given. That one came where there was none, its object's change says. */
static int add_given(struct plan *plan, const struct draft *draft)
{
	int err = 0;

	for (const struct draft_secret *s = draft->secrets; s && err == 0; s = s->next) {
		bool had = has_secret(objects_find(draft->now, s->kind, s->name));
		if (s->value.n && !(had && is_present(draft, s)))
			err = add(plan, s->kind, s->name, s->value, !had);
	}
	return err;
}

/* ---- which logins count --------------------------------------------------------------------- */

/* Of an account that stays what it is but for its secret, there is an object that the generation
 * before has, too. */
static int set_since(struct plan *plan, struct span name, uint64_t since)
{
	struct object_set *set = &plan->next->sets[OBJECT_ACCOUNT];
	bool found;
	size_t at = object_set_place(set, name, &found);

	if (!found)
		return 0;
	struct object *old = set->items[at];
	if (old == objects_find(plan->base, OBJECT_ACCOUNT, name)) {
		int err = object_new(old->kind, old->name, old->fields, old->created_ms,
			old->changed_ms, &set->items[at]);
		if (err < 0) {
			set->items[at] = old;
			return err;
		}
		object_release(&old);
	}
	set->items[at]->logins_since = since;
	return 0;
}

/* Logins go on where an account was changed, unless by that; not where it is made. */
static int keep_logins(struct plan *plan)
{
	int err = 0;

	for (size_t i = 0; i < plan->count && err == 0; i++) {
		const struct object *before = plan->changes[i].before,
				    *after = plan->changes[i].after;
		if (plan->changes[i].kind != OBJECT_ACCOUNT || !before || !after)
			continue;
		bool same = object_account(before)->disabled == object_account(after)->disabled;
		err = set_since(plan, after->name,
			same || !before->logins_since ? before->logins_since
						      : plan->next->generation);
	}
	return err;
}

static int end_logins(struct plan *plan)
{
	int err = keep_logins(plan);

	for (size_t i = 0; i < plan->secret_count && err == 0; i++) {
		const struct secret_change *change = &plan->secrets[i];
		if (change->kind == SECRET_ACCOUNT)
			err = set_since(
				plan, change->name, change->value.n ? plan->next->generation : 0);
	}
	return err;
}

int plan_build_secrets(struct plan *plan, const struct draft *draft)
{
	int err = add_removed(plan);

	if (err == 0)
		err = add_given(plan, draft);
	return err ? err : end_logins(plan);
}

void plan_free_secrets(struct plan *plan)
{
	for (size_t i = 0; i < plan->secret_count; i++) {
		wipe(&plan->secrets[i].name);
		wipe(&plan->secrets[i].value);
	}
	free(plan->secrets);
}

size_t plan_secret_count(const struct plan *plan)
{
	return plan->secret_count;
}

const struct secret_change *plan_secret(const struct plan *plan, size_t at)
{
	CHECK(at < plan->secret_count);
	return &plan->secrets[at];
}
