/* Store files that came from elsewhere: whether one is what it should be.
 *
 * What another node sent is read as a whole before it becomes this node's store. Each
 * row must be decodable, each name lead to its entry, and what is counted on the way
 * must be what the row of meta says: so a file that was cut, mixed up or changed on
 * its way is found out, whatever LMDB thinks of its pages.
 *
 * No lock: nobody else has the file. */
#include "store_file.h"

#include "store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* What was counted so far. */
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
	uint64_t ino = 0;
	if (strcmp(table, "xattrs") == 0)
		c->used_bytes += key.len - store_num_get(key.data, key.len, &ino) + value.len;
	if (strcmp(table, "inodes") != 0)
		return 0;
	struct entry e;
	int r = store_inode_decode(c->txn, key, value, &e);
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

/* Reads all of STORE; its meta row into RET, which may be NULL. 0 or a negative errno. */
static int count_all(struct store *store, struct store_meta *ret)
{
	struct census census = { 0 };
	int r = txn_read(store, &census.txn);
	if (r < 0)
		return r;
	struct store_meta *meta = txn_meta(census.txn);
	r = store_each_row(census.txn, count_row, &census);
	if (r == 0 &&
	    (!meta->started || census.nkeys != meta->nkeys || census.ndirs != meta->ndirs ||
	     census.nnames != meta->nkeys + meta->ndirs || census.used_bytes != meta->used_bytes))
		r = -EIO;
	if (r == 0 && ret)
		*ret = *meta;
	txn_abort(census.txn);
	return r;
}

int store_file_check(const char *dir, struct store_meta *ret, char *why, size_t why_size)
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
	if (r == 0) {
		r = count_all(store, ret);
		store_close(store);
	} else if (r != -EIO) { /* -EIO: LMDB found a page that cannot be one */
		return r;
	}
	if (r < 0) {
		snprintf(why, why_size, "the store is damaged");
		r = -EPROTO;
	}
	return r;
}
