#include "queue/retry.h"

#include "base/check.h"

uint64_t retry_delay_ms(const struct retry_step *steps, uint32_t count, uint32_t attempt)
{
	if (!count)
		return RETRY_NO_STEPS_S * 1000ull;
	uint32_t at = 0, left = attempt ? attempt - 1 : 0;
	while (at + 1 < count && left >= steps[at].times)
		left -= steps[at++].times;
	return steps[at].delay_s * 1000ull;
}

uint64_t retry_longest_ms(const struct retry_step *steps, uint32_t count)
{
	uint64_t longest = count ? 0 : RETRY_NO_STEPS_S * 1000ull;
	for (uint32_t i = 0; i < count; i++)
		longest = MAX(longest, steps[i].delay_s * 1000ull);
	return longest;
}

uint64_t retry_total_ms(const struct retry_step *steps, uint32_t count, uint32_t retry_count)
{
	uint64_t total = 0, left = retry_count;
	if (!count)
		return left * RETRY_NO_STEPS_S * 1000ull;
	for (uint32_t at = 0; at < count && left; at++) {
		uint64_t times = at + 1 < count ? MIN(steps[at].times, left) : left;
		total += times * steps[at].delay_s * 1000ull;
		left -= times;
	}
	return total;
}
