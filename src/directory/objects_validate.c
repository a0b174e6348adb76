/* What must hold between objects, whatever change led there. */
#include "directory/objects_validate.h"
#include "base/check.h"
#include "base/err.h"

bool validate_is_broken(const struct validation *v, enum object_kind kind, struct span name)
{
	for (const struct draft_broken *b = v->broken; b; b = b->next)
		if (b->kind == kind && span_equal(b->name, name))
			return true;
	return false;
}

const struct draft_change *validate_change(
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

void validate_begin(struct validation *v, const struct object *object, const char *field)
{
	const struct draft_change *change = validate_change(v, object->kind, object->name);
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

void validate_end(struct validation *v, const char *text)
{
	problem_say(v->problems, text);
	problem_end(v->problems);
}

bool validate_is_new(const struct validation *v, const struct object *object)
{
	return v->now && objects_find(v->now, object->kind, object->name) != object;
}

void validate_begin_kept(struct validation *v, enum object_kind kind, struct span name)
{
	struct path path = {NULL, span_str(object_schema(kind)->plural)};

	problem_begin(v->problems, (struct place){0}, &path);
	problem_quote(v->problems, name);
	problem_say(v->problems, " cannot be removed: ");
	v->err = ERR_SYNTAX;
}

/* What is named must be there; if it is just being removed, say that instead. */
static void check_reference(struct validation *v, const struct object *object, const char *field,
	enum object_kind kind, struct span name)
{
	if (name.n == 0 || objects_find(v->objects, kind, name) ||
		validate_is_broken(v, kind, name))
		return;
	if (validate_change(v, object->kind, object->name)) {
		validate_begin(v, object, field);
		buf_printf(v->problems->out, "there is no %s ", object_kind_name(kind));
		problem_quote(v->problems, name);
		validate_end(v, "; add it, or name another one");
		return;
	}
	validate_begin_kept(v, kind, name);
	if (object->kind == OBJECT_SETTINGS) {
		problem_say(v->problems, field);
	} else {
		buf_printf(v->problems->out, "%s ", object_kind_name(object->kind));
		problem_quote(v->problems, object->name);
	}
	validate_end(v, kind == OBJECT_DOMAIN ? " is another name of it; change that first"
					      : " uses it; change that first");
}

/* One name, one step: what an alias means has its mail's way itself. */
static void check_alias_of(struct validation *v, const struct object *object)
{
	struct span target = object_domain(object)->alias_of;
	const struct object *domain = objects_find(v->objects, OBJECT_DOMAIN, target);

	check_reference(v, object, "alias-of", OBJECT_DOMAIN, target);
	if (!domain || !object_domain(domain)->alias_of.n)
		return;
	validate_begin(v, object, "alias-of");
	problem_quote(v->problems, target);
	if (domain == object)
		validate_end(v, " is the domain itself; name another one");
	else
		validate_end(v, " is only another name of a domain; name that domain");
}

static void check_domain(struct validation *v, const struct object *object)
{
	const struct object_domain *domain = object_domain(object);
	int ways = (domain->transport.n > 0) + domain->mailboxes + (domain->alias_of.n > 0);

	if (ways > 1) {
		validate_begin(v, object, domain->alias_of.n ? "alias-of" : "mailboxes");
		validate_end(
			v, domain->alias_of.n
				   ? "an alias of a domain has neither transport nor mailboxes "
				     "of its own; leave them out"
				   : "a domain has a transport or mailboxes, not both; leave "
				     "one out");
	} else if (ways == 0) {
		validate_begin(v, object, NULL);
		validate_end(v, "needs either \"transport: NAME\" or \"mailboxes: true\" (or "
				"\"alias-of: DOMAIN\", where it is another name of a domain)");
	}
	check_reference(v, object, "transport", OBJECT_TRANSPORT, domain->transport);
	if (domain->alias_of.n)
		check_alias_of(v, object);
}

static void check_priority(struct validation *v, const struct object *object)
{
	if (object->name.n == 0) {
		validate_begin(v, object, NULL);
		validate_end(v, "a rule without fields would match all mail; give it at least one");
	}
	check_reference(
		v, object, "transport", OBJECT_TRANSPORT, object_priority(object)->transport);
}

static void check_settings(struct validation *v, const struct object *object)
{
	check_reference(v, object, "default-transport", OBJECT_TRANSPORT,
		object_settings(object)->default_transport);
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
		[OBJECT_TRANSPORT] = validate_transport,
		[OBJECT_DOMAIN] = check_domain,
		[OBJECT_ACCOUNT] = validate_account,
		[OBJECT_ALIAS] = validate_alias,
		[OBJECT_RELAY] = validate_relay,
		[OBJECT_PRIORITY] = check_priority,
		[OBJECT_SETTINGS] = check_settings,
	};
	struct validation v = {.objects = objects, .problems = problems};

	if (draft) {
		v.now = draft->now;
		v.start = draft->options->start;
		v.changes = draft->changes;
		v.count = draft->count;
		v.broken = draft->broken;
	}
	check_count(&v, OBJECT_TRANSPORT, OBJECTS_TRANSPORTS);
	check_count(&v, OBJECT_DOMAIN, OBJECTS_DOMAINS);
	check_count(&v, OBJECT_ACCOUNT, OBJECTS_ACCOUNTS);
	check_count(&v, OBJECT_ALIAS, OBJECTS_ALIASES);
	check_count(&v, OBJECT_RELAY, OBJECTS_RELAYS);
	check_count(&v, OBJECT_PRIORITY, OBJECTS_PRIORITIES);
	for (int kind = 0; kind < OBJECT_KINDS; kind++) {
		if (!checks[kind])
			continue;
		for (size_t i = 0; i < objects->sets[kind].count; i++)
			checks[kind](&v, objects->sets[kind].items[i]);
	}
	validate_alias_loops(&v);
	return v.err;
}
