/* Node: start and stop, the node's own thread, and its status.
 *
 * The thread does what no worker came for (node/work.c): it applies queued events, follows
 * the feed when another process applied, ticks, ends waits that timed out, and checks store
 * and clock. Submitting is in node/submit.c, the logs are reached through node/log.h.
 *
 * Locks: work_lock, then queue_lock (THREADS.md); none is held when a callback is made, except
 * the follow callback, which runs under work_lock. */
#include "common/node/node.h"

#include "common/base/clock.h"
#include "common/base/logger.h"
#include "common/base/metrics.h"
#include "common/base/random.h"
#include "common/node/completions.h"
#include "common/node/deadline.h"
#include "common/node/evictor.h"
#include "common/node/fault.h"
#include "common/node/internal.h"
#include "common/node/log.h"
#include "common/node/numbers.h"
#include "common/node/recency.h"
#include "common/node/size.h"
#include "common/node/snapshot.h"
#include "common/node/stop_limit.h"
#include "common/node/submission.h"
#include "common/node/tick.h"
#include "common/node/volume.h"
#include "common/node/wait.h"
#include "common/node/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define IDLE_MS 1000 /* maximum time between two rounds of the thread */
/* Proposed inode numbers have 53 bits, the most that a JavaScript number holds exactly; 28 of them
 * are the counter. */
#define INO_TAG_MASK ((1u << 25) - 1)

void node_barrier(struct node *node, int64_t timeout_ms, node_done *done, void *arg)
{
	node->log->barrier(node, timeout_ms, done, arg);
}

void node_ack(struct node *node, uint64_t offset)
{
	node_shm_ack(node->shm, offset);
}

void node_count_lost(struct node *node)
{
	node_shm_count_lost(node->shm);
}

/* --- the node's thread --- */

/* Log once that the wall clock jumped ahead. *LOGGED_MS is the jump that was logged, or 0. */
static void warn_clock_jump(int64_t *logged_ms)
{
	int64_t jump_ms = clock_jump_ms();
	if (jump_ms && !*logged_ms)
		logger(LOGGER_WARN,
		       "the machine's clock jumped ahead by %lld s; Keydir follows it after %d s, "
		       "so correct it before that if it is wrong",
		       (long long)(jump_ms / 1000), CLOCK_BELIEVE_MS / 1000);
	*logged_ms = jump_ms;
}

static void *run_node(void *arg)
{
	struct node *node = arg;
	int64_t jump_ms = 0;
	while (!atomic_load(&node->stopping)) {
		uint32_t wake_count = node_shm_wake_count(node->shm);
		procs_beat(node->procs);
		numbers_publish(node);
		work_run(node);
		int64_t wait_ms = IDLE_MS, ms = tick_if_due(node, IDLE_MS);
		if (ms < wait_ms)
			wait_ms = ms;
		ms = wait_check(node);
		if (ms < wait_ms)
			wait_ms = ms;
		if (node->log->retry_stalled && atomic_load(&node->stalled))
			node->log->retry_stalled(node);
		warn_clock_jump(&jump_ms);
		ms = fault_check_store(node);
		if (ms < wait_ms)
			wait_ms = ms;
		node_shm_sleep(node->shm, wake_count, wait_ms);
	}
	return NULL;
}

/* --- starting and stopping --- */

static int format_error(int err, char *why, size_t why_size, const char *what)
{
	snprintf(why, why_size, "%s: %s", what, strerror(-err));
	return err;
}

/* Start a new store from the snapshot of a peer, if one has it. Otherwise the log is replayed. */
static void take_snapshot(const struct node_config *config, const struct store_place *place)
{
	char answers[NODE_WHY_MAX];
	struct snapshot_source source = { .peers = config->peers,
		                          .access = config->peer_access,
		                          .size_bytes = config->size_bytes,
		                          .fits = volume_fits,
		                          .arg = (void *)(uintptr_t)config };
	if (snapshot_fetch(&source, place, answers, sizeof(answers)) == 0 && answers[0])
		logger(LOGGER_WARN, "no snapshot from any peer, replaying the log");
}

/* Open the store, which is taken from a peer or created if it is new, and enter this
 * process among the store's, while no other process starts in the same directory. */
static int open_store(struct node *node, char *why, size_t why_size)
{
	const struct node_config *config = &node->config;
	struct store_place *place;
	int r = store_place_begin(config->store.dir, &place, why, why_size);
	if (r < 0)
		return r;
	if (config->store.logged && config->peers)
		take_snapshot(config, place);
	r = store_open(&config->store, &node->store, why, why_size);
	if (r < 0)
		goto out;
	r = node_shm_open(store_dir(node->store), config->is_mount, &node->shm);
	if (r < 0) {
		format_error(r, why, why_size,
		             "cannot open the page shared by the node's processes");
		goto err_store;
	}
	r = procs_open(store_dir(node->store), program_invocation_short_name, config->place,
	               &node->procs);
	if (r < 0) {
		format_error(r, why, why_size, "cannot enter the store's list of processes");
		goto err_shm;
	}
	numbers_adopt_limits(node);
	atomic_store(&node->max_value, config->max_value);
	numbers_publish(node);
	goto out;
err_shm:
	node_shm_close(node->shm);
err_store:
	store_close(node->store);
out:
	store_place_close(place);
	return r;
}

static const struct log_ops *find_log(const char *url)
{
	static const struct log_ops *const logs[] = { &local_log_ops, &kafka_log_ops };
	for (size_t i = 0; i < sizeof(logs) / sizeof(logs[0]); i++) {
		if (logs[i]->matches(url))
			return logs[i];
	}
	return NULL;
}

int node_open(const struct node_config *config, struct node **ret, char *why, size_t why_size)
{
	char ignored[8];
	if (!why) {
		why = ignored;
		why_size = sizeof(ignored);
	}
	const struct log_ops *log = find_log(config->log);
	if (!log) {
		snprintf(why, why_size, "--log %s: give local, or kafka://HOST:PORT,.../TOPIC",
		         config->log);
		return -EINVAL;
	}
	if (config->max_value == 0 || config->max_value > EVENT_VALUE_MAX) {
		snprintf(why, why_size, "--max-value: give 1 to %llu bytes",
		         (unsigned long long)EVENT_VALUE_MAX);
		return -EINVAL;
	}
	struct node *node = calloc(1, sizeof(*node));
	if (!node)
		return format_error(-ENOMEM, why, why_size, "cannot start the node");
	node->config = *config;
	node->config.store.logged = log->keeps_events;
	node->log = log;
	node->queue_last = &node->queue;
	pthread_mutex_init(&node->queue_lock, NULL);
	pthread_mutex_init(&node->work_lock, NULL);
	uint64_t tag = 0;
	int r = random_u64(&node->proc);
	if (r == 0)
		r = random_u64(&tag);
	if (r < 0) {
		r = format_error(r, why, why_size, "cannot get random numbers");
		goto err_free;
	}
	/* The tag is random and not too small; the counter has 28 bits (node_propose_ino()). */
	atomic_store(&node->ino_tag, (tag & INO_TAG_MASK) | 0x1000);
	r = open_store(node, why, why_size);
	if (r < 0)
		goto err_free;
	size_warn(node);
	r = log->open(node, why, why_size);
	if (r < 0)
		goto err_procs;
	struct txn *txn;
	r = txn_read(node->store, &txn);
	if (r < 0) {
		r = format_error(r, why, why_size, "cannot read the store");
		goto err_log;
	}
	atomic_store(&node->followed, txn_meta(txn)->applied);
	node->any_followed = txn_meta(txn)->started;
	txn_abort(txn);
	node_shm_ack(node->shm, atomic_load(&node->followed));
	r = evictor_open(node);
	if (r < 0) {
		r = format_error(r, why, why_size, "cannot prepare for --evict");
		goto err_evictor;
	}
	store_place_remember(store_place(node->store)); /* All its files exist now. */
	r = deadline_open(node);
	if (r < 0) {
		r = format_error(r, why, why_size, "cannot start the node's thread");
		goto err_evictor;
	}
	r = -pthread_create(&node->thread, NULL, run_node, node);
	if (r < 0) {
		r = format_error(r, why, why_size, "cannot start the node's thread");
		goto err_deadlines;
	}
	*ret = node;
	return 0;

err_deadlines:
	deadline_close(node);
err_evictor:
	evictor_stop(node);
	evictor_free(node);
err_log:
	log->stop(node);
	log->free(node);
err_procs:
	procs_close(node->procs);
	node_shm_close(node->shm);
	store_close(node->store);
err_free:
	pthread_mutex_destroy(&node->work_lock);
	pthread_mutex_destroy(&node->queue_lock);
	free(node);
	return r;
}

void node_close(struct node *node)
{
	if (!node)
		return;
	struct completions done;
	struct submission *p, *tmp;
	completions_init(&done);
	pthread_mutex_lock(&node->queue_lock);
	atomic_store(&node->stopping, true);
	pthread_mutex_unlock(&node->queue_lock);
	evictor_stop(node);
	node->log->stop(node);
	node_shm_wake_self(node->shm);
	pthread_join(node->thread, NULL);
	deadline_close(node);
	/* Apply everything that was submitted before. With a Kafka log, the submissions that have
	 * not come back by now have an unknown outcome. */
	pthread_mutex_lock(&node->work_lock);
	pthread_mutex_unlock(&node->work_lock);
	do
		work_run(node);
	while (node->queue);
	HASH_ITER (hh, node->pending, p, tmp) {
		HASH_DEL(node->pending, p);
		p->out = (struct outcome){ .code = OUTCOME_UNKNOWN };
		completions_add(&done, p);
	}
	wait_stop(node, &done);
	completions_run(&done);
	evictor_free(node);
	node->log->free(node);
	procs_close(node->procs);
	node_shm_close(node->shm);
	stop_limit_end(node->stop_limit);
	store_close(node->store);
	pthread_mutex_destroy(&node->work_lock);
	pthread_mutex_destroy(&node->queue_lock);
	free(node);
}

void node_limit_stop(struct node *node, void (*last)(void *arg), void *arg)
{
	node->stop_limit = stop_limit_begin(node->store, last, arg);
}

/* --- status and properties --- */

struct store *node_store(struct node *node)
{
	return node->store;
}

uint64_t node_proc(const struct node *node)
{
	return node->proc;
}

const struct node_config *node_get_config(const struct node *node)
{
	return &node->config;
}

void node_touch(struct node *node, uint64_t ino, int64_t now_ms)
{
	recency_touch(node->recency, ino, now_ms);
}

void node_pin(struct node *node, uint64_t ino)
{
	if (node->recency)
		recency_hold(node->recency, ino, clock_wall_ms());
}

void node_unpin(struct node *node, uint64_t ino)
{
	if (node->recency)
		recency_release(node->recency, ino, clock_wall_ms());
}

uint64_t node_offset(struct node *node)
{
	return atomic_load(&node->followed);
}

void node_status(struct node *node, struct node_status *ret)
{
	struct txn *txn;
	*ret = (struct node_status){
		.log = node->config.log,
		.ready = atomic_load(&node->ready),
		.log_up = true,
		.applies = true,
		.followed = atomic_load(&node->followed),
		.lost = node_shm_lost(node->shm),
	};
	if (txn_read(node->store, &txn) == 0) {
		ret->applied = ret->log_end = txn_meta(txn)->applied;
		txn_abort(txn);
	}
	pthread_mutex_lock(&node->queue_lock);
	ret->pending = HASH_COUNT(node->pending);
	pthread_mutex_unlock(&node->queue_lock);
	ret->oldest_ms = deadline_oldest_ms(node);
	fault_explain(node, ret->why);
	if (!ret->why[0] && deadline_is_overdue(node, ret->oldest_ms))
		snprintf(ret->why, sizeof(ret->why),
		         "a write has waited for %lld s: applying is blocked (store %.80s)",
		         (long long)(ret->oldest_ms / 1000), store_dir(node->store));
	node->log->status(node, ret);
	if (ret->why[0])
		ret->ready = false;
}

bool node_can_read(struct node *node)
{
	struct node_status status;
	if (atomic_load(&node->ready))
		return true;
	node_status(node, &status);
	return !status.behind;
}
