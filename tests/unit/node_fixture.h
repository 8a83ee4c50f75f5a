/* Nodes for tests: a fixture, submitting and waiting, and a follower that checks
 * that it sees each event once and in order. */
#ifndef KEYDIR_TEST_NODE_FIXTURE_H
#define KEYDIR_TEST_NODE_FIXTURE_H

#include "common/node/node.h"

#include <stdatomic.h>

/* What a node's follower saw. Used by the node's threads; read it any time. */
struct follower {
	_Atomic uint64_t last;    /* offset of the newest event seen */
	_Atomic uint64_t events;  /* how many */
	_Atomic uint64_t gaps;    /* gaps reported */
	_Atomic uint64_t faults;  /* events out of order, seen twice, or missing without a gap */
	_Atomic uint64_t expired; /* effects of that kind */
	_Atomic uint64_t ops[EVENT_OP_COUNT];
	/* Called for each event, if set before the node is opened. */
	void (*hook)(void *arg, const struct feed_event *ev);
	void *hook_arg;
	bool gap_pending; /* the node's work lock protects it */
};

/* Outcome of one submit, and how often it came. */
struct answer {
	_Atomic unsigned calls;
	struct outcome out; /* without feed; once calls is 1 */
};

/* What most tests of a node need. */
struct node_fixture {
	char *dir;
	struct follower follower;
	struct node_config config;
	struct node *node; /* NULL: not open */
};

/* A directory and a configuration; no node yet. */
struct node_fixture *node_fixture_new(void);
/* cmocka's setup and teardown: one with an open node; checks the store and what the
 * follower saw, and removes all. The setup may be another that uses node_fixture_new(). */
int node_fixture_set_up(void **state);
int node_fixture_tear_down(void **state);

/* A configuration with room for everything, on a store in DIR. */
struct node_config node_fixture_config(const char *dir, struct follower *follower);
/* Opens a node; fails the test if that does not work. */
struct node *node_fixture_open(const struct node_config *config);
/* The same for a child (child.h). */
struct node *node_fixture_open_in_child(const struct node_config *config);

/* Completion that fills a struct answer. */
void node_fixture_done(void *answer, const struct outcome *out);
/* Submits EV and waits for its answer. */
struct outcome node_fixture_do(struct node *node, const struct event *ev);
#define DO(node, ...) node_fixture_do(node, &(struct event){ __VA_ARGS__ })
/* Expects one outcome. */
#define EXPECT_DO(node, want, ...)                                                                 \
	do {                                                                                       \
		struct outcome got_ = DO(node, __VA_ARGS__);                                       \
		if (got_.code != OUTCOME_##want)                                                   \
			fail_msg("\"%s\", not \"%s\"", event_outcome_text(got_.code),              \
			         event_outcome_text(OUTCOME_##want));                              \
	} while (0)

/* The value of a key as readers see it, NUL-ended: malloc'd, NULL if it is not
 * there. *RET_LEN may be NULL. */
char *node_fixture_value(struct node *node, const char *key, size_t *ret_len);
/* Checks the store's invariants. */
void node_fixture_check(struct node *node);

#endif
