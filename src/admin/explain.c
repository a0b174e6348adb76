/* explain: what would happen to a message. */
#include "route/explain.h"

#include "admin/core.h"
#include "base/err.h"

#include <stdlib.h>

#define EXPLAIN_TEXT (1u << 20)
#define EXPLAIN_WHY  4096

static void reply(struct door *door, const struct explain *explain)
{
	struct buf text;

	buf_init(&text, EXPLAIN_TEXT);
	explain_text(explain, &text);
	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "text", buf_span(&text));
	explain_json(explain, &door->json);
	json_close_object(&door->json);
	bool shown = buf_ok(&text);
	buf_done(&text);
	if (shown)
		door_reply(door);
	else
		door_refuse(door, err_text(ERR_NOMEM));
}

/* The decision again, as it is now, with what delivery said: a question to DNS may take a while,
 * and the right to relay may depend on the answer. */
static void go_on(struct door *door, struct span hosts, bool asked);

static void hosts_heard(struct door *door, struct span json)
{
	go_on(door, json.n ? json : SPAN("{\"error\":\"delivery does not answer\"}"), true);
}

static void ask_for_hosts(struct door *door, const struct explain *explain)
{
	struct json_write json;
	struct buf request;

	buf_init(&request, EXPLAIN_TEXT);
	json_write_init(&json, &request);
	json_open_object(&json, NULL);
	json_put_str(&json, "op", "hosts");
	json_put_string(&json, "transport", explain->decision.transport.name);
	json_put_string(&json, "domain", explain->decision.domain);
	json_close_object(&json);
	if (buf_ok(&request))
		door_ask(door, buf_span(&request), hosts_heard);
	else
		door_refuse(door, err_text(ERR_NOMEM));
	buf_done(&request);
}

/* Is there an account of this name that has no password? */
static bool lacks_password(const struct door *door, struct span user)
{
	const struct object *account;
	int64_t changed_ms = 0;
	struct buf why;

	buf_init(&why, EXPLAIN_WHY);
	bool lacks = user.n &&
		     objects_look_up(directory_objects(door->admin->directory), OBJECT_ACCOUNT,
			     span_trim(user), &why, &account) == 0 &&
		     store_secret_time(directory_store(door->admin->directory), SECRET_ACCOUNT,
			     account->name, &changed_ms, &why) == 0 &&
		     !changed_ms;
	buf_done(&why);
	return lacks;
}

static void go_on(struct door *door, struct span hosts, bool asked)
{
	struct admin *admin = door->admin;
	struct explain_query query = {
		.client = request_text(door, "client"),
		.listener = request_text(door, "listener"),
		.user = request_text(door, "user"),
		.no_password = lacks_password(door, request_text(door, "user")),
		.sender = request_text(door, "from"),
		.recipient = request_text(door, "to"),
		.certificate = request_text(door, "certificate"),
		.tls = request_flag(door, "tls"),
		.hosts = hosts,
	};
	struct explain *explain = calloc(1, sizeof(*explain));
	struct buf why;

	if (!explain) {
		door_refuse(door, err_text(ERR_NOMEM));
		return;
	}
	buf_init(&why, EXPLAIN_WHY);
	if (explain_run(admin->snapshot, admin->config.route, admin->config.config, &query, explain,
		    &why)) {
		door_refuse_span(door, buf_span(&why));
	} else if (!asked && explain_wants_hosts(explain)) {
		ask_for_hosts(door, explain);
	} else {
		if (asked && explain_wants_hosts(explain))
			explain_hosts(explain, hosts);
		reply(door, explain);
	}
	buf_done(&why);
	free(explain);
}

void cmd_explain(struct door *door)
{
	go_on(door, SPAN_NONE, false);
}
