/* A fixture: a store that a test applies events to one by one, and what came of
 * the last one. */
#ifndef KEYDIR_TEST_FIXTURE_H
#define KEYDIR_TEST_FIXTURE_H

#include "common/event/feed.h"
#include "common/store/store.h"

/* An initializer for struct bytes from a string literal. */
#define B(text)                                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

#define FIXTURE_START_MS INT64_C(1000000) /* timestamp of the first event */

struct fixture {
	char *dir;
	struct store *store;
	uint64_t offset;         /* of the next event; 0 at the start */
	int64_t time_ms;         /* timestamp of the next event */
	struct feed_event *feed; /* what the last event did, read back from the feed */
	struct entry e;          /* of fixture_get(); its pointers lead to ... */
	char name[256];
	uint8_t inline_value[STORE_INLINE_MAX];
	struct bytes value; /* of fixture_value(); owned */
	char text[16384];   /* of fixture_effects() */
	bool unchecked;     /* do not check the whole store after each event */
};

void fixture_init(struct fixture *fixture);
/* Checks the store a last time and removes it. */
void fixture_free(struct fixture *fixture);
/* cmocka's setup and teardown: one on the heap. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Applies EV (NULL: a malformed record) at the next offset and time, commits,
 * and reads its feed row into fixture->feed. Fails the test if the row is not what
 * apply_event() said, if the store's invariants (store_check.h) do not hold, or
 * if an event that was not done and had no effect changed a row all the same. */
enum event_outcome fixture_apply(struct fixture *fixture, const struct event *ev);

/* What the last event did: "kind key=size" for a key, "kind key/" for a
 * directory, with "@ms" if it expires then, joined by ", ". */
const char *fixture_effects(struct fixture *fixture);

/* Applies an event and expects its outcome and effects. */
#define EXPECT(fixture, want, effects, ...)                                                        \
	fixture_expect(fixture, OUTCOME_##want, effects, &(struct event){ __VA_ARGS__ }, __FILE__, \
	               __LINE__)
void fixture_expect(struct fixture *fixture, enum event_outcome want, const char *effects,
                    const struct event *ev, const char *file, int line);

/* The entry of a key ("" is the root), expired or not; NULL if there is none.
 * Valid until the next call. */
const struct entry *fixture_get(struct fixture *fixture, const char *key);
/* Its inode; fails the test if there is none. */
uint64_t fixture_ino(struct fixture *fixture, const char *key);
/* The bytes of a key's value. Valid until the next call. */
struct bytes fixture_value(struct fixture *fixture, const char *key);
/* Expects a value that is text. */
#define assert_value(fixture, key, text)                                                           \
	do {                                                                                       \
		struct bytes got_ = fixture_value(fixture, key);                                   \
		assert_int_equal(got_.len, strlen(text));                                          \
		assert_memory_equal(got_.data, text, got_.len);                                    \
	} while (0)
/* An attribute's value as text (NUL-ended), or NULL. Valid until the next call. */
const char *fixture_xattr(struct fixture *fixture, const char *key, const char *name);
struct store_meta fixture_meta(struct fixture *fixture);
/* Expects the totals that the checker computes to be these, too. */
void fixture_totals(struct fixture *fixture, uint64_t nkeys, uint64_t ndirs, uint64_t used_bytes);
/* Runs the checker now. */
void fixture_check(struct fixture *fixture);

#endif
