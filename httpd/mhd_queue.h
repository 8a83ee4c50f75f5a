/* MHD queue: queues our responses, and intercepts those of libmicrohttpd itself. */
#ifndef KEYDIR_HTTPD_MHD_QUEUE_H
#define KEYDIR_HTTPD_MHD_QUEUE_H

#include <microhttpd.h>

/* Called instead of MHD_queue_response() for a response of libmicrohttpd itself, with its
 * arguments and result, on the connection's thread. */
typedef enum MHD_Result mhd_queue_intercept(struct MHD_Connection *conn, unsigned status,
                                            struct MHD_Response *response);

/* Prepare the functions below, and pass the library's own responses to INTERCEPT. Call it before
 * the daemon starts. Returns 0, or -ENOSYS if libmicrohttpd has no MHD_queue_response(). */
int mhd_queue_init(mhd_queue_intercept *intercept);
/* Queue RESPONSE, as MHD_queue_response() does, without intercepting it. */
enum MHD_Result mhd_queue(struct MHD_Connection *conn, unsigned status,
                          struct MHD_Response *response);

#endif
