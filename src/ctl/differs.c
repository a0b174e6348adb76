/* Whether the start file on disk is the one that the server runs with: it is read when that starts.
 */
#include "ctl/ctl.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#define LISTENERS "listeners."
#define ADDRESS	  ".address"

struct differing {
	const json_t *runs;
	json_t *file;  /* all fields of the file */
	json_t *found; /* {field, file, runs} */
};

static void add(struct differing *d, const char *field, const char *file, const char *runs)
{
	json_array_append_new(
		d->found, json_pack("{ss, ss, ss}", "field", field, "file", file, "runs", runs));
}

/* A listener that only one side has is told of by its address alone. */
static bool is_address(const char *field)
{
	size_t n = strlen(field);

	return strncmp(field, LISTENERS, strlen(LISTENERS)) == 0 && n > strlen(ADDRESS) &&
	       strcmp(field + n - strlen(ADDRESS), ADDRESS) == 0;
}

static void each_of_file(void *context, struct span name, struct span value)
{
	struct differing *d = context;
	char *field = strndup(name.p, name.n), *file = strndup(value.n ? value.p : "", value.n);

	if (!field || !file)
		ctl_no_memory(NULL);
	const char *runs = json_string_value(json_object_get(d->runs, field));
	json_object_set_new(d->file, field, json_string(file));
	/* A field that the server does not know of is of another version; a listener is new. */
	if (!runs && is_address(field))
		add(d, field, file, "");
	else if (runs && strcmp(runs, file) != 0)
		add(d, field, file, runs);
	free(field);
	free(file);
}

json_t *start_file_differs(const struct ctl *ctl, const json_t *runs)
{
	struct differing d = {runs, json_object(), json_array()};
	const char *field;
	json_t *value;

	if (ctl->config && json_is_object(runs)) {
		config_each_field(ctl->config, each_of_file, &d);
		json_object_foreach((json_t *)runs, field,
			value) if (is_address(field) && !json_object_get(d.file, field))
			add(&d, field, "", json_string_value(value));
	}
	json_decref(d.file);
	return d.found;
}

void add_differing(struct buf *out, const json_t *one)
{
	const char *file = member_text(one, "file"), *runs = member_text(one, "runs");

	if (*file)
		buf_printf(out, "is %s in the start file", file);
	else
		buf_add_str(out, "is not in the start file");
	buf_printf(out, ", and the server runs with %s: restart posternd to make it so",
		*runs ? runs : "none");
	if (strcmp(member_text(one, "field"), "log.level") == 0)
		buf_add_str(out, ", or send it SIGHUP");
}
