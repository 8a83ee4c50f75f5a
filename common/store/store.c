/* Store: LMDB tables that all processes of a node share.
 *
 * LMDB provides lock-free snapshots to any number of processes, one atomic write
 * transaction at a time, and a file that survives a kill at any point. A store in memory is
 * written through the map, to pages that store/reserve.c has allocated before; a store on a
 * disk is written with pwrite(2). The map is large and sparse, so it never has to grow.
 *
 * The map of a store in memory is writable at all times, also while a thread parses a
 * request from a client. A protection key (pkeys(7)) could make it read-only for every
 * thread except a writer in its transaction: LMDB writes to the map only in write
 * transactions, and its reader table is in lock.mdb, another map. This is not done because
 * LMDB creates the map and does not say where it is (me_mapaddr is for MDB_FIXEDMAP), and
 * because no processor with protection keys was available for a test. mprotect(2) is not a
 * substitute: it applies to all threads, so the map would be writable for the parsers
 * during every write that they wait for.
 *
 * This file opens the store. Transactions are in store/txn.c, changing rows and undoing
 * changes in store/table.c, and each table's rows in the file that store/table.h names.
 *
 * No lock: after store_open() nothing here changes until store_close(). */
#include "common/store/internal.h"

#include "common/store/format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MAP_BYTES (UINT64_C(256) << 30)
#define MAX_READERS 1024
/* A cache line for each reader, and LMDB's own data. */
#define LOCK_BYTES (MAX_READERS * 64 + 4096)
#define NEW_BYTES (64 << 10)   /* more than a store without entries needs */
#define TMPFS_MAGIC 0x01021994 /* statfs(2) */
#define RAMFS_MAGIC 0x858458f6 /* statfs(2) */

_Static_assert(sizeof(void *) == 8, "the map needs a 64-bit address space");

/* --- opening --- */

/* Write why the store in DIR cannot be opened: REASON or, if it is "", the text of ERR.
 * Returns ERR. */
static int fail_open(int err, char *why, size_t why_size, const char *dir, const char *reason)
{
	const char *text = *reason ? reason : strerror(-err);
	if (err == -EPROTO)
		text = "not a store, or damaged";
	if (err == -EACCES)
		text = "no permission; if it is another user's, choose one with --store";
	if (why && why_size)
		snprintf(why, why_size, "cannot open the store %s: %s", dir, text);
	return err;
}

static bool dir_in_memory(const struct store_place *place)
{
	struct statfs fs;
	return fstatfs(store_place_fd(place), &fs) == 0 &&
	       ((unsigned long)fs.f_type == TMPFS_MAGIC || (unsigned long)fs.f_type == RAMFS_MAGIC);
}

/* Create the tables, the format row and the root in a new store; check an existing one.
 * Returns 0 or -errno, with a sentence in REASON for -EOPNOTSUPP. */
static int open_tables(struct store *store, char *reason, size_t reason_size)
{
	struct txn *txn;
	int r = txn_write(store, &txn);
	if (r < 0)
		return r;
	int known = store_format_check(txn->mdb, reason, reason_size);
	if (known < 0 && known != -ENOENT) {
		r = known;
		goto err_abort;
	}
	for (int t = 0; t < TABLES; t++) {
		r = store_error(mdb_dbi_open(txn->mdb, table_name((enum table)t), MDB_CREATE,
		                             &store->dbi[t]));
		if (r < 0)
			goto err_abort;
	}
	if (known == -ENOENT) {
		uint32_t format = STORE_FORMAT;
		MDB_val key = { 6, (void *)"format" }, val = { sizeof(format), &format };
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
	r = txn_load_meta(txn);
	if (r < 0)
		goto err_abort;
	/* The commit keeps the tables open and writes nothing: meta stays unchanged, and a
	 * store on a full disk can be opened and read. */
	r = store_error(mdb_txn_commit(txn->mdb));
	free(txn);
	return r;

err_abort:
	txn_abort(txn);
	return r;
}

/* Allocate a file that LMDB maps and writes to, or writes in pieces: on a full tmpfs the
 * former would be a SIGBUS, and the latter could leave an invalid file. An existing file
 * keeps its size, because other processes may have mapped it. */
static int preallocate(const struct store_place *place, const char *name, off_t bytes,
                       bool keep_size)
{
	struct stat st;
	/* Do not open the file if nothing is missing: closing lock.mdb would release the
	 * locks that LMDB holds on it if this process has the store open (fcntl(2),
	 * F_SETLK). */
	int r = store_place_stat(place, name, &st);
	if (r == -ENOENT)
		st = (struct stat){ 0 };
	else if (r < 0)
		return r;
	if (st.st_size && (keep_size || st.st_blocks * 512 >= st.st_size))
		return 0;
	int fd = store_place_file(place, name, O_RDWR | O_CREAT);
	if (fd < 0)
		return fd;
	r = fallocate(fd, keep_size ? FALLOC_FL_KEEP_SIZE : 0, 0, st.st_size ? st.st_size : bytes);
	r = r < 0 && (errno == ENOSPC || errno == EDQUOT) ? -ENOSPC : 0;
	close(fd); /* on other errors the file system cannot allocate, and LMDB works without */
	return r;
}

/* Return whether pages can be allocated in advance (not on ramfs, which is never full). */
static bool can_allocate(const struct store_place *place)
{
	struct statfs fs;
	return fstatfs(store_place_fd(place), &fs) == 0 && (unsigned long)fs.f_type == TMPFS_MAGIC;
}

static void store_free(struct store *store)
{
	pthread_mutex_destroy(&store->idle_lock);
	free(store->scratch);
	store_place_close(store->place);
	free(store);
}

int store_open(const struct store_config *config, struct store **ret, char *why, size_t why_size)
{
	struct store_place *place;
	char opened[64], reason[256] = "";
	int r = store_place_open(config->dir, &place, why, why_size);
	if (r < 0)
		return r;
	struct store *store = aligned_alloc(_Alignof(struct store), sizeof(*store));
	if (!store) {
		store_place_close(place);
		return fail_open(-ENOMEM, why, why_size, config->dir, reason);
	}
	memset(store, 0, sizeof(*store));
	store->place = place;
	/* Open the directory that was checked, wherever its path may lead now. */
	snprintf(opened, sizeof(opened), "/proc/self/fd/%d", store_place_fd(place));
	pthread_mutex_init(&store->idle_lock, NULL);
	store->scratch = malloc(STORE_CHUNK_SIZE);
	if (!store->scratch) {
		r = -ENOMEM;
		goto err_free;
	}

	/* In memory nothing needs a sync. On a disk every commit is synced, or, if an
	 * external log also holds the events, all except the last one. */
	bool memory = dir_in_memory(place);
	unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
	if (memory || config->sync == STORE_SYNC_OFF)
		flags |= MDB_NOSYNC;
	else if (config->logged)
		flags |= MDB_NOMETASYNC;
	store->in_memory = flags & MDB_NOSYNC;

	store->on_disk = !memory;
	char ignored[1];
	r = store_state_begin(config->dir, store->on_disk, &store->state, why ? why : ignored,
	                      why ? why_size : sizeof(ignored));
	if (r < 0) {
		store_free(store);
		return r;
	}
	r = preallocate(place, "lock.mdb", LOCK_BYTES, false);
	if (r == 0)
		r = preallocate(place, "data.mdb", NEW_BYTES, true);
	if (r == 0)
		r = store_error(mdb_env_create(&store->env));
	if (r < 0)
		goto err_state;
	/* All processes of a node decide this alike. */
	if (memory && can_allocate(place)) {
		flags |= MDB_WRITEMAP;
		store->mapped = true;
	}
	mdb_env_set_mapsize(store->env, MAP_BYTES);
	mdb_env_set_maxdbs(store->env, TABLES);
	mdb_env_set_maxreaders(store->env, MAX_READERS);
	int rc = mdb_env_open(store->env, opened, flags, 0600);
	r = store_error(rc);
	if (rc == MDB_VERSION_MISMATCH)
		store_format_say_lmdb(reason, sizeof(reason));
	if (r == 0)
		r = store_error(mdb_env_get_fd(store->env, &store->fd));
	if (r < 0)
		goto err_env;
	MDB_stat st;
	r = store_error(mdb_env_stat(store->env, &st));
	if (r < 0)
		goto err_env;
	store->page_bytes = st.ms_psize;
	int dead;
	mdb_reader_check(store->env, &dead);
	r = open_tables(store, reason, sizeof(reason));
	if (r < 0)
		goto err_env;
	store_state_opened(&store->state, config->dir);
	store_place_remember(place);
	*ret = store;
	return 0;

err_env:
	mdb_env_close(store->env);
err_state:
	store_state_end(&store->state, config->dir, false);
err_free:
	store_free(store);
	return fail_open(r, why, why_size, config->dir, reason);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	txn_free_idle(store);
	bool clean = !store->on_disk || mdb_env_sync(store->env, 1) == 0;
	mdb_env_close(store->env);
	store_state_end(&store->state, store_dir(store), clean);
	store_free(store);
}

const char *store_dir(const struct store *store)
{
	return store_place_path(store->place);
}

struct store_place *store_place(const struct store *store)
{
	return store->place;
}

bool store_in_memory(const struct store *store)
{
	return store->in_memory;
}

uint64_t store_room_left(struct store *store)
{
	struct statfs fs;
	struct stat st;
	int fd;
	if (fstatfs(store_place_fd(store->place), &fs) < 0 || mdb_env_get_fd(store->env, &fd) ||
	    fstat(fd, &st) < 0)
		return UINT64_MAX;
	uint64_t taken = (uint64_t)st.st_blocks * 512, used = store_bytes(store) + STORE_LOW_BYTES;
	uint64_t left = fs.f_bavail * (uint64_t)fs.f_bsize + taken;
	return left > used ? left - used : 0;
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
