/* Change text: one change of the feed as JSON, for those who watch. */
#ifndef KEYDIR_HTTPD_CHANGE_TEXT_H
#define KEYDIR_HTTPD_CHANGE_TEXT_H

#include "common/event/feed.h"
#include "common/store/view.h"
#include "httpd/json_text.h"

/* What change I of EV is called: the operation's name, or what the operation
 * did to this entry: mkdir (also for a directory made on a key's way), del,
 * rename_from, rename_to, expired, evicted. Static storage. */
const char *change_name(const struct feed_event *ev, size_t i);

/* Does change I of EV concern PREFIX (LEN 0: everything)? It does if its entry
 * is that key, or lies below it; and if a directory above it went or came whole,
 * because then all below went or came with it. */
bool change_concerns(const struct feed_event *ev, size_t i, const char *prefix, size_t len);
/* Is change I of a directory that goes or comes with all below it? */
bool change_is_whole(const struct feed_event *ev, size_t i);
/* change_concerns() for a change of KEY, of which change_is_whole() said WHOLE. */
bool change_reaches(const char *key, size_t key_len, bool whole, const char *prefix, size_t len);

/* Writes change I of EV as a JSON object. With VIEW (may be NULL) the value is
 * part of it, if no later event has changed it since: the later event has it
 * then. Returns 0, -ENOMEM or -EIO. */
int change_text(const struct feed_event *ev, size_t i, const struct view *view,
                struct json_text *text);
/* The same as the data of a server-sent event: what follows its id. */
int change_message(const struct feed_event *ev, size_t i, const struct view *view,
                   struct json_text *text);

#endif
