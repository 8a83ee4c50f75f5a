/* Access log: one JSON object per request, one per line. */
#ifndef KEYDIR_HTTPD_ACCESS_LOG_H
#define KEYDIR_HTTPD_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct access_log;
struct request;

/* Open the log. WHERE is "off" (then *RET is NULL), "stdout", "stderr" or a file, which is created
 * if missing and appended to. Returns 0, or -errno with a sentence in WHY. */
int access_log_open(const char *where, struct access_log **ret, char *why, size_t why_size);
/* Open the log's file again after a log rotation moved it; no line is lost. Returns 0, or -errno
 * with a sentence in WHY; the log then stays with the old file. NULL is fine. */
int access_log_reopen(struct access_log *log, char *why, size_t why_size);
void access_log_close(struct access_log *log);

/* Write the line of RQ, which has ended. GONE: the client left before it was answered. NULL is
 * fine. Thread-safe. */
void access_log_write(struct access_log *log, const struct request *rq, bool gone,
                      int64_t latency_ns);

/* Write the number of lines that could not be written, in the Prometheus text format. */
void access_log_metrics_write(FILE *to);

/* --- request ids -----------------------------------------------------------
 * Return the id of RQ: the client's or proxy's X-Request-Id, or a new one if it is missing or unfit
 * for a log. It lives as long as RQ. */
const char *request_id(struct request *rq);
/* Return whether the client sent the id. */
bool request_id_is_given(const struct request *rq);

#endif
