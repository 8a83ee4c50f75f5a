/* Row keys: the keys of the store's rows, which are a number and an optional suffix.
 *
 * The first byte of a number starts with as many one bits as bytes follow. So encoded
 * numbers sort like the numbers themselves, and none is a prefix of another. The functions
 * are inline because every look-up builds a key. Internal to common/store/. */
#ifndef KEYDIR_STORE_ROWKEY_H
#define KEYDIR_STORE_ROWKEY_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define STORE_NUM_MAX 9 /* bytes of the longest number */

/* A buffer for a key, usually on the stack. The functions below that fill it return a value
 * that points into it. */
struct store_key {
	uint8_t bytes[STORE_NUM_MAX + 8 + 256];
	size_t len;
};

/* Write N to TO (STORE_NUM_MAX bytes). Returns the bytes used. */
static inline size_t store_num_put(uint8_t *to, uint64_t n)
{
	size_t more = 0; /* bytes after the first */
	while (more < 8 && n >> (7 + 7 * more))
		more++;
	to[0] = (uint8_t)(0xff00 >> more);
	for (size_t i = 0; i <= more; i++) {
		if (8 * (more - i) < 64)
			to[i] = (uint8_t)((i ? 0 : to[0]) | n >> (8 * (more - i)));
	}
	return 1 + more;
}

/* Read a number from the SIZE bytes at FROM. Returns the bytes read, or 0 if there is no
 * number or if it is longer than necessary, in which case look-ups would not find its row. */
static inline size_t store_num_get(const uint8_t *from, size_t size, uint64_t *ret)
{
	if (size < 1)
		return 0;
	size_t more = from[0] == 0xff ? 8 : (size_t)__builtin_clz(~((unsigned)from[0] << 24));
	if (size < 1 + more)
		return 0;
	uint64_t n = more < 7 ? from[0] & (0x7f >> more) : 0;
	for (size_t i = 1; i <= more; i++)
		n = n << 8 | from[i];
	if (more && n >> (7 * more) == 0)
		return 0;
	*ret = n;
	return 1 + more;
}

/* Build a key that is only the number N. */
static inline MDB_val store_key_num(struct store_key *buf, uint64_t n)
{
	buf->len = store_num_put(buf->bytes, n);
	return (MDB_val){ buf->len, buf->bytes };
}

/* Build a key from the number N and a name of up to 255 bytes. */
static inline MDB_val store_key_name(struct store_key *buf, uint64_t n, const char *name,
                                     size_t len)
{
	buf->len = store_num_put(buf->bytes, n);
	if (len > 255)
		len = 255; /* callers check; never past the buffer */
	memcpy(buf->bytes + buf->len, name, len);
	buf->len += len;
	return (MDB_val){ buf->len, buf->bytes };
}

/* Return whether KEY has a name of a valid length after its number of PREFIX bytes. */
static inline bool store_key_has_name(MDB_val key, size_t prefix)
{
	return key.mv_size > prefix && key.mv_size - prefix <= 255;
}

/* Return whether KEY starts with PREFIX. */
static inline bool store_key_begins(MDB_val key, MDB_val prefix)
{
	return key.mv_size >= prefix.mv_size &&
	       memcmp(key.mv_data, prefix.mv_data, prefix.mv_size) == 0;
}

#endif
