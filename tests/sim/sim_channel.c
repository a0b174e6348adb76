#include "sim_channel.h"

#include "base/check.h"
#include "base/err.h"

#include <stdlib.h>

#define CHANNEL_SLOW NS_PER_S /* now and then a datagram lies about for so long, at most */

struct datagram {
	struct datagram *next;
	uint64_t at_ns;
	size_t n;
	char bytes[];
};

struct sim_plug {
	struct io_channel base; /* first */
	struct sim *sim;
	struct sim_plug *other;
	struct sim_process *process; /* NULL: not opened yet */
	struct list node;
	struct datagram *first, **last; /* for this end */
	size_t count, most;
	uint64_t last_ns;
	bool closed;  /* this end */
	bool over;    /* the other end is, behind what lies here */
	bool told;    /* of that */
	bool blocked; /* this end found the other full */
	struct timer arrives, room;
};

static struct sim_plug *plug_of(struct io_channel *channel)
{
	return (struct sim_plug *)(void *)channel;
}

static void look(struct sim_plug *plug)
{
	uint64_t now = plug->sim->now_ns;

	if (plug->closed || !plug->process || timer_armed(&plug->arrives))
		return;
	if (plug->first)
		sim_arm(plug->sim, &plug->arrives,
			plug->first->at_ns > now ? plug->first->at_ns - now : 0);
	else if (plug->over && !plug->told)
		sim_arm(plug->sim, &plug->arrives, plug->last_ns > now ? plug->last_ns - now : 0);
}

static void hand_over(void *arg)
{
	struct sim_plug *plug = arg;
	struct datagram *datagram = plug->first;

	if (!datagram) {
		plug->told = true;
		plug->base.handler->closed(plug->base.owner);
		return;
	}
	plug->first = datagram->next;
	if (!plug->first)
		plug->last = &plug->first;
	plug->count--;
	sim_note_bytes(plug->sim, datagram->bytes, datagram->n);
	if (plug->other->blocked && !timer_armed(&plug->other->room))
		sim_arm(plug->sim, &plug->other->room, sim_skewed(plug->sim, NS_PER_MS));
	plug->base.handler->message(
		plug->base.owner, span_of(datagram->bytes, datagram->n), NULL, 0);
	free(datagram);
}

static void arrives(struct timer *timer)
{
	struct sim_plug *plug = CONTAINER_OF(timer, struct sim_plug, arrives);

	process_enter(plug->process, hand_over, plug);
	look(plug);
}

static void tell_room(void *arg)
{
	struct sim_plug *plug = arg;

	plug->blocked = false;
	plug->base.handler->writable(plug->base.owner);
}

static void room(struct timer *timer)
{
	struct sim_plug *plug = CONTAINER_OF(timer, struct sim_plug, room);

	if (!plug->closed && plug->process && plug->blocked)
		process_enter(plug->process, tell_room, plug);
}

static struct sim_plug *plug_new(struct sim *sim)
{
	struct sim_plug *plug = calloc(1, sizeof(*plug));

	CHECK(plug);
	plug->sim = sim;
	plug->last = &plug->first;
	plug->most = 1u << sim_below(sim, 8);
	plug->arrives.fire = arrives;
	plug->room.fire = room;
	list_init(&plug->node);
	return plug;
}

void sim_channel_pair(struct sim *sim, struct sim_plug *out[2])
{
	out[0] = plug_new(sim);
	out[1] = plug_new(sim);
	out[0]->other = out[1];
	out[1]->other = out[0];
}

struct io_channel *sim_plug_open(struct sim_plug *plug, struct sim_process *process,
	const struct io_channel_handler *handler, void *owner)
{
	CHECK(!plug->process && !plug->closed);
	plug->base = (struct io_channel){&process->io, handler, owner};
	plug->process = process;
	list_push_back(&process->channels, &plug->node);
	look(plug);
	return &plug->base;
}

/* Both ends stay where they are: the run is short, and events may still point to them. */
void sim_plug_drop(struct sim_plug *plug)
{
	struct sim *sim = plug->sim;

	if (plug->closed)
		return;
	plug->closed = true;
	timers_disarm(&sim->events, &plug->arrives);
	timers_disarm(&sim->events, &plug->room);
	while (plug->first) {
		struct datagram *datagram = plug->first;

		plug->first = datagram->next;
		free(datagram);
	}
	if (plug->process)
		list_remove(&plug->node);
	plug->other->over = true;
	plug->other->last_ns = MAX(plug->other->last_ns, sim->now_ns);
	look(plug->other);
}

int sim_channel_send(struct io_channel *channel, struct span bytes, const int *fds, size_t fd_count)
{
	struct sim_plug *plug = plug_of(channel), *to = plug->other;
	struct sim *sim = plug->sim;
	(void)fds;

	CHECK(!plug->closed && !fd_count && bytes.n && bytes.n <= IO_CHANNEL_BYTES);
	if (plug->over)
		return ERR_CLOSED;
	if (to->count >= to->most) {
		plug->blocked = true;
		return ERR_AGAIN;
	}
	struct datagram *datagram = malloc(sizeof(*datagram) + bytes.n);

	CHECK(datagram);
	uint64_t takes = sim_skewed(sim, sim_chance(sim, 20) ? CHANNEL_SLOW : NS_PER_MS);

	to->last_ns = MAX(to->last_ns, sim->now_ns + takes);
	*datagram = (struct datagram){.at_ns = to->last_ns, .n = bytes.n};
	memcpy(datagram->bytes, bytes.p, bytes.n);
	*to->last = datagram;
	to->last = &datagram->next;
	to->count++;
	look(to);
	return 0;
}

void sim_channel_close(struct io_channel **channel)
{
	struct sim_plug *plug = plug_of(*channel);

	*channel = NULL;
	sim_plug_drop(plug);
}

void sim_channels_abandon(struct sim_process *p)
{
	LIST_FOR_EACH(node, &p->channels)
	sim_plug_drop(CONTAINER_OF(node, struct sim_plug, node));
}
