/* What was written, as text: to a FILE, or to standard error. */
#ifndef KEYDIR_TEST_CAPTURE_H
#define KEYDIR_TEST_CAPTURE_H

#include <stddef.h>
#include <stdio.h>

/* A FILE that writes to memory. */
struct capture {
	FILE *file;
	char *text; /* after capture_end(): all of it, NUL-ended; free() */
	size_t len;
};

void capture_begin(struct capture *capture);
void capture_end(struct capture *capture);

/* Sends file descriptor 2 to a file of no name, until stderr_end() gives what
 * was written (free()) and its length. */
void stderr_begin(void);
char *stderr_end(size_t *ret_len);

#endif
