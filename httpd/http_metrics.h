/* HTTP metrics: requests, statuses and latencies by route. */
#ifndef KEYDIR_HTTPD_HTTP_METRICS_H
#define KEYDIR_HTTPD_HTTP_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Routes as the metrics name them; router.c maps paths to them. */
#define HTTP_ROUTES(X)                                                                             \
	X(KV, "kv")                                                                                \
	X(LIST, "list")                                                                            \
	X(TXN, "txn")                                                                              \
	X(MGET, "mget")                                                                            \
	X(WATCH, "watch")                                                                          \
	X(SNAPSHOT, "snapshot")                                                                    \
	X(PYCACHE, "pycache")                                                                      \
	X(OPS, "ops")                                                                              \
	X(CONSOLE, "console")                                                                      \
	X(OTHER, "other")

enum http_route {
#define X(id, name) HTTP_ROUTE_##id,
	HTTP_ROUTES(X)
#undef X
	        HTTP_ROUTE_COUNT
};

/* Methods as the metrics name them. */
enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_PUT,
	HTTP_POST,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_METHOD_OTHER,
	HTTP_METHOD_COUNT
};

/* Counts that a request began, and how it ended: the difference is what is
 * under way. STATUS 0: the client went away before it was answered. Each
 * thread has counters of its own, so that no cache line is fought for. */
void http_metrics_begin(void);
void http_metrics_end(enum http_route route, enum http_method method, unsigned status,
                      int64_t latency_ns);

/* The name of a route; static. */
const char *http_metrics_route(enum http_route route);

/* Requests under way in all threads. */
uint64_t http_metrics_active(void);

/* Requests answered in all threads, but for those that only look at the node:
 * routes OPS and CONSOLE. */
uint64_t http_metrics_requests(void);

/* Writes everything in the Prometheus text format. */
void http_metrics_write(FILE *to);

#endif
