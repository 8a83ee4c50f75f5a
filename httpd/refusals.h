/* Refusals: what libmicrohttpd answers itself, made into problem documents. */
#ifndef KEYDIR_HTTPD_REFUSALS_H
#define KEYDIR_HTTPD_REFUSALS_H

#include <microhttpd.h>

struct server;

/* Before the daemon starts: SERVER is what the answers speak of, until
 * refusals_stop(). -ENOSYS if there is no libmicrohttpd behind ours. */
int refusals_start(struct server *server);
/* After the daemon has stopped. */
void refusals_stop(void);

/* What MHD_queue_response() is for answers of our own. */
enum MHD_Result refusals_queue_own(struct MHD_Connection *conn, unsigned status,
                                   struct MHD_Response *response);

#endif
