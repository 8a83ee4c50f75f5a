/* Answer memory: a limit on the memory of all responses.
 *
 * Clients decide how many responses are sent at a time and how long each takes. So every buffer
 * that holds a stored value, or text built from stored values, is counted here until it is freed,
 * and one that would exceed the limit is refused: the request is answered 503, or its value is read
 * in pieces (value_answer.c).
 *
 * A block begins with its size, because libmicrohttpd passes only the address when it frees a
 * response.
 *
 * No lock: one counter for the process, updated once per block. */
#include "httpd/answer_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

struct block {
	size_t size;
	max_align_t data[];
};

static _Atomic uint64_t taken;
static _Atomic uint64_t refused;
static uint64_t limit = ANSWER_MEMORY_DEFAULT; /* set before the threads start */

void answer_memory_limit(uint64_t bytes)
{
	limit = bytes;
}

static int reserve_bytes(uint64_t bytes, uint64_t most)
{
	uint64_t before = atomic_fetch_add_explicit(&taken, bytes, memory_order_relaxed);
	if (bytes <= most && before <= most - bytes)
		return 0;
	answer_memory_give(bytes);
	atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
	return -EBUSY;
}

int answer_memory_take(uint64_t bytes)
{
	return reserve_bytes(bytes, limit);
}

void answer_memory_give(uint64_t bytes)
{
	atomic_fetch_sub_explicit(&taken, bytes, memory_order_relaxed);
}

static struct block *block_of(void *data)
{
	return (struct block *)((char *)data - offsetof(struct block, data));
}

static int resize_block(void **data, size_t size, uint64_t most)
{
	struct block *old = *data ? block_of(*data) : NULL;
	size_t before = old ? old->size : 0;
	if (size > SIZE_MAX / 2 - sizeof(*old))
		return -ENOMEM;
	int r = size > before ? reserve_bytes(size - before, most) : 0;
	if (r)
		return r;
	struct block *block = realloc(old, sizeof(*block) + size);
	if (!block) {
		if (size > before)
			answer_memory_give(size - before);
		return -ENOMEM;
	}
	if (size < before)
		answer_memory_give(before - size);
	block->size = size;
	*data = block->data;
	return 0;
}

int answer_memory_resize(void **block, size_t size)
{
	return resize_block(block, size, limit);
}

int answer_memory_value(void **ret, size_t size)
{
	void *data = NULL;
	int r = resize_block(&data, size, limit / 2);
	if (!r)
		*ret = data;
	return r;
}

void answer_memory_free(void *data)
{
	if (!data)
		return;
	struct block *block = block_of(data);
	answer_memory_give(block->size);
	free(block);
}

bool answer_memory_is_short(void)
{
	return atomic_load_explicit(&taken, memory_order_relaxed) > limit / 2;
}

void answer_memory_metrics_write(FILE *to)
{
	fprintf(to,
	        "# HELP keydir_http_answer_bytes Memory of responses being built or sent\n"
	        "# TYPE keydir_http_answer_bytes gauge\n"
	        "keydir_http_answer_bytes %llu\n"
	        "# HELP keydir_http_answer_bytes_limit Limit of that memory (--answer-memory)\n"
	        "# TYPE keydir_http_answer_bytes_limit gauge\n"
	        "keydir_http_answer_bytes_limit %llu\n"
	        "# HELP keydir_http_answer_memory_refused_total Buffers refused because of that limit\n"
	        "# TYPE keydir_http_answer_memory_refused_total counter\n"
	        "keydir_http_answer_memory_refused_total %llu\n",
	        (unsigned long long)atomic_load(&taken), (unsigned long long)limit,
	        (unsigned long long)atomic_load(&refused));
}
