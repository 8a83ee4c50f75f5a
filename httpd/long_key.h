/* Long keys: PyCache keys whose last name exceeds KEY_NAME_MAX. */
#ifndef KEYDIR_HTTPD_LONG_KEY_H
#define KEYDIR_HTTPD_LONG_KEY_H

#include "common/event/event.h"
#include "common/store/view.h"
#include "httpd/request.h"

/* The attribute that keeps the last name of such a key as it was sent. */
#define LONG_KEY_ATTRIBUTE "user.pycache.name"

/* Decode the LEN bytes at RAW, the path of a key, into the key of RQ, as url_decode_key()
 * does. A last name of more than KEY_NAME_MAX bytes is replaced by a derived one, and the
 * key as it was sent is kept in `own_key`. Returns NULL, or a description of the fault (static). */
const char *long_key_decode(struct request *rq, const char *raw, size_t len);

/* Return whether the LEN bytes at NAME have the form of a derived name. */
bool long_key_is_derived(const char *name, size_t len);

/* Find the original name of E, which is stored under a derived one. *RET is valid until the view
 * closes. Returns 0, -ENOENT or -EIO. */
int long_key_own(const struct view *view, const struct entry *e, struct bytes *ret);

#endif
