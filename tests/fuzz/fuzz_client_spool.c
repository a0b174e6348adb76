/*
 * A hostile spool against the SMTP client: envelope and body are the input, and the body may be
 * another one at the second reading. The hop is honest but careless: it takes any CR or LF for a
 * line end and leaves NULs out. Whatever the input: what it gets after DATA is one message that
 * ends where we end it, or a message without an end and a closed connection; after BDAT, what was
 * announced or a closed connection.
 */
#include "../unit/transport/fake_plain.h"

#include "transport/client.h"

#include <inttypes.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EHLO_EVERYTHING                                                \
	"250-mx\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250-8BITMIME\r\n" \
	"250-CHUNKING\r\n250 BINARYMIME\r\n"

static const char *const ehlos[] = {
	"250 mx\r\n",
	"250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
	"250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 CHUNKING\r\n",
	EHLO_EVERYTHING,
};

struct owner {
	struct fake_io f;
	struct client *client;
	struct fake_file file;
	struct envelope envelope;
	struct envelope_rcpt rcpt;
	struct client_result result;
	struct client_job job;
	uint32_t pick;
	bool ready, over;
};

static void on_ready(void *owner, const struct client_caps *caps)
{
	(void)caps;
	((struct owner *)owner)->ready = true;
}

static void on_done(void *owner, struct client_job *job)
{
	struct owner *o = owner;

	CHECK(job == &o->job && !o->over && o->result.verdict.code);
	o->over = true;
}

static void on_failed(
	void *owner, struct client_job *job, const struct verdict *verdict, enum client_stage stage)
{
	struct owner *o = owner;

	(void)verdict;
	(void)stage;
	CHECK(!o->over && (job == &o->job || !o->ready));
	o->over = true;
}

static void on_gone(void *owner)
{
	(void)owner;
	CHECK(false);
}

static const struct client_ops client_ops = {on_ready, on_done, on_failed, on_gone};

static void pass(struct owner *o)
{
	for (int i = 0; i < 40; i++)
		passes(&o->f, 0);
}

static void say(struct owner *o, const char *reply)
{
	if (!o->over)
		says(&o->f, reply);
	pass(o);
}

/* The end marks that a careless server sees in what follows the 354. */
static unsigned ends_seen(const char *p, size_t n, size_t *last)
{
	unsigned ends = 0, dots = 0, others = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\0')
			continue;
		if (p[i] != '\r' && p[i] != '\n') {
			dots += p[i] == '.';
			others += p[i] != '.';
			continue;
		}
		if (dots == 1 && !others) {
			ends++;
			*last = i;
		}
		dots = others = 0;
	}
	return ends;
}

static void check_data(struct owner *o, const char *sent, size_t n)
{
	size_t last = 0;
	unsigned ends = ends_seen(sent, n, &last);

	if (o->over) {
		CHECK(ends == 0 && !o->f.open && !o->job.usable);
		return;
	}
	CHECK(ends == 1 && n >= 3 && !memcmp(sent + n - 3, ".\r\n", 3) && last == n - 2);
}

static void check_chunk(struct owner *o, const char *sent, size_t n)
{
	uint64_t announced;
	const char *line = memchr(sent, '\n', n);

	CHECK(line && sscanf(sent, "BDAT %" SCNu64 " LAST\r", &announced) == 1);
	n -= (size_t)(line + 1 - sent);
	CHECK(n <= announced);
	CHECK(o->over ? !o->f.open && !o->job.usable : n == announced);
}

static void transaction(struct owner *o, char *second)
{
	client_send(o->client, &o->job);
	pass(o);
	say(o, "250 ok\r\n");
	say(o, "250 ok\r\n");
	if (o->over)
		return;
	bool data = o->f.sent_n >= 6 && !memcmp(o->f.sent + o->f.sent_n - 6, "DATA\r\n", 6);
	if (data) {
		forget(&o->f);
		if (second)
			o->file.bytes = second;
		say(o, "354 go\r\n");
		check_data(o, o->f.sent ? o->f.sent : "", o->f.sent_n);
	} else {
		const char *at = o->f.sent;
		for (const char *next; (next = strstr(at, "\r\n")) && strncmp(at, "BDAT", 4) != 0;)
			at = next + 2;
		check_chunk(o, at, o->f.sent_n - (size_t)(at - o->f.sent));
	}
	say(o, "250 taken\r\n");
	CHECK(o->over);
}

static void set_up(struct owner *o, uint8_t kind)
{
	static const struct config_timeouts timeouts = {1000, 1000, 1000, 1000, 1000, 1000, 1000,
		1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000, 1000};
	struct client_config config = {.helo = SPAN("gw"), .timeouts = &timeouts};

	fake_init(&o->f);
	CHECK(client_new(&o->f.io, &config, &client_ops, o, &o->client) == 0);
	o->f.handler->connected(o->f.owner, 0);
	says(&o->f, "220 mx\r\n");
	says(&o->f, ehlos[kind & 3]);
	CHECK(o->ready);
	forget(&o->f);
}

/* kind, 4 bytes of flags, length of the prepended fields, these, the body; with kind & 4 the body's
 * second half is what is found at the second reading. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct owner o = {0};

	if (size < 6 || size > 20000)
		return 0;
	uint8_t kind = data[0];
	size_t before = MIN((size_t)data[5], size - 6);
	size_t body = size - 6 - before;
	bool twice = kind & 4;

	body = twice ? body / 2 : body;
	const char *bytes = (const char *)data + 6 + before;
	memcpy(&o.envelope.flags, data + 1, sizeof(o.envelope.flags));
	o.envelope.sender = SPAN("a@b");
	o.envelope.prepend = span_of((const char *)data + 6, before);
	o.rcpt.address = SPAN("r@x");
	o.envelope.rcpts = &o.rcpt;
	o.envelope.rcpt_count = 1;
	o.envelope.body_bytes = body;
	fake_file_init(&o.file, bytes, body);
	o.job = (struct client_job){.envelope = &o.envelope,
		.picks = &o.pick,
		.pick_count = 1,
		.results = &o.result,
		.body = {.file = &o.file.file, .bytes = body}};
	set_up(&o, kind);
	transaction(&o, twice ? (char *)(uintptr_t)bytes + body : NULL);
	client_close(&o.client, false);
	fake_done(&o.f);
	return 0;
}
