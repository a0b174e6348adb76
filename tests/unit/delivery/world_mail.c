/* Messages that come in. */
#include "world_parts.h"

void world_on_notice(void *context, const struct spool_notice *notice)
{
	struct world *w = context;

	delivery_notice(w->d, notice);
}

void world_on_writer_health(void *context, enum spool_health health)
{
	(void)context;
	(void)health;
}

static void committed(void *owner, int err)
{
	*(int *)owner = err;
}

static uint8_t notify_of(const char *word)
{
	if (strcmp(word, "success") == 0)
		return NOTIFY_SUCCESS;
	if (strcmp(word, "never") == 0)
		return NOTIFY_NEVER;
	if (strcmp(word, "delay") == 0)
		return NOTIFY_DELAY;
	return NOTIFY_FAILURE;
}

uint64_t world_send(struct world *w, const char *from, const char *rcpts, const char *body)
{
	static struct envelope_rcpt list[4096];
	char *copy = strdup(rcpts), *save = NULL;
	struct envelope envelope = {
		.arrived_ms = w->io.wall_ms,
		.helo = SPAN("client.example"),
		.listener = SPAN("mx"),
		.protocol = SPAN("ESMTP"),
		.user = span_str(w->user ? w->user : ""),
		.sender = span_str(from),
		.ret = w->ret,
		.flags = w->flags | (w->stuffed ? ENVELOPE_BODY_STUFFED : 0),
		.prepend = SPAN("Received: from client.example by gw.example.test;\r\n"
				"\tSat, 1 Jan 2028 00:00:00 +0000\r\n"),
		.rcpts = list,
	};
	const char *blank = strstr(body, "\r\n\r\n");
	struct spool_draft *draft;
	int done = 1;

	for (char *at = strtok_r(copy, " ", &save); at; at = strtok_r(NULL, " ", &save)) {
		char *slash = strchr(at, '/');

		CHECK(envelope.rcpt_count < ARRAY_SIZE(list));
		struct envelope_rcpt *rcpt = &list[envelope.rcpt_count++];
		*rcpt = (struct envelope_rcpt){.notify = NOTIFY_DEFAULT};
		if (slash) {
			rcpt->notify = notify_of(slash + 1);
			*slash = '\0';
		}
		rcpt->address = span_str(at);
	}
	envelope.header_bytes = blank ? (uint64_t)(blank + 4 - body) : strlen(body);
	if (w->bad_envelopes)
		envelope.header_bytes += 1000;
	CHECK(!netaddr_parse_ip(SPAN("203.0.113.7"), &envelope.client));
	CHECK(!spool_draft_new(w->writer, &draft));
	for (size_t at = 0, n = strlen(body); at < n;) {
		struct iovec room = spool_draft_room(draft, NULL, NULL);
		size_t take = MIN(room.iov_len, n - at);

		memcpy(room.iov_base, body + at, take);
		CHECK(!spool_draft_wrote(draft, take));
		at += take;
	}
	CHECK(!spool_draft_commit(draft, &envelope, committed, &done));
	bool held = w->jobs_wait;
	w->jobs_wait = false;
	for (int i = 0; done == 1 && i < 20; i++) {
		world_run_job(w, IO_LANE_COMMIT);
		io_turns_run(&w->io);
	}
	/* A new file is made by another lane, in a while. */
	for (int i = 0; done == 1 && i < 1000; i++)
		world_pass(w, 10);
	w->jobs_wait = held;
	if (done != 0)
		fail_msg("committed: %d", done);
	free(copy);
	world_settle(w);
	return envelope.id;
}
