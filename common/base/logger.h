/* Logger: writes one line per fact, as key=value pairs, to stderr or syslog. */
#ifndef KEYDIR_LOGGER_H
#define KEYDIR_LOGGER_H

#include <stdbool.h>
#include <stdint.h>

enum logger_level { LOGGER_ERROR, LOGGER_WARN, LOGGER_INFO, LOGGER_DEBUG };

/* Set the program's name and the least severe LEVEL to log. Call once, before other threads
 * start. If TO_SYSLOG is set (for a daemon), lines go to syslog. */
void logger_init(const char *program, enum logger_level level, bool to_syslog);

/* Write the line "2026-01-31T12:00:00.000Z level program: message key=value ...". FMT and
 * its arguments produce the message including the key=value pairs. Control characters are
 * escaped. Thread-safe; each line is one write(2). */
void logger(enum logger_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Rate limit for lines that clients can trigger: LOGGER_BURST lines per LOGGER_WINDOW_S
 * seconds. Initialise with {0}. */
#define LOGGER_BURST 50
#define LOGGER_WINDOW_S 10
struct logger_limit {
	_Atomic int64_t window;
	_Atomic uint64_t lines;      /* lines in this window */
	_Atomic uint64_t suppressed; /* lines dropped since the last one written */
};

/* Return true if a line may be written now. *RET_SUPPRESSED is the number of lines dropped
 * since the previous one; the new line should report it. Thread-safe. */
bool logger_allow(struct logger_limit *limit, uint64_t *ret_suppressed);

#endif
