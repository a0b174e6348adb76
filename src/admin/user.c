/* user: accounts, with what is known of their passwords; but never these, nor what is kept of
 * them. Changes of them are those of any object. */
#include "admin/core.h"
#include "base/err.h"

struct listing {
	struct door *door;
	struct span domain; /* empty: all */
	size_t at;	    /* the account that comes next */
};

/* changed_ms: when its password was set; 0: it has none. */
static void put_user(
	struct json_write *json, const char *key, const struct object *account, int64_t changed_ms)
{
	json_open_object(json, key);
	json_put_string(json, "name", account->name);
	schema_add_json(json, object_schema(OBJECT_ACCOUNT), account->fields, true);
	json_put_bool(json, "password", changed_ms != 0);
	if (changed_ms)
		json_put_time(json, "password_changed", changed_ms);
	else
		json_put_null(json, "password_changed");
	json_put_time(json, "created", account->created_ms);
	json_put_time(json, "changed", account->changed_ms);
	json_close_object(json);
}

static bool is_in(struct span address, struct span domain)
{
	const char *at = memrchr(address.p, '@', address.n);

	return !domain.n ||
	       (at && span_equal(domain, span_skip(address, (size_t)(at + 1 - address.p))));
}

/* All accounts before `name` have no password; it has one. Both are in the order of bytes. */
static bool put_until(void *context, struct span name, int64_t changed_ms)
{
	struct listing *listing = context;
	const struct objects *objects = directory_objects(listing->door->admin->directory);
	size_t count = objects_count(objects, OBJECT_ACCOUNT);
	bool found = false;

	while (listing->at < count && !found) {
		const struct object *account = objects_at(objects, OBJECT_ACCOUNT, listing->at++);

		found = span_equal(account->name, name);
		if (is_in(account->name, listing->domain))
			put_user(&listing->door->json, NULL, account, found ? changed_ms : 0);
	}
	return true;
}

/* In the form that accounts have; the domain must be there. */
static int domain_of(struct door *door, struct span *out, struct buf *why)
{
	const struct object *domain;
	struct span name = request_text(door, "domain");

	*out = SPAN_NONE;
	if (!name.n)
		return 0;
	int err = objects_look_up(
		directory_objects(door->admin->directory), OBJECT_DOMAIN, name, why, &domain);
	if (!err)
		*out = domain->name;
	return err;
}

static void list(struct door *door)
{
	struct listing listing = {.door = door};
	struct buf why;

	buf_init(&why, 4096);
	json_open_object(&door->json, NULL);
	json_open_array(&door->json, "users");
	int err = domain_of(door, &listing.domain, &why);
	if (!err)
		err = store_secret_times(directory_store(door->admin->directory), SECRET_ACCOUNT,
			put_until, &listing, &why);
	if (err) {
		refuse_lines(door, err, &why);
	} else {
		put_until(&listing, SPAN_NONE, 0);
		json_close_array(&door->json);
		json_close_object(&door->json);
		door_reply(door);
	}
	buf_done(&why);
}

/* `locks`: of keys; empty: it does not answer. The account may be gone by now. */
static void show_with(struct door *door, struct span locks)
{
	const struct object *account;
	struct buf text, why;
	int64_t changed_ms = 0;

	buf_init(&why, 4096);
	buf_init(&text, OBJECT_FIELDS_BYTES);
	int err = objects_look_up(directory_objects(door->admin->directory), OBJECT_ACCOUNT,
		request_text(door, "name"), &why, &account);
	if (!err)
		err = store_secret_time(directory_store(door->admin->directory), SECRET_ACCOUNT,
			account->name, &changed_ms, &why);
	if (err) {
		refuse_lines(door, err, &why);
	} else {
		object_export(account, &text);
		json_open_object(&door->json, NULL);
		put_user(&door->json, "user", account, changed_ms);
		json_put_string(&door->json, "text", buf_span(&text));
		if (locks.n)
			json_put_raw(&door->json, "failed_logins", locks);
		else
			json_put_null(&door->json, "failed_logins");
		json_close_object(&door->json);
		door_reply(door);
	}
	buf_done(&text);
	buf_done(&why);
}

static void show(struct door *door)
{
	const struct object *account;
	struct keys_locks question = {.op = KEYS_LOCKS_LIST};
	struct buf why;

	buf_init(&why, 4096);
	int err = objects_look_up(directory_objects(door->admin->directory), OBJECT_ACCOUNT,
		request_text(door, "name"), &why, &account);
	if (err) {
		refuse_lines(door, err, &why);
	} else {
		question.account = account->name;
		door_ask_locks(door, &question, show_with);
	}
	buf_done(&why);
}

void cmd_user(struct door *door)
{
	struct span op = request_text(door, "op");

	if (span_equal(op, SPAN("list")))
		list(door);
	else if (span_equal(op, SPAN("show")))
		show(door);
	else if (span_equal(op, SPAN("locks")))
		user_locks(door);
	else if (span_equal(op, SPAN("unlock")))
		user_unlock(door);
	else
		door_refuse(door, "op: unknown");
}
