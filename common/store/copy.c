/* Copy: make a new store from a store file that another node sent.
 *
 * A child process (store/verify.c) copies the file row by row to a new store and audits that. Each
 * row must lie within the file, otherwise it would be other memory of that process. So the pages
 * that the programs open afterwards were written by LMDB here, and their rows agree with each
 * other (store_audit()).
 *
 * No lock: no other process has either file open. */
#include "common/store/copy.h"

#include "common/store/internal.h"
#include "common/store/verify.h"

#include <errno.h>

#define COMMIT_BYTES (1 << 20) /* approximate bytes of rows copied per commit */
#define META_ROW_MAX 4096

struct copy {
	const struct store_source *from;
	struct store *to;
	struct txn *txn;
	enum table table;
	size_t bytes; /* written since the last commit */
};

static bool is_in_file(const struct store_source *s, struct bytes b)
{
	uintptr_t from = (uintptr_t)b.data, map = (uintptr_t)s->map;
	return !b.len || (from >= map && from - map <= s->len && b.len <= s->len - (from - map));
}

/* Return whether KEY, in meta, is a row that the new store gets by other means. */
static bool is_own_row(struct bytes key)
{
	static const char *const own[] = { "format", "meta", "whole_from" };
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (bytes_are(key, own[i]))
			return true;
	}
	return false;
}

static int commit_and_continue(struct copy *c)
{
	int r = txn_commit(c->txn);
	c->txn = NULL;
	c->bytes = 0;
	return r < 0 ? r : txn_write(c->to, &c->txn);
}

static int copy_row(void *arg, struct bytes key, struct bytes value)
{
	struct copy *c = arg;
	if (!is_in_file(c->from, key) || !is_in_file(c->from, value))
		return -EPROTO;
	if (c->table == META && value.len > META_ROW_MAX)
		return -EPROTO;
	if (c->table == META && is_own_row(key))
		return 0;
	MDB_val k = { key.len, (void *)key.data }, v = { value.len, (void *)value.data };
	int r = table_put(c->txn, c->table, &k, &v, c->table == META ? 0 : MDB_APPEND);
	if (r < 0)
		return r == -EEXIST ? -EPROTO : r; /* rows out of order */
	c->bytes += key.len + value.len;
	return c->bytes < COMMIT_BYTES ? 0 : commit_and_continue(c);
}

/* Write all rows of FROM to TO, a new store. */
static int copy_rows(const struct store_source *from, struct store *to)
{
	struct copy c = { .from = from, .to = to };
	struct txn *txn;
	int r = txn_read(from->store, &txn);
	if (r < 0)
		return r;
	r = txn_write(to, &c.txn);
	if (r == 0)
		r = store_remove(c.txn, STORE_ROOT_INO); /* the root that the new store created */
	for (; c.table < TABLES && r == 0; c.table++)
		r = table_each(txn, c.table, copy_row, &c);
	if (r == 0) {
		*txn_meta(c.txn) = *txn_meta(txn);
		c.txn->feed_complete_from = txn->feed_complete_from;
		r = txn_commit(c.txn);
		c.txn = NULL;
	}
	txn_abort(c.txn);
	txn_abort(txn);
	return r;
}

/* Copy FROM to a new store in ARG, a directory, and audit that. */
static int copy_and_audit(void *arg, const struct store_source *from, struct store_meta *ret,
                          char *why, size_t why_size)
{
	struct store_config config = { .dir = arg, .sync = STORE_SYNC_OFF };
	struct store *to;
	int r = store_open(&config, &to, why, why_size);
	if (r < 0)
		return r;
	r = copy_rows(from, to);
	if (r == 0)
		r = store_audit_and_load(to, ret, why, why_size);
	if (r == 0 && to->on_disk)
		r = store_error(mdb_env_sync(to->env, 1));
	store_close(to);
	return r;
}

int store_file_copy(const char *dir, const char *copy_dir, struct store_meta *ret, char *why,
                    size_t why_size)
{
	return store_file_use_in_child(dir, copy_and_audit, (void *)(uintptr_t)copy_dir, ret, why,
	                               why_size);
}
