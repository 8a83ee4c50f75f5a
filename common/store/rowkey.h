/* Keys of the store's rows: a number, and what follows it.
 *
 * A number has as many ones at its beginning as bytes follow the first: numbers sort
 * as they count, and none is the beginning of another. Inline, for each look-up makes
 * a key. Internal to store*.c. */
#ifndef KEYDIR_STORE_KEY_H
#define KEYDIR_STORE_KEY_H

#include <lmdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define STORE_NUM_MAX 9 /* bytes of the longest number */

/* Room for a key, mostly on the stack. The functions below that fill one return what
 * points into it. */
struct store_key {
	uint8_t bytes[STORE_NUM_MAX + 8 + 256];
	size_t len;
};

/* Writes N to TO (STORE_NUM_MAX bytes); returns how many it took. */
static inline size_t store_num_put(uint8_t *to, uint64_t n)
{
	size_t more = 0; /* bytes behind the first */
	while (more < 8 && n >> (7 + 7 * more))
		more++;
	to[0] = (uint8_t)(0xff00 >> more);
	for (size_t i = 0; i <= more; i++) {
		if (8 * (more - i) < 64)
			to[i] = (uint8_t)((i ? 0 : to[0]) | n >> (8 * (more - i)));
	}
	return 1 + more;
}

/* Reads a number from the SIZE bytes at FROM; returns how many it took, 0 if there is
 * none, or one that takes more bytes than it needs: look-ups would not find its row. */
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

/* A number alone. */
static inline MDB_val store_key_num(struct store_key *buf, uint64_t n)
{
	buf->len = store_num_put(buf->bytes, n);
	return (MDB_val){ buf->len, buf->bytes };
}

/* A number and a name of up to 255 bytes. */
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

/* Whether KEY is a number, PREFIX of its bytes, and a name of a length that a name may
 * have. */
static inline bool store_key_has_name(MDB_val key, size_t prefix)
{
	return key.mv_size > prefix && key.mv_size - prefix <= 255;
}

/* Whether KEY begins with PREFIX. */
static inline bool store_key_begins(MDB_val key, MDB_val prefix)
{
	return key.mv_size >= prefix.mv_size &&
	       memcmp(key.mv_data, prefix.mv_data, prefix.mv_size) == 0;
}

#endif
