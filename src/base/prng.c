#include "base/prng.h"

#include "base/check.h"

/* splitmix64: spreads any seed, even 0, over the whole state. */
static uint64_t spread(uint64_t *at)
{
	uint64_t z = (*at += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void prng_seed(struct prng *prng, uint64_t seed)
{
	for (unsigned i = 0; i < ARRAY_SIZE(prng->s); i++)
		prng->s[i] = spread(&seed);
}

static uint64_t rotate(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

uint64_t prng_u64(struct prng *prng)
{
	uint64_t *s = prng->s;
	uint64_t result = rotate(s[1] * 5, 7) * 9;
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

uint64_t prng_below(struct prng *prng, uint64_t below)
{
	CHECK(below != 0);
	/* The lowest 2^64 mod `below` values would favour small results: drawn again. */
	uint64_t least = -below % below;
	uint64_t value;

	do
		value = prng_u64(prng);
	while (value < least);
	return value % below;
}
