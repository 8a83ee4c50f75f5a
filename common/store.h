/* The store: LMDB tables that every process of a node shares. */
#ifndef KEYDIR_STORE_H
#define KEYDIR_STORE_H

#include "event.h"

#include <sys/stat.h>

#define STORE_ROOT_INO 1
/* Inode numbers from here on are proposed by who creates an entry; those below
 * are counted by the store (a txn or a set with missing directories can make
 * many entries at one offset, so the offset itself would not do). */
#define STORE_PROPOSED_MIN (UINT64_C(1) << 40)
#define STORE_PROPOSED_MAX (UINT64_C(1) << 62)
#define STORE_FEED_SIZE 65536 /* events that the feed keeps (a ring) */
/* What an entry counts against the quota beside its value, name and
 * attributes: about what its rows cost in the tables. */
#define STORE_ENTRY_COST 128
/* Values up to this size lie in the inode's row (one look-up reads both). */
#define STORE_INLINE_MAX 512
/* Whoever applies many events ends a transaction that has about so many pages. */
#define STORE_TXN_PAGES 256
#define STORE_CHUNK_SIZE 65520 /* longer values: chunks that fill 16 pages */

struct store;
struct txn;

enum store_sync {
	STORE_SYNC_AUTO = 0, /* none in memory (tmpfs), else every commit */
	STORE_SYNC_OFF,
};

struct store_config {
	const char *dir; /* made (0700, parents too) if missing */
	enum store_sync sync;
	bool logged; /* a log outside can restore what a crash loses */
	bool copied; /* the file is a copy fresh from elsewhere: check that it is whole */
};

/* An inode's row, decoded. Pointers lie in the map or in the caller's memory
 * and are valid until the transaction ends or writes. */
struct entry {
	uint64_t ino;
	uint64_t version; /* offset of the last event that changed it */
	uint64_t parent;  /* 0 for the root */
	int64_t mtime_ns;
	int64_t ctime_ns;
	int64_t atime_ns;
	int64_t expiry_ms;      /* 0: never */
	int64_t default_ttl_ms; /* directories: for keys made below; 0: none */
	uint32_t mode;          /* with S_IFREG or S_IFDIR */
	uint32_t nsubdirs;      /* directories: how many directories are in it */
	uint64_t size;          /* bytes of the value */
	bool has_xattrs;        /* there are rows in xattrs */
	bool is_inline;         /* the value lies in inline_value */
	const char *name;
	size_t name_len;
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

/* Row of meta. */
struct store_meta {
	bool started;           /* an event was applied; without one, applied means nothing */
	uint64_t applied;       /* offset of the last event applied */
	int64_t log_time_ms;    /* newest record timestamp applied */
	int64_t base_ms;        /* log time of the first event: rows count times from here */
	uint64_t next_ino;      /* for entries without a proposed inode */
	uint64_t nkeys;         /* entries that are keys */
	uint64_t ndirs;         /* directories, the root not counted */
	uint64_t used_bytes;    /* quota: values, names, attributes, entry costs */
	uint64_t ndefault_ttl;  /* directories with a default TTL */
	uint64_t nrejected;     /* events rejected while applying */
	uint64_t nexpired;      /* entries purged after their expiry */
	uint64_t nevicted;      /* entries evicted */
	uint64_t volume_offset; /* where the format event was */
	char volume[40];        /* volume id (text), "" before the format event */
};

/* Opens (and makes) the store. Several processes may have it open. Returns 0
 * and *RET (store_close()), or -errno with a sentence in WHY (may be NULL):
 * -ENOSPC, -EACCES, -EPROTO for another format version or a broken file ... */
int store_open(const struct store_config *config, struct store **ret, char *why, size_t why_size);
void store_close(struct store *store);
/* Makes DIR (0700, parents too) if it is missing. 0 or -errno. */
int store_make_dir(const char *dir);
/* Reads a whole store file (DIR/data.mdb) that came from elsewhere and is not
 * open anywhere: size, format, every row decodable, totals right. 0 and its
 * meta row (RET may be NULL), or -EPROTO with a sentence in WHY, -EIO, -ENOMEM.
 * LMDB may end the process over a damaged page: call it in one that may die. */
int store_check_file(const char *dir, struct store_meta *ret, char *why, size_t why_size);
const char *store_dir(const struct store *store);
/* True if commits wait for no disk (tmpfs, or sync off). */
bool store_in_memory(const struct store *store);
/* False if the file system is full, or nearly (less than 1 MiB is left). */
bool store_has_room(const struct store *store);
/* Bytes of the map that hold data. */
uint64_t store_bytes(struct store *store);
/* Streams a consistent, compact copy of the whole store to FD (blocking;
 * holds a read snapshot meanwhile). 0 or -errno. */
int store_copy_fd(struct store *store, int fd);
/* Frees the reader slots of processes that died. */
void store_reap_readers(struct store *store);

/* --- transactions ---------------------------------------------------------
 * A read transaction is a snapshot: lock-free, cheap (about 0.2 us), usable by
 * one thread at a time. Do not hold one while waiting for anything: the pages
 * it sees cannot be reused. One write transaction exists at a time in all
 * processes; txn_write waits for it. */

/* Begins a snapshot. Returns 0, -ENOMEM, -EAGAIN (no reader slot free). */
int txn_read(struct store *store, struct txn **ret);
/* Begins writing. Returns 0 or -errno. */
int txn_write(struct store *store, struct txn **ret);
/* Begins a part of the write transaction PARENT that can be undone alone:
 * between begin and end only the child may be used. 0 or -ENOMEM. */
int txn_nest(struct txn *parent, struct txn **ret);
/* Ends any of them, undoing what was written. NULL is fine. */
void txn_abort(struct txn *txn);
/* Commits a write or nested one; the txn is gone either way. 0, -ENOSPC, -EIO.
 * Meta is written by the outermost commit. */
int txn_commit(struct txn *txn);
/* Says whether what is written next removes something: that may take the very
 * last room (in memory). */
void txn_frees(struct txn *txn, bool frees);
/* About how many pages the write transaction has taken, if that matters (in
 * memory): who applies many events commits now and then. */
uint64_t txn_pages(struct txn *txn);
/* The meta row as this transaction sees it; changeable in a write one. */
struct store_meta *txn_meta(struct txn *txn);

/* --- reading --------------------------------------------------------------
 * All return 0 or -ENOENT, -EIO (a broken store), unless they say more. They
 * do not look at expiry; view.h does. */
int store_get(struct txn *txn, uint64_t ino, struct entry *ret);
/* The inode of a name. *RET_DIR (may be NULL) says if it is a directory. */
int store_lookup(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t *ret,
                 bool *ret_dir);
/* Copies up to LEN bytes of E's value from OFF; returns how many (0 at the
 * end), or -EIO. Holes read as zeros. */
int64_t store_read(struct txn *txn, const struct entry *e, uint64_t off, void *buf, size_t len);

/* A walk over a directory's names in byte order. */
struct scan;
/* Starts behind AFTER (NULL: at the first). Returns 0, -ENOMEM, -EIO. */
int scan_open(struct txn *txn, uint64_t parent, const char *after, size_t after_len,
              struct scan **ret);
/* The next name; the pointers are valid until the next call. -ENOENT at the end. */
int scan_next(struct scan *scan, const char **ret_name, size_t *ret_len, uint64_t *ret_ino,
              bool *ret_dir);
/* S_IFREG, S_IFDIR or S_IFLNK: the type of the name that scan_next gave last. */
uint32_t scan_type(const struct scan *scan);
void scan_close(struct scan *scan);

/* Attributes. NAME with its "user.". */
int store_xattr_get(struct txn *txn, uint64_t ino, const char *name, size_t len, struct bytes *ret);
/* Calls FN for each attribute; stops and returns its result if not 0. */
int store_xattr_each(struct txn *txn, uint64_t ino,
                     int (*fn)(void *arg, struct bytes name, struct bytes value), void *arg);

/* The entry that expires first: -ENOENT if none does. */
int store_first_expiry(struct txn *txn, int64_t *ret_expiry_ms, uint64_t *ret_ino);

/* The one behind *EXPIRY_MS and *INO, which it replaces; -ENOENT at the end. */
int store_next_expiry(struct txn *txn, int64_t *expiry_ms, uint64_t *ino);

/* A walk over all inodes by number (store_walk.c). */
struct walk;
/* 0, -ENOMEM, -EIO. */
int walk_open(struct txn *txn, struct walk **ret);
/* Moves to the first entry at or behind INO, or to the next one, and decodes it.
 * -ENOENT at the end. */
int walk_seek(struct walk *walk, uint64_t ino, struct entry *ret);
int walk_next(struct walk *walk, struct entry *ret);
/* Passes N entries without looking at them. -ENOENT at the end. */
int walk_skip(struct walk *walk, uint64_t n);
/* NULL is fine. */
void walk_close(struct walk *walk);

/* The first feed row at or behind FROM; the bytes are feed.h's. -ENOENT if
 * there is none yet. Offsets can have gaps; *RET_OFFSET > FROM can also mean
 * that some are missing: compare with store_feed_first(). */
int store_feed_next(struct txn *txn, uint64_t from, uint64_t *ret_offset, struct bytes *ret);
/* The offset from which on the feed has a row for each event: who wants more has
 * lost some. -ENOENT if it has none. */
int store_feed_first(struct txn *txn, uint64_t *ret_offset);
/* The row of the event at OFFSET, also one that is before store_feed_first(). */
int store_feed_get(struct txn *txn, uint64_t offset, struct bytes *ret);
/* The oldest row that there is. In write transactions. */
int store_feed_oldest(struct txn *txn, uint64_t *ret_offset, struct bytes *ret);
/* Idempotency: the offset at which this id was applied, while the feed reaches back. */
int store_idem_get(struct txn *txn, struct bytes idem, uint64_t *ret_offset);

/* --- writing (write transactions only) ------------------------------------
 * 0, -ENOSPC (disk or map full), -EIO. After an error the transaction can
 * only be aborted. */
/* Writes E's row as a whole. An inline value is taken from E->inline_value. */
int store_put(struct txn *txn, const struct entry *e);
int store_remove(struct txn *txn, uint64_t ino);
/* Remembers until its row is written again that the directory INO was changed at
 * TIME_NS, and answers whether it was: creating many keys in one directory at the
 * same time need not read its row each time. */
void store_note_touched(struct txn *txn, uint64_t ino, int64_t time_ns);
bool store_is_touched(const struct txn *txn, uint64_t ino, int64_t time_ns);
int store_link(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
               bool dir);
/* The same with the type as in MODE (S_IFREG, S_IFDIR, S_IFLNK). */
int store_link_type(struct txn *txn, uint64_t parent, const char *name, size_t len, uint64_t ino,
                    uint32_t mode);
int store_unlink(struct txn *txn, uint64_t parent, const char *name, size_t len);
/* Replaces the bytes [off, off + len) of a value that is kept in chunks. Does
 * not touch the inode's row. */
int store_chunks_write(struct txn *txn, uint64_t ino, uint64_t off, const void *data, size_t len);
/* Removes what lies from SIZE on. */
int store_chunks_cut(struct txn *txn, uint64_t ino, uint64_t size);
int store_xattr_put(struct txn *txn, uint64_t ino, struct bytes name, struct bytes value);
int store_xattr_del(struct txn *txn, uint64_t ino, struct bytes name);
/* Removes all attributes; *RET_BYTES: what they counted. */
int store_xattr_clear(struct txn *txn, uint64_t ino, uint64_t *ret_bytes);
/* Whether some entry's time is over by NOW_MS (or it cannot be told): the answer is
 * remembered until the table of expiries is written, for it is asked with each event. */
bool store_may_expire(struct txn *txn, int64_t now_ms);
int store_expiry_put(struct txn *txn, int64_t expiry_ms, uint64_t ino);
int store_expiry_del(struct txn *txn, int64_t expiry_ms, uint64_t ino);
int store_feed_put(struct txn *txn, uint64_t offset, struct bytes row);
int store_feed_del(struct txn *txn, uint64_t offset);
/* The event at OFFSET, the newest, gets no row. Forgotten when the ring would
 * have lost the row anyway. Not in a nested transaction. */
void store_feed_skip(struct txn *txn, uint64_t offset);
int store_idem_put(struct txn *txn, struct bytes idem, uint64_t offset);
int store_idem_del(struct txn *txn, struct bytes idem);

/* --- for tests and repair -------------------------------------------------
 * Calls FN for each row of each table but those that differ by design (the
 * feed of a store that came from a snapshot is the same too). TABLE is its
 * name. Stops at a result other than 0. */
int store_each_row(struct txn *txn,
                   int (*fn)(void *arg, const char *table, struct bytes key, struct bytes value),
                   void *arg);

#endif
