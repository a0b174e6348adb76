#include "directory/retry_text.h"

#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

#define SECONDS_PER_MINUTE 60u
#define EXAMPLE_RETRIES	   5 /* values that retry_add_example() shows */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int take_number(struct span *in, uint64_t most, uint64_t *out)
{
	size_t n = 0;
	while (n < in->n && is_digit(in->p[n]))
		n++;
	int err = text_parse_u64(span_of(in->p, n), most, out);
	if (err == 0)
		*in = span_skip(*in, n);
	return err;
}

/* Seconds of a unit's letter, 0 for anything else. */
static uint32_t unit_seconds(char c)
{
	switch (c) {
	case 's': return 1;
	case 'm': return SECONDS_PER_MINUTE;
	case 'h': return 3600;
	case 'd': return 86400;
	case 'w': return 7 * 86400;
	default: return 0;
	}
}

static int parse_entry(struct span in, struct retry_step *out)
{
	uint64_t number, times = 1;
	uint32_t unit = SECONDS_PER_MINUTE;

	in = span_trim(in);
	int err = take_number(&in, RETRY_DELAY_MOST_S, &number);
	if (err < 0)
		return err;
	if (in.n && unit_seconds(in.p[0])) {
		unit = unit_seconds(in.p[0]);
		in = span_skip(in, 1);
	}
	in = span_trim(in);
	if (in.n && in.p[0] == '*') {
		in = span_trim(span_skip(in, 1));
		err = take_number(&in, RETRY_TIMES_MOST, &times);
		if (err < 0)
			return err;
	}
	if (in.n)
		return ERR_SYNTAX;
	if (number * unit < RETRY_DELAY_LEAST_S || number * unit > RETRY_DELAY_MOST_S || times == 0)
		return ERR_LIMIT;
	*out = (struct retry_step){(uint32_t)(number * unit), (uint32_t)times};
	return 0;
}

int retry_parse(struct span in, struct retry_list *out)
{
	struct retry_list list = {.text = span_trim(in)};
	struct span rest = list.text;

	if (rest.n > RETRY_TEXT_BYTES)
		return ERR_LIMIT;
	for (bool last = false; !last;) {
		size_t comma = span_find(rest, ',');
		struct retry_step step;
		int err = parse_entry(span_of(rest.p, comma), &step);
		if (err < 0)
			return err;
		last = comma == rest.n;
		rest = span_skip(rest, comma + 1);

		struct retry_step *before = list.count ? &list.steps[list.count - 1] : NULL;
		if (before && before->delay_s == step.delay_s) {
			if (before->times + step.times > RETRY_TIMES_MOST)
				return ERR_LIMIT;
			before->times += step.times;
		} else if (list.count == RETRY_STEPS) {
			return ERR_LIMIT;
		} else {
			list.steps[list.count++] = step;
		}
	}
	*out = list;
	return 0;
}

uint32_t retry_delay_s(const struct retry_step *steps, uint32_t count, uint32_t retry)
{
	CHECK(count > 0 && retry > 0);
	for (uint32_t i = 0; i < count - 1; i++) {
		if (retry <= steps[i].times)
			return steps[i].delay_s;
		retry -= steps[i].times;
	}
	return steps[count - 1].delay_s;
}

uint64_t retry_total_s(const struct retry_step *steps, uint32_t count, uint32_t retries)
{
	uint64_t total = 0;

	CHECK(count > 0);
	for (uint32_t i = 0; i < count && retries; i++) {
		uint32_t times = i == count - 1 ? retries : MIN(retries, steps[i].times);
		total += (uint64_t)steps[i].delay_s * times;
		retries -= times;
	}
	return total;
}

uint32_t retry_longest_s(const struct retry_step *steps, uint32_t count)
{
	uint32_t longest = 0;

	CHECK(count > 0);
	for (uint32_t i = 0; i < count; i++)
		longest = MAX(longest, steps[i].delay_s);
	return longest;
}

static bool whole_minutes(const struct retry_step *steps, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (steps[i].delay_s % SECONDS_PER_MINUTE)
			return false;
	return true;
}

/* In the largest unit of which it is a whole number. */
static void add_in_units(struct buf *buf, uint32_t delay)
{
	static const char units[] = "wdhms";
	const char *unit = units;

	while (delay % unit_seconds(*unit))
		unit++;
	buf_add_u64(buf, delay / unit_seconds(*unit));
	buf_add_char(buf, *unit);
}

/* Minutes, where all of the schedule are whole ones. */
static void add_delay(struct buf *buf, uint32_t delay, bool minutes)
{
	if (minutes)
		buf_add_u64(buf, delay / SECONDS_PER_MINUTE);
	else
		add_in_units(buf, delay);
}

void retry_add(struct buf *buf, const struct retry_step *steps, uint32_t count)
{
	bool minutes = whole_minutes(steps, count);

	for (uint32_t i = 0; i < count; i++) {
		if (i)
			buf_add_char(buf, ',');
		add_delay(buf, steps[i].delay_s, minutes);
		if (i < count - 1 && steps[i].times > 1)
			buf_printf(buf, "*%u", steps[i].times);
	}
}

/* A number of `unit` in tenths, rounded half up, ".0" left out. */
static void add_tenths(struct buf *buf, uint64_t seconds, uint64_t unit)
{
	uint64_t tenths = (seconds * 10 + unit / 2) / unit;

	buf_add_u64(buf, tenths / 10);
	if (tenths % 10)
		buf_printf(buf, ".%u", (unsigned)(tenths % 10));
}

void retry_add_example(
	struct buf *buf, const struct retry_step *steps, uint32_t count, uint32_t retries)
{
	uint32_t shown = MIN(retries, (uint32_t)EXAMPLE_RETRIES);
	bool minutes = whole_minutes(steps, count);

	for (uint32_t i = 1; i <= shown; i++) {
		if (i > 1)
			buf_add_char(buf, ',');
		add_delay(buf, retry_delay_s(steps, count, i), minutes);
	}
	if (retries > shown)
		buf_add_str(buf, "...");
}

void retry_add_sum(
	struct buf *buf, const struct retry_step *steps, uint32_t count, uint32_t retries)
{
	bool minutes = whole_minutes(steps, count);

	if (retries == 0)
		buf_add_char(buf, '0');
	for (uint32_t i = 0; i < count && retries; i++) {
		uint32_t times = i == count - 1 ? retries : MIN(retries, steps[i].times);
		if (i)
			buf_add_char(buf, '+');
		if (times > 1)
			buf_add_char(buf, '(');
		add_delay(buf, steps[i].delay_s, minutes);
		if (times > 1)
			buf_printf(buf, "*%u)", times);
		retries -= times;
	}
}

void retry_add_total(
	struct buf *buf, const struct retry_step *steps, uint32_t count, uint32_t retries)
{
	uint64_t total = retry_total_s(steps, count, retries);

	if (total < SECONDS_PER_MINUTE) {
		buf_add_u64(buf, total);
		buf_add_str(buf, " s");
	} else if (total < 3600) {
		add_tenths(buf, total, SECONDS_PER_MINUTE);
		buf_add_str(buf, " min");
	} else {
		add_tenths(buf, total, 3600);
		buf_add_str(buf, total == 3600 ? " hour" : " hours");
	}
	if (total >= 86400) {
		buf_add_str(buf, " (");
		add_tenths(buf, total, 86400);
		buf_add_str(buf, total == 86400 ? " day)" : " days)");
	}
}
