/* A rig: a store that a test applies events to one by one, and what came of
 * the last one. */
#ifndef KEYDIR_TEST_RIG_H
#define KEYDIR_TEST_RIG_H

#include "common/event/feed.h"
#include "common/store/store.h"

/* An initializer for struct bytes from a string literal. */
#define B(text)                                                                                    \
	{                                                                                          \
		text, sizeof(text) - 1                                                             \
	}

#define RIG_START_MS INT64_C(1000000) /* timestamp of the first event */

struct rig {
	char *dir;
	struct store *store;
	uint64_t offset;         /* of the next event; 0 at the start */
	int64_t time_ms;         /* timestamp of the next event */
	struct feed_event *feed; /* what the last event did, read back from the feed */
	struct entry e;          /* of rig_get(); its pointers lead to ... */
	char name[256];
	uint8_t inline_value[STORE_INLINE_MAX];
	struct bytes value; /* of rig_value(); owned */
	char text[16384];   /* of rig_effects() */
	bool unchecked;     /* do not check the whole store after each event */
};

void rig_init(struct rig *rig);
/* Checks the store a last time and removes it. */
void rig_free(struct rig *rig);
/* cmocka's setup and teardown: one on the heap. */
int rig_set_up(void **state);
int rig_tear_down(void **state);

/* Applies EV (NULL: a malformed record) at the next offset and time, commits,
 * and reads its feed row into rig->feed. Fails the test if the row is not what
 * apply_event() said, if the store's invariants (store_check.h) do not hold, or
 * if an event that was not done and had no effect changed a row all the same. */
enum event_outcome rig_apply(struct rig *rig, const struct event *ev);

/* What the last event did: "kind key=size" for a key, "kind key/" for a
 * directory, with "@ms" if it expires then, joined by ", ". */
const char *rig_effects(struct rig *rig);

/* Applies an event and expects its outcome and effects. */
#define EXPECT(rig, want, effects, ...)                                                            \
	rig_expect(rig, OUTCOME_##want, effects, &(struct event){ __VA_ARGS__ }, __FILE__, __LINE__)
void rig_expect(struct rig *rig, enum event_outcome want, const char *effects,
                const struct event *ev, const char *file, int line);

/* The entry of a key ("" is the root), expired or not; NULL if there is none.
 * Valid until the next call. */
const struct entry *rig_get(struct rig *rig, const char *key);
/* Its inode; fails the test if there is none. */
uint64_t rig_ino(struct rig *rig, const char *key);
/* The bytes of a key's value. Valid until the next call. */
struct bytes rig_value(struct rig *rig, const char *key);
/* Expects a value that is text. */
#define assert_value(rig, key, text)                                                               \
	do {                                                                                       \
		struct bytes got_ = rig_value(rig, key);                                           \
		assert_int_equal(got_.len, strlen(text));                                          \
		assert_memory_equal(got_.data, text, got_.len);                                    \
	} while (0)
/* An attribute's value as text (NUL-ended), or NULL. Valid until the next call. */
const char *rig_xattr(struct rig *rig, const char *key, const char *name);
struct store_meta rig_meta(struct rig *rig);
/* Expects the totals that the checker computes to be these, too. */
void rig_totals(struct rig *rig, uint64_t nkeys, uint64_t ndirs, uint64_t used_bytes);
/* Runs the checker now. */
void rig_check(struct rig *rig);

#endif
