#include "world_parts.h"

#include "directory/snapshot_build.h"

const char world_objects[] =
	"transports:\n"
	"  site:  { server: \"192.0.2.1:2626\", retry-delay: \"10m\", retry-count: 3 }\n"
	"  bin:   { server: \"192.0.2.9:25\", retry-delay: \"10m\", retry-count: 1, give-up: "
	"discard }\n"
	"  one:   { server: \"192.0.2.3:25\", connections: 1, messages-per-connection: 2 }\n"
	"  mx:    { server: \"lookup-mx\", private-hosts: yes, retry-delay: \"10m\", retry-count: "
	"3 }\n"
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

/* ---- the directory ---------------------------------------------------------------------- */

static int set_plan(struct world *w, int err, struct plan **plan)
{
	struct snapshot *snapshot;
	int fd;

	if (err)
		return err;
	objects_free(&w->objects);
	w->objects = plan_take(plan);
	if (!w->d) /* it hears of it when it begins */
		return 0;
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

/* ---- life ------------------------------------------------------------------------------- */

static bool check_ca(void *context, struct span path, struct buf *why)
{
	(void)context;
	if (!span_equal(path, SPAN("/etc/ssl/gone.pem")))
		return false;
	buf_add_str(why, "is not there");
	return true;
}

static void queue_full(void *context, bool full)
{
	((struct world *)context)->full = full;
}

static enum dns_dnssec dnssec(void *context)
{
	return ((const struct world *)context)->validated;
}

static uint64_t dnssec_servers(void *context)
{
	return ((const struct world *)context)->dns_servers;
}

static void dnssec_believe(void *context, uint64_t servers)
{
	((struct world *)context)->believed = servers;
}

static int read_ca(void *context, struct span path, struct buf *out)
{
	struct world *w = context;
	(void)path;

	w->ca_reads++;
	buf_add_str(out, "an authority");
	for (size_t i = 0; i < w->ca_bytes; i++)
		buf_add_char(out, '.');
	return w->ca_error;
}

static void answer(void *context, uint32_t ticket, struct span json)
{
	struct world *w = context;

	free(w->answer);
	w->answer = strndup(json.p, json.n);
	w->answered = ticket;
}

static void make_core(struct world *w)
{
	struct delivery_config config = {
		.io = &w->io,
		.spool = sim_disk_base(w->spool),
		.mailboxes = sim_disk_base(w->boxes),
		.dns = &w->dns,
		.fetch = &w->fetch,
		.dnssec = dnssec,
		.dnssec_servers = dnssec_servers,
		.dnssec_believe = dnssec_believe,
		.read_ca = read_ca,
		.log = &w->log,
		.config = w->config,
		.route = &w->route,
		.events = &w->sink,
		.context = w,
		.check_ca = check_ca,
		.queue_full = queue_full,
		.answer = answer,
	};
	CHECK(!delivery_new(&config, &w->d));
}

static void start_core(struct world *w)
{
	struct spool_notice live;

	spool_writer_position(w->writer, &live);
	delivery_start(w->d, &live, 1);
	world_settle(w);
	assert_true(delivery_loaded(w->d));
}

void world_init_with(struct world *w, const char *objects)
{
	struct buf problems;

	*w = (struct world){
		.ehlo = "250-hop.example\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n"
			"250 SIZE 10000000"};
	io_init(&w->io, &world_io_ops);
	w->io.now_ns = NS_PER_S;
	w->io.wall_ms = WORLD_WALL;
	w->dns.ops = &world_dns_ops;
	w->fetch.ops = &world_fetch_ops;
	w->sink.emit = world_on_event;
	w->validated = DNSSEC_YES;
	w->dns_servers = 1;
	w->log = (struct log){.least = LOG_WARN, .write = world_on_log};
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
	make_core(w);
	assert_true(world_apply(w, objects));
	struct spool_writer_config writer = {
		.io = &w->io,
		.disk = sim_disk_base(w->spool),
		.owner = 0,
		.serials = {.least = 1},
		.segment_bytes = 4u << 20,
		.inline_bytes = 1u << 20,
		.memory_bytes = 8u << 20,
		.context = w,
		.notice = world_on_notice,
		.health = world_on_writer_health,
	};
	CHECK(!spool_writer_new(&writer, &w->writer) && !spool_writer_begin(w->writer));
	start_core(w);
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
	free(w->answer);
	free(w->posted);
	for (size_t i = 0; i < w->taken_count; i++)
		free(w->taken[i].body);
}

/* What was written before is on the disk; what a helper thread has at the moment goes through. */
void world_crash(struct world *w)
{
	world_kill(w);
	world_begin(w);
}

void world_kill(struct world *w)
{
	w->jobs_wait = false;
	for (int lane = 0; lane < IO_LANES; lane++)
		while (world_run_job(w, lane))
			;
	delivery_free(&w->d);
}

void world_begin(struct world *w)
{
	struct snapshot *snapshot;
	int fd;

	make_core(w);
	CHECK(!snapshot_build(w->objects, ++w->generation, &fd));
	CHECK(!snapshot_open(fd, &snapshot));
	CHECK(!delivery_set_snapshot(w->d, snapshot));
	snapshot_release(&snapshot);
	start_core(w);
}

void world_flip(struct world *w, const char *text)
{
	struct spool_notice at_end;
	struct span file;
	char path[32];

	spool_writer_position(w->writer, &at_end);
	snprintf(path, sizeof(path), "w0/%08x.log", at_end.serial);
	CHECK(!sim_disk_peek(w->spool, path, &file));
	const char *at = memmem(file.p, file.n, text, strlen(text));
	CHECK(at);
	CHECK(!sim_disk_flip(w->spool, path, (uint64_t)(at - file.p) * 8));
}
