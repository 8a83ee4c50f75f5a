/* Allocation faults: make the Nth allocation fail.
 *
 * The linker (--wrap) redirects the allocations of the code under test to this file.
 * Allocations inside the C library and cmocka are not counted. Not thread-safe. */
#include "tests/unit/fault.h"

#include <stddef.h>

static unsigned long fail_at;
static unsigned long count;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

void fault_alloc(unsigned long n)
{
	fail_at = n;
	count = 0;
}

unsigned long fault_end(void)
{
	fail_at = 0;
	return count;
}

static int next_fails(void)
{
	return ++count == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return next_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return next_fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return next_fails() ? NULL : __real_realloc(old, size);
}
