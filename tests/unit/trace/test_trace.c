/*
 * The trace: what is written is found again, by whatever a person knows of the mail; files stay
 * within their bounds; peer bytes cannot forge lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"
#include "sim_disk.h"
#include "trace/event_format.h"
#include "trace/ring.h"
#include "trace/search.h"
#include "trace/writer.h"

#define NOON 1795262400000ll /* 2026-11-21T12:00:00Z */

struct world {
	struct io io;
	struct io_job *job; /* one that was submitted */
	struct sim_disk *sim;
	struct disk *disk;
	struct trace_writer *writer;
	uint64_t lines;
};

static int world_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	struct world *w = CONTAINER_OF(io, struct world, io);

	assert_int_equal(lane, IO_LANE_FILE);
	assert_null(w->job);
	w->job = job;
	return 0;
}

static const struct io_ops world_ops = {.submit = world_submit};

/* A disk that puts everything below one directory, as a role's descriptor does. */
struct below {
	struct disk disk;
	struct disk *under;
	const char *dir;
};

static void join(struct disk *disk, const char *path, char out[512])
{
	struct below *b = CONTAINER_OF(disk, struct below, disk);

	snprintf(out, 512, *path ? "%s/%s" : "%s", b->dir, path);
}

static int below_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	char full[512];

	join(disk, path, full);
	return disk_open(CONTAINER_OF(disk, struct below, disk)->under, full, flags, out);
}

static int below_unlink(struct disk *disk, const char *path)
{
	char full[512];

	join(disk, path, full);
	return disk_unlink(CONTAINER_OF(disk, struct below, disk)->under, full);
}

static int below_list(
	struct disk *disk, const char *path, int (*each)(void *, const char *), void *arg)
{
	char full[512];

	join(disk, path, full);
	return disk_list(CONTAINER_OF(disk, struct below, disk)->under, full, each, arg);
}

static const struct disk_ops below_ops = {
	.open = below_open, .unlink = below_unlink, .list = below_list};

static void run_jobs(struct world *w)
{
	while (w->job) {
		struct io_job *job = w->job;

		w->job = NULL;
		job->run(job);
		job->done(job);
	}
}

static void count_line(void *context, struct span json, struct span text)
{
	struct world *w = context;

	assert_int_equal(span_find(json, '\n'), json.n);
	assert_int_equal(span_find(text, '\n'), text.n);
	w->lines++;
}

static struct below role_disk;
static struct log *log_of_writer;

struct counting {
	struct log log;
	int errors, goods, others;
};

static void start(struct world *w, uint64_t bytes, uint64_t age_ms)
{
	role_disk = (struct below){{&below_ops}, w->disk, "delivery"};
	struct trace_writer_config config = {
		.io = &w->io,
		.disk = &role_disk.disk,
		.bytes = bytes,
		.age_ms = age_ms,
		.refusals = true,
		.line = count_line,
		.context = w,
		.text = true,
		.log = log_of_writer,
	};

	assert_int_equal(trace_writer_new(&config, &w->writer), 0);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	io_init(&w->io, &world_ops);
	w->io.wall_ms = NOON;
	assert_int_equal(sim_disk_new(1, &w->sim), 0);
	w->disk = sim_disk_base(w->sim);
	assert_int_equal(disk_make_dir(w->disk, "delivery"), 0);
	start(w, 1u << 20, 86400000);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	trace_writer_flush(w->writer);
	run_jobs(w);
	trace_writer_free(&w->writer);
	sim_disk_free(&w->sim);
	timers_done(&w->io.timers);
	free(w);
	return 0;
}

static void tell(
	struct world *w, enum event_kind kind, uint64_t id, const char *from, const char *to)
{
	struct span rcpt = span_str(to);
	struct event event = {
		.kind = kind,
		.id = id,
		.wall_ms = w->io.wall_ms,
		.sender = span_str(from),
		.sender_known = true,
		.recipients = &rcpt,
		.recipient_count = 1,
		.transport = SPAN("site-a"),
		.destination = SPAN("mx.a.example"),
		.user = kind == EVENT_RECEPTION ? span_str(from) : SPAN_NONE,
		.auth = kind == EVENT_RECEPTION ? SPAN("SCRAM-SHA-256") : SPAN_NONE,
	};

	assert_int_equal(netaddr_parse_ip(SPAN("2001:db8::7"), &event.client), 0);
	event_emit(trace_writer_sink(w->writer), &event);
	w->io.wall_ms += 1000;
}

/* Time passes, and what waits for it is done. */
static void pass(struct world *w, uint64_t ms)
{
	uint64_t end_ns = w->io.now_ns + ms * NS_PER_MS;

	for (uint64_t next_ns; (next_ns = timers_next(&w->io.timers)) <= end_ns;) {
		w->io.wall_ms += (int64_t)((next_ns - w->io.now_ns) / NS_PER_MS);
		w->io.now_ns = next_ns;
		timers_run(&w->io.timers, next_ns);
		run_jobs(w);
	}
	w->io.wall_ms += (int64_t)((end_ns - w->io.now_ns) / NS_PER_MS);
	w->io.now_ns = end_ns;
}

/* The ids of the events found, in order, as "id id id"; `unread` is part of what could not be
 * read. */
static void expect_despite(struct world *w, const char *query, uint32_t most, bool more,
	const char *events, const char *unread)
{
	struct search search;
	struct buf problem, out, got, missing;
	bool has_more = !more;

	trace_writer_flush(w->writer);
	run_jobs(w);
	buf_init(&problem, 1000);
	buf_init(&out, SEARCH_RESULT);
	buf_init(&got, 100000);
	buf_init(&missing, 100000);
	assert_int_equal(search_parse(span_str(query), most, w->io.wall_ms, &search, &problem), 0);
	assert_int_equal(search_run(&search, w->disk, &out, &missing, &has_more), 0);
	for (struct span rest = buf_span(&out); rest.n;) {
		size_t end = span_find(rest, '\n');
		json_error_t error;
		json_t *event = json_loadb(rest.p, end, 0, &error);
		uint64_t id = 0;

		assert_non_null(event);
		text_parse_id(span_str(json_string_value(json_object_get(event, "id"))), &id);
		buf_printf(&got, "%s%s:%llu", got.n ? " " : "",
			json_string_value(json_object_get(event, "event")), (unsigned long long)id);
		json_decref(event);
		rest = span_skip(rest, end + 1);
	}
	buf_add_char(&got, '\0');
	assert_string_equal(got.p, events);
	assert_int_equal(has_more, more);
	buf_add_char(&missing, '\0');
	if (*unread && !strstr(missing.p, unread))
		fail_msg("\"%s\" does not say \"%s\"", missing.p, unread);
	if (!*unread)
		assert_string_equal(missing.p, "");
	buf_done(&problem);
	buf_done(&out);
	buf_done(&got);
	buf_done(&missing);
}

static void expect(struct world *w, const char *query, uint32_t most, bool more, const char *events)
{
	expect_despite(w, query, most, more, events, "");
}

static void three_messages(struct world *w)
{
	tell(w, EVENT_RECEPTION, 1, "ann@x.example", "joe@a.example");
	tell(w, EVENT_RECEPTION, 2, "", "Bob@b.example");
	tell(w, EVENT_DELIVERY, 1, "ann@x.example", "joe@a.example");
	tell(w, EVENT_BOUNCE, 2, "", "Bob@b.example");
	tell(w, EVENT_REJECTION, 0, "spam@evil.example", "joe@a.example");
}

static void test_found_by_what_people_know(void **state)
{
	struct world *w = *state;

	three_messages(w);
	expect(w, "0000000000001", 10, false, "Reception:1 Delivery:1");
	expect(w, "id=0000000000002", 10, false, "Reception:2 Bounce:2");
	expect(w, "ANN@x.example", 10, false, "Reception:1 Delivery:1");
	expect(w, "sender=<>", 10, false, "Reception:2 Bounce:2");
	expect(w, "@b.example", 10, false, "Reception:2 Bounce:2");
	expect(w, "recipient=bob@B.EXAMPLE", 10, false, "Reception:2 Bounce:2");
	expect(w, "event=bounce", 10, false, "Reception:2 Bounce:2");
	expect(w, "recipient=joe@a.example event=Rejection", 10, false, "Rejection:0");
	/* An address of a host in another spelling is the same host. */
	expect(w, "client=2001:0db8:0::0007 @x.example", 10, false, "Reception:1 Delivery:1");
	expect(w, "mx.a.example transport=SITE-A @b.example", 10, false, "Reception:2 Bounce:2");
	expect(w, "user=Ann@x.example", 10, false, "Reception:1 Delivery:1");
	expect(w, "user=@x.example event=Reception", 10, false, "Reception:1 Delivery:1");
	expect(w, "user=spam@evil.example", 10, false, "");
	/* Whole: -PLUS is another one. */
	expect(w, "auth=scram-sha-256 @x.example", 10, false, "Reception:1 Delivery:1");
	expect(w, "auth=SCRAM", 10, false, "");
	expect(w, "auth=PLAIN", 10, false, "");
	expect(w, "@nowhere.example", 10, false, "");
	expect(w, "a@x.example", 10, false, ""); /* no part of an address */
}

/* By what right it was relayed, and how its links were protected. */
static void test_found_by_right_and_link(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *relay, *tls, *listener, *protocol;
	} mails[] = {
		{"login", "TLSv1.3 TLS_AES_256_GCM_SHA384", "submission", "ESMTPSA"},
		{"certificate sha256:"
		 "abababababababababababababababababababababababababababababababab",
			"TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256", "mx", "ESMTPS"},
		{"", "", "mx", "ESMTP"},
		{"", "TLSv1.3 TLS_AES_256_GCM_SHA384, not verified", "", ""},
		{"", "TLSv1.3 TLS_AES_256_GCM_SHA384, verified", "", ""},
	};

	for (uint64_t i = 0; i < ARRAY_SIZE(mails); i++) {
		const struct event event = {
			.kind = i < 3 ? EVENT_RECEPTION : EVENT_DELIVERY,
			.id = i + 1,
			.wall_ms = NOON,
			.relay = span_str(mails[i].relay),
			.tls = span_str(mails[i].tls),
			.listener = span_str(mails[i].listener),
			.protocol = span_str(mails[i].protocol),
		};
		event_emit(trace_writer_sink(w->writer), &event);
	}
	expect(w, "relay=login", 10, false, "Reception:1");
	expect(w, "relay=certificate", 10, false, "Reception:2");
	expect(w, "relay=sha256:ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB",
		10, false, "Reception:2");
	expect(w, "relay=sha256:acababababababababababababababababababababababababababababababab",
		10, false, "");
	expect(w, "relay=anyone", 10, false, "");
	expect(w, "listener=mx", 10, false, "Reception:2 Reception:3");
	expect(w, "protocol=esmtps", 10, false, "Reception:2");
	expect(w, "tls=TLSv1.2", 10, false, "Reception:2");
	expect(w, "tls=none", 10, false, "Reception:3");
	expect(w, "tls=verified", 10, false, "Delivery:5");
	expect(w, "tls=\"not verified\"", 10, false, "Delivery:4");
}

static void test_story_is_whole_though_one_event_matches(void **state)
{
	struct world *w = *state;

	three_messages(w);
	expect(w, "since=2026-11-21T12:00:02Z until=2026-11-21T12:00:02Z", 10, false,
		"Reception:1 Delivery:1");
	w->io.wall_ms = NOON + 5000;
	expect(w, "since=3s @b.example", 10, false, "Reception:2 Bounce:2");
}

/* Roles write on their own, so the delivery of a message may be written before its reception. */
static void test_reception_stands_first_within_a_millisecond(void **state)
{
	struct world *w = *state;

	tell(w, EVENT_DELIVERY, 1, "ann@x.example", "joe@a.example");
	w->io.wall_ms -= 1000;
	tell(w, EVENT_RECEPTION, 1, "ann@x.example", "joe@a.example");
	expect(w, "0000000000001", 10, false, "Reception:1 Delivery:1");
}

static void tell_notification(struct world *w, uint64_t id, uint64_t about)
{
	struct span rcpt = SPAN("ann@x.example");
	struct event event = {
		.kind = EVENT_RECEPTION,
		.id = id,
		.parent_id = about,
		.wall_ms = w->io.wall_ms,
		.sender_known = true,
		.recipients = &rcpt,
		.recipient_count = 1,
	};

	event_emit(trace_writer_sink(w->writer), &event);
	w->io.wall_ms += 1000;
}

static void test_a_story_has_the_notifications_about_it(void **state)
{
	struct world *w = *state;

	three_messages(w);
	tell_notification(w, 9, 1);
	tell_notification(w, 8, 7);
	tell(w, EVENT_DELIVERY, 9, "", "ann@x.example");
	expect(w, "0000000000001", 10, false, "Reception:1 Delivery:1 Reception:9 Delivery:9");
	expect(w, "sender=ann@x.example", 10, false,
		"Reception:1 Delivery:1 Reception:9 Delivery:9");
	expect(w, "0000000000009", 10, false, "Reception:9 Delivery:9");
	expect(w, "0000000000001", 1, false, "Reception:1 Delivery:1 Reception:9 Delivery:9");
}

static void test_damaged_lines_are_left_out(void **state)
{
	struct world *w = *state;
	const char bad[] = "{\"event\":\"Delivery\",\"time\":\"2026-11-21T12:00:09.000Z\","
			   "\"id\":\"0000000000001\",\"sender\":\n";

	three_messages(w);
	trace_writer_flush(w->writer);
	run_jobs(w);
	assert_int_equal(sim_disk_plant(w->sim, "delivery/0000000000000001.jsonl", 0,
				 span_of(bad, sizeof(bad) - 1)),
		0);
	expect_despite(w, "0000000000001", 10, false, "Reception:1 Delivery:1",
		"delivery/0000000000000001.jsonl: 1 damaged line");
}

/* A reader of the answer would choke on it, and lose the good lines as well. */
static void test_a_line_that_is_no_event_of_ours_is_left_out(void **state)
{
	struct world *w = *state;
	struct buf deep;

	three_messages(w);
	trace_writer_flush(w->writer);
	run_jobs(w);
	buf_init(&deep, 10000);
	buf_add_str(&deep, "{\"event\":\"Delivery\",\"id\":\"0000000000001\",\"x\":");
	for (int i = 0; i < 2040; i++)
		buf_add_char(&deep, '[');
	for (int i = 0; i < 2040; i++)
		buf_add_char(&deep, ']');
	buf_add_str(&deep, "}\n");
	assert_int_equal(
		sim_disk_plant(w->sim, "delivery/0000000000000001.jsonl", 0, buf_span(&deep)), 0);
	expect_despite(w, "0000000000001", 10, false, "Reception:1 Delivery:1", "1 damaged line");
	expect_despite(w, "event=delivery", 10, false, "Reception:1 Delivery:1", "1 damaged line");
	buf_done(&deep);
}

/* What one file's medium has lost does not take the others' stories away. */
static void test_a_file_that_cannot_be_read_is_told_and_passed_over(void **state)
{
	struct world *w = *state;
	const char other[] = "{\"event\":\"Reception\",\"time\":\"2026-11-21T11:00:00.000Z\","
			     "\"id\":\"0000000000001\",\"sender\":\"ann@x.example\"}\n";

	three_messages(w);
	trace_writer_flush(w->writer);
	run_jobs(w);
	assert_int_equal(sim_disk_plant(w->sim, "delivery/0000000000000001.jsonl", 0,
				 span_of(other, sizeof(other) - 1)),
		0);
	/* Alone an id is one pass, the oldest file first. */
	sim_disk_fail_nth(w->sim, SIM_READ, 1, ERR_IO, true);
	expect_despite(w, "0000000000001", 10, false, "Reception:1 Delivery:1",
		"delivery/0000000000000001.jsonl: ");
	/* The other way round: the newest file, which is read first, is lost. */
	sim_disk_fail_nth(w->sim, SIM_READ, 1, ERR_IO, true);
	expect_despite(w, "sender=ann@x.example", 10, false, "Reception:1 Reception:1 Delivery:1",
		"delivery/");
}

static void test_a_long_list_of_damage_is_cut(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 40; i++) {
		char name[64];

		snprintf(name, sizeof(name), "delivery/00000000000000%02x.jsonl", i);
		assert_int_equal(
			sim_disk_plant(w->sim, name, 0,
				SPAN("{\"event\":\"Delivery\",\"id\":\"0000000000001\"\n")),
			0);
	}
	expect_despite(w, "0000000000001", 10, false, "", "and 20 more files");
}

static void tell_quoted(struct world *w, uint64_t id, const char *from)
{
	struct event event = {.kind = EVENT_RECEPTION,
		.id = id,
		.wall_ms = w->io.wall_ms,
		.sender = span_str(from),
		.sender_known = true,
		.helo = SPAN("a big client")};

	event_emit(trace_writer_sink(w->writer), &event);
	w->io.wall_ms += 1000;
}

static void test_quotes_keep_a_value_together(void **state)
{
	struct world *w = *state;

	three_messages(w);
	tell_quoted(w, 5, "\"a b\"@x.example");
	tell_quoted(w, 6, "\"a\\\" b\"@x.example");
	/* RFC 5321 section 4.1.2, Quoted-string: the quotes are part of the address. */
	expect(w, "sender=\"a b\"@x.example", 10, false, "Reception:5");
	expect(w, "\"a b\"@x.example event=reception", 10, false, "Reception:5");
	expect(w, "sender=\"a\\\" b\"@x.example", 10, false, "Reception:6");
	/* In quotes as a whole: they are the query's. */
	expect(w, "sender=\"\\\"a b\\\"@x.example\"", 10, false, "Reception:5");
	expect(w, "sender=\"ann@x.example\"", 10, false, "Reception:1 Delivery:1");
	expect(w, "\"a big client\" @x.example", 10, false, "Reception:5 Reception:6");
	expect(w, "\"big a client\"", 10, false, "");
	/* What looks like a key is text when it is quoted. */
	expect(w, "\"event=bounce\"", 10, false, "");
	expect(w, "since=\"2026-11-21T12:00:06Z\" transport=\"site-a\"", 10, false, "");
	/* Text with quotes in it. */
	expect(w, "\"A B\\\"@x\"", 10, false, "Reception:5");
	/* An address with "=" in it. */
	tell_quoted(w, 7, "prvs=123=ann@x.example");
	tell_quoted(w, 8, "bounce+ann=x.example@y.example");
	expect(w, "\"prvs=123=ann@x.example\"", 10, false, "Reception:7");
	expect(w, "bounce+ann=x.example@y.example", 10, false, "Reception:8");
}

static void test_the_newest_come_first_when_there_are_many(void **state)
{
	struct world *w = *state;

	for (uint64_t id = 1; id <= 50; id++)
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
	expect(w, "ann@x.example", 3, true, "Reception:48 Reception:49 Reception:50");
}

static void test_bad_queries_say_why(void **state)
{
	static const struct {
		const char *query, *says;
	} bad[] = {
		{"", "what to look for?"},
		{"   ", "what to look for?"},
		{"id=zzz", "id: not a message's id"},
		{"since=yesterday", "how long ago"},
		{"until=2026-13-01", "how long ago"},
		{"sender=\"a b", "sender=: the closing quote is missing"},
		{"\"", "the closing quote is missing"},
		{"\"a\\", "the closing quote is missing"},
		{"sender=\"a\"b@x", "a blank belongs after the closing quote"},
		{"sender=a\"b c\"", "put the whole value in quotes"},
		{"recipent=joe@a.example", "unknown: recipent="},
		{"sander=joe", "for that very text write \"sander=joe\""},
		{"client=mx.a.example", "client: an IP address"},
		{"relay=address", "relay: one of loopback, login, certificate, from, to,"},
		{"event=Explosion", "event: one of Reception, Rejection, Delivery"},
		{"sender=", "sender=: a value is missing"},
		{"sender=\"\"", "sender=<>"},
	};
	struct search search;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct buf problem;

		buf_init(&problem, 1000);
		assert_int_equal(search_parse(span_str(bad[i].query), 1, NOON, &search, &problem),
			ERR_SYNTAX);
		buf_add_char(&problem, '\0');
		if (!strstr(problem.p, bad[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].query, problem.p,
				bad[i].says);
		buf_done(&problem);
	}
}

/* Bytes of a peer are data: no new lines, no quotes that end a string, no terminal escapes. */
static void test_peers_cannot_forge_lines(void **state)
{
	static const char evil[] = "a\"@x\n{\"event\":\"Delivery\"}\x1b[2J\xff";
	struct world *w = *state;
	struct event event = {.kind = EVENT_REJECTION,
		.wall_ms = NOON,
		.sender = {evil, sizeof(evil) - 1},
		.sender_known = true,
		.helo = {evil, sizeof(evil) - 1}};
	struct buf text;
	json_error_t error;

	buf_init(&text, 10000);
	event_json(&event, &text);
	assert_null(memchr(text.p, '\n', text.n));
	assert_null(memchr(text.p, 0x1b, text.n));
	json_t *object = json_loadb(text.p, text.n, 0, &error);
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "event")), "Rejection");
	json_decref(object);
	buf_clear(&text);
	event_text(&event, &text);
	for (size_t i = 0; i < text.n; i++)
		assert_in_range((unsigned char)text.p[i], ' ', 0x7e);
	buf_done(&text);
	event_emit(trace_writer_sink(w->writer), &event);
	expect(w, "event=Delivery", 10, false, "");
	expect(w, "event=Rejection", 10, false, "Rejection:0");
}

/* RFC 5321 allows blanks and brackets in a quoted local part. */
static void test_peers_cannot_forge_fields(void **state)
{
	struct span rcpt = SPAN("\"x> client=9.9.9.9 to=<y\"@a.example");
	const struct event event = {.kind = EVENT_REJECTION,
		.sender = SPAN("bounce+a=b.example@x.example"),
		.sender_known = true,
		.recipients = &rcpt,
		.recipient_count = 1,
		.helo = SPAN("h client=9.9.9.9"),
		.user = SPAN("eve to=<ann>"),
		.auth = SPAN("PLAIN"),
		.relay = SPAN("certificate sha256:ab"),
		.tls = SPAN("TLSv1.3 TLS_AES_256_GCM_SHA384"),
		.transport = SPAN("plain")};
	struct buf text;

	(void)state;
	buf_init(&text, 10000);
	event_text(&event, &text);
	buf_add_char(&text, '\0');
	assert_string_equal(text.p,
		"Rejection from=<bounce+a=b.example@x.example> "
		"to=<\\x22x\\x3e\\x20client=9.9.9.9\\x20to=\\x3cy\\x22@a.example> "
		"helo=\"h client=9.9.9.9\" user=\"eve to=<ann>\" "
		"auth=PLAIN relay=\"certificate sha256:ab\" "
		"tls=\"TLSv1.3 TLS_AES_256_GCM_SHA384\" transport=plain");
	buf_done(&text);
}

/* Seconds as seconds: nobody counts the digits of microseconds. */
static void test_times_are_written_for_people(void **state)
{
	const struct event event = {.kind = EVENT_DELIVERY,
		.attempt_us = 12345,
		.queued_us = 35668000,
		.commit_us = 850};
	struct buf text;

	(void)state;
	buf_init(&text, 10000);
	event_text(&event, &text);
	buf_add_char(&text, '\0');
	assert_string_equal(text.p, "Delivery took=12.3ms queued=35.7s commit=850us");
	buf_done(&text);
}

/* Names are read in the letters that they are written in; what a terminal obeys, or reads
 * backwards, never gets there. */
static void test_letters_of_all_the_world_stay(void **state)
{
	const struct event event = {.kind = EVENT_ADMIN_ACTION,
		.sender = SPAN("\xc3\xa9@b.example"),
		.sender_known = true,
		.helo = SPAN("\xc2\x9b"
			     "31m\xe2\x80\xae\xc3"),
		.reason = SPAN("retry-count 30 \xe2\x86\x92 12")};
	struct buf text;

	(void)state;
	buf_init(&text, 10000);
	event_text(&event, &text);
	buf_add_char(&text, '\0');
	assert_string_equal(text.p, "AdminAction from=<\xc3\xa9@b.example> "
				    "helo=\\xc2\\x9b31m\\xe2\\x80\\xae\\xc3 "
				    "why=\"retry-count 30 \xe2\x86\x92 12\"");
	buf_done(&text);
}

static void plant(struct world *w, const char *path, const char *lines)
{
	(void)disk_unlink(w->disk, path);
	assert_int_equal(sim_disk_plant(w->sim, path, 0, span_str(lines)), 0);
}

/* A worker that was taken over writes what it likes into its own trace. */
static void test_a_role_is_believed_no_more_than_it_can_know(void **state)
{
	struct world *w = *state;
	static const char own[] = "{\"event\":\"Reception\",\"time\":\"2026-11-21T12:00:00.000Z\","
				  "\"id\":\"0000000000001\",\"sender\":\"ann@x.example\"}\n";
	static const char *const forged[] = {
		"{\"event\":\"Bounce\",\"time\":\"2026-11-21T12:00:01.000Z\","
		"\"id\":\"0000000000001\",\"sender\":\"ann@x.example\"}\n",
		"{\"event\":\"AdminAction\",\"time\":\"2026-11-21T12:00:01.000Z\","
		"\"id\":\"0000000000001\",\"actor\":\"root\",\"why\":\"ann@x.example\"}\n",
		/* of another worker's log, or about another's message */
		"{\"event\":\"Reception\",\"time\":\"2026-11-21T12:00:01.000Z\","
		"\"id\":\"0000001000001\",\"sender\":\"ann@x.example\"}\n",
		"{\"event\":\"Reception\",\"time\":\"2026-11-21T12:00:01.000Z\","
		"\"id\":\"0000000000002\",\"sender\":\"ann@x.example\","
		"\"about\":\"0000000000001\"}\n",
		"{\"event\":\"Nonsense\",\"time\":\"2026-11-21T12:00:01.000Z\","
		"\"id\":\"0000000000001\",\"sender\":\"ann@x.example\"}\n",
	};

	assert_int_equal(disk_make_dir(w->disk, "smtpd-0"), 0);
	plant(w, "smtpd-0/0000000000000001.jsonl", own);
	expect(w, "ann@x.example", 10, false, "Reception:1");
	for (size_t i = 0; i < ARRAY_SIZE(forged); i++) {
		plant(w, "smtpd-0/0000000000000002.jsonl", forged[i]);
		expect_despite(w, "ann@x.example", 10, false, "Reception:1",
			"smtpd-0/0000000000000002.jsonl: 1 line of what this role cannot know");
	}
	expect(w, "0000000000002", 10, false, "");
	plant(w, "smtpd-0/0000000000000002.jsonl", "");
	/* A folder of nobody's is no trace. */
	assert_int_equal(disk_make_dir(w->disk, "smtpd-64"), 0);
	plant(w, "smtpd-64/0000000000000002.jsonl", forged[0]);
	expect(w, "ann@x.example", 10, false, "Reception:1");
}

/* A disk with very many files in one folder; most of them are gone when they are opened. */
static int flooded_open(struct disk *disk, const char *path, unsigned flags, struct io_file **out)
{
	return disk_open(CONTAINER_OF(disk, struct below, disk)->under, path, flags, out);
}

static int flooded_list(
	struct disk *disk, const char *path, int (*each)(void *, const char *), void *arg)
{
	struct below *b = CONTAINER_OF(disk, struct below, disk);
	char name[64];
	int err = 0;

	if (strcmp(path, b->dir) != 0)
		return disk_list(b->under, path, each, arg);
	for (int i = 0; i < 200000 && !err; i++) {
		snprintf(name, sizeof(name), "%016x.jsonl", i);
		err = each(arg, name);
	}
	return err;
}

static const struct disk_ops flooded_ops = {.open = flooded_open, .list = flooded_list};

/* Whoever fills its folder with files keeps nobody from searching the others. */
static void test_a_flood_of_files_leaves_the_newest(void **state)
{
	static const char line[] = "{\"event\":\"Reception\",\"time\":\"2026-11-21T11:00:00.000Z\","
				   "\"id\":\"0000000000004\",\"sender\":\"zoe@x.example\"}\n";
	struct world *w = *state;
	struct below flooded = {{&flooded_ops}, w->disk, "smtpd-0"};
	struct disk *plain = w->disk;
	char name[64];

	three_messages(w);
	trace_writer_flush(w->writer);
	run_jobs(w);
	assert_int_equal(disk_make_dir(w->disk, "smtpd-0"), 0);
	plant(w, "smtpd-0/0000000000000000.jsonl", line);
	snprintf(name, sizeof(name), "smtpd-0/%016x.jsonl", 199999);
	plant(w, name, line);
	w->disk = &flooded.disk;
	expect_despite(w, "sender=@x.example", 10, false, "Reception:4 Reception:1 Delivery:1",
		"more files than it may");
	w->disk = plain;
}

static void refuse_one(struct world *w, const char *client)
{
	struct event event = {.kind = EVENT_REJECTION,
		.wall_ms = w->io.wall_ms,
		.sender = SPAN("spam@evil.example"),
		.sender_known = true};

	assert_int_equal(netaddr_parse_ip(span_str(client), &event.client), 0);
	event_emit(trace_writer_sink(w->writer), &event);
}

static uint64_t found_lines(struct world *w, const char *query, uint32_t most, const char *with)
{
	struct search search;
	struct buf out, unread;
	uint64_t lines = 0;
	bool more;

	trace_writer_flush(w->writer);
	run_jobs(w);
	buf_init(&out, SEARCH_RESULT);
	buf_init(&unread, 1000);
	assert_int_equal(search_parse(span_str(query), most, w->io.wall_ms, &search, &out), 0);
	assert_int_equal(search_run(&search, w->disk, &out, &unread, &more), 0);
	for (struct span rest = buf_span(&out); rest.n;) {
		size_t end = span_find(rest, '\n');

		lines += memmem(rest.p, end, with, strlen(with)) != NULL;
		rest = span_skip(rest, end + 1);
	}
	buf_done(&out);
	buf_done(&unread);
	return lines;
}

/* Refused as fast as it can: a number is told, then how many more, to the log as well. */
static void test_a_flood_of_refusals_is_summed_up(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 5000; i++)
		refuse_one(w, i % 2 ? "2001:db8::1" : "2001:db8::2:1"); /* one network */
	refuse_one(w, "192.0.2.1");
	assert_int_equal(found_lines(w, "client=2001:db8::/32", 1000, "spam@evil.example"), 100);
	assert_int_equal(found_lines(w, "client=2001:db8::/32", 1000, "\"more\":4900"), 1);
	assert_int_equal(found_lines(w, "client=192.0.2.1", 1000, "spam@evil.example"), 1);
	assert_int_equal(w->lines, 102);
	/* What came since is told at the end of the minute; then there is a new one. */
	for (int i = 0; i < 10; i++)
		refuse_one(w, "2001:db8::1");
	pass(w, 61000);
	assert_int_equal(found_lines(w, "client=2001:db8::/32", 1000, "\"more\":10"), 1);
	refuse_one(w, "2001:db8::1");
	assert_int_equal(found_lines(w, "client=2001:db8::/32", 1000, "spam@evil.example"), 101);
	/* From more clients than can be told apart. */
	uint64_t before = w->lines;
	for (int i = 0; i < 30000; i++) {
		char client[32];

		snprintf(client, sizeof(client), "10.%d.%d.1", i / 250 % 250, i % 250);
		refuse_one(w, client);
	}
	pass(w, 61000);
	assert_true(w->lines - before < 3 * 256 + 102);
}

/* A customer's 65,536 networks do not use up what tells clients apart. */
static void test_the_networks_of_one_site_become_one_client(void **state)
{
	struct world *w = *state;
	char client[64];

	for (int i = 0; i < 60000; i++) {
		snprintf(client, sizeof(client), "2001:db8:77:%x::1", i);
		refuse_one(w, client);
	}
	uint64_t site = w->lines;
	assert_true(site <= 256 + 100);
	for (int i = 0; i < 200; i++) {
		snprintf(client, sizeof(client), "192.0.2.%d", i);
		refuse_one(w, client);
		snprintf(client, sizeof(client), "2001:db8:1%02x::1", i);
		if (i < 50)
			refuse_one(w, client);
	}
	/* Others are told each for themselves. */
	assert_int_equal(w->lines - site, 250);
	pass(w, 61000);
	assert_int_equal(found_lines(w, "client=2001:db8:77::/48", 1000, "\"more\":"), 1);
}

/* However many there are: so many lines a minute. */
static void test_refusals_have_a_total_bound(void **state)
{
	struct world *w = *state;
	char client[64];

	for (int i = 0; i < 200; i++) {
		snprintf(client, sizeof(client), "192.0.2.%d", i);
		for (int k = 0; k < 100; k++)
			refuse_one(w, client);
	}
	assert_int_equal(w->lines, 5000);
	pass(w, 61000);
	assert_true(w->lines <= 5000 + 257);
	assert_int_equal(found_lines(w, "client=192.0.2.199", 1000, "\"more\":100"), 1);
}

static void test_refusals_push_no_story_out(void **state)
{
	struct world *w = *state;

	three_messages(w);
	for (int minute = 0; minute < 300; minute++) {
		for (int i = 0; i < 100; i++)
			refuse_one(w, "192.0.2.1");
		pass(w, 61000);
	}
	expect(w, "ann@x.example", 10, false, "Reception:1 Delivery:1");
}

/* Refused clients count, too. */
static void test_the_limit_holds_for_refused_clients(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 10; i++) {
		tell(w, EVENT_REJECTION, 0, i < 9 ? "spam@evil.example" : "last@evil.example",
			"joe@a.example");
	}
	expect(w, "event=Rejection", 3, true, "Rejection:0 Rejection:0 Rejection:0");
	expect(w, "sender=last@evil.example", 3, false, "Rejection:0");
	assert_int_equal(found_lines(w, "event=Rejection", 2, "last@evil.example"), 1);
	assert_int_equal(found_lines(w, "event=Rejection", 2, "evil.example"), 2);
}

static void test_a_client_is_found_by_its_network(void **state)
{
	struct world *w = *state;

	three_messages(w);
	expect(w, "client=2001:db8::/32 event=Rejection", 10, false, "Rejection:0");
	expect(w, "2001:db8::/64 event=Rejection", 10, false, "Rejection:0");
	expect(w, "client=2001:db9::/32", 10, false, "");
	expect(w, "client=127.0.0.0/8", 10, false, "");
}

static int count_file(void *arg, const char *name)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static void test_bytes_are_bounded_and_survive_a_restart(void **state)
{
	struct world *w = *state;
	uint64_t all = 0;
	int files = 0;

	trace_writer_free(&w->writer);
	start(w, 64 * 1024, 86400000);
	for (uint64_t id = 1; id <= 5000; id++) {
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		if (id % 10 == 0) {
			trace_writer_flush(w->writer);
			run_jobs(w);
		}
		if (id == 2500) {
			trace_writer_free(&w->writer);
			start(w, 64 * 1024, 86400000);
		}
	}
	assert_int_equal(w->lines, 5000);
	assert_int_equal(disk_list(w->disk, "delivery", count_file, &files), 0);
	assert_in_range(files, 2, RING_FILES + 2);
	struct search search;
	struct buf out, problem, unread;
	bool more;
	buf_init(&out, SEARCH_RESULT);
	buf_init(&problem, 100);
	buf_init(&unread, 100);
	assert_int_equal(
		search_parse(SPAN("@a.example"), 1000, w->io.wall_ms, &search, &problem), 0);
	assert_int_equal(search_run(&search, w->disk, &out, &unread, &more), 0);
	assert_int_equal(unread.n, 0);
	all = out.n;
	assert_in_range(all, 32 * 1024, 80 * 1024);
	buf_done(&out);
	buf_done(&problem);
	expect(w, "000000000004w8", 10, false, ""); /* text that nobody said */
	expect(w, "id=00000000004w8", 1, false, "Reception:5000");
}

static void test_old_files_go(void **state)
{
	struct world *w = *state;
	int files = 0;

	trace_writer_free(&w->writer);
	start(w, 16 * 1024, 3600000);
	for (uint64_t id = 1; id <= 20; id++) {
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		trace_writer_flush(w->writer);
		run_jobs(w);
	}
	w->io.wall_ms += 2 * 3600000;
	for (uint64_t id = 21; id <= 40; id++) {
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		trace_writer_flush(w->writer);
		run_jobs(w);
	}
	assert_int_equal(disk_list(w->disk, "delivery", count_file, &files), 0);
	expect(w, "id=0000000000002", 1, false, "");
	expect(w, "id=0000000000018", 1, false, "Reception:40");
}

#define HOUR_MS 3600000ull

/* trace.age: "Older trace files are removed", whether or not anything happens. */
static void test_old_files_go_while_nothing_happens(void **state)
{
	struct world *w = *state;
	int files = 0;

	trace_writer_free(&w->writer);
	start(w, 16 << 20, 24 * HOUR_MS);
	tell(w, EVENT_RECEPTION, 1, "ann@x.example", "joe@a.example");
	pass(w, 23 * HOUR_MS);
	expect(w, "id=0000000000001", 1, false, "Reception:1");
	pass(w, 4 * HOUR_MS);
	assert_int_equal(disk_list(w->disk, "delivery", count_file, &files), 0);
	assert_int_equal(files, 0);
	/* And it goes on writing. */
	tell(w, EVENT_RECEPTION, 2, "ann@x.example", "joe@a.example");
	expect(w, "@a.example", 10, false, "Reception:2");
}

/* Likewise what an earlier life left. */
static void test_old_files_go_after_a_start_without_events(void **state)
{
	struct world *w = *state;
	int files = 0;

	tell(w, EVENT_RECEPTION, 1, "ann@x.example", "joe@a.example");
	pass(w, 1000);
	trace_writer_free(&w->writer);
	w->io.wall_ms += (int64_t)(30 * HOUR_MS);
	start(w, 16 << 20, 24 * HOUR_MS);
	pass(w, HOUR_MS);
	assert_int_equal(disk_list(w->disk, "delivery", count_file, &files), 0);
	assert_int_equal(files, 0);
}

/* A file that is long in filling would keep its first lines for as long. */
static void test_little_traffic_does_not_keep_old_lines(void **state)
{
	struct world *w = *state;

	trace_writer_free(&w->writer);
	start(w, 16 << 20, 24 * HOUR_MS);
	for (uint64_t id = 1; id <= 48; id++) {
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		pass(w, HOUR_MS);
	}
	expect(w, "id=0000000000010", 1, false, "Reception:32"); /* 17 hours ago */
	expect(w, "id=000000000000m", 1, false, "");		 /* 28 hours ago */
	expect(w, "id=0000000000001", 1, false, "");
}

/* Each try would leave an empty file, until these have taken the place of the full ones. */
static void test_a_full_disk_does_not_push_stories_out(void **state)
{
	struct world *w = *state;
	int files = 0;

	tell(w, EVENT_RECEPTION, 1, "ann@x.example", "joe@a.example");
	pass(w, 1000);
	sim_disk_set_capacity(w->sim, 1);
	for (uint64_t id = 2; id < 100; id++) {
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		pass(w, 1000);
	}
	assert_int_equal(disk_list(w->disk, "delivery", count_file, &files), 0);
	assert_int_equal(files, 1);
	sim_disk_set_capacity(w->sim, 0);
	tell(w, EVENT_RECEPTION, 100, "ann@x.example", "joe@a.example");
	expect(w, "id=0000000000001", 10, false, "Reception:1");
	expect(w, "id=0000000000034", 10, false, "Reception:100");
	assert_in_range(trace_writer_dropped(w->writer), 50, 98);
}

static void count_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct counting *c = CONTAINER_OF(log, struct counting, log);

	(void)fields;
	(void)count;
	c->errors += level == LOG_ERROR && strcmp(message, "the trace cannot be written") == 0;
	c->goods += level == LOG_INFO && strcmp(message, "the trace is written again") == 0;
	c->others += level != LOG_ERROR && level != LOG_INFO;
}

/* Whoever can cause a line can cause a million of them. */
static void test_a_full_disk_does_not_flood_the_log(void **state)
{
	struct world *w = *state;
	struct counting c = {.log = {.least = LOG_DEBUG, .write = count_log}};

	trace_writer_free(&w->writer);
	log_of_writer = &c.log;
	start(w, 16 << 20, 24 * HOUR_MS);
	log_of_writer = NULL;
	sim_disk_set_capacity(w->sim, 1);
	for (uint64_t id = 1; id <= 1800; id++) { /* three minutes */
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		pass(w, 100);
	}
	assert_in_range(c.errors, 3, 4);
	sim_disk_set_capacity(w->sim, 0);
	pass(w, 10000);
	assert_int_equal(c.goods, 0); /* nothing was written yet */
	for (uint64_t id = 1801; id < 1810; id++) {
		tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
		pass(w, 1000);
	}
	assert_int_equal(c.goods, 1);
	assert_int_equal(c.others, 0);
}

/* Who searches must learn that there was more. */
static void test_what_was_lost_is_known(void **state)
{
	struct world *w = *state;
	int64_t began = w->io.wall_ms;

	trace_writer_free(&w->writer);
	start(w, 16 << 20, 24 * HOUR_MS);
	assert_int_equal(trace_writer_gaps(w->writer).count, 0);
	for (int time = 0; time < 2; time++) {
		sim_disk_set_capacity(w->sim, 1);
		for (uint64_t id = 1; id <= 60; id++) {
			tell(w, EVENT_RECEPTION, id, "ann@x.example", "joe@a.example");
			pass(w, 1000);
		}
		sim_disk_set_capacity(w->sim, 0);
		tell(w, EVENT_RECEPTION, 61, "ann@x.example", "joe@a.example");
		pass(w, HOUR_MS);
	}
	struct trace_gaps gaps = trace_writer_gaps(w->writer);
	assert_int_equal(gaps.count, 2);
	assert_int_equal(gaps.list[0].lines, 60);
	assert_int_equal(gaps.list[0].err, ERR_NO_SPACE);
	assert_in_range(gaps.list[0].first_ms - began, 0, 1200);
	assert_in_range(gaps.list[0].last_ms - gaps.list[0].first_ms, 58000, 122000);
	assert_in_range(gaps.list[1].first_ms - began, HOUR_MS, HOUR_MS + 300000);
	assert_int_equal(gaps.list[0].lines + gaps.list[1].lines, trace_writer_dropped(w->writer));
	/* What is too old to be looked for is not missed. */
	pass(w, 22 * HOUR_MS + HOUR_MS / 2);
	assert_int_equal(trace_writer_gaps(w->writer).count, 1);
}

static void test_a_full_disk_costs_lines_not_the_role(void **state)
{
	struct world *w = *state;

	sim_disk_fail_nth(w->sim, SIM_OPEN, 1, ERR_NO_SPACE, true);
	tell(w, EVENT_RECEPTION, 1, "ann@x.example", "joe@a.example");
	trace_writer_flush(w->writer);
	run_jobs(w);
	assert_int_equal(trace_writer_dropped(w->writer), 1);
	tell(w, EVENT_RECEPTION, 2, "ann@x.example", "joe@a.example");
	expect(w, "ann@x.example", 10, false, "Reception:2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found_by_what_people_know, setup, teardown),
		cmocka_unit_test_setup_teardown(test_found_by_right_and_link, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_story_is_whole_though_one_event_matches, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_newest_come_first_when_there_are_many, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_story_has_the_notifications_about_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_reception_stands_first_within_a_millisecond, setup, teardown),
		cmocka_unit_test(test_peers_cannot_forge_fields),
		cmocka_unit_test(test_times_are_written_for_people),
		cmocka_unit_test(test_letters_of_all_the_world_stay),
		cmocka_unit_test_setup_teardown(test_damaged_lines_are_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_role_is_believed_no_more_than_it_can_know, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_flood_of_files_leaves_the_newest, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_flood_of_refusals_is_summed_up, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_networks_of_one_site_become_one_client, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_have_a_total_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals_push_no_story_out, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_the_limit_holds_for_refused_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_client_is_found_by_its_network, setup, teardown),
		cmocka_unit_test(test_bad_queries_say_why),
		cmocka_unit_test_setup_teardown(
			test_a_line_that_is_no_event_of_ours_is_left_out, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_file_that_cannot_be_read_is_told_and_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_long_list_of_damage_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_quotes_keep_a_value_together, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_old_files_go_while_nothing_happens, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_old_files_go_after_a_start_without_events, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_little_traffic_does_not_keep_old_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_full_disk_does_not_push_stories_out, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_full_disk_does_not_flood_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_was_lost_is_known, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peers_cannot_forge_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_bytes_are_bounded_and_survive_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_old_files_go, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_a_full_disk_costs_lines_not_the_role, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
