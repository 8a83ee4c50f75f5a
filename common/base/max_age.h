/* Max age: how long HTTP caches may keep a value, if its writer says so. */
#ifndef KEYDIR_MAX_AGE_H
#define KEYDIR_MAX_AGE_H

#include <stddef.h>
#include <stdint.h>

/* The extended attribute that holds it, as text: "max-age=60". */
#define MAX_AGE_ATTR "user.cache_control"
#define MAX_AGE_PREFIX "max-age="
#define MAX_AGE_MAX_S 31536000 /* a year */

/* Read the whole TEXT (LEN bytes) as "max-age=N", case-insensitive, with N from 1 to
 * MAX_AGE_MAX_S. Returns 0 and *RET_S, in seconds, or -EINVAL. */
int max_age_parse(const char *text, size_t len, uint32_t *ret_s);

#endif
