/* Request checks: everything checked before the body is read. */
#ifndef KEYDIR_HTTPD_REQUEST_CHECK_H
#define KEYDIR_HTTPD_REQUEST_CHECK_H

#include <microhttpd.h>

struct request;

/* Check RQ after its NHEADERS headers were read, in VERSION of HTTP; find its route and decode its
 * key. Returns the handler's result for MHD. RQ may then have been answered (or `early` is set);
 * else it goes on. */
enum MHD_Result request_check(struct request *rq, const char *version, int nheaders);

#endif
