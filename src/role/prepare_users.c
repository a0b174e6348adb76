#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "role/prepare.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NAME_BYTES 64
/* Numbers that no account has, for a machine on which nobody made the users yet. Debian hands
 * numbers from 60000 to 64999 out to packages, on request only. */
#define SPARE_ID    64620
#define SPARE_GROUP (SPARE_ID + 4) /* of the roles, however many kinds of them there are */

static const char *const usual_names[ROLE_KINDS] = {
	[ROLE_SMTPD] = "postern-smtpd",
	[ROLE_DELIVERY] = "postern-delivery",
	[ROLE_ADMIN] = "postern-admin",
	[ROLE_KEYS] = "postern-keys",
	[ROLE_FETCH] = "postern-fetch",
};
static const char usual_group[] = "postern"; /* of the administrators */
static const char roles_group[] = "postern-roles";

static bool number(const char *name, uint64_t *out)
{
	return text_parse_u64(span_str(name), UINT32_MAX - 1, out) == 0 && *out != 0;
}

static void advise(struct buf *out)
{
	buf_printf(out,
		"groupadd --system %s; groupadd --system %s; for u in smtpd delivery admin keys "
		"fetch; "
		"do "
		"useradd --system --gid %s --no-create-home --shell /usr/sbin/nologin postern-$u; "
		"done",
		usual_group, roles_group, roles_group);
}

static int missing(struct buf *problem, const char *what, const char *command, const char *name)
{
	buf_printf(problem,
		"the %s \"%s\" does not exist; make it (%s %s), or change \"users\" in the start "
		"file",
		what, name, command, name);
	return ERR_NOT_FOUND;
}

static int find_admins(const char *name, struct users *users, bool *spare, struct buf *problem)
{
	const struct group *found = getgrnam(name);
	uint64_t id;

	if (found) {
		users->admins = found->gr_gid;
	} else if (number(name, &id)) {
		users->admins = (gid_t)id;
	} else if (strcmp(name, usual_group) == 0 && !getgrgid(SPARE_ID)) {
		users->admins = SPARE_ID;
		*spare = true;
	} else {
		return missing(problem, "group", "groupadd --system", name);
	}
	return 0;
}

/* Nobody but the roles is in it, and none of them in the administrators' one: a worker that was
 * taken over must not be able to give commands, whatever else fails. It needs no name. */
static int find_roles_group(struct users *users, struct buf *problem)
{
	const struct group *found = getgrnam(roles_group);

	if (found)
		users->gid = found->gr_gid;
	else if (!getgrgid(SPARE_GROUP))
		users->gid = SPARE_GROUP;
	else
		return missing(problem, "group", "groupadd --system", roles_group);
	if (users->gid != users->admins)
		return 0;
	buf_printf(problem,
		"\"users\": the group of those who may use posternctl cannot be %s, which is the "
		"roles' own",
		roles_group);
	return ERR_DENIED;
}

static int find_user(const char *name, enum role_kind kind, struct users *users, bool *spare,
	struct buf *problem)
{
	const struct passwd *found = getpwnam(name);
	uint64_t id;

	if (found) {
		users->uid[kind] = found->pw_uid;
	} else if (number(name, &id)) {
		users->uid[kind] = (uid_t)id;
	} else if (strcmp(name, usual_names[kind]) == 0 && !getpwuid(SPARE_ID + kind)) {
		users->uid[kind] = SPARE_ID + kind;
		*spare = true;
	} else {
		return missing(problem, "user",
			"useradd --system --no-create-home --shell /usr/sbin/nologin", name);
	}
	if (users->uid[kind] == 0) {
		buf_printf(problem, "\"users\": a role cannot run as root (%s)", name);
		return ERR_DENIED;
	}
	return 0;
}

int prepare_users(
	const struct config *config, struct log *log, struct users *out, struct buf *problem)
{
	const struct span names[ROLE_KINDS] = {
		[ROLE_SMTPD] = config->user_smtpd,
		[ROLE_DELIVERY] = config->user_delivery,
		[ROLE_ADMIN] = config->user_admin,
		[ROLE_KEYS] = config->user_keys,
		[ROLE_FETCH] = config->user_fetch,
	};
	struct users users = {.root = geteuid() == 0, .gid = getegid(), .admins = getegid()};
	char name[NAME_BYTES];
	bool spare = false;

	for (size_t i = 0; i < ROLE_KINDS; i++)
		users.uid[i] = geteuid();
	if (users.root) {
		snprintf(name, sizeof(name), "%.*s", (int)config->group.n, config->group.p);
		int err = find_admins(name, &users, &spare, problem);
		if (err == 0)
			err = find_roles_group(&users, problem);
		for (enum role_kind kind = ROLE_SMTPD; kind < ROLE_KINDS && err == 0; kind++) {
			snprintf(name, sizeof(name), "%.*s", (int)names[kind].n, names[kind].p);
			err = find_user(name, kind, &users, &spare, problem);
		}
		if (err)
			return err;
	}
	if (spare) {
		struct buf advice;
		buf_init(&advice, 1024);
		advise(&advice);
		log_write(log, LOG_WARN,
			"the roles' users do not exist: they run under numbers without an account",
			LOG_U64("first", SPARE_ID), LOG_SPAN("make_them", buf_span(&advice)));
		buf_done(&advice);
	}
	*out = users;
	return 0;
}
