#include "world.h"

#include "directory/snapshot_build.h"

const char world_objects[] =
	"transports:\n"
	"  site:  { server: \"192.0.2.1:2626\", retry-delay: \"10m\", retry-count: 3 }\n"
	"  bin:   { server: \"192.0.2.9:25\", retry-delay: \"10m\", retry-count: 1, give-up: "
	"discard }\n"
	"  one:   { server: \"192.0.2.3:25\", connections: 1, messages-per-connection: 2 }\n"
	"  mx:    { server: \"lookup-mx\", retry-delay: \"10m\", retry-count: 3 }\n"
	"domains:\n"
	"  site.example: { transport: site }\n"
	"  bin.example:  { transport: bin }\n"
	"  one.example:  { transport: one }\n"
	"  box.example:  { mailboxes: true }\n"
	"accounts:\n"
	"  ann@box.example: {}\n"
	"  bob@box.example: {}\n"
	"default-transport: mx\n";

static const char start_file[] = "hostname: gw.example.test\n"
				 "spool: /spool\n"
				 "directory: /directory.db\n"
				 "control: /control.sock\n"
				 "workers: 1\n"
				 "listeners:\n"
				 "  mx: { address: \"192.0.2.250:25\" }\n";

/* ---- the next hop ----------------------------------------------------------------------- */

static void hop_say(struct hop *hop, const char *text)
{
	buf_add_str(&hop->out, text);
	buf_add_str(&hop->out, "\r\n");
}

static void hop_ordinary(struct hop *hop, const char *line, char *reply)
{
	struct world *w = hop->world;

	if (strcmp(line, "CONNECT") == 0)
		strcpy(reply, "220 hop.example ESMTP");
	else if (strncmp(line, "EHLO", 4) == 0)
		strcpy(reply, w->ehlo);
	else if (strncmp(line, "RCPT TO:<bad", 12) == 0)
		strcpy(reply, "550 5.1.1 no such user");
	else if (strncmp(line, "RCPT TO:<later", 14) == 0)
		strcpy(reply, "451 4.2.1 mailbox busy");
	else if (strcmp(line, "DATA") == 0)
		strcpy(reply, hop->accepted ? "354 go on" : "554 5.5.1 no valid recipients");
	else if (strcmp(line, ".") == 0)
		strcpy(reply, "250 2.0.0 taken");
	else if (strcmp(line, "QUIT") == 0)
		strcpy(reply, "221 2.0.0 bye");
	else
		strcpy(reply, "250 2.1.0 fine");
}

static void hop_take(struct hop *hop)
{
	struct world *w = hop->world;

	CHECK(w->taken_count < WORLD_TAKEN);
	struct taken *t = &w->taken[w->taken_count++];
	snprintf(t->ip, sizeof(t->ip), "%s", hop->ip);
	snprintf(t->from, sizeof(t->from), "%s", hop->from);
	snprintf(t->rcpts, sizeof(t->rcpts), "%s", hop->rcpts);
}

/* What the line did, once it has its reply. */
static void hop_learn(struct hop *hop, const char *line, const char *reply)
{
	bool yes = reply[0] == '2' || reply[0] == '3';

	if (strncmp(line, "MAIL FROM:<", 11) == 0 && yes) {
		hop->mails++;
		snprintf(hop->from, sizeof(hop->from), "%.*s", (int)strcspn(line + 11, ">"),
			line + 11);
		hop->rcpts[0] = '\0';
		hop->accepted = 0;
	} else if (strncmp(line, "RCPT TO:<", 9) == 0 && yes) {
		size_t n = strlen(hop->rcpts);

		snprintf(hop->rcpts + n, sizeof(hop->rcpts) - n, "%.*s ",
			(int)strcspn(line + 9, ">"), line + 9);
		hop->accepted++;
	} else if (strcmp(line, "DATA") == 0 && reply[0] == '3') {
		hop->body = true;
	} else if (strcmp(line, ".") == 0 && yes) {
		hop_take(hop);
	} else if (strcmp(line, "QUIT") == 0) {
		hop->closed_by_us = true;
	}
}

static void hop_line(struct hop *hop, const char *line)
{
	char reply[WORLD_LINE] = "";

	if (hop->closed_by_us)
		return;
	if (hop->world->script)
		hop->world->script(hop->world, hop, line, reply);
	if (!reply[0])
		hop_ordinary(hop, line, reply);
	if (strcmp(reply, "DROP") == 0) {
		hop->closed_by_us = true;
		return;
	}
	hop_learn(hop, line, reply);
	if (strcmp(reply, "SILENT") != 0)
		hop_say(hop, reply);
}

/* True: something was worked off. */
static bool hop_input(struct hop *hop)
{
	struct span in = buf_span(&hop->in);
	char line[WORLD_LINE];

	if (hop->body) {
		const char *end = in.n >= 3 && memcmp(in.p, ".\r\n", 3) == 0
					  ? in.p - 2
					  : memmem(in.p, in.n, "\r\n.\r\n", 5);

		if (!end)
			return false;
		size_t n = (size_t)(end + 2 - in.p);
		size_t before = hop->world->taken_count;
		char *body = strndup(in.p, n);

		buf_drop(&hop->in, n + 3);
		hop->body = false;
		hop_line(hop, ".");
		if (hop->world->taken_count > before)
			hop->world->taken[before].body = body;
		else
			free(body);
		return true;
	}
	const char *end = memmem(in.p, in.n, "\r\n", 2);
	if (!end)
		return false;
	size_t n = (size_t)(end - in.p);
	CHECK(n < sizeof(line));
	memcpy(line, in.p, n);
	line[n] = '\0';
	buf_drop(&hop->in, n + 2);
	hop_line(hop, line);
	return true;
}

static bool hop_is_dead(struct world *w, const struct hop *hop)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->dead); i++)
		if (w->dead[i][0] && strcmp(w->dead[i], hop->ip) == 0)
			return true;
	return false;
}

/* One step of one connection; true: something happened, and the list may have changed. */
static bool hop_step(struct world *w, struct hop *hop)
{
	if (!hop->answered) {
		bool dead = hop_is_dead(w, hop);

		hop->answered = true;
		if (!dead)
			hop_line(hop, "CONNECT");
		else
			hop->closed_by_us = hop->told = true;
		hop->handler->connected(hop->owner, dead ? ERR_REFUSED : 0);
		return true;
	}
	if (hop->out.n && !hop->paused) {
		struct iovec to = hop->handler->buffer(hop->owner);
		size_t n = MIN(to.iov_len, hop->out.n);

		memcpy(to.iov_base, hop->out.p, n);
		buf_drop(&hop->out, n);
		hop->handler->received(hop->owner, n);
		return true;
	}
	if (hop->closed_by_us && !hop->told && !hop->out.n) {
		hop->told = true;
		hop->handler->closed(hop->owner, 0);
		return true;
	}
	return false;
}

static void hop_free(struct hop *hop)
{
	list_remove(&hop->node);
	buf_done(&hop->in);
	buf_done(&hop->out);
	free(hop);
}

/* ---- struct io -------------------------------------------------------------------------- */

static struct world *world_of(struct io *io)
{
	return (struct world *)(void *)io;
}

static int io_do_connect(struct io *io, const struct netaddr *local, const struct netaddr *peer,
	const struct io_conn_handler *handler, void *owner, struct io_conn **out)
{
	struct world *w = world_of(io);
	struct buf ip;

	(void)local;
	w->connects++;
	if (w->refuse_connect)
		return w->refuse_connect;
	struct hop *hop = calloc(1, sizeof(*hop));
	CHECK(hop);
	*hop = (struct hop){.base = {.io = io}, .world = w, .handler = handler, .owner = owner};
	buf_init(&hop->in, 64u << 20);
	buf_init(&hop->out, 1u << 20);
	buf_init(&ip, 60);
	netaddr_add_ip(&ip, peer);
	memcpy(hop->ip, ip.p, ip.n);
	buf_done(&ip);
	list_push_back(&w->hops, &hop->node);
	*out = &hop->base;
	return 0;
}

static int io_do_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct hop *hop = (struct hop *)(void *)conn;

	(void)more;
	if (hop->told)
		return ERR_CLOSED;
	for (size_t i = 0; i < count; i++)
		buf_add(&hop->in, parts[i].iov_base, parts[i].iov_len);
	while (hop_input(hop))
		;
	return 0;
}

static int io_do_send_file(
	struct io_conn *conn, struct io_file *file, uint64_t offset, uint64_t length)
{
	char *bytes = malloc(length + 1);
	struct iovec part = {bytes, length};

	CHECK(bytes && disk_read(file, bytes, length, offset) == (int64_t)length);
	int err = io_do_send(conn, &part, 1, false);
	free(bytes);
	return err;
}

static size_t io_do_unsent(const struct io_conn *conn)
{
	(void)conn;
	return 0;
}

static void io_do_pause(struct io_conn *conn)
{
	((struct hop *)(void *)conn)->paused = true;
}

static void io_do_resume(struct io_conn *conn)
{
	((struct hop *)(void *)conn)->paused = false;
}

static void io_do_close(struct io_conn **conn, bool linger)
{
	(void)linger;
	hop_free((struct hop *)(void *)*conn);
	*conn = NULL;
}

static int io_do_submit(struct io *io, enum io_lane lane, struct io_job *job)
{
	struct io_job **at = &world_of(io)->jobs[lane];

	while (*at)
		at = &(*at)->next;
	job->next = NULL;
	*at = job;
	return 0;
}

static uint64_t io_do_random(struct io *io)
{
	return prng_u64(&world_of(io)->prng);
}

static const struct io_ops ops = {
	.connect = io_do_connect,
	.send = io_do_send,
	.send_file = io_do_send_file,
	.unsent = io_do_unsent,
	.pause = io_do_pause,
	.resume = io_do_resume,
	.close = io_do_close,
	.submit = io_do_submit,
	.random = io_do_random,
};

/* ---- the DNS ---------------------------------------------------------------------------- */

struct question {
	struct dns_question base; /* first */
	struct question *next;
	struct world *world;
	char name[DNS_NAME + 2];
	enum dns_type type;
	dns_done *done;
	void *owner;
};

static int dns_do_ask(struct dns *dns, struct span servers, struct span name, enum dns_type type,
	dns_done *done, void *owner, struct dns_question **out)
{
	struct world *w = CONTAINER_OF(dns, struct world, dns);
	struct question *q = calloc(1, sizeof(*q)), **at = &w->questions;

	(void)servers;
	CHECK(q && name.n <= DNS_NAME);
	*q = (struct question){
		.base = {dns}, .world = w, .type = type, .done = done, .owner = owner};
	memcpy(q->name, name.p, name.n);
	while (*at)
		at = &(*at)->next;
	*at = q;
	w->dns_asked++;
	*out = &q->base;
	return 0;
}

static void dns_do_cancel(struct dns_question **question)
{
	struct question *q = (struct question *)(void *)*question;
	struct question **at = &q->world->questions;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	free(q);
	*question = NULL;
}

static const struct dns_ops dns_ops = {dns_do_ask, dns_do_cancel};

static void dns_answer_first(struct world *w)
{
	struct question *q = w->questions;
	struct netaddr addresses[16];
	struct dns_mx mx[16];
	struct dns_answer answer = {.ttl_s = 300, .addresses = addresses, .mx = mx};
	bool exists = false;

	w->questions = q->next;
	for (const struct dns_row *row = w->rows; row && row->name; row++) {
		if (strcmp(row->name, q->name) != 0)
			continue;
		exists = true;
		if (row->type != q->type)
			continue;
		if (q->type == DNS_MX)
			mx[answer.count] = (struct dns_mx){row->preference, span_str(row->value)};
		else
			CHECK(!netaddr_parse_ip(span_str(row->value), &addresses[answer.count]));
		answer.count++;
	}
	answer.status = answer.count ? DNS_OK : exists ? DNS_NODATA : DNS_NXDOMAIN;
	if (w->dns_fails)
		answer = (struct dns_answer){.status = DNS_TEMPORARY,
			.ttl_s = 1,
			.reason = SPAN("the test's DNS fails")};
	q->done(q->owner, &answer);
	free(q);
}

/* ---- time ------------------------------------------------------------------------------- */

static bool run_job(struct world *w, int lane)
{
	struct io_job *job = w->jobs[lane];

	if (!job || w->jobs_wait)
		return false;
	w->jobs[lane] = job->next;
	job->run(job);
	job->done(job);
	return true;
}

static bool turn(struct world *w)
{
	bool any = false;

	LIST_FOR_EACH(node, &w->hops)
	{
		if (hop_step(w, CONTAINER_OF(node, struct hop, node))) {
			any = true;
			break;
		}
	}
	if (w->questions && !w->dns_waits) {
		dns_answer_first(w);
		any = true;
	}
	for (int lane = 0; lane < IO_LANES; lane++)
		any = run_job(w, lane) || any;
	if (timers_next(&w->io.timers) <= w->io.now_ns) {
		timers_run(&w->io.timers, w->io.now_ns);
		any = true;
	}
	any = any || w->io.turns;
	io_turns_run(&w->io);
	return any;
}

/* A world that does not come to rest without time passing spins: that is a fault, too. */
void world_settle(struct world *w)
{
	for (int i = 0; turn(w); i++)
		if (i > 200000)
			fail_msg("the world never comes to rest");
}

static void move_to(struct world *w, uint64_t ns)
{
	uint64_t ms = w->io.now_ns / NS_PER_MS;

	w->io.now_ns = ns;
	w->io.wall_ms += (int64_t)(ns / NS_PER_MS - ms);
}

void world_pass(struct world *w, uint64_t ms)
{
	uint64_t until = w->io.now_ns + ms * NS_PER_MS;

	for (int i = 0;; i++) {
		world_settle(w);
		uint64_t next = timers_next(&w->io.timers);
		if (next > until)
			break;
		if (i > 2000000)
			fail_msg("timers fire without end");
		move_to(w, next);
	}
	move_to(w, until);
	world_settle(w);
}

/* ---- events ----------------------------------------------------------------------------- */

static void keep(char *to, size_t room, struct span text)
{
	size_t n = MIN(text.n, room - 1);

	if (n)
		memcpy(to, text.p, n);
	to[n] = '\0';
}

static void on_event(struct event_sink *sink, const struct event *event)
{
	struct world *w = CONTAINER_OF(sink, struct world, sink);

	if (w->event_count == WORLD_EVENTS)
		return;
	struct seen *seen = &w->events[w->event_count++];
	size_t n = 0;

	*seen = (struct seen){.kind = event->kind,
		.id = event->id,
		.dsn = event->dsn_id,
		.parent = event->parent_id,
		.attempt = event->attempt,
		.next_try_ms = event->next_try_ms};
	for (uint32_t i = 0; i < event->recipient_count; i++) {
		struct span r = event->recipients[i];

		if (n + r.n + 2 < sizeof(seen->rcpts)) {
			memcpy(seen->rcpts + n, r.p, r.n);
			n += r.n;
			seen->rcpts[n++] = ' ';
		}
	}
	keep(seen->destination, sizeof(seen->destination), event->destination);
	keep(seen->action, sizeof(seen->action), event->action);
	if (event->verdict) {
		seen->code = event->verdict->code;
		keep(seen->text, sizeof(seen->text), verdict_text(event->verdict));
	}
}

size_t world_events(const struct world *w, enum event_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < w->event_count; i++)
		n += w->events[i].kind == kind;
	return n;
}

const struct seen *world_event(const struct world *w, enum event_kind kind, size_t nth)
{
	for (size_t i = 0; i < w->event_count; i++)
		if (w->events[i].kind == kind && nth-- == 0)
			return &w->events[i];
	return NULL;
}

size_t world_taken(const struct world *w, const char *rcpt)
{
	size_t n = 0;

	for (size_t i = 0; i < w->taken_count; i++)
		n += strstr(w->taken[i].rcpts, rcpt) != NULL;
	return n;
}

/* ---- the directory ---------------------------------------------------------------------- */

static int set_plan(struct world *w, int err, struct plan **plan)
{
	struct snapshot *snapshot;
	int fd;

	if (err)
		return err;
	objects_free(&w->objects);
	w->objects = plan_take(plan);
	CHECK(!snapshot_build(w->objects, ++w->generation, &fd));
	CHECK(!snapshot_open(fd, &snapshot));
	err = delivery_set_snapshot(w->d, snapshot);
	snapshot_release(&snapshot);
	return err;
}

bool world_apply(struct world *w, const char *text)
{
	struct plan_options options = {.now_ms = w->io.wall_ms, .prune = true};
	struct plan *plan = NULL;
	struct buf problems;

	buf_init(&problems, 1u << 16);
	int err =
		objects_plan_apply(w->objects, "test", span_str(text), &options, &problems, &plan);
	if (err)
		print_message("%.*s\n", (int)problems.n, problems.p ? problems.p : "");
	err = set_plan(w, err, &plan);
	buf_done(&problems);
	world_settle(w);
	return err == 0;
}

void world_pause(struct world *w, enum pause_scope scope, const char *name, bool on)
{
	struct plan_options options = {.now_ms = w->io.wall_ms};
	struct plan *plan = NULL;
	struct buf problems;

	buf_init(&problems, 1u << 16);
	int err = on ? objects_plan_pause(w->objects, scope, span_str(name), SPAN("ann"),
			       SPAN("works"), &options, &problems, &plan)
		     : objects_plan_resume(
			       w->objects, scope, span_str(name), &options, &problems, &plan);
	assert_int_equal(err, 0);
	assert_int_equal(set_plan(w, err, &plan), 0);
	buf_done(&problems);
	world_settle(w);
}

/* ---- messages in ------------------------------------------------------------------------ */

static void on_notice(void *context, const struct spool_notice *notice)
{
	struct world *w = context;

	delivery_notice(w->d, notice);
}

static void on_writer_health(void *context, enum spool_health health)
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
		.sender = span_str(from),
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
		run_job(w, IO_LANE_COMMIT);
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

/* ---- life ------------------------------------------------------------------------------- */

static void queue_full(void *context, bool full)
{
	((struct world *)context)->full = full;
}

void world_init_with(struct world *w, const char *objects)
{
	struct buf problems;

	*w = (struct world){
		.ehlo = "250-hop.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n"
			"250 SIZE 10000000"};
	io_init(&w->io, &ops);
	w->io.now_ns = NS_PER_S;
	w->io.wall_ms = WORLD_WALL;
	w->dns.ops = &dns_ops;
	w->sink.emit = on_event;
	prng_seed(&w->prng, 7);
	list_init(&w->hops);
	CHECK(!sim_disk_new(1, &w->spool) && !sim_disk_new(2, &w->boxes));
	buf_init(&problems, 1u << 16);
	if (config_parse("postern.yaml", span_str(start_file), &w->config, &problems))
		fail_msg("%.*s", (int)problems.n, problems.p);
	buf_done(&problems);
	w->listener = w->config->listeners[0].address;
	w->route = (struct route_config){
		.hostname = w->config->hostname, .listeners = &w->listener, .listener_count = 1};
	CHECK(!objects_new(&w->objects));
	struct delivery_config config = {
		.io = &w->io,
		.spool = sim_disk_base(w->spool),
		.mailboxes = sim_disk_base(w->boxes),
		.dns = &w->dns,
		.config = w->config,
		.route = &w->route,
		.events = &w->sink,
		.context = w,
		.queue_full = queue_full,
	};
	CHECK(!delivery_new(&config, &w->d));
	assert_true(world_apply(w, objects));
	struct spool_writer_config writer = {
		.io = &w->io,
		.disk = sim_disk_base(w->spool),
		.owner = 0,
		.least_serial = 1,
		.segment_bytes = 4u << 20,
		.inline_bytes = 1u << 20,
		.memory_bytes = 8u << 20,
		.context = w,
		.notice = on_notice,
		.health = on_writer_health,
	};
	CHECK(!spool_writer_new(&writer, &w->writer));
	struct spool_notice live;
	spool_writer_position(w->writer, &live);
	delivery_start(w->d, &live, 1);
	world_settle(w);
	assert_true(delivery_loaded(w->d));
}

void world_init(struct world *w)
{
	world_init_with(w, world_objects);
}

static void on_stopped(void *arg)
{
	((struct world *)arg)->stopped = true;
}

void world_done(struct world *w)
{
	if (w->d && !w->stopped) {
		delivery_stop(w->d, 1, on_stopped, w);
		world_pass(w, 20 * SECOND);
		assert_true(w->stopped);
	}
	delivery_free(&w->d);
	world_settle(w);
	spool_writer_free(&w->writer);
	assert_true(list_empty(&w->hops));
	assert_null(w->questions);
	assert_null(w->io.turns);
	objects_free(&w->objects);
	config_free(&w->config);
	sim_disk_free(&w->spool);
	sim_disk_free(&w->boxes);
	timers_done(&w->io.timers);
	for (size_t i = 0; i < w->taken_count; i++)
		free(w->taken[i].body);
}

/* ---- questions -------------------------------------------------------------------------- */

char *world_control(struct world *w, const char *request)
{
	struct buf reply;

	buf_init(&reply, 64u << 20);
	delivery_control(w->d, span_str(request), &reply);
	buf_add_char(&reply, '\0');
	assert_true(buf_ok(&reply));
	world_settle(w);
	return reply.p;
}

uint64_t world_queued(const struct world *w)
{
	struct delivery_figures figures;

	delivery_figures(w->d, &figures);
	return figures.queued;
}

void world_sound(struct world *w)
{
	struct buf problem;

	buf_init(&problem, 1u << 16);
	if (delivery_check(w->d, &problem))
		fail_msg("%.*s", (int)problem.n, problem.p ? problem.p : "");
	buf_done(&problem);
}

size_t world_open(const struct world *w)
{
	size_t n = 0;

	for (const struct list *at = w->hops.next; at != &w->hops; at = at->next)
		n++;
	return n;
}
