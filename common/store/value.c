/* Value: replaces, writes into and resizes the bytes of an entry.
 *
 * Only this file decides between inline values and chunks, so the rows of a value depend on
 * its bytes and not on its history. Chunks may be short or missing where a value was
 * extended; missing bytes read as zeros. */
#include "common/store/value.h"

#include <string.h>

int value_set(struct txn *txn, struct entry *e, const void *data, size_t len)
{
	bool to_inline = len <= STORE_INLINE_MAX;
	if (!e->is_inline && e->size) {
		/* The remaining chunks are overwritten below. */
		int r = store_chunks_cut(txn, e->ino, to_inline ? 0 : len);
		if (r < 0)
			return r;
	}
	e->size = len;
	e->is_inline = to_inline;
	e->inline_value = to_inline ? data : NULL;
	return to_inline ? 0 : store_chunks_write(txn, e->ino, 0, data, len);
}

/* Move an inline value to chunks. */
static int to_chunks(struct txn *txn, struct entry *e)
{
	int r = e->size ? store_chunks_write(txn, e->ino, 0, e->inline_value, e->size) : 0;
	e->is_inline = false;
	e->inline_value = NULL;
	return r;
}

int value_write(struct txn *txn, struct entry *e, uint64_t off, const void *data, size_t len,
                uint8_t *buf)
{
	if (len == 0)
		return 0;
	uint64_t size = off + len > e->size ? off + len : e->size;
	if (size <= STORE_INLINE_MAX) {
		if (e->size && e->inline_value != buf)
			memmove(buf, e->inline_value, e->size);
		if (off > e->size)
			memset(buf + e->size, 0, off - e->size);
		memcpy(buf + off, data, len);
		e->inline_value = buf;
		e->is_inline = true;
		e->size = size;
		return 0;
	}
	int r = e->is_inline ? to_chunks(txn, e) : 0;
	if (r < 0)
		return r;
	e->size = size;
	return store_chunks_write(txn, e->ino, off, data, len);
}

int value_resize(struct txn *txn, struct entry *e, uint64_t size, uint8_t *buf)
{
	int r = 0;
	if (size <= STORE_INLINE_MAX) {
		uint64_t keep = size < e->size ? size : e->size;
		if (!e->is_inline && e->size) {
			int64_t n = store_read(txn, e, 0, buf, keep);
			if (n < 0)
				return (int)n;
			r = store_chunks_cut(txn, e->ino, 0);
		} else if (keep && e->inline_value != buf) {
			memmove(buf, e->inline_value, keep);
		}
		memset(buf + keep, 0, size - keep);
		e->is_inline = true;
		e->inline_value = buf;
	} else if (e->is_inline) {
		r = to_chunks(txn, e);
	} else if (size < e->size) {
		r = store_chunks_cut(txn, e->ino, size);
	}
	e->size = size;
	return r;
}
