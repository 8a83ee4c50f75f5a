/* Tests of common/node/bell.c: slots, waking, acknowledgements. Two bells of one
 * process are as good as two processes; where one must die, it is one. */
#include "tests/unit/cmocka_all.h"

#include "common/node/bell.h"
#include "tests/unit/child.h"
#include "tests/unit/temp_dir.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LONG_MS 3600000

static struct bell *open_bell(const char *dir, bool is_mount)
{
	struct bell *bell = NULL;

	assert_int_equal(bell_open(dir, is_mount, &bell), 0);
	return bell;
}

static void test_slots(void **state)
{
	struct bell *bells[BELL_SLOTS], *one = NULL;

	for (int i = 0; i < BELL_SLOTS; i++)
		bells[i] = open_bell(*state, false);
	assert_int_equal(bell_open(*state, false, &one), -EUSERS);
	assert_null(one);
	bell_close(bells[17]);
	bells[17] = open_bell(*state, true);
	assert_int_equal(bell_open(*state, false, &one), -EUSERS);
	for (int i = 0; i < BELL_SLOTS; i++)
		bell_close(bells[i]);
	bell_close(NULL);
	assert_int_equal(bell_open("/nowhere/at/all", false, &one), -ENOENT);
}

static void test_full_file_system(void **state)
{
	char *dir = temp_dir_small(1 << 20);
	struct bell *bell = NULL;

	(void)state;
	if (!dir)
		skip();
	temp_dir_fill(dir);
	assert_int_equal(bell_open(dir, false, &bell), -ENOSPC);
	assert_null(bell);
	temp_dir_remove(dir);
}

/* --- waking --- */

struct sleeper {
	pthread_t thread;
	struct bell *bell;
	uint32_t ticket;
	_Atomic int woken;
};

static void *sleep_once(void *arg)
{
	struct sleeper *s = arg;

	bell_wait(s->bell, s->ticket, LONG_MS);
	atomic_store(&s->woken, 1);
	return NULL;
}

static void start(struct sleeper *s, struct bell *bell)
{
	*s = (struct sleeper){ .bell = bell, .ticket = bell_ticket(bell) };
	assert_int_equal(pthread_create(&s->thread, NULL, sleep_once, s), 0);
}

static void test_waking(void **state)
{
	struct bell *a = open_bell(*state, false), *b = open_bell(*state, false);
	struct sleeper s;

	/* By others, by itself, and before it sleeps. */
	start(&s, a);
	bell_ring_others(b);
	pthread_join(s.thread, NULL);
	start(&s, a);
	bell_ring_self(a);
	pthread_join(s.thread, NULL);
	uint32_t ticket = bell_ticket(a);
	bell_ring_others(b);
	bell_wait(a, ticket, LONG_MS);
	/* Who rings the others does not ring itself, nor do they when they ring. */
	ticket = bell_ticket(b);
	bell_ring_others(b);
	bell_ring_self(a);
	assert_int_equal(bell_ticket(b), ticket);
	bell_wait(b, ticket, 0);
	bell_wait(b, ticket, -5);
	bell_wait(b, ticket, 1); /* comes back by itself */
	bell_close(a);
	bell_close(b);
}

struct pong {
	struct bell *own;
	_Atomic uint64_t count;
	uint64_t rounds;
	bool odd;
	_Atomic uint64_t *turn;
};

/* Waits for its turn and hands it on: one ring that is lost stops both. */
static void *play(void *arg)
{
	struct pong *p = arg;

	for (uint64_t i = 0; i < p->rounds; i++) {
		for (;;) {
			uint32_t ticket = bell_ticket(p->own);
			if (atomic_load(p->turn) % 2 == p->odd)
				break;
			bell_wait(p->own, ticket, LONG_MS);
		}
		atomic_fetch_add(p->turn, 1);
		bell_ring_others(p->own);
		atomic_fetch_add(&p->count, 1);
	}
	return NULL;
}

static void test_no_ring_is_lost(void **state)
{
	_Atomic uint64_t turn = 0;
	struct pong a = { .own = open_bell(*state, false), .rounds = 20000, .turn = &turn };
	struct pong b = {
		.own = open_bell(*state, false), .rounds = 20000, .odd = true, .turn = &turn
	};
	pthread_t threads[2];

	assert_int_equal(pthread_create(&threads[0], NULL, play, &a), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, play, &b), 0);
	UNTIL(atomic_load(&b.count) == b.rounds);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	bell_close(a.own);
	bell_close(b.own);
}

/* --- acknowledgements --- */

static void test_acks(void **state)
{
	struct bell *server = open_bell(*state, false), *mounts[2];
	struct sleeper s;

	assert_true(bell_acked(server, UINT64_MAX)); /* there is no mount */
	mounts[0] = open_bell(*state, true);
	assert_false(bell_acked(server, 1));
	assert_true(bell_acked(server, 0));
	assert_true(bell_acked(mounts[0], 1)); /* its own does not count */
	start(&s, server);
	bell_ack(mounts[0], 10);
	pthread_join(s.thread, NULL);
	assert_true(bell_acked(server, 10));
	assert_false(bell_acked(server, 11));
	bell_ack(mounts[0], 5); /* never back */
	assert_true(bell_acked(server, 10));
	mounts[1] = open_bell(*state, true);
	assert_false(bell_acked(server, 10));
	bell_ack(mounts[1], 20);
	assert_true(bell_acked(server, 10));
	assert_false(bell_acked(server, 20));
	/* A mount that goes holds nobody up, and says so. */
	start(&s, server);
	bell_close(mounts[0]);
	pthread_join(s.thread, NULL);
	assert_true(bell_acked(server, 20));
	bell_close(mounts[1]);
	bell_close(server);
}

struct shared {
	const char *dir;
	_Atomic int open;
};

static void be_a_mount(void *arg)
{
	struct shared *shared = arg;
	struct bell *bell;

	CHILD_CHECK(bell_open(shared->dir, true, &bell) == 0);
	atomic_store(&shared->open, 1);
	for (;;)
		pause();
}

/* A mount that was killed holds nobody up either; its slot is free again. */
static void test_killed_mount(void **state)
{
	struct shared *shared = child_share(sizeof *shared);

	shared->dir = *state;
	pid_t pid = child_start(be_a_mount, shared);
	UNTIL(atomic_load(&shared->open));
	struct bell *server = open_bell(*state, false);
	assert_false(bell_acked(server, 1));
	child_kill(pid);
	assert_true(bell_acked(server, 1));
	assert_true(bell_acked(server, 1));
	struct bell *rest[BELL_SLOTS];
	for (int i = 1; i < BELL_SLOTS; i++)
		rest[i] = open_bell(*state, false);
	for (int i = 1; i < BELL_SLOTS; i++)
		bell_close(rest[i]);
	bell_close(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, temp_dir_set_up, temp_dir_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_slots),  TEST(test_full_file_system),
		TEST(test_waking), TEST(test_no_ring_is_lost),
		TEST(test_acks),   TEST(test_killed_mount),
	};

	return cmocka_run_group_tests_name("bell", tests, NULL, NULL);
}
