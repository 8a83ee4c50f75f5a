/* Value answers: a stored value as the body of a response. */
#ifndef KEYDIR_HTTPD_VALUE_ANSWER_H
#define KEYDIR_HTTPD_VALUE_ANSWER_H

#include "common/store/view.h"
#include "httpd/request.h"

/* Create a response with bytes [FIRST, FIRST + LEN) of the value of E as seen by VIEW; it uses
 * neither after that. Returns NULL with *RET_ERR: -EIO, or 0 or -EBUSY if memory is short. Call it
 * on the connection's thread. */
struct MHD_Response *value_answer(struct request *rq, const struct view *view,
                                  const struct entry *e, uint64_t first, uint64_t len,
                                  int *ret_err);

#endif
