/* Answer memory: a limit on the memory of all responses being built or sent. */
#ifndef KEYDIR_HTTPD_ANSWER_MEMORY_H
#define KEYDIR_HTTPD_ANSWER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The limit unless answer_memory_limit() sets another. */
#define ANSWER_MEMORY_DEFAULT (UINT64_C(256) << 20)

/* Set the limit of the whole process, in bytes. Call it before the first response. */
void answer_memory_limit(uint64_t bytes);

/* Reserve BYTES. Returns 0, or -EBUSY if they would exceed the limit; then nothing is reserved. All
 * functions here are thread-safe. */
int answer_memory_take(uint64_t bytes);
/* Return BYTES that were reserved. */
void answer_memory_give(uint64_t bytes);

/* Resize *BLOCK (NULL: allocate it) to SIZE bytes, and reserve them. Returns 0, -ENOMEM, or -EBUSY
 * beyond the limit; after an error *BLOCK is unchanged. The caller frees it with
 * answer_memory_free(). */
int answer_memory_resize(void **block, size_t size);
/* Allocate like answer_memory_resize(), but only from the half of the limit that values may use:
 * the other half is for responses that cannot be sent in pieces. */
int answer_memory_value(void **ret, size_t size);
/* Free BLOCK and return its bytes; NULL is fine. */
void answer_memory_free(void *block);

/* Return whether more than half of the limit is in use. */
bool answer_memory_is_short(void);

/* Write the bytes in use, the limit and the refusals as Prometheus metrics. */
void answer_memory_metrics_write(FILE *to);

#endif
