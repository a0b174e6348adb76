#include "world.h"

#include "base/check.h"
#include "base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void world_blame(struct world *w, uint32_t number, const char *what)
{
	if (w->fault)
		return;
	w->fault = what;
	w->fault_number = number;
	if (w->quiet)
		return;
	fprintf(stderr, "seed %" PRIu64 ", life %" PRIu32 ", message %" PRIu32 ": %s\n", w->seed,
		w->lives, number, what);
}

/* ---- bodies ----------------------------------------------------------------------------- */

static void fill(uint32_t number, uint32_t at, char *to, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t x = (at + i) / 8 * 0x9e3779b97f4a7c15ull + number * 0xc2b2ae3d27d4eb4full;
		x ^= x >> 29;
		to[i] = (char)(x >> (8 * ((at + i) % 8)));
	}
}

/* ---- the queue -------------------------------------------------------------------------- */

static struct ticket *ticket_of(struct world *w, const struct envelope *envelope)
{
	char text[32] = {0};
	unsigned number;

	memcpy(text, envelope->sender.p, MIN(envelope->sender.n, sizeof(text) - 1));
	if (sscanf(text, "m%u@", &number) != 1 || number >= w->count)
		return NULL;
	return &w->tickets[number];
}

static uint32_t parse_state(struct span state, uint32_t number)
{
	char text[64] = {0};
	unsigned of, value;

	memcpy(text, state.p ? state.p : "", MIN(state.n, sizeof(text) - 1));
	if (!state.n)
		return 0;
	if (sscanf(text, "state %u of %u", &value, &of) != 2 || of != number)
		return UINT32_MAX;
	return value;
}

static void on_message(void *context, const struct envelope *envelope, struct span state)
{
	struct world *w = context;
	struct ticket *t = ticket_of(w, envelope);

	if (w->dead)
		return;
	if (!t && w->hostile) {
		w->strangers++;
		w->stranger = envelope->id;
		return;
	}
	if (!t || t->fate == FATE_NONE) {
		world_blame(w, 0, "a message appears that nobody sent");
		return;
	}
	uint32_t kept = parse_state(state, t->number);
	if (t->fate == FATE_REFUSED)
		world_blame(w, t->number, "a refused message is delivered");
	if (t->known)
		world_blame(w, t->number, "a message is there twice");
	if (t->done_durable)
		world_blame(w, t->number, "a message that was done comes back");
	if (!t->is_dsn && t->id && t->id != envelope->id)
		world_blame(w, t->number, "a message has another id");
	if (envelope->body_bytes != t->length)
		world_blame(w, t->number, "a body has another length");
	if (envelope->rcpt_count != 1 + t->number % 3)
		world_blame(w, t->number, "recipients differ");
	if (kept == UINT32_MAX)
		world_blame(w, t->number, "a state is mangled");
	else if (!w->damage_expected && kept < t->state_durable)
		world_blame(w, t->number, "a durable state is lost");
	else if (kept > t->state_asked)
		world_blame(w, t->number, "a state appears that nobody gave");
	if (t->dsn) {
		/* Its end was not durable, so its DSN must not be either, now or later. */
		struct ticket *dsn = &w->tickets[t->dsn];
		if (dsn->known || dsn->done_asked)
			world_blame(w, dsn->number, "a DSN is there, and its message is not done");
		dsn->fate = FATE_REFUSED;
		dsn->is_dsn = false;
		t->dsn = 0;
	}
	t->known = true;
	t->id = envelope->id;
	t->done_asked = false;
	t->state_asked = kept;
	t->state_mark = UINT64_MAX;
	if (t->fate == FATE_DOUBT || t->is_dsn)
		t->fate = FATE_TAKEN;
}

static void on_damaged(
	void *context, uint64_t id, const char *path, uint64_t offset, const char *what)
{
	struct world *w = context;

	if (w->dead)
		return;
	w->damage_reports++;
	for (uint32_t i = 0; id && i < w->count; i++)
		if (w->tickets[i].id == id)
			w->tickets[i].damaged = true;
	if (w->damage_expected)
		return;
	if (!w->quiet)
		fprintf(stderr, "%s at %" PRIu64 ": %s\n", path, offset, what);
	world_blame(w, 0, "damage is reported where there is none");
}

static void on_durable(void *context, uint64_t mark)
{
	struct world *w = context;

	if (w->dead)
		return;
	w->durable_mark = mark;
	for (uint32_t i = 0; i < w->count; i++) {
		struct ticket *t = &w->tickets[i];
		if (t->done_asked && t->done_mark <= mark)
			t->done_durable = true;
		if (t->state_asked && t->state_mark <= mark)
			t->state_durable = t->state_asked;
	}
}

static void on_store_health(void *context, enum spool_health health)
{
	struct world *w = context;

	w->store_health = health;
	w->health_calls++;
}

static void on_checked(void *context, uint64_t id)
{
	struct world *w = context;

	w->checked = id;
}

static const struct spool_store_handler store_handler = {
	.message = on_message,
	.damaged = on_damaged,
	.durable = on_durable,
	.health = on_store_health,
	.checked = on_checked,
};

/* ---- writers ---------------------------------------------------------------------------- */

static void on_notice(void *context, const struct spool_notice *notice)
{
	struct world *w = context;

	if (w->dead || !w->store || (w->deaf && notice->owner == w->deaf_to))
		return;
	spool_store_notice(w->store, notice);
	if (w->after_notice)
		w->after_notice(w);
}

static void on_health(void *context, enum spool_health health)
{
	struct world *w = context;

	w->health_calls++;
	for (uint32_t i = 0; i < WORLD_WRITERS; i++)
		if (w->writers[i] && spool_writer_health(w->writers[i]) == health)
			w->health[i] = health;
}

static void on_room(void *owner)
{
	((struct ticket *)owner)->wants_room = false;
}

static void on_committed(void *owner, int err)
{
	struct ticket *t = owner;

	if (t->fate != FATE_OPEN || t->world->dead)
		return;
	t->fate = err == 0 ? FATE_TAKEN : err == ERR_CLOSED ? FATE_DOUBT : FATE_REFUSED;
	if (err == 0 && !t->world->rough && !t->known && !sim_disk_is_cut(t->world->disk))
		world_blame(t->world, t->number, "an answer comes before the notice");
}

static int start_writer(struct world *w, uint32_t at)
{
	struct spool_writer_config config = {
		.io = &w->io.io,
		.disk = sim_disk_base(w->disk),
		.owner = (uint8_t)at,
		.segment_bytes = w->segment_bytes,
		.inline_bytes = WORLD_INLINE,
		.memory_bytes = w->memory_bytes,
		.context = w,
		.notice = on_notice,
		.health = on_health,
	};

	int err = spool_serials(config.disk, config.owner, w->io.io.wall_ms, &config.serials);
	if (err == 0)
		err = spool_writer_new(&config, &w->writers[at]);
	return err ? err : spool_writer_begin(w->writers[at]);
}

/* ---- life and death --------------------------------------------------------------------- */

void world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->seed = seed;
	w->segment_bytes = WORLD_SEGMENT;
	w->memory_bytes = 1 << 20;
	w->sync_ms = 20;
	prng_seed(&w->prng, seed * 3 + 1);
	int err = sim_disk_new(seed, &w->disk);
	CHECK(err == 0);
}

void world_done(struct world *w)
{
	world_down(w);
	sim_disk_free(&w->disk);
}

static void position(const struct world *w, uint32_t at, struct spool_notice *out)
{
	if (w->mute)
		*out = (struct spool_notice){.owner = (uint8_t)at};
	else
		spool_writer_position(w->writers[at], out);
}

static int load(struct world *w)
{
	struct spool_notice live[WORLD_WRITERS];
	size_t count = 0;
	int err;

	for (uint32_t i = 0; i < WORLD_WRITERS; i++)
		if (w->writers[i])
			position(w, i, &live[count++]);
	w->load_tries = 0;
	while ((err = spool_store_load(w->store, live, count)) == ERR_AGAIN || err == ERR_IO) {
		if (w->after_step)
			w->after_step(w);
		/* A disk that fails is asked again, not for ever. */
		if (err == ERR_IO && (sim_disk_is_cut(w->disk) || ++w->load_tries > WORLD_TRIES))
			break;
		if (err == ERR_IO && w->between_tries)
			w->between_tries(w);
	}
	return err;
}

static int start_store(struct world *w)
{
	struct spool_store_config config = {
		.io = &w->io.io,
		.disk = sim_disk_base(w->disk),
		.segment_bytes = w->segment_bytes,
		.sync_ms = w->sync_ms,
		.handler = &store_handler,
		.context = w,
	};

	for (uint32_t i = 0; i < w->count; i++) {
		w->tickets[i].known = false;
		/* Marks of another life mean nothing in this one. */
		w->tickets[i].done_mark = w->tickets[i].state_mark = UINT64_MAX;
	}
	int err = spool_store_new(&config, &w->store);
	CHECK(err == 0);
	return load(w);
}

bool world_up(struct world *w, uint32_t writers)
{
	w->lives++;
	w->dead = false;
	fake_io_init(&w->io, w->seed + w->lives, WORLD_WALL + w->lives * 100000 + w->wall_shift);
	int err = start_store(w);
	for (uint32_t i = 0; i < writers && err == 0; i++)
		err = start_writer(w, i);
	return err == 0;
}

bool world_new_store(struct world *w)
{
	/* Its changes under way come to an end; nobody hears of them. */
	w->dead = true;
	while (spool_store_busy(w->store))
		fake_io_pass(&w->io, 1);
	spool_store_free(&w->store);
	w->dead = false;
	return start_store(w) == 0;
}

static void abandon(struct ticket *t)
{
	if (t->draft)
		spool_draft_abort(&t->draft);
	t->wants_room = false;
	if (t->fate == FATE_OPEN)
		t->fate = FATE_DOUBT;
}

void world_down(struct world *w)
{
	if (!w->store)
		return;
	w->dead = true;
	/* What still runs, runs into a dead disk, or is cut off by the end of the process. */
	sim_disk_cut_at(w->disk, 1);
	struct io_file *any = NULL;
	if (!sim_disk_is_cut(w->disk))
		disk_open(sim_disk_base(w->disk), "last-gasp", DISK_WRITE | DISK_CREATE, &any);
	disk_close(&any);
	for (uint32_t i = 0; i < w->count; i++)
		abandon(&w->tickets[i]);
	fake_io_settle(&w->io);
	for (uint32_t i = 0; i < WORLD_WRITERS; i++)
		spool_writer_free(&w->writers[i]);
	spool_store_free(&w->store);
	fake_io_done(&w->io);
}

static bool still_busy(const struct world *w)
{
	bool busy = spool_store_busy(w->store);

	for (uint32_t i = 0; i < WORLD_WRITERS; i++)
		busy = busy || (w->writers[i] && spool_writer_busy(w->writers[i]));
	return busy;
}

void world_stop(struct world *w)
{
	for (uint32_t i = 0; i < WORLD_WRITERS; i++)
		if (w->writers[i])
			spool_writer_close(w->writers[i]);
	for (int ms = 0; ms < WORLD_STOP_MS && still_busy(w); ms++)
		fake_io_pass(&w->io, 1);
	if (still_busy(w))
		world_blame(w, 0, "the spool does not come to an end");
	world_down(w);
}

void world_replace_writer(struct world *w, uint32_t at)
{
	struct spool_writer *writer = w->writers[at];

	for (uint32_t i = 0; i < w->count; i++)
		if (w->tickets[i].owner == at && !w->tickets[i].is_dsn)
			abandon(&w->tickets[i]);
	w->writers[at] = NULL;
	/* Its last commit may come through without anybody hearing of it. */
	w->deaf = true;
	w->deaf_to = (uint8_t)at;
	while (spool_writer_busy(writer) && fake_io_turn(&w->io))
		;
	w->deaf = false;
	spool_writer_free(&writer);
	spool_store_writer_gone(w->store, (uint8_t)at);
	int err = start_writer(w, at);
	CHECK(err == 0 || sim_disk_is_cut(w->disk));
}

/* ---- clients ---------------------------------------------------------------------------- */

static struct ticket *new_ticket(struct world *w, uint8_t owner, uint32_t length)
{
	CHECK(w->count < WORLD_MESSAGES);
	struct ticket *t = &w->tickets[w->count];

	*t = (struct ticket){.world = w,
		.fate = FATE_OPEN,
		.number = w->count,
		.owner = owner,
		.length = length};
	w->count++;
	return t;
}

struct letter {
	char sender[32];
	struct envelope_rcpt rcpts[3];
	struct envelope envelope;
};

static void write_letter(const struct ticket *t, struct letter *letter)
{
	snprintf(letter->sender, sizeof(letter->sender), "m%u@a.example", t->number);
	for (int i = 0; i < 3; i++)
		letter->rcpts[i] = (struct envelope_rcpt){.address = SPAN("someone@b.example")};
	letter->envelope = (struct envelope){
		.arrived_ms = WORLD_WALL,
		.helo = SPAN("client.example"),
		.listener = SPAN("mx"),
		.protocol = SPAN("ESMTP"),
		.sender = span_str(letter->sender),
		.prepend = SPAN("Received: from client.example\r\n"),
		.rcpts = letter->rcpts,
		.rcpt_count = 1 + t->number % 3,
	};
}

struct ticket *world_client(struct world *w, uint8_t owner, uint32_t length)
{
	struct ticket *t = new_ticket(w, owner, length);

	int err = spool_draft_new(w->writers[owner], &t->draft);
	CHECK(err == 0);
	return t;
}

static void commit(struct ticket *t)
{
	struct letter letter;

	write_letter(t, &letter);
	uint64_t expected = spool_draft_id(t->draft);
	if (spool_draft_commit(t->draft, &letter.envelope, on_committed, t) != 0) {
		world_abort(t);
		return;
	}
	t->draft = NULL;
	t->id = letter.envelope.id;
	if (t->id != expected)
		world_blame(t->world, t->number, "the id is not the one foretold");
}

void world_abort(struct ticket *t)
{
	spool_draft_abort(&t->draft);
	t->fate = FATE_REFUSED;
	t->wants_room = false;
}

void world_feed(struct world *w, struct ticket *t, uint32_t most)
{
	(void)w;
	while (t->draft && most && t->sent < t->length) {
		if (t->wants_room)
			return;
		struct iovec room = spool_draft_room(t->draft, on_room, t);
		if (!room.iov_len) {
			t->wants_room = true;
			return;
		}
		uint32_t n = (uint32_t)MIN(
			MIN(room.iov_len, (size_t)most), (size_t)(t->length - t->sent));
		fill(t->number, t->sent, room.iov_base, n);
		if (spool_draft_wrote(t->draft, n) != 0) {
			world_abort(t);
			return;
		}
		t->sent += n;
		most -= n;
	}
	if (t->draft && t->sent == t->length)
		commit(t);
}

struct ticket *world_send(struct world *w, uint8_t owner, uint32_t length)
{
	struct ticket *t = world_client(w, owner, length);

	while (t->draft) {
		world_feed(w, t, UINT32_MAX);
		if (t->wants_room && !fake_io_turn(&w->io))
			break;
	}
	return t;
}

/* ---- the queue's doings ----------------------------------------------------------------- */

void world_state(struct ticket *t)
{
	struct world *w = t->world;
	char text[64];

	int n = snprintf(text, sizeof(text), "state %u of %u", t->state_asked + 1, t->number);
	if (spool_store_state(w->store, t->id, span_of(text, (size_t)n)) != 0) {
		world_blame(w, t->number, "a state is not taken");
		return;
	}
	t->state_asked++;
	t->state_mark = spool_store_mark(w->store);
}

static void add_dsn(struct ticket *about)
{
	struct world *w = about->world;
	struct ticket *t = new_ticket(w, SPOOL_OWNER_DELIVERY, 200 + about->number % 900);
	struct letter letter;
	char *body = malloc(t->length);

	CHECK(body);
	t->is_dsn = true;
	t->about = about->number;
	about->dsn = t->number;
	write_letter(t, &letter);
	fill(t->number, 0, body, t->length);
	if (spool_store_add(w->store, &letter.envelope, span_of(body, t->length)) != 0)
		world_blame(w, t->number, "a DSN is not taken");
	free(body);
}

void world_finish(struct ticket *t, bool dsn)
{
	struct world *w = t->world;

	if (dsn)
		add_dsn(t);
	if (spool_store_done(w->store, t->id) != 0) {
		world_blame(w, t->number, "a message cannot be done");
		return;
	}
	t->done_asked = true;
	t->done_mark = spool_store_mark(w->store);
	if (spool_store_done(w->store, t->id) != ERR_NOT_FOUND)
		world_blame(w, t->number, "a message is done twice");
}

/* ---- promises --------------------------------------------------------------------------- */

void world_check_body(struct world *w, struct ticket *t)
{
	struct spool_body body;

	int err = spool_store_body(w->store, t->id, &body);
	if (err) {
		if (!w->damage_expected)
			world_blame(w, t->number, "a body cannot be read");
		return;
	}
	char *got = malloc(t->length + 4), *want = malloc(t->length + 4);
	CHECK(got && want);
	fill(t->number, 0, want, t->length);
	memcpy(want + t->length, ".\r\n", 3);
	int64_t n = disk_read(body.file, got, t->length + 3, body.offset);
	if (body.bytes != t->length || n != (int64_t)t->length + 3 ||
		memcmp(got, want, t->length + 3) != 0)
		world_blame(w, t->number, "a body differs");
	free(got);
	free(want);
	spool_store_body_done(w->store, &body);
	if (body.file)
		world_blame(w, t->number, "a body stays open");
}

static void check_envelope(struct world *w, struct ticket *t)
{
	struct buf buf;
	struct arena arena;
	struct envelope envelope;

	buf_init(&buf, ENVELOPE_BYTES);
	arena_init(&arena, 1 << 20);
	int err = spool_store_envelope(w->store, t->id, &buf, &arena, &envelope);
	if (err == 0 && (ticket_of(w, &envelope) != t || envelope.id != t->id))
		world_blame(w, t->number, "an envelope differs");
	if (err && !w->damage_expected)
		world_blame(w, t->number, "an envelope cannot be read");
	buf_done(&buf);
	arena_reset(&arena);
}

static void check_dsn(struct world *w, const struct ticket *t)
{
	const struct ticket *about = &w->tickets[t->about];
	bool there = t->known || t->done_asked || t->done_durable;

	/* One record says both: the message is done, and its DSN is there. */
	if (about->known && !about->done_asked && there)
		world_blame(w, t->number, "a DSN is there, and its message is not done");
	if (!about->known && about->fate == FATE_TAKEN && !there)
		world_blame(w, t->number, "a message is done, and its DSN is lost");
}

void world_check(struct world *w)
{
	for (uint32_t i = 0; i < w->count; i++) {
		struct ticket *t = &w->tickets[i];
		bool may_be_gone = t->done_asked || t->done_durable || t->is_dsn ||
				   (w->damage_expected && (t->damaged || w->damage_reports));
		if (t->fate == FATE_TAKEN && !t->known && !may_be_gone)
			world_blame(w, t->number, "a message is lost");
		if (t->is_dsn && !w->damage_expected)
			check_dsn(w, t);
		if (!t->known || t->done_asked || t->done_durable)
			continue;
		world_check_body(w, t);
		check_envelope(w, t);
	}
}

static void on_line(void *arg, const char *line)
{
	(void)arg;
	(void)line;
}

static void on_loud_line(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "verify: %s\n", line);
}

void world_check_verify(struct world *w)
{
	struct spool_verify_result result = {0};

	if (spool_verify(sim_disk_base(w->disk), on_line, NULL, &result) != 0) {
		world_blame(w, 0, "verify fails");
		return;
	}
	if (result.damaged) {
		if (!w->quiet)
			spool_verify(sim_disk_base(w->disk), on_loud_line, NULL, &result);
		world_blame(w, 0, "verify finds damage where there is none");
	}
}

uint32_t world_live(const struct world *w)
{
	uint32_t live = 0;

	for (uint32_t i = 0; i < w->count; i++)
		live += w->tickets[i].known && !w->tickets[i].done_asked;
	return live;
}
