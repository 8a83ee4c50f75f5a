/* Checking a request: all that can be said of it before its body. */
#ifndef KEYDIR_HTTPD_REQUEST_CHECK_H
#define KEYDIR_HTTPD_REQUEST_CHECK_H

#include <microhttpd.h>

struct request;

/* Checks RQ, whose headers, NHEADERS of them, were read, in VERSION of HTTP; finds its
 * route and decodes its key. Returns what the handler returns to MHD: RQ has its answer
 * then (it is answered, or `early` is set), or it may go on. */
enum MHD_Result request_check(struct request *rq, const char *version, int nheaders);

#endif
