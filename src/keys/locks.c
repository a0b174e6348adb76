#include "keys/locks.h"

#include "base/check.h"
#include "base/err.h"
#include "base/json_write.h"
#include "keys/keys.h"
#include "keys/message.h"

#include <string.h>

struct listing {
	const struct locks_view *view;
	const uint8_t *only; /* an account's digest; NULL: all */
	struct json_write json;
	uint32_t shown, more;
};

static uint64_t now_of(const struct locks_view *view)
{
	return view->now_ns / NS_PER_S;
}

/* To the nearest second: the two clocks are never read at quite the same moment, and a time should
 * not look like another one when it is asked for again. */
static int64_t wall_of(const struct locks_view *view, uint64_t s)
{
	int64_t ms = view->wall_ms + (int64_t)(s * 1000) - (int64_t)(view->now_ns / NS_PER_MS);

	return (ms + 500) / 1000 * 1000;
}

static void put_address(struct json_write *json, const struct limits_prefix *prefix)
{
	struct netaddr address = {.family = prefix->family};
	struct buf text;

	memcpy(address.ip, prefix->ip, sizeof(address.ip));
	buf_init(&text, 64);
	netaddr_add_ip(&text, &address);
	if (prefix->family == NETADDR_V6)
		buf_printf(&text, "/%u", prefix->bits);
	json_put_string(json, "address", buf_span(&text));
	buf_done(&text);
}

static void put_time(
	struct json_write *json, const char *key, const struct locks_view *view, uint64_t s)
{
	if (s)
		json_put_time(json, key, wall_of(view, s));
	else
		json_put_null(json, key);
}

static void put(struct listing *listing, const struct limits_seen *seen, struct span name)
{
	static const char *const kinds[] = {[LIMITS_OF_ADDRESS] = "address",
		[LIMITS_OF_SITE] = "site",
		[LIMITS_OF_ACCOUNT] = "account",
		[LIMITS_OF_PAIR] = "pair"};
	struct json_write *json = &listing->json;

	json_open_object(json, NULL);
	json_put_str(json, "kind", kinds[seen->kind]);
	if (seen->kind == LIMITS_OF_ACCOUNT)
		json_put_null(json, "address");
	else
		put_address(json, &seen->client);
	if (name.n)
		json_put_string(json, "account", name);
	else
		json_put_null(json, "account");
	json_put_u64(json, "failures", seen->failures);
	put_time(json, "since", listing->view, seen->since_s);
	put_time(json, "last", listing->view, seen->last_s);
	put_time(json, "blocked_until", listing->view, seen->blocked_until_s);
	json_close_object(json);
}

static void each(void *context, const struct limits_seen *seen)
{
	struct listing *listing = context;
	const struct roster *roster = listing->view->roster;

	if (listing->only &&
		(!seen->account || memcmp(seen->account, listing->only, LIMITS_DIGEST) != 0))
		return;
	if (listing->shown == LOCKS_SHOWN) {
		listing->more++;
		return;
	}
	listing->shown++;
	put(listing, seen,
		seen->account && roster ? roster_name(roster, seen->account) : SPAN_NONE);
}

static void list(const struct locks_view *view, const uint8_t *only, struct buf *out)
{
	struct listing listing = {.view = view, .only = only};

	json_write_init(&listing.json, out);
	json_open_object(&listing.json, NULL);
	json_open_array(&listing.json, "locks");
	limits_see(view->limits, now_of(view), true, each, &listing);
	limits_see(view->limits, now_of(view), false, each, &listing);
	json_close_array(&listing.json);
	json_put_u64(&listing.json, "more", listing.more);
	json_put_u64(&listing.json, "nobodies", limits_see_nobodies(view->limits, now_of(view)));
	json_close_object(&listing.json);
}

static void lift(const struct locks_view *view, const struct keys_locks *question,
	const uint8_t *account, struct buf *out)
{
	uint32_t count = account ? limits_lift_account(view->limits, account, now_of(view))
				 : limits_lift_address(view->limits, &question->address,
					   question->bits, now_of(view));
	struct json_write json;

	json_write_init(&json, out);
	json_open_object(&json, NULL);
	json_put_u64(&json, "lifted", count);
	json_close_object(&json);
}

bool locks_answer(const struct locks_view *view, struct span bytes, struct buf *out)
{
	struct keys_locks question;
	uint8_t digest[KEYED_DIGEST];

	if (keys_get_locks(bytes, &question) != 0)
		return false;
	if (question.account.n)
		keys_digest_name(view->keyed, question.account, digest);
	if (question.op == KEYS_LOCKS_LIFT)
		lift(view, &question, question.account.n ? digest : NULL, out);
	else
		list(view, question.account.n ? digest : NULL, out);
	return true;
}
