/* Audit: checks that the rows of a store agree with each other.
 *
 * Rows come in the order of their numbers, so most are checked in passing: the directory of
 * a name, or the entry of a chunk or attribute, is looked up when the number changes. Names
 * are in a different order than their entries, and a look-up per name would take most of a
 * second per million. Instead each entry and each row of a name is hashed to a number with
 * random keys, and the two sums must be equal. If the names differ, the sums agree with a
 * chance of 1 in 2^64. Only directories are remembered, because a row cannot say whether
 * its directory lies below the root.
 *
 * This is the only file of the store that knows events: it decodes the feed's rows.
 *
 * No lock: a transaction belongs to one thread. */
#include "common/store/audit.h"

#include "common/base/key.h"
#include "common/event/feed.h"
#include "common/store/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The expressions are equal, and shall stay so. NOLINTBEGIN(misc-redundant-expression) */
_Static_assert(STORE_VALUE_MAX == EVENT_VALUE_MAX, "a store takes every value of an event");
_Static_assert(STORE_XATTR_VALUE_MAX == EVENT_XATTR_VALUE_MAX, "and every attribute");
/* NOLINTEND(misc-redundant-expression) */

#define NKEYS 4
#define ATTRIBUTE_PREFIX "user."

/* A directory; the array is sorted by inode. */
struct dir {
	uint64_t ino;
	uint64_t parent;
	uint32_t nsubdirs; /* according to its row */
	uint32_t counted;
	size_t seen_by; /* number of the walk to the root that passed it; 0: not visited */
};

struct audit {
	struct txn *txn;
	const struct store_meta *meta;
	struct dir *dirs;
	size_t ndirs, dirs_room;
	uint64_t keys[NKEYS];        /* random keys of the hash */
	uint64_t names, entry_names; /* sums of the hashes of name rows and of entries */
	uint64_t nnames, nkeys, used_bytes, ndefault_ttl;
	uint64_t nexpiring, nexpiries; /* entries that expire, and rows of the expiry table */
	/* Entries with attributes, and entries that attribute rows name. */
	uint64_t nwith_xattrs, nxattr_inos;
	uint64_t ino;        /* inode of the last row; 0: none */
	struct entry e;      /* the entry of that inode */
	uint64_t last_event; /* offset of the newest event in the feed */
	const char *fault;   /* static text that describes the fault */
};

/* Mix A and B: each bit of the result depends on all bits of both. */
static uint64_t mix_words(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static int report_fault(struct audit *a, const char *fault)
{
	a->fault = fault;
	return -EPROTO;
}

/* Return a hash of the contents of a name's row. */
static uint64_t hash_name(const struct audit *a, uint64_t parent, struct bytes name, uint64_t ino,
                          uint32_t type)
{
	const char *p = name.data;
	uint64_t h = mix_words(parent ^ a->keys[0], ino ^ a->keys[1]);
	h = mix_words(h ^ name.len, type ^ a->keys[2]);
	for (size_t left = name.len; left;) {
		uint64_t word = 0;
		size_t n = left < sizeof(word) ? left : sizeof(word);
		memcpy(&word, p, n);
		h = mix_words(h ^ word, a->keys[3]);
		p += n;
		left -= n;
	}
	return mix_words(h ^ a->keys[0], a->keys[1]);
}

/* --- directories --- */

static int add_dir(struct audit *a, const struct entry *e)
{
	if (a->ndirs == a->dirs_room) {
		size_t room = a->dirs_room ? 2 * a->dirs_room : 64;
		struct dir *grown = realloc(a->dirs, room * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		a->dirs = grown;
		a->dirs_room = room;
	}
	a->dirs[a->ndirs++] = (struct dir){ e->ino, e->parent, e->nsubdirs, 0, 0 };
	return 0;
}

static struct dir *find_dir(struct audit *a, uint64_t ino)
{
	size_t low = 0, high = a->ndirs;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (a->dirs[middle].ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low < a->ndirs && a->dirs[low].ino == ino ? &a->dirs[low] : NULL;
}

/* Check that the root exists, that all directories lie below it, and that their counts are
 * right. */
static int check_dirs(struct audit *a)
{
	if (!a->ndirs || a->dirs[0].ino != STORE_ROOT_INO)
		return report_fault(a, "the root is missing");
	a->dirs[0].seen_by = 1;
	for (size_t i = 1; i < a->ndirs; i++) {
		struct dir *dir = &a->dirs[i], *parent = find_dir(a, dir->parent);
		if (!parent)
			return report_fault(a, "the parent of a directory is missing");
		parent->counted++;
		while (!dir->seen_by) {
			dir->seen_by = i + 1;
			dir = find_dir(a, dir->parent);
			if (!dir)
				return report_fault(a, "the parent of a directory is missing");
		}
		/* Directories that an earlier walk passed lead to the root. */
		if (dir->seen_by == i + 1)
			return report_fault(a, "a directory is below itself");
	}
	for (size_t i = 0; i < a->ndirs; i++) {
		if (a->dirs[i].counted != a->dirs[i].nsubdirs)
			return report_fault(a, "the number of directories in a directory is wrong");
	}
	return 0;
}

/* --- entries and names --- */

static int check_entry(struct audit *a, const struct entry *e)
{
	const struct store_meta *m = a->meta;
	if (m->started ? e->version > m->applied : e->version != 0)
		return report_fault(a, "an entry is newer than the store");
	if (e->ino >= m->next_ino && (e->ino < STORE_PROPOSED_MIN || e->ino >= STORE_PROPOSED_MAX))
		return report_fault(a, "an inode's number was not assigned yet");
	if (S_ISLNK(e->mode) && (!e->size || e->size > EVENT_TARGET_MAX))
		return report_fault(a, "the length of a symbolic link's target is invalid");
	a->ndefault_ttl += e->default_ttl_ms != 0;
	a->nexpiring += e->expiry_ms != 0;
	a->nwith_xattrs += e->has_xattrs;
	if (e->ino == STORE_ROOT_INO)
		return add_dir(a, e);
	if (key_check_name(e->name, e->name_len) != KEY_OK)
		return report_fault(a, "a name is invalid");
	a->entry_names += hash_name(a, e->parent, (struct bytes){ e->name, e->name_len }, e->ino,
	                            e->mode & S_IFMT);
	a->used_bytes += STORE_ENTRY_COST + e->name_len + e->size;
	if (entry_is_dir(e))
		return add_dir(a, e);
	a->nkeys++;
	return 0;
}

static int on_inode(void *arg, struct bytes key, struct bytes value)
{
	struct audit *a = arg;
	struct entry e;
	int r = store_inode_decode(a->txn, key, value, &e);
	return r < 0 ? report_fault(a, "an inode's row cannot be read") : check_entry(a, &e);
}

static int on_name(void *arg, struct bytes key, struct bytes value)
{
	struct audit *a = arg;
	uint64_t parent, ino;
	uint32_t type;
	size_t len = store_num_get(key.data, key.len, &parent);
	if (!len || store_name_decode(value, &ino, &type) < 0)
		return report_fault(a, "a name's row cannot be read");
	struct bytes name = { (const char *)key.data + len, key.len - len };
	a->names += hash_name(a, parent, name, ino, type);
	if (parent != a->ino && !find_dir(a, parent))
		return report_fault(a, "the directory of a name is missing");
	a->ino = parent;
	a->nnames++;
	return 0;
}

/* --- what belongs to entries --- */

/* Look up the entry whose number KEY starts with, unless the previous row had the same.
 * *RET_LEN is the length of the number. Returns 1 for an entry that the previous row did
 * not name, 0, or -errno. */
static int find_entry(struct audit *a, const uint8_t *key, size_t len, size_t *ret_len)
{
	uint64_t ino;
	*ret_len = store_num_get(key, len, &ino);
	if (!*ret_len)
		return report_fault(a, "a row's inode cannot be read");
	if (ino == a->ino)
		return 0;
	int r = store_get(a->txn, ino, &a->e);
	if (r < 0)
		return r == -ENOENT ? report_fault(a, "the entry of a row is missing") : r;
	a->ino = ino;
	return 1;
}

static int on_chunk(void *arg, struct bytes key, struct bytes value)
{
	struct audit *a = arg;
	const uint8_t *p = key.data;
	uint64_t chunk = 0;
	size_t len;
	int r = find_entry(a, p, key.len, &len);
	if (r < 0)
		return r;
	if (key.len != len && key.len != len + 4)
		return report_fault(a, "a chunk's number cannot be read");
	for (size_t i = len; i < key.len; i++)
		chunk = chunk << 8 | p[i];
	if (entry_is_dir(&a->e) || a->e.is_inline || (key.len != len && !chunk) || !value.len ||
	    value.len > STORE_CHUNK_SIZE || chunk * STORE_CHUNK_SIZE + value.len > a->e.size)
		return report_fault(a, "a chunk is not part of its value");
	return 0;
}

static int on_xattr(void *arg, struct bytes key, struct bytes value)
{
	struct audit *a = arg;
	const size_t prefix = sizeof(ATTRIBUTE_PREFIX) - 1;
	size_t len;
	int r = find_entry(a, key.data, key.len, &len);
	if (r < 0)
		return r;
	a->nxattr_inos += (uint64_t)r;
	size_t name_len = key.len - len;
	if (!a->e.has_xattrs || name_len <= prefix || name_len > 255 ||
	    memcmp((const char *)key.data + len, ATTRIBUTE_PREFIX, prefix) != 0 ||
	    value.len > STORE_XATTR_VALUE_MAX)
		return report_fault(a, "an attribute is invalid");
	a->used_bytes += name_len + value.len;
	return 0;
}

static int check_expiries(struct audit *a)
{
	int64_t ms = 0;
	uint64_t ino = 0;
	int r = store_first_expiry(a->txn, &ms, &ino);
	for (; r == 0; r = store_next_expiry(a->txn, &ms, &ino)) {
		r = store_get(a->txn, ino, &a->e);
		if (r == -ENOENT || (r == 0 && a->e.expiry_ms != ms))
			return report_fault(a, "an expiry differs from that of its entry");
		if (r < 0)
			return r;
		a->nexpiries++;
	}
	return r == -ENOENT ? 0 : report_fault(a, "an expiry's row cannot be read");
}

/* --- the feed --- */

static int on_event(void *arg, struct bytes key, struct bytes value)
{
	struct audit *a = arg;
	struct feed_event *ev;
	uint64_t offset = 0;
	if (store_num_get(key.data, key.len, &offset) != key.len || !a->meta->started ||
	    offset > a->meta->applied)
		return report_fault(a, "the feed has an event newer than the store");
	int r = feed_decode(offset, value, &ev);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return report_fault(a, "a row of the feed cannot be read");
	a->last_event = offset;
	uint64_t found = offset;
	if (ev->idem.len && !ev->repeats)
		r = store_idem_get(a->txn, ev->idem, &found);
	free(ev);
	if (r < 0 || found != offset)
		return report_fault(a, "an event's idempotency key leads to another event");
	return 0;
}

static int on_idem(void *arg, struct bytes key, struct bytes value)
{
	struct audit *a = arg;
	struct bytes row, idem;
	uint64_t offset;
	(void)value;
	if (key.len > EVENT_IDEM_MAX || store_idem_get(a->txn, key, &offset) < 0 ||
	    store_feed_get(a->txn, offset, &row) < 0 || feed_decode_idem(row, &idem) < 0 ||
	    !bytes_equal(idem, key))
		return report_fault(a, "the event of an idempotency key is missing");
	return 0;
}

/* --- all of it --- */

/* Check that the feed ends with the last event applied. A node that replays a log may have
 * left that row out, which the feed records. */
static int check_feed_end(struct audit *a)
{
	uint64_t first;
	if (!a->meta->started || a->last_event == a->meta->applied)
		return 0;
	if (store_feed_first(a->txn, &first) == 0 && first == a->meta->applied + 1)
		return 0;
	return report_fault(a, "the feed does not end with the last event");
}

static int check_totals(struct audit *a)
{
	const struct store_meta *m = a->meta;
	struct bytes volume = { m->volume, strlen(m->volume) };
	if (volume.len && event_check(&(struct event){ .op = EVENT_FORMAT, .name = volume }))
		return report_fault(a, "the volume's id is invalid");
	if (a->nkeys != m->nkeys || a->ndirs - 1 != m->ndirs || a->nnames != m->nkeys + m->ndirs)
		return report_fault(a, "the number of entries is wrong");
	if (a->names != a->entry_names)
		return report_fault(a, "a name leads to another entry");
	if (a->used_bytes != m->used_bytes)
		return report_fault(a, "the number of used bytes is wrong");
	if (a->ndefault_ttl != m->ndefault_ttl)
		return report_fault(a, "the number of default TTLs is wrong");
	if (a->nexpiring != a->nexpiries)
		return report_fault(a, "an entry that expires has no row in the expiry table");
	if (a->nwith_xattrs != a->nxattr_inos)
		return report_fault(a, "an entry that has attributes has no rows for them");
	return 0;
}

static int check_all(struct audit *a)
{
	int r = table_each(a->txn, INODES, on_inode, a);
	if (r == 0)
		r = check_dirs(a);
	a->ino = 0;
	if (r == 0)
		r = table_each(a->txn, NAMES, on_name, a);
	a->ino = 0;
	if (r == 0)
		r = table_each(a->txn, VALUES, on_chunk, a);
	a->ino = 0;
	if (r == 0)
		r = table_each(a->txn, XATTRS, on_xattr, a);
	if (r == 0)
		r = check_expiries(a);
	if (r == 0)
		r = table_each(a->txn, FEED, on_event, a);
	if (r == 0)
		r = table_each(a->txn, IDEM, on_idem, a);
	if (r == 0)
		r = check_feed_end(a);
	return r == 0 ? check_totals(a) : r;
}

int store_audit(struct txn *txn, char *why, size_t why_size)
{
	struct audit a = { .txn = txn, .meta = txn_meta(txn) };
	if (getrandom(a.keys, sizeof(a.keys), 0) != sizeof(a.keys))
		return -EIO;
	for (size_t i = 0; i < NKEYS; i++)
		a.keys[i] |= 1;
	int r = check_all(&a);
	free(a.dirs);
	if (r < 0)
		snprintf(why, why_size, "the store is damaged: %s",
		         a.fault ? a.fault : strerror(-r));
	return r;
}
