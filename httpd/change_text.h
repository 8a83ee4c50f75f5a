/* Change text: one change of the feed as JSON, for watchers. */
#ifndef KEYDIR_HTTPD_CHANGE_TEXT_H
#define KEYDIR_HTTPD_CHANGE_TEXT_H

#include "common/event/feed.h"
#include "common/store/view.h"
#include "httpd/json_text.h"

/* Return the name of change I of EV: the operation's name, or the effect on this entry: mkdir (also
 * for a parent directory that was created with a key), del, rename_from, rename_to, expired,
 * evicted. Static storage. */
const char *change_name(const struct feed_event *ev, size_t i);

/* Return whether change I of EV concerns PREFIX (LEN 0: everything). It does if its entry is that
 * key or lies below it, and if a directory above the prefix was added or removed with its whole
 * content. */
bool change_concerns(const struct feed_event *ev, size_t i, const char *prefix, size_t len);
/* Return whether change I adds or removes a directory with its whole content. */
bool change_is_whole(const struct feed_event *ev, size_t i);
/* Return whether a change of KEY, for which change_is_whole() returned WHOLE, concerns PREFIX; see
 * change_concerns(). */
bool change_reaches(const char *key, size_t key_len, bool whole, const char *prefix, size_t len);

/* Write change I of EV as a JSON object. VIEW may be NULL; with it the object includes the value,
 * unless a later event has changed it (that event then carries it). Returns 0, -ENOMEM or -EIO. */
int change_text(const struct feed_event *ev, size_t i, const struct view *view,
                struct json_text *text);
/* The same as the data of a server-sent event: what follows its id. */
int change_message(const struct feed_event *ev, size_t i, const struct view *view,
                   struct json_text *text);

#endif
