/*
 * What status says of the queue as a whole: since when the oldest message waits, and how many
 * destinations are down. Delivery is asked, one question after the other; what it does not answer
 * is left out.
 */
#include "admin/core.h"

#include "base/check.h"
#include "base/text.h"

#include <stdio.h>

/*
 * Ids stand in the order in which the files of the spool were begun, so the oldest message is among
 * the first; only while several workers fill their files at the same time it may be some places
 * further on. Those whose envelope is damaged have no age.
 */
#define OLDEST_REQUEST "{\"op\":\"list\",\"filter\":\"age>=0s\",\"limit\":20}"

#define PAGES_MOST 40 /* of transports; more are not counted */

static json_t *parsed(struct span answer)
{
	json_error_t error;

	return answer.n ? json_loadb(answer.p, answer.n, 0, &error) : NULL;
}

static void go_on(struct door *door)
{
	void (*then)(struct door * door) = door->status.then;

	json_close_object(&door->json);
	then(door);
}

static void oldest_heard(struct door *door, struct span answer)
{
	json_t *reply = parsed(answer);
	const json_t *messages = json_object_get(reply, "messages");
	json_int_t age = -1;
	const char *arrived = NULL;

	for (size_t i = 0; i < json_array_size(messages); i++) {
		const json_t *one = json_array_get(messages, i);
		const char *time = json_string_value(json_object_get(one, "arrived"));

		if (!time || json_integer_value(json_object_get(one, "age_s")) <= age)
			continue;
		age = json_integer_value(json_object_get(one, "age_s"));
		arrived = time;
	}
	if (arrived) {
		json_put_string(&door->json, "oldest", span_str(arrived));
		json_put_i64(&door->json, "oldest_age_s", age);
	}
	json_decref(reply);
	go_on(door);
}

static void ask_page(struct door *door, json_int_t after);

static void page_heard(struct door *door, struct span answer)
{
	struct door_status *status = &door->status;
	json_t *reply = parsed(answer);
	const json_t *groups = json_object_get(reply, "groups");
	const json_t *after = json_object_get(reply, "after");
	json_int_t next = json_integer_value(after);

	for (size_t i = 0; i < json_array_size(groups); i++) {
		const json_t *one = json_array_get(groups, i);

		status->destinations += json_integer_value(json_object_get(one, "destinations"));
		status->down += json_integer_value(json_object_get(one, "destinations_down"));
	}
	bool answered = groups != NULL;

	json_decref(reply);
	if (!answered || door->gone) {
		go_on(door);
	} else if (next > 0 && ++status->pages < PAGES_MOST) {
		ask_page(door, next);
	} else {
		json_put_i64(&door->json, "destinations", status->destinations);
		json_put_i64(&door->json, "destinations_down", status->down);
		door_ask(door, SPAN(OLDEST_REQUEST), oldest_heard);
	}
}

static void ask_page(struct door *door, json_int_t after)
{
	char request[100];

	snprintf(request, sizeof(request),
		"{\"op\":\"summary\",\"by\":\"transport\",\"after\":%lld}", (long long)after);
	door_ask(door, span_str(request), page_heard);
}

void status_ask_queue(struct door *door, void (*then)(struct door *door))
{
	door->status.then = then;
	json_open_object(&door->json, "queue");
	ask_page(door, 0);
}
