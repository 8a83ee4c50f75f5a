/* Fixture: a store to which a test applies events one by one.
 *
 * Each event is committed in a transaction of its own and read back from the feed,
 * and the whole store is checked after it. A failure therefore names the first event
 * that broke something. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/fixture.h"

#include "common/apply/apply.h"
#include "common/base/key.h"
#include "tests/unit/store_check.h"
#include "tests/unit/store_fixture.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){ .dir = temp_dir_new(), .time_ms = FIXTURE_START_MS };
	fixture->store = store_fixture_open(fixture->dir);
}

void fixture_free(struct fixture *fixture)
{
	fixture_check(fixture);
	free(fixture->feed);
	free((void *)fixture->value.data);
	store_close(fixture->store);
	temp_dir_remove(fixture->dir);
}

int fixture_set_up(void **state)
{
	struct fixture *fixture = malloc(sizeof(*fixture));

	assert_non_null(fixture);
	fixture_init(fixture);
	*state = fixture;
	return 0;
}

int fixture_tear_down(void **state)
{
	fixture_free(*state);
	free(*state);
	return 0;
}

void fixture_check(struct fixture *fixture)
{
	char why[256] = "";
	struct txn *txn = store_fixture_read(fixture->store);
	int r = store_check(txn, why, sizeof(why));

	txn_abort(txn);
	if (r < 0)
		fail_msg("after offset %" PRIu64 ": %s", fixture->offset - 1, why);
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

/* Return a hash of all entries: names, inodes, values, attributes, expiry. */
static uint64_t hash_entries(struct txn *txn)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	assert_int_equal(store_each_row(txn, hash_row, &hash), 0);
	return hash;
}

/* --- applying --- */

static void read_feed(struct fixture *fixture, struct txn *txn, uint64_t offset)
{
	uint64_t found;
	struct bytes row;

	free(fixture->feed);
	fixture->feed = NULL;
	assert_int_equal(store_feed_next(txn, offset, &found, &row), 0);
	assert_int_equal(found, offset);
	assert_int_equal(feed_decode(offset, row, &fixture->feed), 0);
}

enum event_outcome fixture_apply(struct fixture *fixture, const struct event *ev)
{
	enum event_outcome outcome = OUTCOME_COUNT;
	uint64_t offset = fixture->offset++, before = 0, after = 0;
	struct txn *txn;

	assert_int_equal(txn_write(fixture->store, &txn), 0);
	if (!fixture->unchecked)
		before = hash_entries(txn);
	assert_int_equal(apply_event(txn, ev, offset, fixture->time_ms, &outcome), 0);
	if (!fixture->unchecked)
		after = hash_entries(txn);
	assert_int_equal(txn_commit(txn), 0);

	txn = store_fixture_read(fixture->store);
	read_feed(fixture, txn, offset);
	assert_true(txn_meta(txn)->started);
	assert_int_equal(txn_meta(txn)->applied, offset);
	assert_int_equal(fixture->feed->time_ms, txn_meta(txn)->log_time_ms);
	txn_abort(txn);
	assert_int_equal(fixture->feed->outcome, outcome);
	if (outcome != OUTCOME_OK && fixture->feed->neffects == 0)
		assert_int_equal(before, after);
	if (!fixture->unchecked)
		fixture_check(fixture);
	return outcome;
}

const char *fixture_effects(struct fixture *fixture)
{
	static const char *const kinds[] = {
#define X(name, text) text,
		FEED_EFFECTS(X)
#undef X
	};
	size_t used = 0;

	fixture->text[0] = '\0';
	for (size_t i = 0; i < fixture->feed->neffects; i++) {
		const struct feed_effect *e = &fixture->feed->effects[i];
		char size[32] = "/", expiry[32] = "";

		if (!e->dir)
			snprintf(size, sizeof(size), "=%" PRIu64, e->size);
		if (e->expiry_ms)
			snprintf(expiry, sizeof(expiry), "@%" PRId64, e->expiry_ms);
		used += (size_t)snprintf(fixture->text + used, sizeof(fixture->text) - used,
		                         "%s%s %.*s%s%s", i ? ", " : "", kinds[e->kind],
		                         (int)e->key.len, (const char *)e->key.data, size, expiry);
		assert_true(used < sizeof(fixture->text));
	}
	return fixture->text;
}

void fixture_expect(struct fixture *fixture, enum event_outcome want, const char *effects,
                    const struct event *ev, const char *file, int line)
{
	enum event_outcome got = fixture_apply(fixture, ev);

	if (got != want) {
		print_error("%s: %s, not %s\n", event_op_text(ev->op), event_outcome_text(got),
		            event_outcome_text(want));
		_fail(file, line);
	}
	if (strcmp(fixture_effects(fixture), effects) != 0) {
		print_error("%s: [%s], not [%s]\n", event_op_text(ev->op), fixture->text, effects);
		_fail(file, line);
	}
}

/* --- reading the store --- */

/* Find KEY, even if it has expired. */
static int find_entry(struct txn *txn, const char *key, struct entry *ret)
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

const struct entry *fixture_get(struct fixture *fixture, const char *key)
{
	struct txn *txn = store_fixture_read(fixture->store);
	int r = find_entry(txn, key, &fixture->e);

	if (r == 0) {
		memcpy(fixture->name, fixture->e.name, fixture->e.name_len);
		fixture->e.name = fixture->name;
		if (fixture->e.is_inline)
			memcpy(fixture->inline_value, fixture->e.inline_value, fixture->e.size);
		fixture->e.inline_value = fixture->e.is_inline ? fixture->inline_value : NULL;
	}
	txn_abort(txn);
	return r == 0 ? &fixture->e : NULL;
}

uint64_t fixture_ino(struct fixture *fixture, const char *key)
{
	const struct entry *e = fixture_get(fixture, key);

	assert_non_null(e);
	return e->ino;
}

struct bytes fixture_value(struct fixture *fixture, const char *key)
{
	struct txn *txn = store_fixture_read(fixture->store);
	struct entry e;

	free((void *)fixture->value.data);
	fixture->value = (struct bytes){ NULL, 0 };
	if (find_entry(txn, key, &e) != 0) {
		txn_abort(txn);
		fail_msg("%s is not there", key);
	}
	char *bytes = malloc(e.size + 1);
	assert_non_null(bytes);
	fixture->value = (struct bytes){ bytes, e.size };
	assert_int_equal(store_read(txn, &e, 0, bytes, e.size + 1), e.size);
	txn_abort(txn);
	return fixture->value;
}

const char *fixture_xattr(struct fixture *fixture, const char *key, const char *name)
{
	struct txn *txn = store_fixture_read(fixture->store);
	struct entry e;
	struct bytes value;
	bool found = find_entry(txn, key, &e) == 0 &&
	             store_xattr_get(txn, e.ino, name, strlen(name), &value) == 0;

	if (found) {
		assert_true(value.len < sizeof(fixture->text));
		memcpy(fixture->text, value.data, value.len);
		fixture->text[value.len] = '\0';
	}
	txn_abort(txn);
	return found ? fixture->text : NULL;
}

struct store_meta fixture_meta(struct fixture *fixture)
{
	struct txn *txn = store_fixture_read(fixture->store);
	struct store_meta meta = *txn_meta(txn);

	txn_abort(txn);
	return meta;
}

void fixture_totals(struct fixture *fixture, uint64_t nkeys, uint64_t ndirs, uint64_t used_bytes)
{
	struct store_meta meta = fixture_meta(fixture);

	fixture_check(fixture);
	assert_int_equal(meta.nkeys, nkeys);
	assert_int_equal(meta.ndirs, ndirs);
	assert_int_equal(meta.used_bytes, used_bytes);
}
