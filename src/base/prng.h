/*
 * A small seeded generator (xoshiro256**) for jitter, boundaries and simulation: fast,
 * reproducible, not for secrets. The seed comes from io (struct io, random()) or from a test.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdint.h>

struct prng {
	uint64_t s[4];
};

void prng_seed(struct prng *prng, uint64_t seed);
uint64_t prng_u64(struct prng *prng);

/* Even over [0, below); below must not be 0. */
uint64_t prng_below(struct prng *prng, uint64_t below);

#endif
