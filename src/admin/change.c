/*
 * Changes of the directory. Each is planned whole, committed in one transaction, and given to all
 * roles; the reply lists what changed in plain words.
 */
#include "admin/core.h"

#include "base/check.h"
#include "base/err.h"
#include "route/relay.h"

#include <stdio.h>
#include <stdlib.h>

#define WARNING_BYTES (16u << 10)
#define CA_WORDS      8192 /* about one tls-ca file; the path is in it */
#define CHANGES_TOLD  100  /* in the trace and the log, of one command */
#define CHANGE_BYTES  2000 /* of the words of one */

struct plan_options plan_options_of(const struct door *door)
{
	return (struct plan_options){
		.now_ms = door->admin->config.io->wall_ms,
		.prune = request_flag(door, "prune"),
		.start = door->admin->config.config,
	};
}

static void tell_one(struct door *door, struct span words)
{
	struct event event = {
		.kind = EVENT_ADMIN_ACTION,
		.wall_ms = door->admin->config.io->wall_ms,
		.action = SPAN("directory"),
		.actor = span_str(door->actor),
		.reason = words,
	};

	event_emit(door->admin->config.events, &event);
}

int change_note(struct door *door, struct span words, struct buf *why)
{
	struct admin *admin = door->admin;
	int err = store_note(directory_store(admin->directory), span_str(door->actor),
		admin->config.io->wall_ms, words, why);

	if (!err)
		tell_one(door, words);
	return err;
}

/* An event for each change; of very many, how many more: the audit has all. */
static void tell(struct door *door, struct span words)
{
	char text[64];
	size_t told = 0, more = 0;

	while (words.n) {
		size_t end = span_find(words, '\n');

		if (end && told++ < CHANGES_TOLD)
			tell_one(door, span_of(words.p, MIN(end, (size_t)CHANGE_BYTES)));
		else
			more += end > 0;
		words = span_skip(words, end + 1);
	}
	if (!more)
		return;
	snprintf(text, sizeof(text), "and %zu more changes; see posternctl audit", more);
	tell_one(door, span_str(text));
}

void refuse_lines(struct door *door, int err, struct buf *problems)
{
	while (problems->n && problems->p[problems->n - 1] == '\n')
		problems->n--;
	if (problems->n)
		door_refuse_span(door, buf_span(problems));
	else
		door_refuse(door, err_text(err));
}

/* One object is taken away by its name: that has to be meant. */
static bool is_removal(const struct door *door)
{
	return span_equal(request_text(door, "cmd"), SPAN("object")) &&
	       span_equal(request_text(door, "op"), SPAN("remove"));
}

/* Secrets first: who is to use one has it then. */
static int publish(struct admin *admin, const bool secrets[SECRET_KINDS], struct buf *problems)
{
	int err = 0;

	for (int kind = 0; kind < SECRET_KINDS && !err; kind++)
		if (secrets[kind])
			err = admin_publish_secrets(admin, (enum secret_kind)kind, problems);
	return err ? err : admin_publish(admin);
}

/* The account that this request gives a password; NULL: it does something else. */
static const struct object *given_password(const struct door *door)
{
	const struct object *account;
	struct buf why;

	if (!span_equal(request_text(door, "cmd"), SPAN("object")) ||
		!span_equal(request_text(door, "op"), SPAN("password")))
		return NULL;
	buf_init(&why, 4096);
	int err = objects_look_up(directory_objects(door->admin->directory), OBJECT_ACCOUNT,
		request_text(door, "name"), &why, &account);
	buf_done(&why);
	return err ? NULL : account;
}

/* Who is given a password may have been locked out by trying the one before; keys has the new one
 * by now. */
static void lift_locks(struct door *door)
{
	const struct object *account = given_password(door);

	if (account)
		admin_lift(door->admin, account->name);
}

static void end_line(struct buf *out)
{
	if (out->n && out->p[out->n - 1] != '\n')
		buf_add_char(out, '\n');
}

/* A new password lets nobody in whose account is disabled. */
static void warn_of_disabled(const struct door *door, struct buf *out)
{
	const struct object *account = door->verifiers.n ? given_password(door) : NULL;

	if (!account || !object_account(account)->disabled)
		return;
	end_line(out);
	buf_add_str(out, "the account is disabled still, and nobody can log in to it; to end that: "
			 "posternctl user set ");
	buf_add_span(out, account->name);
	buf_add_str(out, " disabled=no\n");
}

/* Commits the plan, and frees it. A line in `problems` where that fails. */
static int commit(struct door *door, struct plan *plan, struct span words, struct buf *problems)
{
	struct admin *admin = door->admin;
	bool secrets[SECRET_KINDS] = {false};

	for (size_t i = 0; i < plan_secret_count(plan); i++)
		secrets[plan_secret(plan, i)->kind] = true;
	int err = directory_commit(admin->directory, &plan, span_str(door->actor),
		admin->config.io->wall_ms, problems);
	if (err)
		return err;
	tell(door, words);
	err = publish(admin, secrets, problems);
	lift_locks(door);
	if (err)
		buf_printf(problems,
			"the change is stored, but the other roles could not be told (%s); they "
			"will be with the next change",
			err_text(err));
	return err;
}

static void reply_changes(struct door *door, struct span words, struct span warning)
{
	json_open_object(&door->json, NULL);
	put_lines(&door->json, "changes", words);
	put_lines(&door->json, "warnings", warning);
	json_put_u64(&door->json, "generation", directory_generation(door->admin->directory));
	json_put_bool(&door->json, "dry_run", request_flag(door, "dry_run"));
	import_put_tally(door);
	json_close_object(&door->json);
	door_reply(door);
}

static bool changes_relays(const struct plan *plan)
{
	for (size_t i = 0; i < plan_count(plan); i++)
		if (plan_change(plan, i)->kind == OBJECT_RELAY)
			return true;
	return false;
}

/* The transport with a tls-ca that is new to it; NULL: the change names none. */
static const struct object *names_ca(const struct change *change)
{
	if (change->kind != OBJECT_TRANSPORT || !change->after)
		return NULL;
	struct span now = object_transport(change->after)->tls_ca;
	bool same = change->before && span_equal(object_transport(change->before)->tls_ca, now) &&
		    object_transport(change->before)->tls == object_transport(change->after)->tls;

	return now.n && !same ? change->after : NULL;
}

/* Whoever names a file hears at once whether it can be read. */
static bool ask_of_files(struct door *door, const struct plan *plan)
{
	struct buf paths;

	anchors_begin(&paths);
	for (size_t i = 0; i < plan_count(plan); i++) {
		const struct object *transport = names_ca(plan_change(plan, i));

		if (transport)
			anchors_add(&paths, transport);
	}
	return anchors_first(door, &paths);
}

static void warn_of_files(const struct door *door, const struct plan *plan, struct buf *out)
{
	struct buf words;

	buf_init(&words, CA_WORDS);
	for (size_t i = 0; i < plan_count(plan); i++) {
		const struct object *transport = names_ca(plan_change(plan, i));

		if (!transport || !anchors_add_words(door, transport, &words))
			continue;
		/* Of very many, the first: check has all. */
		if (out->n + words.n > WARNING_BYTES / 2)
			break;
		end_line(out);
		buf_add_str(out, "transport ");
		buf_add_span(out, transport->name);
		buf_add_str(out, ": ");
		buf_add_span(out, buf_span(&words));
		buf_add_char(out, '\n');
		buf_clear(&words);
	}
	buf_done(&words);
}

/* The plan was made: carries it out, if it may be, and replies. */
static void carry_out(struct door *door, struct plan *plan, struct buf *problems)
{
	struct buf words, warning;
	bool dry = request_flag(door, "dry_run");
	int err = 0;

	buf_init(&words, ADMIN_REPLY / 2);
	buf_init(&warning, WARNING_BYTES + ADMIN_WARNINGS);
	plan_add_words(plan, &words);
	bool warned = depends_add_words(door, &warning);
	if (!buf_ok(&words)) {
		buf_add_str(problems, "too many changes to be listed at once; nothing was changed: "
				      "apply them in parts");
		err = ERR_LIMIT;
	} else if (warned && is_removal(door) && !dry) {
		buf_add_span(problems, buf_span(&warning));
		buf_add_str(problems, "; --force removes it all the same");
		err = ERR_BUSY;
	}
	bool relays = changes_relays(plan);

	if (!err)
		warn_of_files(door, plan, &warning);
	if (err || dry || !(plan_count(plan) + plan_secret_count(plan)))
		plan_free(&plan);
	else
		err = commit(door, plan, buf_span(&words), problems);
	/* Whoever lets others relay hears at once what that means. */
	if (!err && !dry && relays) {
		end_line(&warning);
		relay_add_warnings(door->admin->snapshot, door->admin->config.config, &warning);
	}
	if (!err)
		warn_of_disabled(door, &warning);
	if (err)
		refuse_lines(door, err, problems);
	else
		reply_changes(door, buf_span(&words), buf_span(&warning));
	buf_done(&words);
	buf_done(&warning);
}

/* The plan was made, or not. Frees it, and `problems`. */
void plan_finish(struct door *door, int err, struct plan *plan, struct buf *problems)
{
	if (err)
		refuse_lines(door, err, problems);
	else if ((!request_flag(door, "force") && depends_first(door, plan)) ||
		 ask_of_files(door, plan))
		plan_free(&plan);
	else
		carry_out(door, plan, problems);
	buf_done(problems);
}

void plan_finish_present(struct door *door, int err, struct plan *plan, struct buf *problems)
{
	/* What could not be read would pass for a secret that is not there. */
	int failed = directory_secrets_failed(door->admin->directory, problems);

	if (failed)
		plan_free(&plan);
	plan_finish(door, failed ? failed : err, plan, problems);
}
