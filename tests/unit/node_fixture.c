/* Node fixture: nodes for tests. */
#include "tests/unit/cmocka_all.h"

#include "tests/unit/node_fixture.h"

#include "tests/unit/child.h"
#include "tests/unit/store_check.h"
#include "tests/unit/temp_dir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Record what the node reports. The node calls it with its work lock held, from one
 * thread at a time. */
static void follow_event(void *arg, const struct feed_event *ev, bool gap)
{
	struct follower *f = arg;

	if (gap) {
		f->gap_pending = true;
		atomic_fetch_add(&f->gaps, 1);
		if (ev)
			atomic_fetch_add(&f->faults, 1);
		return;
	}
	uint64_t last = atomic_load(&f->last);
	if (atomic_load(&f->events) || last) {
		if (f->gap_pending ? ev->offset <= last : ev->offset != last + 1)
			atomic_fetch_add(&f->faults, 1);
	}
	f->gap_pending = false;
	for (size_t i = 0; i < ev->neffects; i++) {
		if (ev->effects[i].kind == FEED_EXPIRED)
			atomic_fetch_add(&f->expired, 1);
	}
	atomic_fetch_add(&f->ops[ev->op], 1);
	atomic_store(&f->last, ev->offset);
	atomic_fetch_add(&f->events, 1);
	if (f->hook)
		f->hook(f->hook_arg, ev);
}

struct node_config node_fixture_config(const char *dir, struct follower *follower)
{
	return (struct node_config){
		.store = { .dir = dir },
		.log = "local",
		.size_bytes = UINT64_C(1) << 40,
		.max_value = UINT64_C(1) << 30,
		.write_timeout_ms = 10000,
		.follow = follower ? follow_event : NULL,
		.follow_arg = follower,
	};
}

struct node_fixture *node_fixture_new(void)
{
	struct node_fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->dir = temp_dir_new();
	fixture->config = node_fixture_config(fixture->dir, &fixture->follower);
	return fixture;
}

int node_fixture_set_up(void **state)
{
	struct node_fixture *fixture = node_fixture_new();

	fixture->node = node_fixture_open(&fixture->config);
	*state = fixture;
	return 0;
}

int node_fixture_tear_down(void **state)
{
	struct node_fixture *fixture = *state;

	if (fixture->node)
		node_fixture_check(fixture->node);
	node_close(fixture->node);
	assert_int_equal(atomic_load(&fixture->follower.faults), 0);
	temp_dir_remove(fixture->dir);
	free(fixture);
	return 0;
}

struct node *node_fixture_open(const struct node_config *config)
{
	struct node *node = NULL;
	char why[512] = "";

	if (node_open(config, &node, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	return node;
}

struct node *node_fixture_open_in_child(const struct node_config *config)
{
	struct node *node = NULL;
	char why[512] = "";

	if (node_open(config, &node, why, sizeof(why)) != 0)
		child_fail(__FILE__, __LINE__, why);
	return node;
}

void node_fixture_done(void *arg, const struct outcome *out)
{
	struct answer *answer = arg;

	if (atomic_load(&answer->calls) == 0) {
		answer->out = *out;
		answer->out.feed = NULL;
	}
	atomic_fetch_add(&answer->calls, 1);
}

struct outcome node_fixture_do(struct node *node, const struct event *ev)
{
	struct answer answer = { 0 };

	node_submit(node, ev, NULL, node_fixture_done, &answer);
	UNTIL(atomic_load(&answer.calls));
	assert_int_equal(atomic_load(&answer.calls), 1);
	return answer.out;
}

char *node_fixture_value(struct node *node, const char *key, size_t *ret_len)
{
	struct view view;
	struct entry e;
	char *value = NULL;

	assert_int_equal(view_open(node_store(node), &view), 0);
	if (view_key(&view, key, strlen(key), &e) == 0) {
		value = malloc(e.size + 1);
		assert_non_null(value);
		assert_int_equal(store_read(view.txn, &e, 0, value, e.size), e.size);
		value[e.size] = '\0';
		if (ret_len)
			*ret_len = e.size;
	}
	view_close(&view);
	return value;
}

void node_fixture_check(struct node *node)
{
	struct txn *txn;
	char why[256];

	assert_int_equal(txn_read(node_store(node), &txn), 0);
	int r = store_check(txn, why, sizeof(why));
	txn_abort(txn);
	if (r < 0)
		fail_msg("%s", why);
}
