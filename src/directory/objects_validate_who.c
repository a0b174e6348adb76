/* What must hold of accounts and aliases. */
#include "base/check.h"
#include "base/err.h"
#include "directory/names.h"
#include "directory/objects_validate.h"

#include <stdlib.h>
#include <string.h>

#define ADDRESS_BYTES (NAME_LOCAL_BYTES + 1 + NAME_DOMAIN_BYTES)
#define POSTMASTER    SPAN("postmaster@") /* has a rule of its own, with or without an account */

static struct span domain_of(struct span address)
{
	size_t at = address.n;

	while (at && address.p[at - 1] != '@')
		at--;
	return span_skip(address, at);
}

/* Accounts and aliases are in domains that are served under the name that is meant. */
static void check_domain(struct validation *v, const struct object *object)
{
	struct span name = domain_of(object->name);
	const struct object *domain = objects_find(v->objects, OBJECT_DOMAIN, name);

	if (domain ? !object_domain(domain)->alias_of.n
		   : validate_is_broken(v, OBJECT_DOMAIN, name))
		return;
	validate_begin(v, object, NULL);
	problem_say(v->problems, "the domain ");
	problem_quote(v->problems, name);
	if (domain) {
		problem_say(v->problems, " is another name of ");
		problem_quote(v->problems, object_domain(domain)->alias_of);
		buf_printf(v->problems->out, ", where its %s belongs; it is known by both then",
			object_kind_name(object->kind));
		validate_end(v, "");
	} else if (validate_change(v, object->kind, object->name)) {
		validate_end(v, " is not served here; add it first");
	} else {
		const char *kind = object_kind_name(object->kind);
		buf_printf(v->problems->out, " is still needed for this %s; remove the %s first",
			kind, kind);
		validate_end(v, "");
	}
}

void validate_account(struct validation *v, const struct object *object)
{
	check_domain(v, object);
}

/* ---- aliases -------------------------------------------------------------------------------- */

/* The address as accounts and aliases here are called; empty: its domain is not served here. */
static struct span local_name(const struct validation *v, struct span address,
	char text[ADDRESS_BYTES], const struct object **domain)
{
	struct span name = domain_of(address);
	size_t local = address.n - name.n;

	*domain = objects_find(v->objects, OBJECT_DOMAIN, name);
	if (*domain && object_domain(*domain)->alias_of.n) {
		name = object_domain(*domain)->alias_of;
		*domain = objects_find(v->objects, OBJECT_DOMAIN, name);
	}
	if (!*domain || local + name.n > ADDRESS_BYTES)
		return SPAN_NONE;
	for (size_t i = 0; i < local; i++)
		text[i] = ascii_lower(address.p[i]);
	memcpy(text + local, name.p, name.n);
	return span_of(text, local + name.n);
}

static bool is_known(const struct validation *v, enum object_kind kind, struct span name)
{
	return objects_find(v->objects, kind, name) || validate_is_broken(v, kind, name);
}

static bool was(const struct validation *v, enum object_kind kind, struct span name)
{
	return v->now && objects_find(v->now, kind, name);
}

/* Where mail is kept here, whom an alias means must be there. */
static void check_target(struct validation *v, const struct object *alias, struct span target)
{
	char text[ADDRESS_BYTES];
	const struct object *domain;
	struct span name = local_name(v, target, text, &domain);

	if (name.n == 0 || !object_domain(domain)->mailboxes ||
		span_starts_nocase(name, POSTMASTER) || is_known(v, OBJECT_ACCOUNT, name) ||
		is_known(v, OBJECT_ALIAS, name))
		return;
	enum object_kind kind = was(v, OBJECT_ACCOUNT, name) ? OBJECT_ACCOUNT : OBJECT_ALIAS;
	if (!validate_change(v, OBJECT_ALIAS, alias->name) && was(v, kind, name)) {
		validate_begin_kept(v, kind, name);
		problem_say(v->problems, "alias ");
		problem_quote(v->problems, alias->name);
		validate_end(v, " leads to it; change that first");
		return;
	}
	validate_begin(v, alias, "to");
	problem_quote(v->problems, target);
	validate_end(v, " is neither an account nor an alias here; add it, or leave it out");
}

void validate_alias(struct validation *v, const struct object *object)
{
	struct span targets = object_alias(object)->to;

	check_domain(v, object);
	if (objects_find(v->objects, OBJECT_ACCOUNT, object->name)) {
		validate_begin(v, object, NULL);
		validate_end(v, "is an account, too; remove one of them");
	}
	while (targets.n)
		check_target(v, object, schema_list_next(&targets));
}

/* ---- loops ---------------------------------------------------------------------------------- */

/* Of an alias: how many follow one another from it on, itself among them; or one of these. */
#define HEIGHT_UNKNOWN 0u
#define HEIGHT_BAD     254u /* it was told */
#define HEIGHT_ASKED   255u /* it is just being looked at */

struct loops {
	struct validation *v;
	const struct object_set *aliases;
	uint8_t *heights;
};

static uint8_t refuse(struct loops *l, size_t alias, const char *text)
{
	validate_begin(l->v, l->aliases->items[alias], "to");
	validate_end(l->v, text);
	return HEIGHT_BAD;
}

static uint8_t refuse_depth(struct loops *l, size_t alias)
{
	validate_begin(l->v, l->aliases->items[alias], "to");
	buf_printf(l->v->problems->out,
		"leads through more than %u aliases; name the last ones at once",
		OBJECTS_ALIAS_DEPTH);
	validate_end(l->v, "");
	return HEIGHT_BAD;
}

/* The heights of the aliases that it leads to come first. It calls itself OBJECTS_ALIAS_DEPTH times
 * at most. */
static uint8_t height_of(struct loops *l, size_t alias, uint32_t level)
{
	struct span targets = object_alias(l->aliases->items[alias])->to;
	uint8_t *height = &l->heights[alias], most = 0;

	if (*height != HEIGHT_UNKNOWN)
		return *height;
	*height = HEIGHT_ASKED;
	while (targets.n && most < HEIGHT_BAD) {
		char text[ADDRESS_BYTES];
		const struct object *domain;
		struct span name = local_name(l->v, schema_list_next(&targets), text, &domain);
		bool found = false;
		size_t next = name.n ? object_set_place(l->aliases, name, &found) : 0;
		if (!found)
			continue;
		uint8_t below = level < OBJECTS_ALIAS_DEPTH ? height_of(l, next, level + 1)
							    : refuse_depth(l, alias);
		if (below == HEIGHT_ASKED)
			below = refuse(l, alias,
				"leads back to itself; let it end at accounts or addresses "
				"elsewhere");
		most = MAX(most, below);
	}
	if (most == OBJECTS_ALIAS_DEPTH)
		most = refuse_depth(l, alias);
	*height = most == HEIGHT_BAD ? HEIGHT_BAD : (uint8_t)(most + 1);
	return *height;
}

void validate_alias_loops(struct validation *v)
{
	const struct object_set *aliases = &v->objects->sets[OBJECT_ALIAS];
	struct loops loops = {v, aliases, calloc(aliases->count + 1, 1)};

	if (!loops.heights) {
		v->err = ERR_NOMEM;
		return;
	}
	for (size_t i = 0; i < aliases->count; i++)
		(void)height_of(&loops, i, 1);
	free(loops.heights);
}
