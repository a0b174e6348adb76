/* Who changed what; and what an administrator should know about how things are. */
#include "admin/core.h"

#include "base/check.h"
#include "base/text.h"
#include "directory/check.h"

#define AUDIT_SHOWN 100
#define AUDIT_MOST  1000

/* "ann (uid 1000)", "uid 1000", "root": the number for programs. */
static void put_uid(struct json_write *json, struct span actor)
{
	static const char key[] = "uid ";
	uint64_t uid = 0;

	if (!span_equal(actor, SPAN("root"))) {
		const char *at = memmem(actor.p, actor.n, key, sizeof(key) - 1);
		if (!at)
			return;
		struct span number = span_skip(actor, (size_t)(at - actor.p) + sizeof(key) - 1);
		if (number.n && number.p[number.n - 1] == ')')
			number.n--;
		if (text_parse_u64(number, UINT32_MAX, &uid))
			return;
	}
	json_put_u64(json, "uid", uid);
}

struct listing {
	struct json_write *json;
	uint32_t left;
	bool more;
};

static bool each_audit(void *context, const struct store_audit *entry)
{
	struct listing *listing = context;
	struct json_write *json = listing->json;

	/* One more than fit is asked for. */
	listing->more = listing->left == 0;
	if (listing->more)
		return true;
	listing->left--;

	json_open_object(json, NULL);
	json_put_u64(json, "number", entry->number);
	json_put_u64(json, "generation", entry->generation);
	json_put_time(json, "time", entry->wall_ms);
	json_put_string(json, "actor", entry->actor);
	put_uid(json, entry->actor);
	json_put_string(json, "change", entry->what);
	json_close_object(json);
	return true;
}

void cmd_audit(struct door *door)
{
	uint32_t limit = MIN(request_number(door, "limit", AUDIT_SHOWN), AUDIT_MOST);
	uint32_t before = request_number(door, "before", 0);
	struct listing listing = {&door->json, limit, false};
	struct buf why;

	buf_init(&why, 4096);
	json_open_object(&door->json, NULL);
	json_open_array(&door->json, "entries");
	int err = store_audit(directory_store(door->admin->directory), before ? before : UINT64_MAX,
		limit + 1, each_audit, &listing, &why);
	json_close_array(&door->json);
	json_put_bool(&door->json, "more", listing.more);
	json_put_u64(&door->json, "limit", limit);
	json_close_object(&door->json);
	if (err)
		refuse_lines(door, err, &why);
	else
		door_reply(door);
	buf_done(&why);
}
