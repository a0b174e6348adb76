/*
 * A hostile server against the whole client machine: the input is what it says, and when it stalls,
 * takes nothing, or hangs up, and how a handshake ends. Whatever happens: every recipient of every
 * job gets a result or is not tried, OK is only said after the whole body went out, and the owner
 * hears of each job exactly once; mail that needs a protected link, and passwords, go over no
 * other.
 *
 * The first byte says which body (3), an address in UTF-8 (4), STARTTLS where it is offered (8) or
 * always (16), AUTH (32), REQUIRETLS (64), a link with a channel binding (128).
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
	struct client_config config;
	struct tls_info info;
};

/* Nothing may go out in clear that must not. */
static void check_clear(const struct owner *o)
{
	if (o->f.secured || !o->f.sent_n)
		return;
	CHECK(!memmem(o->f.sent, o->f.sent_n, "AUTH ", 5));
	if (o->config.tls == CLIENT_TLS_MUST || (o->envelope.flags & ENVELOPE_REQUIRETLS))
		CHECK(!memmem(o->f.sent, o->f.sent_n, "MAIL ", 5));
}

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
	struct owner *o = owner;
	struct client_security security;

	(void)caps;
	client_security(o->client, &security);
	CHECK(security.tls == o->f.secured);
	CHECK(!security.verified || security.tls);
	CHECK(security.tls || o->config.tls != CLIENT_TLS_MUST);
	CHECK(security.authenticated == (o->config.sasl_user.n != 0));
	CHECK(!security.authenticated || security.tls);
	check_clear(o);
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
	static const struct tls_client checked = {.check = TLS_CHECK_CHAIN};
	static const struct config_timeouts timeouts = {1000, 1000, 1000, 1000, 1000, 1000, 1000,
		1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
	const char *body = bodies[kind & 3];

	o->config = (struct client_config){
		.helo = SPAN("gw"), .timeouts = &timeouts, .security = &checked};
	if (kind & (8 | 16))
		o->config.tls = kind & 16 ? CLIENT_TLS_MUST : CLIENT_TLS_MAY;
	if (kind & 32) {
		o->config.sasl_user = SPAN("gw");
		o->config.sasl_secret = SPAN("pencil");
	}
	o->info.has_binding = kind & 128;

	fake_init(&o->f);
	fake_file_init(&o->file, body, strlen(body));
	o->envelope = (struct envelope){.sender = SPAN("a@b"),
		.flags = body_flags[kind & 3] | (kind & 64 ? ENVELOPE_REQUIRETLS : 0),
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
	CHECK(client_new(&o->f.io, &o->config, &client_ops, o, &o->client) == 0);
	o->f.handler->connected(o->f.owner, 0);
}

/* The handshake that is under way ends, or the helper thread does its work. */
static void goes_on(struct owner *o, bool well)
{
	if (o->f.job) {
		works(&o->f);
	} else if (o->f.securing) {
		o->info.failure = well ? TLS_FINE : TLS_NAME;
		handshakes(&o->f, well ? 0 : ERR_DENIED, &o->info);
	}
}

/* What the server says up to the next byte that is a command to this program. */
static size_t speaks(struct owner *o, const uint8_t *data, size_t size)
{
	size_t n = 0;

	while (n < size && data[n] > 6)
		n++;
	/* In clear; whoever speaks TLS at the moment does not hear it. */
	if (!o->f.securing)
		says_n(&o->f, (const char *)data, n);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owner o = {0};

	if (size < 1)
		return 0;
	set_up(&o, data[0]);
	for (size_t i = 1; i < size && o.f.open && !o.over; i++) {
		check_clear(&o);
		switch (data[i]) {
		case 0: passes(&o.f, 500); continue;
		case 1: o.f.stuck = true; continue;
		case 2:
			o.f.stuck = false;
			drains(&o.f);
			continue;
		case 3: hangs_up(&o.f, 0); continue;
		case 4: o.file.broken = true; continue;
		case 5:
		case 6: goes_on(&o, data[i] == 5); continue;
		default: i += speaks(&o, data + i, size - i) - 1; continue;
		}
	}
	check_clear(&o);
	CHECK(!o.over || !o.under_way);
	if (!o.over && o.under_way && o.f.open) {
		o.f.unsent = 0;
		for (int i = 0; i < 60 && !o.over; i++)
			passes(&o.f, 1000);
		CHECK(o.over); /* no stall is for ever */
	}
	client_close(&o.client, true);
	if (o.f.job)
		works(&o.f); /* nobody waits for it any more */
	fake_done(&o.f);
	return 0;
}
