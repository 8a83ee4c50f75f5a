/* HTTP metrics: requests, statuses and latencies by route. */
#ifndef KEYDIR_HTTPD_HTTP_METRICS_H
#define KEYDIR_HTTPD_HTTP_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Routes as labels of the metrics; router.c maps paths to them. */
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

/* Methods as labels of the metrics. */
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

/* Count the begin of a request, or its end; the difference is the number in flight. STATUS 0: the
 * client left before it was answered. Each thread has counters of its own, to avoid contention for
 * cache lines. */
void http_metrics_begin(void);
void http_metrics_end(enum http_route route, enum http_method method, unsigned status,
                      int64_t latency_ns);

/* Return the name of a route; static. */
const char *http_metrics_route(enum http_route route);

/* Return the number of requests in flight in all threads. */
uint64_t http_metrics_active(void);

/* Return the number of requests answered in all threads, except those that only inspect the node:
 * routes OPS and CONSOLE. */
uint64_t http_metrics_requests(void);

/* Write all HTTP metrics in the Prometheus text format. */
void http_metrics_write(FILE *to);

#endif
