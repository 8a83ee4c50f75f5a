/* Extended attribute operations: TTLs, versions, and attributes that users store.
 *
 * user.ttl, user.expires, user.default_ttl and user.version show fields of the entry; setting one
 * of them sends the event that changes the field. All other user.* attributes are stored;
 * user.evict (node/evict.h) and user.cache_control (base/max_age.h) are accepted only with values
 * that have an effect. Other namespaces are not supported (EOPNOTSUPP), so that tools which read
 * labels and access lists do not ask for each file.
 *
 * The list leaves out user.version and user.expires, so that programs which copy a file with its
 * attributes (cp -a, rsync -X) give the copy the same TTL.
 *
 * Lock: file->lock, while a change is queued; it is not held while the change is sent. */
#include "fs/fs_ops.h"

#include "common/base/max_age.h"
#include "common/base/ttl.h"
#include "common/node/evict.h"
#include "fs/op.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define PREFIX "user."

enum attr {
	ATTR_FOREIGN, /* of another namespace */
	ATTR_STORED,
	ATTR_TTL,
	ATTR_EXPIRES,
	ATTR_DEFAULT_TTL,
	ATTR_VERSION,
};

static enum attr attr_of(const char *name)
{
	static const struct {
		const char *name;
		enum attr attr;
	} virtual[] = {
		{ "user.ttl", ATTR_TTL },
		{ "user.expires", ATTR_EXPIRES },
		{ "user.default_ttl", ATTR_DEFAULT_TTL },
		{ "user.version", ATTR_VERSION },
	};

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return ATTR_FOREIGN;
	for (size_t i = 0; i < sizeof(virtual) / sizeof(virtual[0]); i++) {
		if (strcmp(name, virtual[i].name) == 0)
			return virtual[i].attr;
	}
	return ATTR_STORED;
}

/* --- reading --------------------------------------------------------------- */

/* Format TTL_MS as it was set: whole seconds without a unit, as in user.ttl. Returns the length. */
static int format_default(int64_t ttl_ms, char *buf, size_t size)
{
	if (ttl_ms % 1000 == 0)
		return ttl_format(ttl_ms, buf, size);
	return snprintf(buf, size, "%" PRId64 "ms", ttl_ms);
}

/* Find the attribute NAME of E. *RET points into the snapshot or to TEXT (SIZE bytes). Returns 0,
 * -ENODATA if E has no such attribute, or another -errno. */
static int find_attr(const struct view *view, const struct entry *e, const char *name, char *text,
                     size_t size, struct bytes *ret)
{
	int n = 0;

	switch (attr_of(name)) {
	case ATTR_TTL:
		if (e->expiry_ms)
			n = ttl_format(view_ttl_ms(view, e), text, size);
		break;
	case ATTR_EXPIRES:
		if (e->expiry_ms)
			n = moment_format(e->expiry_ms, text, size);
		break;
	case ATTR_DEFAULT_TTL:
		if (e->default_ttl_ms)
			n = format_default(e->default_ttl_ms, text, size);
		break;
	case ATTR_VERSION:
		n = snprintf(text, size, "%" PRIu64, e->version);
		break;
	case ATTR_STORED:
		if (!e->has_xattrs)
			return -ENODATA;
		n = store_xattr_get(view->txn, e->ino, name, strlen(name), ret);
		return n == -ENOENT ? -ENODATA : n;
	case ATTR_FOREIGN:
		break;
	}
	*ret = (struct bytes){ text, (size_t)n };
	return n > 0 ? 0 : -ENODATA;
}

/* Answer with DATA, or with its length if SIZE is 0. */
static void reply_sized(fuse_req_t req, const char *data, size_t len, size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, len);
	else if (len > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, data, len);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct mount *m = mount_of(req);
	struct view view;
	struct entry e;
	struct bytes found = { NULL, 0 };
	char text[64], *copy = NULL;

	/* EOPNOTSUPP means that no file has such attributes. With ENODATA, `ls -l` would ask twice
	 * for each file, and the kernel would pass each request on. */
	if (attr_of(name) == ATTR_FOREIGN) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	int r = view_open(m->store, &view);
	if (r == 0) {
		r = view_inode(&view, store_ino(m, ino), &e);
		/* An entry that is not logged yet, or was removed, has no attributes. */
		r = r == 0       ? find_attr(&view, &e, name, text, sizeof(text), &found) :
		    r == -ENOENT ? -ENODATA :
		                   r;
		if (r == 0) {
			copy = malloc(found.len ? found.len : 1);
			if (copy)
				memcpy(copy, found.data, found.len);
			else
				r = -ENOMEM;
		}
		view_close(&view);
	}
	if (r)
		fuse_reply_err(req, -r);
	else
		reply_sized(req, copy, found.len, size);
	free(copy);
}

/* A list of names while it is built: NUL-terminated names, one after the other. */
struct name_list {
	char *names;
	size_t len, cap;
};

static int append_name(struct name_list *list, const char *name, size_t len)
{
	if (list->len + len + 1 > list->cap) {
		size_t cap = (list->len + len + 1) * 2;
		char *names = realloc(list->names, cap);

		if (!names)
			return -ENOMEM;
		list->names = names;
		list->cap = cap;
	}
	memcpy(list->names + list->len, name, len);
	list->names[list->len + len] = '\0';
	list->len += len + 1;
	return 0;
}

static int append_stored(void *arg, struct bytes name, struct bytes value)
{
	(void)value;
	return append_name(arg, name.data, name.len);
}

static int append_all(const struct view *view, const struct entry *e, struct name_list *list)
{
	int r = 0;

	if (e->expiry_ms)
		r = append_name(list, "user.ttl", strlen("user.ttl"));
	if (r == 0 && e->default_ttl_ms)
		r = append_name(list, "user.default_ttl", strlen("user.default_ttl"));
	if (r == 0 && e->has_xattrs)
		r = store_xattr_each(view->txn, e->ino, append_stored, list);
	return r;
}

void fs_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct mount *m = mount_of(req);
	struct name_list list = { 0 };
	struct view view;
	struct entry e;
	int r = view_open(m->store, &view);

	if (r == 0) {
		r = view_inode(&view, store_ino(m, ino), &e);
		r = r == 0 ? append_all(&view, &e, &list) : r == -ENOENT ? 0 : r;
		view_close(&view);
	}
	if (r < 0)
		fuse_reply_err(req, -r);
	else
		reply_sized(req, list.names, list.len, size);
	free(list.names);
}

/* --- changing -------------------------------------------------------------- */

static void change_done(struct op *op, const struct outcome *out)
{
	int error = op_errno(out);

	if (out->code == OUTCOME_NOT_FOUND)
		error = op->file ? ENOENT : ESTALE;
	if (out->code == OUTCOME_IS_DIR && op->ev.op == EVENT_PERSIST)
		error = ENODATA;
	fuse_reply_err(op->req, error);
}

/* Send OP, after the queued events of F. F is NULL if the file is not open. */
static void send_change(struct mount *m, struct op *op, struct file *f)
{
	int r = 0;

	if (!f) {
		op_send(op);
		return;
	}
	pthread_mutex_lock(&f->lock);
	if (f->creation == FILE_UNLOGGED)
		r = op_queue_flush(m, f);
	if (r == 0)
		op_queue(op);
	pthread_mutex_unlock(&f->lock);
	op_pump(m, f);
	if (r < 0) {
		fuse_reply_err(op->req, -r);
		op_free(op);
	}
}

/* Create the op that changes the attribute NAME; the caller adds the value. If that fails, answer
 * REQ with the error and return NULL. */
static struct op *new_change(struct mount *m, fuse_req_t req, fuse_ino_t ino, struct file *f,
                             enum event_op what, const char *name)
{
	struct bytes given = { name, strlen(name) }, copy;
	uint64_t real = store_ino(m, ino);
	struct path path;
	int r = path_inode(m, real, &path);
	struct op *op = r == 0 ? op_new(m, what, &path, f, given, &copy) : NULL;
	if (!op) {
		fuse_reply_err(req, r < 0 ? -r : ENOMEM);
		return NULL;
	}
	op->ev.at = real;
	op->ev.name = copy;
	op->req = req;
	op->done = change_done;
	op_mark_locked(op, real);
	return op;
}

/* Check whether ATTR of INO can be set to VALUE with FLAGS, and fill the operation, TTL and flags
 * of EV. Returns 0 or -errno. */
static int check_set(struct mount *m, fuse_ino_t ino, enum attr attr, struct bytes value, int flags,
                     struct event *ev)
{
	struct view view;
	struct entry e = { .mode = S_IFREG };
	int64_t ms = 0;
	int r = view_open(m->store, &view);

	if (r < 0)
		return r;
	r = view_inode(&view, store_ino(m, ino), &e);
	view_close(&view);
	if (r < 0 && r != -ENOENT)
		return r;
	r = 0;
	bool expires = attr == ATTR_TTL || attr == ATTR_EXPIRES;
	if (expires && entry_is_dir(&e))
		return -EISDIR;
	if (attr == ATTR_DEFAULT_TTL && !entry_is_dir(&e))
		return -ENOTDIR;
	if (expires && (flags & XATTR_CREATE) && e.expiry_ms)
		return -EEXIST;
	if (expires && (flags & XATTR_REPLACE) && !e.expiry_ms)
		return -ENODATA;
	if (attr == ATTR_TTL || attr == ATTR_DEFAULT_TTL)
		r = ttl_parse(value.data, value.len, &ms);
	else if (attr == ATTR_EXPIRES)
		r = moment_parse(value.data, value.len, &ms);
	if (expires) {
		ev->op = EVENT_EXPIRE;
		ev->ttl = attr == ATTR_TTL ? TTL_SET : TTL_UNTIL;
		ev->ttl_ms = ms;
	} else {
		ev->flags = (flags & XATTR_CREATE ? EVENT_XATTR_CREATE : 0) |
		            (flags & XATTR_REPLACE ? EVENT_XATTR_REPLACE : 0);
	}
	return r;
}

/* Return whether NAME is an attribute that Keydir itself reads, and VALUE would have no effect.
 * Such a value is refused, so that it does not look as if it had an effect. */
static bool is_without_effect(const char *name, struct bytes value)
{
	uint32_t max_age_s;

	if (strcmp(name, EVICT_ATTR) == 0)
		return value.len != strlen(EVICT_NEVER) ||
		       memcmp(value.data, EVICT_NEVER, value.len) != 0;
	return strcmp(name, MAX_AGE_ATTR) == 0 &&
	       max_age_parse(value.data, value.len, &max_age_s) != 0;
}

void fs_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags)
{
	struct mount *m = mount_of(req);
	enum attr attr = attr_of(name);
	struct event want = { .op = EVENT_SETXATTR };
	int r = attr == ATTR_FOREIGN ? -EOPNOTSUPP : attr == ATTR_VERSION ? -EPERM : 0;

	if (is_without_effect(name, (struct bytes){ value, size }))
		r = -EINVAL;
	if (r == 0)
		r = check_set(m, ino, attr, (struct bytes){ value, size }, flags, &want);
	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	struct file *f = files_find(&m->files, ino);
	struct op *op = new_change(m, req, ino, f, want.op, name);
	if (op) {
		op->ev.flags = want.flags;
		op->ev.ttl = want.ttl;
		op->ev.ttl_ms = want.ttl_ms;
		if (want.op == EVENT_SETXATTR)
			r = op_value(op, value, size);
		if (r == 0) {
			send_change(m, op, f);
		} else {
			fuse_reply_err(req, -r);
			op_free(op);
		}
	}
	files_unref(&m->files, f);
}

void fs_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct mount *m = mount_of(req);
	enum attr attr = attr_of(name);
	bool expires = attr == ATTR_TTL || attr == ATTR_EXPIRES;

	if (attr == ATTR_FOREIGN || attr == ATTR_VERSION) {
		fuse_reply_err(req, attr == ATTR_FOREIGN ? EOPNOTSUPP : EPERM);
		return;
	}
	struct file *f = files_find(&m->files, ino);
	struct op *op = new_change(m, req, ino, f, expires ? EVENT_PERSIST : EVENT_REMOVEXATTR,
	                           name);
	if (op)
		send_change(m, op, f);
	files_unref(&m->files, f);
}
