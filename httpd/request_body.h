/* Request bodies: collected, within bounds. */
#ifndef KEYDIR_HTTPD_REQUEST_BODY_H
#define KEYDIR_HTTPD_REQUEST_BODY_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Returns the bytes that a body of RQ, whose route and method exist, may have. */
uint64_t request_body_max(const struct request *rq);

/* The headers of RQ were read: notes how long its body is said to be, and whether an
 * answer may wait until the body was read. */
void request_body_begin(struct request *rq);
/* The body's next LEN bytes: kept, or thrown away if they are not wanted or RQ has its
 * answer already. Returns what the handler returns to MHD; it may have answered. */
enum MHD_Result request_body_data(struct request *rq, const char *data, size_t len);
/* Answers that the body is too large, and returns what the handler returns to MHD. */
enum MHD_Result request_body_too_large(struct request *rq);
/* Bytes of the body handed over to the caller (free()), or NULL if it is empty;
 * the server's count of body bytes is settled. */
char *request_take_body(struct request *rq);

#endif
