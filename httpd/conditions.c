/* Conditions: preconditions and ranges, parsed from header values.
 *
 * Parsing only: the handlers decide what a condition means for a request, for reads on the view and
 * for writes while applying. Malformed entity tags are distinguished from tags that do not match,
 * because a write that lost its precondition is worse than a refused one.
 *
 * Nothing here allocates, keeps state or depends on the locale. */
#include "httpd/conditions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const struct volume_tag conditions_no_volume = { 0 };

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Parse an unsigned integer that fits; *AT advances past it. */
static bool read_number(const char **at, uint64_t *ret)
{
	const char *p = *at;
	uint64_t n = 0;
	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (uint64_t)(*p - '0'), &n))
			return false;
	}
	*at = p;
	*ret = n;
	return true;
}

/* Parse the version in the opaque part of an entity tag; false for a foreign tag. Leading zeros
 * make a tag foreign: tags are compared byte by byte. */
static bool tag_version(const char *text, size_t len, const struct volume_tag *tag, uint64_t *ret)
{
	const char *at = text;
	if (!len || (text[0] == '0' && len > 1 && is_digit(text[1])) || !read_number(&at, ret))
		return false;
	return volume_tag_fits(tag, at, (size_t)(text + len - at));
}

int conditions_tags(const char *text, const struct volume_tag *tag, struct condition_tags *ret)
{
	ret->any = false;
	ret->n = 0;
	const char *at = skip_blanks(text);
	if (*at == '*') {
		ret->any = true;
		return *skip_blanks(at + 1) ? -EINVAL : 0;
	}
	bool some = false;
	for (;;) {
		/* Empty list elements are allowed (RFC 9110, 5.6.1). */
		while (*at == ',' || *at == ' ' || *at == '\t')
			at++;
		if (!*at)
			return some ? 0 : -EINVAL;
		bool weak = at[0] == 'W' && at[1] == '/';
		if (weak)
			at += 2;
		if (*at != '"')
			return -EINVAL;
		const char *end = strchr(at + 1, '"');
		if (!end)
			return -EINVAL;
		uint64_t version;
		if (tag_version(at + 1, (size_t)(end - at - 1), tag, &version)) {
			if (ret->n == CONDITIONS_TAGS_MAX)
				return -E2BIG;
			ret->weak[ret->n] = weak;
			ret->versions[ret->n++] = version;
		}
		some = true;
		at = skip_blanks(end + 1);
		if (*at && *at != ',')
			return -EINVAL;
	}
}

bool conditions_match(const struct condition_tags *tags, uint64_t version, bool strong)
{
	if (tags->any)
		return true;
	for (size_t i = 0; i < tags->n; i++)
		if (tags->versions[i] == version && !(strong && tags->weak[i]))
			return true;
	return false;
}

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };

static int month_number(const char *text)
{
	for (int m = 0; m < 12; m++)
		if (memcmp(text, months[m], 3) == 0)
			return m;
	return -1;
}

/* Check the fields and convert them to seconds. */
static int date_seconds(int day, int month, int year, int hour, int minute, int second,
                        int64_t *ret_s)
{
	if (month < 0 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
	    minute > 59 || second < 0 || second > 60)
		return -EINVAL;
	struct tm tm = { .tm_mday = day,
		         .tm_mon = month,
		         .tm_year = year - 1900,
		         .tm_hour = hour,
		         .tm_min = minute,
		         .tm_sec = second };
	*ret_s = timegm(&tm);
	return 0;
}

int conditions_date_parse(const char *text, int64_t *ret_s)
{
	int day, year, hour, minute, second, end = 0;
	char month[4];
	/* IMF-fixdate: Sun, 06 Nov 1994 08:49:37 GMT. */
	if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year,
	           &hour, &minute, &second, &end) == 6 &&
	    end && !text[end])
		return date_seconds(day, month_number(month), year, hour, minute, second, ret_s);
	/* RFC 850: Sunday, 06-Nov-94 08:49:37 GMT. */
	end = 0;
	if (sscanf(text, "%*[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, month, &year,
	           &hour, &minute, &second, &end) == 6 &&
	    end && !text[end]) {
		/* A two-digit year more than 50 years ahead is in the past (RFC 9110, 5.6.7). */
		time_t now = time(NULL);
		struct tm tm;
		gmtime_r(&now, &tm);
		int this_year = tm.tm_year + 1900;
		year += this_year / 100 * 100;
		if (year > this_year + 50)
			year -= 100;
		return date_seconds(day, month_number(month), year, hour, minute, second, ret_s);
	}
	/* asctime: Sun Nov  6 08:49:37 1994. */
	end = 0;
	if (sscanf(text, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, &hour,
	           &minute, &second, &year, &end) == 6 &&
	    end && !text[end])
		return date_seconds(day, month_number(month), year, hour, minute, second, ret_s);
	return -EINVAL;
}

static char *put_digits(char *at, int n, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		at[i] = (char)('0' + n % 10);
		n /= 10;
	}
	return at + width;
}

static char *put_text(char *at, const char *text, size_t len)
{
	memcpy(at, text, len);
	return at + len;
}

/* Convert days since 1970-01-01 to day, month (from 0) and year, with Howard Hinnant's
 * civil_from_days: no time zone, so no lock as in gmtime_r(). */
static void civil_from_days(int64_t day, int *ret_day, int *ret_month, int *ret_year)
{
	day += 719468; /* since 0000-03-01 */
	int64_t era = day / 146097;
	int in_era = (int)(day - era * 146097);
	int year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int in_year = in_era - (365 * year + year / 4 - year / 100);
	int month = (5 * in_year + 2) / 153; /* from March */
	*ret_day = in_year - (153 * month + 2) / 5 + 1;
	*ret_month = month < 10 ? month + 2 : month - 10;
	*ret_year = year + (int)era * 400 + (month >= 10);
}

void conditions_date_format(int64_t s, char *buf)
{
	/* The format has room for four digits of year. */
	const int64_t max_s = INT64_C(253402300799);
	int day, month, year;
	s = s < 0 ? 0 : s > max_s ? max_s : s;
	int in_day = (int)(s % 86400);
	civil_from_days(s / 86400, &day, &month, &year);
	char *at = put_text(buf, days[(s / 86400 + 4) % 7], 3); /* 1970-01-01 was a Thursday */
	at = put_text(at, ", ", 2);
	at = put_digits(at, day, 2);
	*at++ = ' ';
	at = put_text(at, months[month], 3);
	*at++ = ' ';
	at = put_digits(at, year, 4);
	*at++ = ' ';
	at = put_digits(at, in_day / 3600, 2);
	*at++ = ':';
	at = put_digits(at, in_day / 60 % 60, 2);
	*at++ = ':';
	at = put_digits(at, in_day % 60, 2);
	memcpy(at, " GMT", 5);
}

enum range_kind conditions_range(const char *text, uint64_t size, uint64_t *ret_first,
                                 uint64_t *ret_len)
{
	if (strncasecmp(text, "bytes=", 6) != 0)
		return RANGE_WHOLE;
	const char *at = skip_blanks(text + 6);
	uint64_t first, last;
	if (*at == '-') {
		uint64_t suffix;
		at++;
		if (!read_number(&at, &suffix) || *skip_blanks(at))
			return RANGE_WHOLE;
		if (!suffix || !size)
			return RANGE_UNSATISFIABLE;
		*ret_len = suffix < size ? suffix : size;
		*ret_first = size - *ret_len;
		return RANGE_PART;
	}
	if (!read_number(&at, &first) || *at++ != '-')
		return RANGE_WHOLE;
	bool open = !*skip_blanks(at);
	if (open)
		last = UINT64_MAX;
	else if (!read_number(&at, &last) || *skip_blanks(at) || last < first)
		return RANGE_WHOLE;
	if (first >= size)
		return RANGE_UNSATISFIABLE;
	*ret_first = first;
	*ret_len = (last < size - 1 ? last : size - 1) - first + 1;
	return RANGE_PART;
}
