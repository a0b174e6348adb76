/*
 * A hostile server against the whole client machine: the input is what it says, and when it stalls,
 * takes nothing, or hangs up. Whatever happens: every recipient of every job gets a result or is
 * not tried, OK is only said after the whole body went out, and the owner hears of each job exactly
 * once.
 */
#include "../unit/transport/fake_plain.h"

#include "transport/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RCPTS 3

struct owner {
	struct fake_io f;
	struct client *client;
	struct fake_file file;
	struct envelope envelope;
	struct envelope_rcpt rcpts[RCPTS];
	uint32_t picks[RCPTS];
	struct client_result results[RCPTS];
	struct client_job job;
	bool under_way, over;
	unsigned jobs;
};

static void send_job(struct owner *o)
{
	o->under_way = true;
	o->jobs++;
	o->f.sent_n = 0;
	client_send(o->client, &o->job);
}

static void check_job(struct owner *o, const struct client_job *job, bool may_be_ok)
{
	CHECK(o->under_way && job == &o->job);
	o->under_way = false;
	for (uint32_t i = 0; i < job->pick_count; i++) {
		const struct client_result *r = &job->results[i];
		CHECK(r->not_tried || r->verdict.code);
		CHECK(may_be_ok || r->not_tried || r->verdict.kind != VERDICT_OK);
		/* base64 hides it */
		if (!r->not_tried && r->verdict.kind == VERDICT_OK && !job->converted)
			CHECK(memmem(o->f.sent, o->f.sent_n, "last line", 9));
	}
}

static void on_ready(void *owner, const struct client_caps *caps)
{
	(void)caps;
	send_job(owner);
}

static void on_done(void *owner, struct client_job *job)
{
	struct owner *o = owner;

	check_job(o, job, true);
	if (!job->usable)
		o->over = true;
	else if (o->jobs < 4)
		send_job(o);
}

static void on_failed(
	void *owner, struct client_job *job, const struct verdict *verdict, enum client_stage stage)
{
	struct owner *o = owner;

	CHECK(client_stage_name(stage) && verdict->kind == VERDICT_TEMPORARY && verdict->code);
	CHECK((job != NULL) == o->under_way);
	if (job)
		check_job(o, job, false);
	o->over = true;
}

static void on_gone(void *owner)
{
	((struct owner *)owner)->over = true;
}

static const struct client_ops client_ops = {on_ready, on_done, on_failed, on_gone};

static const char *const bodies[] = {
	"Subject: x\r\n\r\nlast line\r\n.\r\n",
	"Subject: x\r\n\r\n..\r\n\xe4 last line\r\n.\r\n",
	"Subject: x\r\n\r\n.\r\nlast line.\r\n",
	"Content-Type: text/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\xff\nlast line\r\n.\r\n",
};
static const uint32_t body_flags[] = {
	0,
	ENVELOPE_BODY_STUFFED | ENVELOPE_BODY_8BIT,
	ENVELOPE_BODY_DOTS | ENVELOPE_BODY_OPEN_END,
	ENVELOPE_BINARYMIME | ENVELOPE_BODY_BARE | ENVELOPE_BODY_8BIT,
};

/* In a world of its own, so that nothing is left between two inputs. */
static void set_up(struct owner *o, uint8_t kind)
{
	static const struct config_timeouts timeouts = {1000, 1000, 1000, 1000, 1000, 1000, 1000,
		1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
	struct client_config config = {.helo = SPAN("gw"), .timeouts = &timeouts};
	const char *body = bodies[kind & 3];

	fake_init(&o->f);
	fake_file_init(&o->file, body, strlen(body));
	o->envelope = (struct envelope){.sender = SPAN("a@b"),
		.flags = body_flags[kind & 3],
		.rcpts = o->rcpts,
		.rcpt_count = RCPTS};
	for (uint32_t i = 0; i < RCPTS; i++) {
		o->rcpts[i].address = kind & 4 && i == 1 ? SPAN("\xc3\xa4@x") : SPAN("r@x");
		o->picks[i] = i;
	}
	o->job = (struct client_job){.envelope = &o->envelope,
		.picks = o->picks,
		.pick_count = RCPTS,
		.results = o->results,
		.body = {.file = &o->file.file, .bytes = strlen(body) - 3}};
	CHECK(client_new(&o->f.io, &config, &client_ops, o, &o->client) == 0);
	o->f.handler->connected(o->f.owner, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owner o = {0};

	if (size < 1)
		return 0;
	set_up(&o, data[0]);
	for (size_t i = 1; i < size && o.f.open && !o.over; i++) {
		const char *p = (const char *)data + i;
		size_t n = 0;

		switch (data[i]) {
		case 0: passes(&o.f, 500); continue;
		case 1: o.f.stuck = true; continue;
		case 2:
			o.f.stuck = false;
			drains(&o.f);
			continue;
		case 3: hangs_up(&o.f, 0); continue;
		case 4: o.file.broken = true; continue;
		default: break;
		}
		while (i + n < size && data[i + n] > 4)
			n++;
		says_n(&o.f, p, n);
		i += n - 1;
	}
	CHECK(!o.over || !o.under_way);
	if (!o.over && o.under_way && o.f.open) {
		o.f.unsent = 0;
		for (int i = 0; i < 60 && !o.over; i++)
			passes(&o.f, 1000);
		CHECK(o.over); /* no stall is for ever */
	}
	client_close(&o.client, true);
	fake_done(&o.f);
	return 0;
}
