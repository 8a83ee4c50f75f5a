/* Comparing stores row by row. */
#ifndef KEYDIR_TEST_STORE_EQUAL_H
#define KEYDIR_TEST_STORE_EQUAL_H

#include "common/store/store.h"

/* Compares all rows of all tables, byte by byte. Returns 0 if they are the
 * same; -EPROTO with the first row that differs named in WHY; or another -errno,
 * said in WHY too. */
int store_differs(struct store *a, struct store *b, char *why, size_t why_size);

#endif
