/* Answer memory: a bound on the memory of all answers that are made or sent. */
#ifndef KEYDIR_HTTPD_ANSWER_MEMORY_H
#define KEYDIR_HTTPD_ANSWER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* The bound unless answer_memory_limit() sets another. */
#define ANSWER_MEMORY_DEFAULT (UINT64_C(256) << 20)

/* Sets the bound of the whole process, in bytes. Call it before the first answer. */
void answer_memory_limit(uint64_t bytes);

/* Counts BYTES. Returns 0, or -EBUSY if they would go beyond the bound; then nothing
 * is counted. These functions are thread-safe, all of them. */
int answer_memory_take(uint64_t bytes);
/* Gives back BYTES that were counted. */
void answer_memory_give(uint64_t bytes);

/* Resizes *BLOCK (NULL: allocates it) to SIZE bytes, and counts them. Returns 0,
 * -ENOMEM, or -EBUSY beyond the bound; after an error *BLOCK is as it was. The caller
 * frees it with answer_memory_free(). */
int answer_memory_resize(void **block, size_t size);
/* Allocates like answer_memory_resize(), but only from the half of the bound that
 * values may take: the other half is for answers that cannot be sent in pieces. */
int answer_memory_value(void **ret, size_t size);
/* Frees BLOCK; NULL is fine. */
void answer_memory_free(void *block);

/* Returns true while more than half of the bound is taken. */
bool answer_memory_is_short(void);

/* Writes the bytes taken, the bound, and the refusals as Prometheus metrics. */
void answer_memory_metrics_write(FILE *to);

#endif
