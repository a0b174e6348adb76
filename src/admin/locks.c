/*
 * user locks, user unlock: who gave wrong passwords so often that they are told to come later, and
 * how that is forgotten. Keys counts (keys/locks.h); what is lifted is in the audit.
 */
#include "admin/core.h"
#include "base/err.h"
#include "base/text.h"
#include "keys/limits.h"

#define WORDS 512

static void heard(struct door *door, struct span json)
{
	if (!json.n) {
		door_refuse(door, LOCKS_UNHEARD);
		return;
	}
	buf_add_span(&door->out, json);
	door_reply(door);
}

void user_locks(struct door *door)
{
	const struct keys_locks question = {.op = KEYS_LOCKS_LIST};

	door_ask_locks(door, &question, heard);
}

/* "192.0.2.1", "2001:db8::1", "2001:db8:1:2::/64", "2001:db8:1::/48": as the list shows them. */
static int parse_address(struct span what, struct keys_locks *out, struct buf *why)
{
	size_t length = span_find(what, '/');
	uint64_t bits = 0;
	int err = netaddr_parse_ip(span_of(what.p, length), &out->address);
	bool v6 = out->address.family == NETADDR_V6;

	if (err == 0 && length < what.n) {
		err = text_parse_u64(span_skip(what, length + 1), LIMITS_CLIENT_BITS, &bits);
		if (!(v6 ? bits == LIMITS_CLIENT_BITS || bits == LIMITS_SITE_BITS
			 : bits == LIMITS_IPV4_BITS))
			err = ERR_SYNTAX;
	}
	if (err) {
		buf_add_str(why,
			"neither an account nor an address: joe@c.example, 192.0.2.1, 2001:db8::1, "
			"2001:db8:1:2::/64 or 2001:db8:1::/48 can be unlocked");
		return ERR_SYNTAX;
	}
	out->bits = v6 ? (uint8_t)bits : 0;
	return 0;
}

static int parse(struct door *door, struct keys_locks *out, struct span *name, struct buf *why)
{
	struct span what = request_text(door, "what");
	const struct object *account;

	*name = what;
	if (span_find(what, '@') == what.n)
		return parse_address(what, out, why);
	int err = objects_look_up(
		directory_objects(door->admin->directory), OBJECT_ACCOUNT, what, why, &account);
	if (!err)
		*name = out->account = account->name;
	return err;
}

/* What this account or client had is forgotten by now: whoever asks may be sure of it only where it
 * is in the audit, too. */
static int note(struct door *door, struct buf *why)
{
	struct keys_locks question = {.op = KEYS_LOCKS_LIFT};
	struct span name;
	struct buf words, ignored;

	buf_init(&words, WORDS);
	buf_init(&ignored, 4096);
	/* The account may be gone meanwhile. */
	if (parse(door, &question, &name, &ignored))
		name = request_text(door, "what");
	buf_add_str(&words, "failed logins forgotten: ");
	buf_add_span(&words, name);
	int err = change_note(door, buf_span(&words), why);
	buf_done(&ignored);
	buf_done(&words);
	return err;
}

static void reply_lifted(struct door *door, uint64_t blocked)
{
	json_open_object(&door->json, NULL);
	json_put_u64(&door->json, "lifted", door->lifted);
	json_put_u64(&door->json, "blocked_addresses", blocked);
	json_close_object(&door->json);
	door_reply(door);
}

/* Client addresses that are blocked, whatever account they tried. */
static uint64_t count_blocked(const json_t *locks)
{
	uint64_t count = 0;

	for (size_t i = 0; i < json_array_size(locks); i++) {
		const json_t *lock = json_array_get(locks, i);

		const char *text = json_string_value(json_object_get(lock, "kind"));
		struct span kind = span_str(text ? text : "");

		count += (span_equal(kind, SPAN("address")) || span_equal(kind, SPAN("site"))) &&
			 json_is_string(json_object_get(lock, "blocked_until"));
	}
	return count;
}

static void heard_blocked(struct door *door, struct span json)
{
	json_error_t error;
	json_t *list = json.n ? json_loadb(json.p, json.n, 0, &error) : NULL;

	reply_lifted(door, count_blocked(json_object_get(list, "locks")));
	json_decref(list);
}

/* An account's owner may have been refused because of where he is, which stays: that is told. */
static void heard_lifted(struct door *door, struct span json)
{
	const struct keys_locks question = {.op = KEYS_LOCKS_LIST};
	json_error_t error;
	json_t *said = json.n ? json_loadb(json.p, json.n, 0, &error) : NULL;
	const json_t *lifted = json_object_get(said, "lifted");
	struct span what = request_text(door, "what");
	struct buf why;
	int err = 0;

	buf_init(&why, 4096);
	door->lifted = json_is_integer(lifted) ? (uint64_t)json_integer_value(lifted) : 0;
	if (door->lifted)
		err = note(door, &why);
	if (!json.n)
		door_refuse(door, LOCKS_UNHEARD);
	else if (err)
		refuse_lines(door, err, &why);
	else if (span_find(what, '@') == what.n)
		reply_lifted(door, 0);
	else
		door_ask_locks(door, &question, heard_blocked);
	buf_done(&why);
	json_decref(said);
}

void user_unlock(struct door *door)
{
	struct keys_locks question = {.op = KEYS_LOCKS_LIFT};
	struct span name;
	struct buf why;

	buf_init(&why, 4096);
	int err = parse(door, &question, &name, &why);
	if (err)
		refuse_lines(door, err, &why);
	else
		door_ask_locks(door, &question, heard_lifted);
	buf_done(&why);
}
