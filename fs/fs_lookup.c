/* Look-up operations: looking names up, forgetting inodes, reading symbolic links.
 *
 * Names that this mount has created and not logged yet take precedence over those in the store. The
 * kernel may also cache that a name does not exist: it is notified when the name is created.
 *
 * A new node that has not read its log yet must not answer from its empty store. The kernel reaches
 * every entry by a look-up, or by opening the root, so these fail with EIO until the node can be
 * read (node_can_read()). No state, no lock. */
#include "fs/fs_ops.h"

#include "common/base/clock.h"
#include "fs/dir.h"

#include <errno.h>
#include <string.h>

static void lookup_in_store(struct mount *m, fuse_req_t req, uint64_t parent, const char *name)
{
	struct view view;
	struct entry e;
	struct fuse_entry_param param;
	int r = view_open(m->store, &view);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	r = view_name(&view, parent, name, strlen(name), &e);
	if (r == 0) {
		attr_entry(m, &view, &e, &param);
		dir_count_lookup(m, parent);
		if (S_ISREG(e.mode))
			lookup_cache_add(&m->lookup_cache, param.ino, parent, name,
			                 clock_mono_ms());
	}
	view_close(&view);
	if (r == -ENOENT && m->caching) {
		param = (struct fuse_entry_param){ .entry_timeout = KEEP_LONG_S };
		r = 0;
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		fuse_reply_entry(req, &param);
}

int fs_look_up_again(struct mount *m, const struct view *view, uint64_t ino, struct entry *ret)
{
	struct lookup_name at;
	struct entry e;

	/* An inode number must stay with one key if the kernel opens files without a request: the
	 * kernel would keep the pages of the old key. */
	if (m->no_open || !lookup_cache_find(&m->lookup_cache, ino, clock_mono_ms(), &at) ||
	    view_name(view, at.parent, at.name, at.len, &e) < 0 || !S_ISREG(e.mode))
		return -ENOENT;
	*ret = e;
	return 0;
}

void fs_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	uint64_t dir = store_ino(m, parent);
	struct file *f;
	int r = fs_check_name(name);

	if (r == 0 && !node_can_read(m->node))
		r = -EIO;
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	f = files_find_name(&m->files, dir, name);
	if (f) {
		struct fuse_entry_param param;

		attr_entry_file(m, f, &param);
		files_unref(&m->files, f);
		fuse_reply_entry(req, &param);
		return;
	}
	lookup_in_store(m, req, dir, name);
}

void fs_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct mount *m = mount_of(req);
	char target[EVENT_TARGET_MAX + 1];
	struct view view;
	struct entry e;
	int64_t n = view_open(m->store, &view);

	if (n == 0) {
		n = view_inode(&view, store_ino(m, ino), &e);
		if (n == 0)
			n = S_ISLNK(e.mode) ?
			            store_read(view.txn, &e, 0, target, sizeof(target) - 1) :
			            -EINVAL;
		view_close(&view);
	}
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	target[n] = '\0';
	fuse_reply_readlink(req, target);
}

void fs_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
	files_forget(&mount_of(req)->files, ino, n);
	fuse_reply_none(req);
}

void fs_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct files *files = &mount_of(req)->files;

	for (size_t i = 0; i < count; i++)
		files_forget(files, forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}
