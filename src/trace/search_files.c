/* The trace files of all roles, and what is believed of each. */
#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "spool/format.h"
#include "trace/event.h"
#include "trace/ring.h"
#include "trace/search_impl.h"

#include <stdio.h>
#include <stdlib.h>

#define DIGITS	  16 /* of a file's beginning */
#define WORKERS	  64 /* that there can be */
#define ROLE_NAME 16

static const struct search_role of_smtpd = {
	.kinds = 1u << EVENT_RECEPTION | 1u << EVENT_REJECTION, .owner = -1};
static const struct search_role of_delivery = {.kinds = (1u << EVENT_KINDS) - 1, .owner = -1};
static const struct search_role of_admin = {.kinds = 1u << EVENT_ADMIN_ACTION, .owner = -1};

/* Other folders are no role's. */
static bool role_of(const char *name, struct search_role *out)
{
	struct span folder = span_str(name);
	uint64_t worker;

	if (span_equal(folder, SPAN("delivery"))) {
		*out = of_delivery;
	} else if (span_equal(folder, SPAN("admin"))) {
		*out = of_admin;
	} else if (folder.n > 6 && span_starts_nocase(folder, SPAN("smtpd-")) &&
		   text_parse_u64(span_skip(folder, 6), WORKERS - 1, &worker) == 0) {
		*out = of_smtpd;
		out->owner = (int)worker;
	} else {
		return false;
	}
	return true;
}

bool search_role_may_tell(const struct search_role *role, const json_t *event)
{
	struct span kind = json_text(event, "event");
	unsigned i = 0;
	uint64_t id;

	while (i < EVENT_KINDS && !span_equal(kind, span_str(event_name((enum event_kind)i))))
		i++;
	if (i == EVENT_KINDS || !(role->kinds & 1u << i))
		return false;
	if (role->owner < 0)
		return true;
	/* A worker takes mail in; what that is about is known where notifications are made. */
	if (json_object_get(event, "about"))
		return false;
	return text_parse_id(json_text(event, "id"), &id) != 0 ||
	       format_id_owner(id) == (unsigned)role->owner;
}

/* ---- the files --------------------------------------------------------------------------------
 */

/* The files of one role while they are found. */
struct finding {
	struct search_files *files;
	char folder[ROLE_NAME];
	struct search_role role;
	size_t first; /* of this role */
	bool cut;
};

static const char *begin_of(const struct search_file *file)
{
	return strchr(file->path, '/') + 1;
}

static int by_begin(const void *a, const void *b)
{
	return strncmp(begin_of(a), begin_of(b), DIGITS);
}

static int newest_first(const void *a, const void *b)
{
	return by_begin(b, a);
}

static void sort(struct search_files *files, size_t first, int (*order)(const void *, const void *))
{
	if (files->count > first)
		qsort(files->list + first, files->count - first, sizeof(*files->list), order);
}

static void keep_newest(struct finding *f)
{
	sort(f->files, f->first, newest_first);
	if (f->files->count - f->first > SEARCH_FILES_EACH) {
		f->files->count = f->first + SEARCH_FILES_EACH;
		f->cut = true;
	}
}

static bool is_file_name(const char *name)
{
	return strspn(name, "0123456789abcdef") == DIGITS &&
	       (strcmp(name + DIGITS, RING_EVENTS) == 0 ||
		       strcmp(name + DIGITS, RING_REFUSALS) == 0);
}

static int each_file(void *arg, const char *name)
{
	struct finding *f = arg;
	struct search_files *files = f->files;

	if (!is_file_name(name))
		return 0;
	if (files->count - f->first == (size_t)2 * SEARCH_FILES_EACH)
		keep_newest(f);
	if (files->count == files->room) {
		size_t room = files->room ? files->room * 2 : 64;
		struct search_file *list = realloc(files->list, room * sizeof(*list));

		if (!list)
			return ERR_NOMEM;
		files->list = list;
		files->room = room;
	}
	struct search_file *file = &files->list[files->count++];

	file->role = f->role;
	snprintf(file->path, sizeof(file->path), "%s/%s", f->folder, name);
	return 0;
}

struct looking {
	struct search_files *files;
	struct disk *root;
};

static int each_folder(void *arg, const char *name)
{
	struct looking *l = arg;
	struct finding f = {.files = l->files, .first = l->files->count};

	size_t n = strlen(name);

	if (n >= sizeof(f.folder) || !role_of(name, &f.role))
		return 0;
	memcpy(f.folder, name, n + 1);
	int err = disk_list(l->root, name, each_file, &f);
	keep_newest(&f);
	l->files->cut += f.cut;
	/* What is no directory, or went away meanwhile, is no trace. */
	return err == ERR_NOMEM ? err : 0;
}

int search_files_find(struct search_files *files, struct disk *root)
{
	struct looking l = {files, root};
	int err = disk_list(root, "", each_folder, &l);

	sort(files, 0, by_begin);
	return err;
}
