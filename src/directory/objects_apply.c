/* An objects file, read into a draft. */
#include "base/check.h"
#include "base/err.h"
#include "directory/objects_inner.h"

#include <stdlib.h>

static const enum object_kind named_kinds[] = {
	OBJECT_TRANSPORT, OBJECT_DOMAIN, OBJECT_ACCOUNT, OBJECT_ALIAS, OBJECT_RELAY};

/* Every key that may stand at the top of an objects file. */
static const char *top_key(const void *context, size_t i)
{
	const struct schema *settings = object_schema(OBJECT_SETTINGS);

	(void)context;
	if (i < ARRAY_SIZE(named_kinds))
		return object_schema(named_kinds[i])->plural;
	i -= ARRAY_SIZE(named_kinds);
	return i == 0	? object_schema(OBJECT_PRIORITY)->plural
	       : i == 1 ? object_kind_name(OBJECT_ACCEPT)
			: settings->fields[i - 2].name;
}

static size_t top_keys(void)
{
	return ARRAY_SIZE(named_kinds) + 2 + object_schema(OBJECT_SETTINGS)->count;
}

static int unknown_key(struct draft *draft, const struct node *node)
{
	const char *meant = problem_suggest(node->key, top_key, NULL, top_keys());
	struct problems *problems = &draft->problems;

	problem_begin(problems, node->key_at, &(struct path){NULL, node->key});
	problem_say(problems, "is no part of an objects file; ");
	if (meant) {
		buf_printf(problems->out, "did you mean \"%s\"?", meant);
	} else {
		problem_say(problems, "it has: ");
		for (size_t i = 0; i < top_keys(); i++)
			buf_printf(problems->out, "%s%s", i ? ", " : "", top_key(NULL, i));
	}
	problem_end(problems);
	return ERR_SYNTAX;
}

static int read_fields(struct draft *draft, enum object_kind kind, const struct node *node,
	const struct path *path, struct arena *scratch, union object_fields *fields)
{
	const struct schema *schema = object_schema(kind);

	int err = schema_read(schema, node, SPAN_NONE, scratch, path, &draft->problems, fields);
	/* A bare value that was refused is not missing, too. */
	if (err < 0 && node->kind != NODE_MAP)
		return err;
	int missing = schema_check_required(schema, fields, node->kind == NODE_MAP ? node : NULL,
		node->key.n ? node->key_at : node->at, path, &draft->problems);
	return err ? err : missing;
}

/* One object; `fields` gives room for it. */
static int read_object(struct draft *draft, enum object_kind kind, const struct node *node,
	struct arena *scratch, union object_fields *fields)
{
	const struct schema *schema = object_schema(kind);
	struct path plural = {NULL, span_str(schema->plural)}, path = {&plural, node->key};
	struct span name = SPAN_NONE;

	int err = schema_defaults(schema, scratch, fields);
	if (err < 0)
		return err;
	if (kind != OBJECT_PRIORITY)
		err = object_name(kind, node->key, node->key_at, scratch, &draft->problems, &name);
	int read = read_fields(draft, kind, node, &path, scratch, fields);
	err = err ? err : read;
	if (err == 0 && kind == OBJECT_PRIORITY)
		err = object_priority_name(&fields->priority, scratch, &name);
	if (err == 0)
		err = draft_put(draft, kind, name, fields, node);
	if (err < 0 && err != ERR_NOMEM && name.n && draft_break(draft, kind, name))
		err = ERR_NOMEM;
	return err;
}

/* All objects of a kind. Goes on after a bad one, so that all problems are told at once. */
static int read_objects(
	struct draft *draft, enum object_kind kind, enum node_kind form, const struct node *node)
{
	union object_fields fields;
	int worst = 0;

	if (node->kind == NODE_NULL)
		return 0;
	if (node->kind != form) {
		problem_line(&draft->problems, node->at, &(struct path){NULL, node->key},
			form == NODE_MAP
				? "give objects by their names, as in name: { field: value }"
				: "give a list of rules, as in - { field: value }");
		return ERR_SYNTAX;
	}
	for (const struct node *child = node->first; child; child = child->next) {
		struct arena scratch;
		arena_init(&scratch, FIELD_ARENA);
		int err = read_object(draft, kind, child, &scratch, &fields);
		arena_reset(&scratch);
		if (err == ERR_NOMEM)
			return err;
		if (err < 0)
			worst = err;
	}
	return worst;
}

static int settings_fields(
	const struct objects *now, bool keep, struct arena *arena, struct object_settings *out)
{
	const struct object *settings = objects_find(now, OBJECT_SETTINGS, SPAN(""));

	if (!settings || !keep)
		return schema_defaults(object_schema(OBJECT_SETTINGS), arena, out);
	*out = *object_settings(settings);
	return 0;
}

/* The settings' keys stand among the others. */
static int read_settings(struct draft *draft, const struct node *root)
{
	const struct schema *schema = object_schema(OBJECT_SETTINGS);
	struct node own = {.kind = NODE_MAP, .at = root->at};
	struct node **tail = &own.first;
	struct object_settings fields;

	for (const struct node *node = root->first; node; node = node->next) {
		if (!schema_find(schema, node->key))
			continue;
		struct node *copy = arena_alloc(&draft->arena, sizeof(*copy));
		if (!copy)
			return ERR_NOMEM;
		*copy = *node;
		copy->next = NULL;
		*tail = copy;
		tail = &copy->next;
	}
	int err = settings_fields(draft->now, !draft->options->prune, &draft->arena, &fields);
	if (err == 0)
		err = schema_read(
			schema, &own, SPAN_NONE, &draft->arena, NULL, &draft->problems, &fields);
	if (err == 0 && (own.first || draft->options->prune))
		err = draft_put(draft, OBJECT_SETTINGS, SPAN(""), &fields, root);
	return err;
}

/* The accept table is one object, at a key of its own. */
static int read_accept(struct draft *draft, const struct node *root)
{
	const struct node *node = node_get(root, object_kind_name(OBJECT_ACCEPT));
	struct path path = {NULL, span_str(object_kind_name(OBJECT_ACCEPT))};
	union object_fields fields;
	struct arena scratch;

	if (!node && !draft->options->prune)
		return 0;
	arena_init(&scratch, FIELD_ARENA);
	int err = schema_defaults(object_schema(OBJECT_ACCEPT), &scratch, &fields);
	if (err == 0 && node)
		err = read_fields(draft, OBJECT_ACCEPT, node, &path, &scratch, &fields);
	if (err == 0)
		err = draft_put(draft, OBJECT_ACCEPT, SPAN(""), &fields, node ? node : root);
	arena_reset(&scratch);
	return err;
}

static int read_root(struct draft *draft, const struct node *root)
{
	int worst = 0;

	for (const struct node *node = root->first; node; node = node->next) {
		int err = 0;
		bool known = schema_find(object_schema(OBJECT_SETTINGS), node->key) != NULL ||
			     span_equal(node->key, span_str(object_kind_name(OBJECT_ACCEPT)));
		for (size_t i = 0; i < ARRAY_SIZE(named_kinds); i++) {
			if (!span_equal(node->key, span_str(object_schema(named_kinds[i])->plural)))
				continue;
			known = true;
			err = read_objects(draft, named_kinds[i], NODE_MAP, node);
		}
		if (span_equal(node->key, span_str(object_schema(OBJECT_PRIORITY)->plural))) {
			known = true;
			err = read_objects(draft, OBJECT_PRIORITY, NODE_LIST, node);
		}
		if (!known)
			err = unknown_key(draft, node);
		if (err == ERR_NOMEM)
			return err;
		if (err < 0)
			worst = err;
	}
	int accept = read_accept(draft, root), settings = read_settings(draft, root);
	return worst ? worst : accept ? accept : settings;
}

static int compare_names(const void *a, const void *b)
{
	return object_name_compare(*(const struct span *)a, *(const struct span *)b);
}

/* What is there and not in the draft goes. */
static int prune_kind(struct draft *draft, enum object_kind kind, size_t drafted)
{
	const struct object_set *set = &draft->now->sets[kind];
	struct span *names = malloc((drafted + 1) * sizeof(*names));
	size_t count = 0;
	int err = 0;

	if (!names)
		return ERR_NOMEM;
	for (size_t i = 0; i < drafted; i++)
		if (draft->changes[i].kind == kind)
			names[count++] = draft->changes[i].name;
	if (count)
		qsort(names, count, sizeof(*names), compare_names);
	for (size_t i = 0; i < set->count && err == 0; i++)
		if (!bsearch(&set->items[i]->name, names, count, sizeof(*names), compare_names))
			err = draft_remove(draft, kind, set->items[i]->name);
	free(names);
	return err;
}

static int prune(struct draft *draft)
{
	size_t drafted = draft->count;
	int err = prune_kind(draft, OBJECT_PRIORITY, drafted);

	for (size_t i = 0; i < ARRAY_SIZE(named_kinds) && err == 0; i++)
		err = prune_kind(draft, named_kinds[i], drafted);
	return err;
}

/* There are mistakes: the rest is looked at for more, so that all are told at once. */
static void look_on(struct draft *draft)
{
	struct plan *unused = NULL;

	if (!draft_plan(draft, &unused))
		plan_free(&unused);
}

static int apply(struct draft *draft, struct span text, struct plan **out)
{
	struct node *root;

	int err = node_read_yaml(text, &draft->arena, &draft->problems, &root);
	if (err < 0)
		return err;
	/* An empty file is more likely a mistake than a wish to remove everything. */
	if (root->kind != NODE_MAP && (root->kind != NODE_NULL || draft->options->prune)) {
		problem_line(&draft->problems, root->at, NULL,
			"not an objects file: give transports, domains, accounts or settings");
		return ERR_SYNTAX;
	}
	err = read_root(draft, root);
	if (err < 0) {
		if (err != ERR_NOMEM)
			look_on(draft);
		return err;
	}
	if (draft->options->prune)
		err = prune(draft);
	return err ? err : draft_plan(draft, out);
}

int objects_plan_apply(const struct objects *now, const char *file_name, struct span text,
	const struct plan_options *options, struct buf *problems, struct plan **out)
{
	struct draft draft;

	draft_init(&draft, now, options, span_str(file_name), problems);
	int err = apply(&draft, text, out);
	if (err < 0 && draft.problems.count == 0)
		problem_line(&draft.problems, (struct place){0}, NULL, err_text(err));
	draft_done(&draft);
	return err;
}
