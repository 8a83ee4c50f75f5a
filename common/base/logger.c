/* Logger: writes one line per fact to stderr or syslog.
 *
 * A line is built on the stack and written with one write(2), so lines of several threads
 * and processes on one pipe do not mix (up to PIPE_BUF) and no lock is needed. A line may
 * contain bytes from a client (keys, error texts), so everything that could forge a line or
 * control a terminal is escaped, and the length of a line is limited. errno is preserved,
 * so that a caller can log between an error and its handling. logger_init() writes the
 * settings once, before other threads start. */
#include "common/base/logger.h"

#include "common/base/clock.h"
#include "common/base/ttl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#define MESSAGE_MAX 2048
#define LINE_MAX_BYTES 4096 /* PIPE_BUF of Linux: written atomically */

static const struct {
	const char *text;
	int priority;
} levels[] = {
	[LOGGER_ERROR] = { "error", LOG_ERR },
	[LOGGER_WARN] = { "warn", LOG_WARNING },
	[LOGGER_INFO] = { "info", LOG_INFO },
	[LOGGER_DEBUG] = { "debug", LOG_DEBUG },
};

static const char *program = "keydir";
static enum logger_level least = LOGGER_INFO;
static bool use_syslog;

void logger_init(const char *name, enum logger_level level, bool to_syslog)
{
	if (use_syslog)
		closelog();
	program = name;
	least = level;
	use_syslog = to_syslog;
	if (use_syslog)
		openlog(program, LOG_PID, LOG_DAEMON);
}

/* Return the length of the well-formed UTF-8 character at TEXT if it can be printed
 * unchanged; 0 for a control character or a byte that is not UTF-8. */
static size_t printable_len(const unsigned char *text, size_t len)
{
	size_t n;
	uint32_t code;

	if (text[0] < 0x80)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		n = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		n = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (len < n)
		return 0;
	code = text[0] & (0xff >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3f);
	}
	if ((n == 2 && code < 0xa0) || /* C1 controls */
	    (n == 3 && code < 0x800) || (code >= 0xd800 && code <= 0xdfff) ||
	    (n == 4 && (code < 0x10000 || code > 0x10ffff)))
		return 0;
	return n;
}

/* Copy TEXT to BUF, escaped. Returns the length. Text that does not fit is cut off and
 * marked by "...". SIZE is at least 4; no NUL is added. */
static size_t escape_text(const char *text, size_t len, char *buf, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		const unsigned char *c = (const unsigned char *)text + i;
		size_t n = printable_len(c, len - i);
		char hex[5];
		const char *from = n ? text + i : hex;
		size_t count = n;

		if (!n) {
			n = 1;
			if (*c == '\n' || *c == '\t' || *c == '\r')
				count = (size_t)snprintf(hex, sizeof(hex), "\\%c",
				                         *c == '\n' ? 'n' :
				                         *c == '\t' ? 't' :
				                                      'r');
			else
				count = (size_t)snprintf(hex, sizeof(hex), "\\x%02x", *c);
		}
		if (used + count > size - 3) {
			memcpy(buf + used, "...", 3);
			return used + 3;
		}
		memcpy(buf + used, from, count);
		used += count;
		i += n;
	}
	return used;
}

void logger(enum logger_level level, const char *fmt, ...)
{
	int saved_errno = errno;
	char message[MESSAGE_MAX];
	char line[LINE_MAX_BYTES];
	size_t used = 0;
	size_t len;
	va_list args;
	int n;

	if (level > least)
		return;
	va_start(args, fmt);
	n = vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	if (n < 0) /* the C library refuses the format: print the part before it */
		n = snprintf(message, sizeof(message), "%s", fmt);
	len = (size_t)n;
	if (len >= sizeof(message)) {
		len = sizeof(message) - 1;
		memcpy(message + len - 3, "...", 3);
	}
	if (!use_syslog) {
		char when[32];

		moment_format(clock_wall_ms(), when, sizeof(when));
		n = snprintf(line, sizeof(line) / 4, "%s %s %s: ", when, levels[level].text,
		             program);
		used = n < (int)sizeof(line) / 4 ? (size_t)n : sizeof(line) / 4 - 1;
	}
	used += escape_text(message, len, line + used, sizeof(line) - used - 1);
	if (use_syslog) {
		syslog(levels[level].priority, "%.*s", (int)used, line);
	} else {
		ssize_t done;

		line[used++] = '\n';
		do
			done = write(STDERR_FILENO, line, used);
		while (done < 0 && errno == EINTR);
	}
	errno = saved_errno;
}

bool logger_allow(struct logger_limit *limit, uint64_t *ret_suppressed)
{
	int64_t window = 1 + clock_mono_ms() / (LOGGER_WINDOW_S * INT64_C(1000));
	/* Two threads may both start a window; it then allows a few more lines. */
	if (atomic_exchange(&limit->window, window) != window)
		atomic_store(&limit->lines, 0);
	if (atomic_fetch_add(&limit->lines, 1) < LOGGER_BURST) {
		*ret_suppressed = atomic_exchange(&limit->suppressed, 0);
		return true;
	}
	atomic_fetch_add(&limit->suppressed, 1);
	return false;
}
