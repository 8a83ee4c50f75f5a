/* Event comparison, for tests and fuzzers. */
#ifndef KEYDIR_TEST_EVENT_EQUAL_H
#define KEYDIR_TEST_EVENT_EQUAL_H

#include "common/event/event.h"

/* Return NULL if A and B describe the same change, or the name of a field that
 * differs. Fields that are unused in such an event (if_version without IF_VERSION
 * ...) are ignored. */
const char *event_differs(const struct event *a, const struct event *b);

#endif
