/* TTL: parses and formats durations and moments.
 *
 * Both parsers accept exactly one spelling of a number (digits only: no sign, blank or
 * exponent). The same text may come from setfattr, URLs and option lists, and a misread TTL
 * loses data silently. Dates are computed here and not with timegm(3), because that accepts
 * February 31st and may depend on the time zone of the process. The calendar is proleptic
 * Gregorian, in 400-year eras that start on March 1st, so that the leap day is the last day
 * of its year.
 *
 * No state; thread-safe. */
#include "common/base/ttl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define ERA_DAYS 146097   /* days in 400 years */
#define EPOCH_DAYS 719468 /* days from 0000-03-01 to 1970-01-01 */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t without_newline(const char *text, size_t len)
{
	return len && text[len - 1] == '\n' ? len - 1 : len;
}

int ttl_parse(const char *text, size_t len, int64_t *ret_ms)
{
	static const struct {
		const char *name;
		int64_t ms;
	} units[] = {
		{ "", 1000 },   { "ms", 1 },      { "s", 1000 },
		{ "m", 60000 }, { "h", 3600000 }, { "d", DAY_MS },
	};
	int64_t number = 0;
	bool too_large = false;
	size_t i;

	len = without_newline(text, len);
	for (i = 0; i < len && is_digit(text[i]); i++) {
		number = number * 10 + (text[i] - '0');
		if (number > TTL_MAX_MS) {
			too_large = true;
			number = TTL_MAX_MS;
		}
	}
	if (i == 0 || number == 0)
		return -EINVAL;
	for (size_t u = 0; u < sizeof(units) / sizeof(units[0]); u++) {
		size_t n = strlen(units[u].name);

		if (n != len - i || memcmp(text + i, units[u].name, n) != 0)
			continue;
		if (too_large || number > TTL_MAX_MS / units[u].ms)
			return -ERANGE;
		*ret_ms = number * units[u].ms;
		return 0;
	}
	return -EINVAL;
}

int ttl_format(int64_t ttl_ms, char *buf, size_t size)
{
	int64_t seconds = ttl_ms > 0 ? ttl_ms / 1000 + (ttl_ms % 1000 != 0) : 0;

	return snprintf(buf, size, "%" PRId64, seconds);
}

/* Return the days from 1970-01-01 to a date of the years 0 to 9999. */
static int64_t days_of(int year, int month, int day)
{
	int y = month <= 2 ? year - 1 : year; /* years start in March */
	int era = (y >= 0 ? y : y - 399) / 400;
	int year_of_era = y - era * 400;
	int day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return (int64_t)era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

/* A position in a text that is parsed from the front. */
struct cursor {
	const char *at;
	const char *end;
};

/* Parse exactly N digits (at most 4) as a number from LEAST to MOST. */
static bool take_number(struct cursor *c, int n, int least, int most, int *ret)
{
	int number = 0;

	if (c->end - c->at < n)
		return false;
	for (int i = 0; i < n; i++) {
		if (!is_digit(c->at[i]))
			return false;
		number = number * 10 + (c->at[i] - '0');
	}
	if (number < least || number > most)
		return false;
	c->at += n;
	*ret = number;
	return true;
}

/* Parse one byte if it is among CHARS. */
static bool take_char(struct cursor *c, const char *chars, char *ret)
{
	if (c->at == c->end || *c->at == '\0' || !strchr(chars, *c->at))
		return false;
	*ret = *c->at++;
	return true;
}

int moment_parse(const char *text, size_t len, int64_t *ret_ms)
{
	struct cursor c = { text, text + without_newline(text, len) };
	int year, month, day, hour, minute, second, offset_h = 0, offset_m = 0;
	int64_t offset_ms, ms = 0;
	char sep;

	if (!take_number(&c, 4, 0, 9999, &year) || !take_char(&c, "-", &sep) ||
	    !take_number(&c, 2, 1, 12, &month) || !take_char(&c, "-", &sep) ||
	    !take_number(&c, 2, 1, days_in_month(year, month), &day) ||
	    !take_char(&c, "Tt ", &sep) || !take_number(&c, 2, 0, 23, &hour) ||
	    !take_char(&c, ":", &sep) || !take_number(&c, 2, 0, 59, &minute) ||
	    !take_char(&c, ":", &sep) ||
	    !take_number(&c, 2, 0, 60, &second)) /* 60: a leap second */
		return -EINVAL;
	if (take_char(&c, ".", &sep)) {
		int64_t unit = 100;

		if (c.at == c.end || !is_digit(*c.at))
			return -EINVAL;
		for (; c.at < c.end && is_digit(*c.at); c.at++, unit /= 10)
			ms += (*c.at - '0') * unit;
	}
	if (!take_char(&c, "Zz+-", &sep))
		return -EINVAL;
	if ((sep == '+' || sep == '-') &&
	    (!take_number(&c, 2, 0, 23, &offset_h) || !take_char(&c, ":", &(char){ 0 }) ||
	     !take_number(&c, 2, 0, 59, &offset_m)))
		return -EINVAL;
	if (c.at != c.end)
		return -EINVAL;
	offset_ms = (offset_h * 60 + offset_m) * INT64_C(60000);
	ms += days_of(year, month, day) * DAY_MS;
	ms += ((hour * 60 + minute) * 60 + second) * INT64_C(1000);
	*ret_ms = sep == '-' ? ms + offset_ms : ms - offset_ms;
	return 0;
}

/* Write WIDTH digits of N, followed by AFTER. */
static char *put_digits(char *p, int n, int width, char after)
{
	p[width] = after;
	for (int i = width; i-- > 0; n /= 10)
		p[i] = (char)('0' + n % 10);
	return p + width + 1;
}

int moment_format(int64_t ms, char *buf, size_t size)
{
	int64_t days = ms / DAY_MS - (ms % DAY_MS < 0);
	int of_day = (int)(ms % DAY_MS < 0 ? ms % DAY_MS + DAY_MS : ms % DAY_MS);
	int64_t shifted = days + EPOCH_DAYS;
	int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
	int day_of_era = (int)(shifted - era * ERA_DAYS);
	int year_of_era =
	        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int shifted_month = (5 * day_of_year + 2) / 153;
	int day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
	int month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	int64_t year = era * 400 + year_of_era + (month <= 2);

	/* snprintf() is too slow for a listing of thousands of entries. */
	if (year < 0 || year > 9999 || size < sizeof("2000-01-01T00:00:00.000Z"))
		return snprintf(buf, size, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%03dZ", year,
		                month, day, of_day / 3600000, of_day / 60000 % 60,
		                of_day / 1000 % 60, of_day % 1000);
	char *p = put_digits(buf, (int)year, 4, '-');
	p = put_digits(p, month, 2, '-');
	p = put_digits(p, day, 2, 'T');
	p = put_digits(p, of_day / 3600000, 2, ':');
	p = put_digits(p, of_day / 60000 % 60, 2, ':');
	p = put_digits(p, of_day / 1000 % 60, 2, '.');
	p = put_digits(p, of_day % 1000, 3, 'Z');
	*p = '\0';
	return (int)(p - buf);
}
