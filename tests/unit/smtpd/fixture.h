/* What the tests of sessions share: a world, and short words. */
#ifndef TESTS_SMTPD_FIXTURE_H
#define TESTS_SMTPD_FIXTURE_H

#include "world.h"

#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GREETING "220 gw.example.test ESMTP Postern\r\n"
#define EHLO	 "EHLO c.example\r\n"
#define CAPS                                                                            \
	"250-gw.example.test\r\n250-PIPELINING\r\n250-SIZE 1048576\r\n250-8BITMIME\r\n" \
	"250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n250-BINARYMIME\r\n"                 \
	"250-ENHANCEDSTATUSCODES\r\n250-LIMITS RCPTMAX=100 MAILMAX=100000\r\n"
#define HELP "250 HELP\r\n"

struct fixture {
	struct world world;
	struct buf text;
	struct config_listener *listener;
	struct snapshot *snapshot; /* a second generation, where the test made one */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	world_open(&f->world);
	f->listener = &f->world.config.listeners[0];
	buf_init(&f->text, 64u << 20);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	world_close(&f->world);
	if (f->snapshot)
		snapshot_release(&f->snapshot);
	buf_done(&f->text);
	free(f);
	return 0;
}

static inline void expect(struct fixture *f, struct peer *peer, const char *replies)
{
	assert_string_equal(peer_replies(peer, &f->text), replies);
}

static inline void say(struct fixture *f, struct peer *peer, const char *text, const char *replies)
{
	peer_send_str(peer, text);
	expect(f, peer, replies);
}

static inline struct smtpd_figures figures(struct fixture *f)
{
	struct smtpd_figures out;

	smtpd_figures(f->world.smtpd, &out);
	return out;
}

static inline uint64_t refused(struct fixture *f, enum smtpd_refusal reason)
{
	return figures(f).refused[reason];
}

static inline const struct world_event *last_event(struct fixture *f)
{
	assert_true(f->world.event_count > 0);
	return &f->world.events[f->world.event_count - 1];
}

static inline bool logged(struct fixture *f, const char *text)
{
	const struct buf *all = &f->world.logged;

	return all->n && memmem(all->p, all->n, text, strlen(text)) != NULL;
}

/* A second generation of the directory, which the server uses from now on. */
static inline struct snapshot *new_snapshot(struct fixture *f)
{
	assert_null(f->snapshot);
	f->snapshot = world_snapshot_new();
	smtpd_set_snapshot(f->world.smtpd, f->snapshot);
	return f->snapshot;
}

/* A client that came in, whose greeting was read. */
static inline struct peer *greeted(struct fixture *f, const char *address)
{
	struct peer *peer = world_connect(&f->world, address, NULL);

	assert_non_null(peer);
	expect(f, peer, GREETING);
	return peer;
}

#endif
