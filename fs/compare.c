/* Compare: compares the kernel's copy of one entry with the store.
 *
 * The store is read first. If the kernel was notified of all changes up to that view, and no
 * request or event of this mount concerns the entry, then the kernel must have the version of the
 * view, or none. A change after the view is opened makes the two differ as well; so the caller
 * (check.c) repeats the comparison until the version stays the same.
 *
 * Not compared: attributes and listings of directories; files that are open for writing, whose
 * pages may be newer than the store; and frozen files (frozen.c), whose handles stay on an older
 * version. No lock. */
#include "fs/compare.h"

#include "common/base/crc64.h"
#include "fs/mount.h"
#include "fs/path.h"
#include "fs/probe.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* An entry that expires sooner is not compared: the kernel may keep it a moment longer. */
#define EXPIRES_SOON_MS 5000

/* Read the entry of C->NAME. Returns 0 and *RET, the offset of the view, and C->key; -ENOENT with
 * the same but *RET; or another -errno. */
static int read_entry(struct mount *m, struct comparison *c, struct entry *ret,
                      uint64_t *ret_offset)
{
	const struct lookup_name *name = &c->name;
	struct view view;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = view_name(&view, name->parent, name->name, name->len, ret);
	size_t len = 0;
	if (!path_below_root(m, &view, name->parent, c->key) ||
	    (len = strlen(c->key)) + 1 + name->len > KEY_MAX) {
		r = -ESTALE;
	} else {
		if (len)
			c->key[len++] = '/';
		memcpy(c->key + len, name->name, name->len + 1);
	}
	if (r == 0 && view_ttl_ms(&view, ret) >= 0 && view_ttl_ms(&view, ret) < EXPIRES_SOON_MS)
		r = -ESTALE;
	*ret_offset = view_offset(&view);
	view_close(&view);
	return r;
}

/* Return whether the file that the kernel knows by INO has or had changes of this mount that the
 * store may not have, or stays on an older version. */
static bool is_apart(struct files *files, uint64_t ino)
{
	struct file *f = files_find(files, ino);

	if (!f)
		return false;
	pthread_mutex_lock(&f->lock);
	bool apart = f->creation != FILE_LOGGED || file_is_private(f) || file_busy(f) ||
	             f->nwriting || f->frozen || f->gone || f->lost;
	pthread_mutex_unlock(&f->lock);
	files_unref(files, f);
	return apart;
}

/* Return whether requests or events of this mount concern the name or its entry E (NULL: none). */
static bool is_changing(struct mount *m, const struct lookup_name *name, const struct entry *e)
{
	struct file *f = files_find_name(&m->files, name->parent, name->name);

	files_unref(&m->files, f);
	return f || busy_lately(&m->busy, name->parent) ||
	       (e && (busy_lately(&m->busy, e->ino) || is_apart(&m->files, e->ino) ||
	              is_apart(&m->files, files_current(&m->files, e->ino))));
}

/* --- names and attributes -------------------------------------------------- */

static void describe(char text[160], const struct stat *st)
{
	snprintf(text, 160, "mode %o, %lld bytes, mtime %lld.%09ld, ctime %lld.%09ld",
	         (unsigned)st->st_mode, (long long)st->st_size, (long long)st->st_mtim.tv_sec,
	         st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

static void describe_name(char text[160], uint64_t ino)
{
	if (ino)
		snprintf(text, 160, "inode %" PRIu64, ino);
	else
		snprintf(text, 160, "no such name");
}

static enum compare_result compare_attributes(struct mount *m, const struct probe_seen *seen,
                                              const struct entry *e, struct comparison *c)
{
	struct stat stored;
	const struct stat cached = {
		.st_mode = seen->mode,
		.st_size = (off_t)seen->size,
		.st_mtim = seen->mtime,
		.st_ctim = seen->ctime,
	};

	attr_fill(m, e, &stored);
	describe(c->kernel, &cached);
	describe(c->store, &stored);
	return strcmp(c->kernel, c->store) == 0 ? COMPARE_EQUAL : COMPARE_DIFFERENT;
}

/* E is NULL if the store has no such name. */
static enum compare_result compare_name(struct mount *m, struct probe *probe, const struct entry *e,
                                        struct comparison *c)
{
	struct probe_seen seen;

	probe_look(probe, c->key, &seen);
	if (seen.kind == PROBE_NOTHING)
		return COMPARE_NOTHING;
	uint64_t ino = seen.kind == PROBE_ABSENT ? 0 : files_real(&m->files, seen.ino);
	if (ino != c->ino) {
		describe_name(c->kernel, ino);
		describe_name(c->store, c->ino);
		return COMPARE_DIFFERENT;
	}
	if (!e || seen.kind != PROBE_ENTRY || entry_is_dir(e))
		return COMPARE_EQUAL;
	return compare_attributes(m, &seen, e, c);
}

/* --- values ---------------------------------------------------------------- */

/* Read up to LEN bytes from OFF on of the value of E, which must still have its version. Returns
 * their number, or -errno. */
static int64_t read_value(struct mount *m, const struct entry *e, uint64_t off, size_t len,
                          unsigned char *to)
{
	struct view view;
	struct entry now;
	int64_t n = view_open(m->store, &view);

	if (n < 0)
		return n;
	n = view_inode(&view, e->ino, &now);
	if (n == 0)
		n = now.version == e->version ? store_read(view.txn, &now, off, to, len) : -ESTALE;
	view_close(&view);
	return n;
}

static void describe_bytes(char text[160], uint64_t off, const unsigned char *bytes, size_t n)
{
	snprintf(text, 160, "%zu bytes from %" PRIu64 " on with the CRC-64 %016" PRIx64, n, off,
	         crc64(0, bytes, n));
}

static enum compare_result compare_value(struct mount *m, struct retrieve *retrieve,
                                         const struct entry *e, struct comparison *c)
{
	unsigned char cached[RETRIEVE_MAX], stored[RETRIEVE_MAX];
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t off = c->place % ((e->size - 1) / page + 1) * page;
	size_t n = retrieve_pages(retrieve, m, files_current(&m->files, e->ino), off, RETRIEVE_MAX,
	                          cached);

	if (n == 0)
		return COMPARE_NOTHING;
	int64_t have = read_value(m, e, off, n, stored);
	if (have < 0)
		return COMPARE_UNSETTLED;
	if ((size_t)have == n && memcmp(cached, stored, n) == 0)
		return COMPARE_EQUAL;
	describe_bytes(c->kernel, off, cached, n);
	describe_bytes(c->store, off, stored, (size_t)have);
	return COMPARE_DIFFERENT;
}

enum compare_result compare_entry(struct mount *m, struct probe *probe, struct retrieve *retrieve,
                                  struct comparison *c)
{
	struct entry entry;
	uint64_t offset = 0;
	int r = read_entry(m, c, &entry, &offset);
	const struct entry *e = r == 0 ? &entry : NULL;

	if (r < 0 && r != -ENOENT)
		return COMPARE_NOTHING;
	c->ino = e ? e->ino : 0;
	c->version = e ? e->version : 0;
	if (!inval_settled(m->inval, offset) || is_changing(m, &c->name, e))
		return COMPARE_UNSETTLED;
	enum compare_result result = compare_name(m, probe, e, c);
	if (result == COMPARE_DIFFERENT || !e || !S_ISREG(e->mode) || e->size == 0)
		return result;
	enum compare_result value = compare_value(m, retrieve, e, c);
	return value == COMPARE_NOTHING ? result : value;
}
