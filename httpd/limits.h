/* Limits: sizes of a request's target and headers. */
#ifndef KEYDIR_HTTPD_LIMITS_H
#define KEYDIR_HTTPD_LIMITS_H

#include "httpd/request.h"

/* Bytes of a request target: a key of 4,096 percent-encoded bytes takes 12 KiB, and a query
 * follows. */
#define LIMITS_TARGET (16 << 10)
/* Bytes of all headers together, and their number. */
#define LIMITS_HEADERS (8 << 10)
#define LIMITS_HEADER_COUNT 64
#define LIMITS_PARAMS 32

/* Memory of one connection: request line and headers as received, 64 bytes for each header, and the
 * response's headers. It exceeds the limits above, so that we name the limit that was passed,
 * except for requests far beyond them. libmicrohttpd clears all of it after each request, and half
 * of it again between reading and answering; it maps it anew for each connection from 32 KiB on. 22
 * KiB would save a little time on GET, but slow down a large PUT, which is then read in smaller
 * pieces. */
#define LIMITS_CONNECTION_MEMORY (32 << 10)

/* Refuse RQ, whose N headers were read, if it exceeds a limit or violates a rule of its VERSION of
 * HTTP. Returns false after an answer. */
bool limits_check(struct request *rq, const char *version, int n, enum MHD_Result *ret);

/* Texts with these numbers, also for requests that libmicrohttpd refuses. */
#define LIMITS_TARGET_TEXT                                                                         \
	"A request target, path and query together, may have at most %d bytes. Move longer data "  \
	"into the body."
#define LIMITS_HEADERS_TEXT                                                                        \
	"A request may have at most %d headers, and %d bytes of them, including cookies. Send "    \
	"fewer or shorter ones."

#endif
