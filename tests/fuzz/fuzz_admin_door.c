/*
 * A control connection that sends any bytes, cut into reads of the size that the first byte says;
 * a line that begins with a blank is what delivery, or an smtpd, answers to the last question. The
 * replies are one JSON object a line, not more of them than requests; and whatever was applied, the
 * directory can be exported.
 */
#include "admin/admin.h"
#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "sim_disk.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FUZZ_BYTES 16384
#define PATH_BYTES 200

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
	struct io io;	     /* first */
	struct io_conn conn; /* one client … */
	const struct io_conn_handler *handler;
	void *owner; /* NULL: the connection is closed */
	bool paused;
	struct buf got;
	struct io_job *job;
	struct admin *admin;
	uint32_t ticket;
	uint64_t random;
};

/* Once for the process: a database that every input begins with, and where its copy goes. */
static struct {
	char folder[PATH_BYTES], path[PATH_BYTES + 8];
	struct config *config;
} fixed;

/* ---- struct io ------------------------------------------------------------------------------ */

static struct world *world_of(struct io *io)
{
	return (struct world *)(void *)io;
}

static int do_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct world *w = world_of(conn->io);
	(void)more;

	CHECK(w->owner);
	for (size_t i = 0; i < count; i++)
		buf_add(&w->got, parts[i].iov_base, parts[i].iov_len);
	return 0;
}

static size_t do_unsent(const struct io_conn *conn)
{
	(void)conn;
	return 0;
}

static void do_pause(struct io_conn *conn)
{
	world_of(conn->io)->paused = true;
}

static void do_resume(struct io_conn *conn)
{
	world_of(conn->io)->paused = false;
}

static void do_close(struct io_conn **conn, bool linger)
{
	(void)linger;
	world_of((*conn)->io)->owner = NULL;
	*conn = NULL;
}

static int do_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	(void)lane;
	CHECK(!world_of(io)->job);
	world_of(io)->job = job;
	return 0;
}

static uint64_t do_random(struct io *io)
{
	struct world *w = (struct world *)(void *)io;

	return ++w->random;
}

static const struct io_ops ops = {.send = do_send,
	.unsent = do_unsent,
	.pause = do_pause,
	.resume = do_resume,
	.close = do_close,
	.submit = do_submit,
	.random = do_random};

static void run_job(struct world *w)
{
	struct io_job *job = w->job;

	w->job = NULL;
	if (job) {
		job->run(job);
		job->done(job);
	}
}

/* ---- other roles ---------------------------------------------------------------------------- */

static void on_generation(void *context, int memfd, uint64_t number)
{
	(void)context;
	(void)number;
	CHECK(memfd >= 0);
}

static int on_ask(void *context, uint32_t party, enum admin_question question, uint32_t ticket,
	struct span request)
{
	((struct world *)context)->ticket = ticket;
	if (party != ADMIN_DELIVERY || question != ADMIN_ASK_QUEUE)
		return 0;
	json_t *value = json_loadb(request.p, request.n, 0, NULL);

	/* Who asks is not for the client to say; the status is asked for by nobody, and in a
	 * summary it is something else. */
	const char *by = json_string_value(json_object_get(value, "by"));
	const char *op = json_string_value(json_object_get(value, "op"));
	CHECK(json_is_object(value));
	CHECK(!by || strcmp(by, "root") == 0 || (op && strcmp(op, "summary") == 0));
	json_decref(value);
	return 0;
}

/* ---- a client ------------------------------------------------------------------------------- */

static void pass(struct world *w, uint64_t ms)
{
	w->io.now_ns += ms * NS_PER_MS;
	w->io.wall_ms += (int64_t)ms;
	timers_run(&w->io.timers, w->io.now_ns);
	run_job(w);
}

static void client_sends(struct world *w, struct span in, size_t slice)
{
	while (in.n && w->owner) {
		if (w->paused) /* nobody answers: time passes until the door gives up */
			pass(w, ADMIN_ANSWER_MS);
		if (w->paused || !w->owner)
			return;
		struct iovec to = w->handler->buffer(w->owner);
		size_t n = MIN(MIN(in.n, slice), to.iov_len);

		CHECK(to.iov_len > 0);
		memcpy(to.iov_base, in.p, n);
		in = span_skip(in, n);
		w->handler->received(w->owner, n);
		run_job(w);
	}
}

static size_t check_replies(struct span got)
{
	size_t count = 0;

	for (size_t n; got.n; got = span_skip(got, n + 1)) {
		n = span_find(got, '\n');
		CHECK(n < got.n);
		json_t *value = json_loadb(got.p, n, 0, NULL);
		CHECK(json_is_object(value));
		json_decref(value);
		count++;
	}
	return count;
}

static bool enter(struct world *w)
{
	w->conn = (struct io_conn){.io = &w->io};
	w->paused = false;
	w->owner = w; /* until it is known: a refused client is sent why */
	int err = admin_accept(w->admin, &w->conn, SPAN("root"), &w->handler, &w->owner);
	return err == 0;
}

static void leave(struct world *w)
{
	if (w->owner)
		w->handler->closed(w->owner, ERR_CLOSED);
	pass(w, ADMIN_ANSWER_MS);
	run_job(w);
	CHECK(!w->owner);
}

static void play(struct world *w, struct span in, size_t slice)
{
	size_t requests = 0;

	CHECK(enter(w));
	while (in.n) {
		size_t line = span_find(in, '\n');
		size_t n = MIN(in.n, line + 1);

		if (in.p[0] == ' ') {
			admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, span_of(in.p, line));
			run_job(w);
		} else {
			client_sends(w, span_of(in.p, n), slice);
			requests++;
		}
		in = span_skip(in, n);
	}
	leave(w);
	CHECK(check_replies(buf_span(&w->got)) <= requests + 1);
	buf_clear(&w->got);

	CHECK(enter(w));
	client_sends(w, SPAN("{\"cmd\":\"export\"}\n"), SIZE_MAX);
	CHECK(check_replies(buf_span(&w->got)) == 1);
	CHECK(!memmem(w->got.p, w->got.n, "{\"error\"", 8));
	leave(w);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void remove_files(void)
{
	char journal[PATH_BYTES + 20];

	unlink(fixed.path);
	snprintf(journal, sizeof(journal), "%s-journal", fixed.path);
	unlink(journal);
}

static void at_end(void)
{
	remove_files();
	rmdir(fixed.folder);
	config_free(&fixed.config);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char start_file[] =
		"hostname: gw.example.test\nspool: /s\ndirectory: /d\n"
		"control: /c\nlisteners:\n  mx: { address: \"127.0.0.1:25\" }\n";
	const char *below = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	struct buf problems;
	(void)argc;
	(void)argv;

	snprintf(fixed.folder, sizeof(fixed.folder), "%s/postern-fuzz-XXXXXX", below);
	CHECK(mkdtemp(fixed.folder));
	snprintf(fixed.path, sizeof(fixed.path), "%s/db", fixed.folder);
	buf_init(&problems, 1u << 16);
	CHECK(config_parse("postern.yaml", span_str(start_file), &fixed.config, &problems) == 0);
	buf_done(&problems);
	atexit(at_end);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > FUZZ_BYTES)
		return 0;
	struct route_config route = {.hostname = fixed.config->hostname};
	struct world w = {0};
	struct sim_disk *disk;
	struct buf why;

	io_init(&w.io, &ops);
	w.io.now_ns = NS_PER_S;
	w.io.wall_ms = 1800000000000ll;
	buf_init(&w.got, 1u << 30);
	CHECK(sim_disk_new(1, &disk) == 0);
	struct admin_config config = {.io = &w.io,
		.config = fixed.config,
		.route = &route,
		.directory_path = fixed.path,
		.trace = sim_disk_base(disk),
		.context = &w,
		.generation = on_generation,
		.ask = on_ask,
		.version = "1.2.3"};
	buf_init(&why, 4096);
	CHECK(admin_new(&config, &w.admin, &why) == 0);
	play(&w, span_skip(span_of(data, size), 1), 1 + (size_t)data[0]);
	admin_free(&w.admin);
	run_job(&w);
	timers_done(&w.io.timers);
	sim_disk_free(&disk);
	buf_done(&w.got);
	buf_done(&why);
	remove_files();
	return 0;
}
