#include "base/check.h"
#include "base/err.h"
#include "base/text.h"

/* Dates of the proleptic Gregorian calendar, counted in eras of 400 years that begin on the first
 * of March, so that the leap day is the last of its year. */
#define DAYS_PER_ERA  146097
#define DAYS_TO_EPOCH 719468 /* 0000-03-01 to 1970-01-01 */
#define MS_PER_DAY    86400000

struct moment {
	int64_t year;
	unsigned month, day, hour, minute, second, ms,
		weekday; /* month and day from 1, Sunday is 0 */
};

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static struct moment moment_of(int64_t wall_ms)
{
	struct moment m;
	int64_t days = floor_div(wall_ms, MS_PER_DAY);
	unsigned ms = (unsigned)(wall_ms - days * MS_PER_DAY);

	m.ms = ms % 1000;
	m.second = ms / 1000 % 60;
	m.minute = ms / 60000 % 60;
	m.hour = ms / 3600000;
	m.weekday = (unsigned)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */

	days += DAYS_TO_EPOCH;
	int64_t era = floor_div(days, DAYS_PER_ERA);
	unsigned day = (unsigned)(days - era * DAYS_PER_ERA); /* of the era */
	unsigned year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
	day -= 365 * year + year / 4 - year / 100; /* of the year from March on */
	unsigned month = (5 * day + 2) / 153;
	m.day = day - (153 * month + 2) / 5 + 1;
	m.month = month < 10 ? month + 3 : month - 9;
	m.year = (int64_t)year + era * 400 + (m.month <= 2);
	return m;
}

static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = floor_div(year, 400);
	unsigned of_era = (unsigned)(year - era * 400);
	unsigned of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * DAYS_PER_ERA + of_era * (int64_t)365 + of_era / 4 - of_era / 100 + of_year -
	       DAYS_TO_EPOCH;
}

static void add_padded(struct buf *buf, uint64_t value, unsigned width)
{
	uint64_t least = 1; /* the smallest number of that many digits */

	for (unsigned i = 1; i < width; i++)
		least *= 10;
	for (; least > 1 && value < least; least /= 10)
		buf_add_char(buf, '0');
	buf_add_u64(buf, value);
}

static void add_year(struct buf *buf, int64_t year)
{
	if (year < 0)
		buf_add_char(buf, '-');
	add_padded(buf, (uint64_t)(year < 0 ? -year : year), 4);
}

static void add_clock(struct buf *buf, const struct moment *m)
{
	add_padded(buf, m->hour, 2);
	buf_add_char(buf, ':');
	add_padded(buf, m->minute, 2);
	buf_add_char(buf, ':');
	add_padded(buf, m->second, 2);
}

void text_add_date(struct buf *buf, int64_t wall_ms)
{
	struct moment m = moment_of(wall_ms);

	buf_add_str(buf, weekdays[m.weekday]);
	buf_add_str(buf, ", ");
	buf_add_u64(buf, m.day);
	buf_add_char(buf, ' ');
	buf_add_str(buf, months[m.month - 1]);
	buf_add_char(buf, ' ');
	add_year(buf, m.year);
	buf_add_char(buf, ' ');
	add_clock(buf, &m);
	buf_add_str(buf, " +0000");
}

void text_add_time(struct buf *buf, int64_t wall_ms)
{
	struct moment m = moment_of(wall_ms);

	add_year(buf, m.year);
	buf_add_char(buf, '-');
	add_padded(buf, m.month, 2);
	buf_add_char(buf, '-');
	add_padded(buf, m.day, 2);
	buf_add_char(buf, 'T');
	add_clock(buf, &m);
	buf_add_char(buf, '.');
	add_padded(buf, m.ms, 3);
	buf_add_char(buf, 'Z');
}

/* Exactly `width` digits, a value of [least, most]; false else. */
static bool take_number(struct span *in, size_t width, unsigned least, unsigned most, unsigned *out)
{
	unsigned value = 0;

	if (in->n < width)
		return false;
	for (size_t i = 0; i < width; i++) {
		if (in->p[i] < '0' || in->p[i] > '9')
			return false;
		value = value * 10 + (unsigned)(in->p[i] - '0');
	}
	*in = span_skip(*in, width);
	*out = value;
	return value >= least && value <= most;
}

static bool take_char(struct span *in, char c)
{
	if (!in->n || ascii_lower(in->p[0]) != c)
		return false;
	*in = span_skip(*in, 1);
	return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	if (month == 2)
		return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool take_date(struct span *in, struct moment *m)
{
	unsigned year;

	if (!take_number(in, 4, 0, 9999, &year) || !take_char(in, '-') ||
		!take_number(in, 2, 1, 12, &m->month) || !take_char(in, '-') ||
		!take_number(in, 2, 1, days_in_month(year, m->month), &m->day))
		return false;
	m->year = year;
	return true;
}

/* partial-time of RFC 3339; what is finer than a millisecond is cut off. */
static bool take_clock(struct span *in, struct moment *m)
{
	/* A leap second counts as the first one of the next minute. */
	if (!take_number(in, 2, 0, 23, &m->hour) || !take_char(in, ':') ||
		!take_number(in, 2, 0, 59, &m->minute) || !take_char(in, ':') ||
		!take_number(in, 2, 0, 60, &m->second))
		return false;
	if (!take_char(in, '.'))
		return true;
	unsigned digit, weight = 100, count = 0;
	for (; take_number(in, 1, 0, 9, &digit); weight /= 10, count++)
		m->ms += digit * weight;
	return count > 0;
}

/* time-offset of RFC 3339, in minutes east of Greenwich. */
static bool take_offset(struct span *in, int *out)
{
	unsigned hours, minutes;
	bool west;

	*out = 0;
	if (take_char(in, 'z'))
		return true;
	west = take_char(in, '-');
	if (!west && !take_char(in, '+'))
		return false;
	if (!take_number(in, 2, 0, 23, &hours) || !take_char(in, ':') ||
		!take_number(in, 2, 0, 59, &minutes))
		return false;
	*out = (int)(hours * 60 + minutes) * (west ? -1 : 1);
	return true;
}

int text_parse_time(struct span in, int64_t *out_wall_ms)
{
	struct moment m = {0};
	int offset = 0;

	if (!take_date(&in, &m))
		return ERR_SYNTAX;
	if (in.n && ((!take_char(&in, 't') && !take_char(&in, ' ')) || !take_clock(&in, &m) ||
			    !take_offset(&in, &offset) || in.n))
		return ERR_SYNTAX;
	int64_t minutes =
		days_of(m.year, m.month, m.day) * 1440 + m.hour * (int64_t)60 + m.minute - offset;
	*out_wall_ms = (minutes * 60 + m.second) * 1000 + m.ms;
	return 0;
}
