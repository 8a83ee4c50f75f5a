/* Store invariants, checked from the rows.
 *
 * There are two passes over the rows. The first collects the inodes in a hash and
 * checks each of their rows by itself. The second counts, for each inode, the rows of
 * the other tables that refer to it. Then each inode is checked against these counts.
 * Row keys are decoded here instead of by the store's code, so that a fault in that
 * code is detected. */
#include "tests/unit/store_check.h"

#include "common/base/key.h"
#include "common/event/feed.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* One inode, and the rows of other tables that refer to it. */
struct node {
	uint64_t ino;
	struct entry e; /* its pointers are valid as long as the transaction */
	uint64_t links;
	uint64_t subdirs;
	uint64_t xattrs;
	uint64_t xattr_bytes;
	uint64_t expiries;
	uint64_t value_rows;
	bool rooted;        /* known to be below the root */
	struct node *older; /* the inode collected before this one */
	UT_hash_handle hh;
};

struct check {
	struct txn *txn;
	const struct store_meta *meta;
	struct node *nodes;  /* hash by inode number */
	struct node *newest; /* list of all inodes, for freeing */
	uint64_t feed_rows;
	uint64_t feed_idems; /* feed rows that have an idempotency key */
	uint64_t idem_rows;
	uint64_t last_feed;
	char *why;
	size_t why_size;
};

__attribute__((format(printf, 2, 3))) static int fault(struct check *c, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(c->why, c->why_size, fmt, args);
	va_end(args);
	return -EPROTO;
}

#define INO "%llu"
#define ULL(n) ((unsigned long long)(n))

/* Decode a number from a row key: the first byte has one leading 1 bit for each byte
 * that follows; the number follows, most significant bits first, in the shortest
 * form. Return the number of bytes used, or 0 if it is malformed. */
static size_t decode_number(const uint8_t *p, size_t size, uint64_t *ret)
{
	size_t more = 0;
	uint64_t n;

	if (!size)
		return 0;
	while (more < 8 && p[0] & 0x80 >> more)
		more++;
	if (size < 1 + more)
		return 0;
	n = p[0] & (0xff >> more);
	for (size_t i = 1; i <= more; i++)
		n = n << 8 | p[i];
	if (more && n >> 7 * more == 0)
		return 0;
	*ret = n;
	return 1 + more;
}

static uint64_t big_endian(const uint8_t *p, size_t size)
{
	uint64_t n = 0;

	for (size_t i = 0; i < size; i++)
		n = n << 8 | p[i];
	return n;
}

static struct node *node_of(struct check *c, uint64_t ino)
{
	struct node *node;

	HASH_FIND(hh, c->nodes, &ino, sizeof(ino), node);
	return node;
}

/* --- the first pass: inodes --- */

static int check_entry(struct check *c, const struct entry *e)
{
	bool dir = S_ISDIR(e->mode);

	if (!dir && !S_ISREG(e->mode) && !S_ISLNK(e->mode))
		return fault(c, "inode " INO ": not a key, link or directory", ULL(e->ino));
	if (S_ISLNK(e->mode) && (e->size == 0 || e->size > EVENT_TARGET_MAX))
		return fault(c, "link " INO ": %llu bytes", ULL(e->ino), ULL(e->size));
	if (e->mode & ~(uint32_t)(S_IFMT | 07777))
		return fault(c, "inode " INO ": mode %o", ULL(e->ino), e->mode);
	if (c->meta->started ? e->version > c->meta->applied : e->version != 0)
		return fault(c, "inode " INO ": version from the future", ULL(e->ino));
	if (e->ino == STORE_ROOT_INO && (!dir || e->parent || e->name_len))
		return fault(c, "the root has a parent or a name, or is a key");
	if (e->ino != STORE_ROOT_INO && key_check_name(e->name, e->name_len) != KEY_OK)
		return fault(c, "inode " INO ": bad name", ULL(e->ino));
	if (e->ino >= c->meta->next_ino &&
	    (e->ino < STORE_PROPOSED_MIN || e->ino >= STORE_PROPOSED_MAX))
		return fault(c, "inode " INO ": beyond the next inode", ULL(e->ino));
	if (dir && (e->size || e->is_inline || e->expiry_ms))
		return fault(c, "directory " INO ": size, value or expiry", ULL(e->ino));
	if (!dir && (e->nsubdirs || e->default_ttl_ms))
		return fault(c, "key " INO ": directories or a default TTL", ULL(e->ino));
	if (!dir && e->is_inline != (e->size <= STORE_INLINE_MAX))
		return fault(c, "key " INO ": %llu bytes, inline %d", ULL(e->ino), ULL(e->size),
		             e->is_inline);
	if (e->expiry_ms < 0 || e->default_ttl_ms < 0)
		return fault(c, "inode " INO ": negative expiry or TTL", ULL(e->ino));
	return 0;
}

static int take_inode(struct check *c, struct bytes key)
{
	struct node *node;
	uint64_t ino = 0;
	int r;

	if (decode_number(key.data, key.len, &ino) != key.len)
		return fault(c, "a row of inodes has a bad key");
	node = calloc(1, sizeof(*node));
	if (!node)
		return -ENOMEM;
	node->ino = ino;
	node->older = c->newest;
	c->newest = node;
	HASH_ADD(hh, c->nodes, ino, sizeof(node->ino), node);
	r = store_get(c->txn, ino, &node->e);
	if (r)
		return fault(c, "inode " INO ": cannot be read: %d", ULL(ino), r);
	return check_entry(c, &node->e);
}

static int on_inode(void *arg, const char *table, struct bytes key, struct bytes value)
{
	(void)value;
	return strcmp(table, "inodes") == 0 ? take_inode(arg, key) : 0;
}

/* --- the second pass: the other tables --- */

static int take_name(struct check *c, struct bytes key, struct bytes value)
{
	const char *bytes = key.data;
	const uint8_t *to = value.data;
	uint64_t parent = 0, ino = 0;
	size_t n = decode_number(key.data, key.len, &parent);
	struct node *node, *dir;

	if (!n || value.len < 1 || value.len > 8 || to[0] == 0)
		return fault(c, "a row of names cannot be read");
	ino = big_endian(to, value.len) >> 2;
	node = node_of(c, ino);
	dir = node_of(c, parent);
	if (!dir || !S_ISDIR(dir->e.mode))
		return fault(c, "a name below " INO ", which is not a directory", ULL(parent));
	if (!node)
		return fault(c, "a name below " INO " refers to no inode", ULL(parent));
	if (node->e.parent != parent || node->e.name_len != key.len - n ||
	    memcmp(node->e.name, bytes + n, key.len - n) != 0)
		return fault(c, "inode " INO " is linked under another name or parent than its own",
		             ULL(ino));
	if ((to[value.len - 1] & 3) != (S_ISDIR(node->e.mode) ? 1 : S_ISLNK(node->e.mode) ? 2 : 0))
		return fault(c, "the name of inode " INO " has the wrong kind", ULL(ino));
	node->links++;
	dir->subdirs += S_ISDIR(node->e.mode);
	return 0;
}

static int take_value(struct check *c, struct bytes key, struct bytes value)
{
	const uint8_t *bytes = key.data;
	uint64_t ino = 0, start;
	size_t n = decode_number(bytes, key.len, &ino);
	struct node *node;

	if (!n || (key.len != n && key.len != n + 4))
		return fault(c, "a row of values has a bad key");
	if (key.len != n && big_endian(bytes + n, 4) == 0)
		return fault(c, "the first chunk of inode " INO " is numbered", ULL(ino));
	start = big_endian(bytes + n, key.len - n) * STORE_CHUNK_SIZE;
	node = node_of(c, ino);
	if (!node || S_ISDIR(node->e.mode) || node->e.is_inline)
		return fault(c, "a chunk of inode " INO ", which has none", ULL(ino));
	if (value.len == 0 || value.len > STORE_CHUNK_SIZE || start + value.len > node->e.size)
		return fault(c, "inode " INO ": chunk of %zu at %llu in a value of %llu", ULL(ino),
		             value.len, ULL(start), ULL(node->e.size));
	node->value_rows++;
	return 0;
}

static int take_xattr(struct check *c, struct bytes key, struct bytes value)
{
	const char *bytes = key.data;
	uint64_t ino = 0;
	size_t n = decode_number(key.data, key.len, &ino);
	struct node *node = n ? node_of(c, ino) : NULL;

	if (!node || !node->e.has_xattrs)
		return fault(c, "an attribute of an inode that has none");
	if (key.len - n <= 5 || key.len - n > 255 || memcmp(bytes + n, "user.", 5) != 0)
		return fault(c, "inode " INO ": an attribute with a bad name", ULL(ino));
	node->xattrs++;
	node->xattr_bytes += key.len - n + value.len;
	return 0;
}

static int take_expiry(struct check *c, struct bytes key, struct bytes value)
{
	const uint8_t *bytes = key.data;
	struct node *node;
	uint64_t ino = 0;

	if (key.len < 8 || decode_number(bytes + 8, key.len - 8, &ino) != key.len - 8 || value.len)
		return fault(c, "a row of expiry cannot be read");
	node = node_of(c, ino);
	if (!node || (uint64_t)node->e.expiry_ms != big_endian(bytes, 8))
		return fault(c, "inode " INO ": its expiry differs from its row", ULL(ino));
	node->expiries++;
	return 0;
}

static int take_feed(struct check *c, struct bytes key, struct bytes value)
{
	uint64_t offset = 0;
	struct feed_event *ev;
	uint64_t found;

	if (decode_number(key.data, key.len, &offset) != key.len ||
	    feed_decode(offset, value, &ev) != 0)
		return fault(c, "the feed's row %llu cannot be read", ULL(offset));
	c->feed_rows++;
	c->last_feed = offset;
	if (ev->idem.len && !ev->repeats) {
		c->feed_idems++;
		if (store_idem_get(c->txn, ev->idem, &found) != 0 || found != offset) {
			free(ev);
			return fault(c, "the idempotency key of %llu refers to another offset",
			             ULL(offset));
		}
	}
	free(ev);
	return 0;
}

static int on_other(void *arg, const char *table, struct bytes key, struct bytes value)
{
	struct check *c = arg;

	if (strcmp(table, "names") == 0)
		return take_name(c, key, value);
	if (strcmp(table, "values") == 0)
		return take_value(c, key, value);
	if (strcmp(table, "xattrs") == 0)
		return take_xattr(c, key, value);
	if (strcmp(table, "expiry") == 0)
		return take_expiry(c, key, value);
	if (strcmp(table, "feed") == 0)
		return take_feed(c, key, value);
	if (strcmp(table, "idem") == 0)
		c->idem_rows++;
	return 0;
}

/* --- after both passes --- */

/* Return whether NODE is below the root. A path longer than the number of inodes is a
 * loop. */
static bool is_rooted(struct check *c, struct node *node)
{
	struct node *at = node;

	for (size_t steps = HASH_COUNT(c->nodes); at && steps; steps--) {
		if (at->rooted || at->ino == STORE_ROOT_INO) {
			node->rooted = true;
			return true;
		}
		at = node_of(c, at->e.parent);
	}
	return false;
}

static int check_node(struct check *c, struct node *node)
{
	const struct entry *e = &node->e;

	if (node->links != (e->ino != STORE_ROOT_INO))
		return fault(c, "inode " INO ": %llu names", ULL(e->ino), ULL(node->links));
	if (!is_rooted(c, node))
		return fault(c, "inode " INO ": not below the root", ULL(e->ino));
	if (node->subdirs != e->nsubdirs)
		return fault(c, "inode " INO ": %llu directories, not %u", ULL(e->ino),
		             ULL(node->subdirs), e->nsubdirs);
	if ((node->xattrs != 0) != e->has_xattrs)
		return fault(c, "inode " INO ": its flag for attributes is wrong", ULL(e->ino));
	if (node->expiries != (e->expiry_ms != 0))
		return fault(c, "inode " INO ": %llu rows of expiry", ULL(e->ino),
		             ULL(node->expiries));
	return 0;
}

static int check_totals(struct check *c)
{
	const struct store_meta *m = c->meta;
	uint64_t keys = 0, dirs = 0, used = 0, default_ttls = 0, first;

	for (struct node *node = c->newest; node; node = node->older) {
		int r = check_node(c, node);

		if (r)
			return r;
		used += node->xattr_bytes;
		default_ttls += node->e.default_ttl_ms != 0;
		if (node->ino == STORE_ROOT_INO)
			continue;
		used += STORE_ENTRY_COST + node->e.name_len + node->e.size;
		if (S_ISDIR(node->e.mode))
			dirs++;
		else
			keys++;
	}
	if (!node_of(c, STORE_ROOT_INO))
		return fault(c, "there is no root");
	if (keys != m->nkeys || dirs != m->ndirs)
		return fault(c, "%llu keys and %llu directories, not %llu and %llu", ULL(keys),
		             ULL(dirs), ULL(m->nkeys), ULL(m->ndirs));
	if (used != m->used_bytes)
		return fault(c, "%llu bytes used, not %llu", ULL(used), ULL(m->used_bytes));
	if (default_ttls != m->ndefault_ttl)
		return fault(c, "%llu default TTLs, not %llu", ULL(default_ttls),
		             ULL(m->ndefault_ttl));
	/* While a log is replayed, the feed may have no rows; then its first offset
	 * is the next one. */
	bool unfed = store_feed_first(c->txn, &first) == 0 && first == m->applied + 1;
	if (c->feed_rows > STORE_FEED_SIZE ||
	    (!unfed &&
	     ((c->feed_rows != 0) != m->started || (m->started && c->last_feed != m->applied))))
		return fault(c, "the feed has %llu rows and ends at %llu, not %llu",
		             ULL(c->feed_rows), ULL(c->last_feed), ULL(m->applied));
	if (c->idem_rows != c->feed_idems)
		return fault(c, "%llu idempotency keys, not %llu", ULL(c->idem_rows),
		             ULL(c->feed_idems));
	return 0;
}

int store_check(struct txn *txn, char *why, size_t why_size)
{
	struct check c = { .txn = txn, .meta = txn_meta(txn), .why = why, .why_size = why_size };
	int r;

	if (why_size)
		why[0] = '\0';
	r = store_each_row(txn, on_inode, &c);
	if (!r)
		r = store_each_row(txn, on_other, &c);
	if (!r)
		r = check_totals(&c);
	if (r && why_size && !why[0])
		snprintf(why, why_size, "cannot read the store: %s", strerror(-r));
	HASH_CLEAR(hh, c.nodes);
	while (c.newest) {
		struct node *node = c.newest;

		c.newest = node->older;
		free(node);
	}
	return r;
}
