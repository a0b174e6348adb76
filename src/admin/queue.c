/*
 * Requests that other roles answer: queue work (delivery), status (all). A role that is just being
 * restarted does not answer; the reply says so instead of waiting for ever.
 */
#include "admin/core.h"

#include "base/err.h"

#include <stdlib.h>

static void hear(struct door *door, struct span json)
{
	void (*heard)(struct door *, struct span) = door->heard;

	door->heard = NULL;
	door->awaited = 0;
	heard(door, json);
}

static void late(struct timer *timer)
{
	struct door *door = (struct door *)(void *)((char *)timer - offsetof(struct door, timer));

	if (door->status) {
		json_close_object(&door->json); /* roles */
		json_put_str(&door->json, "problem", "not every role answered in time");
		json_close_object(&door->json);
		door_reply(door);
		return;
	}
	if (door->heard)
		hear(door, SPAN_NONE);
	else
		door_refuse(door, "delivery does not answer; see the log, and posternctl status");
}

static void wait_for(struct door *door, uint32_t answers)
{
	door->awaited = answers;
	door->timer.fire = late;
	if (io_timer_after(door->admin->config.io, &door->timer, ADMIN_ANSWER_MS)) {
		door->heard = NULL;
		door_refuse(door, "out of memory");
	}
}

void door_ask(
	struct door *door, struct span request, void (*heard)(struct door *door, struct span json))
{
	struct admin *admin = door->admin;

	door->ticket = ++admin->tickets;
	door->status = false;
	door->heard = heard;
	if (admin->config.ask_delivery(admin->config.context, door->ticket, request))
		hear(door, SPAN_NONE);
	else
		wait_for(door, 1);
}

void cmd_queue(struct door *door)
{
	struct admin *admin = door->admin;
	json_t *request = json_object_get(door->request, "request");

	if (!json_is_object(request)) {
		door_refuse(door, "request: an object is needed");
		return;
	}
	/* Who does it is not for the client to say. */
	bool named = json_object_set_new(request, "by", json_string(door->actor)) == 0;
	char *text = named ? json_dumps(request, JSON_COMPACT) : NULL;
	door->ticket = ++admin->tickets;
	door->status = false;
	int err = text ? admin->config.ask_delivery(
				 admin->config.context, door->ticket, span_str(text))
		       : ERR_NOMEM;
	free(text);
	if (err)
		door_refuse(door,
			err == ERR_CLOSED  ? "delivery is just being started again; try again in a "
					     "moment"
			: err == ERR_LIMIT ? "the request is too long for delivery, or too much "
					     "waits for it; try again in a moment"
					   : err_text(err));
	else
		wait_for(door, 1);
}

void cmd_status(struct door *door)
{
	struct admin *admin = door->admin;
	const struct objects *objects = directory_objects(admin->directory);
	const struct object *pause = objects_pause(objects, PAUSE_ALL, SPAN_NONE);
	uint32_t asked = 0;

	json_open_object(&door->json, NULL);
	json_put_string(&door->json, "hostname", admin->config.config->hostname);
	json_open_object(&door->json, "directory");
	json_put_u64(&door->json, "generation", directory_generation(admin->directory));
	json_put_u64(&door->json, "transports", objects_count(objects, OBJECT_TRANSPORT));
	json_put_u64(&door->json, "domains", objects_count(objects, OBJECT_DOMAIN));
	json_put_u64(&door->json, "accounts", objects_count(objects, OBJECT_ACCOUNT));
	json_close_object(&door->json);
	if (pause) {
		json_open_object(&door->json, "paused");
		json_put_time(&door->json, "since", object_pause(pause)->since_ms);
		json_put_string(&door->json, "by", object_pause(pause)->by);
		json_put_string(&door->json, "reason", object_pause(pause)->reason);
		json_close_object(&door->json);
	}
	json_open_object(&door->json, "roles");
	door->status = true;
	door->ticket = ++admin->tickets;
	if (!admin->config.ask_delivery(
		    admin->config.context, door->ticket, SPAN("{\"op\":\"status\"}")))
		asked++;
	asked += admin->config.ask_smtpds(admin->config.context, door->ticket);
	if (asked) {
		wait_for(door, asked);
		return;
	}
	json_close_object(&door->json);
	json_put_str(&door->json, "problem", "no other role is running at the moment; see the log");
	json_close_object(&door->json);
	door_reply(door);
}

/* What a role says goes into the reply as it is: it must be one JSON value. A worker talks to
 * strangers all day and is not believed. */
static bool is_json_object(struct span text)
{
	json_error_t error;
	json_t *value = json_loadb(text.n ? text.p : "", text.n, 0, &error);
	bool is = json_is_object(value);

	json_decref(value);
	return is && span_find(text, '\n') == text.n;
}

void queue_answered(struct door *door, struct span who, struct span json)
{
	bool fits = is_json_object(json);

	if (door->heard) {
		hear(door, fits ? json : SPAN_NONE);
		return;
	}
	if (!door->status) {
		if (!fits) {
			door_refuse(
				door, "delivery gave an answer that cannot be read; see the log");
			return;
		}
		buf_clear(&door->out);
		buf_add_span(&door->out, json);
		door_reply(door);
		return;
	}
	char name[64];
	size_t n = who.n < sizeof(name) - 1 ? who.n : sizeof(name) - 1;

	memcpy(name, who.p, n);
	name[n] = '\0';
	json_put_raw(&door->json, name,
		fits ? json : SPAN("{\"problem\":\"its answer cannot be read\"}"));
	if (--door->awaited)
		return;
	json_close_object(&door->json);
	json_close_object(&door->json);
	door_reply(door);
}
