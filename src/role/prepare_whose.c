/* The way back from root to an ordinary user: what belongs to somebody else, all of it at once. */
#include "role/prepare.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_ROOM 4096

/* Somebody else's, as far as one may look. */
static bool is_others(const char *path)
{
	struct stat info;

	return lstat(path, &info) == 0 && info.st_uid != geteuid();
}

/* It, or something in it; what is deeper goes with these. */
static bool has_others(const char *path)
{
	char below[PATH_ROOM];
	bool others = is_others(path);
	DIR *list = others ? NULL : opendir(path);

	if (!list)
		return others;
	for (struct dirent *e; !others && (e = readdir(list));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int n = snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		others = n > 0 && (size_t)n < sizeof(below) && is_others(below);
	}
	closedir(list);
	return others;
}

/* As a shell takes it. */
static void add_word(struct buf *out, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "/._-+,:@";

	buf_add_char(out, ' ');
	if (strspn(word, plain) == strlen(word)) {
		buf_add_str(out, word);
		return;
	}
	buf_add_char(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			buf_add_str(out, "'\\'");
		buf_add_char(out, *word);
	}
	buf_add_char(out, '\'');
}

void prepare_say_whose(const struct config *config, struct buf *problem)
{
	const struct {
		struct span path;
		const char *suffix;
	} all[] = {
		{config->spool, ""},
		{config->mailboxes, ""},
		{config->trace, ""},
		{config->directory, ""},
		{config->directory, "-journal"},
		{config->directory, "-salt"},
	};
	struct buf paths;

	buf_init(&paths, ARRAY_SIZE(all) * 2 * PATH_ROOM);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		char path[PATH_ROOM];
		snprintf(path, sizeof(path), "%.*s%s", (int)all[i].path.n, all[i].path.p,
			all[i].suffix);
		if (has_others(path))
			add_word(&paths, path);
	}
	if (paths.n && buf_ok(&paths))
		buf_printf(problem,
			"; if posternd was started as root with this start file before, what lies "
			"there belongs to the roles' users now: start it as root again, or give "
			"all of it back (as root: chown -R %u:%u%.*s)",
			(unsigned)geteuid(), (unsigned)getegid(), (int)paths.n, paths.p);
	buf_done(&paths);
}
