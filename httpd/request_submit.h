/* Submitting: a request that changes something. */
#ifndef KEYDIR_HTTPD_REQUEST_SUBMIT_H
#define KEYDIR_HTTPD_REQUEST_SUBMIT_H

#include "common/event/event.h"

#include <microhttpd.h>

struct request;

/* Submits EV and goes on with NEXT when it is done and, if it was done well,
 * when the mounts of this node have forgotten what it changed, so that a
 * client reads its own write there too (DESIGN.md 6). NEXT finds the outcome in
 * rq->written. OWNED as in node_submit(). */
enum MHD_Result request_submit(struct request *rq, const struct event *ev, void *owned,
                               enum MHD_Result (*next)(struct request *rq));
/* MHD calls again, for a request whose event was queued (REQUEST_GATHERED). */
enum MHD_Result request_submit_round(struct request *rq);

#endif
