/* Test framework: cmocka with the headers it requires, and what all unit tests share. */
#ifndef KEYDIR_CMOCKA_ALL_H
#define KEYDIR_CMOCKA_ALL_H

/* The order matters. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
/* clang-format on */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* An initializer for struct bytes from a string literal. */
#define B(text)                                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

/* A row of a table of events with the fields `name` and `ev`: the name is the text of the
 * event's initializer. */
#define EVENT_ROW(...)                                                                             \
	{                                                                                          \
		.name = #__VA_ARGS__, .ev = { __VA_ARGS__ }                                        \
	}

/* Assertions on one row of a table. A failure prints NAME, which identifies the row. */
#define assert_row(name, condition)                                                                \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail_msg("row \"%s\": not true: %s", name, #condition);                    \
	} while (0)
#define assert_row_equal(name, got, want)                                                          \
	do {                                                                                       \
		long long got_ = (long long)(got), want_ = (long long)(want);                      \
		if (got_ != want_)                                                                 \
			fail_msg("row \"%s\": %s is %lld, not %lld", name, #got, got_, want_);     \
	} while (0)
#define assert_row_bytes(name, got, got_len, want, want_len)                                       \
	do {                                                                                       \
		size_t len_ = (want_len);                                                          \
		assert_row_equal(name, got_len, len_);                                             \
		if (len_ && memcmp(got, want, len_) != 0)                                          \
			fail_msg("row \"%s\": %s is \"%.*s\"", name, #got, (int)len_,              \
			         (const char *)(got));                                             \
	} while (0)

#endif
