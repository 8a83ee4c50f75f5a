/* Store comparison, row by row. */
#ifndef KEYDIR_TEST_STORE_EQUAL_H
#define KEYDIR_TEST_STORE_EQUAL_H

#include "common/store/store.h"

/* Compare all rows of all tables, byte by byte. Return 0 if they are equal; -EPROTO
 * with the first differing row in WHY; or another -errno, explained in WHY too. */
int store_differs(struct store *a, struct store *b, char *why, size_t why_size);

#endif
