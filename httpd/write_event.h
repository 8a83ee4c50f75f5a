/* Write events: what the headers and parameters of a change say. */
#ifndef KEYDIR_HTTPD_WRITE_EVENT_H
#define KEYDIR_HTTPD_WRITE_EVENT_H

#include "httpd/request.h"

/* Each of these fills its part of EV from RQ and returns true; or it answers RQ
 * with a problem, puts what the handler returns into *RET and returns false.
 * EV then borrows from RQ. */

/* The key, which must not be the root. */
bool write_event_key(struct request *rq, struct event *ev, enum MHD_Result *ret);
/* If-Match, If-None-Match, If-Unmodified-Since. A condition that fails on this node is
 * refused here; with an Idempotency-Key it fails where the event is applied instead. */
bool write_event_condition(struct request *rq, struct event *ev, enum MHD_Result *ret);
/* ?ttl=; *RET_GIVEN says if there is one. With KEEP_ALLOWED "keep" is a value. */
bool write_event_ttl(struct request *rq, struct event *ev, bool keep_allowed, bool *ret_given,
                     enum MHD_Result *ret);
/* Idempotency-Key: in the log it stands behind the name of the token that sent it, so
 * that clients with different tokens never meet each other's outcome. To be called once. */
bool write_event_idem(struct request *rq, struct event *ev, enum MHD_Result *ret);
/* Content-Type of what is stored. */
bool write_event_type(struct request *rq, struct event *ev, enum MHD_Result *ret);

/* True if RQ had a precondition header. */
bool write_event_is_conditional(const struct request *rq);

#endif
