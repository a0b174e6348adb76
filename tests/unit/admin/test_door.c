/* Control connections: how requests come in, what is answered, and what clients do wrong. */
#include "admin/admin.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "base/list.h"
#include "keys/message.h"
#include "sim_disk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#define SECOND 1000ull
#define MINUTE (60 * SECOND)

/* A client: what it was sent, and how it behaves. */
struct peer {
	struct io_conn base; /* first */
	const struct io_conn_handler *handler;
	void *owner;
	struct buf got;
	size_t unsent;
	bool open, paused, deaf; /* deaf: reads nothing */
	int send_error;
};

struct world {
	struct io io; /* first */
	struct io_job *job;
	struct sim_disk *disk;
	struct config *config;
	struct route_config route;
	struct admin *admin;
	char path[64];
	struct peer peers[ADMIN_DOORS + 1];
	uint64_t generations;
	char given[256]; /* what was given out, in order: "a" secrets of accounts, "t" of
			    transports, "." a generation */
	uint32_t tls_ticket;
	int tls_error;
	uint32_t ticket; /* of the last question to delivery */
	char asked[4096];
	int delivery_error;
	unsigned locks_asked; /* of keys, and the last of them */
	struct keys_locks locks;
	char locked[AUTH_USER + 1];
	int keys_error;
	uint32_t smtpds;
	bool slow_trace; /* the roles have something to write before a search */
	uint64_t random;
	struct event_sink sink;
	unsigned events;
	char event[4096]; /* the words of the last one */
	struct log log;
	unsigned warnings; /* about who may relay */
	char warning[1024];
};

/* ---- struct io -------------------------------------------------------------------------- */

static int do_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct peer *peer = (struct peer *)(void *)conn;

	(void)more;
	assert_true(peer->open);
	if (peer->send_error)
		return peer->send_error;
	for (size_t i = 0; i < count; i++) {
		assert_true(peer->unsent <= IO_CONN_UNSENT);
		buf_add(&peer->got, parts[i].iov_base, parts[i].iov_len);
		if (peer->deaf)
			peer->unsent += parts[i].iov_len;
	}
	return 0;
}

static size_t do_unsent(const struct io_conn *conn)
{
	return ((const struct peer *)(const void *)conn)->unsent;
}

static void do_pause(struct io_conn *conn)
{
	((struct peer *)(void *)conn)->paused = true;
}

static void do_resume(struct io_conn *conn)
{
	((struct peer *)(void *)conn)->paused = false;
}

static void do_close(struct io_conn **conn, bool linger)
{
	(void)linger;
	((struct peer *)(void *)*conn)->open = false;
	*conn = NULL;
}

static int do_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	struct world *w = (struct world *)(void *)io;

	(void)lane;
	assert_null(w->job);
	w->job = job;
	return 0;
}

static uint64_t do_random(struct io *io)
{
	struct world *w = (struct world *)(void *)io;

	return w->random += 7919;
}

static const struct io_ops ops = {
	.send = do_send,
	.unsent = do_unsent,
	.pause = do_pause,
	.resume = do_resume,
	.close = do_close,
	.submit = do_submit,
	.random = do_random,
};

static void pass(struct world *w, uint64_t ms)
{
	w->io.now_ns += ms * NS_PER_MS;
	w->io.wall_ms += (int64_t)ms;
	timers_run(&w->io.timers, w->io.now_ns);
}

static void run_job(struct world *w)
{
	struct io_job *job = w->job;

	assert_non_null(job);
	w->job = NULL;
	job->run(job);
	job->done(job);
}

/* ---- clients ---------------------------------------------------------------------------- */

static struct peer *enter_as(struct world *w, struct span actor)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->peers); i++) {
		struct peer *peer = &w->peers[i];

		if (peer->open)
			continue;
		buf_done(&peer->got);
		*peer = (struct peer){.base = {.io = &w->io}, .open = true};
		buf_init(&peer->got, 1u << 30);
		if (admin_accept(w->admin, &peer->base, actor, &peer->handler, &peer->owner))
			peer->handler = NULL;
		return peer;
	}
	fail_msg("no more clients");
	return NULL;
}

static struct peer *enter(struct world *w)
{
	return enter_as(w, SPAN("root"));
}

/* Writes, as far as it is read; `slice` bytes at a time. */
static void write_slices(struct peer *peer, const char *text, size_t n, size_t slice)
{
	while (n && peer->open && !peer->paused) {
		struct iovec to = peer->handler->buffer(peer->owner);
		size_t take = MIN(MIN(n, slice), to.iov_len);

		assert_true(to.iov_len > 0);
		memcpy(to.iov_base, text, take);
		text += take;
		n -= take;
		peer->handler->received(peer->owner, take);
	}
}

static void write_line(struct peer *peer, const char *text)
{
	write_slices(peer, text, strlen(text), SIZE_MAX);
	write_slices(peer, "\n", 1, 1);
}

/* The replies so far, as lines; forgets them. */
static json_t *reply(struct peer *peer)
{
	const char *end = peer->got.n ? memchr(peer->got.p, '\n', peer->got.n) : NULL;

	if (!end)
		return NULL;
	size_t n = (size_t)(end - peer->got.p);
	json_t *value = json_loadb(peer->got.p, n, 0, NULL);
	assert_true(json_is_object(value));
	buf_drop(&peer->got, n + 1);
	return value;
}

static json_t *ask(struct world *w, const char *request)
{
	struct peer *peer = enter(w);

	write_line(peer, request);
	json_t *value = reply(peer);
	if (peer->open)
		peer->handler->closed(peer->owner, ERR_CLOSED);
	assert_false(peer->open);
	return value;
}

static const char *error_of(const json_t *value)
{
	const char *text = json_string_value(json_object_get(value, "error"));

	return text ? text : "";
}

static void assert_error(json_t *value, const char *part)
{
	assert_non_null(value);
	if (!strstr(error_of(value), part))
		fail_msg("\"%s\" does not say \"%s\"", error_of(value), part);
	json_decref(value);
}

static void assert_done(json_t *value)
{
	assert_non_null(value);
	assert_string_equal(error_of(value), "");
	json_decref(value);
}

/* ---- life ------------------------------------------------------------------------------- */

static void on_generation(void *context, int memfd, uint64_t number)
{
	(void)memfd;
	(void)number;
	struct world *w = context;
	w->generations++;
	strncat(w->given, ".", sizeof(w->given) - strlen(w->given) - 1);
}

static void on_secrets(void *context, enum secret_kind kind, int memfd)
{
	struct world *w = context;

	assert_true(memfd >= 0);
	strncat(w->given, kind == SECRET_ACCOUNT ? "a" : "t",
		sizeof(w->given) - strlen(w->given) - 1);
}

static int on_reload_tls(void *context, uint32_t ticket)
{
	struct world *w = context;

	w->tls_ticket = ticket;
	return w->tls_error;
}

static int on_ask(void *context, uint32_t party, enum admin_question question, uint32_t ticket,
	struct span request)
{
	struct world *w = context;

	if (question == ADMIN_ASK_TRACE && !w->slow_trace)
		return ERR_CLOSED;
	if (party == ADMIN_KEYS) {
		assert_int_equal(question, ADMIN_ASK_LOCKS);
		w->locks_asked++;
		assert_int_equal(keys_get_locks(request, &w->locks), 0);
		snprintf(w->locked, sizeof(w->locked), "%.*s", (int)w->locks.account.n,
			w->locks.account.n ? w->locks.account.p : "");
		w->ticket = ticket;
		return w->keys_error;
	}
	if (party != ADMIN_DELIVERY) {
		if (party >= ADMIN_SMTPD(w->smtpds))
			return ERR_CLOSED;
		w->ticket = ticket;
		return 0;
	}
	if (w->delivery_error)
		return w->delivery_error;
	w->ticket = ticket;
	snprintf(w->asked, sizeof(w->asked), "%.*s", (int)request.n, request.p);
	return 0;
}

static void on_event(struct event_sink *sink, const struct event *event)
{
	struct world *w = CONTAINER_OF(sink, struct world, sink);

	w->events++;
	snprintf(w->event, sizeof(w->event), "%.*s", (int)event->reason.n, event->reason.p);
}

static void on_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct world *w = CONTAINER_OF(log, struct world, log);

	if (level != LOG_WARN || strcmp(message, "who may relay should be looked at") != 0)
		return;
	assert_int_equal(count, 1);
	w->warnings++;
	snprintf(w->warning, sizeof(w->warning), "%.*s", (int)fields[0].span.n, fields[0].span.p);
}

static void start(struct world *w)
{
	struct admin_config config = {
		.io = &w->io,
		.config = w->config,
		.route = &w->route,
		.directory_path = w->path,
		.trace = sim_disk_base(w->disk),
		.context = w,
		.generation = on_generation,
		.secrets = on_secrets,
		.reload_tls = on_reload_tls,
		.events = &w->sink,
		.log = &w->log,
		.ask = on_ask,
		.version = "1.2.3",
	};
	struct buf problems;

	buf_init(&problems, 1u << 16);
	if (admin_new(&config, &w->admin, &problems))
		fail_msg("%.*s", (int)problems.n, problems.p);
	buf_done(&problems);
}

static int set_up(void **state)
{
	static const char start_file[] =
		"hostname: gw.example.test\nworkers: 2\nspool: /s\ndirectory: /d\n"
		"control: /c\nlisteners:\n  mx: { address: \"127.0.0.1:25\" }\n";
	struct world *w = calloc(1, sizeof(*w));
	struct buf problems;

	io_init(&w->io, &ops);
	w->io.now_ns = NS_PER_S;
	w->sink.emit = on_event;
	w->log = (struct log){.least = LOG_WARN, .write = on_log};
	w->io.wall_ms = 1800000000000ll;
	strcpy(w->path, "/tmp/postern-test-XXXXXX");
	assert_non_null(mkdtemp(w->path));
	strcat(w->path, "/db");
	assert_int_equal(sim_disk_new(1, &w->disk), 0);
	buf_init(&problems, 1u << 16);
	assert_int_equal(
		config_parse("postern.yaml", span_str(start_file), &w->config, &problems), 0);
	w->route = (struct route_config){.hostname = w->config->hostname};
	start(w);
	buf_done(&problems);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	char path[80];

	admin_free(&w->admin);
	if (w->job)
		run_job(w);
	for (size_t i = 0; i < ARRAY_SIZE(w->peers); i++) {
		assert_false(w->peers[i].open);
		buf_done(&w->peers[i].got);
	}
	snprintf(path, sizeof(path), "%s-journal", w->path);
	unlink(path);
	unlink(w->path);
	*strrchr(w->path, '/') = '\0';
	rmdir(w->path);
	config_free(&w->config);
	sim_disk_free(&w->disk);
	timers_done(&w->io.timers);
	free(w);
	return 0;
}

/* ---- requests and replies --------------------------------------------------------------- */

static void a_request_may_come_in_pieces(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);
	const char request[] = "{\"cmd\":\"export\"}\n";

	write_slices(peer, request, sizeof(request) - 1, 1);
	assert_done(reply(peer));
	assert_true(peer->open);
	write_slices(peer, request, sizeof(request) - 1, 3);
	assert_done(reply(peer));
}

static void requests_in_a_row_are_answered_in_order(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);
	char many[60000] = "";
	size_t n = 0;

	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(many + n, "{\"cmd\":\"%s\"}\n", i % 2 ? "export" : "none");
	write_slices(peer, many, n, SIZE_MAX);
	for (int i = 0; i < 1000; i++) {
		json_t *value = reply(peer);

		assert_non_null(value);
		assert_int_equal(*error_of(value) != '\0', i % 2 == 0);
		json_decref(value);
	}
	assert_null(reply(peer));
}

static void what_is_no_request_is_refused(void **state)
{
	struct world *w = *state;
	static const char *const bad[] = {"", "hello", "{", "[]", "7", "\"x\"", "{\"cmd\":1}",
		"{\"cmd\":\"x\",\"cmd\":\"x\"}", "{\"cmd\":\"\\u0000\"}", "\xff\xfe",
		"{\"cmd\":\"queue\"}", "{\"cmd\":\"queue\",\"request\":7}",
		"{\"cmd\":\"object\",\"op\":\"list\"}", "{\"cmd\":\"object\",\"kind\":\"domain\"}",
		"{\"cmd\":\"pause\"}", "{\"cmd\":\"resume\",\"scope\":7}",
		"{\"cmd\":\"pause\",\"scope\":\"transport\",\"name\":\"none\"}",
		"{\"cmd\":\"explain\"}", "{\"cmd\":\"trace\"}",
		"{\"cmd\":\"trace\",\"query\":\"since=never\"}",
		("{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\",\"name\":\"x\","
		 "\"settings\":[1,null,{}]}")};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		json_t *value = ask(w, bad[i]);

		if (!value || !*error_of(value))
			fail_msg("taken: %s", bad[i]);
		json_decref(value);
	}
	assert_int_equal(w->generations, 1);
}

static void a_half_closed_client_gets_its_reply(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
	peer->handler->closed(peer->owner, 0);
	assert_true(peer->open);
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"messages\":[]}"));
	assert_done(reply(peer));
	assert_false(peer->open);
	/* And one that said nothing is gone at once. */
	peer = enter(w);
	peer->handler->closed(peer->owner, 0);
	assert_false(peer->open);
}

static void a_client_that_vanishes_takes_its_request_along(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
	peer->handler->closed(peer->owner, ERR_CLOSED);
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"messages\":[]}"));
	assert_false(peer->open);
	peer = enter(w);
	write_line(peer, "{\"cmd\":\"trace\",\"query\":\"a@b.example\"}");
	peer->handler->closed(peer->owner, ERR_CLOSED);
	run_job(w);
	assert_false(peer->open);
	peer = enter(w);
	peer->send_error = ERR_CLOSED;
	write_line(peer, "{\"cmd\":\"export\"}");
	assert_false(peer->open);
}

/* A request without end: the bound is large, so only its end is shown here. */
static void a_request_that_is_too_long_ends_the_connection(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);
	char *x = malloc(1u << 20);

	memset(x, 'x', 1u << 20);
	for (unsigned mib = 0; mib <= ADMIN_REQUEST >> 20 && peer->open; mib++)
		write_slices(peer, x, 1u << 20, SIZE_MAX);
	free(x);
	assert_error(reply(peer), "too long");
	assert_false(peer->open);
}

#define TRANSPORT "transports:\\n  site: { server: \\\"192.0.2.1\\\" }\\n"

static void requests_have_bounds(void **state)
{
	struct world *w = *state;
	static char text[300000];
	size_t n;

	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"" TRANSPORT "\"}"));
	/* More settings than are looked at, and what is no setting. */
	n = (size_t)sprintf(text, "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\","
				  "\"name\":\"site\",\"settings\":[");
	for (int i = 0; i < 65; i++)
		n += (size_t)sprintf(text + n, "%s\"retry-count=%d\"", i ? "," : "", i + 1);
	strcpy(text + n, "]}");
	assert_error(ask(w, text), "settings: a list of at most 64");
	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\","
			    "\"name\":\"site\",\"settings\":[7]}"),
		"settings");
	/* Values cost much more than their bytes. */
	n = (size_t)sprintf(text, "{\"cmd\":\"export\",\"x\":[");
	for (int i = 0; i < 20000; i++)
		n += (size_t)sprintf(text + n, "[],");
	strcpy(text + n, "[]]}");
	assert_error(ask(w, text), "too many values");
	/* Text is not counted, whatever is in it. */
	n = (size_t)sprintf(text, "{\"cmd\":\"export\",\"x\":\"\\\"");
	for (int i = 0; i < 20000; i++)
		n += (size_t)sprintf(text + n, "[],\\\\");
	strcpy(text + n, "\"}");
	assert_done(ask(w, text));
}

/* Each may send a long one, but not all of them at the same time. */
static void all_requests_together_have_a_bound(void **state)
{
	struct world *w = *state;
	static char piece[1 << 20];
	struct peer *first = enter(w), *second = enter(w);

	memset(piece, ' ', sizeof(piece));
	for (int i = 0; i < 100; i++)
		write_slices(first, piece, sizeof(piece), SIZE_MAX);
	for (int i = 0; i < 100 && !second->got.n; i++)
		write_slices(second, piece, sizeof(piece), SIZE_MAX);
	assert_error(reply(second), "too much is being asked at once");
	assert_false(second->open);
	write_line(first, "{\"cmd\":\"export\"}");
	assert_done(reply(first));
}

static void a_client_that_does_not_read_holds_nobody_up(void **state)
{
	struct world *w = *state;
	struct peer *deaf = enter(w);

	deaf->deaf = true;
	for (int i = 0; i < 100; i++)
		write_line(deaf, "{\"cmd\":\"export\"}");
	assert_true(deaf->paused);
	assert_true(deaf->unsent < 1000);
	assert_done(ask(w, "{\"cmd\":\"export\"}"));
	/* When it reads at last, it goes on. */
	deaf->deaf = false;
	deaf->unsent = 0;
	deaf->handler->drained(deaf->owner);
	assert_false(deaf->paused);
	deaf->deaf = true;
	write_line(deaf, "{\"cmd\":\"export\"}");
	write_line(deaf, "{\"cmd\":\"export\"}");
	/* It does not keep its place for ever. */
	pass(w, 60 * MINUTE);
	assert_false(deaf->open);
}

static void there_is_room_again_after_idle_clients(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < ADMIN_DOORS; i++)
		enter(w);
	struct peer *late = enter(w);
	assert_error(reply(late), "too many");
	assert_false(late->open);
	pass(w, 60 * MINUTE);
	assert_done(ask(w, "{\"cmd\":\"export\"}"));
}

/* ---- commands --------------------------------------------------------------------------- */

static void apply_changes_all_or_nothing(void **state)
{
	struct world *w = *state;
	json_t *value =
		ask(w, "{\"cmd\":\"apply\",\"file\":\"o.yaml\",\"text\":\"" TRANSPORT "\"}");

	assert_int_equal(json_array_size(json_object_get(value, "changes")), 1);
	json_decref(value);
	assert_int_equal(w->generations, 2);
	/* The same again changes nothing, and wakes nobody. */
	value = ask(w, "{\"cmd\":\"apply\",\"file\":\"o.yaml\",\"text\":\"" TRANSPORT "\"}");
	assert_int_equal(json_array_size(json_object_get(value, "changes")), 0);
	json_decref(value);
	assert_error(ask(w, "{\"cmd\":\"apply\",\"file\":\"o.yaml\",\"text\":\"transports:\\n"
			    "  other: { server: \\\"192.0.2.2\\\" }\\n  bad: { sever: x }\\n\"}"),
		"o.yaml:3");
	value = ask(w, "{\"cmd\":\"object\",\"op\":\"list\",\"kind\":\"transport\"}");
	assert_int_equal(json_array_size(json_object_get(value, "transports")), 1);
	json_decref(value);
	assert_int_equal(w->generations, 2);
}

static void a_trial_run_changes_nothing(void **state)
{
	struct world *w = *state;
	json_t *value = ask(w, "{\"cmd\":\"apply\",\"text\":\"" TRANSPORT "\",\"dry_run\":true}");

	assert_int_equal(json_array_size(json_object_get(value, "changes")), 1);
	assert_true(json_is_true(json_object_get(value, "dry_run")));
	json_decref(value);
	assert_int_equal(w->generations, 1);
}

static void objects_pauses_and_the_audit(void **state)
{
	struct world *w = *state;

	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"" TRANSPORT "\"}"));
	assert_done(ask(w, "{\"cmd\":\"pause\",\"scope\":\"transport\",\"name\":\"site\","
			   "\"reason\":\"works\"}"));
	json_t *value = ask(
		w, "{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"transport\",\"name\":\"site\"}");
	json_t *pause = json_object_get(json_object_get(value, "transport"), "pause");
	assert_string_equal(json_string_value(json_object_get(pause, "by")), "root");
	assert_string_equal(json_string_value(json_object_get(pause, "reason")), "works");
	assert_non_null(json_object_get(value, "retry"));
	json_decref(value);
	assert_done(ask(w, "{\"cmd\":\"resume\",\"scope\":\"transport\",\"name\":\"site\"}"));
	value = ask(w, "{\"cmd\":\"audit\"}");
	assert_int_equal(json_array_size(json_object_get(value, "entries")), 3);
	json_decref(value);
	value = ask(w, "{\"cmd\":\"audit\",\"limit\":-5,\"before\":-1}");
	assert_int_equal(json_array_size(json_object_get(value, "entries")), 3);
	json_decref(value);
	assert_done(ask(w, "{\"cmd\":\"check\"}"));
	assert_done(ask(w, "{\"cmd\":\"explain\",\"client\":\"127.0.0.1\",\"from\":\"a@b.example\","
			   "\"to\":\"c@d.example\"}"));
}

/* For people by name; a number for programs, since names are handed on. */
static void what_is_not_there_is_told_by_name(void **state)
{
	struct world *w = *state;

	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"transport\","
			    "\"name\":\"site\"}"),
		"no transport of that name: \"site\"; there is none yet, \"posternctl transport "
		"add\" makes one");
	/* Settings are there always, if only by their defaults. */
	assert_done(ask(w, "{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"settings\"}"));
}

static void the_audit_has_names_and_numbers(void **state)
{
	static const struct {
		const char *actor;
		json_int_t uid;
	} people[] = {{"root", 0}, {"ann (uid 1000)", 1000}, {"uid 1001", 1001}, {"unknown", -1}};
	struct world *w = *state;

	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"" TRANSPORT "\"}"));
	for (size_t i = 0; i < ARRAY_SIZE(people); i++) {
		struct peer *peer = enter_as(w, span_str(people[i].actor));

		write_line(peer, i % 2 ? "{\"cmd\":\"resume\",\"scope\":\"all\"}"
				       : "{\"cmd\":\"pause\",\"scope\":\"all\"}");
		assert_done(reply(peer));
		json_t *value = ask(w, "{\"cmd\":\"audit\",\"limit\":1}");
		json_t *entry = json_array_get(json_object_get(value, "entries"), 0);
		json_t *uid = json_object_get(entry, "uid");
		assert_string_equal(
			json_string_value(json_object_get(entry, "actor")), people[i].actor);
		assert_int_equal(uid ? json_integer_value(uid) : -1, people[i].uid);
		json_decref(value);
	}
}

static void delivery_says(struct world *w, const char *json)
{
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, span_str(json));
}

static void queue_work_names_who_does_it(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(
		peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"hold\",\"by\":\"somebody else\"}}");
	assert_non_null(strstr(w->asked, "\"by\":\"root\""));
	assert_null(strstr(w->asked, "somebody"));
	assert_null(reply(peer));
	/* An answer to another question is nobody's. */
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket + 1, SPAN("{\"no\":1}"));
	assert_null(reply(peer));
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"messages\":1}"));
	assert_done(reply(peer));
	/* Nor is a second answer. */
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"messages\":2}"));
	assert_null(reply(peer));
	/* A summary is made by something, not by somebody. */
	write_line(
		peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"summary\",\"by\":\"transport\"}}");
	assert_non_null(strstr(w->asked, "\"by\":\"transport\""));
	delivery_says(w, "{\"groups\":[]}");
	assert_done(reply(peer));
}

/* The newest line of the audit. */
static void assert_audit(struct world *w, size_t lines, const char *who, const char *what)
{
	json_t *value = ask(w, "{\"cmd\":\"audit\"}");
	json_t *entries = json_object_get(value, "entries");
	json_t *first = json_array_get(entries, 0);

	assert_int_equal(json_array_size(entries), lines);
	assert_true(json_is_false(json_object_get(value, "more")));
	assert_int_equal(json_integer_value(json_object_get(value, "limit")), 100);
	if (lines) {
		assert_string_equal(json_string_value(json_object_get(first, "actor")), who);
		assert_string_equal(json_string_value(json_object_get(first, "change")), what);
		assert_non_null(json_object_get(first, "time"));
	}
	json_decref(value);
}

/* Delivery has tickets of its own, above those of admin. */
static void tickets_leave_room_for_others(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	w->random = UINT64_MAX - 7919;
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
	assert_true(w->ticket <= ADMIN_TICKET);
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"messages\":[]}"));
	assert_done(reply(peer));
}

/* Who deleted what: one line for a command, however many steps it takes. */
static void what_is_done_to_the_queue_is_in_the_audit(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter_as(w, SPAN("ann (uid 1000)"));

	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"delete\",\"filter\":"
			 "\"domain=a.example\",\"reason\":\"spam\"}}");
	delivery_says(w, "{\"messages\":1000,\"recipients\":1500,\"after\":\"0000000000007\"}");
	assert_null(reply(peer));
	assert_non_null(strstr(w->asked, "\"after\":\"0000000000007\""));
	delivery_says(w, "{\"messages\":2,\"recipients\":2,\"active\":1}");
	json_t *value = reply(peer);
	assert_int_equal(json_integer_value(json_object_get(value, "messages")), 1002);
	assert_int_equal(json_integer_value(json_object_get(value, "recipients")), 1502);
	assert_int_equal(json_integer_value(json_object_get(value, "active")), 1);
	assert_null(json_object_get(value, "after"));
	json_decref(value);
	assert_audit(w, 1, "ann (uid 1000)",
		"queue delete domain=a.example: 1002 messages, 1502 recipients (spam)");
	/* Neither what only counts nor what finds nothing, nor a look. */
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"delete\",\"filter\":"
			 "\"domain=a.example\",\"dry_run\":true}}");
	delivery_says(w, "{\"messages\":2,\"recipients\":2,\"dry_run\":true}");
	value = reply(peer);
	assert_true(json_is_true(json_object_get(value, "dry_run")));
	json_decref(value);
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"hold\",\"filter\":\"age>1h\"}}");
	delivery_says(w, "{\"messages\":0}");
	assert_done(reply(peer));
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
	delivery_says(w, "{\"messages\":[]}");
	assert_done(reply(peer));
	assert_audit(w, 1, "ann (uid 1000)",
		"queue delete domain=a.example: 1002 messages, 1502 recipients (spam)");
	/* By ids, and what is asked at once. */
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"reroute\",\"transport\":\"u\","
			 "\"ids\":[\"6p0hg40000003\",\"6p0hg40000004\"]}}");
	delivery_says(w, "{\"messages\":1,\"recipients\":1,\"done\":2,\"problems\":[{}]}");
	value = reply(peer);
	assert_int_equal(json_integer_value(json_object_get(value, "done")), 2);
	json_decref(value);
	assert_audit(w, 2, "ann (uid 1000)",
		"queue reroute 6p0hg40000003, 6p0hg40000004 to u: 1 message, 1 recipient");
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"probe\",\"destination\":"
			 "\"a.example\"}}");
	delivery_says(w, "{\"destinations\":2,\"probed\":2}");
	assert_done(reply(peer));
	assert_audit(w, 3, "ann (uid 1000)", "queue probe a.example: 2 destinations");
}

/* Done is done, also where the rest could not be, or nobody waits for the answer any more. */
static void a_change_that_ends_early_is_in_the_audit(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);
	static const char request[] =
		"{\"cmd\":\"queue\",\"request\":{\"op\":\"bounce\",\"filter\":\"age>1h\"}}";

	write_line(peer, request);
	delivery_says(w, "{\"error\":\"the filter cannot be read\"}");
	assert_error(reply(peer), "cannot be read");
	assert_audit(w, 0, NULL, NULL);
	write_line(peer, request);
	delivery_says(w, "{\"messages\":3,\"recipients\":3,\"after\":\"0000000000007\"}");
	delivery_says(w, "{\"error\":\"too many notifications\"}");
	json_t *value = reply(peer);
	assert_string_equal(
		json_string_value(json_object_get(value, "busy")), "too many notifications");
	assert_string_equal(json_string_value(json_object_get(value, "after")), "0000000000007");
	assert_int_equal(json_integer_value(json_object_get(value, "messages")), 3);
	json_decref(value);
	assert_audit(w, 1, "root", "queue bounce age>1h: 3 messages, 3 recipients");
	/* One that takes long is answered in parts. */
	write_line(peer, request);
	pass(w, 5 * SECOND);
	delivery_says(w, "{\"messages\":4,\"recipients\":4,\"after\":\"0000000000008\"}");
	value = reply(peer);
	assert_string_equal(json_string_value(json_object_get(value, "after")), "0000000000008");
	json_decref(value);
	assert_audit(w, 2, "root", "queue bounce age>1h: 4 messages, 4 recipients");
	/* Who goes away stops it. */
	write_line(peer, request);
	delivery_says(w, "{\"messages\":5,\"recipients\":5,\"after\":\"0000000000008\"}");
	peer->handler->closed(peer->owner, ERR_CLOSED);
	delivery_says(w, "{\"messages\":1,\"recipients\":1,\"after\":\"0000000000009\"}");
	assert_false(peer->open);
	assert_audit(w, 3, "root", "queue bounce age>1h: 6 messages, 6 recipients");
}

/* Longer ones are cut, and say so. */
static void a_listing_says_that_it_was_cut(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 3; i++)
		assert_done(ask(w, i % 2 ? "{\"cmd\":\"resume\",\"scope\":\"all\"}"
					 : "{\"cmd\":\"pause\",\"scope\":\"all\"}"));
	for (int limit = 2; limit <= 3; limit++) {
		char request[64];

		snprintf(request, sizeof(request), "{\"cmd\":\"audit\",\"limit\":%d}", limit);
		json_t *value = ask(w, request);
		assert_int_equal(json_array_size(json_object_get(value, "entries")), limit);
		assert_int_equal(json_is_true(json_object_get(value, "more")), limit == 2);
		assert_int_equal(json_integer_value(json_object_get(value, "limit")), limit);
		json_decref(value);
	}
}

/* What was exported as JSON is an objects file, too. */
static void what_was_exported_as_json_can_be_applied(void **state)
{
	struct world *w = *state;
	static const char objects[] =
		"transports: { t: { server: 'lookup-mx:zone=z.example', retry-delay: '1m, 5m*2', "
		"delay-warning: 4h, private-hosts: yes } }\ndomains: { a.example: { transport: t },"
		" c.example: { mailboxes: yes } }\naccounts: { '\xf0\x9f\x98\x80@c.example': {} }\n"
		"priorities: [ { sender: '@a.example' } ]\ndefault-transport: t\n";
	json_t *request = json_pack("{ss, ss}", "cmd", "apply", "text", objects);
	char *text = json_dumps(request, JSON_COMPACT);

	assert_done(ask(w, text));
	free(text);
	json_t *exported = ask(w, "{\"cmd\":\"export\",\"json\":true}");
	json_t *domains = json_object_get(exported, "domains");
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(domains, "a.example"), "transport")),
		"t");
	assert_string_equal(json_string_value(json_object_get(exported, "default-transport")), "t");
	text = json_dumps(exported, JSON_INDENT(2));
	json_object_set_new(request, "text", json_string(text));
	json_object_set_new(request, "prune", json_true());
	free(text);
	text = json_dumps(request, JSON_COMPACT);
	json_t *value = ask(w, text);
	assert_string_equal(error_of(value), "");
	assert_int_equal(json_array_size(json_object_get(value, "changes")), 0);
	json_decref(value);
	free(text);
	json_decref(exported);
	json_decref(request);
}

/* What an administrator looks for first: how long mail has been waiting, and for whom. */
static void status_has_the_oldest_and_what_is_down(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, "{\"cmd\":\"status\"}");
	delivery_says(w, "{\"queue\":{\"messages\":3}}");
	assert_non_null(strstr(w->asked, "\"summary\""));
	delivery_says(
		w, "{\"groups\":[{\"destinations\":500,\"destinations_down\":2}],\"after\":500}");
	assert_non_null(strstr(w->asked, "\"after\":500"));
	delivery_says(w, "{\"groups\":[{\"destinations\":1,\"destinations_down\":1}]}");
	delivery_says(w,
		"{\"messages\":[{\"id\":\"0000000000001\"},{\"arrived\":\"T1\",\"age_s\":5},"
		"{\"arrived\":\"T0\",\"age_s\":7},{\"arrived\":\"T2\",\"age_s\":6}]}");
	json_t *value = reply(peer);
	json_t *queue = json_object_get(value, "queue");
	assert_int_equal(json_integer_value(json_object_get(queue, "destinations")), 501);
	assert_int_equal(json_integer_value(json_object_get(queue, "destinations_down")), 3);
	assert_string_equal(json_string_value(json_object_get(queue, "oldest")), "T0");
	assert_int_equal(json_integer_value(json_object_get(queue, "oldest_age_s")), 7);
	json_decref(value);
	/* An empty queue, and a delivery that says no more, make no holes. */
	write_line(peer, "{\"cmd\":\"status\"}");
	delivery_says(w, "{\"queue\":{\"messages\":0}}");
	delivery_says(w, "{\"groups\":[]}");
	delivery_says(w, "{\"messages\":[]}");
	value = reply(peer);
	assert_null(json_object_get(json_object_get(value, "queue"), "oldest"));
	json_decref(value);
	write_line(peer, "{\"cmd\":\"status\"}");
	delivery_says(w, "{\"queue\":{\"messages\":0}}");
	delivery_says(w, "{\"error\":\"not yet\"}");
	assert_done(reply(peer));
	/* For one that has gone away nothing more is asked. */
	write_line(peer, "{\"cmd\":\"status\"}");
	peer->handler->closed(peer->owner, ERR_CLOSED);
	delivery_says(w, "{\"queue\":{\"messages\":0}}");
	assert_false(peer->open);
}

/* One event for each change, so that each is a line of the log. */
static void each_change_is_an_event(void **state)
{
	struct world *w = *state;

	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"transports: { t: { server: a.example }, "
			   "u: { server: b.example } }\\n\"}"));
	assert_int_equal(w->events, 2);
	assert_null(strchr(w->event, '\n'));
	assert_non_null(strstr(w->event, "transport u: added"));
}

/* A worker that was taken over answers for itself at most, and once. */
static void nobody_answers_for_another(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	w->smtpds = 2;
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"delete\"}}");
	uint32_t first = w->ticket;
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket, SPAN("{\"messages\":0}"));
	admin_answer(w->admin, UINT32_MAX, w->ticket, SPAN("{\"messages\":0}"));
	assert_null(reply(peer));
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"messages\":5}"));
	assert_done(reply(peer));

	write_line(peer, "{\"cmd\":\"status\"}");
	assert_int_not_equal(w->ticket, first + 1); /* nor can it know what comes */
	for (int i = 0; i < 5; i++)
		admin_answer(w->admin, ADMIN_SMTPD(1), w->ticket, SPAN("{\"sessions\":7}"));
	assert_null(reply(peer));
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket, SPAN("{\"sessions\":1}"));
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{}"));
	json_t *value = reply(peer);
	json_t *roles = json_object_get(value, "roles");
	assert_int_equal(json_object_size(roles), 3);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(roles, "smtpd 0"), "sessions")),
		1);
	json_decref(value);
}

/* What it says of its figures is numbers, and words that we know. */
static void a_worker_tells_figures_and_nothing_else(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	w->smtpds = 1;
	write_line(peer, "{\"cmd\":\"status\"}");
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket,
		SPAN("{\"sessions\":7,\"messages\":\"many\",\"bytes\":-1,\"problem\":\"\\u001b["
		     "2J\","
		     "\"recipients\":1e99,\"refused\":{\"sender\":3,\"evil\":4,\"size\":[5]},"
		     "\"spool\":{\"health\":\"\\u001b]0;pwned\\u0007\",\"syncs\":9,\"x\":{}}}"));
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{}"));
	json_t *value = reply(peer);
	json_t *expected = json_pack("{s:i,s:{s:i},s:{s:i}}", "sessions", 7, "refused", "sender", 3,
		"spool", "syncs", 9);
	assert_true(
		json_equal(json_object_get(json_object_get(value, "roles"), "smtpd 0"), expected));
	json_decref(expected);
	json_decref(value);
}

/* What is deep is read, and written, one call inside the other. */
static void what_is_too_deep_is_not_read(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);
	char deep[2000] = "{\"cmd\":\"queue\",\"request\":";
	size_t n = strlen(deep);

	memset(deep + n, '[', 500);
	memset(deep + n + 500, ']', 500);
	strcpy(deep + n + 1000, "}");
	write_line(peer, deep);
	assert_error(reply(peer), "inside one another");
	w->smtpds = 1;
	write_line(peer, "{\"cmd\":\"status\"}");
	strcpy(deep, "{\"a\":");
	memset(deep + 5, '[', 500);
	memset(deep + 505, ']', 500);
	strcpy(deep + 1005, "}");
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{}"));
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket, span_str(deep));
	json_t *value = reply(peer);
	assert_non_null(json_object_get(
		json_object_get(json_object_get(value, "roles"), "smtpd 0"), "problem"));
	json_decref(value);
}

static void an_answer_that_is_no_json_is_not_passed_on(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);
	static const char *const bad[] = {"", "x", "{}\n{}", "[]"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
		admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, span_str(bad[i]));
		assert_error(reply(peer), "cannot be read");
	}
	w->smtpds = 1;
	write_line(peer, "{\"cmd\":\"status\"}");
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"loaded\":true}"));
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket, SPAN("},\"x\":{"));
	json_t *value = reply(peer);
	json_t *roles = json_object_get(value, "roles");
	assert_int_equal(json_object_size(roles), 2);
	json_decref(value);
}

static void a_role_that_does_not_answer_is_left_out(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
	pass(w, ADMIN_ANSWER_MS + 1);
	assert_error(reply(peer), "does not answer");
	w->smtpds = 2;
	write_line(peer, "{\"cmd\":\"status\"}");
	admin_answer(w->admin, ADMIN_SMTPD(1), w->ticket, SPAN("{\"sessions\":7}"));
	pass(w, ADMIN_ANSWER_MS + 1);
	json_t *value = reply(peer);
	assert_non_null(value);
	assert_non_null(json_object_get(json_object_get(value, "roles"), "smtpd 1"));
	assert_non_null(json_object_get(value, "problem"));
	json_decref(value);
	/* Too late. */
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket, SPAN("{\"sessions\":7}"));
	assert_null(reply(peer));
	w->delivery_error = ERR_CLOSED;
	write_line(peer, "{\"cmd\":\"queue\",\"request\":{\"op\":\"list\"}}");
	assert_error(reply(peer), "try again");
	w->smtpds = 0;
	write_line(peer, "{\"cmd\":\"status\"}");
	value = reply(peer);
	assert_non_null(json_object_get(value, "problem"));
	json_decref(value);
}

static void a_search_that_outlives_the_admin_is_not_heard(void **state)
{
	struct world *w = *state;

	write_line(enter(w), "{\"cmd\":\"trace\",\"query\":\"a@b.example\"}");
	admin_free(&w->admin);
	run_job(w);
}

static void a_search_answers_when_it_is_done(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, "{\"cmd\":\"trace\",\"query\":\"a@b.example\",\"limit\":-1}");
	assert_null(reply(peer));
	run_job(w);
	json_t *value = reply(peer);
	assert_true(json_is_array(json_object_get(value, "events")));
	json_decref(value);
}

/* Who looks for the message that it has just sent finds it. */
static void a_search_waits_until_the_roles_have_written(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	w->slow_trace = true;
	w->smtpds = 2;
	write_line(peer, "{\"cmd\":\"trace\",\"query\":\"a@b.example\"}");
	assert_null(w->job);
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{}"));
	admin_answer(w->admin, ADMIN_SMTPD(1), w->ticket, SPAN("{}"));
	assert_null(w->job);
	admin_answer(w->admin, ADMIN_SMTPD(0), w->ticket, SPAN("{}"));
	run_job(w);
	assert_done(reply(peer));
	/* One that hangs is not waited for. */
	write_line(peer, "{\"cmd\":\"trace\",\"query\":\"a@b.example\"}");
	pass(w, ADMIN_FLUSH_MS);
	run_job(w);
	assert_done(reply(peer));
	/* The admin ends meanwhile. */
	write_line(peer, "{\"cmd\":\"trace\",\"query\":\"a@b.example\"}");
	admin_free(&w->admin);
	assert_null(w->job);
}

/* The rest of the answer counts, and what may be missing from it is said. */
static void a_search_says_what_it_could_not_read(void **state)
{
	struct world *w = *state;
	const char lines[] = "{\"event\":\"Reception\",\"time\":\"2027-01-15T08:00:00.000Z\","
			     "\"id\":\"0000000000001\",\"sender\":\"a@b.example\"}\n"
			     "{\"event\":\"Delivery\",\"sender\":\"a@b.example\n";

	assert_int_equal(disk_make_dir(sim_disk_base(w->disk), "smtpd-0"), 0);
	assert_int_equal(sim_disk_plant(w->disk, "smtpd-0/0000000000000001.jsonl", 0,
				 span_of(lines, sizeof(lines) - 1)),
		0);
	struct peer *peer = enter(w);
	write_line(peer, "{\"cmd\":\"trace\",\"query\":\"a@b.example\"}");
	run_job(w);
	json_t *value = reply(peer);
	assert_int_equal(json_array_size(json_object_get(value, "events")), 1);
	assert_string_equal(json_string_value(json_array_get(json_object_get(value, "unread"), 0)),
		"smtpd-0/0000000000000001.jsonl: 1 damaged line");
	json_decref(value);
}

/* explain asks delivery what the DNS says; without an answer it says so, and the rest all the
 * same. */
static void explain_asks_for_the_hosts(void **state)
{
	static const char request[] =
		"{\"cmd\":\"explain\",\"client\":\"127.0.0.1\",\"from\":\"a@b.example\","
		"\"to\":\"c@far.example\"}";
	struct world *w = *state;

	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"transports: { out: { server: lookup-mx } "
			   "}\\ndefault-transport: out\\n\"}"));
	struct peer *peer = enter(w);
	write_line(peer, request);
	assert_null(reply(peer));
	assert_string_equal(
		w->asked, "{\"op\":\"hosts\",\"transport\":\"out\",\"domain\":\"far.example\"}");
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket,
		SPAN("{\"hosts\":[{\"name\":\"mx.far.example\",\"preference\":10,\"addresses\":["
		     "\"8.8.8.8\"]}],\"ttl\":60}"));
	json_t *value = reply(peer);
	assert_non_null(strstr(json_string_value(json_object_get(value, "text")),
		"mx.far.example, preference 10: 8.8.8.8."));
	assert_string_equal(json_string_value(json_object_get(value, "outcome")), "transport");
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(value, "dns"), "hosts")), 1);
	json_decref(value);

	write_line(peer, request);
	pass(w, ADMIN_ANSWER_MS);
	value = reply(peer);
	assert_non_null(strstr(json_string_value(json_object_get(value, "text")),
		"How the next hop does now is not known: delivery does not answer."));
	json_decref(value);
	write_line(peer, request);
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("nonsense"));
	assert_done(reply(peer));
	w->delivery_error = ERR_CLOSED;
	write_line(peer, request);
	assert_done(reply(peer));
	w->delivery_error = 0;
	/* The one who asked is gone when the answer comes. */
	write_line(peer, request);
	peer->handler->closed(peer->owner, ERR_CLOSED);
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{}"));
	assert_error(ask(w, "{\"cmd\":\"explain\",\"client\":\"127.0.0.1\",\"from\":\"\","
			    "\"to\":\"c@d.example\",\"listener\":\"nope\"}"),
		"there is no listener \"nope\"; the start file has: mx");
}

#define RELAY(fields)                                                                 \
	"{\"cmd\":\"apply\",\"text\":\"transports: { out: { server: lookup-mx } }\\n" \
	"default-transport: out\\nrelay: { mx: { " fields " } }\\n\"}"

/* Whether the next hops are listed is known when delivery has said where they are. */
static void explain_decides_with_the_next_hops(void **state)
{
	static const struct {
		const char *hosts, *outcome;
	} answers[] = {
		{"{\"hosts\":[{\"name\":\"mx\",\"addresses\":[\"203.0.113.5\"]}],\"ttl\":60}",
			"transport"},
		{"{\"hosts\":[{\"name\":\"mx\",\"addresses\":[\"203.0.113.6\"]}],\"ttl\":60}",
			"refused"},
		{"nonsense", "refused"},
	};
	struct world *w = *state;

	assert_done(ask(w, RELAY("policy: addresses, to: [203.0.113.5]")));
	struct peer *peer = enter(w);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		write_line(peer,
			"{\"cmd\":\"explain\",\"client\":\"192.0.2.1\",\"from\":\"a@b.example\","
			"\"to\":\"c@far.example\"}");
		assert_null(reply(peer));
		assert_string_equal(w->asked,
			"{\"op\":\"hosts\",\"transport\":\"out\",\"domain\":\"far.example\"}");
		admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, span_str(answers[i].hosts));
		json_t *value = reply(peer);
		assert_string_equal(
			json_string_value(json_object_get(value, "outcome")), answers[i].outcome);
		json_decref(value);
	}
}

static void who_may_relay_is_shown(void **state)
{
	struct world *w = *state;

	/* Who changes it hears at once what it means. */
	json_t *value = ask(w, RELAY("policy: local-users"));
	assert_int_equal(json_array_size(json_object_get(value, "warnings")), 1);
	json_decref(value);
	value = ask(w, "{\"cmd\":\"relay\"}");
	const char *text = json_string_value(json_object_get(value, "text"));
	assert_non_null(strstr(text, "listener mx, 127.0.0.1:25: policy local-users\n"));
	assert_non_null(strstr(text, "WHOEVER WRITES such a sender"));
	json_t *mx = json_array_get(json_object_get(value, "listeners"), 0);
	assert_string_equal(json_string_value(json_object_get(mx, "policy")), "local-users");
	assert_int_equal(json_array_size(json_object_get(value, "warnings")), 1);
	json_decref(value);
}

/* A listener without a policy has one all the same; what is no listener is a mistake. */
static void the_policy_of_a_listener_that_has_none(void **state)
{
	struct world *w = *state;
	json_t *value =
		ask(w, "{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"relay\",\"name\":\"mx\"}");
	const char *text = json_string_value(json_object_get(value, "text"));

	assert_non_null(strstr(text, "no policy of its own; the defaults count"));
	assert_non_null(strstr(text, "\npolicy: none\n"));
	assert_non_null(strstr(text, "\nsenders: own\n"));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(value, "relay"), "policy")),
		"none");
	assert_true(json_is_true(json_object_get(value, "default")));
	json_decref(value);
	assert_error(
		ask(w, "{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"relay\",\"name\":\"mxx\"}"),
		"the start file has no such listener; it has: mx");
	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"remove\",\"kind\":\"relay\",\"name\":"
			    "\"mxx\"}"),
		"the start file has no such listener; it has: mx");
	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"remove\",\"kind\":\"relay\",\"name\":"
			    "\"mx\"}"),
		"has no relay policy of its own: it has the defaults");
}

/* At the start and when it changes, but not with each change of something else. */
static void dangerous_relaying_is_told_in_the_log(void **state)
{
	struct world *w = *state;

	assert_int_equal(w->warnings, 0);
	assert_done(ask(w, RELAY("policy: local-hosts")));
	assert_int_equal(w->warnings, 1);
	assert_non_null(strstr(w->warning, "listener mx: the policy local-hosts relays for"));
	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"" TRANSPORT "\"}"));
	assert_int_equal(w->warnings, 1);
	admin_free(&w->admin);
	start(w);
	assert_int_equal(w->warnings, 2);
	assert_done(ask(w, RELAY("policy: addresses, from: [192.0.2.1]")));
	assert_int_equal(w->warnings, 2);
	assert_done(ask(w, RELAY("policy: local-hosts")));
	assert_int_equal(w->warnings, 3);
}

/* ---- what waiting mail goes by ----------------------------------------------------------- */

#define SITE                                                                        \
	"{\"cmd\":\"apply\",\"text\":\"transports: { t: { server: a.example } }\\n" \
	"domains: { a.example: { transport: t }, b.example: { transport: t } }\\n\"}"
#define REMOVE "{\"cmd\":\"object\",\"op\":\"remove\",\"kind\":\"domain\",\"name\":\"a.example\""

static void nothing_is_removed_that_waiting_mail_goes_by(void **state)
{
	struct world *w = *state;

	assert_done(ask(w, SITE));
	struct peer *peer = enter(w);
	write_line(peer, REMOVE "}");
	assert_null(reply(peer));
	assert_string_equal(w->asked, "{\"op\":\"count\",\"filter\":\"domain=\\\"a.example\\\"\"}");
	delivery_says(w, "{\"messages\":2,\"after\":\"0000000000001\"}");
	assert_null(reply(peer)); /* the rest of the queue is counted, too */
	assert_non_null(strstr(w->asked, "\"after\":\"0000000000001\""));
	delivery_says(w, "{\"messages\":1}");
	assert_error(reply(peer), "3 messages in the queue go by domain a.example");
	write_line(peer, REMOVE "}");
	delivery_says(w, "{\"messages\":1}");
	assert_error(reply(peer), "1 message in the queue goes by domain a.example; without it, it "
				  "may bounce at once: "
				  "see posternctl queue list 'domain=\"a.example\"'; --force "
				  "removes it all the same");
	/* Nobody who could count is there. */
	write_line(peer, REMOVE "}");
	pass(w, ADMIN_ANSWER_MS);
	assert_error(reply(peer), "is not known: delivery does not answer; --force");
	w->delivery_error = ERR_CLOSED;
	write_line(peer, REMOVE "}");
	assert_error(reply(peer), "is not known");
	w->delivery_error = 0;
	write_line(peer,
		"{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"domain\",\"name\":\"a.example\"}");
	assert_done(reply(peer)); /* it is still there */
	write_line(peer, REMOVE ",\"force\":true}");
	assert_done(reply(peer));
	write_line(peer,
		"{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"domain\",\"name\":\"a.example\"}");
	assert_error(reply(peer), "no domain of that name");
	peer->handler->closed(peer->owner, ERR_CLOSED);
}

static void what_no_mail_goes_by_is_removed(void **state)
{
	struct world *w = *state;

	assert_done(ask(w, SITE));
	struct peer *peer = enter(w);
	write_line(peer, REMOVE "}");
	delivery_says(w, "{\"messages\":0}");
	json_t *value = reply(peer);
	assert_int_equal(json_array_size(json_object_get(value, "changes")), 1);
	assert_int_equal(json_array_size(json_object_get(value, "warnings")), 0);
	json_decref(value);
	peer->handler->closed(peer->owner, ERR_CLOSED);
}

/* Delivery alone can say what it can read. */
static void who_names_a_tls_ca_hears_whether_it_can_be_read(void **state)
{
	static const char add[] =
		"{\"cmd\":\"object\",\"op\":\"add\",\"kind\":\"transport\",\"name\":\"b\","
		"\"settings\":[\"server=mx.b.example\",\"tls=verify\",\"tls-ca=/etc/ssl/b.pem\"]}";
	static const char set[] = "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\","
				  "\"name\":\"b\",\"settings\":[\"connections=7\"]}";
	static const char gone[] = "{\"problems\":{\"/etc/ssl/b.pem\":\"is not there\"}}";
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, add);
	assert_null(reply(peer));
	assert_string_equal(w->asked, "{\"op\":\"tls-ca\",\"files\":[\"/etc/ssl/b.pem\"]}");
	delivery_says(w, gone);
	json_t *value = reply(peer);
	assert_int_equal(json_array_size(json_object_get(value, "changes")), 1);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(value, "warnings"), 0)),
		"transport b: its tls-ca, /etc/ssl/b.pem, is not there; until that is mended its "
		"mail waits");
	json_decref(value);
	/* What was said once is not said at every other change; check goes on saying it. */
	write_line(peer, set);
	assert_done(reply(peer));
	write_line(peer, "{\"cmd\":\"check\"}");
	assert_null(reply(peer));
	delivery_says(w, gone);
	value = reply(peer);
	char *all = json_dumps(value, JSON_COMPACT);
	assert_non_null(strstr(all, "\"about\":\"transport b\",\"text\":\"its tls-ca, "
				    "/etc/ssl/b.pem, is not there;"));
	free(all);
	json_decref(value);
	/* Where nothing is wrong, nothing is said; where nobody answers, that. */
	write_line(peer, "{\"cmd\":\"check\"}");
	delivery_says(w, "{\"problems\":{}}");
	value = reply(peer);
	all = json_dumps(value, JSON_COMPACT);
	assert_null(strstr(all, "b.pem"));
	free(all);
	json_decref(value);
	w->delivery_error = ERR_CLOSED;
	write_line(peer, "{\"cmd\":\"check\"}");
	value = reply(peer);
	all = json_dumps(value, JSON_COMPACT);
	assert_non_null(strstr(all, "is not known: delivery does not answer"));
	free(all);
	json_decref(value);
	peer->handler->closed(peer->owner, ERR_CLOSED);
}

/* A file is looked at as it would be after apply: what it does not name stays. */
static void a_file_is_checked_as_it_would_be_applied(void **state)
{
	struct world *w = *state;

	assert_done(
		ask(w, "{\"cmd\":\"apply\",\"text\":\"transports: { t: { server: a.example } }\\n"
		       "default-transport: t\\n"
		       "domains: { a.example: { transport: t } }\\n\"}"));
	json_t *value = ask(w, "{\"cmd\":\"check\",\"text\":\"domains: { b.example: { mailboxes: "
			       "yes } }\\n\"}");
	char *all = json_dumps(json_object_get(value, "findings"), JSON_COMPACT);
	assert_null(strstr(all, "default-transport"));
	assert_null(strstr(all, "there is none"));
	assert_non_null(strstr(all, "domain b.example\",\"text\":\"has mailboxes but no account"));
	free(all);
	json_decref(value);
	/* Nothing of it is there. */
	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"show\",\"kind\":\"domain\",\"name\":\"b."
			    "example\"}"),
		"no domain of that name");
	assert_error(ask(w, "{\"cmd\":\"check\",\"text\":\"domains: { b.example: { transport: no } "
			    "}\\n\"}"),
		"no");
}

static void apply_and_trials_warn(void **state)
{
	static const char prune[] = "{\"cmd\":\"apply\",\"prune\":true,\"text\":\"transports: { t: "
				    "{ server: a.example } "
				    "}\\ndomains: { b.example: { transport: t } }\\n\"}";
	struct world *w = *state;

	assert_done(ask(w, SITE));
	struct peer *peer = enter(w);
	write_line(peer, REMOVE ",\"dry_run\":true}");
	delivery_says(w, "{\"messages\":4}");
	json_t *value = reply(peer);
	const json_t *warning = json_array_get(json_object_get(value, "warnings"), 0);
	assert_non_null(strstr(json_string_value(warning), "4 messages"));
	assert_true(json_is_true(json_object_get(value, "dry_run")));
	json_decref(value);
	/* The directory is another one when the answer comes: it is counted anew. */
	write_line(peer, prune);
	assert_done(ask(w, REMOVE ",\"force\":true}"));
	assert_done(ask(w,
		"{\"cmd\":\"object\",\"op\":\"add\",\"kind\":\"domain\",\"name\":\"c.example\","
		"\"settings\":[\"transport=t\"]}"));
	delivery_says(w, "{\"messages\":4}");
	assert_null(reply(peer));
	assert_non_null(strstr(w->asked, "c.example"));
	delivery_says(w, "{\"messages\":5}");
	value = reply(peer);
	assert_string_equal(error_of(value), "");
	warning = json_array_get(json_object_get(value, "warnings"), 0);
	assert_non_null(
		strstr(json_string_value(warning), "5 messages in the queue go by domain c"));
	json_decref(value);
	/* Gone before the answer. */
	assert_done(ask(w, SITE));
	write_line(peer, REMOVE "}");
	peer->handler->closed(peer->owner, ERR_CLOSED);
	delivery_says(w, "{\"messages\":0}");
}

/* Of many that go, those that mail goes by are named, with how much. */
static void only_what_has_mail_is_named(void **state)
{
	struct world *w = *state;

	assert_done(
		ask(w, "{\"cmd\":\"apply\",\"text\":\"transports: { t: { server: a.example } }\\n"
		       "domains: { a.example: { transport: t }, b.example: { transport: t }, "
		       "c.example: { transport: t } }\\n\"}"));
	struct peer *peer = enter(w);
	write_line(peer, "{\"cmd\":\"apply\",\"prune\":true,\"dry_run\":true,\"text\":"
			 "\"transports: { t: { server: a.example } }\\n\"}");
	assert_non_null(strstr(w->asked, "\\\"a.example\\\" or domain=\\\"b.example"));
	delivery_says(w, "{\"messages\":5}");
	assert_string_equal(w->asked, "{\"op\":\"count\",\"filter\":\"domain=\\\"a.example\\\"\"}");
	delivery_says(w, "{\"messages\":1,\"after\":\"0000000000001\"}");
	assert_non_null(strstr(w->asked, "\"after\":\"0000000000001\""));
	delivery_says(w, "{\"messages\":2}");
	delivery_says(w, "{\"messages\":0}");
	assert_string_equal(w->asked, "{\"op\":\"count\",\"filter\":\"domain=\\\"c.example\\\"\"}");
	delivery_says(w, "{\"messages\":2}");
	json_t *value = reply(peer);
	const json_t *warning = json_array_get(json_object_get(value, "warnings"), 0);
	assert_string_equal(json_string_value(warning),
		"5 messages in the queue go by domain a.example (3), domain c.example (2); without "
		"them, they may bounce at once: see posternctl queue list 'domain=\"a.example\" or "
		"domain=\"c.example\"'");
	json_decref(value);
	/* Who is asked in the middle and does not answer: then it is known only of all. */
	write_line(peer, "{\"cmd\":\"apply\",\"prune\":true,\"dry_run\":true,\"text\":"
			 "\"transports: { t: { server: a.example } }\\n\"}");
	delivery_says(w, "{\"messages\":5}");
	pass(w, ADMIN_ANSWER_MS);
	value = reply(peer);
	warning = json_array_get(json_object_get(value, "warnings"), 0);
	assert_non_null(strstr(json_string_value(warning), "5 messages in the queue go by domain "
							   "a.example, domain b.example, domain "
							   "c.example; without them"));
	json_decref(value);
	peer->handler->closed(peer->owner, ERR_CLOSED);
}

/* ---- passwords and secrets -------------------------------------------------------------- */

#define ADD_JOE                                                                               \
	"{\"cmd\":\"object\",\"op\":\"add\",\"kind\":\"account\",\"name\":\"joe@a.example\"," \
	"\"password\":\"correct horse\"}"
#define USERS "{\"cmd\":\"user\",\"op\":\"list\"}"

static void have_domain(struct world *w)
{
	assert_done(ask(w, "{\"cmd\":\"apply\",\"text\":\"transports: { t: { server: "
			   "127.0.0.1:26, tls: require } }\\ndomains: { a.example: { mailboxes: "
			   "true } }\"}"));
	w->given[0] = '\0';
}

static bool has_password(struct world *w)
{
	json_t *value = ask(w, USERS);
	const json_t *list = json_object_get(value, "users");

	assert_int_equal(json_array_size(list), 1);
	bool has = json_is_true(json_object_get(json_array_get(list, 0), "password"));
	json_decref(value);
	return has;
}

static void a_password_is_hashed_while_others_are_answered(void **state)
{
	struct world *w = *state;

	have_domain(w);
	struct peer *peer = enter(w);
	write_line(peer, ADD_JOE);
	assert_null(reply(peer));
	json_t *none = ask(w, USERS);
	assert_int_equal(json_array_size(json_object_get(none, "users")), 0);
	json_decref(none);
	run_job(w);
	assert_done(reply(peer));
	assert_true(has_password(w));
	/* Who checks passwords has it before anybody can ask for it. */
	assert_string_equal(w->given, "a.");
	assert_string_equal(w->event, "account joe@a.example: added with a password");
	/* The next request of the same client has no password. */
	write_line(peer, "{\"cmd\":\"object\",\"op\":\"password\",\"kind\":\"account\","
			 "\"name\":\"joe@a.example\"}");
	assert_done(reply(peer));
	assert_false(has_password(w));
}

static void who_goes_while_his_password_is_hashed(void **state)
{
	struct world *w = *state;

	have_domain(w);
	struct peer *peer = enter(w);
	write_line(peer, ADD_JOE);
	peer->handler->closed(peer->owner, ERR_CLOSED);
	assert_true(peer->open);
	run_job(w);
	assert_false(peer->open);
	assert_true(has_password(w));
}

static void a_password_that_outlives_the_admin_is_not_heard(void **state)
{
	struct world *w = *state;

	have_domain(w);
	write_line(enter(w), ADD_JOE);
	admin_free(&w->admin);
	run_job(w);
}

/* Meanwhile somebody else made the account. */
static void a_password_that_comes_too_late(void **state)
{
	struct world *w = *state;

	have_domain(w);
	struct peer *peer = enter(w);
	write_line(peer, ADD_JOE);
	assert_done(ask(w, "{\"cmd\":\"object\",\"op\":\"add\",\"kind\":\"account\",\"name\":"
			   "\"joe@a.example\"}"));
	run_job(w);
	assert_error(reply(peer), "is there already");
	assert_false(has_password(w));
}

static void passwords_that_are_refused_at_once(void **state)
{
	static const char *const bad[][2] = {
		{"\"account\",\"name\":\"joe@a.example\",\"password\":\"short\"", "8 characters"},
		{"\"account\",\"name\":\"joe@a.example\",\"password\":\"\"", "empty"},
		{"\"account\",\"name\":\"joe@a.example\",\"password\":7", "empty"},
		{"\"domain\",\"name\":\"b.example\",\"password\":\"long enough\"", "an account"},
	};
	struct world *w = *state;
	char text[256];

	have_domain(w);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "{\"cmd\":\"object\",\"op\":\"add\",\"kind\":%s}",
			bad[i][0]);
		assert_error(ask(w, text), bad[i][1]);
	}
	/* A field cannot set what a password is checked by. */
	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"add\",\"kind\":\"account\",\"name\":"
			    "\"joe@a.example\",\"settings\":[\"verifiers=crypt:x\"]}"),
		"never taken from a command line");
	assert_string_equal(w->given, "");
}

static void secrets_of_transports(void **state)
{
	struct world *w = *state;

	have_domain(w);
	assert_done(ask(w, "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\",\"name\":"
			   "\"t\",\"settings\":[\"sasl.user=gw\"],\"secret\":\"s3cret\"}"));
	assert_string_equal(w->given, "t.");
	assert_null(strstr(w->event, "s3cret"));
	/* The same one again is no change. */
	assert_done(ask(w, "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\",\"name\":"
			   "\"t\",\"secret\":\"s3cret\"}"));
	assert_string_equal(w->given, "t.");
	assert_error(ask(w, "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"transport\",\"name\":"
			    "\"t\",\"secret\":\"\"}"),
		"is empty");
	json_t *value = ask(w, "{\"cmd\":\"export\",\"secrets\":true}");
	const char *text = json_string_value(json_object_get(value, "text"));
	assert_non_null(strstr(text, "secret: s3cret"));
	json_decref(value);
	assert_non_null(strstr(w->event, "exported with secrets"));
	value = ask(w, "{\"cmd\":\"audit\",\"limit\":1}");
	const json_t *entry = json_array_get(json_object_get(value, "entries"), 0);
	assert_non_null(strstr(json_string_value(json_object_get(entry, "change")),
		"password hashes of 0 accounts, secrets of 1 transport"));
	assert_string_equal(json_string_value(json_object_get(entry, "actor")), "root");
	json_decref(value);
}

static void an_import_is_all_or_nothing(void **state)
{
	static const char hash[] = "$1$abc$BXBqpb9BZcZhXLgbee.0s/";
	struct world *w = *state;
	char text[1000];

	have_domain(w);
	snprintf(text, sizeof(text),
		"{\"cmd\":\"import\",\"file\":\"f\",\"format\":\"htpasswd\",\"domain\":\"A."
		"example\","
		"\"text\":\"joe:%s\\n\\nann:%s\\njoe@b.example:%s\\nx y:%s\"}",
		hash, hash, hash, hash);
	json_t *value = ask(w, text);
	/* Each in the line where it is. */
	assert_non_null(strstr(error_of(value), "f:4: "));
	assert_non_null(strstr(error_of(value), "f:5: "));
	assert_null(strstr(error_of(value), hash));
	json_decref(value);
	snprintf(text, sizeof(text),
		"{\"cmd\":\"import\",\"file\":\"f\",\"format\":\"htpasswd\",\"domain\":"
		"\"a.example\",\"text\":\"joe:%s\\nJoe@a.example:%s\"}",
		hash, hash);
	assert_error(ask(w, text), "f:2: ");
	snprintf(text, sizeof(text),
		"{\"cmd\":\"import\",\"file\":\"f\",\"format\":\"htpasswd\",\"domain\":\"a."
		"example\","
		"\"text\":\"joe:%s\\n# x\\n\"}",
		hash);
	value = ask(w, text);
	assert_string_equal(error_of(value), "");
	assert_int_equal(json_integer_value(json_object_get(value, "added")), 1);
	assert_int_equal(json_integer_value(json_object_get(value, "weak")), 1);
	json_decref(value);
	assert_string_equal(w->given, "a.");
	assert_true(has_password(w));
	/* He is there now. */
	value = ask(w, text);
	assert_int_equal(json_integer_value(json_object_get(value, "kept")), 1);
	assert_int_equal(json_integer_value(json_object_get(value, "added")), 0);
	json_decref(value);
	assert_string_equal(w->given, "a.");
	assert_error(ask(w, "{\"cmd\":\"import\",\"format\":\"ldif\",\"text\":\"\"}"), "format");
	assert_error(ask(w, "{\"cmd\":\"import\",\"format\":\"shadow\",\"domain\":\"b.example\"}"),
		"b.example");
}

static void certificates_are_read_again_by_the_supervisor(void **state)
{
	static const char request[] = "{\"cmd\":\"tls\",\"op\":\"reload\"}";
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, request);
	assert_null(reply(peer));
	/* Nobody else can say so. */
	admin_answer(w->admin, ADMIN_SMTPD(0), w->tls_ticket, SPAN("{\"done\":true}"));
	admin_tls_reloaded(w->admin, w->tls_ticket + 1, true, SPAN_NONE);
	assert_null(reply(peer));
	admin_tls_reloaded(w->admin, w->tls_ticket, false, SPAN("gw.crt: no \"certificate\""));
	json_t *value = reply(peer);
	assert_true(json_is_false(json_object_get(value, "done")));
	assert_string_equal(
		json_string_value(json_object_get(value, "text")), "gw.crt: no \"certificate\"");
	json_decref(value);
	write_line(peer, request);
	pass(w, ADMIN_ANSWER_MS);
	assert_error(reply(peer), "not read in time");
	w->tls_error = ERR_CLOSED;
	assert_error(ask(w, request), "");
	assert_error(ask(w, "{\"cmd\":\"tls\",\"op\":\"x\"}"), "op: unknown");
}

/* ---- failed logins ---------------------------------------------------------------------- */

static void keys_say(struct world *w, const char *json)
{
	admin_answer(w->admin, ADMIN_KEYS, w->ticket, span_str(json));
}

static void have_joe(struct world *w)
{
	struct peer *peer = enter(w);

	have_domain(w);
	write_line(peer, ADD_JOE);
	run_job(w);
	assert_done(reply(peer));
}

#define LOCKS "{\"cmd\":\"user\",\"op\":\"locks\"}"

static void who_is_locked_out_is_asked_of_keys(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	write_line(peer, LOCKS);
	assert_int_equal(w->locks.op, KEYS_LOCKS_LIST);
	assert_string_equal(w->locked, "");
	/* It is keys that is believed, nobody else. */
	admin_answer(w->admin, ADMIN_DELIVERY, w->ticket, SPAN("{\"locks\":[1]}"));
	assert_null(reply(peer));
	keys_say(w, "{\"locks\":[]}");
	assert_done(reply(peer));
	write_line(peer, LOCKS);
	keys_say(w, "no json");
	assert_error(reply(peer), "does not answer");
	w->keys_error = ERR_CLOSED;
	assert_error(ask(w, LOCKS), "does not answer");
}

#define UNLOCK(what) "{\"cmd\":\"user\",\"op\":\"unlock\",\"what\":\"" what "\"}"

static void what_is_unlocked_is_in_the_audit(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	have_joe(w);
	write_line(peer, UNLOCK("Joe@A.example"));
	assert_int_equal(w->locks.op, KEYS_LOCKS_LIFT);
	assert_string_equal(w->locked, "joe@a.example");
	keys_say(w, "{\"lifted\":1}");
	assert_string_equal(w->event, "failed logins forgotten: joe@a.example");
	/* He may come from one of these. */
	assert_int_equal(w->locks.op, KEYS_LOCKS_LIST);
	assert_int_equal(w->locks.account.n, 0);
	keys_say(w, "{\"locks\":["
		    "{\"kind\":\"address\",\"address\":\"192.0.2.1\",\"account\":null,"
		    "\"blocked_until\":\"2026-11-22T12:00:00Z\"},"
		    "{\"kind\":\"site\",\"address\":\"2001:db8::/48\",\"account\":null,"
		    "\"blocked_until\":\"2026-11-22T12:00:00Z\"},"
		    "{\"kind\":\"address\",\"address\":\"192.0.2.2\",\"account\":null,"
		    "\"blocked_until\":null},"
		    "{\"kind\":\"account\",\"address\":null,\"account\":\"ann@a.example\","
		    "\"blocked_until\":\"2026-11-22T12:00:00Z\"},"
		    "{\"kind\":\"pair\",\"address\":\"192.0.2.3\",\"account\":\"ann@a.example\","
		    "\"blocked_until\":\"2026-11-22T12:00:00Z\"}],\"more\":0}");
	json_t *lifted = reply(peer);
	assert_int_equal(json_integer_value(json_object_get(lifted, "lifted")), 1);
	assert_int_equal(json_integer_value(json_object_get(lifted, "blocked_addresses")), 2);
	json_decref(lifted);
	json_t *audit = ask(w, "{\"cmd\":\"audit\",\"limit\":1}");
	const json_t *entry = json_array_get(json_object_get(audit, "entries"), 0);
	assert_string_equal(json_string_value(json_object_get(entry, "change")),
		"failed logins forgotten: joe@a.example");
	json_decref(audit);
	/* Where nothing was counted, nothing was done. */
	w->event[0] = '\0';
	write_line(peer, UNLOCK("joe@a.example"));
	keys_say(w, "{\"lifted\":0}");
	keys_say(w, "{\"locks\":[]}");
	assert_done(reply(peer));
	assert_string_equal(w->event, "");
	/* Keys does not run. */
	write_line(peer, UNLOCK("joe@a.example"));
	keys_say(w, "no json");
	json_t *unheard = reply(peer);
	assert_string_not_equal(error_of(unheard), "");
	json_decref(unheard);
	assert_string_equal(w->event, "");
}

static void addresses_are_unlocked_as_the_list_shows_them(void **state)
{
	static const struct {
		const char *request;
		uint8_t family, bits;
	} some[] = {{UNLOCK("192.0.2.1"), NETADDR_V4, 0}, {UNLOCK("192.0.2.1/32"), NETADDR_V4, 0},
		{UNLOCK("2001:db8::1"), NETADDR_V6, 0}, {UNLOCK("2001:db8::/64"), NETADDR_V6, 64},
		{UNLOCK("2001:db8::/48"), NETADDR_V6, 48}};
	static const char *const wrong[] = {UNLOCK(""), UNLOCK("joe"), UNLOCK("192.0.2.0/24"),
		UNLOCK("2001:db8::/32"), UNLOCK("192.0.2.1/"), UNLOCK("192.0.2.1/x"),
		UNLOCK("192.0.2.1/0"), UNLOCK("ann@a.example")};
	struct world *w = *state;
	struct peer *peer = enter(w);

	for (size_t i = 0; i < ARRAY_SIZE(some); i++) {
		write_line(peer, some[i].request);
		assert_int_equal(w->locks.address.family, some[i].family);
		assert_int_equal(w->locks.bits, some[i].bits);
		keys_say(w, "{\"lifted\":0}");
		assert_done(reply(peer));
	}
	unsigned asked = w->locks_asked;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		json_t *value = ask(w, wrong[i]);
		assert_string_not_equal(error_of(value), "");
		json_decref(value);
	}
	assert_int_equal(w->locks_asked, asked);
}

/* After a stolen password: the account was disabled meanwhile, and its owner waits. */
static void a_new_password_says_that_the_account_is_disabled(void **state)
{
	static const char request[] =
		"{\"cmd\":\"object\",\"op\":\"password\",\"kind\":\"account\","
		"\"name\":\"joe@a.example\",\"password\":\"another horse\"}";
	struct world *w = *state;
	struct peer *peer = enter(w);

	have_joe(w);
	write_line(peer, request);
	run_job(w);
	json_t *good = reply(peer);
	assert_int_equal(json_array_size(json_object_get(good, "warnings")), 0);
	json_decref(good);
	assert_done(ask(w, "{\"cmd\":\"object\",\"op\":\"set\",\"kind\":\"account\",\"name\":"
			   "\"joe@a.example\",\"settings\":[\"disabled=yes\"]}"));
	write_line(peer, request);
	run_job(w);
	json_t *disabled = reply(peer);
	const json_t *warnings = json_object_get(disabled, "warnings");
	assert_int_equal(json_array_size(warnings), 1);
	assert_non_null(strstr(json_string_value(json_array_get(warnings, 0)),
		"disabled still, and nobody can log in to it; to end that: posternctl user set "
		"joe@a.example disabled=no"));
	json_decref(disabled);
}

static void a_new_password_lifts_what_the_old_one_did(void **state)
{
	struct world *w = *state;
	struct peer *peer = enter(w);

	have_joe(w);
	assert_int_equal(w->locks_asked, 0);
	write_line(peer, "{\"cmd\":\"object\",\"op\":\"password\",\"kind\":\"account\","
			 "\"name\":\"joe@a.example\",\"password\":\"another horse\"}");
	assert_int_equal(w->locks_asked, 0);
	run_job(w);
	assert_done(reply(peer));
	assert_int_equal(w->locks_asked, 1);
	assert_int_equal(w->locks.op, KEYS_LOCKS_LIFT);
	assert_string_equal(w->locked, "joe@a.example");
	/* Its answer is nobody's. */
	keys_say(w, "{\"lifted\":1}");
	assert_null(reply(peer));
}

static void a_user_is_shown_with_failed_logins(void **state)
{
	static const char request[] =
		"{\"cmd\":\"user\",\"op\":\"show\",\"name\":\"joe@a.example\"}";
	struct world *w = *state;
	struct peer *peer = enter(w);

	have_joe(w);
	write_line(peer, request);
	assert_string_equal(w->locked, "joe@a.example");
	keys_say(w, "{\"locks\":[{\"failures\":3}]}");
	json_t *value = reply(peer);
	const json_t *failed = json_object_get(value, "failed_logins");
	assert_int_equal(json_array_size(json_object_get(failed, "locks")), 1);
	json_decref(value);
	/* Without keys the account is shown all the same. */
	w->keys_error = ERR_CLOSED;
	value = ask(w, request);
	assert_non_null(json_object_get(value, "user"));
	assert_true(json_is_null(json_object_get(value, "failed_logins")));
	json_decref(value);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_request_may_come_in_pieces),
		TEST(requests_in_a_row_are_answered_in_order),
		TEST(what_is_no_request_is_refused),
		TEST(a_half_closed_client_gets_its_reply),
		TEST(a_client_that_vanishes_takes_its_request_along),
		TEST(a_request_that_is_too_long_ends_the_connection),
		TEST(requests_have_bounds),
		TEST(all_requests_together_have_a_bound),
		TEST(a_client_that_does_not_read_holds_nobody_up),
		TEST(there_is_room_again_after_idle_clients),
		TEST(apply_changes_all_or_nothing),
		TEST(a_trial_run_changes_nothing),
		TEST(objects_pauses_and_the_audit),
		TEST(what_is_not_there_is_told_by_name),
		TEST(the_audit_has_names_and_numbers),
		TEST(explain_asks_for_the_hosts),
		TEST(explain_decides_with_the_next_hops),
		TEST(who_may_relay_is_shown),
		TEST(the_policy_of_a_listener_that_has_none),
		TEST(dangerous_relaying_is_told_in_the_log),
		TEST(nothing_is_removed_that_waiting_mail_goes_by),
		TEST(what_no_mail_goes_by_is_removed),
		TEST(who_names_a_tls_ca_hears_whether_it_can_be_read),
		TEST(a_file_is_checked_as_it_would_be_applied),
		TEST(apply_and_trials_warn),
		TEST(only_what_has_mail_is_named),
		TEST(queue_work_names_who_does_it),
		TEST(tickets_leave_room_for_others),
		TEST(what_is_done_to_the_queue_is_in_the_audit),
		TEST(a_change_that_ends_early_is_in_the_audit),
		TEST(a_listing_says_that_it_was_cut),
		TEST(what_was_exported_as_json_can_be_applied),
		TEST(status_has_the_oldest_and_what_is_down),
		TEST(each_change_is_an_event),
		TEST(nobody_answers_for_another),
		TEST(a_worker_tells_figures_and_nothing_else),
		TEST(what_is_too_deep_is_not_read),
		TEST(a_search_waits_until_the_roles_have_written),
		TEST(an_answer_that_is_no_json_is_not_passed_on),
		TEST(a_role_that_does_not_answer_is_left_out),
		TEST(a_search_that_outlives_the_admin_is_not_heard),
		TEST(a_search_answers_when_it_is_done),
		TEST(a_search_says_what_it_could_not_read),
		TEST(who_is_locked_out_is_asked_of_keys),
		TEST(what_is_unlocked_is_in_the_audit),
		TEST(addresses_are_unlocked_as_the_list_shows_them),
		TEST(a_new_password_lifts_what_the_old_one_did),
		TEST(a_new_password_says_that_the_account_is_disabled),
		TEST(a_user_is_shown_with_failed_logins),
		TEST(a_password_is_hashed_while_others_are_answered),
		TEST(who_goes_while_his_password_is_hashed),
		TEST(a_password_that_outlives_the_admin_is_not_heard),
		TEST(a_password_that_comes_too_late),
		TEST(passwords_that_are_refused_at_once),
		TEST(secrets_of_transports),
		TEST(an_import_is_all_or_nothing),
		TEST(certificates_are_read_again_by_the_supervisor),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
