/* Refusals: problem documents in place of libmicrohttpd's own responses. */
#ifndef KEYDIR_HTTPD_REFUSALS_H
#define KEYDIR_HTTPD_REFUSALS_H

#include <microhttpd.h>

struct server;

/* Answer in place of libmicrohttpd for SERVER, until refusals_stop(). Call it before the daemon
 * starts. Returns 0, or -ENOSYS if libmicrohttpd has no MHD_queue_response(). */
int refusals_start(struct server *server);
/* Forget the server, after the daemon has stopped. */
void refusals_stop(void);

#endif
