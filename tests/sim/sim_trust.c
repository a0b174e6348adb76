#include "sim_trust.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS	  3
#define DOMAINS	  2
#define SHORT_AGE 1800u
#define LONG_AGE  604800u

struct tlsa_change {
	uint64_t at_ns;
	enum sim_tlsa_kind kind;
};

struct host {
	const char *name;
	enum sim_cert right;
	struct tlsa_change *changes; /* the last one holds */
	size_t count, room;
};

struct knowledge {
	uint64_t at_ns, generation;
};

struct life {
	uint64_t from_ns, to_ns; /* to: 0: goes on */
};

struct sim_trust {
	struct sim *sim;
	struct timer timer;
	uint64_t pace_ns;
	bool policies_only;
	unsigned forges; /* in 1000ths of the answers that can be */
	enum sim_cert shown[CERTS];
	struct host hosts[HOSTS];
	struct sim_sts sts[DOMAINS];
	struct knowledge *knowledge;
	size_t knowledge_count, knowledge_room;
	struct life *lives;
	size_t life_count, life_room;
	struct sim_fetched *fetched;
	size_t fetched_count, fetched_room;
};

/* ---- changes --------------------------------------------------------------------------------- */

static void set_tlsa(struct sim_trust *t, struct host *host, enum sim_tlsa_kind kind)
{
	host->changes =
		ledger_grow(host->changes, host->count, &host->room, sizeof(*host->changes));
	host->changes[host->count++] = (struct tlsa_change){t->sim->now_ns, kind};
	sim_say(t->sim, "world: TLSA of %s: %d", host->name, (int)kind);
}

static void change_shown(struct sim_trust *t)
{
	static const struct {
		enum sim_cert right, other;
	} pairs[] = {{CERT_V, CERT_V_OLD}, {CERT_V, CERT_V_NEW}, {CERT_V, CERT_SELF},
		{CERT_P, CERT_P_NEW}, {CERT_P, CERT_ROGUE}, {CERT_T1, CERT_SELF},
		{CERT_T1, CERT_ROGUE}, {CERT_T2, CERT_T1}, {CERT_X1, CERT_SELF},
		{CERT_S1, CERT_SELF}, {CERT_S1, CERT_ROGUE}, {CERT_S2, CERT_S1},
		{CERT_L, CERT_ROGUE}};
	size_t i = sim_below(t->sim, ARRAY_SIZE(pairs));
	enum sim_cert right = pairs[i].right;

	t->shown[right] = t->shown[right] == right ? pairs[i].other : right;
	sim_say(t->sim, "world: %s shows certificate %d", sim_cert_names(right)[0],
		(int)t->shown[right]);
}

static void change_sts(struct sim_trust *t)
{
	struct sim_sts *sts = &t->sts[sim_below(t->sim, DOMAINS)];

	switch (sim_below(t->sim, 4)) {
	case 0: sts->web = (enum sim_web)sim_below(t->sim, WEBS); break;
	case 1: sts->blocked = !sts->blocked; break;
	default:
		sts->mode = sim_chance(t->sim, 600)
				    ? STS_ENFORCE
				    : (enum sim_sts_mode)sim_below(t->sim, STS_MODES);
		sts->all = sim_chance(t->sim, 500);
		sts->max_age_s = sim_chance(t->sim, 300) ? SHORT_AGE : LONG_AGE;
		sts->id++;
	}
	sim_say(t->sim, "world: policy of %s: mode %d, all %d, web %d, blocked %d", sts->domain,
		(int)sts->mode, sts->all, (int)sts->web, sts->blocked);
}

static void fired(struct timer *timer)
{
	struct sim_trust *t = CONTAINER_OF(timer, struct sim_trust, timer);

	switch (t->policies_only ? 2 : sim_below(t->sim, 3)) {
	case 0: change_shown(t); break;
	case 1:
		set_tlsa(t, &t->hosts[sim_below(t->sim, HOSTS)],
			(enum sim_tlsa_kind)sim_below(t->sim, TLSA_KINDS));
		break;
	default: change_sts(t);
	}
	sim_fault(t->sim, FAULT_TRUST);
	sim_arm(t->sim, timer, sim_below(t->sim, 2 * t->pace_ns));
}

struct sim_trust *sim_trust_new(struct sim *sim, enum sim_focus focus)
{
	static const struct host hosts[HOSTS] = {{.name = "mx1.t.example", .right = CERT_T1},
		{.name = "mx2.t.example", .right = CERT_T2},
		{.name = "mx1.x.example", .right = CERT_X1}};
	struct sim_trust *t = calloc(1, sizeof(*t));

	CHECK(t);
	t->sim = sim;
	t->timer.fire = fired;
	t->pace_ns = SIM_MINUTE << sim_below(sim, 6);
	t->policies_only = focus == FOCUS_DEATHS;
	t->forges =
		focus != FOCUS_QUIET && sim_chance(sim, 400) ? (unsigned)sim_below(sim, 400) : 0;
	for (enum sim_cert i = CERT_NONE; i < CERTS; i++)
		t->shown[i] = i;
	memcpy(t->hosts, hosts, sizeof(hosts));
	for (size_t i = 0; i < HOSTS; i++)
		set_tlsa(t, &t->hosts[i], TLSA_RIGHT);
	t->sts[0] = (struct sim_sts){"s.example", STS_ENFORCE, true, LONG_AGE, 1, WEB_FINE, false};
	t->sts[1] = (struct sim_sts){"x.example", STS_TESTING, true, LONG_AGE, 1, WEB_FINE, false};
	if (focus == FOCUS_TRUST) {
		t->pace_ns = 20 * NS_PER_S;
		t->forges = 200;
	}
	if (focus != FOCUS_QUIET)
		sim_arm(sim, &t->timer, sim_below(sim, 2 * t->pace_ns));
	return t;
}

void sim_trust_calm(struct sim_trust *t)
{
	timers_disarm(&t->sim->events, &t->timer);
	t->forges = 0;
	for (enum sim_cert i = CERT_NONE; i < CERTS; i++)
		t->shown[i] = i;
	for (size_t i = 0; i < HOSTS; i++)
		set_tlsa(t, &t->hosts[i], TLSA_RIGHT);
	for (size_t i = 0; i < DOMAINS; i++) {
		t->sts[i].web = WEB_FINE;
		t->sts[i].blocked = false;
	}
}

/* ---- the world ------------------------------------------------------------------------------- */

enum sim_cert sim_trust_shown(const struct sim_trust *t, enum sim_cert right)
{
	return t->shown[right];
}

static bool is_below(const char *name, const char *zone)
{
	size_t n = strlen(name), k = strlen(zone);

	return n >= k && strcasecmp(name + n - k, zone) == 0 && (n == k || name[n - k - 1] == '.');
}

bool sim_trust_is_signed(const char *name)
{
	return is_below(name, "t.example") || is_below(name, "x.example");
}

static const struct host *host_named(const struct sim_trust *t, const char *name)
{
	for (size_t i = 0; i < HOSTS; i++)
		if (strcasecmp(t->hosts[i].name, name) == 0)
			return &t->hosts[i];
	return NULL;
}

static void put_tlsa(uint8_t *out, uint8_t usage, uint8_t selector, enum sim_cert cert)
{
	out[0] = usage;
	out[1] = selector;
	out[2] = 1;
	if (selector)
		sim_cert_key_hash(cert, out + 3);
	else
		sim_cert_hash(cert, out + 3);
}

int sim_trust_tlsa(
	const struct sim_trust *t, const char *name, uint8_t out[TRUST_TLSA][3 + TLS_HASH_BYTES])
{
	static const char prefix[] = "_25._tcp.";
	size_t n = sizeof(prefix) - 1;
	const struct host *host =
		strncasecmp(name, prefix, n) == 0 ? host_named(t, name + n) : NULL;

	if (!host)
		return -1;
	switch (host->changes[host->count - 1].kind) {
	case TLSA_RIGHT: put_tlsa(out[0], 3, 1, host->right); return 1;
	case TLSA_BOTH:
		put_tlsa(out[0], 3, 1, CERT_OTHER);
		put_tlsa(out[1], 3, 0, host->right);
		return 2;
	case TLSA_WRONG: put_tlsa(out[0], 3, 1, CERT_OTHER); return 1;
	case TLSA_USELESS: put_tlsa(out[0], 1, 1, CERT_OTHER); return 1;
	default: return 0;
	}
}

bool sim_trust_forges(struct sim_trust *t, const char *name)
{
	return (sim_trust_is_signed(name) || is_below(name, "u.example") ||
		       is_below(name, "s.example")) &&
	       sim_chance(t->sim, t->forges);
}

const struct sim_sts *sim_trust_sts(const struct sim_trust *t, struct span domain)
{
	for (size_t i = 0; i < DOMAINS; i++)
		if (span_equal_nocase(span_str(t->sts[i].domain), domain))
			return &t->sts[i];
	return NULL;
}

/* ---- what the gateway knows ------------------------------------------------------------------ */

void sim_trust_delivery_begins(struct sim_trust *t)
{
	t->lives = ledger_grow(t->lives, t->life_count, &t->life_room, sizeof(*t->lives));
	t->lives[t->life_count++] = (struct life){t->sim->now_ns, 0};
	sim_trust_delivery_knows(t, 0);
}

void sim_trust_delivery_ends(struct sim_trust *t)
{
	t->lives[t->life_count - 1].to_ns = t->sim->now_ns;
}

void sim_trust_delivery_knows(struct sim_trust *t, uint64_t generation)
{
	t->knowledge = ledger_grow(
		t->knowledge, t->knowledge_count, &t->knowledge_room, sizeof(*t->knowledge));
	t->knowledge[t->knowledge_count++] = (struct knowledge){t->sim->now_ns, generation};
}

void sim_trust_fetched(struct sim_trust *t, const struct sim_sts *sts)
{
	t->fetched =
		ledger_grow(t->fetched, t->fetched_count, &t->fetched_room, sizeof(*t->fetched));
	t->fetched[t->fetched_count++] = (struct sim_fetched){
		.domain = sts->domain,
		.at_ns = t->sim->now_ns,
		.jumps = t->sim->faults[FAULT_CLOCK_JUMP],
		.life = t->life_count,
		.mode = sts->mode,
		.all = sts->all,
		.max_age_s = sts->max_age_s,
	};
}

/* ---- what was true --------------------------------------------------------------------------- */

uint64_t sim_trust_generation(const struct sim_trust *t, uint64_t at_ns)
{
	size_t i = t->knowledge_count;

	while (i && t->knowledge[i - 1].at_ns > at_ns)
		i--;
	return i ? t->knowledge[i - 1].generation : 0;
}

bool sim_trust_tlsa_kinds(const struct sim_trust *t, const char *name, uint64_t from_ns,
	uint64_t to_ns, unsigned *kinds, enum sim_cert *right)
{
	const struct host *host = host_named(t, name);

	if (!host)
		return false;
	*kinds = 0;
	*right = host->right;
	for (size_t i = 0; i < host->count; i++) {
		uint64_t until = i + 1 < host->count ? host->changes[i + 1].at_ns : UINT64_MAX;

		if (host->changes[i].at_ns <= to_ns && until >= from_ns)
			*kinds |= 1u << host->changes[i].kind;
	}
	return true;
}

const struct sim_fetched *sim_trust_policy(const struct sim_trust *t, const char *domain, size_t at)
{
	for (size_t i = 0; i < t->fetched_count; i++)
		if (strcmp(t->fetched[i].domain, domain) == 0 && at-- == 0)
			return &t->fetched[i];
	return NULL;
}

size_t sim_trust_life(const struct sim_trust *t, uint64_t at_ns)
{
	size_t i = t->life_count;

	while (i && t->lives[i - 1].from_ns > at_ns)
		i--;
	return i;
}

uint64_t sim_trust_life_end(const struct sim_trust *t, size_t life)
{
	CHECK(life && life <= t->life_count);
	return t->lives[life - 1].to_ns ? t->lives[life - 1].to_ns : UINT64_MAX;
}
