/* The access log: one JSON object a line for each request. */
#ifndef KEYDIR_HTTPD_ACCESS_LOG_H
#define KEYDIR_HTTPD_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct access_log;
struct request;

/* Opens it: WHERE is "off" (*RET is NULL then), "stdout", "stderr" or a file,
 * which is made and appended to. 0, or -errno with a sentence in WHY. */
int access_log_open(const char *where, struct access_log **ret, char *why, size_t why_size);
/* Opens a file anew, for those that moved it away: no line is lost. 0, or -errno
 * with a sentence in WHY, and the old one is written on. NULL is fine. */
int access_log_reopen(struct access_log *log, char *why, size_t why_size);
void access_log_close(struct access_log *log);

/* Writes the line of RQ, which has ended; GONE: its client was not answered.
 * NULL is fine. Thread-safe. */
void access_log_write(struct access_log *log, const struct request *rq, bool gone,
                      int64_t latency_ns);

/* Lines that could not be written, in the Prometheus text format. */
void access_log_metrics_write(FILE *to);

/* --- request ids -----------------------------------------------------------
 * A client or proxy names its request with X-Request-Id; one without a name, or
 * with one that a log cannot hold, is given one. It lives as long as RQ. */
const char *request_id(struct request *rq);
/* Was it given by the client? */
bool request_id_is_given(const struct request *rq);

#endif
