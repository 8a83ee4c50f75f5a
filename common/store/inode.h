/* Inode: the rows of entries. */
#ifndef KEYDIR_STORE_INODE_H
#define KEYDIR_STORE_INODE_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <sys/stat.h>

#define STORE_ROOT_INO 1
/* Inode numbers in this range are proposed by the creator of an entry; those below are
 * assigned by the store. (A txn, or a set with missing directories, can create several
 * entries at one offset, so the offset cannot serve as the number.) */
#define STORE_PROPOSED_MIN (UINT64_C(1) << 40)
#define STORE_PROPOSED_MAX (UINT64_C(1) << 62)
/* Quota charge of an entry in addition to its value, name and attributes: approximately the
 * size of its rows. */
#define STORE_ENTRY_COST 128
/* Values up to this size, and no others, are stored in the inode's row, so that one look-up
 * reads both. */
#define STORE_INLINE_MAX 512
/* Bytes of the longest value. */
#define STORE_VALUE_MAX (UINT64_C(1) << 30)

/* A decoded inode row. Pointers lie in the map or in the caller's memory and are valid
 * until the transaction ends or writes. Entries read from a store respect the bounds below,
 * even if another node wrote the file. */
struct entry {
	uint64_t ino;
	uint64_t version; /* offset of the last event that changed it */
	uint64_t parent;  /* 0 for the root only */
	int64_t mtime_ns;
	int64_t ctime_ns;
	int64_t atime_ns;
	int64_t expiry_ms; /* 0: never; at most TTL_MOMENT_MAX_MS */
	/* Directories: TTL of new keys below it; 0: none, at most TTL_MAX_MS. */
	int64_t default_ttl_ms;
	uint32_t mode;     /* permissions and S_IFREG, S_IFDIR or S_IFLNK */
	uint32_t nsubdirs; /* directories: number of directories in it */
	uint64_t size;     /* bytes of the value, at most STORE_VALUE_MAX; directories: 0 */
	bool has_xattrs;   /* has rows in the table xattrs */
	bool is_inline;    /* the value is in inline_value: up to STORE_INLINE_MAX bytes */
	const char *name;
	size_t name_len; /* 1 to 255; the root: 0 */
	const void *inline_value;
};

static inline bool entry_is_dir(const struct entry *e)
{
	return S_ISDIR(e->mode);
}

/* Return whether E has expired at NOW_MS, which hides it from readers. */
static inline bool entry_is_expired(const struct entry *e, int64_t now_ms)
{
	return e->expiry_ms && e->expiry_ms <= now_ms;
}

/* Read the entry INO. Does not check its expiry; store/view.h does. Returns 0, -ENOENT, or
 * -EIO for a damaged row. */
int store_get(struct txn *txn, uint64_t ino, struct entry *ret);
/* Decode a row that was found otherwise. Returns 0 or -EIO. */
int store_inode_decode(const struct txn *txn, struct bytes key, struct bytes value,
                       struct entry *ret);

/* The following are for write transactions and return 0, -ENOSPC (disk or map full) or
 * -EIO. After an error the transaction can only be aborted. */
/* Write the whole row of E. An inline value is taken from E->inline_value. */
int store_put(struct txn *txn, const struct entry *e);
/* Remove the row of INO; -ENOENT if it does not exist. */
int store_remove(struct txn *txn, uint64_t ino);

/* Remember in the transaction that the directory INO has the modification time TIME_NS, and
 * ask for it. When many keys are created in a directory at the same time, this avoids
 * reading and writing the directory's row for each of them. Writing the row clears it. */
void store_note_touched(struct txn *txn, uint64_t ino, int64_t time_ns);
bool store_is_touched(const struct txn *txn, uint64_t ino, int64_t time_ns);

#endif
