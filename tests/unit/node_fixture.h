/* Node fixture: nodes for tests. Opens and closes nodes, submits events and waits for
 * them, and provides a follower that checks that it sees each event once and in
 * order. */
#ifndef KEYDIR_TEST_NODE_FIXTURE_H
#define KEYDIR_TEST_NODE_FIXTURE_H

#include "common/node/node.h"

#include <stdatomic.h>

/* What a node's follower saw. Written by the node's threads; may be read at any time. */
struct follower {
	_Atomic uint64_t last;    /* offset of the newest event seen */
	_Atomic uint64_t events;  /* number of events seen */
	_Atomic uint64_t gaps;    /* gaps reported */
	_Atomic uint64_t faults;  /* events out of order, seen twice, or missing without a gap */
	_Atomic uint64_t expired; /* effects of kind FEED_EXPIRED */
	_Atomic uint64_t ops[EVENT_OP_COUNT];
	/* Called for each event, if set before the node is opened. */
	void (*hook)(void *arg, const struct feed_event *ev);
	void *hook_arg;
	bool gap_pending; /* protected by the node's work lock */
};

/* Outcome of one submitted event, and how often it was reported. */
struct answer {
	_Atomic unsigned calls;
	struct outcome out; /* valid once calls is 1; feed is NULL */
};

/* The state that most tests of a node need. */
struct node_fixture {
	char *dir;
	struct follower follower;
	struct node_config config;
	struct node *node; /* NULL while closed */
};

/* Create a directory and a configuration; opens no node. */
struct node_fixture *node_fixture_new(void);
/* Setup and teardown functions for cmocka: the setup opens a node; the teardown
 * checks the store and what the follower saw, and removes everything. A test may use
 * another setup that calls node_fixture_new(). */
int node_fixture_set_up(void **state);
int node_fixture_tear_down(void **state);

/* Return a configuration with ample space, on a store in DIR. FOLLOWER may be NULL. */
struct node_config node_fixture_config(const char *dir, struct follower *follower);
/* Open a node; fail the test on an error. */
struct node *node_fixture_open(const struct node_config *config);
/* The same in a child process (child.h). */
struct node *node_fixture_open_in_child(const struct node_config *config);

/* Completion that fills a struct answer. */
void node_fixture_done(void *answer, const struct outcome *out);
/* Submit EV and wait for its outcome. */
struct outcome node_fixture_do(struct node *node, const struct event *ev);
#define DO(node, ...) node_fixture_do(node, &(struct event){ __VA_ARGS__ })
/* Submit an event and expect its outcome. */
#define EXPECT_DO(node, want, ...)                                                                 \
	do {                                                                                       \
		struct outcome got_ = DO(node, __VA_ARGS__);                                       \
		if (got_.code != OUTCOME_##want)                                                   \
			fail_msg("\"%s\", not \"%s\"", event_outcome_text(got_.code),              \
			         event_outcome_text(OUTCOME_##want));                              \
	} while (0)

/* Return the value of a key as readers see it, NUL-terminated; the caller frees it.
 * NULL if the key does not exist. RET_LEN may be NULL. */
char *node_fixture_value(struct node *node, const char *key, size_t *ret_len);
/* Check the store's invariants; fail the test if one does not hold. */
void node_fixture_check(struct node *node);

#endif
