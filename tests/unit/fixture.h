/* Fixture: a store to which a test applies events one by one, and the result of the
 * latest event. */
#ifndef KEYDIR_TEST_FIXTURE_H
#define KEYDIR_TEST_FIXTURE_H

#include "common/event/feed.h"
#include "common/store/store.h"

#define FIXTURE_START_MS INT64_C(1000000) /* timestamp of the first event */

struct fixture {
	char *dir;
	struct store *store;
	uint64_t offset;         /* offset of the next event; starts at 0 */
	int64_t time_ms;         /* timestamp of the next event */
	struct feed_event *feed; /* effects of the latest event, read back from the feed */
	struct entry e; /* result of fixture_get(); its pointers refer to name and inline_value */
	char name[256];
	uint8_t inline_value[STORE_INLINE_MAX];
	struct bytes value; /* result of fixture_value(); owned */
	char text[16384];   /* result of fixture_effects() */
	bool unchecked;     /* do not check the whole store after each event */
};

void fixture_init(struct fixture *fixture);
/* Check the store a last time and remove it. */
void fixture_free(struct fixture *fixture);
/* Setup and teardown functions for cmocka; *state is a fixture on the heap. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Apply EV (NULL: a malformed record) at the next offset and time, commit, and read
 * its feed row into fixture->feed. Fail the test if the row differs from what
 * apply_event() reported, if the store's invariants (store_check.h) do not hold, or
 * if an event that failed and had no effect changed a row nevertheless. */
enum event_outcome fixture_apply(struct fixture *fixture, const struct event *ev);

/* Describe the effects of the latest event: "kind key=size" for a key, "kind key/"
 * for a directory, with "@ms" if it expires at that time, joined by ", ". Valid until
 * the next call. */
const char *fixture_effects(struct fixture *fixture);

/* Apply an event and expect its outcome and effects. */
#define EXPECT(fixture, want, effects, ...)                                                        \
	fixture_expect(fixture, OUTCOME_##want, effects, &(struct event){ __VA_ARGS__ }, __FILE__, \
	               __LINE__)
void fixture_expect(struct fixture *fixture, enum event_outcome want, const char *effects,
                    const struct event *ev, const char *file, int line);

/* Return the entry of a key ("" is the root), expired or not; NULL if there is none.
 * Valid until the next call. */
const struct entry *fixture_get(struct fixture *fixture, const char *key);
/* Return the inode of a key; fail the test if there is none. */
uint64_t fixture_ino(struct fixture *fixture, const char *key);
/* Return the bytes of a key's value. Valid until the next call. */
struct bytes fixture_value(struct fixture *fixture, const char *key);
/* Expect a value that is text. */
#define assert_value(fixture, key, text)                                                           \
	do {                                                                                       \
		struct bytes got_ = fixture_value(fixture, key);                                   \
		assert_int_equal(got_.len, strlen(text));                                          \
		assert_memory_equal(got_.data, text, got_.len);                                    \
	} while (0)
/* Return an attribute's value as text (NUL-terminated), or NULL. Valid until the next
 * call. */
const char *fixture_xattr(struct fixture *fixture, const char *key, const char *name);
struct store_meta fixture_meta(struct fixture *fixture);
/* Expect these totals, in the meta row and as the checker counts them. */
void fixture_totals(struct fixture *fixture, uint64_t nkeys, uint64_t ndirs, uint64_t used_bytes);
/* Check the store's invariants now; fail the test if one does not hold. */
void fixture_check(struct fixture *fixture);

#endif
