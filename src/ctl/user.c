/* user: accounts and their passwords. What is not about these is as for any object. */
#include "ctl/ctl.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- add, password -------------------------------------------------------------------------- */

/* Before somebody types a password twice: would it be taken at all? */
static int try_first(struct ctl *ctl, json_t *request)
{
	json_t *trial = json_copy(request);

	json_object_set_new(trial, "dry_run", json_true());
	json_t *reply = ctl_ask(ctl, trial);
	int code = reply ? EXIT_DONE : EXIT_REFUSED;

	json_decref(reply);
	return code;
}

static int add(struct ctl *ctl)
{
	bool dry = ctl_flag(ctl, "--dry-run"), weak = ctl_flag(ctl, "--weak");
	bool without = ctl_flag(ctl, "--no-password");
	int code = EXIT_DONE;

	if (!ctl_no_secrets(ctl) || !ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count < 2)
		return ctl_usage(ctl, "user add needs an address");
	if (!ctl_only_fields(ctl, 2))
		return EXIT_USAGE;
	json_t *settings = ctl_settings_from(ctl, 2);
	if (!settings)
		return EXIT_USAGE;
	json_t *request = json_pack("{ss, ss, ss, ss, so, sb, sb}", "cmd", "object", "op", "add",
		"kind", "account", "name", ctl->args[1], "settings", settings, "dry_run", dry,
		"weak", weak);
	if (!request)
		return ctl_refuse(ctl, "the address is not valid UTF-8");
	if (!without && !dry && isatty(STDIN_FILENO))
		code = try_first(ctl, request);
	if (!code && !without && !dry)
		code = ctl_add_secret(ctl, request, "password", ctl->args[1]);
	if (!code)
		return ctl_ask_and_show(ctl, request, show_changes);
	json_decref(request);
	return code;
}

static json_t *about(const char *cmd, const char *op, const char *name)
{
	return json_pack("{ss, ss, ss, ss}", "cmd", cmd, "op", op, "kind", "account", "name", name);
}

static int password(struct ctl *ctl)
{
	bool take_away = ctl_flag(ctl, "--remove"), weak = ctl_flag(ctl, "--weak");
	int code = EXIT_DONE;

	if (!ctl_no_secrets(ctl) || !ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count > 2)
		return ctl_usage(ctl,
			"user password takes the address alone: the password is asked for, or read "
			"from standard input, as other users of this machine and the shell's "
			"history see what is on a command line");
	if (ctl->count < 2)
		return ctl_usage(ctl, "user password needs an address");
	json_t *request = about("object", "password", ctl->args[1]);
	if (!request)
		return ctl_refuse(ctl, "the address is not valid UTF-8");
	json_object_set_new(request, "weak", json_boolean(weak));
	if (!take_away && isatty(STDIN_FILENO))
		code = try_first(ctl, request);
	if (!code && !take_away)
		code = ctl_add_secret(ctl, request, "password", ctl->args[1]);
	if (!code)
		return ctl_ask_and_show(ctl, request, show_changes);
	json_decref(request);
	return code;
}

/* ---- locks, unlock -------------------------------------------------------------------------- */

static void add_lock(struct table *table, const json_t *lock)
{
	const char *until = member_text(lock, "blocked_until");
	struct buf who;
	char failures[24];

	buf_init(&who, 1024);
	buf_printf(&who, "%s%s%s", member_text(lock, "account"),
		strcmp(member_text(lock, "kind"), "pair") == 0 ? " from " : "",
		member_text(lock, "address"));
	buf_add_char(&who, '\0');
	if (!buf_ok(&who))
		ctl_no_memory(NULL);
	snprintf(failures, sizeof(failures), "%lld", (long long)member_int(lock, "failures"));
	const char *const cells[] = {who.p, failures, member_text(lock, "since"),
		member_text(lock, "last"), *until ? until : "not blocked"};
	table_add(table, cells);
	buf_done(&who);
}

static void print_locks(const json_t *locks)
{
	static const char *const titles[] = {"WHO", "FAILURES", "SINCE", "LAST", "BLOCKED UNTIL"};
	struct table *table = table_new(ARRAY_SIZE(titles), titles);

	for (size_t i = 0; i < json_array_size(locks); i++)
		add_lock(table, json_array_get(locks, i));
	table_print(&table);
}

static void show_locks(struct ctl *ctl, const json_t *reply)
{
	const json_t *locks = json_object_get(reply, "locks");
	json_int_t more = member_int(reply, "more"), nobodies = member_int(reply, "nobodies");

	(void)ctl;
	if (json_array_size(locks))
		print_locks(locks);
	else
		puts("no failed logins within the last hour");
	if (more)
		printf("and %lld more\n", (long long)more);
	if (nobodies)
		printf("and names that no account has: %lld\n", (long long)nobodies);
}

static int locks(struct ctl *ctl)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count > 1)
		return ctl_usage(ctl, "user locks takes nothing more");
	return ctl_ask_and_show(
		ctl, json_pack("{ss, ss}", "cmd", "user", "op", "locks"), show_locks);
}

static void show_lifted(struct ctl *ctl, const json_t *reply)
{
	(void)ctl;
	json_int_t blocked = member_int(reply, "blocked_addresses");

	puts(member_int(reply, "lifted") ? "its failed logins are forgotten"
					 : "there were no failed logins of it");
	if (blocked)
		printf("%lld client address%s blocked, too: posternctl user locks\n",
			(long long)blocked, blocked == 1 ? " is" : "es are");
}

static int unlock(struct ctl *ctl)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage(ctl, "user unlock takes one address of a client, or one account");
	json_t *request =
		json_pack("{ss, ss, ss}", "cmd", "user", "op", "unlock", "what", ctl->args[1]);
	return request ? ctl_ask_and_show(ctl, request, show_lifted)
		       : ctl_refuse(ctl, "the name is not valid UTF-8");
}

/* ---- list, show ----------------------------------------------------------------------------- */

static void add_list(struct buf *out, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *text = json_string_value(json_array_get(list, i));

		buf_printf(out, "%s%s", i ? ", " : "", text ? text : "?");
	}
	buf_add_char(out, '\0');
	if (!buf_ok(out))
		ctl_no_memory(NULL);
}

static const char *password_of(const json_t *user)
{
	const char *since = member_text(user, "password_changed");

	return *since ? since : "none";
}

static void add_user(struct table *table, const json_t *user)
{
	struct buf roles, send_as;

	buf_init(&roles, 4096);
	buf_init(&send_as, 1u << 20);
	add_list(&roles, json_object_get(user, "roles"));
	add_list(&send_as, json_object_get(user, "send-as"));
	const char *const cells[] = {member_text(user, "name"), password_of(user),
		json_is_true(json_object_get(user, "disabled")) ? "disabled" : "", roles.p,
		send_as.p};
	table_add(table, cells);
	buf_done(&roles);
	buf_done(&send_as);
}

static void show_users(struct ctl *ctl, const json_t *reply)
{
	static const char *const titles[] = {
		"ADDRESS", "PASSWORD SINCE", "STATE", "ROLES", "MAY ALSO SEND AS"};
	const json_t *users = json_object_get(reply, "users");

	(void)ctl;
	if (!json_array_size(users)) {
		puts("there are none");
		return;
	}
	struct table *table = table_new(ARRAY_SIZE(titles), titles);
	for (size_t i = 0; i < json_array_size(users); i++)
		add_user(table, json_array_get(users, i));
	table_print(&table);
}

static int list(struct ctl *ctl)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count > 2)
		return ctl_usage(ctl, "user list takes a domain at most");
	json_t *request = json_pack("{ss, ss, ss}", "cmd", "user", "op", "list", "domain",
		ctl->count > 1 ? ctl->args[1] : "");
	return request ? ctl_ask_and_show(ctl, request, show_users)
		       : ctl_refuse(ctl, "the domain is not valid UTF-8");
}

static void show_user(struct ctl *ctl, const json_t *reply)
{
	const json_t *user = json_object_get(reply, "user");

	(void)ctl;
	show_text(member_text(reply, "text"), true);
	if (json_is_true(json_object_get(user, "password")))
		fputs("\npassword set since ", stdout);
	else
		fputs("\npassword: ", stdout);
	show_text(password_of(user), false);
	putchar('\n');
	const json_t *failed = json_object_get(reply, "failed_logins");
	if (json_array_size(json_object_get(failed, "locks"))) {
		puts("failed logins:");
		print_locks(json_object_get(failed, "locks"));
	} else {
		puts(failed && !json_is_null(failed)
				? "failed logins: none within the last hour (an address may be "
				  "blocked all the same: posternctl user locks)"
				: "failed logins: not known");
	}
}

static int show(struct ctl *ctl)
{
	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage(ctl, "user show takes one address");
	json_t *request = about("user", "show", ctl->args[1]);
	return request ? ctl_ask_and_show(ctl, request, show_user)
		       : ctl_refuse(ctl, "the address is not valid UTF-8");
}

/* ---- import --------------------------------------------------------------------------------- */

static void show_import(struct ctl *ctl, const json_t *reply)
{
	bool dry = json_is_true(json_object_get(reply, "dry_run"));
	json_int_t kept = member_int(reply, "kept"), skipped = member_int(reply, "skipped");
	json_int_t weak = member_int(reply, "weak");

	(void)ctl;
	printf("%lld account%s %sadded, %lld with a new password\n",
		(long long)member_int(reply, "added"), member_int(reply, "added") == 1 ? "" : "s",
		dry ? "would be " : "", (long long)member_int(reply, "replaced"));
	if (kept)
		printf("%lld there already, kept as %s (--replace: with the password of the "
		       "file)\n",
			(long long)kept, kept == 1 ? "it is" : "they are");
	if (skipped)
		printf("%lld that nobody can log in to left out\n", (long long)skipped);
	if (weak)
		fprintf(stderr,
			"warning: %lld with a hash of an old kind, which can be undone by trying "
			"passwords: have new ones set\n",
			(long long)weak);
	show_warnings(json_object_get(reply, "warnings"));
	if (dry)
		puts("(only a check: nothing was changed)");
}

static int import(struct ctl *ctl)
{
	const char *domain = ctl_option(ctl, "--domain"), *format = ctl_option(ctl, "--format");
	bool replace = ctl_flag(ctl, "--replace"), check = ctl_flag(ctl, "--check");
	size_t length;

	if (!ctl_no_options_left(ctl))
		return EXIT_USAGE;
	if (ctl->count != 2)
		return ctl_usage(ctl, "user import takes one file (\"-\": standard input)");
	ctl_keep_secrets();
	char *text = ctl_read_file(ctl, ctl->args[1], &length);
	if (!text)
		return EXIT_REFUSED;
	json_t *request = json_pack("{ss, ss, ss, ss, ss%, sb, sb, sb}", "cmd", "import", "file",
		ctl->args[1], "domain", domain ? domain : "", "format",
		format ? format : "htpasswd", "text", text, length, "replace", replace, "dry_run",
		check, "force", true);
	explicit_bzero(text, length);
	free(text);
	if (!request)
		return ctl_refuse(ctl, "%s: not valid UTF-8, or its name is not", ctl->args[1]);
	return ctl_ask_and_show(ctl, request, show_import);
}

/* ---- which ---------------------------------------------------------------------------------- */

int ctl_user(struct ctl *ctl)
{
	static const char *const others[] = {"set", "remove", NULL};
	static const char *const all[] = {"add", "set", "password", "list", "show", "import",
		"locks", "unlock", "remove", NULL};
	static const struct {
		const char *name;
		int (*run)(struct ctl *ctl);
	} own[] = {{"add", add}, {"password", password}, {"list", list}, {"show", show},
		{"import", import}, {"locks", locks}, {"unlock", unlock}};

	for (size_t i = 0; ctl->count && i < ARRAY_SIZE(own); i++)
		if (strcmp(ctl->args[0], own[i].name) == 0)
			return own[i].run(ctl);
	if (!ctl->count)
		return ctl_usage(ctl, "user what? posternctl user --help lists it");
	if (strcmp(ctl->args[0], others[0]) != 0 && strcmp(ctl->args[0], others[1]) != 0)
		return ctl_unknown(ctl, "user", ctl->args[0], all);
	return ctl_object(ctl, "account", others);
}
