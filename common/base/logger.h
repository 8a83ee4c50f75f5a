/* Logging: one line per fact, structured as key=value, to stderr or syslog. */
#ifndef KEYDIR_LOGGER_H
#define KEYDIR_LOGGER_H

#include <stdbool.h>
#include <stdint.h>

enum logger_level { LOGGER_ERROR, LOGGER_WARN, LOGGER_INFO, LOGGER_DEBUG };

/* Sets the program's name and the least level shown. Call once, before
 * threads. With TO_SYSLOG (a daemon) lines go to syslog. */
void logger_init(const char *program, enum logger_level level, bool to_syslog);

/* Writes "2026-01-31T12:00:00.000Z level program: message key=value ...".
 * FMT makes the message; pairs are written by the caller as key=value in it.
 * Control characters are escaped. Thread-safe; one write per line. */
void logger(enum logger_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* A bound on the lines that clients can make a program log: LOGGER_BURST in
 * LOGGER_WINDOW_S seconds. Start with {0}. */
#define LOGGER_BURST 50
#define LOGGER_WINDOW_S 10
struct logger_limit {
	_Atomic int64_t window;
	_Atomic uint64_t lines;      /* in this window */
	_Atomic uint64_t suppressed; /* since the last line that was written */
};

/* Returns true if a line may be written now, with the number of lines left out since
 * the last one in *RET_SUPPRESSED, which the line should tell. Thread-safe. */
bool logger_allow(struct logger_limit *limit, uint64_t *ret_suppressed);

#endif
