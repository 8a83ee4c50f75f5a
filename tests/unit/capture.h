/* Capture: collect the output to a FILE or to standard error, as text. */
#ifndef KEYDIR_TEST_CAPTURE_H
#define KEYDIR_TEST_CAPTURE_H

#include <stddef.h>
#include <stdio.h>

/* A FILE that writes to memory. */
struct capture {
	FILE *file;
	char *text; /* valid after capture_end(); NUL-terminated; the caller frees it */
	size_t len;
};

void capture_begin(struct capture *capture);
void capture_end(struct capture *capture);

/* Redirect standard error to an unnamed file until stderr_end(), which returns the
 * text written (the caller frees it) and its length. */
void stderr_begin(void);
char *stderr_end(size_t *ret_len);

#endif
