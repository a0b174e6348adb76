/* How things are: what admin knows, and each role's own figures. */
#include "admin/core.h"

#include "base/check.h"

#include <stdio.h>

static void put_directory(struct door *door)
{
	struct directory *directory = door->admin->directory;
	const struct objects *objects = directory_objects(directory);

	json_open_object(&door->json, "directory");
	json_put_u64(&door->json, "generation", directory_generation(directory));
	json_put_u64(&door->json, "transports", objects_count(objects, OBJECT_TRANSPORT));
	json_put_u64(&door->json, "domains", objects_count(objects, OBJECT_DOMAIN));
	json_put_u64(&door->json, "accounts", objects_count(objects, OBJECT_ACCOUNT));
	json_close_object(&door->json);
}

static void put_listeners(struct door *door)
{
	const struct config *config = door->admin->config.config;
	struct buf address;

	buf_init(&address, 128);
	json_open_array(&door->json, "listeners");
	for (uint32_t i = 0; i < config->listener_count; i++) {
		buf_clear(&address);
		netaddr_add(&address, &config->listeners[i].address);
		json_open_object(&door->json, NULL);
		json_put_string(&door->json, "name", config->listeners[i].name);
		json_put_string(&door->json, "address", buf_span(&address));
		json_close_object(&door->json);
	}
	json_close_array(&door->json);
	buf_done(&address);
}

static void put_pause(struct json_write *json, const struct object *pause)
{
	json_put_time(json, "since", object_pause(pause)->since_ms);
	json_put_string(json, "by", object_pause(pause)->by);
	json_put_string(json, "reason", object_pause(pause)->reason);
	json_close_object(json);
}

static void put_paused(struct door *door, enum pause_scope scope, enum object_kind kind)
{
	const struct objects *objects = directory_objects(door->admin->directory);

	for (size_t i = 0; i < objects_count(objects, kind); i++) {
		struct span name = objects_at(objects, kind, i)->name;
		const struct object *pause = objects_pause(objects, scope, name);

		if (!pause)
			continue;
		json_open_object(&door->json, NULL);
		json_put_str(
			&door->json, "scope", scope == PAUSE_TRANSPORT ? "transport" : "domain");
		json_put_string(&door->json, "name", name);
		put_pause(&door->json, pause);
	}
}

static void put_pauses(struct door *door)
{
	const struct object *all =
		objects_pause(directory_objects(door->admin->directory), PAUSE_ALL, SPAN_NONE);

	if (all) {
		json_open_object(&door->json, "paused");
		put_pause(&door->json, all);
	}
	json_open_array(&door->json, "pauses");
	put_paused(door, PAUSE_TRANSPORT, OBJECT_TRANSPORT);
	put_paused(door, PAUSE_DOMAIN, OBJECT_DOMAIN);
	json_close_array(&door->json);
}

static void finish(struct door *door)
{
	json_close_object(&door->json);
	door_reply(door);
}

static void end(struct door *door, const char *problem)
{
	json_close_object(&door->json); /* roles */
	if (problem)
		json_put_str(&door->json, "problem", problem);
	if (door->status.delivery && !door->gone)
		status_ask_queue(door, finish);
	else
		finish(door);
}

static bool has_queue(struct span answer)
{
	json_error_t error;
	json_t *json = answer.n ? json_loadb(answer.p, answer.n, 0, &error) : NULL;
	bool has = json_is_object(json_object_get(json, "queue"));

	json_decref(json);
	return has;
}

static void answered(struct door *door, uint32_t party, struct span json)
{
	static const char unread[] = "{\"problem\":\"its answer cannot be read\"}";
	char name[32];

	if (party == ADMIN_DELIVERY) {
		door->status.delivery = has_queue(json);
		json_put_raw(&door->json, "delivery", json.n ? json : span_str(unread));
	} else {
		snprintf(name, sizeof(name), "smtpd %u", party - ADMIN_SMTPD(0));
		if (!status_put_worker(&door->json, name, json))
			json_put_raw(&door->json, name, span_str(unread));
	}
	if (!door->awaited)
		end(door, NULL);
}

static void late(struct door *door)
{
	end(door, "not every role answered in time");
}

static const struct asking figures = {answered, late};

void cmd_status(struct door *door)
{
	const struct admin_config *config = &door->admin->config;

	json_open_object(&door->json, NULL);
	json_put_str(&door->json, "version", config->version);
	json_put_string(&door->json, "hostname", config->config->hostname);
	json_put_time(&door->json, "started", config->began_ms);
	json_put_u64(&door->json, "uptime_s",
		(uint64_t)MAX(INT64_C(0), config->io->wall_ms - config->began_ms) / 1000);
	put_listeners(door);
	config_add_json(&door->json, "start_file", config->config);
	put_directory(door);
	put_pauses(door);
	door->status = (struct door_status){0};
	json_open_object(&door->json, "roles");
	ask_begin(door, &figures);
	(void)ask_party(door, ADMIN_DELIVERY, ADMIN_ASK_QUEUE, SPAN("{\"op\":\"status\"}"));
	for (uint32_t i = 0; i < config->config->workers; i++)
		(void)ask_party(door, ADMIN_SMTPD(i), ADMIN_ASK_FIGURES, SPAN_NONE);
	if (door->awaited)
		ask_wait(door, ADMIN_ANSWER_MS);
	else
		end(door, "no other role is running at the moment; see the log");
}
