/* Key wait: GET ?wait=, one key long-polled. */
#ifndef KEYDIR_HTTPD_KEY_WAIT_H
#define KEYDIR_HTTPD_KEY_WAIT_H

#include "httpd/request.h"

/* The longest ?wait=. */
#define KEY_WAIT_MAX_MS 300000

/* Reads ?wait= of a request that begins. False after an answer, as in
 * write_event.h. */
bool key_wait_read(struct request *rq, enum MHD_Result *ret);
/* Counts RQ among those that wait for changes, until it ends. False after an answer:
 * there are too many. */
bool key_wait_may_begin(struct request *rq, enum MHD_Result *ret);
/* True if RQ wants to wait, and its time is not over. */
bool key_wait_wanted(const struct request *rq);
/* Waits until something happens to the key at OFFSET or later, or the time is
 * over, and then runs AGAIN. */
enum MHD_Result key_wait(struct request *rq, uint64_t offset,
                         enum MHD_Result (*again)(struct request *rq));
/* Frees what a request has; with the request. NULL is fine. */
struct key_poll;
void key_wait_free(struct key_poll *poll);

#endif
