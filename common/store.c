/* The store: LMDB tables that every process of a node shares.
 *
 * LMDB gives lock-free snapshots to any number of processes, one atomic write
 * transaction at a time, and survival of a kill at any point. In memory pages
 * are written through the map, into room that store_room.c took before; on a disk
 * with pwrite. The map is large and sparse, so it never has to grow.
 *
 * The rows of the tables are in store_rows.c, changing and undoing in
 * store_table.c.
 *
 * Lock: idle_lock guards the list of idle snapshots, nothing else. */
#include "store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define FORMAT_VERSION 2
#define MAP_BYTES (UINT64_C(256) << 30)
#define MAX_READERS 1024
#define LOCK_BYTES (MAX_READERS * 64 + 4096) /* a cache line each, and LMDB's own */
#define NEW_BYTES (64 << 10)                 /* of a store without entries; far less */
#define USUAL_META_ROWS 2                    /* "meta" and "format" */
#define LOW_BYTES (1 << 20)                  /* a file system with less is full */
#define TMPFS_MAGIC 0x01021994               /* statfs(2) */
#define RAMFS_MAGIC 0x858458f6               /* statfs(2) */

_Static_assert(sizeof(void *) == 8, "the map needs a 64-bit address space");

static const char *const table_names[TABLES] = {
	"names", "inodes", "values", "xattrs", "expiry", "feed", "idem", "meta",
};

int store_error(int rc)
{
	switch (rc) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return -ENOENT;
	case MDB_KEYEXIST:
		return -EEXIST;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
	case ENOSPC:
	case EDQUOT:
		return -ENOSPC;
	case MDB_READERS_FULL:
		return -EAGAIN;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_VERSION_MISMATCH:
		return -EPROTO;
	default:
		return rc > 0 ? -rc : -EIO;
	}
}

const char *store_table_name(enum table table)
{
	return table_names[table];
}

/* --- opening --- */

static int fail(int err, char *why, size_t why_size, const char *what, const char *dir)
{
	const char *text = strerror(-err);
	if (err == -EPROTO)
		text = "not a store of this version, or damaged";
	if (err == -EACCES)
		text = "no permission; if it is another user's, choose one with --store";
	if (why && why_size)
		snprintf(why, why_size, "%s %s: %s", what, dir, text);
	return err;
}

int store_make_dir(const char *dir)
{
	char path[4096];
	size_t len = strlen(dir);
	if (len == 0 || len >= sizeof path)
		return -ENAMETOOLONG;
	memcpy(path, dir, len + 1);
	for (size_t i = 1; i <= len; i++) {
		if (path[i] != '/' && path[i] != '\0')
			continue;
		char c = path[i];
		path[i] = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		path[i] = c;
	}
	return 0;
}

static bool dir_in_memory(const char *dir)
{
	struct statfs fs;
	return statfs(dir, &fs) == 0 &&
	       ((unsigned long)fs.f_type == TMPFS_MAGIC || (unsigned long)fs.f_type == RAMFS_MAGIC);
}

/* The row is there only while the feed lacks rows that its ring should have. */
static const MDB_val whole_from_key = { 10, (void *)"whole_from" };

static int load_whole_from(struct txn *txn)
{
	MDB_val key = whole_from_key, val;
	MDB_stat st;
	txn->whole_from = 0;
	int r = store_error(mdb_stat(txn->mdb, txn->store->dbi[META], &st));
	if (r < 0 || st.ms_entries <= USUAL_META_ROWS)
		return r;
	r = store_error(mdb_get(txn->mdb, txn->store->dbi[META], &key, &val));
	if (r == 0 && val.mv_size != sizeof txn->whole_from)
		r = -EPROTO;
	if (r == 0)
		memcpy(&txn->whole_from, val.mv_data, sizeof txn->whole_from);
	return r == -ENOENT ? 0 : r;
}

/* Writes the row, or removes it as soon as the ring is whole. */
static int save_whole_from(struct txn *txn)
{
	const struct store_meta *meta = &txn->meta;
	MDB_val key = whole_from_key, val = { sizeof txn->whole_from, &txn->whole_from };
	if (!txn->whole_from)
		return 0;
	if (meta->applied < STORE_FEED_SIZE ||
	    txn->whole_from > meta->applied - STORE_FEED_SIZE + 1)
		return table_put(txn, META, &key, &val, 0);
	int r = table_del(txn, META, &key);
	return r == -ENOENT ? 0 : r;
}

static int load_meta(struct txn *txn)
{
	MDB_val key = { 4, (void *)"meta" }, val;
	int r = load_whole_from(txn);
	if (r < 0)
		return r;
	r = store_error(mdb_get(txn->mdb, txn->store->dbi[META], &key, &val));
	if (r == 0 && (val.mv_size != sizeof txn->meta ||
	               ((const uint8_t *)val.mv_data)[offsetof(struct store_meta, started)] > 1))
		r = -EPROTO;
	if (r == 0)
		memcpy(&txn->meta, val.mv_data, sizeof txn->meta);
	return r == -ENOENT ? 0 : r;
}

/* Makes tables, format row and root in a new store; checks an old one. */
static int open_tables(struct store *store)
{
	struct txn *txn;
	int r = txn_write(store, &txn);
	if (r < 0)
		return r;
	for (int t = 0; t < TABLES; t++) {
		r = store_error(mdb_dbi_open(txn->mdb, table_names[t], MDB_CREATE, &store->dbi[t]));
		if (r < 0)
			goto err_abort;
	}
	uint32_t format = FORMAT_VERSION;
	MDB_val key = { 6, (void *)"format" }, val;
	r = store_error(mdb_get(txn->mdb, store->dbi[META], &key, &val));
	if (r == -ENOENT) {
		val = (MDB_val){ sizeof format, &format };
		r = table_put(txn, META, &key, &val, 0);
		if (r < 0)
			goto err_abort;
		struct store_meta *meta = txn_meta(txn);
		meta->next_ino = STORE_ROOT_INO + 1;
		struct entry root = { .ino = STORE_ROOT_INO, .mode = S_IFDIR | 0755 };
		r = store_put(txn, &root);
		if (r < 0)
			goto err_abort;
		return txn_commit(txn);
	}
	if (r == 0 &&
	    (val.mv_size != sizeof format || memcmp(val.mv_data, &format, sizeof format) != 0))
		r = -EPROTO;
	if (r == 0)
		r = load_meta(txn);
	if (r < 0)
		goto err_abort;
	/* Keeps the tables open and writes nothing: meta stays as it is, and a
	 * store on a full disk can be opened and read. */
	r = store_error(mdb_txn_commit(txn->mdb));
	free(txn);
	return r;

err_abort:
	txn_abort(txn);
	return r;
}

/* Takes room for what LMDB maps and then writes to, or writes in pieces: on a
 * full tmpfs the first would be a SIGBUS, and the second could leave a file that
 * is no store. A file that is there keeps its size: others may have mapped it. */
static int reserve(const char *dir, const char *name, off_t bytes, bool keep_size)
{
	char path[4096];
	struct stat st;
	if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
		return -ENAMETOOLONG;
	if (stat(path, &st) < 0)
		st = (struct stat){ 0 };
	if (st.st_size && (keep_size || st.st_blocks * 512 >= st.st_size))
		return 0;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int r = fallocate(fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, 0,
	                  st.st_size ? st.st_size : bytes);
	r = r < 0 && (errno == ENOSPC || errno == EDQUOT) ? -ENOSPC : 0;
	close(fd); /* others: the file system cannot, so LMDB makes do */
	return r;
}

/* Whether room can be taken ahead (ramfs cannot, and it is never full). */
static bool can_allocate(const char *dir)
{
	struct statfs fs;
	return statfs(dir, &fs) == 0 && (unsigned long)fs.f_type == TMPFS_MAGIC;
}

/* A copy that was cut short would be a SIGBUS when its end is read; later, the
 * file is as long as the map. (A file in use may well end before its last page,
 * if that one is free.) */
static int check_size(const char *dir)
{
	MDB_env *env;
	MDB_envinfo info;
	MDB_stat stat;
	struct stat st;
	int fd, r = store_error(mdb_env_create(&env));
	if (r < 0)
		return r;
	r = store_error(mdb_env_open(env, dir, MDB_RDONLY | MDB_NOLOCK, 0600));
	if (r == 0)
		r = store_error(mdb_env_info(env, &info));
	if (r == 0)
		r = store_error(mdb_env_stat(env, &stat));
	if (r == 0)
		r = store_error(mdb_env_get_fd(env, &fd));
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && (uint64_t)st.st_size < (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize)
		r = -EPROTO;
	mdb_env_close(env);
	return r;
}

int store_open(const struct store_config *config, struct store **ret, char *why, size_t why_size)
{
	int r = store_make_dir(config->dir);
	if (r < 0)
		return fail(r, why, why_size, "cannot make the store directory", config->dir);

	struct store *store = calloc(1, sizeof *store);
	if (!store)
		return fail(-ENOMEM, why, why_size, "cannot open the store", config->dir);
	pthread_mutex_init(&store->idle_lock, NULL);
	store->dir = strdup(config->dir);
	store->scratch = malloc(STORE_CHUNK_SIZE);
	if (!store->dir || !store->scratch) {
		r = -ENOMEM;
		goto err_free;
	}

	/* In memory nothing needs a sync. On a disk each commit is synced, or,
	 * if a log outside holds the events too, all but the very last one. */
	bool memory = dir_in_memory(config->dir);
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
	if (memory || config->sync == STORE_SYNC_OFF)
		flags |= MDB_NOSYNC;
	else if (config->logged)
		flags |= MDB_NOMETASYNC;
	store->in_memory = flags & MDB_NOSYNC;

	r = config->copied ? check_size(config->dir) : 0;
	if (r == 0)
		r = reserve(config->dir, "lock.mdb", LOCK_BYTES, false);
	if (r == 0)
		r = reserve(config->dir, "data.mdb", NEW_BYTES, true);
	if (r == 0)
		r = store_error(mdb_env_create(&store->env));
	if (r < 0)
		goto err_free;
	/* All processes of a node come to the same end here. */
	if (memory && can_allocate(config->dir)) {
		flags |= MDB_WRITEMAP;
		store->mapped = true;
	}
	mdb_env_set_mapsize(store->env, MAP_BYTES);
	mdb_env_set_maxdbs(store->env, TABLES);
	mdb_env_set_maxreaders(store->env, MAX_READERS);
	r = store_error(mdb_env_open(store->env, config->dir, flags, 0600));
	if (r == 0)
		r = store_error(mdb_env_get_fd(store->env, &store->fd));
	if (r < 0)
		goto err_env;
	int dead;
	mdb_reader_check(store->env, &dead);
	r = open_tables(store);
	if (r < 0)
		goto err_env;
	*ret = store;
	return 0;

err_env:
	mdb_env_close(store->env);
err_free:
	pthread_mutex_destroy(&store->idle_lock);
	free(store->scratch);
	free(store->dir);
	free(store);
	return fail(r, why, why_size, "cannot open the store", config->dir);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	while (store->idle) {
		struct txn *txn = store->idle;
		store->idle = txn->next_idle;
		mdb_txn_abort(txn->mdb);
		free(txn);
	}
	mdb_env_close(store->env);
	pthread_mutex_destroy(&store->idle_lock);
	free(store->scratch);
	free(store->dir);
	free(store);
}

const char *store_dir(const struct store *store)
{
	return store->dir;
}

bool store_in_memory(const struct store *store)
{
	return store->in_memory;
}

bool store_has_room(const struct store *store)
{
	struct statfs fs;
	return statfs(store->dir, &fs) < 0 || fs.f_bavail * (uint64_t)fs.f_bsize >= LOW_BYTES;
}

uint64_t store_bytes(struct store *store)
{
	struct txn *txn;
	uint64_t bytes = 0;
	if (txn_read(store, &txn) < 0)
		return 0;
	for (int t = 0; t < TABLES; t++) {
		MDB_stat st;
		if (mdb_stat(txn->mdb, store->dbi[t], &st) == 0)
			bytes += (st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) *
			         (uint64_t)st.ms_psize;
	}
	txn_abort(txn);
	return bytes;
}

int store_copy_fd(struct store *store, int fd)
{
	return store_error(mdb_env_copyfd2(store->env, fd, MDB_CP_COMPACT));
}

void store_reap_readers(struct store *store)
{
	int dead;
	mdb_reader_check(store->env, &dead);
}

/* --- transactions --- */

int txn_read(struct store *store, struct txn **ret)
{
	pthread_mutex_lock(&store->idle_lock);
	struct txn *txn = store->idle;
	if (txn)
		store->idle = txn->next_idle;
	pthread_mutex_unlock(&store->idle_lock);

	int r;
	if (txn) {
		r = store_error(mdb_txn_renew(txn->mdb));
	} else {
		txn = calloc(1, sizeof *txn);
		if (!txn)
			return -ENOMEM;
		txn->store = store;
		r = store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb));
		if (r == -EAGAIN) { /* slots of dead processes may be what is missing */
			store_reap_readers(store);
			r = store_error(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn->mdb));
		}
	}
	if (r < 0) {
		if (txn->mdb)
			mdb_txn_abort(txn->mdb);
		free(txn);
		return r;
	}
	r = load_meta(txn);
	if (r < 0) {
		txn_abort(txn);
		return r;
	}
	*ret = txn;
	return 0;
}

int txn_write(struct store *store, struct txn **ret)
{
	struct txn *txn = malloc(sizeof *txn);
	if (!txn)
		return -ENOMEM;
	*txn = (struct txn){ .store = store, .write = true };
	int r = store_error(mdb_txn_begin(store->env, NULL, 0, &txn->mdb));
	if (r < 0) {
		free(txn);
		return r;
	}
	r = room_begin(txn);
	/* The first transaction of a new store opens the tables. */
	if (r == 0 && store->dbi[META])
		r = load_meta(txn);
	if (r < 0) {
		txn_abort(txn);
		return r;
	}
	*ret = txn;
	return 0;
}

int txn_nest(struct txn *parent, struct txn **ret)
{
	struct txn *txn = calloc(1, sizeof *txn);
	if (!txn)
		return -ENOMEM;
	txn->store = parent->store;
	txn->mdb = parent->mdb;
	txn->write = true;
	txn->parent = parent;
	txn->meta = parent->meta;
	txn->whole_from = parent->whole_from;
	*ret = txn;
	return 0;
}

/* Undoes a part; what cannot be undone takes the whole transaction with it. */
static void abort_nested(struct txn *txn)
{
	struct txn *top = txn_top(txn);
	txn_frees(txn, true);
	int r = table_undo(txn);
	if (r < 0)
		top->broken = r;
	free(txn);
}

void txn_abort(struct txn *txn)
{
	if (!txn)
		return;
	if (txn->parent) {
		abort_nested(txn);
		return;
	}
	if (txn->write) {
		mdb_txn_abort(txn->mdb);
		free(txn);
		return;
	}
	table_close_cursors(txn);
	mdb_txn_reset(txn->mdb);
	struct store *store = txn->store;
	pthread_mutex_lock(&store->idle_lock);
	txn->next_idle = store->idle;
	store->idle = txn;
	pthread_mutex_unlock(&store->idle_lock);
}

/* LMDB calls it an I/O error when a write came to an end half-way. */
static int commit_error(struct store *store, int r)
{
	return r == -EIO && !store_has_room(store) ? -ENOSPC : r;
}

int txn_commit(struct txn *txn)
{
	if (txn->parent) {
		txn->parent->meta = txn->meta;
		table_keep(txn);
		free(txn);
		return 0;
	}
	MDB_val key = { 4, (void *)"meta" }, val = { sizeof txn->meta, &txn->meta };
	int r = txn->broken;
	if (r == 0)
		r = table_put(txn, META, &key, &val, 0);
	if (r == 0)
		r = save_whole_from(txn);
	if (r < 0)
		mdb_txn_abort(txn->mdb);
	else
		r = store_error(mdb_txn_commit(txn->mdb));
	r = commit_error(txn->store, r);
	free(txn);
	return r;
}

struct store_meta *txn_meta(struct txn *txn)
{
	return &txn->meta;
}

/* --- checking --- */

struct census {
	struct txn *txn;
	uint64_t nnames;
	uint64_t nkeys;
	uint64_t ndirs;
	uint64_t used_bytes;
};

static int count_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	struct census *c = arg;
	if (strcmp(table, "names") == 0)
		c->nnames++;
	if (strcmp(table, "xattrs") == 0)
		c->used_bytes += store_row_rest(key) + value.len;
	if (strcmp(table, "inodes") != 0)
		return 0;
	struct entry e;
	uint64_t ino;
	int r = store_row_inode(c->txn, key, value, &e);
	if (r != 0 || e.ino == STORE_ROOT_INO)
		return r;
	r = store_lookup(c->txn, e.parent, e.name, e.name_len, &ino, NULL);
	if (r != 0)
		return r;
	if (ino != e.ino)
		return -EIO;
	if (entry_is_dir(&e))
		c->ndirs++;
	else
		c->nkeys++;
	c->used_bytes += STORE_ENTRY_COST + e.name_len + e.size;
	return 0;
}

int store_check_file(const char *dir, struct store_meta *ret, char *why, size_t why_size)
{
	struct store_config config = { .dir = dir, .sync = STORE_SYNC_OFF, .copied = true };
	struct store *store;
	char path[4096];
	struct stat st;
	snprintf(path, sizeof path, "%s/data.mdb", dir);
	if (stat(path, &st) < 0 || st.st_size == 0) {
		snprintf(why, why_size, "the store is empty");
		return -EPROTO;
	}
	int r = store_open(&config, &store, why, why_size);
	if (r < 0)
		return r;
	struct census census = { 0 };
	r = txn_read(store, &census.txn);
	if (r == 0) {
		struct store_meta *meta = txn_meta(census.txn);
		r = store_each_row(census.txn, count_row, &census);
		if (r == 0 &&
		    (!meta->started || census.nkeys != meta->nkeys || census.ndirs != meta->ndirs ||
		     census.nnames != meta->nkeys + meta->ndirs ||
		     census.used_bytes != meta->used_bytes))
			r = -EIO;
		if (r == 0 && ret)
			*ret = *meta;
		txn_abort(census.txn);
	}
	store_close(store);
	if (r < 0) {
		snprintf(why, why_size, "the store is damaged");
		r = -EPROTO;
	}
	return r;
}
