/*
 * A function with a stack of its own that can stop in the middle: so that a job, and with it a
 * batch of disk operations, can be interleaved with everything else, or never go on (its role was
 * killed).
 */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

#include <stdbool.h>

struct sim_fiber;

struct sim_fiber *sim_fiber_new(void (*run)(void *arg), void *arg);
/* Runs it until it stops; true: it has ended. */
bool sim_fiber_resume(struct sim_fiber *fiber);
/* From within: back to who resumed it. */
void sim_fiber_stop(struct sim_fiber *fiber);
/* Ended or not; what it held is gone. Not from within. */
void sim_fiber_free(struct sim_fiber **fiber);

#endif
