#include "world.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

/* ---- connections ---------------------------------------------------------------------------- */

static struct peer *peer_of(const struct io_conn *conn)
{
	return CONTAINER_OF(conn, struct peer, conn);
}

static int fake_send(struct io_conn *conn, const struct iovec *parts, size_t count, bool more)
{
	struct peer *peer = peer_of(conn);
	size_t n = 0;

	(void)more;
	CHECK(!peer->closed);
	for (size_t i = 0; i < count; i++)
		n += parts[i].iov_len;
	if (!peer->reads && peer->unread + n > IO_CONN_UNSENT)
		return ERR_LIMIT;
	for (size_t i = 0; i < count; i++)
		buf_add(&peer->replies, parts[i].iov_base, parts[i].iov_len);
	if (!peer->reads)
		peer->unread += n;
	peer->has_answered |= peer->quick;
	return 0;
}

static size_t fake_unsent(const struct io_conn *conn)
{
	return peer_of(conn)->unread;
}

static void fake_pause(struct io_conn *conn)
{
	CHECK(!peer_of(conn)->paused && !peer_of(conn)->closed);
	peer_of(conn)->paused = true;
}

static void fake_resume(struct io_conn *conn)
{
	CHECK(peer_of(conn)->paused && !peer_of(conn)->closed);
	peer_of(conn)->paused = false;
}

static void fake_close(struct io_conn **conn, bool linger)
{
	CHECK(!peer_of(*conn)->closed);
	peer_of(*conn)->lingers = linger;
	peer_of(*conn)->closed = true;
	*conn = NULL;
}

static void fake_ends(const struct io_conn *conn, struct netaddr *local, struct netaddr *peer)
{
	*local = (struct netaddr){.family = NETADDR_V4, .port = 25};
	*peer = peer_of(conn)->address;
}

static uint64_t fake_random(struct io *io)
{
	return prng_u64(&CONTAINER_OF(io, struct world, io)->random);
}

static bool fake_arrived(const struct io_conn *conn)
{
	const struct peer *peer = peer_of(conn);

	return peer->input.n > 0 || peer->has_answered || (peer->eof && !peer->eof_told);
}

static int fake_secure(struct io_conn *conn, struct tls_server *server,
	const struct tls_client *client, uint64_t ms)
{
	struct peer *peer = peer_of(conn);

	CHECK(server && server->refs && !client && ms > 0 && ms <= 60000);
	CHECK(peer->handler && peer->handler->secured && !peer->closed && !peer->paused);
	CHECK(!peer->shaking && !peer->is_secured);
	if (peer->unread)
		return ERR_BUSY;
	peer->shaking = true;
	return 0;
}

static const struct tls_info *fake_tls(const struct io_conn *conn)
{
	const struct peer *peer = peer_of(conn);

	return peer->is_secured ? &peer->tls : NULL;
}

/* TLS and nothing in clear, from here on. */
static void end_handshake(struct peer *peer, int err)
{
	peer->shaking = false;
	peer->is_secured = true;
	peer->tls = peer->world->tls_info;
	if (err != 0)
		peer->tls.detail = SPAN("no \"shared\" cipher");
	peer->handler->secured(peer->owner, err, &peer->tls);
	CHECK(err == 0 || peer->closed);
}

void peer_handshake(struct peer *peer, int err)
{
	CHECK(peer->shaking && !peer->closed);
	end_handshake(peer, err);
	world_settle(peer->world);
}

static const struct tls_info good_tls = {
	.version = {"TLSv1.3", 7},
	.cipher = {"TLS_AES_256_GCM_SHA384", 22},
	.has_binding = true,
	.binding = {1, 2, 3},
};

/* No handshake ever looks at it. */
struct tls_server *tls_server_hold(struct tls_server *server)
{
	server->refs++;
	return server;
}

void tls_server_release(struct tls_server **server)
{
	CHECK((*server)->refs > 0);
	(*server)->refs--;
	*server = NULL;
}

void world_give_tls(struct world *world)
{
	smtpd_set_tls(world->smtpd, 0, &world->tls);
}

static const struct io_ops fake_ops = {
	.send = fake_send,
	.unsent = fake_unsent,
	.pause = fake_pause,
	.resume = fake_resume,
	.close = fake_close,
	.ends = fake_ends,
	.random = fake_random,
	.arrived = fake_arrived,
	.secure = fake_secure,
	.tls = fake_tls,
};

struct peer *world_connect(struct world *world, const char *address, struct buf *turned_away)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	CHECK(peer && world->peer_count < WORLD_PEERS);
	peer->conn.io = &world->io;
	peer->world = world;
	peer->reads = true;
	CHECK(netaddr_parse_ip(span_str(address), &peer->address) == 0);
	buf_init(&peer->input, 64u << 20);
	buf_init(&peer->replies, 64u << 20);
	world->peers[world->peer_count++] = peer;
	int err = smtpd_session_start(world->smtpd, &peer->conn, 0, &peer->handler, &peer->owner);
	peer->adopted = err == 0;
	CHECK(peer->adopted || peer->closed);
	/* The turn in which it was accepted ends before anything is read from it. */
	io_turns_run(&world->io);
	if (peer->adopted)
		return peer;
	if (turned_away)
		buf_add_span(turned_away, buf_span(&peer->replies));
	return NULL;
}

/* One readable event. */
static bool peer_read_event(struct peer *peer)
{
	if (peer->closed || peer->paused)
		return false;
	if (peer->shaking) {
		if (peer->input.n || peer->eof) {
			end_handshake(peer, peer->input.n ? ERR_DENIED : ERR_CLOSED);
			return true;
		}
		return false;
	}
	if (!peer->input.n) {
		if (!peer->eof || peer->eof_told)
			return false;
		peer->eof_told = true;
		peer->handler->closed(peer->owner, 0);
		return true;
	}
	struct iovec to = peer->handler->buffer(peer->owner);
	CHECK(to.iov_base && to.iov_len);
	size_t n = MIN(to.iov_len, peer->input.n);
	memcpy(to.iov_base, peer->input.p, n);
	buf_drop(&peer->input, n);
	peer->handler->received(peer->owner, n);
	return true;
}

void peer_send(struct peer *peer, struct span bytes)
{
	buf_add_span(&peer->input, bytes);
	world_settle(peer->world);
}

void peer_send_str(struct peer *peer, const char *text)
{
	peer_send(peer, span_str(text));
}

void peer_eof(struct peer *peer, int err)
{
	peer->eof = true;
	if (err != 0 && !peer->closed && !peer->shaking)
		peer->handler->closed(peer->owner, err);
	world_settle(peer->world);
}

void peer_read(struct peer *peer)
{
	bool waited = peer->unread > 0;

	peer->unread = 0;
	if (waited && !peer->closed)
		peer->handler->drained(peer->owner);
	world_settle(peer->world);
}

const char *peer_replies(struct peer *peer, struct buf *out)
{
	buf_clear(out);
	buf_add_span(out, buf_span(&peer->replies));
	buf_add_char(out, '\0');
	buf_clear(&peer->replies);
	return out->p;
}

/* ---- the world ------------------------------------------------------------------------------ */

static void keep_text(char *to, struct span text)
{
	size_t n = MIN(text.n, WORLD_TEXT - 1);

	if (n)
		memcpy(to, text.p, n);
	to[n] = '\0';
}

static void record_event(struct event_sink *sink, const struct event *event)
{
	struct world *world = CONTAINER_OF(sink, struct world, sink);

	for (uint32_t i = 0; i < event->recipient_count; i++)
		CHECK(event->recipients[i].n > 0);
	if (world->event_count == WORLD_EVENTS)
		return;
	struct world_event *e = &world->events[world->event_count++];
	*e = (struct world_event){
		.kind = event->kind,
		.id = event->id,
		.code = event->verdict ? event->verdict->code : 0,
		.recipients = event->recipient_count,
		.sender_known = event->sender_known,
		.client = event->client,
	};
	keep_text(e->sender, event->sender);
	keep_text(e->user, event->user);
	keep_text(e->tls, event->tls);
	keep_text(e->auth, event->auth);
	keep_text(e->relay, event->relay);
	keep_text(e->why, event->reason);
	if (event->verdict)
		keep_text(e->reason, verdict_text(event->verdict));
	if (event->recipient_count)
		keep_text(e->recipient, event->recipients[0]);
}

static void keep_log(struct log *log, enum log_level level, const char *message,
	const struct log_field *fields, size_t count)
{
	struct buf *logged = &CONTAINER_OF(log, struct world, log)->logged;

	(void)level;
	buf_add_str(logged, message);
	for (size_t i = 0; i < count; i++) {
		buf_add_char(logged, ' ');
		buf_add_str(logged, fields[i].name);
		buf_add_char(logged, '=');
		if (fields[i].kind == LOG_FIELD_SPAN)
			buf_add_span(logged, fields[i].span);
		else
			buf_add_u64(logged, fields[i].u64);
	}
	buf_add_char(logged, '\n');
}

void world_open(struct world *world)
{
	*world = (struct world){
		.config =
			{
				.hostname = SPAN("gw.example.test"),
				.listener_count = 1,
				.listeners = {{.name = SPAN("mx")}},
				.limits = {.message_size = 1 << 20,
					.hops = 50,
					.recipients = 100,
					.connections = 1000,
					.errors = 20,
					.commands = 500,
					.line = 4096,
					.header_bytes = 262144,
					.memory = 64 << 20,
					.inline_bytes = 1 << 20},
				.timeouts = {.command = 300000,
					.data_block = 180000,
					.transaction = 3600000},
			},
		.route = {.hostname = SPAN("gw.example.test")},
		.writer = {.world = world},
		.sink = {.emit = record_event},
		.log = {.least = LOG_DEBUG, .write = keep_log},
		.tls = {.refs = 1},
		.tls_info = good_tls,
	};
	io_init(&world->io, &fake_ops);
	world->io.now_ns = 1000 * NS_PER_S;
	world->io.wall_ms = 1795298077123;
	prng_seed(&world->prng, 1);
	prng_seed(&world->random, 1);
	buf_init(&world->logged, 64u << 20);
	world_auth_init(world);
	list_init(&world->writer.drafts);
}

void world_start(struct world *world)
{
	const struct smtpd_config config = {.io = &world->io,
		.config = &world->config,
		.route = &world->route,
		.writer = &world->writer,
		.events = &world->sink,
		.auth = &world->auth.auth,
		.hops = &world->hops.hops,
		.log = &world->log};
	struct snapshot *snapshot = world_snapshot_new();

	CHECK(smtpd_new(&config, &world->smtpd) == 0);
	smtpd_set_snapshot(world->smtpd, snapshot);
	snapshot_release(&snapshot);
}

void world_close(struct world *world)
{
	smtpd_free(&world->smtpd);
	CHECK(world->writer.open_drafts == 0);
	CHECK(world->tls.refs == 1);
	CHECK(list_empty(&world->auth.questions) && list_empty(&world->hops.questions));
	buf_done(&world->logged);
	for (uint32_t i = 0; i < world->peer_count; i++) {
		CHECK(world->peers[i]->closed);
		buf_done(&world->peers[i]->input);
		buf_done(&world->peers[i]->replies);
		free(world->peers[i]);
	}
	for (uint32_t i = 0; i < world->message_count; i++) {
		buf_done(&world->messages[i].encoded);
		buf_done(&world->messages[i].body);
		arena_reset(&world->messages[i].arena);
	}
	CHECK(timers_next(&world->io.timers) == TIMERS_NEVER);
	timers_done(&world->io.timers);
}

void world_settle(struct world *world)
{
	for (bool moved = true; moved;) {
		moved = false;
		for (uint32_t i = 0; i < world->peer_count; i++)
			moved |= peer_read_event(world->peers[i]);
		moved |= world->io.turns != NULL;
		io_turns_run(&world->io);
		if (!world->writer.hold)
			world_commit(world, world->writer.outcome);
		if (!world->writer.starve)
			world_give_room(world);
		moved |= world_answer(world);
		moved |= world->io.turns != NULL;
	}
}

void world_pass_ms(struct world *world, uint64_t ms)
{
	world->io.now_ns += ms * NS_PER_MS;
	world->io.wall_ms += (int64_t)ms;
	timers_run(&world->io.timers, world->io.now_ns);
	world_settle(world);
}
