/* Xattr: changes the attributes of an entry: their rows, their quota charge, and the flag
 * in the entry's row that says whether there are any. */
#include "common/apply/xattr.h"

#include <errno.h>

int xattr_put(struct apply *ap, struct entry_copy *copy, struct bytes name, struct bytes value)
{
	struct bytes old;
	uint64_t old_bytes = 0;
	int r = store_xattr_get(ap->txn, copy->e.ino, name.data, name.len, &old);
	if (r == 0)
		old_bytes = name.len + old.len;
	else if (r != -ENOENT)
		return r;
	r = store_xattr_put(ap->txn, copy->e.ino, name, value);
	if (r < 0)
		return r;
	ap->meta->used_bytes += name.len + value.len - old_bytes;
	copy->e.has_xattrs = true;
	return 0;
}

static int stop_at_first(void *arg, struct bytes name, struct bytes value)
{
	(void)arg, (void)name, (void)value;
	return 1;
}

int xattr_del(struct apply *ap, struct entry_copy *copy, struct bytes name)
{
	struct bytes old;
	int r = store_xattr_get(ap->txn, copy->e.ino, name.data, name.len, &old);
	if (r == -ENOENT)
		return OUTCOME_NO_XATTR;
	if (r < 0)
		return r;
	ap->meta->used_bytes -= name.len + old.len;
	r = store_xattr_del(ap->txn, copy->e.ino, name);
	if (r < 0)
		return r;
	r = store_xattr_each(ap->txn, copy->e.ino, stop_at_first, NULL);
	if (r < 0)
		return r;
	copy->e.has_xattrs = r;
	return 0;
}

int xattr_clear(struct apply *ap, struct entry_copy *copy)
{
	uint64_t bytes;
	if (!copy->e.has_xattrs)
		return 0;
	int r = store_xattr_clear(ap->txn, copy->e.ino, &bytes);
	if (r == 0)
		ap->meta->used_bytes -= bytes;
	copy->e.has_xattrs = false;
	return r;
}
