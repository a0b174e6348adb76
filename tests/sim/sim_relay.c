#include "sim_relay.h"
#include "sim_world.h"

#include "base/check.h"
#include "directory/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a listener may be set to. 192.0.2.80 is the next hop of z.example, 192.0.2.81 of y.example.
 */
static const struct setting {
	enum relay_policy policy;
	unsigned from_below; /* 198.51.100.0 … */
	const char *to;	     /* the domain whose next hop is listed; "": of none */
	bool any_sender;
	const char *text[RELAY_SETTINGS];
} settings[] = {
	{RELAY_NONE, 0, "", false, {"policy=none", "from=", "to=", "senders=own"}},
	{RELAY_NONE, 0, "", true, {"policy=none", "from=", "to=", "senders=any"}},
	{RELAY_ADDRESSES, 128, "z.example", false,
		{"policy=addresses", "from=198.51.100.0/25", "to=192.0.2.80", "senders=own"}},
	{RELAY_ADDRESSES, 21, "y.example", true,
		{"policy=addresses", "from=198.51.100.0-198.51.100.20", "to=192.0.2.81,192.0.2.99",
			"senders=any"}},
	{RELAY_ADDRESSES, 0, "", false,
		{"policy=addresses", "from=192.0.2.7", "to=192.0.2.99", "senders=own"}},
	{RELAY_LOCAL_HOSTS, 0, "", false, {"policy=local-hosts", "from=", "to=", "senders=own"}},
	{RELAY_LOCAL_USERS, 0, "", true, {"policy=local-users", "from=", "to=", "senders=any"}},
	{RELAY_ANYONE, 0, "", false, {"policy=anyone", "from=", "to=", "senders=own"}},
};

struct change {
	uint64_t generation;
	unsigned door; /* DOORS: not a listener, but the account */
	unsigned setting;
	bool closed;
};

struct sim_relay {
	struct sim *sim;
	struct change *changes;
	size_t count, room;
	struct change next;
	bool closed;
};

static const char *const doors[DOORS] = {"mx", "submission", "proxied", "open"};

static void add(struct sim_relay *r, const struct change *change)
{
	r->changes = ledger_grow(r->changes, r->count, &r->room, sizeof(*r->changes));
	r->changes[r->count++] = *change;
}

struct sim_relay *sim_relay_new(struct sim *sim)
{
	struct sim_relay *r = calloc(1, sizeof(*r));

	CHECK(r);
	r->sim = sim;
	/* As world_objects has it. */
	for (unsigned door = 0; door < DOORS; door++)
		add(r, &(struct change){.generation = 1, .door = door, .setting = 0});
	add(r, &(struct change){.generation = 1, .door = DOORS, .closed = false});
	return r;
}

const char *sim_relay_choose(struct sim_relay *r, const char *out[RELAY_SETTINGS])
{
	unsigned door = (unsigned)sim_below(r->sim, DOORS);
	unsigned setting = (unsigned)sim_below(r->sim, ARRAY_SIZE(settings));

	if (settings[setting].policy == RELAY_ANYONE)
		door = DOOR_OPEN;
	r->next = (struct change){.door = door, .setting = setting};
	memcpy(out, settings[setting].text, sizeof(settings[setting].text));
	return doors[door];
}

void sim_relay_chosen(struct sim_relay *r, uint64_t generation)
{
	r->next.generation = generation;
	add(r, &r->next);
}

bool sim_relay_close_account(struct sim_relay *r)
{
	return !r->closed;
}

void sim_relay_closed(struct sim_relay *r, uint64_t generation, bool closed)
{
	r->closed = closed;
	add(r, &(struct change){.generation = generation, .door = DOORS, .closed = closed});
}

/* ---- the oracle ------------------------------------------------------------------------------ */

/* One generation. */
struct state {
	const struct setting *setting; /* of the client's listener */
	bool closed;
};

static struct state state_in(const struct sim_relay *r, uint64_t generation, unsigned door)
{
	struct state state = {0};

	for (size_t i = 0; i < r->count && r->changes[i].generation <= generation; i++) {
		if (r->changes[i].door == door)
			state.setting = &settings[r->changes[i].setting];
		else if (r->changes[i].door == DOORS)
			state.closed = r->changes[i].closed;
	}
	CHECK(state.setting);
	return state;
}

static const char *domain_of(const char *address)
{
	const char *at = strrchr(address, '@');

	return at ? at + 1 : "";
}

/* Served here, or in accept.hosts. */
static bool is_local_host(const char *sender)
{
	const char *domain = domain_of(sender);

	if (strcmp(domain, WORLD_BRANCH) == 0)
		return true;
	for (size_t i = 0; i < world_domain_count; i++)
		if (!world_domains[i].foreign && strcmp(world_domains[i].name, domain) == 0)
			return true;
	return false;
}

static bool is_local_user(const char *sender)
{
	char known[LEDGER_ADDRESS];

	for (unsigned i = 0; i < RELAY_USERS; i++) {
		snprintf(known, sizeof(known), "s%u@" WORLD_BRANCH, i);
		if (strcmp(known, sender) == 0)
			return true;
	}
	return false;
}

/* The generation that closed box1, or opened it, last. */
static uint64_t last_closed(const struct sim_relay *r, uint64_t generation)
{
	uint64_t last = 0;

	for (size_t i = 0; i < r->count && r->changes[i].generation <= generation; i++)
		if (r->changes[i].door == DOORS)
			last = r->changes[i].generation;
	return last;
}

/* Does a login count? Not one from before its account was closed, though it be open again. */
static unsigned has_login(const struct sim_relay *r, uint64_t generation, const struct state *state,
	const struct sim_who *who)
{
	uint64_t last = last_closed(r, generation);

	if (who->account < 0 || (state->closed && who->account == 1))
		return MAY_NOT;
	if (who->account != 1 || who->told || last <= who->login_from)
		return MAY;
	return last <= who->login_to ? MAY_BOTH : MAY_NOT;
}

static bool may_relay(const struct state *state, const struct sim_who *who, bool login,
	const char *sender, const char *domain)
{
	const struct setting *s = state->setting;

	if (who->loopback || login || who->certificate)
		return true;
	switch (s->policy) {
	case RELAY_ADDRESSES:
		return (!who->withheld && who->last < s->from_below) || strcmp(domain, s->to) == 0;
	case RELAY_LOCAL_HOSTS: return is_local_host(sender);
	case RELAY_LOCAL_USERS: return is_local_user(sender);
	case RELAY_ANYONE: return who->door == DOOR_OPEN;
	default: return false;
	}
}

/* box0 may send as anybody of both domains, box3 as those of the branch; the others as themselves.
 */
static bool may_send(
	const struct state *state, const struct sim_who *who, bool login, const char *sender)
{
	if (!who->told && !login)
		return false;
	if (!*sender || state->setting->any_sender || who->account == 0)
		return true;
	return who->account == 3 && strcmp(domain_of(sender), WORLD_BRANCH) == 0;
}

enum sim_may sim_relay_may(const struct sim_relay *r, uint64_t from, uint64_t to,
	const struct sim_who *who, const char *sender, const char *domain)
{
	unsigned found = 0;

	for (uint64_t at = from; at <= to; at++) {
		struct state state = state_in(r, at, who->door);

		unsigned login = has_login(r, at, &state, who);
		if (login & MAY)
			found |= may_relay(&state, who, true, sender, domain) ? MAY : MAY_NOT;
		if (login & MAY_NOT)
			found |= may_relay(&state, who, false, sender, domain) ? MAY : MAY_NOT;
	}
	return (enum sim_may)found;
}

enum sim_may sim_relay_may_send(const struct sim_relay *r, uint64_t from, uint64_t to,
	const struct sim_who *who, const char *sender)
{
	unsigned found = 0;

	for (uint64_t at = from; at <= to; at++) {
		struct state state = state_in(r, at, who->door);

		unsigned login = has_login(r, at, &state, who);
		if (login & MAY)
			found |= may_send(&state, who, true, sender) ? MAY : MAY_NOT;
		if (login & MAY_NOT)
			found |= may_send(&state, who, false, sender) ? MAY : MAY_NOT;
	}
	return (enum sim_may)found;
}
