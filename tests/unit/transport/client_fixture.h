/* A client with its owner played by the test: what it was told, and one job. */
#ifndef TESTS_TRANSPORT_CLIENT_FIXTURE_H
#define TESTS_TRANSPORT_CLIENT_FIXTURE_H

#include "base/check.h"
#include "fake_io.h"

#include "transport/client.h"

#define RCPTS 300

static const struct config_timeouts timeouts = {
	.connect = 30000,
	.greeting = 300000,
	.ehlo = 60000,
	.mail = 61000,
	.rcpt = 62000,
	.data = 63000,
	.body = 64000,
	.body_end = 600000,
	.rset = 20000,
	.quit = 5000,
	.idle = 60000,
};

#define EHLO_ALL                                                                              \
	"250-mx.example greets you\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n" \
	"250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250 ENHANCEDSTATUSCODES\r\n"
#define EHLO_PLAIN "250-mx.example\r\n250 PIPELINING\r\n"
#define EHLO_SLOW  "250 mx.example\r\n" /* not even PIPELINING */

struct scene {
	struct fake_io f;
	struct client *client;
	/* what the owner was told */
	int ready, done, failed, gone;
	struct client_caps caps;
	struct verdict verdict;
	enum client_stage stage;
	bool send_again;  /* done() sends the job once more at once */
	bool close_in_it; /* every callback closes the client */
	/* the job */
	struct fake_file file;
	struct envelope envelope;
	struct envelope_rcpt rcpts[RCPTS];
	uint32_t picks[RCPTS];
	struct client_result results[RCPTS];
	struct client_job job;
	char names[RCPTS][32];
};

static inline void maybe_close(struct scene *s)
{
	if (s->close_in_it)
		client_close(&s->client, false);
}

static void on_ready(void *owner, const struct client_caps *caps)
{
	struct scene *s = owner;
	s->ready++;
	s->caps = *caps;
	maybe_close(s);
}

static void on_done(void *owner, struct client_job *job)
{
	struct scene *s = owner;
	s->done++;
	assert_ptr_equal(job, &s->job);
	if (s->send_again && job->usable) {
		s->send_again = false;
		client_send(s->client, job);
		return;
	}
	maybe_close(s);
}

static void on_failed(
	void *owner, struct client_job *job, const struct verdict *verdict, enum client_stage stage)
{
	struct scene *s = owner;
	s->failed++;
	assert_true(job == NULL || job == &s->job);
	maybe_close(s);
	s->verdict = *verdict; /* still there after the close */
	s->stage = stage;
}

static void on_gone(void *owner)
{
	struct scene *s = owner;
	s->gone++;
	maybe_close(s);
}

static const struct client_ops ops = {on_ready, on_done, on_failed, on_gone};

/* The body as stored; its closing ".\r\n" is put behind it. */
static inline void message(struct scene *s, const char *stored, uint32_t flags)
{
	size_t n = strlen(stored);
	char *bytes = malloc(n + 8);

	CHECK(bytes);
	memcpy(bytes, "log:", 4); /* a body is never at the start of its file */
	memcpy(bytes + 4, stored, n);
	memcpy(bytes + 4 + n, ".\r\n", 3);
	free((void *)(uintptr_t)s->file.bytes);
	fake_file_init(&s->file, bytes, n + 7);
	s->envelope.flags = flags;
	s->envelope.body_bytes = n;
	s->job.body = (struct spool_body){.file = &s->file.file, .offset = 4, .bytes = n};
}

static inline void recipients(struct scene *s, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		snprintf(s->names[i], sizeof(s->names[i]), "r%u@b.example", i);
		s->rcpts[i] = (struct envelope_rcpt){.address = span_str(s->names[i])};
		s->picks[i] = i;
	}
	s->envelope.rcpts = s->rcpts;
	s->envelope.rcpt_count = count;
	s->job.pick_count = count;
}

/* Of `how` the protection of the link is taken, and the rest filled in. */
static inline struct scene *begin_with(struct client_config how)
{
	struct scene *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fake_init(&s->f);
	how.peer_name = SPAN("mx.example");
	how.helo = SPAN("gw.example");
	how.timeouts = &timeouts;
	assert_int_equal(netaddr_parse(SPAN("192.0.2.1:25"), 0, &how.peer), 0);
	assert_int_equal(client_new(&s->f.io, &how, &ops, s, &s->client), 0);
	s->envelope.sender = SPAN("a@a.example");
	s->envelope.prepend = SPAN("Received: by gw\r\n");
	s->job.envelope = &s->envelope;
	s->job.picks = s->picks;
	s->job.results = s->results;
	recipients(s, 1);
	message(s, "Subject: x\r\n\r\nhello\r\n", 0);
	return s;
}

static inline struct scene *begin(void)
{
	return begin_with((struct client_config){0});
}

static inline void end(struct scene *s)
{
	client_close(&s->client, false);
	free((void *)(uintptr_t)s->file.bytes);
	fake_done(&s->f);
	free(s);
}

static inline void connects(struct scene *s)
{
	s->f.handler->connected(s->f.owner, 0);
}

/* As far as ready(). */
static inline struct scene *greeted(const char *ehlo)
{
	struct scene *s = begin();

	connects(s);
	says(&s->f, "220 mx.example ESMTP\r\n");
	expects(&s->f, "EHLO gw.example\r\n");
	says(&s->f, ehlo);
	assert_int_equal(s->ready, 1);
	s->f.sends = s->f.files = 0;
	return s;
}

#define verdict_is(s, i, kind_, code_)                                   \
	do {                                                             \
		assert_false((s)->results[i].not_tried);                 \
		assert_int_equal((s)->results[i].verdict.kind, (kind_)); \
		assert_int_equal((s)->results[i].verdict.code, (code_)); \
	} while (0)

#define text_has(verdict, part) \
	assert_non_null(memmem((verdict).text, (verdict).length, (part), strlen(part)))

#endif
