/* Request bodies: collected within limits. */
#ifndef KEYDIR_HTTPD_REQUEST_BODY_H
#define KEYDIR_HTTPD_REQUEST_BODY_H

#include <microhttpd.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Return the largest body, in bytes, that RQ may have; its route and method must exist. */
uint64_t request_body_max(const struct request *rq);

/* Note the announced length of the body when the headers of RQ were read, and whether a response
 * may wait until the body was read. */
void request_body_begin(struct request *rq);
/* Add the next LEN bytes of the body; discard them if they are unwanted or RQ was answered already.
 * Returns the handler's result for MHD; RQ may have been answered. */
enum MHD_Result request_body_data(struct request *rq, const char *data, size_t len);
/* Answer that the body is too large. Returns the handler's result for MHD. */
enum MHD_Result request_body_too_large(struct request *rq);
/* Return the body, which the caller frees, or NULL if it is empty. It no longer counts among the
 * server's body bytes. */
char *request_take_body(struct request *rq);

#endif
