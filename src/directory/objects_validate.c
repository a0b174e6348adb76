/* What must hold between objects, whatever change led there. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"

struct validation {
	const struct objects *objects;
	const struct draft_change *changes;
	size_t count;
	const struct draft_broken *broken;
	struct problems *problems;
	int err;
};

static bool is_broken(const struct validation *v, enum object_kind kind, struct span name)
{
	for (const struct draft_broken *b = v->broken; b; b = b->next)
		if (b->kind == kind && span_equal(b->name, name))
			return true;
	return false;
}

static const struct draft_change *change_of(
	const struct validation *v, enum object_kind kind, struct span name)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct draft_change *change = &v->changes[middle];
		int order = change->kind != kind ? (change->kind < kind ? -1 : 1)
						 : object_name_compare(change->name, name);
		if (order == 0)
			return change;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Begins a line about a field of an object, at the place where the file says it. */
static void begin(struct validation *v, const struct object *object, const char *field)
{
	const struct draft_change *change = change_of(v, object->kind, object->name);
	const struct node *node = change ? change->node : NULL;
	const struct node *value = field ? node_get(node, field) : NULL;
	const struct schema *schema = object_schema(object->kind);
	struct place at = value			? value->at
			  : node && node->key.n ? node->key_at
			  : node		? node->at
						: (struct place){0};
	struct path plural = {NULL, span_str(schema->plural)};
	struct path name = {&plural, object->kind == OBJECT_PRIORITY ? SPAN_NONE : object->name};
	struct path path = {&name, span_str(field)};

	problem_begin(v->problems, at, &path);
	v->err = ERR_SYNTAX;
}

static void end(struct validation *v, const char *text)
{
	problem_say(v->problems, text);
	problem_end(v->problems);
}

/* A transport that is named must be there; if it is just being removed, say that instead. */
static void check_reference(
	struct validation *v, const struct object *object, const char *field, struct span transport)
{
	if (transport.n == 0 || objects_find(v->objects, OBJECT_TRANSPORT, transport) ||
		is_broken(v, OBJECT_TRANSPORT, transport))
		return;
	if (change_of(v, object->kind, object->name)) {
		begin(v, object, field);
		problem_say(v->problems, "there is no transport ");
		problem_quote(v->problems, transport);
		end(v, "; add it, or name another one");
		return;
	}
	struct path path = {NULL, span_str("transports")};
	problem_begin(v->problems, (struct place){0}, &path);
	problem_quote(v->problems, transport);
	problem_say(v->problems, " cannot be removed: ");
	if (object->kind == OBJECT_SETTINGS) {
		problem_say(v->problems, field);
	} else {
		buf_printf(v->problems->out, "%s ", object_kind_name(object->kind));
		problem_quote(v->problems, object->name);
	}
	end(v, " uses it; change that first");
	v->err = ERR_SYNTAX;
}

static void check_domain(struct validation *v, const struct object *object)
{
	const struct object_domain *domain = object_domain(object);

	if (domain->transport.n && domain->mailboxes) {
		begin(v, object, "mailboxes");
		end(v, "a domain has a transport or mailboxes, not both; leave one out");
	} else if (!domain->transport.n && !domain->mailboxes) {
		begin(v, object, NULL);
		end(v, "needs either \"transport: NAME\" or \"mailboxes: true\"");
	}
	check_reference(v, object, "transport", domain->transport);
}

static void check_account(struct validation *v, const struct object *object)
{
	size_t at = span_find(object->name, '@');
	struct span name = span_skip(object->name, at + 1);
	const struct object *domain = objects_find(v->objects, OBJECT_DOMAIN, name);

	if ((domain && object_domain(domain)->mailboxes) || is_broken(v, OBJECT_DOMAIN, name))
		return;
	begin(v, object, NULL);
	problem_say(v->problems, "the domain ");
	problem_quote(v->problems, name);
	if (change_of(v, OBJECT_ACCOUNT, object->name))
		end(v, domain ? " has no mailboxes; give it \"mailboxes: true\""
			      : " is not served here; add it with \"mailboxes: true\"");
	else
		end(v, " still needs its mailboxes for this account; remove the account first");
}

static void check_priority(struct validation *v, const struct object *object)
{
	if (object->name.n == 0) {
		begin(v, object, NULL);
		end(v, "a rule without fields would match all mail; give it at least one");
	}
	check_reference(v, object, "transport", object_priority(object)->transport);
}

static void check_settings(struct validation *v, const struct object *object)
{
	check_reference(v, object, "default-transport", object_settings(object)->default_transport);
}

static void check_count(struct validation *v, enum object_kind kind, size_t most)
{
	size_t count = objects_count(v->objects, kind);

	if (count <= most)
		return;
	struct path path = {NULL, span_str(object_schema(kind)->plural)};
	problem_begin(v->problems, (struct place){0}, &path);
	buf_printf(v->problems->out, "%zu are too many; at most %zu are allowed", count, most);
	problem_end(v->problems);
	v->err = ERR_LIMIT;
}

int objects_validate(
	const struct objects *objects, const struct draft *draft, struct problems *problems)
{
	static void (*const checks[OBJECT_KINDS])(struct validation *, const struct object *) = {
		[OBJECT_DOMAIN] = check_domain,
		[OBJECT_ACCOUNT] = check_account,
		[OBJECT_PRIORITY] = check_priority,
		[OBJECT_SETTINGS] = check_settings,
	};
	struct validation v = {.objects = objects, .problems = problems};

	if (draft) {
		v.changes = draft->changes;
		v.count = draft->count;
		v.broken = draft->broken;
	}
	check_count(&v, OBJECT_TRANSPORT, OBJECTS_TRANSPORTS);
	check_count(&v, OBJECT_DOMAIN, OBJECTS_DOMAINS);
	check_count(&v, OBJECT_ACCOUNT, OBJECTS_ACCOUNTS);
	check_count(&v, OBJECT_PRIORITY, OBJECTS_PRIORITIES);
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		if (!checks[kind])
			continue;
		for (size_t i = 0; i < objects->sets[kind].count; i++)
			checks[kind](&v, objects->sets[kind].items[i]);
	}
	return v.err;
}
