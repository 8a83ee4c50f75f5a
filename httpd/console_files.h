/* Console files: the web console, built into the program. */
#ifndef KEYDIR_HTTPD_CONSOLE_FILES_H
#define KEYDIR_HTTPD_CONSOLE_FILES_H

#include <stddef.h>
#include <stdint.h>

struct console_file {
	const char *name; /* "main.js" */
	const char *type; /* its Content-Type */
	const void *data;
	size_t len;
	uint64_t tag; /* hash of the content, for its ETag */
};

/* Return the file of a NAME of LEN bytes, or NULL. It lasts as long as the program. Thread-safe. */
const struct console_file *console_file_find(const char *name, size_t len);

#endif
