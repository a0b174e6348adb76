#include "directory/objects.h"

#include "base/check.h"
#include "base/err.h"
#include "directory/names.h"
#include "directory/objects_inner.h"

#include <stdlib.h>
#include <string.h>

/* ---- one object ----------------------------------------------------------------------------- */

int object_new(enum object_kind kind, struct span name, const void *fields, int64_t created_ms,
	int64_t changed_ms, struct object **out)
{
	const struct schema *schema = object_schema(kind);
	size_t bytes = schema_packed_bytes(schema, fields);
	struct object *object = malloc(sizeof(*object) + bytes + name.n);

	if (!object)
		return ERR_NOMEM;
	*object = (struct object){.refs = 1,
		.kind = kind,
		.created_ms = created_ms,
		.changed_ms = changed_ms,
		.name = {object->fields + bytes, name.n}};
	schema_pack(schema, fields, object->fields);
	if (name.n)
		memcpy(object->fields + bytes, name.p, name.n);
	*out = object;
	return 0;
}

struct object *object_hold(struct object *object)
{
	CHECK(object->refs > 0 && object->refs < UINT32_MAX);
	object->refs++;
	return object;
}

void object_release(struct object **object)
{
	if (*object && --(*object)->refs == 0)
		free(*object);
	*object = NULL;
}

bool object_same(const struct object *a, const struct object *b)
{
	if (a == b)
		return true;
	return a->kind == b->kind && span_equal(a->name, b->name) &&
	       schema_same(object_schema(a->kind), a->fields, b->fields);
}

bool object_is_named(enum object_kind kind)
{
	return kind == OBJECT_TRANSPORT || kind == OBJECT_DOMAIN || kind == OBJECT_ACCOUNT ||
	       kind == OBJECT_ALIAS || kind == OBJECT_RELAY;
}

bool object_is_single(enum object_kind kind)
{
	return kind == OBJECT_SETTINGS || kind == OBJECT_ACCEPT;
}

struct span *object_secret(enum object_kind kind, void *fields)
{
	if (kind == OBJECT_TRANSPORT)
		return &((struct object_transport *)fields)->sasl_secret;
	if (kind == OBJECT_ACCOUNT)
		return &((struct object_account *)fields)->verifiers;
	return NULL;
}

enum secret_kind object_secret_kind(enum object_kind kind)
{
	CHECK(kind == OBJECT_TRANSPORT || kind == OBJECT_ACCOUNT);
	return kind == OBJECT_ACCOUNT ? SECRET_ACCOUNT : SECRET_TRANSPORT;
}

int object_name_compare(struct span a, struct span b)
{
	size_t n = MIN(a.n, b.n);
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

static const char *name_rule(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_TRANSPORT:
		return " is no name for a transport; use at most 63 of a-z, 0-9, \".\", \"_\" and "
		       "\"-\", "
		       "a letter or digit first";
	case OBJECT_DOMAIN: return " is no domain name; give one such as a.example";
	case OBJECT_ACCOUNT: return " is no address for an account; give one such as ann@c.example";
	case OBJECT_ALIAS: return " is no address for an alias; give one such as nick@c.example";
	case OBJECT_RELAY: return " is no name of a listener; give one of the start file";
	default: return " is not a name";
	}
}

int object_name(enum object_kind kind, struct span in, struct place at, struct arena *arena,
	struct problems *problems, struct span *out)
{
	int err = ERR_SYNTAX;

	if ((kind == OBJECT_TRANSPORT || kind == OBJECT_RELAY) && name_is_transport(in)) {
		struct span copy = arena_copy(arena, in);
		if (copy.p)
			*out = copy;
		err = copy.p ? 0 : ERR_NOMEM;
	} else if (kind == OBJECT_DOMAIN) {
		err = name_domain(in, arena, out);
	} else if (kind == OBJECT_ACCOUNT || kind == OBJECT_ALIAS) {
		err = name_account(in, arena, out);
	}
	if (err < 0) {
		const char *plural = object_schema(kind)->plural;
		struct path path = {NULL, span_str(plural ? plural : object_kind_name(kind))};
		problem_begin(problems, at, &path);
		problem_quote(problems, in);
		problem_say(problems, name_rule(kind));
		problem_end(problems);
	}
	return err;
}

int object_priority_name(const struct object_priority *rule, struct arena *arena, struct span *out)
{
	const struct schema *schema = object_schema(OBJECT_PRIORITY);
	struct buf text;

	buf_init(&text, OBJECT_NAME_BYTES);
	for (size_t i = 0; i < schema->count; i++) {
		if (schema_is_default(&schema->fields[i], rule))
			continue;
		buf_printf(&text, "%s%s=", text.n ? " " : "", schema->fields[i].name);
		schema_add_value(&text, &schema->fields[i], rule);
	}
	struct span copy = buf_ok(&text) ? arena_copy(arena, buf_span(&text)) : SPAN_NONE;
	buf_done(&text);
	if (!copy.p)
		return ERR_NOMEM;
	*out = copy;
	return 0;
}

/* ---- one generation ------------------------------------------------------------------------- */

int objects_new(struct objects **out)
{
	struct objects *objects = calloc(1, sizeof(*objects));

	if (!objects)
		return ERR_NOMEM;
	*out = objects;
	return 0;
}

void objects_free(struct objects **objects)
{
	if (!*objects)
		return;
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		struct object_set *set = &(*objects)->sets[kind];
		for (size_t i = 0; i < set->count; i++)
			object_release(&set->items[i]);
		free(set->items);
	}
	free(*objects);
	*objects = NULL;
}

int object_set_room(struct object_set *set, size_t room)
{
	struct object **items = realloc(set->items, (room ? room : 1) * sizeof(struct object *));

	if (!items)
		return ERR_NOMEM;
	set->items = items;
	return 0;
}

size_t object_set_place(const struct object_set *set, struct span name, bool *found)
{
	size_t low = 0, high = set->count;

	*found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = object_name_compare(set->items[middle]->name, name);
		if (order == 0) {
			*found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t objects_count(const struct objects *objects, enum object_kind kind)
{
	return objects->sets[kind].count;
}

const struct object *objects_at(const struct objects *objects, enum object_kind kind, size_t at)
{
	CHECK(at < objects->sets[kind].count);
	return objects->sets[kind].items[at];
}

const struct object *objects_find(
	const struct objects *objects, enum object_kind kind, struct span name)
{
	bool found;
	size_t at = object_set_place(&objects->sets[kind], name, &found);

	return found ? objects->sets[kind].items[at] : NULL;
}

struct span objects_default_transport(const struct objects *objects)
{
	const struct object *settings = objects_find(objects, OBJECT_SETTINGS, SPAN(""));

	return settings ? object_settings(settings)->default_transport : SPAN_NONE;
}

struct span objects_postmaster(const struct objects *objects)
{
	const struct object *settings = objects_find(objects, OBJECT_SETTINGS, SPAN(""));

	return settings ? object_settings(settings)->postmaster : SPAN_NONE;
}

size_t objects_transport_users(const struct objects *objects, struct span name)
{
	const struct object_set *domains = &objects->sets[OBJECT_DOMAIN];
	size_t users = span_equal(objects_default_transport(objects), name) ? 1 : 0;

	for (size_t i = 0; i < domains->count; i++)
		users += span_equal(object_domain(domains->items[i])->transport, name);
	return users;
}

const struct object_accept *objects_accept(const struct objects *objects)
{
	const struct object *accept = objects_find(objects, OBJECT_ACCEPT, SPAN(""));

	return accept ? object_accept(accept) : NULL;
}

void objects_number(struct objects *objects, uint64_t generation)
{
	objects->generation = generation;
}

bool objects_mark_secret(
	struct objects *objects, enum secret_kind kind, struct span name, uint64_t since)
{
	enum object_kind of = kind == SECRET_ACCOUNT ? OBJECT_ACCOUNT : OBJECT_TRANSPORT;
	struct object_set *set = &objects->sets[of];
	bool found;
	size_t at = object_set_place(set, name, &found);

	if (!found)
		return false;
	*object_secret(of, set->items[at]->fields) = SCHEMA_SECRET_SET;
	if (of == OBJECT_ACCOUNT)
		set->items[at]->logins_since = since;
	return true;
}
