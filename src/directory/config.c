#include "directory/config.h"

#include "base/err.h"
#include "directory/config_inner.h"

#include <stdlib.h>
#include <string.h>

#define CONFIG_ARENA	(64u << 20)
#define CONFIG_PROBLEMS (64u << 10) /* bytes of those that nobody hears of */

struct config_held {
	struct config config; /* first: a config is freed as what holds it */
	struct arena arena;
};

/* The part of a path before its last "/", with it; empty where there is none. */
static struct span folder_of(struct span path)
{
	while (path.n && path.p[path.n - 1] != '/')
		path.n--;
	return path;
}

static int beside(struct span path, const char *name, struct arena *arena, struct span *out)
{
	struct span folder = folder_of(path);
	size_t n = strlen(name);
	char *whole = arena_alloc(arena, folder.n + n + 1);

	if (!whole)
		return ERR_NOMEM;
	if (folder.n)
		memcpy(whole, folder.p, folder.n);
	memcpy(whole + folder.n, name, n + 1);
	*out = span_of(whole, folder.n + n);
	return 0;
}

static int fill_paths(struct config *config, struct arena *arena)
{
	int err = 0;

	if (config->mailboxes.n == 0)
		err = beside(config->spool, "mail", arena, &config->mailboxes);
	if (err == 0 && config->trace.n == 0)
		err = beside(config->spool, "trace", arena, &config->trace);
	return err;
}

/* No two of them may be the same place, nor lie within the spool. */
static int check_paths(const struct config *config, struct problems *problems)
{
	const struct {
		const char *name;
		struct span path;
	} paths[] = {{"spool", config->spool}, {"directory", config->directory},
		{"control", config->control}, {"mailboxes", config->mailboxes},
		{"trace.path", config->trace}};
	int err = 0;

	for (size_t i = 1; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct span path = paths[i].path, spool = config->spool;
		bool inside = path.n > spool.n && memcmp(path.p, spool.p, spool.n) == 0 &&
			      path.p[spool.n] == '/';
		for (size_t k = 0; k < i; k++) {
			if (!span_equal(path, paths[k].path))
				continue;
			problem_begin(problems, (struct place){0},
				&(struct path){NULL, span_str(paths[i].name)});
			buf_printf(problems->out, "is the same path as %s; give each its own",
				paths[k].name);
			problem_end(problems);
			err = ERR_SYNTAX;
		}
		if (inside) {
			problem_line(problems, (struct place){0},
				&(struct path){NULL, span_str(paths[i].name)},
				"lies within the spool, which holds nothing else; choose another "
				"place");
			err = ERR_SYNTAX;
		}
	}
	return err;
}

static int check_limits(const struct config *config, struct problems *problems)
{
	const struct path limits = {NULL, SPAN("limits")};
	const struct path path = {&limits, SPAN("memory")};

	if (config->limits.memory >= config->limits.inline_bytes * 2)
		return 0;
	problem_line(problems, (struct place){0}, &path,
		"is less than twice inline-bytes; raise it, or lower inline-bytes");
	return ERR_SYNTAX;
}

static int read_config(
	struct span folder, struct span text, struct config_held *held, struct problems *problems)
{
	struct config *config = &held->config;
	struct node *root;

	int err = schema_defaults(config_schema(), &held->arena, config);
	config->folder = arena_copy(&held->arena, folder);
	if (err == 0 && !config->folder.p)
		err = ERR_NOMEM;
	if (err == 0)
		err = node_read_yaml(text, &held->arena, problems, &root);
	if (err != 0)
		return err;
	if (root->kind == NODE_NULL)
		root->at = (struct place){1, 1};
	err = schema_read(config_schema(), root, folder, &held->arena, NULL, problems, config);
	int missing =
		schema_check_required(config_schema(), config, root, root->at, NULL, problems);
	if (err == 0)
		err = missing;
	if (err == 0)
		err = fill_paths(config, &held->arena);
	if (err < 0)
		return err;
	err = check_paths(config, problems);
	int listeners = config_finish_listeners(config, root, &held->arena, problems);
	int limits = check_limits(config, problems);
	return err ? err : listeners ? listeners : limits;
}

int config_parse_in(const char *file_name, struct span folder, struct span text,
	struct config **out, struct buf *problems_out)
{
	struct problems problems = {.out = problems_out, .file = span_str(file_name)};

	if (text.n > CONFIG_BYTES) {
		problem_line(&problems, (struct place){0}, NULL, "a start file is at most 1M long");
		return ERR_LIMIT;
	}
	struct config_held *held = calloc(1, sizeof(*held));
	if (!held)
		return ERR_NOMEM;
	arena_init(&held->arena, CONFIG_ARENA);
	int err = read_config(folder, text, held, &problems);
	if (err < 0) {
		if (problems.count == 0)
			problem_line(&problems, (struct place){0}, NULL, err_text(err));
		arena_reset(&held->arena);
		free(held);
		return err;
	}
	*out = &held->config;
	return 0;
}

int config_parse(const char *file_name, struct span text, struct config **out, struct buf *problems)
{
	return config_parse_in(file_name, folder_of(span_str(file_name)), text, out, problems);
}

/* Its own field alone, as the parser reads it. */
struct span config_find_control(struct span folder, struct span text, struct arena *arena)
{
	struct buf unheard;
	struct problems problems = {.out = &unheard};
	struct config *config = calloc(1, sizeof(*config)); /* large for a stack */
	struct span control = SPAN_NONE;
	struct node *root;

	buf_init(&unheard, CONFIG_PROBLEMS);
	int err = text.n > CONFIG_BYTES ? ERR_LIMIT : node_read_yaml(text, arena, &problems, &root);
	const struct node *found = err || !config ? NULL : node_get(root, "control");

	if (found) {
		struct node only = *found;
		const struct node alone = {.kind = NODE_MAP, .count = 1, .first = &only};

		only.next = NULL;
		if (!schema_read(config_schema(), &alone, folder, arena, NULL, &problems, config))
			control = config->control;
	}
	buf_done(&unheard);
	free(config);
	return control;
}

void config_free(struct config **config)
{
	if (!*config)
		return;
	struct config_held *held = (struct config_held *)(void *)*config;
	arena_reset(&held->arena);
	free(held);
	*config = NULL;
}
