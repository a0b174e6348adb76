/* struct io, and time that passes only when the test says so. */
#include "world_parts.h"

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

static int io_do_secure(struct io_conn *conn, struct tls_server *server,
	const struct tls_client *client, uint64_t ms)
{
	struct hop *hop = (struct hop *)(void *)conn;
	struct world *w = hop->world;

	(void)ms;
	CHECK(!server && client && !hop->secured);
	hop->handshakes = true;
	hop->tls = (struct tls_info){
		.failure = w->handshake ? w->handshake(w, hop, client) : TLS_FINE,
		.version = SPAN("TLSv1.3"),
		.cipher = SPAN("TLS_AES_128_GCM_SHA256"),
		.peer_certificate = true,
	};
	hop->tls.peer_verified = hop->tls.failure == TLS_FINE && client->check != TLS_CHECK_NOTHING;
	return 0;
}

static const struct tls_info *io_do_tls(const struct io_conn *conn)
{
	const struct hop *hop = (const struct hop *)(const void *)conn;

	return hop->secured || hop->tls.failure ? &hop->tls : NULL;
}

static void io_do_ends(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer)
{
	(void)conn;
	(void)peer;
	CHECK(!netaddr_parse_ip(SPAN(WORLD_LOCAL), local));
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

const struct io_ops world_io_ops = {
	.connect = io_do_connect,
	.send = io_do_send,
	.send_file = io_do_send_file,
	.unsent = io_do_unsent,
	.secure = io_do_secure,
	.tls = io_do_tls,
	.ends = io_do_ends,
	.pause = io_do_pause,
	.resume = io_do_resume,
	.close = io_do_close,
	.submit = io_do_submit,
	.random = io_do_random,
};

/* ---- time ------------------------------------------------------------------------------- */

bool world_run_job(struct world *w, int lane)
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
		world_dns_answer(w);
		any = true;
	}
	if (w->fetching && !w->web_waits) {
		world_fetch_answer(w);
		any = true;
	}
	for (int lane = 0; lane < IO_LANES; lane++)
		any = world_run_job(w, lane) || any;
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
