/* Key wait: long polling of one key with GET ?wait=. */
#ifndef KEYDIR_HTTPD_KEY_WAIT_H
#define KEYDIR_HTTPD_KEY_WAIT_H

#include "httpd/request.h"

/* The longest ?wait=. */
#define KEY_WAIT_MAX_MS 300000

/* Read ?wait= of a new request. Returns false after an answer, as in request_params.h. */
bool key_wait_read(struct request *rq, enum MHD_Result *ret);
/* Count RQ among the requests that wait for changes, until it ends. Returns false after an answer:
 * there are too many. */
bool key_wait_may_begin(struct request *rq, enum MHD_Result *ret);
/* Return whether RQ asks to wait and its time is not over. */
bool key_wait_wanted(const struct request *rq);
/* Wait until a change at OFFSET or later affects the key, or the time is over; then run AGAIN. */
enum MHD_Result key_wait(struct request *rq, uint64_t offset,
                         enum MHD_Result (*again)(struct request *rq));
/* Free the poll of a request when the request ends. NULL is fine. */
struct key_poll;
void key_wait_free(struct key_poll *poll);

#endif
