#include "io/io.h"

void io_init(struct io *io, const struct io_ops *ops)
{
	*io = (struct io){.ops = ops};
	timers_init(&io->timers);
	io->turns_tail = &io->turns;
}

void io_turns_run(struct io *io)
{
	io->ends_turn = true;
	while (io->turns) {
		struct io_turn *turn = io->turns;

		io->turns = turn->next;
		if (!io->turns)
			io->turns_tail = &io->turns;
		turn->queued = false;
		turn->end(turn);
	}
	io->ends_turn = false;
}

void io_turn_forget(struct io *io, struct io_turn *turn)
{
	struct io_turn **at = &io->turns;

	while (*at && *at != turn)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = turn->next;
	if (!*at)
		io->turns_tail = at;
	turn->queued = false;
}
