/* Limits: how much of a request there may be beside its body. */
#ifndef KEYDIR_HTTPD_LIMITS_H
#define KEYDIR_HTTPD_LIMITS_H

#include "httpd/request.h"

/* Bytes of a request target: a key of 4,096 bytes that are all percent-encoded
 * takes 12 KiB, and then there is a query. */
#define LIMITS_TARGET (14 << 10)
/* Bytes of all headers together, and how many of them. */
#define LIMITS_HEADERS (8 << 10)
#define LIMITS_HEADER_COUNT 64
/* Bytes of the request line and the headers together. */
#define LIMITS_HEAD (16 << 10)
#define LIMITS_PARAMS 32

/* Memory of one connection: request line and headers as they came, 64 bytes for
 * each header (and for each cookie, and the cookies again), and the answer's
 * headers; enough for what the limits above let through, so that it is us who say
 * what is too much, for all but what is far beyond. Not more, because
 * libmicrohttpd (0.9.75) clears one and a half times as much for each request, half
 * of it when it turns from reading to answering (connection_switch_from_recv_to_send)
 * and all of it after the answer (MHD_pool_reset): with 32 KiB a twelfth of what a
 * PUT of 100 bytes cost, and connections' memories did not stay in a core's cache.
 * Half of it is what is read at once: 10 KiB of body with its headers still are. */
#define LIMITS_ANSWER_HEADERS (3 << 10)
#define LIMITS_CONNECTION_MEMORY (LIMITS_HEAD + LIMITS_HEADER_COUNT * 64 + LIMITS_ANSWER_HEADERS)

/* Refuses RQ, whose N headers were read, if it is beyond a limit or its VERSION
 * of HTTP wants what it lacks. False after an answer. */
bool limits_check(struct request *rq, const char *version, int n, enum MHD_Result *ret);

/* What is said of them, with these numbers, also where libmicrohttpd refuses. */
#define LIMITS_TARGET_TEXT                                                                         \
	"A request target, path and query together, may have %d bytes: room for the longest key. " \
	"What is longer belongs into the body."
#define LIMITS_HEADERS_TEXT                                                                        \
	"There may be %d headers of %d bytes together, cookies too, and %d bytes with path and "   \
	"query. Send fewer or shorter ones."

#endif
