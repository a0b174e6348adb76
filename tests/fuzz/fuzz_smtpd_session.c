/*
 * A whole SMTP session from hostile bytes. The first eight bytes choose limits, how the rest is cut
 * into reads, and how the spool, TLS, and whoever knows passwords and next hops behave. Played once
 * whole and once in pieces, it must give the same replies and the same messages. A byte 0x16 that
 * comes when a handshake is awaited is one that succeeds; it comes in a packet of its own. Always:
 *   - a reply is three digits and text in lines of at most 512 bytes with CRLF (a challenge of AUTH
 *     may be longer), printable;
 *   - there are not more final replies than lines sent, with the greeting and one goodbye;
 *   - nothing follows 221 or 421, and the connection is closed then;
 *   - no draft and no memory is left.
 */
#include "world.h"

#include "base/check.h"
#include "base/err.h"
#include "smtpd/session.h"

#include <stdlib.h>

#define FUZZ_BYTES     65536
#define FUZZ_HEADER    8
#define FUZZ_HANDSHAKE 0x16
#define FUZZ_CHALLENGE 4096 /* bytes of one, at most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	struct buf replies;
	struct buf messages;
};

static void configure(struct world *world, const uint8_t *header)
{
	struct config_limits *limits = &world->config.limits;

	limits->message_size = header[0] & 1 ? 50 : 1 << 20;
	limits->recipients = header[0] & 2 ? 2 : 100;
	limits->errors = header[0] & 4 ? 3 : 50;
	limits->commands = header[0] & 8 ? 5 : 0;
	limits->line = header[0] & 16 ? 10 : 998;
	limits->header_bytes = header[0] & 32 ? 20 : 65536;
	limits->hops = 2;
	limits->refused_recipients = header[0] & 64 ? 3 : 0;
	if (header[1] & 1)
		world->writer.outcome = ERR_IO;
	if (header[1] & 2)
		world->writer.commit_err = ERR_NO_SPACE;
	if (header[1] & 4)
		world->writer.new_err = ERR_NO_SPACE;
	if ((header[1] & 24) == 24)
		world->writer.outcome = ERR_CLOSED;
}

/* Who is in between, and who is asked. */
static void configure_others(struct world *world, const uint8_t *header)
{
	struct config_listener *listener = &world->config.listeners[0];

	if (header[4] & 4)
		listener->tls.mode = CONFIG_TLS_IMPLICIT;
	listener->auth_without_tls = header[4] & 8;
	if (header[4] & 16)
		listener->proxy = SPAN("127.0.0.0/8\n2001:db8::/32");
	if (header[4] & 32)
		listener->xclient = SPAN("127.0.0.0/8\n2001:db8::/32");
	world->tls_info.has_binding = !(header[4] & 64);
	if (header[5] & 2)
		world->auth.result = AUTH_LATER;
	if (header[5] & 4)
		world->auth.result = AUTH_BROKEN;
	if (header[5] & 8)
		world->auth.err = ERR_LIMIT;
	if (header[5] & 16)
		world->auth.delay_ms = 500;
	world->hops.known = header[5] & 64;
	world->hops.err = header[5] & 128 ? ERR_NOMEM : 0;
}

/* The listener as the directory has it. */
static void configure_relay(struct world *world, const uint8_t *header)
{
	const struct relay relay = {
		.policy = header[5] & 32 ? RELAY_ADDRESSES : RELAY_NONE,
		.advertise_auth = !(header[7] & 2),
	};
	struct snapshot *snapshot = world_snapshot_new();

	world_set_relay(snapshot, &relay, header[5] & 32 ? "203.0.113.5" : NULL);
	CHECK(netaddr_parse_ip(SPAN("203.0.113.5"), &world->hops.address) == 0);
	smtpd_set_snapshot(world->smtpd, snapshot);
	snapshot_release(&snapshot);
	if (header[4] & 6)
		world_give_tls(world);
}

static void check_replies(struct span replies, size_t lines_sent)
{
	size_t finals = 0;
	bool over = false;

	while (replies.n) {
		size_t n = span_find(replies, '\n');

		CHECK(!over);
		CHECK(n < replies.n && n >= 4 && replies.p[n - 1] == '\r');
		CHECK(n + 1 <= (memcmp(replies.p, "334", 3) == 0 ? FUZZ_CHALLENGE : 512));
		for (size_t i = 0; i < n - 1; i++)
			CHECK(replies.p[i] >= ' ' && replies.p[i] < 0x7f);
		CHECK(replies.p[0] >= '2' && replies.p[0] <= '5');
		for (size_t i = 1; i < 3; i++)
			CHECK(replies.p[i] >= '0' && replies.p[i] <= '9');
		CHECK(replies.p[3] == ' ' || replies.p[3] == '-');
		finals += replies.p[3] == ' ';
		over = memcmp(replies.p, "221", 3) == 0 || memcmp(replies.p, "421", 3) == 0;
		replies = span_skip(replies, n + 1);
	}
	/* The greeting, a goodbye, and a line too long that has no end yet. */
	CHECK(finals <= lines_sent + 3);
}

/* Many refused recipients, or a wrong password: what follows them waits. */
static bool is_slowed(const struct world *world)
{
	const struct list *sessions = &world->smtpd->sessions;

	if (list_empty(sessions))
		return false;
	const struct session *s = CONTAINER_OF(sessions->next, struct session, node);
	return s->slowed || s->phase == PHASE_ASK;
}

/* Nobody waits for anything but the client. */
static void come_to_rest(struct world *world)
{
	bool held = world->writer.hold;

	world->writer.hold = false;
	world_settle(world);
	while (is_slowed(world))
		world_pass_ms(world, SESSION_SLOW_MS);
	world->writer.hold = held;
}

static void send_flight(struct world *world, struct peer *peer, const uint8_t *header,
	struct span flight, bool pieces)
{
	while (flight.n) {
		size_t n = pieces ? 1 + prng_below(&world->prng, 1 + header[6]) : flight.n;

		n = MIN(n, flight.n);
		peer_send(peer, span_of(flight.p, n));
		flight = span_skip(flight, n);
		if (pieces && world->writer.hold && prng_below(&world->prng, 4) == 0)
			world_commit(world, world->writer.outcome);
	}
}

static void send_all(struct world *world, struct peer *peer, const uint8_t *header,
	struct span input, bool pieces)
{
	while (input.n) {
		struct span flight = span_of(input.p, span_find(input, FUZZ_HANDSHAKE));

		send_flight(world, peer, header, flight, pieces);
		input = span_skip(input, flight.n);
		if (!input.n)
			return;
		come_to_rest(world);
		if (peer->shaking)
			peer_handshake(peer, 0);
		else
			peer_send(peer, span_of(input.p, 1));
		input = span_skip(input, 1);
	}
}

static void play(const uint8_t *header, struct span input, bool pieces, struct outcome *out)
{
	struct world *world = malloc(sizeof(*world));
	size_t lines = 0;

	CHECK(world);
	world_open(world);
	configure(world, header);
	configure_others(world, header);
	if (pieces) {
		uint64_t seed;

		memcpy(&seed, header, sizeof(seed));
		prng_seed(&world->prng, seed);
		world->writer.room_most = 1 + header[2];
		world->writer.room_random = true;
		world->writer.short_of_memory = header[3] / 2;
		world->writer.hold = header[4] & 1;
	}
	world_start(world);
	configure_relay(world, header);
	struct peer *peer = world_connect(world, header[5] & 1 ? "127.0.0.1" : "2001:db8::7", NULL);
	CHECK(peer);
	send_all(world, peer, header, input, pieces);
	world->writer.hold = false;
	come_to_rest(world);
	peer_eof(peer, header[7] & 1 ? ERR_CLOSED : 0);
	CHECK(peer->closed);
	for (size_t i = 0; i < input.n; i++)
		lines += input.p[i] == '\n';
	check_replies(buf_span(&peer->replies), lines);
	buf_add_span(&out->replies, buf_span(&peer->replies));
	for (uint32_t i = 0; i < world->message_count; i++) {
		buf_add_span(&out->messages, buf_span(&world->messages[i].encoded));
		buf_add_span(&out->messages, buf_span(&world->messages[i].body));
	}
	world_close(world);
	free(world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, pieces;

	if (size < FUZZ_HEADER || size > FUZZ_BYTES)
		return 0;
	buf_init(&whole.replies, 64u << 20);
	buf_init(&whole.messages, 64u << 20);
	pieces = whole;
	struct span input = span_of(data + FUZZ_HEADER, size - FUZZ_HEADER);
	play(data, input, false, &whole);
	play(data, input, true, &pieces);
	CHECK(span_equal(buf_span(&whole.replies), buf_span(&pieces.replies)));
	CHECK(span_equal(buf_span(&whole.messages), buf_span(&pieces.messages)));
	buf_done(&whole.replies);
	buf_done(&whole.messages);
	buf_done(&pieces.replies);
	buf_done(&pieces.messages);
	return 0;
}
