/*
 * Queue work of any bytes, one request a line, over a queue with something of each kind in it.
 * Every reply is one JSON object, and every invariant of the queue holds afterwards.
 */
#include "world.h"

#include <jansson.h>

#define REQUESTS 32 /* of one input that are played */
#define BODY	 "Subject: hello\r\n\r\nhello\r\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fill(struct world *w)
{
	strcpy(w->dead[0], "192.0.2.1");
	world_send(w, "a@client.example", "b@site.example c@site.example", BODY);
	world_send(w, "", "d@site.example/never", BODY);
	world_send(w, "e@client.example", "f@site.example g@other.example/delay", BODY);
	world_pass(w, 2 * MINUTE);
}

static void ask(struct world *w, struct span request)
{
	struct buf reply;

	if (delivery_hosts(w->d, 1, request)) {
		world_settle(w);
		return;
	}
	buf_init(&reply, 64u << 20);
	delivery_control(w->d, request, &reply);
	CHECK(buf_ok(&reply));
	json_t *value = json_loadb(reply.p, reply.n, JSON_REJECT_DUPLICATES, NULL);
	CHECK(json_is_object(value));
	json_decref(value);
	buf_done(&reply);
	world_settle(w);
	world_sound(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct world *w = calloc(1, sizeof(*w));

	CHECK(w);
	world_init(w);
	fill(w);
	for (uint32_t i = 0; in.n && i < REQUESTS; i++) {
		size_t line = span_find(in, '\n');

		ask(w, span_of(in.p, line));
		in = span_skip(in, MIN(in.n, line + 1));
	}
	world_done(w);
	free(w);
	return 0;
}
