/* Request parameters: builds an event from the headers and parameters of a change. */
#ifndef KEYDIR_HTTPD_REQUEST_PARAMS_H
#define KEYDIR_HTTPD_REQUEST_PARAMS_H

#include "httpd/request.h"

/* Each function fills its part of EV from RQ and returns true; or it answers RQ with a problem,
 * sets *RET to the handler's result and returns false. EV then borrows from RQ. */

/* Set the key, which must not be the root. */
bool request_params_key(struct request *rq, struct event *ev, enum MHD_Result *ret);
/* Set the condition from If-Match, If-None-Match and If-Unmodified-Since. A condition that fails on
 * this node is refused here; with an Idempotency-Key it fails where the event is applied instead.
 */
bool request_params_condition(struct request *rq, struct event *ev, enum MHD_Result *ret);
/* Set the TTL from ?ttl=; *RET_GIVEN says whether there is one. With KEEP_ALLOWED "keep" is a valid
 * value. */
bool request_params_ttl(struct request *rq, struct event *ev, bool keep_allowed, bool *ret_given,
                        enum MHD_Result *ret);
/* Set the Idempotency-Key, prefixed in the log with the name of the client's token, so that clients
 * with different tokens never share outcomes. Call it once. */
bool request_params_idem(struct request *rq, struct event *ev, enum MHD_Result *ret);
/* Set the content type from Content-Type. */
bool request_params_type(struct request *rq, struct event *ev, enum MHD_Result *ret);

/* Return whether RQ has a precondition header. */
bool request_params_is_conditional(const struct request *rq);

#endif
