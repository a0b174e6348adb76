/*
 * A few hundred random lives of a queue: mail comes, destinations come and go, administrators
 * meddle, clocks jump, the process restarts. After every step every unit is in one place with an
 * answer that agrees; no recipient is lost or ends twice; and when the trouble is over everything
 * goes out.
 */
#include "base/prng.h"
#include "world.h"

#include <string.h>

#define SEEDS	  120
#define STEPS	  700
#define MESSAGES  400 /* in one life */
#define ACTIVE	  8
#define DOMAINS	  8
#define PEER_SITE DOMAINS
#define PEER_MORE (DOMAINS + 1)
#define PEERS	  (DOMAINS + 2)

enum peer_mode { PEER_OK, PEER_REFUSES, PEER_GREYLISTS, PEER_MIXED, PEER_US, PEER_MODES };
enum fate { WAITING, DELIVERED, REFUSED, ENDED };

struct mail {
	char rcpts[200];
	int64_t arrived;
	uint32_t count;
	enum fate fate[WORLD_RCPTS];
	bool finished;
	bool split; /* some of its recipients were meant apart from others */
};

struct attempt {
	struct queue_start start;
	uint32_t rcpts[WORLD_RCPTS];
	int peer;
	int64_t left; /* milliseconds, by a clock that does not jump */
};

struct model {
	struct world w;
	struct prng prng;
	struct mail mails[MESSAGES + 1];
	uint64_t last;
	struct attempt attempts[ACTIVE];
	uint32_t active;
	enum peer_mode peers[PEERS];
	bool paused[3]; /* everything, site, d3 */
	bool calm;	/* the trouble is over */
};

static uint64_t roll(struct model *m, uint64_t below)
{
	return prng_below(&m->prng, below);
}

static void set_up(struct model *m)
{
	static const char *const names[] = {"site", "mx", "more"};
	for (int i = 0; i < 3; i++) {
		struct transport t = world_transport(names[i]);
		t.retry[0].delay_s = 60;
		t.retry[1] = (struct retry_step){.delay_s = 300, .times = 1};
		t.retry_steps = 2;
		t.retry_count = 6;
		t.connections = (uint32_t)(1 + i * 2);
		t.rate_per_minute = i == 0 ? 120 : 0;
		t.delay_warning_s = 900;
		world_set_transport(&m->w, &t);
	}
	world_pause(&m->w, QUEUE_SCOPE_ALL, "", m->paused[0]);
	world_pause(&m->w, QUEUE_SCOPE_TRANSPORT, "site", m->paused[1]);
	world_pause(&m->w, QUEUE_SCOPE_DOMAIN, "d3", m->paused[2]);
}

/* ---- what the queue told -------------------------------------------------------------------- */

static void end_rcpt(struct model *m, uint64_t id, uint32_t rcpt, enum fate fate)
{
	assert_true(id && id <= m->last && rcpt < m->mails[id].count);
	assert_int_equal(m->mails[id].fate[rcpt], WAITING);
	m->mails[id].fate[rcpt] = fate;
}

static void reroute_again(struct model *m, uint64_t id)
{
	struct world_mail mail;
	world_mail(&m->w, &mail, id, m->mails[id].rcpts);
	assert_int_equal(queue_reroute_again(m->w.q, &mail.envelope, m->w.now), 0);
}

static void digest(struct model *m, bool by_time)
{
	struct world *w = &m->w;
	for (size_t i = 0; i < w->end_count; i++) {
		const struct world_end *end = &w->ends[i];
		for (uint32_t r = 0; r < end->rcpt_count; r++)
			end_rcpt(m, end->id, end->rcpts[r], ENDED);
		if (end->why != QUEUE_EXPIRED)
			continue;
		assert_int_equal(end->attempts, 7);
		assert_true(end->code >= 400);
		/* what was being tried when the pause began may fail; nothing fails by time */
		assert_false(by_time && m->paused[0]);
		assert_false(by_time && m->paused[1] && strcmp(end->transport, "site") == 0);
	}
	for (size_t i = 0; i < w->finished_count; i++) {
		struct mail *mail = &m->mails[w->finished[i]];
		assert_false(mail->finished);
		mail->finished = true;
		for (uint32_t r = 0; r < mail->count; r++)
			assert_int_not_equal(mail->fate[r], WAITING);
	}
	w->end_count = w->finished_count = w->changed_count = w->warning_count = 0;
	size_t n = w->reroute_count;
	w->reroute_count = 0;
	for (size_t i = 0; i < n; i++)
		if (!m->mails[w->reroutes[i]].finished)
			reroute_again(m, w->reroutes[i]);
}

/* What is split from a unit that is tried shares its attempt; else each has its own. */
static void check_attempts(const struct model *m, uint64_t id, uint32_t active_units)
{
	uint32_t attempts = 0;

	for (uint32_t i = 0; i < m->active; i++)
		attempts += m->attempts[i].start.id == id;
	if (m->mails[id].split && attempts)
		assert_true(active_units >= attempts);
	else
		assert_int_equal(active_units, attempts);
}

/* Each unit's answer fits its state, and the sums are those of the units. */
static void check_answers(struct model *m)
{
	uint64_t ids[MESSAGES], states[QUEUE_STATES] = {0}, open = 0;
	size_t n = queue_page(m->w.q, 0, ids, MESSAGES);
	for (size_t i = 0; i < n; i++) {
		struct queue_message_info info;
		struct queue_unit_info unit;
		struct queue_why why;
		assert_int_equal(queue_message_info(m->w.q, ids[i], &info), 0);
		uint32_t waiting = 0, active = 0;
		for (uint32_t at = info.first_unit; at; at = unit.next) {
			assert_int_equal(queue_unit_info(m->w.q, at, m->w.now, &unit), 0);
			assert_int_equal(queue_why(m->w.q, at, m->w.now, &why), 0);
			assert_int_equal(unit.state, why.state);
			assert_int_equal(unit.attempts, why.attempts);
			assert_true(unit.attempts <= 6);
			states[why.state]++;
			active += why.state == QUEUE_ACTIVE;
			waiting += unit.rcpt_count;
			if (why.kind == QUEUE_WHY_DEFERRED)
				assert_true(why.until_ms >= m->w.now && why.has_verdict);
			if (why.kind == QUEUE_WHY_DOWN)
				assert_true(why.probing || why.until_ms >= m->w.now);
		}
		assert_int_equal(waiting, info.waiting);
		check_attempts(m, ids[i], active);
		for (uint32_t r = 0; r < m->mails[ids[i]].count; r++)
			open += m->mails[ids[i]].fate[r] == WAITING;
		open -= waiting;
	}
	assert_int_equal(open, 0);
	for (int state = 0; state < QUEUE_STATES; state++)
		assert_int_equal(states[state], world_count(&m->w, (enum queue_state)state));
}

/* ---- mail and attempts ---------------------------------------------------------------------- */

static void add_mail(struct model *m)
{
	if (m->last == MESSAGES)
		return;
	uint64_t id = ++m->last;
	struct mail *mail = &m->mails[id];
	mail->count = (uint32_t)(roll(m, 3) ? 1 : 1 + roll(m, 6));
	mail->arrived = m->w.now;
	m->w.null_sender = id % 4 == 0;
	for (uint32_t i = 0; i < mail->count; i++) {
		size_t n = strlen(mail->rcpts);
		snprintf(mail->rcpts + n, sizeof(mail->rcpts) - n, "%s%s%u@d%u", i ? " " : "",
			roll(m, 4) ? "x" : "vip", i, (unsigned)roll(m, DOMAINS));
	}
	assert_int_equal(world_add(&m->w, id, mail->rcpts), 0);
}

static int peer_of(const struct queue_start *start)
{
	if (span_equal(start->transport, SPAN("site")))
		return PEER_SITE;
	if (span_equal(start->transport, SPAN("more")))
		return PEER_MORE;
	assert_int_equal(start->next_hop.n, 2);
	return start->next_hop.p[1] - '0';
}

static bool start_one(struct model *m)
{
	struct queue_start start;
	if (m->active == ACTIVE || world_next(&m->w, &start) != 0)
		return false;
	digest(m, true);
	assert_false(m->paused[0]);
	assert_false(m->paused[1] && span_equal(start.transport, SPAN("site")));
	struct attempt *a = &m->attempts[m->active++];
	*a = (struct attempt){.start = start, .peer = peer_of(&start)};
	a->left = (int64_t)roll(m, 20 * SECOND);
	memcpy(a->rcpts, start.rcpts, start.rcpt_count * sizeof(uint32_t));
	for (uint32_t i = 0; i < start.rcpt_count; i++)
		assert_int_equal(m->mails[start.id].fate[start.rcpts[i]], WAITING);
	if (roll(m, 4) == 0)
		queue_unit_set_dns(m->w.q, start.unit, true, m->w.now);
	return true;
}

static void answer(
	struct model *m, const struct attempt *a, enum verdict_kind kind, bool mixed, bool remote)
{
	enum verdict_kind kinds[WORLD_RCPTS];
	struct verdict verdict = world_verdict(450, "later");
	verdict.remote = remote;
	for (uint32_t i = 0; i < a->start.rcpt_count; i++) {
		kinds[i] = mixed ? (enum verdict_kind)roll(m, 3) : kind;
		if (kinds[i] != VERDICT_TEMPORARY)
			end_rcpt(m, a->start.id, a->rcpts[i],
				kinds[i] == VERDICT_OK ? DELIVERED : REFUSED);
	}
	enum queue_answer answer = roll(m, 2) ? QUEUE_ANSWER_SERVER : QUEUE_ANSWER_MAIL;
	queue_unit_result(m->w.q, a->start.unit, kinds, remote ? answer : QUEUE_ANSWER_NONE,
		&verdict, m->w.now);
}

/* Some of the recipients have their answer already, in a transaction of their own. */
static void answer_some(struct model *m, struct attempt *a)
{
	enum verdict_kind kinds[WORLD_RCPTS];
	uint32_t left = 0;

	for (uint32_t i = 0; i < a->start.rcpt_count; i++) {
		kinds[i] = (enum verdict_kind)roll(m, 3);
		left += kinds[i] == VERDICT_TEMPORARY;
	}
	if (!left || left == a->start.rcpt_count)
		return;
	left = 0;
	for (uint32_t i = 0; i < a->start.rcpt_count; i++) {
		if (kinds[i] == VERDICT_TEMPORARY)
			a->rcpts[left++] = a->rcpts[i];
		else
			end_rcpt(m, a->start.id, a->rcpts[i],
				kinds[i] == VERDICT_OK ? DELIVERED : REFUSED);
	}
	a->start.rcpt_count = left;
	queue_unit_partly(m->w.q, a->start.unit, kinds, m->w.now);
}

static void finish(struct model *m, uint32_t at)
{
	struct attempt a = m->attempts[at];
	struct verdict refused = world_verdict(421, "connection refused");
	m->attempts[at] = m->attempts[--m->active];
	if (roll(m, 4) == 0)
		answer_some(m, &a);
	switch (m->peers[a.peer]) {
	case PEER_OK: answer(m, &a, VERDICT_OK, false, true); break;
	case PEER_REFUSES:
		if (roll(m, 10))
			queue_destination_failed(m->w.q, a.start.unit, &refused, m->w.now);
		else if (roll(m, 2))
			queue_unit_short(m->w.q, a.start.unit, &refused, m->w.now);
		else
			queue_unit_put_back(m->w.q, a.start.unit, m->w.now);
		break;
	case PEER_GREYLISTS: answer(m, &a, VERDICT_TEMPORARY, false, true); break;
	case PEER_MIXED: answer(m, &a, VERDICT_OK, true, true); break;
	case PEER_US: answer(m, &a, VERDICT_TEMPORARY, false, false); break;
	case PEER_MODES: break;
	}
	digest(m, false);
}

static void pass(struct model *m)
{
	int64_t ms = queue_next_time(m->w.q, m->w.now);
	ms = ms == QUEUE_NEVER ? MINUTE : ms - m->w.now;
	for (uint32_t i = 0; i < m->active; i++)
		ms = MIN(ms, m->attempts[i].left);
	ms = MAX(1, ms);
	m->w.now += ms;
	for (uint32_t i = 0; i < m->active; i++)
		m->attempts[i].left -= ms;
	if (!m->calm && roll(m, 200) == 0)
		m->w.now += ((int64_t)roll(m, 40) - 20) * HOUR;
	queue_run(m->w.q, m->w.now);
	digest(m, true);
	for (uint32_t i = m->active; i; i--)
		if (m->attempts[i - 1].left <= 0)
			finish(m, i - 1);
}

/* ---- trouble -------------------------------------------------------------------------------- */

static void toggle_pause(struct model *m, int which)
{
	static const char *const names[] = {"", "site", "d3"};
	m->paused[which] = !m->paused[which];
	world_pause(&m->w, (enum queue_scope)which, names[which], m->paused[which]);
}

static void new_directory(struct model *m)
{
	static const char *const transports[] = {"site", "mx", "more"};
	char domain[8];
	snprintf(domain, sizeof(domain), "d%u", (unsigned)roll(m, DOMAINS));
	world_route(&m->w, domain, transports[roll(m, 3)]);
	uint64_t ids[MESSAGES];
	size_t n = queue_page(m->w.q, 0, ids, MESSAGES);
	for (size_t i = 0; i < n; i++)
		reroute_again(m, ids[i]);
}

static void restart(struct model *m)
{
	static struct buf states[MESSAGES];
	uint64_t ids[MESSAGES];
	struct world_mail mail;
	size_t n = queue_page(m->w.q, 0, ids, MESSAGES);
	for (size_t i = 0; i < n; i++) {
		buf_init(&states[i], 1 << 16);
		queue_state_encode(m->w.q, ids[i], &states[i]);
	}
	queue_free(&m->w.q);
	m->active = 0;
	m->w.now += (int64_t)roll(m, 2 * HOUR) - HOUR / 2;
	world_open(&m->w, ACTIVE);
	set_up(m);
	for (size_t i = 0; i < n; i++) {
		m->w.null_sender = ids[i] % 4 == 0;
		world_mail(&m->w, &mail, ids[i], m->mails[ids[i]].rcpts);
		mail.envelope.arrived_ms = m->mails[ids[i]].arrived;
		assert_int_equal(
			queue_add(m->w.q, &mail.envelope, buf_span(&states[i]), m->w.now), 0);
		buf_done(&states[i]);
	}
	digest(m, false);
}

/* Only some of its recipients are meant. */
static uint32_t split_some(struct model *m, uint64_t id, uint32_t unit)
{
	uint32_t rcpts[WORLD_RCPTS], n = 0, part = unit;
	struct queue_unit_info info;

	assert_int_equal(queue_unit_info(m->w.q, unit, m->w.now, &info), 0);
	for (uint32_t i = 0; i < info.rcpt_count; i++)
		if (roll(m, 2))
			rcpts[n++] = info.rcpts[i];
	if (n)
		assert_int_equal(queue_split(m->w.q, id, unit, rcpts, n, m->w.now, &part), 0);
	m->mails[id].split |= part != unit;
	assert_int_equal(queue_unit_info(m->w.q, part, m->w.now, &info), 0);
	assert_int_equal(info.rcpt_count, n ? n : info.rcpt_count);
	return part;
}

static void administrate(struct model *m)
{
	uint64_t id = 1 + roll(m, MAX(1, m->last));
	struct queue_message_info info;
	struct world_mail mail;
	int64_t now = m->w.now;
	if (queue_message_info(m->w.q, id, &info) != 0)
		return;
	uint32_t unit = roll(m, 2) ? info.first_unit : QUEUE_ALL_UNITS;
	if (unit && roll(m, 2))
		unit = split_some(m, id, unit);
	world_mail(&m->w, &mail, id, m->mails[id].rcpts);
	switch (roll(m, 7)) {
	case 0: queue_hold(m->w.q, id, unit, SPAN("ann"), SPAN(""), now); break;
	case 1: queue_release(m->w.q, id, unit, now); break;
	case 2: queue_retry(m->w.q, id, unit, now); break;
	case 3: queue_prioritise(m->w.q, id, unit, roll(m, 2) != 0, now); break;
	case 4:
		queue_reroute(
			m->w.q, &mail.envelope, unit, roll(m, 2) ? SPAN("more") : SPAN_NONE, now);
		break;
	case 5:
		if (roll(m, 4) == 0)
			queue_bounce(m->w.q, id, unit, NULL, now);
		break;
	case 6:
		if (roll(m, 4) == 0)
			queue_delete(m->w.q, id, unit, now);
		break;
	}
	digest(m, false);
}

static void meddle(struct model *m)
{
	uint64_t what = roll(m, 200);
	if (what < 40)
		add_mail(m);
	else if (what < 60)
		m->peers[roll(m, PEERS)] = (enum peer_mode)roll(m, PEER_MODES);
	else if (what < 63)
		toggle_pause(m, (int)roll(m, 3));
	else if (what < 66)
		new_directory(m);
	else if (what < 90)
		administrate(m);
	else if (what < 91)
		restart(m);
	digest(m, false);
}

/* Everything is well again: whatever is left goes out, and soon. */
static void recover(struct model *m)
{
	uint64_t ids[MESSAGES];
	m->calm = true;
	for (int i = 0; i < PEERS; i++)
		m->peers[i] = PEER_OK;
	for (int i = 0; i < 3; i++)
		if (m->paused[i])
			toggle_pause(m, i);
	size_t n = queue_page(m->w.q, 0, ids, MESSAGES);
	for (size_t i = 0; i < n; i++)
		queue_release(m->w.q, ids[i], QUEUE_ALL_UNITS, m->w.now);
	int64_t until = m->w.now + HOUR;
	while (queue_messages(m->w.q)) {
		while (start_one(m))
			;
		pass(m);
		assert_true(m->w.now < until);
	}
	for (uint64_t id = 1; id <= m->last; id++)
		assert_true(m->mails[id].finished);
}

static void live(uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));
	prng_seed(&m->prng, seed);
	world_init(&m->w, ACTIVE);
	set_up(m);
	world_route(&m->w, "d0", "site");
	world_route(&m->w, "d1", "site");
	world_route(&m->w, "d3", "site");
	for (int i = 0; i < STEPS; i++) {
		meddle(m);
		world_check(&m->w);
		while (start_one(m))
			;
		pass(m);
		world_check(&m->w);
		if (i % 5 == 0)
			check_answers(m);
	}
	recover(m);
	world_done(&m->w);
	free(m);
}

static void many_lives(void **state)
{
	/* QUEUE_SEED=n: only that life; QUEUE_SEEDS=n: so many */
	const char *only = getenv("QUEUE_SEED"), *most = getenv("QUEUE_SEEDS");
	uint64_t first = only ? strtoull(only, NULL, 10) : 1;
	uint64_t last = only ? first : most ? strtoull(most, NULL, 10) : SEEDS;
	(void)state;
	for (uint64_t seed = first; seed <= last; seed++) {
		print_message("seed %llu\r", (unsigned long long)seed);
		live(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
