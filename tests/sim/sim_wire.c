#include "sim_wire.h"

#include "base/check.h"

#include <stdlib.h>

struct sim_wire {
	struct sim *sim;
	struct sim_process *to;
	void *delivery;
	uint8_t worker;
	uint64_t last_ns; /* when the last word arrives */
};

struct word {
	struct sim_wire *wire;
	enum sim_word word;
	struct spool_notice notice;
};

struct sim_wire *sim_wire_new(
	struct sim *sim, struct sim_process *to, void *delivery, uint8_t worker)
{
	struct sim_wire *wire = calloc(1, sizeof(*wire));

	CHECK(wire);
	*wire = (struct sim_wire){.sim = sim, .to = to, .delivery = delivery, .worker = worker};
	return wire;
}

static void arrives(void *arg)
{
	struct word word = *(struct word *)arg;

	free(arg);
	if (!word.wire->to->dead)
		sim_wire_heard(word.wire->delivery, word.wire->worker, word.word, &word.notice);
}

void sim_wire_say(struct sim_wire *wire, enum sim_word what, const struct spool_notice *notice)
{
	struct sim *sim = wire->sim;
	struct word *word = calloc(1, sizeof(*word));
	uint64_t at = sim->now_ns + sim_skewed(sim, sim_chance(sim, 20) ? NS_PER_S : NS_PER_MS);

	CHECK(word);
	word->wire = wire;
	word->word = what;
	if (notice)
		word->notice = *notice;
	wire->last_ns = MAX(at, wire->last_ns);
	sim_later(sim, wire->last_ns - sim->now_ns, arrives, word);
}
