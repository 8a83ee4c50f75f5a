/* Paths: the keys of events that this mount sends.
 *
 * The kernel names an entry by its directory's inode and a last name, and so do the events of
 * this mount. They also contain the key, which makes the log readable. The key is computed when
 * the event is created. If a directory is renamed before the event is applied, the event still
 * means the right entry, because of its inode numbers. No state, no lock. */
#include "fs/path.h"

#include "common/base/key.h"
#include "fs/mount.h"

#include <errno.h>
#include <string.h>

int path_child(const struct view *view, uint64_t parent, const char *name, bool may_cut,
               struct path *ret)
{
	size_t name_len = strlen(name);
	int64_t n = view_path(view, parent, ret->text, KEY_MAX);

	if (n >= 0 && (size_t)n + (n > 0) + name_len > KEY_MAX)
		n = -ENAMETOOLONG;
	if (n < 0) {
		if (!may_cut || (n != -ENAMETOOLONG && n != -ENOENT))
			return (int)n;
		n = 0;
	}
	ret->len = (size_t)n;
	if (n > 0)
		ret->text[ret->len++] = '/';
	memcpy(ret->text + ret->len, name, name_len);
	ret->len += name_len;
	return 0;
}

int path_inode(struct mount *m, uint64_t ino, struct path *ret)
{
	struct view view;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	int64_t n = view_path(&view, ino, ret->text, KEY_MAX);
	view_close(&view);
	ret->len = n > 0 ? (size_t)n : 0;
	return 0;
}

bool path_below_root(const struct mount *m, const struct view *view, uint64_t ino,
                     char ret[KEY_MAX + 1])
{
	char root[KEY_MAX];
	int64_t root_len = view_path(view, m->root, root, sizeof(root));
	int64_t len = view_path(view, ino, ret, KEY_MAX);

	if (root_len < 0 || len < root_len || memcmp(ret, root, (size_t)root_len) != 0)
		return false;
	if (root_len > 0 && len > root_len && ret[root_len++] != '/')
		return false;
	len -= root_len;
	memmove(ret, ret + root_len, (size_t)len);
	ret[len] = '\0';
	return true;
}

int fs_check_name(const char *name)
{
	return strlen(name) > KEY_NAME_MAX ? -ENAMETOOLONG : 0;
}
