/* Comparing events, for tests and fuzzers. */
#ifndef KEYDIR_TEST_EVENT_EQUAL_H
#define KEYDIR_TEST_EVENT_EQUAL_H

#include "common/event/event.h"

/* NULL if A and B mean the same change, or the name of what differs. A field
 * that no flag or kind gives a meaning (if_version without IF_VERSION ...) is
 * not looked at. */
const char *event_differs(const struct event *a, const struct event *b);

#endif
