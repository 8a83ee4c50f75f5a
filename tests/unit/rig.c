/* A rig: a store that a test applies events to one by one.
 *
 * Each event is committed alone and read back from the feed, and the whole
 * store is checked after it, so that the first event that breaks something is
 * the one that is named. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/rig.h"

#include "common/apply/apply.h"
#include "common/base/key.h"
#include "tests/unit/store_check.h"
#include "tests/unit/store_rig.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void rig_init(struct rig *rig)
{
	*rig = (struct rig){ .dir = temp_dir_new(), .time_ms = RIG_START_MS };
	rig->store = store_rig_open(rig->dir);
}

void rig_free(struct rig *rig)
{
	rig_check(rig);
	free(rig->feed);
	free((void *)rig->value.data);
	store_close(rig->store);
	temp_dir_remove(rig->dir);
}

int rig_set_up(void **state)
{
	struct rig *rig = malloc(sizeof *rig);

	assert_non_null(rig);
	rig_init(rig);
	*state = rig;
	return 0;
}

int rig_tear_down(void **state)
{
	rig_free(*state);
	free(*state);
	return 0;
}

void rig_check(struct rig *rig)
{
	char why[256] = "";
	struct txn *txn = store_rig_read(rig->store);
	int r = store_check(txn, why, sizeof why);

	txn_abort(txn);
	if (r < 0)
		fail_msg("after offset %" PRIu64 ": %s", rig->offset - 1, why);
}

/* --- rows that must not change --- */

static void hash_bytes(uint64_t *hash, struct bytes b)
{
	const uint8_t *p = b.data;

	*hash = (*hash ^ b.len) * UINT64_C(0x100000001b3);
	for (size_t i = 0; i < b.len; i++)
		*hash = (*hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static int hash_row(void *arg, const char *table, struct bytes key, struct bytes value)
{
	if (strcmp(table, "feed") == 0 || strcmp(table, "idem") == 0 || strcmp(table, "meta") == 0)
		return 0;
	hash_bytes(arg, (struct bytes){ table, strlen(table) });
	hash_bytes(arg, key);
	hash_bytes(arg, value);
	return 0;
}

/* A hash of all entries: names, inodes, values, attributes, expiry. */
static uint64_t hash_entries(struct txn *txn)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	assert_int_equal(store_each_row(txn, hash_row, &hash), 0);
	return hash;
}

/* --- applying --- */

static void read_feed(struct rig *rig, struct txn *txn, uint64_t offset)
{
	uint64_t found;
	struct bytes row;

	free(rig->feed);
	rig->feed = NULL;
	assert_int_equal(store_feed_next(txn, offset, &found, &row), 0);
	assert_int_equal(found, offset);
	assert_int_equal(feed_decode(offset, row, &rig->feed), 0);
}

enum event_outcome rig_apply(struct rig *rig, const struct event *ev)
{
	enum event_outcome outcome = OUTCOME_COUNT;
	uint64_t offset = rig->offset++, before = 0, after = 0;
	struct txn *txn;

	assert_int_equal(txn_write(rig->store, &txn), 0);
	if (!rig->unchecked)
		before = hash_entries(txn);
	assert_int_equal(apply_event(txn, ev, offset, rig->time_ms, &outcome), 0);
	if (!rig->unchecked)
		after = hash_entries(txn);
	assert_int_equal(txn_commit(txn), 0);

	txn = store_rig_read(rig->store);
	read_feed(rig, txn, offset);
	assert_true(txn_meta(txn)->started);
	assert_int_equal(txn_meta(txn)->applied, offset);
	assert_int_equal(rig->feed->time_ms, txn_meta(txn)->log_time_ms);
	txn_abort(txn);
	assert_int_equal(rig->feed->outcome, outcome);
	if (outcome != OUTCOME_OK && rig->feed->neffects == 0)
		assert_int_equal(before, after);
	if (!rig->unchecked)
		rig_check(rig);
	return outcome;
}

const char *rig_effects(struct rig *rig)
{
	static const char *const kinds[] = {
#define X(name, text) text,
		FEED_EFFECTS(X)
#undef X
	};
	size_t used = 0;

	rig->text[0] = '\0';
	for (size_t i = 0; i < rig->feed->neffects; i++) {
		const struct feed_effect *e = &rig->feed->effects[i];
		char size[32] = "/", expiry[32] = "";

		if (!e->dir)
			snprintf(size, sizeof size, "=%" PRIu64, e->size);
		if (e->expiry_ms)
			snprintf(expiry, sizeof expiry, "@%" PRId64, e->expiry_ms);
		used += (size_t)snprintf(rig->text + used, sizeof rig->text - used, "%s%s %.*s%s%s",
		                         i ? ", " : "", kinds[e->kind], (int)e->key.len,
		                         (const char *)e->key.data, size, expiry);
		assert_true(used < sizeof rig->text);
	}
	return rig->text;
}

void rig_expect(struct rig *rig, enum event_outcome want, const char *effects,
                const struct event *ev, const char *file, int line)
{
	enum event_outcome got = rig_apply(rig, ev);

	if (got != want) {
		print_error("%s: %s, not %s\n", event_op_text(ev->op), event_outcome_text(got),
		            event_outcome_text(want));
		_fail(file, line);
	}
	if (strcmp(rig_effects(rig), effects) != 0) {
		print_error("%s: [%s], not [%s]\n", event_op_text(ev->op), rig->text, effects);
		_fail(file, line);
	}
}

/* --- looking --- */

/* Finds KEY without regard to expiry. */
static int find(struct txn *txn, const char *key, struct entry *ret)
{
	uint64_t ino = STORE_ROOT_INO;
	size_t len = strlen(key), name_len;
	const char *name;

	while (key_next(&key, &len, &name, &name_len)) {
		if (store_lookup(txn, ino, name, name_len, &ino, NULL) != 0)
			return -ENOENT;
	}
	return store_get(txn, ino, ret);
}

const struct entry *rig_get(struct rig *rig, const char *key)
{
	struct txn *txn = store_rig_read(rig->store);
	int r = find(txn, key, &rig->e);

	if (r == 0) {
		memcpy(rig->name, rig->e.name, rig->e.name_len);
		rig->e.name = rig->name;
		if (rig->e.is_inline)
			memcpy(rig->inline_value, rig->e.inline_value, rig->e.size);
		rig->e.inline_value = rig->e.is_inline ? rig->inline_value : NULL;
	}
	txn_abort(txn);
	return r == 0 ? &rig->e : NULL;
}

uint64_t rig_ino(struct rig *rig, const char *key)
{
	const struct entry *e = rig_get(rig, key);

	assert_non_null(e);
	return e->ino;
}

struct bytes rig_value(struct rig *rig, const char *key)
{
	struct txn *txn = store_rig_read(rig->store);
	struct entry e;

	free((void *)rig->value.data);
	rig->value = (struct bytes){ NULL, 0 };
	if (find(txn, key, &e) != 0) {
		txn_abort(txn);
		fail_msg("%s is not there", key);
	}
	char *bytes = malloc(e.size + 1);
	assert_non_null(bytes);
	rig->value = (struct bytes){ bytes, e.size };
	assert_int_equal(store_read(txn, &e, 0, bytes, e.size + 1), e.size);
	txn_abort(txn);
	return rig->value;
}

const char *rig_xattr(struct rig *rig, const char *key, const char *name)
{
	struct txn *txn = store_rig_read(rig->store);
	struct entry e;
	struct bytes value;
	bool found = find(txn, key, &e) == 0 &&
	             store_xattr_get(txn, e.ino, name, strlen(name), &value) == 0;

	if (found) {
		assert_true(value.len < sizeof rig->text);
		memcpy(rig->text, value.data, value.len);
		rig->text[value.len] = '\0';
	}
	txn_abort(txn);
	return found ? rig->text : NULL;
}

struct store_meta rig_meta(struct rig *rig)
{
	struct txn *txn = store_rig_read(rig->store);
	struct store_meta meta = *txn_meta(txn);

	txn_abort(txn);
	return meta;
}

void rig_totals(struct rig *rig, uint64_t nkeys, uint64_t ndirs, uint64_t used_bytes)
{
	struct store_meta meta = rig_meta(rig);

	rig_check(rig);
	assert_int_equal(meta.nkeys, nkeys);
	assert_int_equal(meta.ndirs, ndirs);
	assert_int_equal(meta.used_bytes, used_bytes);
}
