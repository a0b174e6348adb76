/*
 * A world for one SMTP client, for tests and fuzzing: simulated time, a connection whose other end
 * is the test, and a file in memory. The test plays the server: says() and expects().
 */
#ifndef TESTS_TRANSPORT_FAKE_PLAIN_H
#define TESTS_TRANSPORT_FAKE_PLAIN_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/err.h"
#include "io/disk.h"
#include "io/io.h"
#include "io/tls.h"

struct fake_file {
	struct io_file file;
	struct disk disk;
	const char *bytes;
	size_t n;
	bool broken; /* reads fail */
};

struct fake_io {
	struct io io;
	struct io_conn conn;
	const struct io_conn_handler *handler;
	void *owner;
	bool open, lingered;
	int refuse;	/* io_connect() fails at once */
	int send_error; /* the next send fails */
	bool stuck;	/* the kernel takes nothing */
	bool arrived;	/* something came, and nobody was told yet */
	size_t unsent;
	char *sent; /* what reached the server and was not looked at yet */
	size_t sent_n;
	size_t sends, files; /* calls */
	size_t slice;	     /* says() hands in so many bytes at a time; 0: all */
	/* TLS: asked for and not answered yet, and what was asked for */
	bool securing, secured;
	int secure_error; /* io_conn_secure_client() fails at once */
	enum tls_check check;
	uint64_t secure_ms;
	const struct tls_info *tls;
	struct io_job *job; /* on its way to a helper thread */
	uint64_t randoms;
};

static inline struct fake_io *fake_of(const struct io *io)
{
	return CONTAINER_OF(io, struct fake_io, io);
}

static int fake_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out)
{
	struct fake_io *f = fake_of(io);

	(void)local;
	(void)peer;
	if (f->refuse)
		return f->refuse;
	f->handler = handler;
	f->owner = owner;
	f->open = true;
	f->conn.io = io;
	*out = &f->conn;
	return 0;
}

static inline void fake_take(struct fake_io *f, const void *p, size_t n)
{
	f->sent = realloc(f->sent, f->sent_n + n + 1);
	CHECK(f->sent);
	if (n)
		memcpy(f->sent + f->sent_n, p, n);
	f->sent_n += n;
	f->sent[f->sent_n] = '\0';
	if (f->stuck)
		f->unsent += n;
}

static int fake_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct fake_io *f = fake_of(conn->io);

	(void)more;
	CHECK(f->open && !f->securing);
	if (f->send_error)
		return f->send_error;
	f->sends++;
	for (size_t i = 0; i < count; i++)
		fake_take(f, parts[i].iov_base, parts[i].iov_len);
	CHECK(f->unsent <= IO_CONN_UNSENT);
	return 0;
}

static int fake_send_file(
	struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length)
{
	struct fake_io *f = fake_of(conn->io);
	struct fake_file *from = CONTAINER_OF(file, struct fake_file, file);

	CHECK(f->open);
	CHECK(offset + length <= from->n);
	f->files++;
	fake_take(f, from->bytes + offset, length);
	return 0;
}

static size_t fake_unsent(const struct io_conn *conn)
{
	return fake_of(conn->io)->unsent;
}

static bool fake_arrived(const struct io_conn *conn)
{
	return fake_of(conn->io)->arrived;
}

static int fake_secure(struct io_conn *conn, struct tls_server *server,
	const struct tls_client *client, uint64_t ms)
{
	struct fake_io *f = fake_of(conn->io);

	CHECK(f->open && !server && client && !f->unsent && !f->securing && !f->secured);
	if (f->arrived)
		return ERR_BUSY;
	if (f->secure_error)
		return f->secure_error;
	f->securing = true;
	f->check = client->check;
	f->secure_ms = ms;
	return 0;
}

static const struct tls_info *fake_tls(const struct io_conn *conn)
{
	return fake_of(conn->io)->tls;
}

static int fake_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	struct fake_io *f = fake_of(io);

	CHECK(lane == IO_LANE_HASH && !f->job);
	f->job = job;
	return 0;
}

static uint64_t fake_random(struct io *io)
{
	return ++fake_of(io)->randoms * 0x9e3779b97f4a7c15u;
}

static void fake_nothing(struct io_conn *conn)
{
	(void)conn;
}

static void fake_close(struct io_conn **conn, bool linger)
{
	struct fake_io *f = fake_of((*conn)->io);

	CHECK(f->open);
	f->open = f->securing = false;
	f->lingered = linger;
	*conn = NULL;
}

static inline void fake_ends(
	const struct io_conn *conn, struct netaddr *local, struct netaddr *peer)
{
	(void)conn;
	(void)peer;
	*local = (struct netaddr){0};
}

static const struct io_ops fake_ops = {
	.connect = fake_connect,
	.send = fake_send,
	.send_file = fake_send_file,
	.unsent = fake_unsent,
	.arrived = fake_arrived,
	.secure = fake_secure,
	.tls = fake_tls,
	.ends = fake_ends,
	.pause = fake_nothing,
	.resume = fake_nothing,
	.close = fake_close,
	.submit = fake_submit,
	.random = fake_random,
};

static int64_t fake_read(struct io_file *file, void *to, size_t n, uint64_t offset)
{
	struct fake_file *from = CONTAINER_OF(file, struct fake_file, file);

	if (from->broken)
		return ERR_IO;
	if (offset >= from->n)
		return 0;
	n = MIN(n, from->n - offset);
	memcpy(to, from->bytes + offset, n);
	return (int64_t)n;
}

static const struct disk_ops fake_disk_ops = {.read = fake_read};

static inline void fake_file_init(struct fake_file *f, const char *bytes, size_t n)
{
	*f = (struct fake_file){.bytes = bytes, .n = n, .disk.ops = &fake_disk_ops};
	f->file.disk = &f->disk;
}

static inline void fake_init(struct fake_io *f)
{
	*f = (struct fake_io){0};
	io_init(&f->io, &fake_ops);
	f->io.now_ns = NS_PER_S;
}

static inline void fake_done(struct fake_io *f)
{
	timers_done(&f->io.timers);
	free(f->sent);
}

/* Runs everything that is due, then moves time on by ms and again runs what is due. */
static inline void passes(struct fake_io *f, uint64_t ms)
{
	while (timers_next(&f->io.timers) <= f->io.now_ns)
		timers_run(&f->io.timers, f->io.now_ns);
	f->io.now_ns += ms * NS_PER_MS;
	while (timers_next(&f->io.timers) <= f->io.now_ns)
		timers_run(&f->io.timers, f->io.now_ns);
}

static inline void says_n(struct fake_io *f, const char *p, size_t n)
{
	while (n && f->open) {
		struct iovec to = f->handler->buffer(f->owner);
		size_t take = MIN(n, to.iov_len);

		CHECK(to.iov_len > 0);
		if (f->slice)
			take = MIN(take, f->slice);
		memcpy(to.iov_base, p, take);
		p += take;
		n -= take;
		f->handler->received(f->owner, take);
	}
	passes(f, 0);
}

static inline void says(struct fake_io *f, const char *text)
{
	says_n(f, text, strlen(text));
}

static inline void hangs_up(struct fake_io *f, int err)
{
	CHECK(f->open);
	f->handler->closed(f->owner, err);
	passes(f, 0);
}

/* The handshake ends so. The info is there during the call only, so nobody may keep it. */
static inline void handshakes(struct fake_io *f, int err, const struct tls_info *info)
{
	struct tls_info *passing = malloc(sizeof(*passing));

	CHECK(passing && f->open && f->securing);
	*passing = *info;
	f->securing = false;
	f->secured = err == 0;
	f->tls = passing;
	f->handler->secured(f->owner, err, passing);
	f->tls = NULL;
	free(passing);
	passes(f, 0);
}

/* The helper thread does its work. */
static inline void works(struct fake_io *f)
{
	struct io_job *job = f->job;

	CHECK(job);
	f->job = NULL;
	job->run(job);
	job->done(job);
	passes(f, 0);
}

/* The kernel takes what waited. */
static inline void drains(struct fake_io *f)
{
	bool had = f->unsent != 0;

	f->unsent = 0;
	if (had && f->open)
		f->handler->drained(f->owner);
	passes(f, 0);
}

/* What the server got so far is of no interest. */
static inline void forget(struct fake_io *f)
{
	f->sent_n = 0;
	if (f->sent)
		f->sent[0] = '\0';
}

#endif
