/* Limits: how much of a request there may be beside its body. */
#ifndef KEYDIR_HTTPD_LIMITS_H
#define KEYDIR_HTTPD_LIMITS_H

#include "httpd/request.h"

/* Bytes of a request target: a key of 4,096 bytes that are all percent-encoded
 * takes 12 KiB, and then there is a query. */
#define LIMITS_TARGET (16 << 10)
/* Bytes of all headers together, and how many of them. */
#define LIMITS_HEADERS (8 << 10)
#define LIMITS_HEADER_COUNT 64
#define LIMITS_PARAMS 32

/* Memory of one connection: request line and headers as they came, 64 bytes for
 * each header, and the answer's headers; more than the limits above let through,
 * so that it is us who say what is too much, for all but what is far beyond.
 * libmicrohttpd clears all of it after each request, and half of it again when it
 * turns from reading to answering; and maps it anew for each connection from 32
 * KiB on. 22 KiB, which lower limits would allow, take 0.9 of 18.7 us of processor
 * off a GET of 100 B, and add 50 of 1,081 us to a PUT of 1 MiB, which is then read in
 * smaller pieces: not worth it. */
#define LIMITS_CONNECTION_MEMORY (32 << 10)

/* Refuses RQ, whose N headers were read, if it is beyond a limit or its VERSION
 * of HTTP wants what it lacks. False after an answer. */
bool limits_check(struct request *rq, const char *version, int n, enum MHD_Result *ret);

/* What is said of them, with these numbers, also where libmicrohttpd refuses. */
#define LIMITS_TARGET_TEXT                                                                         \
	"A request target, path and query together, may have %d bytes: room for the longest key. " \
	"What is longer belongs into the body."
#define LIMITS_HEADERS_TEXT                                                                        \
	"There may be %d headers of %d bytes together, cookies too. Send fewer or shorter ones."

#endif
