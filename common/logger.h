/* Logging: one line per fact, structured as key=value, to stderr or syslog. */
#ifndef KEYDIR_LOGGER_H
#define KEYDIR_LOGGER_H

#include <stdbool.h>

enum logger_level { LOGGER_ERROR, LOGGER_WARN, LOGGER_INFO, LOGGER_DEBUG };

/* Sets the program's name and the least level shown. Call once, before
 * threads. With TO_SYSLOG (a daemon) lines go to syslog. */
void logger_init(const char *program, enum logger_level level, bool to_syslog);

/* Writes "2026-01-31T12:00:00.000Z level program: message key=value ...".
 * FMT makes the message; pairs are written by the caller as key=value in it.
 * Control characters are escaped. Thread-safe; one write per line. */
void logger(enum logger_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
