/* Tests of common/node/node_shm.c: slots, waking, acknowledgements. A process that
 * opens it twice stands for two processes, except where one must die. */
#include "tests/unit/cmocka_all.h"

#include "common/node/node_shm.h"
#include "tests/unit/child.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LONG_MS 3600000

static struct node_shm *open_shm(const char *dir, bool is_mount)
{
	struct node_shm *shm = NULL;

	assert_int_equal(node_shm_open(dir, is_mount, &shm), 0);
	return shm;
}

static void test_slots_are_limited_and_reused(void **state)
{
	struct node_shm *pages[NODE_SHM_SLOTS], *one = NULL;

	for (int i = 0; i < NODE_SHM_SLOTS; i++)
		pages[i] = open_shm(*state, false);
	assert_int_equal(node_shm_open(*state, false, &one), -EUSERS);
	assert_null(one);
	node_shm_close(pages[17]);
	pages[17] = open_shm(*state, true);
	assert_int_equal(node_shm_open(*state, false, &one), -EUSERS);
	for (int i = 0; i < NODE_SHM_SLOTS; i++)
		node_shm_close(pages[i]);
	node_shm_close(NULL);
	assert_int_equal(node_shm_open("/nowhere/at/all", false, &one), -ENOENT);
}

static void test_opening_on_a_full_file_system_fails(void **state)
{
	char *dir = temp_dir_small(1 << 20);
	struct node_shm *shm = NULL;

	(void)state;
	if (!dir)
		skip();
	temp_dir_fill(dir);
	assert_int_equal(node_shm_open(dir, false, &shm), -ENOSPC);
	assert_null(shm);
	temp_dir_remove(dir);
}

/* --- waking --- */

struct sleeper {
	pthread_t thread;
	struct node_shm *shm;
	uint32_t wake_count;
	_Atomic int woken;
};

static void *sleep_once(void *arg)
{
	struct sleeper *s = arg;

	node_shm_sleep(s->shm, s->wake_count, LONG_MS);
	atomic_store(&s->woken, 1);
	return NULL;
}

static void start_sleeper(struct sleeper *s, struct node_shm *shm)
{
	*s = (struct sleeper){ .shm = shm, .wake_count = node_shm_wake_count(shm) };
	assert_int_equal(pthread_create(&s->thread, NULL, sleep_once, s), 0);
}

static void test_a_sleeper_is_woken_by_itself_and_others(void **state)
{
	struct node_shm *a = open_shm(*state, false), *b = open_shm(*state, false);
	struct sleeper s;

	/* Woken by another process, by itself, and before it sleeps. */
	start_sleeper(&s, a);
	node_shm_wake_others(b);
	pthread_join(s.thread, NULL);
	start_sleeper(&s, a);
	node_shm_wake_self(a);
	pthread_join(s.thread, NULL);
	uint32_t wake_count = node_shm_wake_count(a);
	node_shm_wake_others(b);
	node_shm_sleep(a, wake_count, LONG_MS);
	/* Waking the others does not wake the caller; waking oneself wakes no other. */
	wake_count = node_shm_wake_count(b);
	node_shm_wake_others(b);
	node_shm_wake_self(a);
	assert_int_equal(node_shm_wake_count(b), wake_count);
	node_shm_sleep(b, wake_count, 0);
	node_shm_sleep(b, wake_count, -5);
	node_shm_sleep(b, wake_count, 1); /* Ends by its timeout. */
	node_shm_close(a);
	node_shm_close(b);
}

struct pong {
	struct node_shm *own;
	_Atomic uint64_t count;
	uint64_t rounds;
	bool odd;
	_Atomic uint64_t *turn;
};

/* Wait for its turn and pass it on: one lost wake-up stops both threads. */
static void *pass_turns(void *arg)
{
	struct pong *p = arg;

	for (uint64_t i = 0; i < p->rounds; i++) {
		for (;;) {
			uint32_t wake_count = node_shm_wake_count(p->own);
			if (atomic_load(p->turn) % 2 == p->odd)
				break;
			node_shm_sleep(p->own, wake_count, LONG_MS);
		}
		atomic_fetch_add(p->turn, 1);
		node_shm_wake_others(p->own);
		atomic_fetch_add(&p->count, 1);
	}
	return NULL;
}

static void test_no_wake_up_is_lost(void **state)
{
	_Atomic uint64_t turn = 0;
	struct pong a = { .own = open_shm(*state, false), .rounds = 20000, .turn = &turn };
	struct pong b = {
		.own = open_shm(*state, false), .rounds = 20000, .odd = true, .turn = &turn
	};
	pthread_t threads[2];

	assert_int_equal(pthread_create(&threads[0], NULL, pass_turns, &a), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, pass_turns, &b), 0);
	UNTIL(atomic_load(&b.count) == b.rounds);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	node_shm_close(a.own);
	node_shm_close(b.own);
}

/* --- acknowledgements --- */

static void test_acked_requires_every_open_mount(void **state)
{
	struct node_shm *server = open_shm(*state, false), *mounts[2];
	struct sleeper s;

	assert_true(node_shm_acked(server, UINT64_MAX)); /* There is no mount. */
	mounts[0] = open_shm(*state, true);
	assert_false(node_shm_acked(server, 1));
	assert_true(node_shm_acked(server, 0));
	assert_true(node_shm_acked(mounts[0], 1)); /* Its own acknowledgement does not count. */
	start_sleeper(&s, server);
	node_shm_ack(mounts[0], 10);
	pthread_join(s.thread, NULL);
	assert_true(node_shm_acked(server, 10));
	assert_false(node_shm_acked(server, 11));
	node_shm_ack(mounts[0], 5); /* An older acknowledgement has no effect. */
	assert_true(node_shm_acked(server, 10));
	mounts[1] = open_shm(*state, true);
	assert_false(node_shm_acked(server, 10));
	node_shm_ack(mounts[1], 20);
	assert_true(node_shm_acked(server, 10));
	assert_false(node_shm_acked(server, 20));
	/* A mount that closes no longer delays acknowledgement, and wakes the waiter. */
	start_sleeper(&s, server);
	node_shm_close(mounts[0]);
	pthread_join(s.thread, NULL);
	assert_true(node_shm_acked(server, 20));
	node_shm_close(mounts[1]);
	node_shm_close(server);
}

struct shared {
	const char *dir;
	_Atomic int open;
};

static void open_as_mount(void *arg)
{
	struct shared *shared = arg;
	struct node_shm *shm;

	CHILD_CHECK(node_shm_open(shared->dir, true, &shm) == 0);
	atomic_store(&shared->open, 1);
	for (;;)
		pause();
}

/* Nor does a mount that was killed; its slot is free again. */
static void test_a_killed_mount_frees_its_slot(void **state)
{
	struct shared *shared = child_share(sizeof(*shared));

	shared->dir = *state;
	pid_t pid = child_start(open_as_mount, shared);
	UNTIL(atomic_load(&shared->open));
	struct node_shm *server = open_shm(*state, false);
	assert_false(node_shm_acked(server, 1));
	child_kill(pid);
	assert_true(node_shm_acked(server, 1));
	assert_true(node_shm_acked(server, 1));
	struct node_shm *rest[NODE_SHM_SLOTS];
	for (int i = 1; i < NODE_SHM_SLOTS; i++)
		rest[i] = open_shm(*state, false);
	for (int i = 1; i < NODE_SHM_SLOTS; i++)
		node_shm_close(rest[i]);
	node_shm_close(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_set_up, temp_dir_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_slots_are_limited_and_reused),
		TEST(test_opening_on_a_full_file_system_fails),
		TEST(test_a_sleeper_is_woken_by_itself_and_others),
		TEST(test_no_wake_up_is_lost),
		TEST(test_acked_requires_every_open_mount),
		TEST(test_a_killed_mount_frees_its_slot),
	};

	return cmocka_run_group_tests_name("node_shm", tests, NULL, NULL);
}
