/* Submission: applies the change of a request and waits for its outcome. */
#ifndef KEYDIR_HTTPD_REQUEST_SUBMIT_H
#define KEYDIR_HTTPD_REQUEST_SUBMIT_H

#include "common/event/event.h"

#include <microhttpd.h>

struct request;
struct request_result;

/* Submit EV. NEXT runs when it is done and, if it succeeded, when the mounts of this node have
 * dropped their old data, so that a client reads its own write there too. NEXT finds the outcome in
 * rq->written. OWNED is as in node_submit(). */
enum MHD_Result request_submit(struct request *rq, const struct event *ev, void *owned,
                               enum MHD_Result (*next)(struct request *rq));
/* Submit SET, an event `set`, together with its key's attribute NAME and its VALUE, as one event,
 * so that no reader sees one without the other. All is copied. NEXT calls request_result_of_set()
 * first. */
enum MHD_Result request_submit_with_xattr(struct request *rq, const struct event *set,
                                          struct bytes name, struct bytes value,
                                          enum MHD_Result (*next)(struct request *rq));
/* Convert RESULT of request_submit_with_xattr() into that of SET as an event of its own. Does
 * nothing to the result of an event other than a transaction. */
void request_result_of_set(struct request_result *result);
/* Continue a request whose event was queued (REQUEST_GATHERED), when MHD calls again. */
enum MHD_Result request_submit_round(struct request *rq);

#endif
