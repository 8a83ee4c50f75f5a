/* Entries: the rows of the table of inodes. */
#ifndef KEYDIR_STORE_INODE_H
#define KEYDIR_STORE_INODE_H

#include "common/base/bytes.h"
#include "common/store/txn.h"

#include <sys/stat.h>

#define STORE_ROOT_INO 1
/* Inode numbers from here on are proposed by who creates an entry; those below
 * are counted by the store (a txn or a set with missing directories can make
 * many entries at one offset, so the offset itself would not do). */
#define STORE_PROPOSED_MIN (UINT64_C(1) << 40)
#define STORE_PROPOSED_MAX (UINT64_C(1) << 62)
/* What an entry counts against the quota beside its value, name and
 * attributes: about what its rows cost in the tables. */
#define STORE_ENTRY_COST 128
/* Values up to this size, and no others, lie in the inode's row (one look-up reads
 * both). */
#define STORE_INLINE_MAX 512
/* Bytes of the longest value. */
#define STORE_VALUE_MAX (UINT64_C(1) << 30)

/* An inode's row, decoded. Pointers lie in the map or in the caller's memory
 * and are valid until the transaction ends or writes. What is read from a store
 * keeps the bounds below, whoever wrote its file. */
struct entry {
	uint64_t ino;
	uint64_t version; /* offset of the last event that changed it */
	uint64_t parent;  /* 0 for the root and for no other */
	int64_t mtime_ns;
	int64_t ctime_ns;
	int64_t atime_ns;
	int64_t expiry_ms;      /* 0: never; at most TTL_MOMENT_MAX_MS */
	int64_t default_ttl_ms; /* directories: for keys made below it; 0: none, at most TTL_MAX_MS */
	uint32_t mode;          /* with S_IFREG, S_IFDIR or S_IFLNK */
	uint32_t nsubdirs;      /* directories: how many directories are in it */
	uint64_t size;          /* bytes of the value, at most STORE_VALUE_MAX; directories: 0 */
	bool has_xattrs;        /* there are rows in xattrs */
	bool is_inline;         /* the value lies in inline_value: up to STORE_INLINE_MAX bytes */
	const char *name;
	size_t name_len; /* 1 to 255; the root: 0 */
	const void *inline_value;
};

static inline bool entry_is_dir(const struct entry *e)
{
	return S_ISDIR(e->mode);
}

/* Readers do not see it any more from its expiry on. */
static inline bool entry_is_expired(const struct entry *e, int64_t now_ms)
{
	return e->expiry_ms && e->expiry_ms <= now_ms;
}

/* Reads the row of INO. 0, -ENOENT, -EIO (it is broken). Expiry is not looked at:
 * store/view.h does. */
int store_get(struct txn *txn, uint64_t ino, struct entry *ret);
/* Decodes a row that was found otherwise. 0 or -EIO. */
int store_inode_decode(const struct txn *txn, struct bytes key, struct bytes value,
                       struct entry *ret);

/* In write transactions: 0, -ENOSPC (disk or map full), -EIO. After an error the
 * transaction can only be aborted. */
/* Writes E's row as a whole. An inline value is taken from E->inline_value. */
int store_put(struct txn *txn, const struct entry *e);
/* Removes the row of INO; -ENOENT without one. */
int store_remove(struct txn *txn, uint64_t ino);

/* Remembers until its row is written again that the directory INO was changed at
 * TIME_NS, and answers whether it was: creating many keys in one directory at the
 * same time need not read its row each time. */
void store_note_touched(struct txn *txn, uint64_t ino, int64_t time_ns);
bool store_is_touched(const struct txn *txn, uint64_t ino, int64_t time_ns);

#endif
