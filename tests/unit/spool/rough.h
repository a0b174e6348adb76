/* Random lives of a world on a disk that fails: shared by test_random.c and test_mutation.c. */
#ifndef TEST_ROUGH_H
#define TEST_ROUGH_H

#include "world.h"

enum rough_faults {
	ROUGH_NONE = 0,		/* only crashes */
	ROUGH_DISK = 1 << 0,	/* short writes, failed writes and syncs */
	ROUGH_FULL = 1 << 1,	/* the disk runs full */
	ROUGH_LIE = 1 << 2,	/* mutation: file syncs do nothing */
	ROUGH_LIE_DIR = 1 << 3, /* mutation: directory syncs do nothing */
	ROUGH_QUIET = 1 << 4,	/* broken promises are not printed */
};

/* Several lives from one seed; world->fault says what broke. The world is up at the end, with no
 * faults any more, unless one was found. */
void rough_lives(struct world *world, uint64_t seed, uint32_t faults);
/* Finishes every message and waits: how many files are left that should not be. */
uint32_t rough_left_over(struct world *world);

#endif
