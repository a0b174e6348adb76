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

void user_unlock(struct door *door)
{
	struct keys_locks question = {.op = KEYS_LOCKS_LIFT};
	struct span name;
	struct buf words, why;

	buf_init(&words, WORDS);
	buf_init(&why, 4096);
	int err = parse(door, &question, &name, &why);
	if (!err) {
		buf_add_str(&words, "failed logins forgotten: ");
		buf_add_span(&words, name);
		err = change_note(door, buf_span(&words), &why);
	}
	if (err)
		refuse_lines(door, err, &why);
	else
		door_ask_locks(door, &question, heard);
	buf_done(&words);
	buf_done(&why);
}
