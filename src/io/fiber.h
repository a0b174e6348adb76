/*
 * Functions that can stand still in the middle while their thread goes on with other things: each
 * runs on a stack of its own, and says itself when it stands still. For libraries that know no
 * other way to wait than not to return, on a loop that must not.
 *
 * A function that has begun must come to its end: who does not want its result any more resumes it
 * all the same, and lets it see that there is nothing to wait for. So nothing that lies on its
 * stack is ever lost.
 *
 * Bounds: `most` at a time. Each has FIBER_STACK bytes of addresses, of which only pages that were
 * touched are memory, and below them FIBER_GUARD bytes that end the process when they are touched.
 * Stacks are made when they are first needed, and kept. They can be made in a sandbox; a switch is
 * no system call.
 */
#ifndef IO_FIBER_H
#define IO_FIBER_H

#include <stdbool.h>
#include <stddef.h>

#define FIBER_STACK 65536
#define FIBER_GUARD 65536 /* more than any frame: the libraries probe no pages on their way */

struct fibers;
struct fiber;

int fibers_new(size_t most, struct fibers **out);
/* None may be taken. */
void fibers_free(struct fibers **fibers);
/* How many can be taken. */
size_t fibers_left(const struct fibers *fibers);

/* NULL: there is none left, or no memory for its stack. */
struct fiber *fiber_take(struct fibers *fibers);
/* Both return when run(arg) stands still (false), or has come to its end (true): then the fiber is
 * to be given back, or begins something else. */
bool fiber_begin(struct fiber *fiber, void (*run)(void *arg), void *arg);
bool fiber_resume(struct fiber *fiber);
/* Called by run(), or what it calls: returns when it is resumed. */
void fiber_pause(struct fiber *fiber);
void fiber_give(struct fibers *fibers, struct fiber *fiber);

#endif
